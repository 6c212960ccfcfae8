"""Whether items are recorded already, on which terms, and mending what is missing or damaged of them."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from unicodedata import normalize

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
    """Raise ``BadInput`` unless a manifest already says what is asked; a likeness not asked for again is kept.

    One of before it was kept how subjects are written stays as it is: its subjects are names.
    """
    written = any(item.written for item in recorded)
    if _bare(recorded, written=written) != _bare(asked, written=written):
        raise BadInput(
            f"{origin}: these very items are recorded as shard '{other.name}' with other keys, subjects, sources "
            "or licenses; record each item once, or in a shard that differs"
        )
    alike, asked_alike = ([item.likeness for item in items] for items in (recorded, asked))
    if alike != asked_alike and not (same_name and not any(asked_alike)):
        raise BadInput(
            f"{origin}: these very items are recorded as shard '{other.name}' with another likeness or none; a "
            "likeness is given when items are first recorded"
        )


def _bare(items: Iterable[Item], *, written: bool) -> tuple[Item, ...]:
    """Return rows as they are compared: keys in NFC, without likenesses, and how subjects are written if it counts."""
    return in_manifest_order(
        replace(item, likeness=None, key=normalize("NFC", item.key), written=item.written if written else None)
        for item in items
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
        path = workspace.manifest_path(shard.digest)
        forms = [manifest_bytes(items), manifest_bytes([replace(item, written=None) for item in items])]  # as of before
        fitting = [form for form in forms if shard.manifest in (None, hashlib.sha256(form).hexdigest())]
        if not fitting:
            raise BadInput(
                f"{intake.origin}: {path} is missing or damaged, and these rows are not what it said (other keys, "
                "subjects, sources or licenses, or another version wrote it); restore it from a copy"
            )
        write_atomically(path, fitting[0])
    try:
        check_items(workspace, shard.digest)
    except (UnknownRecord, DigestMismatch):
        path = workspace.content_path(shard.digest)
        write_references(path, digests, place) if place else write_content(path, digests, intake.content)


def _terms(shard: Shard) -> str:
    basis = f"on the basis '{shard.legal_basis}'" if shard.legal_basis else "without a legal basis"
    return f"{'core' if shard.core else 'removable'} {basis}, source {shard.source}, license {shard.license}"
