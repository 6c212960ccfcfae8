"""A person's judgments of near-duplicates: the same, which are removed too, or distinct, which stay.

The ledger keeps who said it, why, and a keyed mark for each item, bound to the request and to the removed items it is
near: a later near-duplicate, or one of other items, is not covered by it. Which items were added:
:mod:`disgorge.request.included`.
"""

from collections.abc import Collection, Iterable

from disgorge.errors import DisgorgeError, WrongUse
from disgorge.evidence.checks import NearItem
from disgorge.facts import NearReviewFact
from disgorge.request.case import Case, open_case
from disgorge.request.included import included_items, included_mark, mark_of
from disgorge.workspace_lock import turn
from lineage.private_files import ADDED, AddedItems, name_of
from lineage.workspace import Workspace


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
    new = sorted({included_mark(workspace, case, item) for item in added} - set(case.included))
    _record(workspace, case, new, same=True, by=by, because=because)


def _record(workspace: Workspace, case: Case, marks: list[str], *, same: bool, by: str, because: str) -> None:
    workspace.ledger.record(NearReviewFact(case.request.id, same, tuple(marks), workspace.pseudonym(by), because))


def chosen_of(unjudged: Collection[NearItem], named: Collection[str]) -> tuple[NearItem, ...]:
    """Return the near-duplicates that are named by digest or its beginning; all of them if none is."""
    for name in named:
        hits = {each.digest for each in unjudged if each.digest.startswith(name)}
        if len(hits) != 1 or len(name) < 6:
            what = "no unjudged near-duplicate" if not hits else "more than one, or may"
            raise WrongUse(f"--item {name[:64]!r} names {what}; give a digest as the list shows it, or more of it")
    return tuple(each for each in unjudged if not named or each.digest.startswith(tuple(named)))


def judge_all(
    workspace: Workspace, request: str, chosen: Collection[NearItem], judge: str, *, by: str, because: str
) -> None:
    """Record what a person judged of near-duplicates: that they are the "same", or "distinct"."""
    if not chosen:
        raise WrongUse(f"request {request} has no unjudged near-duplicate")
    with turn(workspace, then="say it again"):
        case = open_case(workspace, request)  # read again under the lock
        if judge == "same":
            judge_same(workspace, case, [each.digest for each in chosen], by=by, because=because)
        else:
            judge_distinct(workspace, case, [(each.digest, each.near) for each in chosen], by=by, because=because)
