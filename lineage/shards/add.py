"""Recording shards: reading items in, checking them, and writing their files and their fact.

A shard is a content file, a manifest and one fact, written in that order, so that a fact never names what is not there.
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
- An item that was withdrawn by request is refused, whatever shard it comes back in.
- A name belongs to one live shard; new content under it is refused, since components were trained on the old.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Required, TypedDict, Unpack

from lineage.activity import activity
from lineage.errors import BadInput
from lineage.formats.read import Intake, read_file
from lineage.git_ignored import ignore_data
from lineage.ledger.fact_kinds import ShardFact
from lineage.perceptual_hash import THRESHOLDS, likenesses
from lineage.records import Item, Shard, canonical, is_unicode, shard_digest
from lineage.shards.existing import known_shard, mend
from lineage.shards.expectations import validate
from lineage.shards.files import adding_alone, live_shards, shard_items, shard_rows, store_shard, undone_on_failure
from lineage.shards.source_files import remember, source_at
from lineage.shards.validation_rules import Rules
from lineage.storage.content import item_digests, item_sizes
from lineage.storage.manifest import read_digests
from lineage.workspace import Workspace

__all__ = ["Added", "add_items", "add_shard", "live_shards", "shard_items", "shard_rows"]

_SHOWN = 5
"""Rows named in an error; the rest is a count."""


@dataclass(frozen=True, slots=True)
class Added:
    """A shard that is recorded now.

    ``duplicates_within`` counts items whose bytes an earlier item of the shard has, ``duplicates_across`` items that
    the live shards in ``shared_with`` hold too. ``new`` is False if the very same shard was recorded before.
    ``validation`` is the digest of the object that tells what was checked.
    """

    shard: Shard
    duplicates_within: int
    duplicates_across: int
    shared_with: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    validation: str | None = None
    new: bool = True


class Terms(TypedDict, total=False):
    """What :func:`add_items` takes beside the items, and :func:`add_shard` hands on."""

    name: Required[str]
    source: str | None
    license: str | None
    legal_basis: str | None
    core: bool
    check: bool
    rules: Rules | None
    dvc: bool | None
    likeness: str | None


def add_shard(
    workspace: Workspace,
    path: Path | str,
    *,
    key: str | None = None,
    subject: str | None = None,
    source_column: str | None = None,
    license_column: str | None = None,
    fields: Sequence[str] | None = None,
    encoding: str = "utf-8",
    **terms: Unpack[Terms],
) -> Added:
    """Read a file or folder and record it as a shard; see :func:`.read_file` and :func:`add_items`."""
    with activity(f"reading {path}"):
        intake = read_file(
            path,
            key=key,
            subject=subject,
            source=source_column,
            license=license_column,
            fields=fields,
            encoding=encoding,
        )
    return add_items(workspace, intake, read_from=Path(path), **terms)


@activity("hashing and recording items")
def add_items(
    workspace: Workspace,
    intake: Intake,
    *,
    name: str,
    source: str | None = None,
    license: str | None = None,
    legal_basis: str | None = None,
    core: bool = False,
    check: bool = True,
    rules: Rules | None = None,
    dvc: bool | None = None,
    likeness: str | None = None,
    read_from: Path | None = None,
) -> Added:
    """Record items as a shard: content, manifest, then one fact.

    ``source`` and ``license`` hold for items without their own. ``core`` declares the items not removable, on
    ``legal_basis``. ``check`` holds them to :mod:`lineage.shards.expectations` with ``rules``. ``dvc`` None tracks the
    content when the workspace is a DVC repository, False never, True demands it. ``likeness`` is ``image:FIELD`` or
    ``text:FIELD``: near-duplicates of each item are then known by a hash of that field, see
    :mod:`lineage.perceptual_hash`. ``read_from`` is the file or folder they were read from: a removal says whether it
    is still there.

    Raises ``BadInput`` and ``ExpectationsFailed``; nothing is recorded then, and no file is left.
    """
    # Long: twelve arguments with what each means, then one way from the items to their fact.
    _check_terms(name, legal_basis, core=core)
    _check_words(source=source, license=license, legal_basis=legal_basis)
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
    _refuse_withdrawn(workspace, intake, digests)
    checked = replace(intake, licenses=tuple(item.license for item in items))
    place = source_at(read_from) if read_from is not None else None
    with adding_alone(workspace):
        live = live_shards(workspace)
        known = known_shard(workspace, shard, items, live, intake.origin)
        if known is not None:
            mend(workspace, known, items, digests, intake)
        within = len(digests) - len(set(digests))
        across, shared_with = _shared(workspace, digests, [other for other in live if other.name != name])
        if known is not None:
            if place is not None:
                remember(workspace, shard.digest, place)
            return Added(known, within, across, shared_with, new=False)
        validation = validate(checked, digests, shard=shard.digest, rules=rules) if check else None
        with undone_on_failure(workspace, shard.digest):
            if place is not None:
                remember(workspace, shard.digest, place)
            ignore_data(workspace.root, home=workspace.home)
            shard = store_shard(workspace, shard, items, digests, intake.content, dvc=dvc)
            report = workspace.objects.put(canonical(validation)) if validation else None
            duplicates = {"within": within, "across": across}
            workspace.ledger.record(ShardFact(shard, duplicates, report))
    return Added(shard, within, across, shared_with, validation.warnings if validation else (), report)


def _items(
    workspace: Workspace, intake: Intake, *, source: str | None, license: str | None, likeness: str | None
) -> tuple[tuple[Item, ...], tuple[str, ...]]:
    """Return manifest rows and digests in the order the items came, persons turned into pseudonyms."""
    digests = item_digests(intake.content)
    alike = _likenesses(intake, likeness) if likeness is not None else (None,) * len(digests)
    pseudonyms = {who: workspace.pseudonym(who) for who in set(intake.subjects) if who is not None}
    items = tuple(
        Item(
            digest=digest,
            key=intake.keys[row],
            subject=None if (who := intake.subjects[row]) is None else pseudonyms[who],
            source=intake.sources[row] or source,
            license=intake.licenses[row] or license,
            n_bytes=size,
            likeness=alike[row],
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


def _refuse_withdrawn(workspace: Workspace, intake: Intake, digests: Sequence[str]) -> None:
    workspace.require_marks()
    back = [intake.rows[row] for row, digest in enumerate(digests) if workspace.private.is_withdrawn(digest)]
    if back:
        shown = ", ".join(back[:_SHOWN]) + (", ..." if len(back) > _SHOWN else "")
        noun = "item was" if len(back) == 1 else "items were"
        raise BadInput(f"{intake.origin}: {len(back)} {noun} withdrawn by request; remove them: {shown}")


def _shared(workspace: Workspace, digests: Sequence[str], others: Iterable[Shard]) -> tuple[int, tuple[str, ...]]:
    """Return how many of these items other live shards hold too, and the names of those shards."""
    import pyarrow as pa
    import pyarrow.compute as pc

    mine = pa.array(digests, pa.string())
    found = pa.array([False] * len(digests))
    names = []
    for other in others:
        hit = pc.is_in(mine, value_set=pc.unique(read_digests(workspace.manifest_path(other.digest))))
        if pc.any(hit).as_py():
            names.append(other.name)
            found = pc.or_(found, hit)
    return int(pc.sum(found).as_py() or 0), tuple(sorted(names))


def _common(values: Iterable[str | None]) -> str | None:
    """Return the one value that all items share, if there is one."""
    distinct = set(values)
    return distinct.pop() if len(distinct) == 1 else None
