"""Deciding a request: by its packs, by a person who grants or refuses it, and the extension of its deadline.

What a person decided is recorded with who they are and why; what the packs decided stays in the ledger.
"""

import datetime as dt
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from disgorge.errors import DisgorgeError
from disgorge.facts import DeadlineExtendedFact, DecisionConfirmedFact, DecisionFact
from disgorge.request.case import Case, begun_plan, open_case
from disgorge.request.holds.held_items import all_overlaps, require_all_unheld
from disgorge.request.workflow.events import told_of_extension
from disgorge.request.workflow.impact import impact_as_planned, impact_of
from lineage.workspace import Workspace
from policies.decision import Decision
from policies.errors import BadRequest
from policies.judging.deadlines import extend
from policies.judging.held import PACK as HOUSE
from policies.judging.held import holding_reasons, put_on_hold
from policies.judging.house import models_learned
from policies.judging.judge import decide
from policies.judging.review import grant, is_decided_on_review, refuse
from policies.packs.rules import Pack
from policies.taxonomy import Outcome, Refusal, Scope


def decide_request(workspace: Workspace, request_id: str, packs: Sequence[Pack]) -> Decision:
    """Decide a request by the packs and record the decision with its reasons.

    While another request's open hold covers some of the items it would remove, it is on hold, and a reason names that
    request. One made again, because of an event or after a person decided, that says what the packs said before is
    confirmed, not repeated: what a person granted, planned and approved by it stands. An extension that was told in
    time stays with a deadline that moved.
    """
    case = open_case(workspace, request_id)
    if case.withdrawn and not case.new_events:
        raise DisgorgeError(
            f"request {request_id} is being carried out by the decision there is; put it on hold if it must stop"
        )
    _require_holding_packs(case, packs)
    impact = impact_of(workspace, case.request, whole=True, licenses=True)
    if not impact.items and case.overlaps:  # they were here when it was filed, and went for another request
        impact = replace(impact, items=sum(each.removed for each in case.overlaps))
    if case.withdrawn:  # what is decided about is what the plan that was begun was made for
        impact = impact_as_planned(workspace, begun_plan(workspace, list(case.steps)[-1]), of=request_id)
    today = workspace.today()
    blocking = all_overlaps(workspace, case)
    decision = decide(case.judged, impact, packs, today=today, latest=workspace.latest_today())
    decision = put_on_hold(decision, [each.words for each in blocking], today=today)
    if (standing := _standing(workspace, case, decision)) is not None:
        workspace.ledger.record(_confirmation(workspace, standing, decision))
        return standing
    workspace.ledger.record(DecisionFact(request_id, decision), *_extended_still(case, decision, packs))
    return decision


def _require_holding_packs(case: Case, packs: Sequence[Pack]) -> None:
    """Raise :class:`~policies.errors.BadRequest` where a pack that put the request on hold is not asked again."""
    last = case.decision or case.superseded
    if last is None or last.outcome is not Outcome.ON_HOLD:
        return
    asked = {pack.pack for pack in packs} | {HOUSE}
    if gone := sorted({said.pack for said in holding_reasons(last)} - asked):
        name = case.request.id
        raise BadRequest(
            f"request {name} is on hold by the pack {', '.join(gone)}, which is not among those given, so nothing "
            f"would say whether that has ended: give it too (--packs), or deny {name}, lift its hold and file it anew"
        )


def _standing(workspace: Workspace, case: Case, decision: Decision) -> Decision | None:
    """Return the earlier decision that stands after one made again; None if the new one counts.

    That is the one that holds where the packs say the same again, after an event or after a person decided. It is also
    the one by which an execution was begun where that is still granted and asks for the same removal: what was begun is
    finished by the plan there is.
    """
    by_a_person = case.decision is not None and is_decided_on_review(case.decision)
    if case.rescoped or not (case.new_events or by_a_person):
        return None
    if case.by_packs is not None and decision.says_the_same(case.by_packs):
        return case.decision
    return begun_by(workspace, case, decision)


def begun_by(workspace: Workspace, case: Case, decision: Decision) -> Decision | None:
    """Return the decision by which an execution was begun, if another asks for the same removal; None if none was."""
    if not case.withdrawn or decision.outcome is not Outcome.GRANTED or decision.owed is None:
        return None
    plan = begun_plan(workspace, list(case.steps)[-1]).seen_by(case.request.id)
    begun = next((each for each in case.decisions if each.digest == plan.decision), None)
    same = begun is not None and begun.owed is not None and begun.owed.removes_the_same(decision.owed)
    return begun if same else None


def _confirmation(workspace: Workspace, standing: Decision, decision: Decision) -> DecisionConfirmedFact:
    before, now = (each.owed.deadline if each.owed else None for each in (standing, decision))
    return DecisionConfirmedFact(decision.request, standing.digest, workspace.today(), now if now != before else None)


def record_decision(workspace: Workspace, case: Case, decision: Decision) -> Decision:
    """Record what a person decided; return the decision that holds then, as of :func:`begun_by` perhaps an earlier."""
    if (begun := begun_by(workspace, case, decision)) is not None:
        workspace.ledger.record(_confirmation(workspace, begun, decision))
        return begun
    workspace.ledger.record(DecisionFact(decision.request, decision))
    return decision


def _extended_still(case: Case, decision: Decision, packs: Sequence[Pack]) -> Iterator[DeadlineExtendedFact]:
    """Yield the fact that a deadline which moved stays extended, if the extension was told in time for it too."""
    moved = case.deadline is not None and case.until is not None and decision.owed is not None
    if not moved or case.extension is None or case.extension.told is None:
        return
    try:
        until = extend(decision, case.judged, packs, reason=case.extension.reason, today=case.extension.told)
    except BadRequest:
        return  # by the decision as it is now there is nothing to extend, or no more
    yield replace(case.extension, until=until)


def require_current(case: Case) -> None:
    """Raise :class:`DisgorgeError` if something was recorded since the decision, which has to be made again."""
    if case.outdated:
        raise DisgorgeError(
            f"request {case.request.id}: {case.outdated}; run `disgorge request decide {case.request.id}` again"
        )


def extend_deadline(workspace: Workspace, request_id: str, packs: Sequence[Pack], *, reason: str) -> dt.date:
    """Extend a request's deadline as far as its regime allows, record why, and return the new one.

    Raises :class:`DisgorgeError` for one that is extended so far already.

    Whether the requester was told in time goes by the event ``extension-told``; without one they are told today.
    """
    case, decision = _decided(workspace, request_id)
    told_on = told_of_extension(case, workspace.today())
    until = extend(decision, case.judged, packs, reason=reason, today=told_on)
    if case.until == until:
        raise DisgorgeError(f"request {request_id} is extended already, until {until}; no rule allows more")
    workspace.ledger.record(DeadlineExtendedFact(request_id, until, reason, told_on))
    return until


def grant_request(
    workspace: Workspace,
    request_id: str,
    *,
    by: str,
    reason: str,
    scope: Scope | None = None,
    claims: Collection[str] = (),
) -> Decision:
    """Record that ``by`` (kept as a pseudonym) grants a request, or the claims of some packs, and why.

    ``claims`` are packs, or ``all``; where one claim waits they may be left out. ``scope`` carries out more than is
    owed. Raises :class:`~policies.errors.BadRequest` where nothing waits for a person, or more than one claim does and
    none is named.
    """
    case, decision = _decided(workspace, request_id)
    later = decision.outcome is Outcome.GRANTED
    if later:
        _require_not_under_way(case)
    require_all_unheld(workspace, case, before="it is granted")
    granted = grant(
        decision,
        by=workspace.pseudonym(by),
        reason=reason,
        today=workspace.today(),
        scope=scope,
        claims=claims,
        learned=models_learned(impact_of(workspace, case.request)),
    )
    if not later:
        return record_decision(workspace, case, granted)
    workspace.ledger.record(DecisionFact(request_id, granted))
    return granted


def refuse_claims(
    workspace: Workspace, request_id: str, *, by: str, reason: Refusal, claims: Collection[str]
) -> Decision:
    """Record that ``by`` (kept as a pseudonym) refuses the claims of some packs; the request goes on with the others.

    Raises :class:`~policies.errors.BadRequest` for a claim that does not wait, and where none would be left.
    """
    case, decision = _decided(workspace, request_id)
    _require_not_under_way(case)
    refused = refuse(decision, by=workspace.pseudonym(by), reason=reason, today=workspace.today(), claims=claims)
    workspace.ledger.record(DecisionFact(request_id, refused))
    return refused


def _decided(workspace: Workspace, request_id: str) -> tuple[Case, Decision]:
    """Return an open case and its decision, which is current."""
    case = open_case(workspace, request_id)
    return case, _current(case)


def _current(case: Case) -> Decision:
    """Return the decision of a case; :class:`DisgorgeError` if there is none, or an event made it out of date."""
    name = case.request.id
    if case.decision is None:
        raise DisgorgeError(f"request {name} is not decided; run `disgorge request decide {name}` first")
    require_current(case)
    return case.decision


def granted_decision(case: Case, *, to_be: str = "planned") -> Decision:
    """Return the decision that grants a request; :class:`DisgorgeError` says why it is not ``to_be`` what is wanted."""
    name, decision = case.request.id, _current(case)
    if case.hold is not None:
        raise DisgorgeError(f"request {name} is on hold ({case.hold}); lift the hold first")
    if decision.outcome is Outcome.NEEDS_REVIEW:
        raise DisgorgeError(
            f"request {name} needs review; a person grants it with `disgorge request grant {name} --by NAME --reason "
            f"TEXT`, or denies it"
        )
    if decision.outcome is not Outcome.GRANTED:
        raise DisgorgeError(
            f"request {name} is {decision.outcome.value}; only a granted one is {to_be} (`disgorge policy explain "
            f"{name}` says why)"
        )
    return decision


def _require_not_under_way(case: Case) -> None:
    """Raise :class:`DisgorgeError` in the middle of an execution, which goes by the decision that it was begun with."""
    if case.withdrawn and not case.partly_done:
        raise DisgorgeError(
            f"request {case.request.id} is being carried out by the decision there is; finish it first with `disgorge "
            f"request resume {case.request.id}`"
        )
