"""Near-duplicates that a person added to what a request removes, and the keyed marks by which the ledger knows them.

Which items they are is in one private file per request, like selectors that identify content; it is erased when the
request is closed. Who adds them: :mod:`disgorge.request.near.review`.
"""

from collections.abc import Iterable

from disgorge.errors import DisgorgeError
from disgorge.request.case import Case
from lineage.private_files import ADDED, name_of
from lineage.workspace import Workspace


def included_items(workspace: Workspace, case: Case) -> tuple[str, ...]:
    """Return the digests of near-duplicates that were added to a request.

    Raises :class:`DisgorgeError` if the ledger knows of some and their private file is gone.
    """
    if not case.included:
        return ()
    stored = ADDED.read(workspace, name_of(case.request.id))
    by_mark = {included_mark(workspace, case, item): item for item in (stored.items if stored else [])}
    if missing := set(case.included) - by_mark.keys():
        raise DisgorgeError(
            f"{len(missing)} of the near-duplicates that were added to request {case.request.id} are missing from the "
            f"workspace's private folder; restore the folder, or deny the request and file it again"
        )
    return tuple(sorted(by_mark[mark] for mark in set(case.included)))


def forget_included(workspace: Workspace, case: Case) -> None:
    """Delete the private file of what was added: the request is over. The caller holds the workspace lock."""
    ADDED.erase(workspace, name_of(case.request.id))


def included_mark(workspace: Workspace, case: Case, item: str) -> str:
    """Return the keyed mark of an added item, by its digest."""
    return mark_of(workspace, case, item, ())


def mark_of(workspace: Workspace, case: Case, item: str, near: Iterable[str]) -> str:
    """Return the keyed mark of a near-duplicate, by its digest and those of the removed items it is near."""
    return workspace.private.withdrawn_mark(" ".join((case.request.id, item, *sorted(near))))
