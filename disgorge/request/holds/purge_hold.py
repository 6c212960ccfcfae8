"""Holds on purges: old weights and withdrawn items are kept after the release moved, until a day and for a reason.

A hold is one fact, ``purge-held``: the request, the day, the reason, and the pseudonym of who set it; a later one
replaces it, and one without a day releases it. While it holds, an execution stops before its purge, so there is no
certificate either: what is kept is not gone. The day itself is the first on which the purge may be carried out.

Other removals from the same releases go on meanwhile; :mod:`disgorge.removal.conflicts` says whose purge waits too.

Negative consequence: a request on such a hold, or kept by one, stays open and can miss its deadline, which the audit
says.
"""

import datetime as dt

from disgorge.errors import AlreadyExecuted, DisgorgeError, PurgeHeld
from disgorge.facts import PurgeHeldFact
from disgorge.plan.plan import Action
from disgorge.request.case import Case, begun_plan, case_of, docket
from disgorge.workspace_lock import turn
from lineage.workspace import Workspace


def hold_purge(workspace: Workspace, request: str, *, until: dt.date, because: str, by: str) -> Case:
    """Record that the purge of a request waits until a day; returns the case as it is then.

    Raises :class:`DisgorgeError` for a day that is not to come, and :class:`AlreadyExecuted` once the purge is done.
    """
    if until <= workspace.today():
        raise DisgorgeError(f"{until} is not after today; give the first day on which {request} may be purged")
    return _record(workspace, request, until=until, because=because, by=by)


def release_purge(workspace: Workspace, request: str, *, because: str, by: str) -> Case:
    """End the hold on a request's purge at once; :class:`DisgorgeError` if there is none."""
    if case_of(workspace, request).purge_held is None:
        raise DisgorgeError(f"the purge of {request} is not on hold; carry it out with `disgorge purge run {request}`")
    return _record(workspace, request, until=None, because=because, by=by)


def _record(workspace: Workspace, request: str, *, until: dt.date | None, because: str, by: str) -> Case:
    with turn(workspace, then="say it again"):
        case = case_of(workspace, request)
        if case.closed or is_purged(workspace, case):
            raise AlreadyExecuted(f"the old weights and items of {request} are gone already, or its request is closed")
        plan = (case.plan or "") if case.together else ""  # the purge of a joint plan is one for all its requests
        workspace.ledger.record(PurgeHeldFact(request, until, because, workspace.pseudonym(by), plan))
    return case_of(workspace, request)


def require_purge_due(case: Case, today: dt.date) -> None:
    """Raise :class:`PurgeHeld` while the purge of a request waits for a day to come."""
    if case.purge_held is not None and today < case.purge_held:
        raise PurgeHeld(
            f"request {case.request.id}: everything is done but the purge, which is on hold until {case.purge_held} "
            f"({case.purge_reason}); the old weights and items are kept until then, nothing is certified before, go on "
            f"with `disgorge purge run {case.request.id}`"
        )


def is_kept(workspace: Workspace, case: Case) -> bool:
    """Whether all but the purge of a request is done, and the purge waits for a day to come."""
    return case.purge_held is not None and workspace.today() < case.purge_held and is_unpurged(workspace, case)


def is_unpurged(workspace: Workspace, case: Case) -> bool:
    """Whether a request is open and comes to its purge next, on hold or not."""
    return not case.closed and bool(case.steps.get(case.plan or "")) and _next(workspace, case) is Action.PURGE


def is_purged(workspace: Workspace, case: Case) -> bool:
    """Whether the purge of the last plan is done."""
    return bool(case.plan) and _next(workspace, case) in (Action.REPORT, None)


def waiting(workspace: Workspace) -> dict[str, Case]:
    """Return the open requests that come to their purge, or their report, next; on hold or not."""
    open_cases = {name: case for name, case in docket(workspace).items() if not case.closed and case.hold is None}
    return {name: case for name, case in open_cases.items() if _waits(workspace, case)}


def due(workspace: Workspace) -> dict[str, Case]:
    """Return those of :func:`waiting` that are on no hold, or whose day has come."""
    today = workspace.today()
    return {n: case for n, case in waiting(workspace).items() if case.purge_held is None or case.purge_held <= today}


def is_ahead(workspace: Workspace, request: str) -> bool:
    """Whether a request is open and planned, and its purge is still to come. Errors as of ``case_of``."""
    case = case_of(workspace, request)
    return not case.closed and bool(case.plan) and not is_purged(workspace, case)


def _waits(workspace: Workspace, case: Case) -> bool:
    return bool(case.steps.get(case.plan or "")) and _next(workspace, case) in (Action.PURGE, Action.REPORT)


def _next(workspace: Workspace, case: Case) -> Action | None:
    """Return the first action of the last plan that is not done."""
    done = case.steps.get(case.plan or "", {})
    steps = begun_plan(workspace, str(case.plan)).steps if case.plan else ()
    return next((step.action for step in steps if step.id not in done), None)
