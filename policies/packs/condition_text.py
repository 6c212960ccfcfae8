"""What a condition reads and compares, taken from its tokens.

A condition is text in CEL, whose library tells the variables and functions it uses and not what it does with them. This
module finds each value that is read, such as ``impact.licenses``, and each word that a value is compared with. So a
pack that reads a fact it does not declare, or compares a license with a word that no license has, is refused when it
is loaded: such a comparison is never true, so its rule never fires.

>>> found = read_condition('impact.licenses.exists(l, l in ["MIT", "ISC"]) && request.standing == "customer"')
>>> sorted(found.places)
['impact.licenses', 'request.standing']
>>> [tuple(each) for each in sorted(found.compared)][1:]
[('impact.licenses', 'in', 'MIT'), ('request.standing', '==', 'customer')]

A word that is compared with nothing this module can name has the place "": the caller refuses it.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

_TOKEN = re.compile(
    r"""(?P<comment>//[^\n]*)
    |(?P<text>[bB]?[rR](?:\"{3}.*?\"{3}|'{3}.*?'{3}|"[^"]*"|'[^']*')  # a backslash means nothing in raw text
        |[bB]?(?:\"{3}(?:[^\\]|\\.)*?\"{3}|'{3}(?:[^\\]|\\.)*?'{3}|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'))
    |(?P<name>[A-Za-z_]\w*)
    |(?P<sign>==|!=|<=|>=|&&|\|\||[^\s\w])
    |(?P<number>\d[\w.]*)""",
    re.VERBOSE | re.DOTALL,
)
_MACROS = {"exists", "all", "exists_one", "filter", "map"}
_FUNCTIONS = {"startsWith", "endsWith", "contains", "matches"}


class Compared(NamedTuple):
    """A word of a condition: compared with the value at ``place``, by ``==``, ``in`` or a function's name."""

    place: str
    how: str
    word: str


class _Token(NamedTuple):
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class ConditionText:
    """What a condition reads: ``places`` such as ``impact.licenses``, and the words it compares them with.

    ``bound`` are the names that its macros bind, ``depth`` how many lists it goes through within one another at the
    most, ``indexed`` the places of which it reads a member with ``[...]``.
    """

    places: frozenset[str]
    compared: frozenset[Compared]
    bound: frozenset[str]
    depth: int
    indexed: frozenset[str]


@lru_cache(maxsize=4096)
def read_condition(condition: str) -> ConditionText:
    """Return what a condition reads and compares."""
    found = ((str(match.lastgroup), match[0]) for match in _TOKEN.finditer(condition))
    reading = _Reading([_Token(kind, text) for kind, text in found if kind != "comment"])
    paths = [*reading.paths()]
    return ConditionText(
        places=frozenset(place for place, _, _ in paths),
        compared=frozenset(reading.words()),
        bound=reading.names_bound(),
        depth=reading.depth(),
        indexed=frozenset(place for place, _, end in paths if reading.is_at(end, "[")),
    )


class _Reading:
    """One pass over a condition's tokens; names that a macro binds stand for what it goes through."""

    def __init__(self, tokens: list[_Token]):
        self._tokens = tokens
        self._bound: dict[str, str] = {}

    def words(self) -> Iterator[Compared]:
        taken: set[int] = set()
        for place, start, end in self.paths():
            for how, at in self._beside(start, end):
                taken.add(at)
                yield Compared(place, how, self._word(at))
        for at, token in enumerate(self._tokens):
            if token.kind == "text" and at not in taken:
                yield Compared("", "", self._word(at))

    def paths(self) -> Iterator[tuple[str, int, int]]:
        """Yield every value that is read: its place, and where its tokens begin and end."""
        self._bound = {}
        at = 0
        filtered: list[tuple[int, str]] = []
        depth = 0
        while at < len(self._tokens):
            text = self._tokens[at].text
            depth += (text == "(") - (text == ")")
            if text == ")" and filtered and filtered[-1][0] == depth:
                begun = self._macro(at + 1, filtered.pop()[1], depth, filtered)
                depth += begun > at + 1
                at = begun
                continue
            if self._tokens[at].kind != "name" or text == "in" or self.is_at(at - 1, "."):
                if text == "kind" and self.is_at(at - 2, ")", "]"):
                    yield "request.events.kind", at, at + 1
                at += 1
                continue
            end = at + 1
            while self.is_at(end, ".") and self._kind(end + 1) == "name" and not self.is_at(end + 2, "("):
                end += 2
            root, *rest = [token.text for token in self._tokens[at:end:2]]
            place = ".".join([self._bound.get(root, root), *rest])
            yield place, at, end
            at = self._macro(end, place, depth, filtered)
            depth += at > end

    def names_bound(self) -> frozenset[str]:
        """Return the names that macros bind, whatever they go through."""
        return frozenset(
            self._tokens[at + 2].text
            for at in range(len(self._tokens) - 3)
            if self._begins_macro(at) and self._kind(at + 2) == "name" and self.is_at(at + 3, ",")
        )

    def depth(self) -> int:
        """Return how many macros are nested in one another, at the most."""
        open_: list[bool] = []
        deepest = 0
        for at in range(len(self._tokens)):
            if self.is_at(at, "("):
                open_.append(self._begins_macro(at - 1))
                deepest = max(deepest, sum(open_))
            elif self.is_at(at, ")") and open_:
                open_.pop()
        return deepest

    def _begins_macro(self, at: int) -> bool:
        return self.is_at(at, *_MACROS) and self.is_at(at - 1, ".") and self.is_at(at + 1, "(")

    def _macro(self, at: int, place: str, depth: int, filtered: list[tuple[int, str]]) -> int:
        """Bind the name of a macro that begins here, and return where its body begins; ``at`` if none does."""
        if not (self.is_at(at, ".") and self.is_at(at + 2, "(") and self.is_at(at + 4, ",")):
            return at
        if self._tokens[at + 1].text not in _MACROS:
            return at
        self._bound[self._tokens[at + 3].text] = place
        if self._tokens[at + 1].text == "filter":
            filtered.append((depth, place))
        return at + 5

    def _beside(self, start: int, end: int) -> Iterator[tuple[str, int]]:
        """Yield the words on either side of the value between two tokens, and how each is compared."""
        if self.is_at(end, "==", "!="):
            yield from (("==", at) for at in self._list_or_word(end + 1))
        elif self.is_at(end, "in"):
            yield from (("in", at) for at in self._list_or_word(end + 1))
        elif self.is_at(end, ".") and self.is_at(end + 2, "(") and self._kind(end + 3) == "text":
            if self._tokens[end + 1].text in _FUNCTIONS:
                yield self._tokens[end + 1].text, end + 3
        if self.is_at(start - 1, "==", "!=", "in"):
            how = "in" if self.is_at(start - 1, "in") else "=="
            if self._kind(start - 2) == "text":
                yield how, start - 2
            elif self.is_at(start - 2, "]"):
                opened = start - 2
                while opened > 0 and not self.is_at(opened, "["):
                    opened -= 1
                yield from ((how, at) for at in self._list_or_word(opened))

    def _list_or_word(self, at: int) -> Iterator[int]:
        if self._kind(at) == "text":
            yield at
        elif self.is_at(at, "["):
            while at < len(self._tokens) and not self.is_at(at, "]"):
                if self._kind(at) == "text":
                    yield at
                at += 1

    def _word(self, at: int) -> str:
        text = self._tokens[at].text
        try:
            value = ast.literal_eval(text)
        except (SyntaxError, ValueError):
            return text.strip("\"'")
        return value if isinstance(value, str) else text

    def is_at(self, at: int, *texts: str) -> bool:
        return 0 <= at < len(self._tokens) and self._tokens[at].text in texts

    def _kind(self, at: int) -> str:
        return self._tokens[at].kind if 0 <= at < len(self._tokens) else ""
