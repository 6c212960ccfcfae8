"""What a person grants and refuses, recorded with who they are and why; what the packs decided stays in the ledger."""

from collections.abc import Collection

from disgorge.errors import DisgorgeError
from disgorge.request.case import Case, open_case
from disgorge.request.held_items import require_all_unheld
from disgorge.request.plan_request import impact_of, record_decision, require_current
from lineage.records import plain
from lineage.workspace import Workspace
from policies.decision import Decision
from policies.judging.house import models_learned
from policies.judging.review import grant, refuse
from policies.taxonomy import Outcome, Refusal, Scope


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
    workspace.ledger.append("decision", {"request": request_id, "decision": plain(granted)})
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
    workspace.ledger.append("decision", {"request": request_id, "decision": plain(refused)})
    return refused


def _decided(workspace: Workspace, request_id: str) -> tuple[Case, Decision]:
    """Return an open case and its decision, which is current."""
    case = open_case(workspace, request_id)
    if case.decision is None:
        raise DisgorgeError(f"request {request_id} is not decided; run `disgorge request decide {request_id}` first")
    require_current(case)
    return case, case.decision


def _require_not_under_way(case: Case) -> None:
    """Raise :class:`DisgorgeError` in the middle of an execution, which goes by the decision that it was begun with."""
    if case.withdrawn and not case.partly_done:
        raise DisgorgeError(
            f"request {case.request.id} is being carried out by the decision there is; finish it first with `disgorge "
            f"request resume {case.request.id}`"
        )
