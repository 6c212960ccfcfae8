"""Decisions about a request, by the packs and by people, and how it ends without a removal of its own."""

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from disgorge.removal import containment, fulfilled_by
from disgorge.removal.conflicts import keepers
from disgorge.request.case import Case, case_of
from disgorge.request.history.case_words import held_meanwhile, next_lines, owed_on_refusal
from disgorge.request.history.earlier import Earlier, earlier_requests, said
from disgorge.request.holds.open import open_holds
from disgorge.request.particulars import is_erased, selectors_of
from disgorge.request.workflow.decide import decide_request, extend_deadline, grant_request, refuse_claims
from disgorge.request.workflow.filing import deny_request
from disgorge.result import Result, require_name, require_reason, several, with_words
from disgorge.tracking.registry import registry_or_none
from lineage.records import Json, plain
from lineage.workspace import Workspace
from policies.decision import Decision
from policies.judging.explain import explain
from policies.judging.held import duties
from policies.judging.review import ALL
from policies.packs.facts import regimes_of, require_regimes
from policies.packs.load import load_packs
from policies.packs.rules import Pack
from policies.taxonomy import Outcome, Refusal, Scope


@dataclass(frozen=True, slots=True)
class Decided(Result):
    """A decision, and earlier requests for the same data where the packs made it."""

    decision: Decision
    earlier: tuple[Earlier, ...] = ()

    def plain(self) -> Json:
        """Return the decision, with the earlier requests and their words."""
        return plain(self.decision) | {"earlier": with_words(self.earlier)}


def decide(workspace: Workspace, request: str, *, packs: Path | None = None) -> Decided:
    """Judge a request by the policy packs and record the decision with its reasons.

    A request under a regime of your own is decided, and decided again, with the ``packs`` that it was filed with.
    """
    case = case_of(workspace, request)
    judged, before = _packs_judging(case, packs), case.decision
    decision = decide_request(workspace, request, judged)
    earlier, case = earlier_requests(workspace, request), case_of(workspace, request)
    lines = []
    if before is not None and before.digest == decision.digest:
        lines.append("decided again, and nothing changed: the decision, its plan and approvals stand")
    lines += [*explain(decision, case.judged).splitlines(), *held_meanwhile(case)]
    if decision.refusal is Refusal.NO_MATCH and not is_erased(workspace, case.request):
        lines += [f"note: {words}" for words in keepers(workspace, selectors_of(workspace, case.request))]
    if decision.outcome is Outcome.ON_HOLD:
        lines += [f"while it is held: {words}" for words in duties(case.request)]
    lines += [*(f"note: {words}" for words in said(earlier, case)), *next_lines(case)]
    return Decided(decision, earlier, shown=tuple(lines))


def grant(
    workspace: Workspace,
    request: str,
    *,
    by: str,
    reason: str,
    scope: Scope | None = None,
    claims: str | Collection[str] = (),
) -> Decided:
    """Grant a request that the rules left to a person, with a reason that reports show.

    Where the claims of several packs wait, ``claims`` says which are granted; the others wait on. ``scope`` carries out
    more than is owed.
    """
    by, reason, claims = require_name(by, "grants it"), require_reason(reason), several(claims)
    decision = grant_request(workspace, request, by=by, reason=reason, scope=scope, claims=claims)
    under = "" if not claims or ALL in claims else f" under {' and '.join(dict.fromkeys(claims))}"
    words = f"{request} is granted{under}: {decision.reasons[-1].words}"
    return Decided(decision, shown=(words, *next_lines(case_of(workspace, request))))


def deny_claims(
    workspace: Workspace, request: str, *, by: str | None, reason: Refusal, claims: str | Collection[str]
) -> Decided:
    """Refuse the claims of some packs, and say what is owed with that; the request goes on under the others."""
    by, reason, claims = require_name(by, "refuses the claim"), Refusal(reason), several(claims)
    decision = refuse_claims(workspace, request, by=by, reason=reason, claims=claims)
    owed = (duty for refused in decision.claims if refused.pack in claims for duty in refused.on_refusal)
    lines = (
        f"{request} is refused under {' and '.join(dict.fromkeys(claims))}: {reason.value}; it stays open",
        *(f"owed with that: {duty.said} [{duty.rule}]" for duty in owed),
        *next_lines(case_of(workspace, request)),
    )
    return Decided(decision, shown=lines)


@dataclass(frozen=True, slots=True)
class Extended(Result):
    """By when a request is due now."""

    request: str
    due: dt.date


def extend(workspace: Workspace, request: str, *, reason: str, packs: Path | None = None) -> Extended:
    """Extend the deadline as far as the rules allow; the requester must be told, and why."""
    require_reason(reason)
    judging = _packs_judging(case_of(workspace, request), packs)
    due = extend_deadline(workspace, request, judging, reason=reason)
    return Extended(request, due, shown=(f"{request} is due by {due}; tell the requester, and why",))


@dataclass(frozen=True, slots=True)
class Closed(Result):
    """How a request ended without a removal of its own; ``extra`` are the facts of that ending."""

    request: str
    state: str
    extra: dict[str, Json]

    def plain(self) -> Json:
        """Return the state and the facts of that ending."""
        return {"request": self.request, "state": self.state} | plain(self.extra)


def take_back(workspace: Workspace, request: str, *, by: str) -> Closed:
    """Close a request that its requester took back; ``by`` records that."""
    by = require_name(by, "records that it was taken back")
    notes = containment.take_back(workspace, request, by=by, registrar=registry_or_none(workspace))
    lines = (f"{request} is taken back", *(f"note: {words}" for words in notes))
    return Closed(request, "taken-back", {"notes": notes}, shown=lines)


def close_fulfilled(workspace: Workspace, request: str, *, by_request: str) -> Closed:
    """Close a request whose items were all removed for another one, done and certified, with a report of its own."""
    written = fulfilled_by.close_fulfilled(
        workspace, request, by_request=by_request, registrar=registry_or_none(workspace)
    )
    values = {"by_request": by_request, "verdict": written.verdict, "bundle": str(written.bundle)}
    words = f"{request} is fulfilled by {by_request}; the report is {written.bundle}, to hand over: "
    return Closed(request, "fulfilled", values, shown=(f"{words}{written.bundle}.zip",))


def deny(workspace: Workspace, request: str, *, reason: Refusal) -> Closed:
    """Close a request without removing anything, and say what is owed with the refusal, and by when."""
    reason, notes = Refusal(reason), tuple[str, ...]()
    if case_of(workspace, request).steps:
        notes = containment.deny_begun(workspace, request, reason=reason.value, registrar=registry_or_none(workspace))
    else:
        deny_request(workspace, request, reason=reason.value)
    case, earlier = case_of(workspace, request), earlier_requests(workspace, request)
    words = f"{request} is denied: {reason.value}"
    if reason is Refusal.FILED_IN_ERROR:
        words += "; its id stays taken, so that what was filed can be read: file the right one under a new id"
    undecided = "note: it was never decided, so no pack was asked what is owed with the refusal, and by when"
    lines = [words, *(f"note: {note}" for note in (*notes, *said(earlier, case)))]
    lines += [undecided] if case.decision is None else owed_on_refusal(case)
    lines += [
        f"note: its data stays on hold ({held.words}) and binds other requests, until that is lifted with "
        f"`disgorge request hold {request} --lift --reason TEXT`"
        for held in open_holds(case)
    ]
    values = {"reason": reason.value, "owed": case.owed_on_refusal, "earlier": with_words(earlier), "notes": notes}
    return Closed(request, "denied", values, shown=tuple(lines))


def _packs_judging(case: Case, source: Path | None) -> tuple[Pack, ...]:
    """Return the packs to judge a request by; :class:`BadRequest` where none of them covers one of its regimes.

    Without that, a request filed under a custom pack would be decided as if no rule existed for it, or denied by
    one law while the other is not asked.
    """
    packs = load_packs(source)
    require_regimes(regimes_of(case.judged, dict(case.judged.facts)), packs, ground=case.request.ground)
    return packs
