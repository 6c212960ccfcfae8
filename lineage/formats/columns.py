"""Which column of a file plays which part, and what came out of reading it.

Four columns say about an item what training does not read: ``key``, ``subject``, ``source`` and ``license``. Everything
else is content, unless the caller names the fields. A column that bears one of those four names plays that part
unasked, so that a person's name does not slip into the content because a flag was forgotten. "Subject" and " subject"
are taken for "subject"; where that is ambiguous, the file is refused.

>>> Choice(subject="who").settle(["who", "x", "key"], "a.csv")
Choice(key='key', subject='who', source=None, license=None, fields=('x',), by=None, unasked=True)
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from unicodedata import normalize

import numpy as np
from numpy.typing import NDArray

from lineage.errors import BadInput
from lineage.storage.content import RESERVED

ROLES = ("key", "subject", "source", "license")
_OPTIONS = {"key": "key", "subject": "subject", "source": "source-column", "license": "license-column"}
_DELIMITER = re.compile(r"\s*[,;|\t]\s*")
BY = "value to divide by"
"""What a column is called, beside those that play a part, whose values say into which shard an item goes."""

_SHOWN, _LETTERS = 20, 80
"""Names an error lists, and letters of each."""

MOST_COLUMNS = 4_096
"""Columns that a file may have: more are one array, and every one costs as much as a file's first."""

Text = tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """The column for each part; None means there is none. ``fields`` None means all that is left over."""

    key: str | None = None
    subject: str | None = None
    source: str | None = None
    license: str | None = None
    fields: tuple[str, ...] | None = None
    by: str | None = None
    """A column that is read as text besides; it may play a part or be content as well."""
    unasked: bool = True
    """Whether a column that bears the name of a part plays it."""

    def settle(self, names: Sequence[str], origin: str) -> "Choice":
        """Return the choice with every column known to exist; ``names`` are those of the file ``origin``.

        Raises ``BadInput`` for a missing, doubled or reserved name, for too many, and if no content is left.
        """
        if len(names) > MOST_COLUMNS:
            raise BadInput(
                f"{origin}: has {len(names):,} columns, at most {MOST_COLUMNS:,} are taken; put numbers that belong "
                "together into one array (NPZ, or a list in Parquet)"
            )
        twice = sorted(name for name, times in Counter(names).items() if times > 1)
        if twice:
            raise BadInput(f"{origin}: {_quoted(twice)} is there more than once; give every column a name of its own")
        roles = {role: self._column(role, names, origin) for role in ROLES}
        for name in self.fields or ():
            if name not in names:
                raise _missing(origin, name, "--field", names)
        if roles["subject"] is not None and roles["subject"] in (self.fields or ()):
            raise BadInput(
                f"{origin}: '{roles['subject']}' cannot be subject and content; subjects are kept as pseudonyms"
            )
        if self.by is not None and self.by not in names:
            raise _missing(origin, self.by, "--by", names)
        taken = set(roles.values())
        if self.fields is None and self.unasked:
            self._refuse_hidden(names, taken, origin)
        fields = tuple(name for name in names if name not in taken) if self.fields is None else self.fields
        if not fields:
            raise BadInput(f"{origin}: no column is left as content; an item needs something that training reads")
        for name in fields:
            if name in RESERVED:
                raise BadInput(
                    f"{origin}: content may not be called '{name}'; rename the column or list the fields you want"
                )
        return Choice(roles["key"], roles["subject"], roles["source"], roles["license"], fields, self.by)

    def roles(self) -> dict[str, str]:
        """Return the columns that play a part, by part."""
        played = {role: column for role in ROLES if (column := getattr(self, role)) is not None}
        return played if self.by is None else played | {BY: self.by}

    def _column(self, role: str, names: Sequence[str], origin: str) -> str | None:
        asked: str | None = getattr(self, role)
        if asked is None and not self.unasked:
            return None
        wanted, free = asked or role, [name for name in names if asked or name not in (self.fields or ())]
        if wanted in free:
            return wanted
        near = [name for name in free if _alike(name, wanted)]
        if len(near) > 1:
            raise BadInput(
                f"{origin}: {_quoted(near)} may each be the {role}; name the one that is (--{_OPTIONS[role]})"
            )
        if asked is not None and not near:
            raise _missing(origin, asked, f"the {role}", names)
        return near[0] if near else None

    def _refuse_hidden(self, names: Sequence[str], taken: Collection[str | None], origin: str) -> None:
        """Raise ``BadInput`` where a column that reads as one that plays a part would become content in silence."""
        parts = {*ROLES, *(column for role in ROLES if (column := getattr(self, role)))}
        for name in names:
            if name in taken or name in RESERVED:
                continue
            pieces = _DELIMITER.split(name)
            if len(pieces) > 1 and any(_alike(piece, part) for piece in pieces for part in parts):
                raise BadInput(
                    f"{origin}: '{_brief(name)}' is one column and reads as {len(pieces)}; say what stands between "
                    "cells (--delimiter), or list the columns that are content (--fields)"
                )
            if any(_alike(name, part) for part in parts):
                raise BadInput(
                    f"{origin}: '{_brief(name)}' would be content, and reads as a column that says whose or what an "
                    "item is; name the column that does, or list those that are content (--fields)"
                )


@dataclass(frozen=True, slots=True)
class Columns:
    """What a reader found: content by field, shape (items, ...), and the other parts as text, None where empty.

    ``rows`` says where each item stood ("line 7", a file's name); empty means by number, from 0. ``roles`` are the
    columns that play a part, by part, where the file names its columns.
    """

    origin: str
    content: dict[str, NDArray[Any]]
    text: dict[str, Text] = field(default_factory=dict)
    rows: tuple[str, ...] = ()
    roles: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    """What is to be said of how columns were read."""
    in_tables: bool = False
    """Whether the items of a folder are rows of its files, and not its files."""

    def where(self, row: int) -> str:
        """Return how to find an item in the file it came from."""
        return self.rows[row] if self.rows else f"row {row}"


def fit_floats(numbers: NDArray[Any]) -> bool:
    """Whether float64 holds each of these numbers, or texts of numbers, exactly: it does not all whole ones."""
    return numbers.dtype.kind == "f" or (
        numbers.dtype.kind in "iu" and bool((np.abs(numbers.astype(np.float64)) < 2.0**53).all())
    )


def too_long_beside_empty(where: str, name: str) -> BadInput:
    """Return the error for whole numbers that cannot become floats, which an empty place among them would need."""
    return BadInput(
        f"{where}: field '{name}' is empty, and other items have whole numbers of 2**53 and more, which no float "
        "holds exactly; fill it in, leave the field out (--fields), or save the numbers as text"
    )


def _alike(name: str, other: str) -> bool:
    """Whether two names of columns differ in case, spaces or quotes around them alone."""
    one, two = (normalize("NFKC", text).strip(" \t\"'\ufeff").casefold() for text in (name, other))
    return one == two


def _missing(origin: str, name: str, what: str, names: Iterable[str]) -> BadInput:
    return BadInput(f"{origin}: unknown column '{name}' for {what}; it has {_quoted(names)}")


def _quoted(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - _SHOWN:,} more" if len(listed) > _SHOWN else ""
    return ", ".join(f"'{name}'" if name.isprintable() else repr(name) for name in map(_brief, listed[:_SHOWN])) + more


def _brief(name: str) -> str:
    return name if len(name) <= _LETTERS else f"{name[:_LETTERS]}..."
