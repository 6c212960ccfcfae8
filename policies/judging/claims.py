"""Each pack's own claim: what it comes to, what it would owe, and by when it is answered, a refusal too.

Within one pack on hold beats denied beats needs review beats granted. Between packs nothing is beaten: a refusal ends
the claim under its own pack and leaves what another pack grants. What several owe together is the strongest of each
kind: guarantee, approvals, utility floor, scope, confinement; equal bits if any asks for them; the earliest deadline;
only families that all admit; all evidence and notices. Packs that decide nothing add to every claim.
"""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from policies.decision import Claim, Duty, Owed
from policies.events import EventKind
from policies.judging.fired import Fired, PackResult, day_of, outcomes
from policies.packs.rules import DutySpec
from policies.request import RemovalRequest
from policies.taxonomy import Confinement, Family, Guarantee, Outcome, Refusal, Scope

SEVERITY = {outcome: rank for rank, outcome in enumerate(Outcome)}
_REFUSALS = {refusal: rank for rank, refusal in enumerate(Refusal)}


def claim_of(
    result: PackResult,
    *,
    guards: Sequence[Fired],
    additions: Sequence[Fired],
    request: RemovalRequest,
    facts: Mapping[str, Any],
) -> Claim:
    """Return what one pack says by itself, under the guards of its claim and with what other packs add to every one."""
    fired = [*result.fired, *guards]
    outcome = max(outcomes(fired), key=SEVERITY.__getitem__)
    answer = min((item.deadline for item in result.fired if item.deadline), default=None)
    duties = [*duties_of(result.fired, "duties", request=request, answer=answer, facts=facts)]
    refusing = [*duties_of(result.fired, "on_refusal", request=request, answer=answer, facts=facts)]
    if not refusing and result.pack.claims:
        words = "the requester: that nothing is removed under this claim, and why"
        refusing = [Duty(words, answer, f"{result.pack.pack}/answer", done_by=EventKind.REFUSAL_TOLD)]
    if outcome is Outcome.DENIED:
        duties += [
            Duty(
                "the requester: that the request was received",
                item.acknowledge,
                item.name,
                done_by=EventKind.ACKNOWLEDGED,
            )
            for item in result.fired
            if item.acknowledge
        ]
    return Claim(
        pack=result.pack.pack,
        title=result.pack.title,
        outcome=outcome,
        category=category_of(fired, outcome),
        refusal=refusal_of(fired, outcome),
        owed=None if outcome is Outcome.DENIED else owed_of([*fired, *additions]),
        answer_by=answer,
        no_answer_day="" if answer else _no_day(result),
        duties=tuple(duties),
        on_refusal=tuple(refusing),
    )


def _no_day(result: PackResult) -> str:
    """Return why no period for the answer runs."""
    unclear = [
        item.reason.words
        for item in result.fired
        if not item.reason.fired and item.reason.rule.startswith(("deadline-", "applies-"))
    ]
    if unclear:
        return f"no day can be given: {'; '.join(unclear)}"
    waiting = [due.counted for item in result.fired for due in item.deadlines if due.by is None]
    if waiting:
        return f"no day can be given now: {'; '.join(waiting)}"
    if any(rule.then.due for rule in result.pack.rules):
        return f"no rule of {result.pack.pack} that fired sets a day for the answer"
    return f"{result.pack.pack} sets no day for an answer"


def duties_of(
    fired: Iterable[Fired], kind: str, *, request: RemovalRequest, answer: dt.date | None, facts: Mapping[str, Any]
) -> Iterator[Duty]:
    """Yield the duties (``duties`` or ``on_refusal``) of rules that fired, with their days."""
    for item in fired:
        specs: tuple[DutySpec, ...] = getattr(item.effect, kind)
        for spec in specs:
            start = request.received if spec.counted_from == "receipt" else answer
            deadline = spec.by or spec.until
            day, problem = (None, "") if start is None else day_of(deadline, start, facts, request.events)
            if not problem and deadline is not None and not deadline.read:
                problem = "the text that sets this day was NOT READ when the rule was written"
            words = f"{spec.words} ({problem})" if problem else spec.words
            yield Duty(words, day, item.name, lasts=spec.until is not None, done_by=spec.done_by)


def category_of(fired: Iterable[Fired], outcome: Outcome) -> str | None:
    """Return the category of the rule of this outcome that asks for most."""
    winners = sorted((item for item in fired if item.outcome is outcome), key=_weight, reverse=True)
    return next((item.effect.category for item in winners if item.effect.category), None)


def refusal_of(fired: Iterable[Fired], outcome: Outcome) -> Refusal | None:
    """Return the reason of refusal that comes first in the fixed list; None for another outcome."""
    if outcome is not Outcome.DENIED:
        return None
    reasons = (item.effect.refusal for item in fired if item.outcome is outcome and item.effect.refusal)
    return min(reasons, key=_REFUSALS.__getitem__, default=None)


def _weight(item: Fired) -> tuple[bool, int]:
    """Order rules of one outcome by how much they ask for."""
    return item.effect.scope is Scope.WHOLE_LINEAGE, item.effect.promised or Guarantee.NONE


def families_of(fired: Iterable[Fired]) -> tuple[Family, ...]:
    """Return the families that every rule admits."""
    admitted = [set(item.effect.families) for item in fired if item.effect.families is not None]
    return tuple(family for family in Family if all(family in some for some in admitted))


def owed_of(fired: Sequence[Fired]) -> Owed | None:
    """Return what rules ask for together; None if none of them asks for a guarantee."""
    if all(item.effect.promised is None for item in fired):
        return None
    return strongest([_owed_by(item) for item in fired])


def _owed_by(item: Fired) -> Owed:
    """Return what one rule asks for, with the least of each kind where it asks for nothing."""
    effect, shown = item.effect, item.confinement
    return Owed(
        guarantee=effect.promised or Guarantee.NONE,
        families=tuple(Family) if effect.families is None else effect.families,
        scope=scope_of([item]) or Scope.DATA_ONLY,
        deadline=item.deadline,
        acknowledge_by=item.acknowledge,
        approvals=effect.approvals or 1,
        evidence=effect.evidence,
        notices=effect.notices,
        utility_floor=effect.utility_floor,
        deadlines=item.deadlines,
        spared=item.spared,
        confinement=shown.accepts,
        equal_bits=shown.equal_bits,
    )


def strongest(owed: Sequence[Owed]) -> Owed:
    """Return what several claims owe together: at least one is given."""
    floors = [each.utility_floor for each in owed if each.utility_floor is not None]
    confinement = max((each.confinement for each in owed), key=lambda level: level.rank)
    return Owed(
        guarantee=max(each.guarantee for each in owed),
        families=tuple(family for family in Family if all(family in each.families for each in owed)),
        scope=max((each.scope for each in owed), key=list(Scope).index),
        deadline=min((each.deadline for each in owed if each.deadline), default=None),
        acknowledge_by=min((each.acknowledge_by for each in owed if each.acknowledge_by), default=None),
        approvals=max(each.approvals for each in owed),
        evidence=tuple(sorted({name for each in owed for name in each.evidence})),
        notices=tuple(dict.fromkeys(notice for each in owed for notice in each.notices)),
        utility_floor=max(floors, default=None),
        deadlines=tuple(dict.fromkeys(due for each in owed for due in each.deadlines)),
        spared=tuple(dict.fromkeys(words for each in owed for words in each.spared)),
        confinement=confinement,
        equal_bits=confinement is Confinement.PROCESS or any(each.equal_bits for each in owed),
    )


def scope_of(fired: Iterable[Fired]) -> Scope | None:
    """Return the strongest scope that is asked for; a rule that owes a guarantee and names none means influence."""
    asked = [item.effect.scope or Scope.INFLUENCE for item in fired if item.effect.promised or item.effect.scope]
    return max(asked, key=list(Scope).index, default=None)
