r"""One file, several shards: one for each value of a column, or some number of them by a keyed hash of a value.

>>> import tempfile, pathlib
>>> from lineage.formats.read import from_arrays
>>> workspace = Workspace.init(pathlib.Path(tempfile.mkdtemp()))
>>> reviews = from_arrays({"x": [1, 2, 3]}, subjects=["Ann Lee", "bob", " ann  LEE"])
>>> parts = divide(workspace, reviews, Division("subject", into=4), name="reviews")
>>> sum(len(part) for part in parts.values())
3
>>> any({"Ann Lee", " ann  LEE"} <= set(part.subjects) for part in parts.values())
True

Rules kept here:

- an item is the same item, with the same digest, however its file is divided;
- by hash, one value lies in one shard, and in the one of the same number of every other file that is divided into as
  many: a file that comes later does not move what is there. The key is in ``private/``, so no number tells a name;
- values are hashed as persons' names are compared: a name in other letters or spaces is the same one. Ids that differ
  in these alone lie in one shard by hash, where each goes on being a person of its own;
- a shard's name stands in the ledger for good, so it is made of a value only where that names no person: of a subject
  or a key it is made of the keyed mark.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from lineage.errors import BadInput
from lineage.formats.read import Intake, rows_of
from lineage.workspace import Workspace

MOST_SHARDS = 1_000
"""Shards that one file is divided into unless the caller says otherwise."""
_MARK = 12
"""Letters of a keyed mark that a name is made of: two of a million persons share it once in 500 files."""
_MAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
PARTS = ("key", "subject", "source", "license")
"""What is known of every item, and may be divided by under this name whatever its column is called."""


@dataclass(frozen=True, slots=True)
class Division:
    """How a file is divided: ``by`` the values of a column or part, ``into`` a number of shards by hash.

    ``most`` is how many shards it may come to.
    """

    by: str
    into: int | None = None
    most: int = MOST_SHARDS

    def __post_init__(self) -> None:
        """Raise ``BadInput`` for a number that divides nothing."""
        if self.into is not None and not 2 <= self.into <= self.most:
            more = "; --most allows more" if self.into > self.most else ""
            raise BadInput(f"--into {self.into}: give a number of shards from 2 to {self.most:,}{more}")

    def settled(self, **columns: str | None) -> "Division":
        """Return it by the part that its column plays, where it plays one; ``columns`` are those named, by part."""
        return replace(self, by=next((part for part, column in columns.items() if column == self.by), self.by))

    @property
    def column(self) -> str | None:
        """The column to read for it; None where a part of every item says it."""
        return None if self.by in PARTS else self.by


def divide(
    workspace: Workspace,
    intake: Intake,
    division: Division,
    *,
    name: str,
    source: str | None = None,
    license: str | None = None,
) -> dict[str, Intake]:
    """Return the items of each shard to be, by its name, in the order of the names.

    ``source`` and ``license`` are those of items without their own. Raises ``BadInput`` for an item without a value,
    for too many values and for those that would share a name.
    """
    values = _values(intake, division.by, source, license)
    if None in values:
        empty = [row for row, value in enumerate(values) if value is None]
        raise BadInput(
            f"{intake.origin}: {intake.rows[empty[0]]} has no '{division.by}' to divide by ({len(empty):,} of "
            f"{len(values):,} items); fill it in, or leave these items out"
        )
    given = dict.fromkeys(value for value in values if value is not None)
    named = _numbered(workspace, given, division.into, name) if division.into else None
    if named is None:
        if len(given) > division.most:
            raise BadInput(
                f"{intake.origin}: '{division.by}' has {len(given):,} values, and at most {division.most:,} shards are "
                "made of one file; divide by hash (--into 8), or allow more (--most)"
            )
        keyed = division.by in ("subject", "key")
        by_id = division.by == "subject" and intake.by_id
        named = (
            _marked(workspace, given, name, by_id=by_id) if keyed else _spelled(given, name, division.by, intake.origin)
        )
    rows: dict[str, list[int]] = {}
    for row, value in enumerate(values):
        rows.setdefault(named[value or ""], []).append(row)
    return {called: rows_of(intake, rows[called]) for called in sorted(rows)}


def _values(intake: Intake, part: str, source: str | None, license: str | None) -> tuple[str | None, ...]:
    if intake.by is not None:
        return tuple(value or None for value in intake.by)
    values: dict[str, tuple[str | None, ...]] = {
        "key": intake.keys,
        "subject": intake.subjects,
        "source": tuple(value or source for value in intake.sources),
        "license": tuple(value or license for value in intake.licenses),
    }
    return values[part]


def _numbered(workspace: Workspace, values: Mapping[str, None], into: int, name: str) -> dict[str, str]:
    digits = len(str(into))
    numbers = {value: workspace.private.bucket(value, into) + 1 for value in values}
    return {value: f"{name}-{number:0{digits}}of{into}" for value, number in numbers.items()}


def _marked(workspace: Workspace, values: Mapping[str, None], name: str, *, by_id: bool) -> dict[str, str]:
    """Return names made of pseudonyms; ids that share one have a shard each, named by the mark of the id."""
    pseudonyms = {value: workspace.pseudonym(value) for value in values}
    shared = Counter(pseudonyms.values()) if by_id else Counter[str]()
    marks = {
        value: workspace.subject(value).partition(":")[2] if shared[pseudonym] > 1 else pseudonym
        for value, pseudonym in pseudonyms.items()
    }
    return {value: f"{name}-{mark[:_MARK]}" for value, mark in marks.items()}


def _spelled(values: Mapping[str, None], name: str, by: str, origin: str) -> dict[str, str]:
    """Return names made of values: letters, digits and ``_ . + -`` of them, so that they are safe in any pattern."""
    named = {value: re.sub(r"[^\w.+-]+", "-", unicodedata.normalize("NFC", value)).strip("-") for value in values}
    seen: dict[str, str] = {}
    for value, safe in named.items():
        shown = f"{value[:40]!r}"
        if _MAIL.fullmatch(value.strip()):
            raise BadInput(
                f"{origin}: '{by}' holds what reads as an e-mail address, and the names of shards stay in the ledger; "
                f"say that it names persons (--subject {by}), or divide by hash (--into 8)"
            )
        if not safe or len(safe) > 120:
            raise BadInput(
                f"{origin}: {shown} of '{by}' makes no name for a shard; give it a short word, or use --into"
            )
        if (other := seen.setdefault(safe, value)) != value:
            raise BadInput(
                f"{origin}: {other[:40]!r} and {shown} of '{by}' would both be shard '{name}-{safe}'; spell them "
                "alike, or tell them apart"
            )
    return {value: f"{name}-{safe}" for value, safe in named.items()}
