"""The two files of a shard: its content and its manifest, both named by the shard's digest.

Reading checks what is read: a file that no longer holds the shard's items is an error here, never training data.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from lineage.activity import activity
from lineage.dvc import repo
from lineage.dvc.storage import untrack
from lineage.errors import DigestMismatch, LineageError
from lineage.lock import locked
from lineage.private_files import SOURCES
from lineage.records import Item, Shard, shard_digest
from lineage.shards.in_place import InPlace, items_in_place, read_references, write_references
from lineage.storage.content import item_digests, read_content, write_content
from lineage.storage.manifest import may_hold_likenesses, read_manifest, write_manifest
from lineage.storage.objects import cached_sha256
from lineage.storage.parquet import read_table
from lineage.workspace import Workspace

if TYPE_CHECKING:
    from lineage.storage.content import Arrays

_PATIENCE = 60.0
"""Seconds to wait for another process that is adding a shard: DVC may be hashing gigabytes."""


def adding_alone(workspace: Workspace) -> AbstractContextManager[None]:
    """Let one process at a time look for a name and take it: while this is held, no other writes a shard."""
    path = workspace.home / "shards.lock"
    return locked(path, seconds=_PATIENCE, busy=f"{path}: another process is adding a shard; wait for it, then repeat")


def live_shards(workspace: Workspace) -> tuple[Shard, ...]:
    """Return the shards that are recorded and not withdrawn, oldest first."""
    state = workspace.ledger.state()
    return tuple(entry.record for entry in state.shards.values() if entry.live)


@activity("reading items and checking their digests")
def shard_items(
    workspace: Workspace, digest: str, *, verify: bool = True, limit: int | None = None, as_paths: bool = False
) -> "tuple[tuple[str, ...], Arrays]":
    """Return a shard's item digests and arrays, shape (items, ...), in digest order.

    Raises ``DigestMismatch`` if the digests on disk are not the shard's or, with ``verify``, if an item's bytes are not
    what its digest says; ``UnknownRecord`` if the content is not there. ``limit`` is for content from
    elsewhere: above so many bytes it is ``TooLarge``. ``as_paths`` gives of whole files in place, which were checked,
    their paths.
    """
    path = workspace.content_path(digest)
    lying = references_of(workspace, digest) if limit is None else None  # those from elsewhere are never followed
    if lying is not None:
        return lying[0], items_in_place(*lying, as_paths=as_paths)
    digests, arrays = read_content(path, limit=limit)
    if shard_digest(digests) != digest:
        raise DigestMismatch(f"{path}: holds other items than its shard; restore the file, then repeat")
    if verify:
        changed = [row for row, found in enumerate(item_digests(arrays)) if found != digests[row]]
        if changed:
            raise DigestMismatch(
                f"{path}: {len(changed)} of {len(digests)} items were changed on disk, first row {changed[0]}; "
                "restore the file, then repeat"
            )
    return digests, arrays


def references_of(workspace: Workspace, digest: str) -> tuple[tuple[str, ...], InPlace] | None:
    """Return a shard's item digests, in order, and where its items lie in place; None if its content is stored."""
    path = workspace.content_path(digest)
    lying = read_references(path)
    if lying is not None and shard_digest(lying[0]) != digest:
        raise DigestMismatch(f"{path}: refers to other items than its shard's; restore the file, then repeat")
    return lying


def distinct_values(workspace: Workspace, digest: str, field: str) -> tuple[str, ...] | None:
    """Return the distinct values of a field of a shard, as text, and read nothing else; their digests are not checked.

    None where they are no single numbers or texts, and for items that lie in place. Errors as of :func:`shard_items`.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    path = workspace.content_path(digest)
    if references_of(workspace, digest) is not None:
        return None
    column = read_table(path, "content of the shard", columns=[field]).column(field)
    kind = column.type
    if not (pa.types.is_string(kind) or pa.types.is_integer(kind) or kind in (pa.bool_(), pa.float32(), pa.float64())):
        return None
    return tuple(map(str, pc.unique(column).to_pylist()))


def check_items(workspace: Workspace, digest: str) -> tuple[str, ...]:
    """Return a shard's item digests after every item was checked; whole files in place are read one at a time.

    Errors as of :func:`shard_items`.
    """
    lying = references_of(workspace, digest)
    if lying is None:
        return shard_items(workspace, digest)[0]
    items_in_place(*lying, as_paths=True)
    return lying[0]


def shard_rows(workspace: Workspace, digest: str) -> tuple[Item, ...]:
    """Return a shard's manifest, sorted by digest, then key; ``DigestMismatch`` if its items are not the shard's."""
    path = workspace.manifest_path(digest)
    items = read_manifest(path)
    if shard_digest(item.digest for item in items) != digest:
        raise DigestMismatch(f"{path}: lists other items than its shard; restore the file, then repeat")
    return items


def check_manifests(workspace: Workspace, shards: Iterable[Shard]) -> None:
    """Raise ``DigestMismatch`` if a manifest is not, byte for byte, what was recorded with its shard.

    A subject or key that was edited there would be missed by every removal.
    """
    for shard in shards:
        path = workspace.manifest_path(shard.digest)
        if shard.manifest is not None and path.is_file() and cached_sha256(path) != shard.manifest:
            raise DigestMismatch(
                f"{path}: the manifest of shard '{shard.name}' was changed on disk; restore the file, then repeat"
            )


def store_shard(
    workspace: Workspace,
    shard: Shard,
    items: Sequence[Item],
    digests: Sequence[str],
    arrays: "Arrays",
    *,
    dvc: bool | None,
    place: InPlace | None = None,
) -> Shard:
    """Write a shard's files, put the content under DVC, and return the shard with what its files are known by.

    Of items that lie in ``place`` no content is written, and none goes to DVC.
    """
    content = workspace.content_path(shard.digest)
    write_references(content, digests, place) if place else write_content(content, digests, arrays)
    shard = replace(shard, manifest=write_manifest(workspace.manifest_path(shard.digest), items))
    if place is None and (dvc or (dvc is None and repo.is_repo(workspace.root))):
        return replace(shard, dvc=repo.track(content))
    return shard


@contextmanager
def undone_on_failure(workspace: Workspace, digest: str) -> Iterator[None]:
    """Remove what the block wrote of a shard, if it fails before the shard's fact is recorded."""
    content = workspace.content_path(digest)
    paths = (content, workspace.manifest_path(digest), SOURCES.path(workspace, digest))
    fresh = [path for path in paths if not path.exists()]
    try:
        yield
    except BaseException:  # Ctrl-C too: content may be personal data, and is not to lie about unrecorded
        with suppress(LineageError, OSError):  # of the cleaning; what went wrong first is what the caller must hear
            if not any(shard.digest == digest for shard in live_shards(workspace)):
                if content in fresh:
                    with suppress(LineageError):  # the files go all the same
                        untrack(content)
                for path in fresh:
                    path.unlink(missing_ok=True)
        raise


def recorded_likenesses(workspace: Workspace, selected: Mapping[str, Collection[str]]) -> dict[str, str]:
    """Return the likenesses, by item digest, of items of live shards, given by shard digest."""
    found: dict[str, str] = {}
    for shard, items in selected.items():
        wanted = frozenset(items)
        for digest, likeness in likenesses_of(workspace, shard) or ():
            if likeness is not None and digest in wanted:
                found[digest] = likeness
    return found


def likenesses_of(workspace: Workspace, shard: str) -> list[tuple[str, str | None]] | None:
    """Return digests and likenesses of a shard, None if it has none or its manifest is gone."""
    path = workspace.manifest_path(shard)
    items = read_manifest(path) if path.is_file() and may_hold_likenesses(path) else ()
    return [(item.digest, item.likeness) for item in items] if any(item.likeness for item in items) else None
