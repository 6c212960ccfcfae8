"""What a person says of near-duplicates: the same, and then they are removed too, or other items, and then they stay.

The ledger keeps who said it, why, and a keyed mark for each item, bound to the request and to the removed items it is
near: a later near-duplicate, or one of other items, is not covered by it. Which items were added is in one private file
per request, like selectors that identify content; it is erased when the request is closed.
"""

from collections.abc import Collection, Iterable

from disgorge.errors import DisgorgeError
from disgorge.request.case import Case
from lineage.private_files import ADDED, AddedItems, name_of
from lineage.workspace import Workspace


def mark_of(workspace: Workspace, case: Case, item: str, near: Iterable[str]) -> str:
    """Return the keyed mark of a near-duplicate, by its digest and those of the removed items it is near."""
    return workspace.withdrawn_mark(" ".join((case.request.id, item, *sorted(near))))


def judge_distinct(
    workspace: Workspace, case: Case, items: Iterable[tuple[str, Collection[str]]], *, by: str, because: str
) -> None:
    """Record that near-duplicates, each with what it is near, are other items; ``by`` is kept as a pseudonym."""
    _record(
        workspace, case, sorted({mark_of(workspace, case, *item) for item in items}), same=False, by=by, because=because
    )


def judge_same(workspace: Workspace, case: Case, items: Collection[str], *, by: str, because: str) -> None:
    """Add near-duplicates, by digest, to what the request removes: it has to be decided and planned again.

    Raises :class:`DisgorgeError` once items were withdrawn: what is to be removed then needs a request of its own.
    """
    if case.withdrawn:
        raise DisgorgeError(
            f"request {case.request.id} has withdrawn its items already, so nothing can be added to it; file a request "
            f"for these, carry that out, and resume {case.request.id}"
        )
    added = sorted({*included_items(workspace, case), *items})
    ADDED.write(workspace, AddedItems(added), name_of(case.request.id))
    new = sorted({_included_mark(workspace, case, item) for item in added} - set(case.included))
    _record(workspace, case, new, same=True, by=by, because=because)


def included_items(workspace: Workspace, case: Case) -> tuple[str, ...]:
    """Return the digests of near-duplicates that were added to a request.

    Raises :class:`DisgorgeError` if the ledger knows of some and their private file is gone.
    """
    if not case.included:
        return ()
    kept = ADDED.read(workspace, name_of(case.request.id))
    known = {_included_mark(workspace, case, item): item for item in (kept.items if kept else [])}
    if missing := set(case.included) - known.keys():
        raise DisgorgeError(
            f"{len(missing)} of the near-duplicates that were added to request {case.request.id} are missing from the "
            f"workspace's private folder; restore the folder, or deny the request and file it again"
        )
    return tuple(sorted(known[mark] for mark in set(case.included)))


def forget_included(workspace: Workspace, case: Case) -> None:
    """Delete the private file of what was added: the request is over. The caller holds the turn."""
    ADDED.erase(workspace, name_of(case.request.id))


def _included_mark(workspace: Workspace, case: Case, item: str) -> str:
    return mark_of(workspace, case, item, ())


def _record(workspace: Workspace, case: Case, marks: list[str], *, same: bool, by: str, because: str) -> None:
    body = {"request": case.request.id, "same": same, "marks": marks, "by": workspace.pseudonym(by), "because": because}
    workspace.ledger.append("near-review", body)
