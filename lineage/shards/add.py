"""Recording shards: reading items in, checking them, and writing their files and their fact.

A shard is a content file, a manifest and one fact, written in that order, so that a fact never names what is not there.
Where one file becomes several shards, their facts are appended at once: all of them are recorded, or none.
Files that a crash left behind without a fact are harmless: they are written again under the same digest.

>>> import tempfile
>>> from lineage.formats.read import from_arrays
>>> workspace = Workspace.init(Path(tempfile.mkdtemp()))
>>> added = add_items(workspace, from_arrays({"x": [5.0, 7.0, 7.0]}), name="numbers", check=False)
>>> added.shard.count, added.duplicates_within, sorted(shard_items(workspace, added.shard.digest)[1]["x"].tolist())
(3, 1, [5.0, 7.0, 7.0])

Decided here, with what it costs:

- Two live shards may hold the same items only if their manifests agree row by row: files are named by the shard's
  digest, and one of two manifests would be lost, with the persons in it.
- An item that was withdrawn by request is refused, whatever shard it comes back in, unless a named person lets it in
  (:mod:`lineage.shards.let_in`).
- A name belongs to one live shard; new content under it is refused, since components were trained on the old.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypedDict, Unpack

from lineage.activity import activity
from lineage.errors import BadInput
from lineage.formats.read import Intake, read_file
from lineage.perceptual_hash import THRESHOLDS, likenesses
from lineage.private_files import FileReading
from lineage.records import Item, Shard, is_unicode, shard_digest
from lineage.shards.divide import Division, divide
from lineage.shards.files import adding_alone, live_shards, shard_items, shard_rows
from lineage.shards.let_in import let_in as allow
from lineage.shards.let_in import withdrawn_rows
from lineage.shards.record import Added, Part, record_parts
from lineage.shards.returning import Returned, returned
from lineage.shards.source_files import Reading
from lineage.shards.validation.rules import Rules
from lineage.shards.values import value_digests
from lineage.storage.content import item_digests, item_sizes
from lineage.workspace import Workspace

__all__ = ["Added", "add_file", "add_items", "add_parts", "add_shard", "live_shards", "shard_items", "shard_rows"]

_SHOWN = 5
"""Rows named in an error; the rest is a count."""


class Terms(TypedDict, total=False):
    """What :func:`add_parts` takes beside the items, and :func:`add_file` hands on."""

    source: str | None
    license: str | None
    legal_basis: str | None
    core: bool
    check: bool
    rules: Rules | None
    dvc: bool | None
    likeness: str | None
    let_in: tuple[str, str] | None


class FileTerms(Terms, total=False):
    """What :func:`add_file` takes beside a file and a name; see :func:`.read_file`."""

    key: str | None
    subject: str | None
    source_column: str | None
    license_column: str | None
    fields: Sequence[str] | None
    by_id: bool | None
    encoding: str
    delimiter: str | None
    decimal: str | None
    missing: bool
    whole: bool
    in_place: bool


def add_shard(workspace: Workspace, path: Path | str, *, name: str, **terms: Unpack[FileTerms]) -> Added:
    """Read a file or folder and record it as one shard: see :func:`add_file`."""
    (added,) = add_file(workspace, path, name=name, **terms)
    return added


def add_file(
    workspace: Workspace,
    path: Path | str,
    *,
    name: str,
    division: Division | None = None,
    key: str | None = None,
    subject: str | None = None,
    source_column: str | None = None,
    license_column: str | None = None,
    fields: Sequence[str] | None = None,
    by_id: bool | None = None,
    encoding: str = "utf-8",
    delimiter: str | None = None,
    decimal: str | None = None,
    missing: bool = False,
    whole: bool = False,
    in_place: bool = False,
    **terms: Unpack[Terms],
) -> tuple[Added, ...]:
    """Read a file or folder and record it as a shard, or as those of a ``division``: all of them, or none.

    ``whole`` takes the files of a folder as their bytes, ``in_place`` records where the items lie and copies no content
    (:mod:`lineage.shards.in_place`). See :func:`.read_file`, :func:`.divide` and :func:`add_parts`.
    """
    if in_place and terms.get("dvc"):
        raise BadInput(f"{path}: recorded in place, so there is no content to track; leave --dvc or --in-place out")
    if division is not None:
        division = division.settled(key=key, subject=subject, source=source_column, license=license_column)
    with activity(f"reading {path}"):
        intake = read_file(
            path,
            key=key,
            subject=subject,
            source=source_column,
            license=license_column,
            fields=fields,
            by=division.column if division else None,
            by_id=by_id,
            encoding=encoding,
            delimiter=delimiter,
            decimal=decimal,
            missing=missing,
            whole=whole,
            in_place=in_place,
        )
    parts = {name: intake}
    if division is not None:
        source, license = terms.get("source"), terms.get("license")
        parts = divide(workspace, intake, division, name=name, source=source, license=license)
    how = FileReading({}, encoding, whole, delimiter, decimal, missing)
    reading = Reading(Path(path), how, in_place)
    return add_parts(workspace, parts, reading=reading, **terms)


def add_items(workspace: Workspace, intake: Intake, *, name: str, **terms: Unpack[Terms]) -> Added:
    """Record items as a shard: see :func:`add_parts`."""
    (added,) = add_parts(workspace, {name: intake}, **terms)
    return added


@activity("hashing and recording items")
def add_parts(
    workspace: Workspace,
    parts: Mapping[str, Intake],
    *,
    source: str | None = None,
    license: str | None = None,
    legal_basis: str | None = None,
    core: bool = False,
    check: bool = True,
    rules: Rules | None = None,
    dvc: bool | None = None,
    likeness: str | None = None,
    let_in: tuple[str, str] | None = None,
    reading: Reading | None = None,
) -> tuple[Added, ...]:
    """Record items as shards, by name: content and manifest of each, then their facts at once.

    ``source`` and ``license`` hold for items without their own. ``core`` declares the items not removable, on
    ``legal_basis``. ``check`` holds them to :mod:`lineage.shards.validation.expectations` with ``rules``. ``dvc`` None
    tracks the content when the workspace is a DVC repository, False never, True demands it. ``likeness`` is
    ``image:FIELD`` or ``text:FIELD``: near-duplicates of each item are then known by a hash of that field, see
    :mod:`lineage.perceptual_hash`. ``let_in`` is who lets items in that were withdrawn, and why. ``reading`` says from
    which file or folder they were read, and how: a removal says whether it is still there.

    Raises ``BadInput`` and ``ExpectationsFailed``; nothing is recorded then, and no file is left.
    """
    _check_words(source=source, license=license, legal_basis=legal_basis)
    made, back = [], list[tuple[Shard, list[Item]]]()
    for name, intake in parts.items():
        _check_terms(name, legal_basis, core=core)
        items, digests = _items(workspace, intake, source=source, license=license, likeness=likeness)
        shard = Shard(
            digest=shard_digest(digests),
            name=name,
            source=source or _common(item.source for item in items),
            license=license or _common(item.license for item in items),
            legal_basis=legal_basis,
            count=len(items),
            core=core,
            fields=tuple(intake.content),
        )
        workspace.require_marks()
        if rows := withdrawn_rows(workspace, items, value_digests(intake.content)):
            if let_in is None:
                raise _withdrawn(intake, rows)
        again = returned(workspace, items)
        if rows := sorted({*rows, *again.rows} if let_in else ()):
            back.append((shard, [items[row] for row in rows]))
        place = reading.place(intake) if reading is not None else None
        intake = intake if let_in else replace(intake, notes=(*intake.notes, *_noted(intake, again)))
        source_file = reading.source(place, intake, digests) if reading else None
        made.append(Part(shard, intake, items, digests, place, source_file))
    with adding_alone(workspace):
        by, because = let_in or ("", "")
        return record_parts(
            workspace, made, rules=rules, check=check, dvc=dvc,
            before=lambda: [allow(workspace, shard, rows, by=by, because=because) for shard, rows in back],
        )  # fmt: skip


def _items(
    workspace: Workspace, intake: Intake, *, source: str | None, license: str | None, likeness: str | None
) -> tuple[tuple[Item, ...], tuple[str, ...]]:
    """Return manifest rows and digests in the order the items came, persons turned into pseudonyms."""
    digests = item_digests(intake.content)
    alike = _likenesses(intake, likeness) if likeness is not None else (None,) * len(digests)
    people = set(intake.subjects) - {None}
    pseudonyms = {who: workspace.pseudonym(who) for who in people if who is not None}
    written = {who: workspace.private.written(who, is_id=intake.by_id) for who in people if who is not None}
    items = tuple(
        Item(
            digest=digest,
            key=intake.keys[row],
            subject=None if (who := intake.subjects[row]) is None else pseudonyms[who],
            source=intake.sources[row] or source,
            license=intake.licenses[row] or license,
            n_bytes=size,
            likeness=alike[row],
            written=None if who is None else written[who],
        )
        for row, (digest, size) in enumerate(zip(digests, item_sizes(intake.content), strict=True))
    )
    return items, digests


def _likenesses(intake: Intake, likeness: str) -> tuple[str | None, ...]:
    """Return what each item is like; ``BadInput`` for a field that is not there or not of that kind."""
    kind, _, field = likeness.partition(":")
    if kind not in THRESHOLDS or not field:
        raise BadInput(f"invalid likeness {likeness[:40]!r}: use image:FIELD or text:FIELD")
    if field not in intake.content:
        raise BadInput(
            f"{intake.origin}: has no field {field[:40]!r} for a likeness; it has {', '.join(intake.content)}"
        )
    try:
        return likenesses(kind, field, intake.content[field])
    except BadInput as problem:
        raise BadInput(f"{intake.origin}: {problem}") from problem


def _check_terms(name: str, legal_basis: str | None, *, core: bool) -> None:
    if not name or name != name.strip() or not name.isprintable() or len(name) > 200:  # a name is one short line
        raise BadInput(f"shard name {name[:40]!r}: give up to 200 printable characters without space around them")
    if len(name) == 64 and not set(name) - set("0123456789abcdef"):
        raise BadInput(f"shard name '{name}': reads as a digest; give a name that says what the shard is")
    if core and not legal_basis:
        raise BadInput(f"shard '{name}': a core needs a legal basis, such as 'public domain' (--legal-basis)")


def _check_words(**given: str | None) -> None:
    for term, words in given.items():
        if words is not None and not is_unicode(words):
            raise BadInput(f"the {term.replace('_', ' ')} {words[:40]!r} is not Unicode; write it in UTF-8")


def _withdrawn(intake: Intake, rows: Sequence[int]) -> BadInput:
    """Return the error for rows whose items were withdrawn; whose they were then, the list does not know."""
    shown = _shown(intake, rows)
    noun = "item was" if len(rows) == 1 else "items were"
    return BadInput(
        f"{intake.origin}: {len(rows)} {noun} withdrawn by request; remove them: {shown}; if they are another person's "
        "equal rows, or consented to anew, a named person lets them in (--let-in NAME --reason WHY)"
    )


def _noted(intake: Intake, again: Returned) -> Iterator[str]:
    """Yield a line that says which rows come back, if any do."""
    if again.rows:
        yield (
            f"{again.words} by an earlier request: {_shown(intake, again.rows)}; the audit will say so until they are "
            "removed, or a named person lets them in (--let-in NAME --reason WHY)"
        )


def _shown(intake: Intake, rows: Sequence[int]) -> str:
    return ", ".join(intake.rows[row] for row in rows[:_SHOWN]) + (", ..." if len(rows) > _SHOWN else "")


def _common(values: Iterable[str | None]) -> str | None:
    """Return the one value that all items share, if there is one."""
    distinct = set(values)
    return distinct.pop() if len(distinct) == 1 else None
