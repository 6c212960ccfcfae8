"""What a person grants, recorded with who they are and why; what the packs decided stays in the ledger before it."""

from disgorge.docket import open_case
from disgorge.errors import DisgorgeError
from disgorge.requests import require_current
from lineage.ledger import Ledger
from lineage.records import plain
from policies.decision import Decision
from policies.review import grant


def grant_request(ledger: Ledger, request_id: str, *, by: str, reason: str) -> Decision:
    """Record that ``by`` (kept as a pseudonym) grants a request that needs review, and why.

    Raises :class:`~policies.errors.BadRequest` for a request that does not need review.
    """
    case = open_case(ledger, request_id)
    if case.decision is None:
        raise DisgorgeError(f"request {request_id} is not decided; run `disgorge request decide {request_id}` first")
    require_current(case)
    granted = grant(case.decision, by=ledger.pseudonym(by), reason=reason, today=ledger.today())
    ledger.append("decision", {"request": request_id, "decision": plain(granted)})
    return granted
