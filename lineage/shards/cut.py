"""A shard without the items that were removed: its new files, before any fact."""

from collections.abc import Iterable

from lineage.errors import DigestMismatch, LineageError
from lineage.records import Shard, ShardChange, shard_digest
from lineage.shards.files import (
    live_shards,
    references_of,
    shard_items,
    shard_rows,
    store_shard,
    undone_on_failure,
)
from lineage.storage.manifest import in_manifest_order
from lineage.workspace import Workspace


def cut_shard(workspace: Workspace, change: ShardChange, gone: Iterable[str]) -> Shard | None:
    """Write content and manifest of ``change.before`` without the items of these digests; None if none is left.

    The old files stay, for a purge to delete. No fact is written, and doing it twice is doing it once. Raises
    ``DigestMismatch`` if what is left is not ``change.after``: then the shard or the plan changed meanwhile.
    """
    unwanted = frozenset(gone)
    lying = references_of(workspace, change.before.digest)  # what lies in place goes on lying there
    digests, arrays = (lying[0], {}) if lying else shard_items(workspace, change.before.digest)
    kept = [row for row, digest in enumerate(digests) if digest not in unwanted]
    left = tuple(digests[row] for row in kept)
    found, planned = shard_digest(left) if left else None, change.after.digest if change.after else None
    if found != planned:
        raise DigestMismatch(
            f"shard '{change.before.name}': without these {len(unwanted)} items it would be {found}, "
            f"not {planned}; plan the removal again"
        )
    if change.after is None or change.after.digest == change.before.digest:
        return change.after
    items = tuple(item for item in shard_rows(workspace, change.before.digest) if item.digest not in unwanted)
    refuse_lost_rows(workspace, change)
    with undone_on_failure(workspace, change.after.digest):
        content = {name: array[kept] for name, array in arrays.items()}
        place = lying[1].keep(kept) if lying else None
        return store_shard(
            workspace, change.after, items, left, content, dvc=change.before.dvc is not None, place=place
        )


def refuse_lost_rows(workspace: Workspace, change: ShardChange) -> None:
    """Stop before a manifest that another live shard needs is replaced by one that names other persons.

    Asked when a removal is planned, and once more when its items are withdrawn.
    """
    if change.after is None:
        return
    for other in live_shards(workspace):
        if other.digest != change.after.digest:
            continue
        rows = shard_rows(workspace, other.digest)
        left = {item.digest for item in rows}
        if rows != in_manifest_order(
            item for item in shard_rows(workspace, change.before.digest) if item.digest in left
        ):
            raise LineageError(
                f"shard '{change.after.name}': what is left are the very items of shard '{other.name}', under "
                f"other keys or subjects; withdraw all of '{change.after.name}', whose items '{other.name}' keeps"
            )
