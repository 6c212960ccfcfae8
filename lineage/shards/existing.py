"""Whether items are recorded already, on which terms, and mending what is missing or damaged of them."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace

from lineage.errors import BadInput, DigestMismatch, UnknownRecord
from lineage.formats.read import Intake
from lineage.records import Item, Shard
from lineage.shards.files import check_items, shard_rows
from lineage.shards.in_place import InPlace, write_references
from lineage.storage.content import write_content
from lineage.storage.manifest import in_manifest_order, manifest_bytes
from lineage.storage.objects import write_atomically
from lineage.workspace import Workspace


def known_shard(
    workspace: Workspace, shard: Shard, items: Sequence[Item], live: Iterable[Shard], origin: str
) -> Shard | None:
    """Return the same shard if it is recorded already; ``BadInput`` if something like it is."""
    for other in live:
        if other.name == shard.name and other.digest != shard.digest:
            raise BadInput(
                f"{origin}: shard '{shard.name}' is recorded with other items; record these under a new name, "
                "or withdraw the old items by a request"
            )
        if other.digest != shard.digest:
            continue
        if (recorded := _rows(workspace, shard.digest)) is not None:
            _refuse_other_rows(recorded, in_manifest_order(items), other, origin, same_name=other.name == shard.name)
        if other.name == shard.name:
            if (told := _terms(other)) != (asked := _terms(shard)):
                raise BadInput(f"{origin}: shard '{shard.name}' is recorded as {told}, not {asked}; keep those terms")
            return other
    return None


def _refuse_other_rows(
    recorded: Sequence[Item], asked: Sequence[Item], other: Shard, origin: str, *, same_name: bool
) -> None:
    """Raise ``BadInput`` unless a manifest already says what is asked; a likeness not asked for again is kept."""
    bare, bare_asked = (tuple(replace(item, likeness=None) for item in items) for items in (recorded, asked))
    if bare != bare_asked:
        raise BadInput(
            f"{origin}: these very items are recorded as shard '{other.name}' with other keys, subjects, sources "
            "or licenses; record each item once, or in a shard that differs"
        )
    if tuple(recorded) != tuple(asked) and not (same_name and asked == bare_asked):
        raise BadInput(
            f"{origin}: these very items are recorded as shard '{other.name}' with another likeness or none; a "
            "likeness is given when items are first recorded"
        )


def _rows(workspace: Workspace, digest: str) -> tuple[Item, ...] | None:
    """Return a manifest's rows; None if it is missing or damaged, and so to be written again from the data."""
    try:
        return shard_rows(workspace, digest)
    except (UnknownRecord, DigestMismatch):
        return None


def mend(
    workspace: Workspace,
    shard: Shard,
    items: Sequence[Item],
    digests: Sequence[str],
    intake: Intake,
    place: InPlace | None = None,
) -> None:
    """Write those files of a recorded shard again that are missing or damaged; ``BadInput`` for rows it never had.

    Items that lie in ``place`` are referred to there where nothing else holds them.
    """
    if _rows(workspace, shard.digest) is None:
        path, manifest = workspace.manifest_path(shard.digest), manifest_bytes(items)
        if shard.manifest not in (None, hashlib.sha256(manifest).hexdigest()):
            raise BadInput(
                f"{intake.origin}: {path} is missing or damaged, and these rows are not what it said (other keys, "
                "subjects, sources or licenses, or another version wrote it); restore it from a copy"
            )
        write_atomically(path, manifest)
    try:
        check_items(workspace, shard.digest)
    except (UnknownRecord, DigestMismatch):
        path = workspace.content_path(shard.digest)
        write_references(path, digests, place) if place else write_content(path, digests, intake.content)


def _terms(shard: Shard) -> str:
    basis = f"on the basis '{shard.legal_basis}'" if shard.legal_basis else "without a legal basis"
    return f"{'core' if shard.core else 'removable'} {basis}, source {shard.source}, license {shard.license}"
