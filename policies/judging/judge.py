"""Judges a request by the packs: each decides its own claim, and the house guards what cannot be undone.

How claims combine (ours, and the same whatever the order of the packs):

- a hold, of any pack or the house, beats everything; selectors that match nothing are refused;
- a guard of the house (:mod:`policies.judging.house`) sends to a person what would be granted;
- else it is granted if any claim is: a refusal ends its own pack's claim only (:mod:`policies.judging.claims`), and
  what the granted claims owe together is owed;
- else it needs review if any claim does; else every claim is refused, and so is the request;
- nothing is granted unless a rule grants it, or the operator decides for itself.

A decision is a function of its arguments: no clock, no file, no order of arrival.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from lineage.records import Impact, digest_of
from policies.decision import Claim, Decision, Duty
from policies.errors import BadPack, BadRequest
from policies.judging import house
from policies.judging.claims import SEVERITY, category_of, claim_of, duties_of, families_of, owed_of, refusal_of
from policies.judging.fired import NO_DEMAND, Fired, PackResult, evaluate, of_the_house, outcomes
from policies.judging.unknown_words import Suppositions
from policies.packs.conditions import context_of
from policies.packs.facts import misfits, plain_facts, regimes_of
from policies.packs.rules import Pack
from policies.request import RemovalRequest
from policies.taxonomy import Defect, Outcome, Scope
from policies.vocabulary.impact_words import words_of


@dataclass(frozen=True, slots=True)
class _Judged:
    """Everything that fired, sorted by what it may do, before it is put together."""

    results: tuple[PackResult, ...]
    claims: tuple[Claim, ...]
    claim_guards: tuple[Fired, ...]
    additions: tuple[Fired, ...]
    """Rules of packs that claim nothing: they add to what every claim owes."""
    holds: tuple[Fired, ...]
    unmatched: tuple[Fired, ...]
    guards: tuple[Fired, ...]
    own: tuple[Fired, ...]

    @property
    def house(self) -> tuple[Fired, ...]:
        """The rules of the house that fired, each once."""
        of_packs = {item for result in self.results for item in result.fired}
        listed = (*self.own, *self.holds, *self.unmatched, *self.claim_guards, *self.guards)
        return tuple(item for item in dict.fromkeys(listed) if item not in of_packs)

    @property
    def everything(self) -> tuple[Fired, ...]:
        """Everything that fired, packs first."""
        return (*(item for result in self.results for item in result.fired), *self.house)

    def outcome(self) -> Outcome:
        """What all of it comes to."""
        alone = {claim.outcome for claim in self.claims} | {*_strongest(self.own)}
        if self.holds:
            return Outcome.ON_HOLD
        if self.unmatched:
            return Outcome.DENIED
        if alone and alone <= {Outcome.DENIED}:
            return Outcome.DENIED
        return Outcome.GRANTED if Outcome.GRANTED in alone and not self.guards else Outcome.NEEDS_REVIEW

    def owing(self, outcome: Outcome) -> tuple[Fired, ...]:
        """The rules that say what is owed: of granted claims, or of those that a person could still grant."""
        wanted = {Outcome.GRANTED} if outcome is Outcome.GRANTED else {*Outcome} - {Outcome.DENIED}
        packs = {claim.pack for claim in self.claims if claim.outcome in wanted}
        rules = [item for result in self.results if result.pack.pack in packs for item in result.fired]
        return (*rules, *self.own, *self.additions)


def decide(
    request: RemovalRequest, impact: Impact, packs: Sequence[Pack], *, today: dt.date, latest: dt.date | None = None
) -> Decision:
    """Return what is decided about a request and what it is owed, with every rule that fired as a reason.

    ``latest`` is the last date that is today somewhere on earth, a day after ``today`` by default. Raises
    :class:`BadRequest` for a fact that is no plain value or a date of receipt or of an event after that, and
    :class:`BadPack` for two packs of one name. Everything that could not be evaluated leads to a review, never to a
    rule silently left out.
    """
    if isinstance(request.received, dt.datetime):
        raise BadRequest(f"request {request.id}: the date of receipt has a time of day; give a date (YYYY-MM-DD)")
    last = max(latest or today, today + dt.timedelta(days=1) if today < dt.date.max else today)
    if request.received > last:
        raise BadRequest(f"request {request.id} was received on {request.received}, after today ({today}); correct it")
    if any(event.on > last for event in request.events):
        raise BadRequest(f"request {request.id} has an event after today ({today}); correct its day")
    names = [pack.pack for pack in packs]
    if len(set(names)) < len(names):
        raise BadPack(f"two packs have one name among {', '.join(sorted(names))}; rename one")
    facts = plain_facts(request)
    regimes = regimes_of(request, facts)
    seen = partial(context_of, request, impact, facts=facts, regimes=regimes, today=today.isoformat())
    unsure = Suppositions.of(impact, words_of(impact), lambda words: seen(words=words))
    context = seen()
    found = (evaluate(pack, context, request, facts, unsure) for pack in sorted(packs, key=lambda pack: pack.pack))
    results = tuple(each for each in found if each is not None)
    judged = _judged(request, impact, results, facts, doubts=tuple(misfits(facts, regimes, packs)))
    return _together(request, impact, judged, facts, packs=digest_of(sorted(p.digest for p in packs)), today=today)


def _judged(
    request: RemovalRequest,
    impact: Impact,
    results: tuple[PackResult, ...],
    facts: dict[str, Any],
    *,
    doubts: Iterable[str],
) -> _Judged:
    """Sort what fired, and decide each pack's claim by itself."""
    unmatched = tuple(house.unmatched(impact))
    adding = [each for each in results if not each.pack.claims and not _refuses(each)]
    additions = tuple(item for each in adding for item in each.fired)
    claims, claim_guards = [], list[Fired]()
    for each in results:
        if not each.decides or each in adding:
            continue
        of_claim = [*house.guards_of_claim(request, impact, each), *unmatched]
        claim_guards += of_claim
        claims.append(claim_of(each, guards=of_claim, additions=additions, request=request, facts=facts))
    fired = [item for each in results for item in each.fired]
    own = tuple(house.own_decision(request, impact))
    holds = (*(item for item in fired if item.outcome is Outcome.ON_HOLD), *house.held(request))
    refused = {claim.pack for claim in claims if claim.outcome is Outcome.DENIED}
    guards = (
        *house.guards(impact),
        *house.beyond(request.id, impact, [*(item for item in fired if item.reason.pack not in refused), *own]),
        *house.doubts(doubts),
        *(item for item in fired if not item.reason.fired),
        *(item for item in additions if item.outcome is Outcome.NEEDS_REVIEW),
    )
    decided = claims or own or holds or unmatched or any(item.reason.fired and item.outcome for item in guards)
    return _Judged(
        results=results,
        claims=tuple(claims),
        claim_guards=tuple(claim_guards),
        additions=additions,
        holds=holds,
        unmatched=unmatched,
        guards=guards if decided else (*guards, house.undecided(request)),
        own=own,
    )


def _refuses(result: PackResult) -> bool:
    """Whether a pack by itself refuses."""
    return {*_strongest(result.fired)} == {Outcome.DENIED}


def _strongest(fired: Iterable[Fired]) -> Iterator[Outcome]:
    """Yield the outcome that beats the others within one pack, if there is any."""
    present = [*outcomes(fired)]
    if present:
        yield max(present, key=SEVERITY.__getitem__)


def _together(
    request: RemovalRequest,
    impact: Impact,
    judged: _Judged,
    facts: dict[str, Any],
    *,
    packs: str,
    today: dt.date,
) -> Decision:
    """Return the decision that everything comes to."""
    outcome = judged.outcome()
    fired, owing = judged.everything, judged.owing(outcome)
    if outcome is not Outcome.DENIED and not families_of(owing):
        no_family = of_the_house(
            "no-family", "the rules that fired admit no family of methods in common", Outcome.NEEDS_REVIEW
        )
        fired = (*fired, no_family)
        outcome = max(outcome, Outcome.NEEDS_REVIEW, key=SEVERITY.__getitem__)
        owing = judged.owing(outcome)
    deciding = _deciding(judged, fired, outcome)
    owed = None if outcome is Outcome.DENIED else owed_of(owing)
    decision = Decision(
        request=request.id,
        outcome=outcome,
        category=category_of(deciding, outcome) or f"{request.regime}/{request.ground.value}",
        owed=owed,
        refusal=refusal_of(deciding, outcome),
        reasons=tuple(item.reason for item in fired),
        packs=packs,
        decided=today,
        overrides=tuple(dict.fromkeys(_overrides(judged, deciding, owing, outcome, core=impact.hits_core))),
        claims=judged.claims,
        duties=tuple(dict.fromkeys(_duties(request, judged, facts, outcome))),
    )
    return _with_sentence(decision, request)


def _deciding(judged: _Judged, fired: Sequence[Fired], outcome: Outcome) -> list[Fired]:
    """Return the rules that the outcome rests on or that it beat; refused claims are no part of a grant or review."""
    refused = {claim.pack for claim in judged.claims if claim.outcome is Outcome.DENIED}
    if outcome in (Outcome.ON_HOLD, Outcome.DENIED):
        return [*fired]
    left_open = {claim.pack for claim in judged.claims if claim.outcome is not Outcome.GRANTED}
    apart = refused | left_open if outcome is Outcome.GRANTED else refused
    beaten = outcome is Outcome.GRANTED
    return [
        item
        for item in fired
        if item.reason.pack not in apart and not (beaten and item.outcome is Outcome.NEEDS_REVIEW)
    ]


def _duties(request: RemovalRequest, judged: _Judged, facts: dict[str, Any], outcome: Outcome) -> Iterator[Duty]:
    """Yield what is owed beside the removal, by the claims as they were decided and by packs that add to them."""
    waits = outcome is Outcome.ON_HOLD
    for claim in judged.claims:
        yield from claim.duties
        if waits or claim.outcome is Outcome.DENIED:
            yield from claim.on_refusal
    for kind in ("duties", "on_refusal") if waits or outcome is Outcome.DENIED else ("duties",):
        yield from duties_of(judged.additions, kind, request=request, answer=None, facts=facts)


def _with_sentence(decision: Decision, request: RemovalRequest) -> Decision:
    """Return the decision with a sentence why no day runs, where none does."""
    if decision.due is not None:
        return decision
    if request.ground is Defect.OWN_DECISION:
        why = "no period runs: there is no claimant, and the operator sets its own day"
    elif decision.claims:
        why = "; ".join(dict.fromkeys(claim.no_answer_day for claim in decision.claims))
    else:
        why = f"no period is known: no pack decides anything under the regime {request.regime}"
    return replace(decision, no_due=why)


def _overrides(
    judged: _Judged, deciding: Sequence[Fired], owing: Sequence[Fired], outcome: Outcome, *, core: bool
) -> Iterator[str]:
    """Return in words which rule prevailed over which, wherever two asked for different things."""
    yield from _prevailing(deciding, "outcome", lambda f: f.outcome, SEVERITY.__getitem__, str)
    if outcome is not Outcome.ON_HOLD:
        apart = {claim.pack for claim in judged.claims if claim.outcome is not outcome}
        for result in (each for each in judged.results if each.pack.pack in apart):
            yield from _prevailing(result.fired, "outcome", lambda f: f.outcome, SEVERITY.__getitem__, str)
    if outcome is not Outcome.DENIED and not judged.holds:
        others = [claim.pack for claim in judged.claims if claim.outcome is not Outcome.DENIED]
        for claim in judged.claims:
            if claim.outcome is Outcome.DENIED and others:
                yield f"refused under {claim.pack}: this ends that claim only, not what {' and '.join(others)} gives"
    yield from _prevailing(owing, "guarantee", lambda f: f.effect.promised, int, lambda value: value.label)
    yield from _prevailing(owing, "scope", lambda f: f.effect.scope, list(Scope).index, str)
    yield from _prevailing(owing, "deadline", lambda f: f.deadline, lambda day: -day.toordinal(), str)
    yield from _prevailing(owing, "acknowledgement", lambda f: f.acknowledge, lambda day: -day.toordinal(), str)
    yield from _prevailing(owing, "approvals", lambda f: f.effect.approvals, int, str)
    yield from _prevailing(owing, "utility floor", lambda f: f.effect.utility_floor, float, str)
    shown = [item for item in owing if item.reason.fired and item.confinement != NO_DEMAND]
    yield from _prevailing(
        shown, "confinement", lambda f: f.confinement.accepts, lambda level: level.rank, str, _pack_of
    )
    yield from _prevailing(
        shown, "equal bits", lambda f: f.confinement.equal_bits, int, lambda asked: "asked" if asked else "not asked",
        _pack_of,
    )  # fmt: skip
    reaching = [item.name for item in owing if item.effect.reaches_core]
    if core and reaching:
        yield f"core: {', '.join(reaching)} holds for data declared not removable, too"


def _pack_of(item: Fired) -> str:
    return item.reason.pack


def _prevailing(
    fired: Sequence[Fired],
    label: str,
    value: Callable[[Fired], Any],
    rank: Callable[[Any], Any],
    words: Callable[[Any], str],
    named: Callable[[Fired], str] = lambda item: item.name,
) -> Iterator[str]:
    asked: dict[Any, dict[str, None]] = {}
    for item in fired:
        if (wanted := value(item)) is not None:
            asked.setdefault(wanted, {})[named(item)] = None
    best, *rest = sorted(asked, key=rank, reverse=True) or [None]
    for other in rest:
        yield f"{label}: {words(best)} ({', '.join(asked[best])}) beats {words(other)} ({', '.join(asked[other])})"
