"""What a condition compares: each word of text in it, and the value it is held against.

A condition is text in CEL, whose library tells the names it reads and not what it does with them. This reads its
tokens, so that a pack which compares a license with a word that no license has is refused when it is loaded: such a
comparison is never true, and a rule that is never true protects nobody.

>>> sorted(compared('impact.licenses.exists(l, l in ["MIT", "ISC"]) && request.standing == "customer"'))
[Compared(place='impact.licenses', how='in', word='ISC'), Compared(place='impact.licenses', how='in', word='MIT'), Compared(place='request.standing', how='==', word='customer')]

A word that is held against nothing this can name has the place "": it is for the caller to refuse.
"""  # noqa: E501 (a doctest's output is one line)

import ast
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

_TOKEN = re.compile(
    r"""(?P<comment>//[^\n]*)
    |(?P<text>[bB]?[rR]?(?:\"{3}(?:[^\\]|\\.)*?\"{3}|'{3}(?:[^\\]|\\.)*?'{3}|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'))
    |(?P<name>[A-Za-z_]\w*)
    |(?P<sign>==|!=|<=|>=|&&|\|\||[^\s\w])
    |(?P<number>\d[\w.]*)""",
    re.VERBOSE | re.DOTALL,
)
_MACROS = {"exists", "all", "exists_one", "filter", "map"}
_FUNCTIONS = {"startsWith", "endsWith", "contains", "matches"}


class Compared(NamedTuple):
    """A word of a condition: held against the value at ``place``, by ``==``, ``in`` or a function's name."""

    place: str
    how: str
    word: str


class _Token(NamedTuple):
    kind: str
    text: str


@lru_cache(maxsize=4096)
def compared(condition: str) -> frozenset[Compared]:
    """Return every word of a condition with what it is held against."""
    return frozenset(_Reading(_tokens(condition)).words())


@lru_cache(maxsize=4096)
def places_read(condition: str) -> frozenset[str]:
    """Return what a condition reads, such as ``impact.licenses``."""
    reading = _Reading(_tokens(condition))
    return frozenset(place for place, _, _ in reading.paths())


def _tokens(condition: str) -> list[_Token]:
    found = ((str(match.lastgroup), match[0]) for match in _TOKEN.finditer(condition))
    return [_Token(kind, text) for kind, text in found if kind != "comment"]


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
            if self._tokens[at].kind != "name" or text == "in" or self._is(at - 1, "."):
                at += 1
                continue
            end = at + 1
            while self._is(end, ".") and self._kind(end + 1) == "name" and not self._is(end + 2, "("):
                end += 2
            root, *rest = [token.text for token in self._tokens[at:end:2]]
            place = ".".join([self._bound.get(root, root), *rest])
            yield place, at, end
            at = self._macro(end, place, depth, filtered)
            depth += at > end

    def _macro(self, at: int, place: str, depth: int, filtered: list[tuple[int, str]]) -> int:
        """Bind the name of a macro that begins here, and return where its body begins; ``at`` if none does."""
        if not (self._is(at, ".") and self._is(at + 2, "(") and self._is(at + 4, ",")):
            return at
        if self._tokens[at + 1].text not in _MACROS:
            return at
        self._bound[self._tokens[at + 3].text] = place
        if self._tokens[at + 1].text == "filter":
            filtered.append((depth, place))
        return at + 5

    def _beside(self, start: int, end: int) -> Iterator[tuple[str, int]]:
        """Yield the words on either side of the value between two tokens, and how they are compared."""
        if self._is(end, "==", "!="):
            yield from (("==", at) for at in self._list_or_word(end + 1))
        elif self._is(end, "in"):
            yield from (("in", at) for at in self._list_or_word(end + 1))
        elif self._is(end, ".") and self._is(end + 2, "(") and self._kind(end + 3) == "text":
            if self._tokens[end + 1].text in _FUNCTIONS:
                yield self._tokens[end + 1].text, end + 3
        if self._is(start - 1, "==", "!=", "in"):
            how = "in" if self._is(start - 1, "in") else "=="
            if self._kind(start - 2) == "text":
                yield how, start - 2
            elif self._is(start - 2, "]"):
                opened = start - 2
                while opened > 0 and not self._is(opened, "["):
                    opened -= 1
                yield from ((how, at) for at in self._list_or_word(opened))

    def _list_or_word(self, at: int) -> Iterator[int]:
        if self._kind(at) == "text":
            yield at
        elif self._is(at, "["):
            while at < len(self._tokens) and not self._is(at, "]"):
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

    def _is(self, at: int, *texts: str) -> bool:
        return 0 <= at < len(self._tokens) and self._tokens[at].text in texts

    def _kind(self, at: int) -> str:
        return self._tokens[at].kind if 0 <= at < len(self._tokens) else ""
