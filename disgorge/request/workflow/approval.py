"""Approvals of plans, and the checks on an approved plan before it is carried out."""

from disgorge.errors import DisgorgeError, NotApproved, StalePlan
from disgorge.facts import ApprovalFact
from disgorge.plan.plan import Plan
from disgorge.request.case import Case, open_case, plan_of
from disgorge.request.holds.held_items import require_all_unheld
from disgorge.request.together import cases_of, require_together
from disgorge.request.workflow.decide import require_current
from lineage.workspace import Workspace


def approve_plan(
    workspace: Workspace, request_id: str, digest: str, *, approver: str, accept_utility_loss: bool = False
) -> Plan:
    """Record that ``approver`` (kept as a pseudonym) approves a plan by at least 12 characters of its digest.

    Raises :class:`StalePlan` when that is not the last plan made, or the lineage moved since.
    """
    case = open_case(workspace, request_id)
    require_current(case)
    plan = plan_of(workspace, case)
    cases = cases_of(workspace, plan)
    require_together(cases, plan)
    for other in cases:
        require_current(other)
    if len(digest) < 12 or not plan.digest.startswith(digest):
        raise StalePlan(
            f"{digest!r} is not the digest of the plan of {request_id}, which is {plan.digest[:12]}; read that plan, "
            f"then approve its digest"
        )
    require_fresh(workspace, plan, started=bool(case.steps.get(plan.digest)))
    for other in cases:
        require_all_unheld(workspace, other, before="its plan is approved")
    who = workspace.pseudonym(approver)
    if who in case.approvals.get(plan.digest, []) and not accept_utility_loss:
        raise DisgorgeError(f"{approver} approved this plan already; a second approval must come from someone else")
    workspace.ledger.record(ApprovalFact(plan.digest, who, accept_utility_loss))
    return plan


def require_fresh(workspace: Workspace, plan: Plan, *, started: bool) -> None:
    """Raise :class:`StalePlan` if lineage moved since the plan was made and its execution has not begun."""
    if not started and workspace.ledger.lineage_head() != plan.lineage_head:
        raise StalePlan(
            f"the lineage changed since the plan of {plan.request} was made; plan again with `disgorge request plan "
            f"{' '.join(plan.requests)}` and have that plan approved"
        )


def require_approved(case: Case, plan: Plan) -> None:
    """Raise :class:`NotApproved` unless enough different people approved exactly this plan and the loss it warns of."""
    who = set(case.approvals.get(plan.digest, []))
    needed = max(plan.approvals, 1)
    if len(who) < needed:
        lost = " since facts were lost, holds perhaps among them" if case.facts_lost else ""
        raise NotApproved(
            f"the plan of {plan.request} has {len(who)} of {needed} approvals{lost}; approve it with `disgorge request "
            f"approve {plan.request} {plan.digest[:12]} --by NAME`"
        )
    if plan.warnings and plan.digest not in case.accepts_loss:
        lost = next(step.subject for step in plan.steps if step.caveat in plan.warnings)
        raise NotApproved(
            f"{'; '.join(plan.warnings)}, and none does: accept it with `disgorge request approve {plan.request} "
            f"{plan.digest[:12]} --by NAME --accept-utility-loss`, or have the release destroyed with "
            f"`disgorge request plan {' '.join(plan.requests)} --withdraw {lost}`"
        )
