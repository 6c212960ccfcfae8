"""What must hold, beyond approval, before an execution begins and before it takes anything away.

A plan is a statement about lineage and about a decision. Between the approval and the step that cannot be undone both
may have moved: an execution is killed or held, and meanwhile somebody trains, decides again, or carries out another
request. Each function here raises what to do then; none of them changes anything.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from disgorge.errors import ExecutionFailed, StalePlan
from disgorge.plan.plan import Action, Plan
from disgorge.request.case import Case, begun_plan, docket
from disgorge.request.holds.held_items import all_overlaps
from disgorge.request.holds.open import open_holds
from disgorge.request.holds.purge_hold import is_kept, is_unpurged
from disgorge.request.impact import impact_as_planned, impact_of_all
from lineage.records import Impact
from lineage.workspace import Workspace
from policies.taxonomy import Outcome


def require_decided(case: Case, plan: Plan) -> None:
    """Raise :class:`StalePlan` unless the plan was made for the decision that holds, and that one is current."""
    plan = plan.seen_by(case.request.id)
    if case.outdated:
        raise StalePlan(
            f"request {plan.request}: {case.outdated}; what was done stands, run `disgorge request decide "
            f"{plan.request}` again"
        )
    if case.decision is not None and case.decision.outcome is not Outcome.GRANTED:
        rest = f"; plan the others again with `disgorge request plan {' '.join(plan.others)}`" if plan.together else ""
        raise StalePlan(
            f"request {plan.request} was decided again and is {case.decision.outcome.value} "
            f"({case.decision.category}); nothing more is carried out, and `disgorge policy explain {plan.request}` "
            f"says why{rest}"
        )
    if case.decision is None or case.decision.digest != plan.decision:
        raise StalePlan(
            f"request {plan.request} was decided again after its plan was made; plan again with `disgorge request plan "
            f"{' '.join(plan.requests)}` and have that plan approved"
        )


def require_unchanged(workspace: Workspace, cases: Sequence[Case], plan: Plan) -> None:
    """Raise :class:`StalePlan` unless its requests touch, at this moment, exactly what the plan was made for.

    Asked before items are withdrawn, because a release may have been contained long before: what was trained or added
    in between is in no plan. Afterwards the old shards are no longer there to be used.
    """
    if _substance(impact_of_all(workspace, cases)) != _substance(impact_as_planned(workspace, plan)):
        raise StalePlan(
            f"the request {', '.join(plan.requests)} touches other shards, components or releases than when its plan "
            f"was made; nothing was withdrawn yet: plan again with `disgorge request plan {' '.join(plan.requests)}` "
            f"and have that approved"
        )


def require_alone(workspace: Workspace, case: Case, plan: Plan) -> None:
    """Raise :class:`ExecutionFailed` while another request is half carried out on the same shards or releases.

    What that one composed before this one's removal it would adopt after it. One whose purge waits for a day, or for a
    hold to end, has adopted what it composed, and is in nobody's way; so has one that is done but for items that are
    held.
    """
    shards, releases = _touched([plan])
    for other in docket(workspace).values():
        if other.closed or other.partly_done or other.request.id in plan.requests:
            continue
        if other.steps.keys() <= case.steps.keys():
            continue  # it was begun together with this one, whose plan now is another
        if not is_begun(workspace, other) or is_kept(workspace, other) or _waits_for_a_hold(workspace, other):
            continue
        others = _touched(begun_plan(workspace, digest) for digest in other.steps)
        shared = sorted((shards & others[0]) | (releases & others[1]))
        if shared:
            raise ExecutionFailed(
                f"request {other.request.id} is being carried out and touches {shared[0]} as well; finish it first "
                f"with `disgorge request resume {other.request.id}`, then plan {case.request.id} again"
            )


def _waits_for_a_hold(workspace: Workspace, case: Case) -> bool:
    """Whether a request comes to its purge next, and a hold, its own or another request's, keeps what that deletes."""
    return is_unpurged(workspace, case) and bool(open_holds(case) or all_overlaps(workspace, case))


def is_begun(workspace: Workspace, case: Case) -> bool:
    """Whether more than containment was done for a request, by any of its plans."""
    return any(
        step.action is not Action.CONTAIN
        for digest, done in case.steps.items()
        for step in begun_plan(workspace, digest).steps
        if step.id in done
    )


def _touched(plans: Iterable[Plan]) -> tuple[set[str], set[str]]:
    """Return the names of the shards and of the releases that plans are about."""
    shards: set[str] = set()
    releases: set[str] = set()
    for plan in plans:
        shards.update(change.before.name for change in plan.shard_changes)
        releases.update(str(step.detail["name"]) for step in plan.steps if step.action is Action.CONTAIN)
    return shards, releases


def _substance(impact: Impact) -> Any:
    """Return what an impact is about: all but the ledger's head, costs, and whether a release is contained."""
    return (
        {(change.before.digest, change.before.name, change.after and change.after.digest) for change in impact.shards},
        {(affected.component.name, affected.component.digest) for affected in impact.affected},
        {(hit.release.name, hit.release.alias, hit.release.composition) for hit in impact.releases},
    )
