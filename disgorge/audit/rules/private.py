"""Files of the private folder that are missing or damaged, where that folder is present."""

from collections.abc import Iterator

from disgorge.audit.findings import PRIVATE_LOST, Finding
from disgorge.audit.snapshot import Snapshot
from disgorge.errors import DisgorgeError
from disgorge.request.withdrawn.forget_list import forgotten, whole_list
from lineage.errors import LineageError
from lineage.private_files import damaged_files


def private_lost(snapshot: Snapshot) -> Iterator[Finding]:
    """Yield a finding for a lost key of pseudonyms, per damaged file, and per open removal whose list is not whole."""
    if not snapshot.workspace.private.folder.is_dir():
        return
    if _has_pseudonyms(snapshot):
        try:
            snapshot.workspace.pseudonym("anybody")
        except LineageError:
            yield Finding(
                PRIVATE_LOST,
                "private/pseudonym.key",
                "is missing or damaged, so no recorded person can be found by name",
                "restore it from a backup of the private folder; a new key would match none of them",
            )
    for name, error in damaged_files(snapshot.workspace):
        yield _finding(f"private/{name}", error)
    for case in snapshot.cases.values():
        if case.closed:
            continue
        try:
            if case.withdrawn:
                forgotten(snapshot.workspace, case)
            if by_request := case.covered_by:
                whole_list(snapshot.workspace, case, by_request)
        except (DisgorgeError, LineageError) as error:
            yield _finding(case.request.id, error, fact=case.facts[0].seq)


def _has_pseudonyms(snapshot: Snapshot) -> bool:
    """Whether anything was recorded by a keyed pseudonym: a request, an approval, the subject of an item."""
    if snapshot.cases:
        return True
    manifests = (snapshot.items(shard.digest) for shard in snapshot.shards())
    return any(item.subject for items in manifests if not isinstance(items, LineageError) for item in items)


def _finding(where: str, error: Exception, *, fact: int | None = None) -> Finding:
    matter, _, remedy = str(error).rpartition("; ")
    return Finding(PRIVATE_LOST, where, matter, remedy, fact=fact)
