"""Results of verbs, as JSON and for people; and checks of arguments that are recorded for good."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Generic, TypeVar

from disgorge.errors import WrongUse
from lineage.records import Json, plain
from lineage.shown import Table

Item = TypeVar("Item")
Given = TypeVar("Given", bound=str | Path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The result of a verb: its own fields for programs, ``shown`` for people."""

    shown: tuple[str | Table, ...] = field(default=(), repr=False, compare=False)
    """Lines and tables, in order."""

    def plain(self) -> Json:
        """Return what ``--json`` prints: the fields as values that JSON can write."""
        return {each.name: plain(getattr(self, each.name)) for each in fields(self) if each.name != "shown"}


@dataclass(frozen=True, slots=True)
class Listing(Result, Generic[Item]):
    """Values of one kind, in order; ``more`` is what is said of each beside what it holds itself."""

    items: tuple[Item, ...]
    more: tuple[dict[str, Json], ...] = ()

    def __iter__(self) -> Iterator[Item]:
        """Yield each value."""
        return iter(self.items)

    def plain(self) -> Json:
        """Return the values, each with what more is said of it."""
        values = [each.plain() if isinstance(each, Result) else plain(each) for each in self.items]
        return [value | plain(more) for value, more in zip(values, self.more or ({},) * len(values), strict=True)]


def several(given: Given | Iterable[Given]) -> list[Given]:
    """Return values as a list: a text or path that is given alone is one value, not its letters."""
    return [given] if isinstance(given, str | Path) else list(given)


def with_words(values: Iterable[Any]) -> list[Json]:
    """Return records as plain values, each with its words."""
    return [plain(value) | {"words": value.words} for value in values]


def require_name(by: str | None, does: str) -> str:
    """Return the name of a person who ``does`` something; :class:`WrongUse` unless it is one line."""
    if by is None or not by.strip() or not by.isprintable():
        raise WrongUse(f"--by must be a name on one line; say who {does}")
    return by.strip()


def require_reason(reason: str | None, *, option: str = "--reason") -> str:
    """Return a reason; :class:`WrongUse` unless it is one line of words."""
    if reason is None or not reason.strip() or not reason.isprintable():
        raise WrongUse(f"{option} must be one line of words; say why")
    return reason
