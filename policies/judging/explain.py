"""Explains a decision in plain words: what was decided, each pack's claim, what is owed and by when, which rules fired.

>>> from policies.decision import Decision
>>> from policies.request import RemovalRequest, Standing
>>> from policies.taxonomy import Defect, Outcome
>>> from lineage.records import Selector
>>> asked = RemovalRequest(
...     "r-1", Standing.INTERNAL, Defect.BIAS, "quality", (Selector("shard", "a"),), dt.date(2026, 3, 2)
... )
>>> print(explain(Decision("r-1", Outcome.NEEDS_REVIEW, "bias", None, None, (), "", dt.date(2026, 3, 3)), asked))
Request r-1: NEEDS REVIEW. A person must decide it; nothing is removed until then.
Asked on 2026-03-02 by a member of staff, under quality, on the ground of bias. Decided on 2026-03-03 as: bias.
<BLANKLINE>
This applies rules kept as data; it is not legal advice.
"""

import datetime as dt
from collections.abc import Iterable

from policies.decision import Claim, Decision, DueBy, Duty, Owed, Reason
from policies.events import receipt_confirmed
from policies.packs.facts import regimes_of
from policies.request import RemovalRequest, Standing
from policies.taxonomy import Defect, Outcome, Part, Scope

_OUTCOMES = {
    Outcome.GRANTED: "GRANTED. The data and its effects on every component must go.",
    Outcome.NEEDS_REVIEW: "NEEDS REVIEW. A person must decide it; nothing is removed until then.",
    Outcome.DENIED: "DENIED. Nothing is removed.",
    Outcome.ON_HOLD: "ON HOLD. The data must be kept for now; nothing is removed until the hold ends.",
}
_ASKERS = {
    Standing.DATA_SUBJECT: "a data subject",
    Standing.CONTRIBUTOR: "a contributor",
    Standing.RIGHTS_HOLDER: "a rights holder",
    Standing.CUSTOMER: "a customer",
    Standing.REGULATOR: "a regulator",
    Standing.INTERNAL: "a member of staff",
}
_SCOPES = {
    Scope.DATA_ONLY: "the data alone; models that learned from it are not touched",
    Scope.NEXT_VERSION: "the data now, and its influence from the next version of each model on",
    Scope.INFLUENCE: "the influence of the data on every component it reached",
    Scope.WHOLE_LINEAGE: "everything built on the data in whole or in part; removing only a part does not do",
}


def explain(decision: Decision, request: RemovalRequest) -> str:
    """Return a decision in words, most important first, every rule with its citation and date."""
    return "\n".join(_lines(decision, request))


def _lines(decision: Decision, request: RemovalRequest) -> Iterable[str]:
    yield f"Request {request.id}: {_OUTCOMES[decision.outcome]}"
    yield (
        f"Asked on {request.received} by {_ASKERS[request.standing]}, under "
        f"{' and '.join(regimes_of(request, request.facts))}, on the ground of "
        f"{request.ground.value}. Decided on {decision.decided} as: {decision.category}."
    )
    if decision.refusal is not None:
        yield f"Reason of refusal: {decision.refusal.value}."
    if request.ground is Defect.OWN_DECISION:
        yield "No claim was decided: this is the operator's own decision, and it answers no request."
    if decision.claims:
        yield ""
        yield "What each pack says of its own claim:"
        yield from (f"  - {claim_words(claim)}" for claim in decision.claims)
    if decision.owed is not None:
        yield ""
        yield "What is owed:" if decision.outcome is Outcome.GRANTED else "What would be owed once it is granted:"
        yield from (
            f"  - {line}" for line in _owed(decision.owed, decision, confirmed=receipt_confirmed(request.events))
        )
    if decision.duties or decision.no_due:
        yield ""
        yield "Owed beside the removal:" if decision.outcome is not Outcome.DENIED else "Owed with the refusal:"
        yield from (f"  - {duty_words(duty, decision.decided)}" for duty in decision.duties)
        if decision.no_due:
            yield f"  - no day runs for the request: {decision.no_due}"
    apart = {claim.pack for claim in decision.claims if claim.outcome is not decision.outcome}
    deciding = [said for said in decision.reasons if said.fired and said.outcome is decision.outcome]
    decisive = [said for said in deciding if decision.outcome is not Outcome.GRANTED or said.pack not in apart]
    others = [said for said in decision.reasons if said.fired and said not in decisive]
    unclear = [said for said in decision.reasons if not said.fired]
    for heading, reasons in (
        ("Decided by:", decisive),
        ("Also fired:", others),
        ("Could not be evaluated, so a person must look:", unclear),
    ):
        if reasons:
            yield ""
            yield heading
            yield from (f"  - {_said(said)}" for said in reasons)
    if decision.overrides:
        yield ""
        yield "What overrode what:"
        yield from (f"  - {line}" for line in decision.overrides)
    yield ""
    yield "This applies rules kept as data; it is not legal advice."


def claim_words(claim: Claim) -> str:
    """Return what one pack says of its own claim, in one line."""
    why = f" ({claim.refusal.value})" if claim.refusal else ""
    what = f", as {claim.category}" if claim.category else ""
    shown = f"; shown by {claim.owed.shown_by}" if claim.owed else ""
    answer = f"answer due by {claim.answer_by}" if claim.answer_by else claim.no_answer_day
    return f"{claim.pack} ({claim.title}): {claim.outcome.value.replace('-', ' ')}{why}{what}{shown}; {answer}"


def duty_words(duty: Duty, today: dt.date) -> str:
    """Return a duty in one line, with how far its day is and the rule it rests on."""
    left = _how_far(duty.by, today) if duty.by is not None and not duty.lasts else ""
    return f"{duty.said}{left} [{duty.rule}]"


def _owed(owed: Owed, decision: Decision, *, confirmed: dt.date | None) -> Iterable[str]:
    yield f"guarantee: at least {owed.guarantee.words}"
    yield f"shown by: {owed.shown_by}"
    yield f"scope: {_SCOPES[owed.scope]}"
    yield f"methods admitted: {', '.join(family.value for family in owed.families) or 'none that all rules admit'}"
    if owed.deadline is None:
        yield "deadline: none that can be given now" if owed.stands_still else "deadline: none set"
    else:
        held = decision.outcome is Outcome.ON_HOLD and owed.deadline < decision.decided
        far = " (has passed; a request on hold is not overdue)" if held else _how_far(owed.deadline, decision.decided)
        yield f"deadline: {owed.deadline}{far}"
    yield from (_counted(due, decision.decided) for due in owed.deadlines)
    yield from (f"spared: {words}" for words in owed.spared)
    if owed.acknowledge_by is not None:
        far = (
            _how_far(owed.acknowledge_by, decision.decided)
            if confirmed is None
            else _when_done(owed.acknowledge_by, confirmed)
        )
        yield f"confirm receipt by: {owed.acknowledge_by}{far}"
    yield f"approvals: {owed.approvals}{', under different names' if owed.approvals > 1 else ''}"
    if owed.evidence:
        yield f"checks beyond those of the guarantee: {', '.join(owed.evidence)}"
    if owed.utility_floor is not None:
        yield f"a release must keep {owed.utility_floor:.0%} of its utility, or a person decides again"
    yield from (f"to be told or handed over: {notice}" for notice in owed.notices)


_PARTS = {
    Part.ALL: "",
    Part.DATA: " for the data",
    Part.MODELS: " for the models built on it",
    Part.PUT_BACK: " to put the material back",
}


def _counted(due: DueBy, today: dt.date) -> str:
    """Return a deadline and how its day was counted; how far it is where the deadline of the whole does not say so."""
    day = str(due.by) if due.by else "no day yet"
    window = f"from {due.not_before} to {day}" if due.not_before else day
    if due.of is Part.PUT_BACK and due.by:
        window += _how_far(due.by, today)
    return f"counted by {due.rule}{_PARTS[due.of]}: {window}: {due.counted}"


def _how_far(day: dt.date, today: dt.date) -> str:
    days = (day - today).days
    if days < 0:
        return f" (OVERDUE by {-days} {'day' if days == -1 else 'days'} when decided)"
    return f" ({days} {'day was' if days == 1 else 'days were'} left when decided)"


def _when_done(day: dt.date, done: dt.date) -> str:
    """Return in words when something was done that was due by a day."""
    late = (done - day).days
    return f" (done on {done}{f', {late} days late' if late > 1 else ', a day late' if late == 1 else ''})"


def _said(said: Reason) -> str:
    unread = "" if said.read else "; NOT READ when this rule was written: check the text"
    return f"{said.pack}/{said.rule}: {' '.join(said.words.split())} [{said.citation}, {said.dated}{unread}]"
