"""Writing the files of shards that are to be recorded, and then their facts, all at once."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

import numpy as np

from lineage.errors import BadInput
from lineage.formats.read import Intake
from lineage.git_ignored import ignore_data
from lineage.ledger.fact_kinds import FactBody, ShardFact
from lineage.plural import counted
from lineage.private_files import SourceFile
from lineage.records import Item, Shard, canonical
from lineage.shards.existing import known_shard, mend
from lineage.shards.files import live_shards, references_of, shard_rows, store_shard, undone_on_failure
from lineage.shards.in_place import InPlace
from lineage.shards.source_files import remember
from lineage.shards.validation.expectations import validate
from lineage.shards.validation.rules import Rules
from lineage.storage.manifest import read_digests
from lineage.workspace import Workspace

_SHOWN = 5
"""Fields that a line names; the rest is a count."""


@dataclass(frozen=True, slots=True)
class Added:
    """A shard that is recorded now.

    ``duplicates_within`` counts items whose bytes an earlier item of the shard has, ``duplicates_across`` items that
    the live shards in ``shared_with`` hold too. ``new`` is False if the very same shard was recorded before.
    ``validation`` is the digest of the object that tells what was checked. ``sources`` are the different sources of its
    items, where there are several, and ``in_place`` tells that they were not copied. ``notes`` say how columns were
    understood.
    """

    shard: Shard
    duplicates_within: int
    duplicates_across: int
    shared_with: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    validation: str | None = None
    new: bool = True
    sources: tuple[str, ...] = ()
    in_place: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """A shard that is to be recorded, with all that is known of its items."""

    shard: Shard
    intake: Intake
    items: tuple[Item, ...]
    digests: tuple[str, ...]
    place: InPlace | None
    source: SourceFile | None


def record_parts(
    workspace: Workspace,
    parts: Sequence[Part],
    *,
    rules: Rules | None,
    check: bool,
    dvc: bool | None,
    before: Callable[[], Sequence[FactBody]] = tuple,
) -> tuple[Added, ...]:
    """Write the files of what is not recorded yet, and then all the facts. The caller lets no one else add shards.

    ``before`` is done once nothing can be refused any more; its facts are appended in front.
    """
    live = live_shards(workspace)
    known = [known_shard(workspace, part.shard, part.items, live, part.intake.origin) for part in parts]
    _refuse_twins(parts)
    added, facts = list[Added](), list[ShardFact]()
    checked = [
        validate(_licensed(part), part.digests, shard=part.shard.digest, rules=rules) if check and not there else None
        for part, there in zip(parts, known, strict=True)
    ]
    twins, names = _in_several(parts), {part.shard.name for part in parts}
    with ExitStack() as undone:
        for part, there, validation in zip(parts, known, checked, strict=True):
            shard, report = there or part.shard, None
            if there is not None:
                mend(workspace, there, part.items, part.digests, part.intake, part.place)
            else:
                undone.enter_context(undone_on_failure(workspace, shard.digest))
            if part.source is not None:
                remember(workspace, shard.digest, part.source)
            within = len(part.digests) - len(set(part.digests))
            others = [other for other in live if other.name not in names]
            across, shared_with = _shared(workspace, part, others, twins)
            if there is None:
                ignore_data(workspace.root, home=workspace.home)
                shard = store_shard(
                    workspace, shard, part.items, part.digests, part.intake.content, dvc=dvc, place=part.place
                )
                report = workspace.objects.put(canonical(validation)) if validation else None
                facts.append(ShardFact(shard, {"within": within, "across": across}, report))
            warnings = (*_gaps(part.intake), *(validation.warnings if validation else ()))
            sources = tuple(sorted({item.source or "" for item in part.items}))
            lies = references_of(workspace, shard.digest) is not None
            added.append(
                Added(
                    shard, within, across, shared_with, warnings, report, new=there is None, in_place=lies,
                    sources=sources if len(sources) > 1 else (), notes=_notes(workspace, part, there),
                )
            )  # fmt: skip
        if said := (*before(), *facts):
            workspace.ledger.record(*said)
    return tuple(added)


def _gaps(intake: Intake) -> Iterator[str]:
    """Yield a line that says which numbers are NaN, and where floats are whole numbers that could be no integers."""
    gaps = [
        f"'{name}' of {counted(int(empty.sum()), 'item')}{' (its whole numbers are floats)' if whole else ''}"
        for name, array in intake.content.items()
        if array.dtype.kind == "f" and (empty := np.isnan(array.reshape(len(array), -1)).any(axis=1)).any()
        for whole in [array.ndim == 1 and bool((array[~empty] == np.round(array[~empty])).all())]
    ]
    if gaps:
        more = f" and {counted(len(gaps) - _SHOWN, 'more field')}" if len(gaps) > _SHOWN else ""
        yield f"empty among numbers, so NaN: {', '.join(gaps[:_SHOWN])}{more}"


def _notes(workspace: Workspace, part: Part, there: Shard | None) -> tuple[str, ...]:
    """Return how the columns of a part were understood, and whether the shard that is there understands them so."""
    if there is None or not part.intake.by_id or any(row.is_id for row in shard_rows(workspace, there.digest)):
        return part.intake.notes
    return ("its subjects were recorded as names, where case does not count, and stay so: it was there before",)


def _licensed(part: Part) -> Intake:
    return replace(part.intake, licenses=tuple(item.license for item in part.items))


def _refuse_twins(parts: Sequence[Part]) -> None:
    """Refuse parts of one file with the very same items: one of their manifests would be lost."""
    seen: dict[str, str] = {}
    for part in parts:
        if (other := seen.setdefault(part.shard.digest, part.shard.name)) != part.shard.name:
            raise BadInput(
                f"{part.intake.origin}: shards '{other}' and '{part.shard.name}' would hold the very same items; leave "
                "one of each pair of equal rows out, or name a field that tells them apart"
            )


def _in_several(parts: Sequence[Part]) -> dict[str, set[str]]:
    """Return the digests of items that lie in several parts of a file, with the names of these."""
    first: dict[str, str] = {}
    several: dict[str, set[str]] = {}
    for part in parts:
        for digest in part.digests:
            if (other := first.setdefault(digest, part.shard.name)) != part.shard.name:
                several.setdefault(digest, {other}).add(part.shard.name)
    return several


def _shared(
    workspace: Workspace, part: Part, others: Iterable[Shard], twins: Mapping[str, set[str]]
) -> tuple[int, tuple[str, ...]]:
    """Return how many items of a part other shards hold too, live or of the same file, and the names of those."""
    import pyarrow as pa
    import pyarrow.compute as pc

    mine = pa.array(part.digests, pa.string())
    names = set[str]().union(*(twins.get(digest, ()) for digest in part.digests)) - {part.shard.name}
    found = pa.array([digest in twins for digest in part.digests])
    for other in others:
        hit = pc.is_in(mine, value_set=pc.unique(read_digests(workspace.manifest_path(other.digest))))
        if pc.any(hit).as_py():
            names.add(other.name)
            found = pc.or_(found, hit)
    return int(pc.sum(found).as_py() or 0), tuple(sorted(names))
