"""The physical end: old weights and withdrawn items are deleted, and then looked for.

Deletes what it is told to and nothing that something live still needs: an object is named by its bytes, so a retained
component elsewhere may rest on the very same one. :func:`purge_plan` says every path first.

The residue check is a search, and a search that finds nothing shows nothing unless it could have found something: the
same search is run before the purge and has to find what is there then.

Not reached, and said each time: git history, backups, clones and third parties, and the files that shards were once
read from. The ledger keeps digests of shards, which are over many items, and never of items; but a request that
*selects* by an item's digest has written that digest down.
"""

import re
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from disgorge.evidence import Check, Control, Verdict
from lineage import forget_dvc
from lineage.from_dvc import root_of
from lineage.ledger import Ledger
from lineage.objects import sha256_of
from lineage.shards import adding_alone
from lineage.state import state_of

_SETTLED_SECONDS = 60.0
"""Age after which a file written aside belongs to no writer any more: writers take seconds, and touch it as they go."""
_SHOWN = 20
"""Places a check names; the rest is counted."""
_DIGEST = re.compile(rb"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class PurgeList:
    """What a purge is going to delete: shards and objects by digest, every file there is of them, DVC's hashes.

    ``kept`` says in words what is not deleted although it was asked for, because something live needs it.
    """

    shards: tuple[str, ...]
    objects: tuple[str, ...]
    files: tuple[Path, ...]
    hashes: tuple[str, ...]
    kept: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Purged:
    """What was deleted, what was kept because something live needs it, and what is left elsewhere; in words."""

    deleted: tuple[str, ...]
    kept: tuple[str, ...]
    residuals: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Needs:
    """What must not be deleted: digest to who needs it."""

    shards: dict[str, str] = field(default_factory=dict)
    objects: dict[str, str] = field(default_factory=dict)
    served: dict[str, str] = field(default_factory=dict)
    """Retired components that a live release serves all the same: not deleted, yet a residue."""


def purge_plan(
    ledger: Ledger, *, shards: Collection[str], objects: Collection[str], item_digests: Collection[str] = ()
) -> PurgeList:
    """Return what :func:`purge` would delete. Reads only; raises what reading the ledger raises.

    ``item_digests`` are withdrawn items: a manifest or content that holds one and is of no live shard was left by a
    writer that was killed, and goes too.
    """
    needs = _needs(ledger)
    kept = [f"shard {digest} is kept: {needs.shards[digest]}" for digest in _unique(shards) if digest in needs.shards]
    needed = needs.served | needs.objects
    kept += [f"object {digest} is kept: {needed[digest]}" for digest in _unique(objects) if digest in needed]
    going = tuple(digest for digest in _unique(shards) if digest not in needs.shards)
    weights = tuple(digest for digest in _unique(objects) if digest not in needed)
    files = [path for digest in going for path in (ledger.manifest_path(digest), ledger.content_path(digest))]
    files += [ledger.objects.path(digest) for digest in weights]
    strays = [path for path in _tables(ledger) if path.stem not in needs.shards]
    files += [path for path in strays if path not in files and forget_dvc.holds(path, frozenset(item_digests))]
    files += [*ledger.home.glob("catalog-*"), *_left_aside(ledger), *_strays(ledger)]
    return PurgeList(
        going, weights, tuple(path for path in files if path.is_file()), _hashes(ledger, going), tuple(kept)
    )


def purge(
    ledger: Ledger, *, shards: Collection[str], objects: Collection[str], item_digests: Collection[str] = ()
) -> Purged:
    """Delete manifests, contents, weights, projections and what DVC keeps. Doing it twice is doing it once.

    Nobody adds a shard meanwhile, so whatever lies written aside there was left by somebody who was killed.
    """
    with adding_alone(ledger):
        return _purge(ledger, purge_plan(ledger, shards=shards, objects=objects, item_digests=item_digests))


def _purge(ledger: Ledger, listed: PurgeList) -> Purged:
    forgotten = forget_dvc.forget(ledger.workspace, listed.hashes)
    deleted, residuals = list(forgotten.deleted), list(forgotten.left)
    for path in listed.files:
        name = path.relative_to(ledger.workspace).as_posix()
        try:
            path.unlink(missing_ok=True)
            deleted.append(name)
        except OSError as problem:
            residuals.append(f"{name} could not be deleted ({problem.strerror}); check its permissions and repeat")
    residuals.append("the files shards were read from, backups and copies elsewhere were not searched")
    if root_of(ledger.workspace) is not None:
        residuals.append("DVC's own index outside the workspace may keep hashes, not bytes, of what it tracked")
    if any((folder / ".git").exists() for folder in (ledger.workspace, *ledger.workspace.parents)):
        residuals.append("git history keeps what was committed: names and hashes, and bytes where they were committed")
    return Purged(tuple(deleted), listed.kept, tuple(residuals))


def residue_before(
    ledger: Ledger, *, shards: Collection[str], objects: Collection[str], item_digests: Collection[str]
) -> int:
    """Return how many traces the search finds before the purge: the positive control of :func:`residue`."""
    return len(_search(ledger, shards=shards, objects=objects, items=frozenset(item_digests)).found)


def residue(
    ledger: Ledger,
    *,
    shards: Collection[str],
    objects: Collection[str],
    item_digests: Collection[str],
    found_before: int,
    subject: str,
) -> Check:
    """Return whether a trace of what was purged is left in any store this workspace has.

    ``found_before`` is what :func:`residue_before` found. Inconclusive if that was nothing, or if a store could not be
    looked into. What a live component or shard still needs is not looked for; it was never to be deleted.
    """
    start = time.perf_counter()
    looked = _search(ledger, shards=shards, objects=objects, items=frozenset(item_digests))
    control = Control(
        "positive", "the same search, before the purge, finds what is there", found_before, found_before > 0
    )
    if looked.found:
        verdict, answer = Verdict.FAIL, f"{len(looked.found)} traces of what was removed are left"
    elif looked.blind:
        verdict, answer = Verdict.INCONCLUSIVE, f"not every place could be searched: {'; '.join(looked.blind)}"
    elif not control.held:
        verdict, answer = Verdict.INCONCLUSIVE, "the search found nothing before the purge either, so it shows nothing"
    else:
        verdict, answer = Verdict.PASS, "nothing of what was removed is left in the places searched"
    return Check(
        name="residue",
        subject=subject,
        question="Is anything of the removed data, or of the weights that learned from it, left in storage?",
        answer=answer,
        value=len(looked.found),
        threshold=0,
        n=looked.places,
        verdict=verdict,
        controls=(control,),
        seconds=time.perf_counter() - start,
        detail={"left": looked.found[:_SHOWN], "not searched": looked.blind},
    )


def _search(
    ledger: Ledger, *, shards: Collection[str], objects: Collection[str], items: frozenset[str]
) -> forget_dvc.Looked:
    """Look for shards, weights and items in every store; names no item."""
    needs = _needs(ledger)
    gone = [digest for digest in _unique(shards) if digest not in needs.shards]
    weights = {digest for digest in objects if digest not in needs.objects}
    looked = forget_dvc.search(ledger.workspace, _hashes(ledger, gone), items)
    for digest in gone:
        for path in (ledger.manifest_path(digest), ledger.content_path(digest)):
            looked.places += 1
            looked.found += [f"{path.relative_to(ledger.workspace).as_posix()} is there"] * path.is_file()
    for path in _tables(ledger):
        looked.places += 1
        if path.stem not in gone and forget_dvc.holds(path, items):
            looked.found.append(f"{path.relative_to(ledger.workspace).as_posix()} holds withdrawn items")
    for digest in ledger.objects.digests():
        looked.places += 1
        if digest in weights:
            looked.found.append(f"object {digest} is there")
        elif _names(ledger.objects.path(digest), items):
            looked.found.append(f"object {digest} names withdrawn items")
    for path in sorted((ledger.workspace / "mlartifacts").rglob("*")):
        if path.is_file():
            looked.places += 1
            looked.found += [f"MLflow artifact {path.name} is one of the weights"] * (sha256_of(path) in weights)
    return looked


def _needs(ledger: Ledger) -> _Needs:
    facts = list(ledger.facts())
    state = state_of(facts)
    needs = _Needs()
    for shard in state.shards.values():
        if shard.live:
            needs.shards[shard.record.digest] = f"it is live as {shard.record.name}"
    for component in state.components.values():
        if component.live:
            needs.objects[component.record.digest] = f"it is live as {component.record.name}"
    for release in state.releases.values():
        composition = state.compositions.get(release.record.composition)
        if release.live and composition is not None:
            for member in composition.members:
                needs.served[member.component] = f"release {release.record.name} serves it"
    for fact in facts:
        for kind in ("plan", "evidence", "examination", "validation"):
            if isinstance(digest := fact.body.get(kind), str):
                needs.objects[digest] = f"it records a {kind}"
    return needs


def _hashes(ledger: Ledger, shards: Collection[str]) -> tuple[str, ...]:
    """Return the MD5 hashes under which DVC may keep these shards: as recorded, and of the content as it lies there."""
    if root_of(ledger.workspace) is None:
        return ()
    wanted = frozenset(shards)
    entries = state_of(ledger.facts()).shards.values()
    recorded = [entry.record.dvc for entry in entries if entry.record.digest in wanted and entry.record.dvc]
    here = [forget_dvc.md5_of(path) for path in map(ledger.content_path, shards) if path.is_file()]
    return _unique([*recorded, *here])


def _tables(ledger: Ledger) -> list[Path]:
    """Return every manifest and content there is, live or not."""
    return sorted([*(ledger.home / "manifests").glob("*.parquet"), *(ledger.workspace / "shards").glob("*.parquet")])


def _left_aside(ledger: Ledger) -> Iterator[Path]:
    """Yield what killed writers left beside manifests, contents and objects: parts of what is to go, perhaps.

    Objects may be put at any time, by training that takes no turn: there only what is old is nobody's any more.
    """
    for folder in (ledger.home / "manifests", ledger.workspace / "shards"):
        yield from folder.rglob(".aside-*")
    now = time.time()
    for path in (ledger.home / "objects").rglob(".aside-*"):
        if now - path.stat().st_mtime > _SETTLED_SECONDS:
            yield path


def _strays(ledger: Ledger) -> list[Path]:
    """Return weights that no fact names, nor anything a fact names: of a training killed before it was recorded.

    Nobody knows what they learned from. Young ones may be about to be recorded by a training that takes no turn.
    """
    named = {digest.decode() for digest in _DIGEST.findall((ledger.home / "ledger.jsonl").read_bytes())}
    paths = {digest: ledger.objects.path(digest) for digest in ledger.objects.digests()}
    texts = {digest for digest, path in paths.items() if _is_text(path)}
    named |= {found.decode() for digest in texts & named for found in _DIGEST.findall(paths[digest].read_bytes())}
    oldest = time.time() - _SETTLED_SECONDS
    return [path for d, path in paths.items() if d not in texts | named and path.stat().st_mtime < oldest]


def _is_text(path: Path) -> bool:
    """Whether an object is JSON: weights are none."""
    with path.open("rb") as file:
        return file.read(1) in (b"{", b"[")


def _names(path: Path, items: frozenset[str]) -> bool:
    """Whether an object is a JSON text that names one of these items. Weights are no text and are not read."""
    return _is_text(path) and any(found.decode() in items for found in _DIGEST.findall(path.read_bytes()))


def _unique(digests: Collection[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(digests))
