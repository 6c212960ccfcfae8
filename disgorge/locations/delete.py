"""The physical end: old weights and withdrawn items are deleted. :mod:`disgorge.locations.search` looks for them then.

Deletes what it is told to and nothing that something live still needs: an object is named by its bytes, so a retained
component elsewhere may rest on the very same one. :func:`purge_plan` says every path first.

Not reached, and said each time: git history, backups, clones and third parties, and the user's own files, those that
shards were once read from among them. The ledger keeps digests of shards, which are over many items, and never of
items; but a request that *selects* by an item's digest has written that digest down.
"""

import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from disgorge.errors import DisgorgeError
from disgorge.locations import mlflow_delete as mlflow_forget
from disgorge.locations.dvc_hashes import DvcHashes, dvc_hashes
from disgorge.locations.filesystem import shown, strays_of
from disgorge.locations.references import needs_of
from disgorge.locations.search import SETTLED_SECONDS, tables_of, unique, unnamed, wanted_of
from disgorge.locations.target import Sought
from lineage.activity import activity
from lineage.dvc import forget as forget_dvc
from lineage.dvc.repo import root_of
from lineage.errors import LineageError
from lineage.shards.add import adding_alone
from lineage.workspace import Workspace


@dataclass(frozen=True, slots=True)
class PurgeList:
    """What a purge is going to delete: shards and objects by digest, every file there is of them, DVC's hashes.

    ``kept`` says in words what is not deleted although it was asked for, because something live needs it.
    """

    shards: tuple[str, ...]
    objects: tuple[str, ...]
    files: tuple[Path, ...]
    hashes: DvcHashes
    kept: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Purged:
    """What was deleted, what was kept because something live needs it, and what is left elsewhere; in words."""

    deleted: tuple[str, ...]
    kept: tuple[str, ...]
    residuals: tuple[str, ...]


def purge_plan(
    workspace: Workspace,
    *,
    shards: Collection[str],
    objects: Collection[str],
    item_digests: Collection[str] = (),
    tensors: Collection[str] = (),
) -> PurgeList:
    """Return what :func:`purge` would delete. Reads only; raises what reading the ledger raises.

    ``item_digests`` are withdrawn items: a manifest or content that holds one and is of no live shard was left by a
    writer that was killed, and goes too. So do pictures that no report may show any more
    (:mod:`disgorge.locations.report_images`), and what lies among manifests, contents and objects under a name of
    nothing that belongs there, and holds one, or one of ``tensors``.
    """
    needs = needs_of(workspace)
    kept = [f"shard {digest} is kept: {needs.shards[digest]}" for digest in unique(shards) if digest in needs.shards]
    needed = needs.served | needs.objects
    kept += [f"object {digest} is kept: {needed[digest]}" for digest in unique(objects) if digest in needed]
    going = tuple(digest for digest in unique(shards) if digest not in needs.shards)
    weights = tuple(digest for digest in unique(objects) if digest not in needed)
    files = [path for digest in going for path in (workspace.manifest_path(digest), workspace.content_path(digest))]
    files += [workspace.objects.path(digest) for digest in (*weights, *sorted(needs.outlived - needed.keys()))]
    strays = [path for path in tables_of(workspace) if path.stem not in needs.shards]
    files += [path for path in strays if path not in files and forget_dvc.holds(path, frozenset(item_digests))]
    files += strays_of(workspace, Sought(frozenset(weights), frozenset(item_digests), frozenset(tensors)))
    files += [*workspace.home.glob("catalog-*"), *_left_aside(workspace), *_strays(workspace)]
    hashes = dvc_hashes(workspace, shards=going, objects=weights)
    there = tuple(path for path in dict.fromkeys(files) if path.is_file())
    return PurgeList(going, weights, there, hashes, tuple(kept))


@activity("deleting old weights and withdrawn items")
def purge(
    workspace: Workspace,
    *,
    shards: Collection[str],
    objects: Collection[str],
    item_digests: Collection[str] = (),
    tensors: Collection[str] = (),
) -> Purged:
    """Delete manifests, contents, weights, projections and what DVC keeps. Doing it twice is doing it once.

    What holds one of ``tensors``, by digest, goes too, in MLflow and among the workspace's own files.
    Nobody adds a shard meanwhile, so whatever lies written aside there was left by somebody who was killed.
    Raises :class:`DisgorgeError`, and deletes no weights or items, while DVC cannot be opened or is locked.
    """
    with adding_alone(workspace):
        listed = purge_plan(workspace, shards=shards, objects=objects, item_digests=item_digests, tensors=tensors)
        return _purge(workspace, listed, frozenset(item_digests), tensors)


def _purge(workspace: Workspace, listed: PurgeList, items: frozenset[str], tensors: Collection[str]) -> Purged:
    forgotten = _forgotten(workspace, listed.hashes)
    unlogged = mlflow_forget.forget(
        workspace.root, wanted_of(workspace, listed.objects, items, tensors, shards=listed.shards)
    )
    deleted, residuals = [*unlogged.deleted, *forgotten.deleted], [*unlogged.left, *forgotten.left]
    for path in listed.files:
        name = shown(path, workspace)
        if not path.parent.resolve().is_relative_to(workspace.root.resolve()):
            residuals.append(f"{name} lies outside the workspace by way of a link and was left; delete it there")
            continue
        residuals += _elsewhere(workspace, path, name)
        try:
            path.unlink(missing_ok=True)
            deleted.append(name)
        except OSError as problem:
            residuals.append(f"{name} could not be deleted ({problem.strerror}); check its permissions and repeat")
    residuals.append("backups and copies outside the workspace, of what shards were read from too, were not searched")
    for bundle in sorted((workspace.root / "reports").rglob("*-with-inputs.zip")):
        residuals.append(f"{bundle.relative_to(workspace.root).as_posix()} was exported with its inputs")
    if root_of(workspace.root) is not None:
        residuals.append("DVC's own index outside the workspace may keep hashes, not bytes, of what it tracked")
    if any((folder / ".git").exists() for folder in (workspace.root, *workspace.root.parents)):
        residuals.append("git history keeps what was committed: names and hashes, and bytes where they were committed")
    return Purged(tuple(deleted), listed.kept, tuple(residuals))


def _forgotten(workspace: Workspace, hashes: DvcHashes) -> forget_dvc.Forgotten:
    """Let DVC forget, before anything else goes: of weights that are gone nobody can compute DVC's hash."""
    hashes.remember(hashes.made)
    try:
        return forget_dvc.forget(
            workspace.root, hashes.erased, made=hashes.made, live=hashes.live, remember=hashes.remember
        )
    except LineageError as error:
        raise DisgorgeError(
            f"{error}; no old weights or items were deleted, let what runs in DVC end or mend what it names, and resume"
        ) from error


def _elsewhere(workspace: Workspace, path: Path, name: str) -> Iterator[str]:
    """Yield in words that a file about to be deleted has its bytes somewhere else too, which is left."""
    if path.is_symlink() and not path.resolve().is_relative_to(workspace.root.resolve()):
        yield f"{name} was a link out of the workspace; what it pointed at was left, delete it there"
    elif path.is_file() and path.stat().st_nlink > 1:
        yield f"{name} has another name somewhere (a hard link), under which its bytes are left; delete it there"


def _left_aside(workspace: Workspace) -> Iterator[Path]:
    """Yield what killed writers left beside manifests, contents and objects: parts of what is to go, perhaps.

    Objects may be put at any time, by training that takes no turn: there only what is old is nobody's any more.
    """
    for folder in (workspace.home / "manifests", workspace.root / "shards"):
        yield from folder.rglob(".aside-*")
    now = time.time()
    for path in (workspace.home / "objects").rglob(".aside-*"):
        if now - path.stat().st_mtime > SETTLED_SECONDS:
            yield path


def _strays(workspace: Workspace) -> list[Path]:
    """Return weights that no fact names, nor anything a fact names: of a training killed before it was recorded.

    Nobody knows what they learned from. Young ones may be about to be recorded by a training that takes no turn.
    """
    oldest = time.time() - SETTLED_SECONDS
    return [path for path in unnamed(workspace) if path.stat().st_mtime < oldest]
