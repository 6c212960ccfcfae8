"""Looking for what was removed, in every store a workspace has, and in its folder: contents, objects, DVC, MLflow.

Looks and changes nothing, names no item. It is run before a purge too: a search that finds nothing then could not have
found anything, and :mod:`disgorge.evidence.probes.residue`, which judges, lets it prove nothing.

What a live component or shard still needs is not looked for; it was never to be deleted. But it has to be what its name
says, or old weights could lie there under a new name. Not reached: git history, backups, clones and third parties; what
cannot be read as data is named (:mod:`disgorge.examination.coverage`).
"""

import re
import time
from collections.abc import Callable, Collection
from pathlib import Path

from disgorge.evidence.checks import Near, ResidueCase
from disgorge.locations import mlflow_search as mlflow_traces
from disgorge.locations.dvc_hashes import dvc_hashes
from disgorge.locations.filesystem import is_of_a_report, shown, sweep
from disgorge.locations.fingerprints import holds_any
from disgorge.locations.references import needs_of
from disgorge.locations.target import Sought
from disgorge.tracking.registered import touched
from disgorge.training.sandbox.inputs import stages_of
from lineage.activity import activity
from lineage.dvc import forget as forget_dvc
from lineage.storage.objects import sha256_of
from lineage.workspace import Workspace

SETTLED_SECONDS = 60.0
"""Age after which a file written aside, or an object that no fact names, belongs to no writer any more."""
_DIGEST = re.compile(rb"[0-9a-f]{64}")
"""A SHA-256 as texts spell it."""
_STORED = re.compile(r"[0-9a-f]{30}")
"""The last of an MD5, of which DVC makes a folder and a file."""


@activity("searching for what is left of the removed data")
def search(
    workspace: Workspace,
    *,
    shards: Collection[str],
    objects: Collection[str],
    item_digests: Collection[str],
    tensors: Collection[str] = (),
) -> mlflow_traces.Searched:
    """Look for shards, weights, withdrawn items and, by digest, tensors of the weights in every store.

    What could not be looked into stands in ``blind``; reading the ledger may raise.
    """
    needs = needs_of(workspace)
    items = frozenset(item_digests)
    gone = [digest for digest in unique(shards) if digest not in needs.shards]
    weights = {digest for digest in objects if digest not in needs.objects}
    hashes = dvc_hashes(workspace, shards=gone, objects=sorted(weights))
    sought = Sought(frozenset(weights), items, frozenset(tensors))
    tracked = forget_dvc.search(
        workspace.root, hashes.erased, items, made=hashes.made, live=hashes.live, trace=sought.trace_in
    )
    looked = mlflow_traces.Searched(tracked.found, tracked.places, tracked.blind, tracked.unread)
    for digest in gone:
        for path in (workspace.manifest_path(digest), workspace.content_path(digest)):
            looked.places += 1
            looked.found += [f"{path.relative_to(workspace.root).as_posix()} is there"] * path.is_file()
    for path in tables_of(workspace):
        looked.places += 1
        named = path.stem in gone and path in (workspace.manifest_path(path.stem), workspace.content_path(path.stem))
        if not named and forget_dvc.holds(path, items):
            looked.found.append(f"{path.relative_to(workspace.root).as_posix()} holds withdrawn items")
    for digest in workspace.objects.digests():
        looked.places += 1
        if digest in needs.outlived:
            looked.found.append(f"object {digest} holds pictures by a model that learned from withdrawn items")
        elif digest in weights:
            looked.found.append(f"object {digest} is there")
        elif _text_names(workspace.objects.path(digest), items):
            looked.found.append(f"object {digest} names withdrawn items")
        elif sha256_of(workspace.objects.path(digest)) != digest:
            looked.found.append(f"object {digest} is not what its name says")
        elif digest not in needs.objects and holds_any(workspace.objects.path(digest), tensors):
            looked.found.append(f"object {digest} holds removed weights under another name")
    looked.blind += _unsettled(workspace)
    artifacts = mlflow_traces.search(workspace.root, wanted_of(workspace, weights, items, tensors, shards=gone))
    looked.places += artifacts.places
    looked.found += artifacts.found
    looked.blind += artifacts.blind
    looked.registered = artifacts.registered
    swept = sweep(workspace, sought)
    looked.places += swept.places
    looked.found += [f"{shown(path, workspace)} {words}" for path, words in swept.found.items()]
    looked.found = list(unique(looked.found))
    unread = (path for path in (*swept.unread, *artifacts.unread, *looked.unread) if not is_of_a_report(path))
    looked.unread = sorted(dict.fromkeys(path.absolute() for path in unread), key=_is_hash)
    return looked


def wanted_of(
    workspace: Workspace,
    weights: Collection[str],
    items: Collection[str],
    tensors: Collection[str] = (),
    *,
    shards: Collection[str] = (),
) -> mlflow_traces.Wanted:
    """Return what MLflow is to be asked for: weights, items, and each composition that had one of these weights.

    Also what a registered model may name of it; ``shards`` are those that go.
    """
    gone, facts = frozenset(weights), list(workspace.ledger.facts())
    state = workspace.ledger.state()
    composed = {
        each.digest for each in state.compositions.values() if any(member.component in gone for member in each.members)
    }
    return mlflow_traces.Wanted(
        gone,
        frozenset(items),
        frozenset(composed),
        frozenset(tensors),
        frozenset(state.compositions),
        touched(state, facts, components=gone, shards=shards),
    )


def case_after(
    workspace: Workspace,
    request: str,
    *,
    found_before: int,
    shards: Collection[str],
    objects: Collection[str],
    item_digests: Collection[str],
    tensors: Collection[str] = (),
    near: Callable[[], Near] = lambda: Near(0),
    recognized: int = 0,
    sources: Collection[str] = (),
) -> ResidueCase:
    """Search again after a purge; ``found_before`` is how much :func:`search` found before it.

    ``near`` looks for near-duplicates, ``recognized`` is how many removed items that found before. ``sources`` says
    which files that shards were read from are still there.
    """
    start = time.perf_counter()
    looked = search(workspace, shards=shards, objects=objects, item_digests=item_digests, tensors=tensors)
    alike = near()
    return ResidueCase(
        request=request,
        before=found_before,
        left=tuple(looked.found),
        places=looked.places,
        blind=tuple(looked.blind),
        seconds=time.perf_counter() - start,
        items=len(item_digests),
        near=alike,
        recognized=recognized,
        unread=tuple(shown(path, workspace) for path in looked.unread),
        sources=tuple(sources),
        registered=None if looked.registered is None else tuple(map(str, looked.registered)),
    )


def tables_of(workspace: Workspace) -> list[Path]:
    """Return every manifest and content there is, live or not, and the copies that a killed re-execution left."""
    folders = (workspace.home / "manifests", workspace.root / "shards")
    copies = (path for stage in stages_of(workspace) for path in stage.rglob("*.parquet"))
    return sorted([*(path for folder in folders for path in folder.glob("*.parquet")), *copies])


def unnamed(workspace: Workspace) -> list[Path]:
    """Return the objects that are no text and that no fact names, nor a text that a fact names."""
    named = {digest.decode() for digest in _DIGEST.findall((workspace.home / "ledger.jsonl").read_bytes())}
    paths = {digest: workspace.objects.path(digest) for digest in workspace.objects.digests()}
    texts = {digest for digest, path in paths.items() if is_text(path)}
    named |= {found.decode() for digest in texts & named for found in _DIGEST.findall(paths[digest].read_bytes())}
    return [path for digest, path in paths.items() if digest not in texts | named]


def _unsettled(workspace: Workspace) -> list[str]:
    """Say which objects nobody has recorded and a purge spares, because a training may be about to record them."""
    youngest = time.time() - SETTLED_SECONDS
    young = (path for path in unnamed(workspace) if path.stat().st_mtime >= youngest)
    return [
        f"object {path.name} was written less than a minute ago and nobody recorded it yet, so nobody knows what is in "
        f"it; let the training that wrote it end, or wait a minute"
        for path in young
    ]


def _is_hash(path: Path) -> bool:
    """Whether a file is called as DVC calls what it stores, which tells a reader less than a name somebody gave."""
    return _STORED.fullmatch(path.name) is not None


def is_text(path: Path) -> bool:
    """Whether an object is JSON: weights are none."""
    with path.open("rb") as file:
        return file.read(1) in (b"{", b"[")


def _text_names(path: Path, items: frozenset[str]) -> bool:
    """Whether an object is a JSON text that names one of these items. Weights are no text and are not read."""
    return is_text(path) and any(found.decode() in items for found in _DIGEST.findall(path.read_bytes()))


def unique(digests: Collection[str]) -> tuple[str, ...]:
    """Return digests once each, in their order."""
    return tuple(dict.fromkeys(digests))
