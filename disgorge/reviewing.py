"""What a person grants, recorded with who they are and why; what the packs decided stays in the ledger before it."""

from disgorge.docket import open_case
from disgorge.errors import DisgorgeError
from disgorge.held_items import require_all_unheld
from disgorge.requests import record_decision, require_current
from lineage.ledger import Ledger
from policies.decision import Decision
from policies.review import grant
from policies.taxonomy import Scope


def grant_request(ledger: Ledger, request_id: str, *, by: str, reason: str, scope: Scope | None = None) -> Decision:
    """Record that ``by`` (kept as a pseudonym) grants a request that needs review, and why.

    ``scope`` carries out more than is owed. Raises :class:`~policies.errors.BadRequest` for a request that does not
    need review.
    """
    case = open_case(ledger, request_id)
    if case.decision is None:
        raise DisgorgeError(f"request {request_id} is not decided; run `disgorge request decide {request_id}` first")
    require_current(case)
    require_all_unheld(ledger, case, before="it is granted")
    granted = grant(case.decision, by=ledger.pseudonym(by), reason=reason, today=ledger.today(), scope=scope)
    return record_decision(ledger, case, granted)
