"""The values that a condition reads and compares, taken from its syntax tree.

A condition is text in CEL, whose library tells the variables and functions it uses and not what it does with them.
CEL's expressions are Python's but for some signs, so Python's parser makes their tree; nothing is evaluated. In it this
module finds each value that is read, such as ``impact.licenses``, and each word that a value is compared with. So a
pack that reads a fact it does not declare, or compares a license with a word that no license has, is refused when it is
loaded: such a comparison is never true, so its rule never fires.

>>> found = read_condition('impact.licenses.exists(l, l in ["MIT", "ISC"]) && request.standing == "customer"')
>>> sorted(found.places)
['impact.licenses', 'request.standing']
>>> [tuple(each) for each in sorted(found.compared)][1:]
[('impact.licenses', 'in', 'MIT'), ('request.standing', '==', 'customer')]

A word that is compared with nothing this module can name has the place "", and a member of that begins with a dot: the
caller refuses them.
"""

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from policies.errors import BadPack

_TOKEN = re.compile(
    r"""(?P<comment>//[^\n]*)
    |(?P<text>[bB]?[rR](?:\"{3}.*?\"{3}|'{3}.*?'{3}|"[^"]*"|'[^']*')  # a backslash means nothing in raw text
        |[bB]?(?:\"{3}(?:[^\\]|\\.)*?\"{3}|'{3}(?:[^\\]|\\.)*?'{3}|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'))
    |(?P<name>[A-Za-z_]\w*)
    |(?P<sign>==|!=|<=|>=|&&|\|\||[^\s\w])
    |(?P<number>\d[\w.]*)""",
    re.VERBOSE | re.DOTALL,
)
_SIGNS = {"&&": "and", "||": "or", "!": "~"}
_OPENED_BY = {")": "(", "]": "[", "}": "{"}
_MACROS = {"exists", "all", "exists_one", "filter", "map"}
_FUNCTIONS = {"startsWith", "endsWith", "contains", "matches"}


class Compared(NamedTuple):
    """A word of a condition: compared with the value at ``place``, by ``==``, ``in`` or a function's name."""

    place: str
    how: str
    word: str


@dataclass(slots=True)
class ConditionText:
    """What a condition reads: ``places`` such as ``impact.licenses``, and the words it compares them with.

    ``bound`` are the names that its macros bind, ``depth`` how many lists it goes through within one another at the
    most, ``indexed`` the places of which it reads a member with ``[...]``.
    """

    places: set[str] = field(default_factory=set)
    compared: set[Compared] = field(default_factory=set)
    bound: set[str] = field(default_factory=set)
    depth: int = 0
    indexed: set[str] = field(default_factory=set)
    _named: set[int] = field(default_factory=set)
    """Words of the tree that are compared with a value, so that the others can be told."""

    def _take(self, node: ast.AST, names: Mapping[str, str], depth: int) -> None:
        """Take in what is read below a node; ``names`` are the places that macros around it bound to names."""
        self.depth = max(self.depth, depth)
        inner = list(ast.iter_child_nodes(node))
        match node:
            case ast.Constant(str(word)) if id(node) not in self._named:
                self.compared.add(Compared("", "", word))
            case ast.Name() | ast.Attribute():
                self.places.add(_place(node, names))
                while isinstance(node, ast.Attribute):
                    node = node.value
                inner = [] if isinstance(node, ast.Name) else [node]
            case ast.Subscript(value):
                self.indexed.add(_place(value, names))
            case ast.Compare(first, signs, others):
                for left, sign, right in zip([first, *others], signs, others, strict=False):
                    if isinstance(sign, ast.Eq | ast.NotEq | ast.In):
                        self._compare(left, "in" if isinstance(sign, ast.In) else "==", right, names)
            case ast.Call(ast.Name(), args):
                inner = list(args)
            case ast.Call(ast.Attribute(value, name), [ast.Name(bound), *rest]) if name[1:] in _MACROS and rest:
                self.bound.add(bound[1:])
                self._take(value, names, depth)
                inner, names, depth = list(rest), {**names, bound: _place(value, names)}, depth + 1
            case ast.Call(ast.Attribute(value, name), args):
                inner = [value, *args]
                if name[1:] in _FUNCTIONS and len(args) == 1:
                    self._compare(value, name[1:], args[0], names)
        for each in inner:
            self._take(each, names, depth)

    def _compare(self, left: ast.expr, how: str, right: ast.expr, names: Mapping[str, str]) -> None:
        """Take in the words on either side that the other side, a value, is compared with."""
        for value, other in ((left, right), (right, left)):
            for word in other.elts if isinstance(other, ast.List) else [other]:
                if (place := _place(value, names)) and isinstance(word, ast.Constant) and isinstance(word.value, str):
                    self._named.add(id(word))
                    self.compared.add(Compared(place, how, word.value))


@lru_cache(maxsize=4096)
def read_condition(condition: str) -> ConditionText:
    """Return what a condition reads and compares; :class:`BadPack` for one that cannot be read."""
    read = ConditionText()
    try:
        read._take(ast.parse(_as_python(condition), mode="eval").body, {}, 0)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise BadPack("condition cannot be read; write it in simpler expressions, or make it several rules") from None
    return read


def _as_python(condition: str) -> str:
    """Return a condition as Python has it: other signs, ``a and b or c`` for ``a ? b : c``, and ``_`` before names."""
    pieces, opened = [], []
    for match in _TOKEN.finditer(condition):
        kind, text = match.lastgroup, match[0]
        if kind == "text":
            text = repr(_word(text))
        elif kind == "name" and text != "in":
            text = f"_{text}"  # no word of Python's own begins so
        elif kind == "number":
            text = "0"
        elif text in ("(", "[", "{", "?"):
            opened.append(text)
            text = "and" if text == "?" else text
        elif text == ":" and opened[-1:] == ["?"]:
            opened.pop()
            text = "or"
        elif text in _OPENED_BY and _OPENED_BY[text] in opened:
            while opened.pop() != _OPENED_BY[text]:
                pass
        if kind != "comment":
            pieces.append(_SIGNS.get(text, text))
    return " ".join(pieces)


def _word(text: str) -> str:
    try:
        value = ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return text.strip("\"'")
    return value if isinstance(value, str) else text


def _place(node: ast.expr, names: Mapping[str, str]) -> str:
    """Return which value a node reads, "" for one that has no name."""
    match node:
        case ast.Name(name):
            return names.get(name, name[1:])
        case ast.Attribute(value, name):
            return f"{_place(value, names)}.{name[1:]}"
        case ast.Subscript(value) | ast.Call(ast.Attribute(value, "_filter")):
            return _place(value, names)
        case _:
            return ""
