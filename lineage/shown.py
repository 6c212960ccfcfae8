"""What people are shown beside plain lines: tables, and lines that ask for attention."""

from collections.abc import Iterable
from dataclasses import dataclass

SHORT = 12
"""How many characters of a digest are shown; every command takes as few."""


class Attention(str):
    """A line that a person must not overlook: a command prints it as a warning, apart from what was asked for."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under columns; without columns each row is a name and a value, left out where there is none."""

    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]
    title: str = ""
    empty: str = "none"
    """What is said instead if there is no row."""


def table(*columns: str, rows: Iterable[tuple[object, ...]], title: str = "", empty: str = "none") -> Table:
    """Return a table of rows."""
    return Table(columns, tuple(rows), title, empty)


def short(digest: str | None) -> str:
    """Return the beginning of a digest, or a dash."""
    return digest[:SHORT] if digest else "-"
