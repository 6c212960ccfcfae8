"""Judges a request by the packs: which rules fire, and what they come to together.

How rules combine (ours, and the same whatever the order of the packs):

- outcome: on hold beats denied beats needs review beats granted; nothing is granted unless a rule grants it;
- guarantee, approvals and utility floor: the strongest asked for; deadlines: the earliest;
- scope: whole lineage beats influence; families: only those that every rule admits;
- evidence and notices: all of them.

The house adds what no pack may leave out: a legal hold, a selector that matches nothing, data declared not removable,
a rule that could not be evaluated, a fact that nobody understands. A decision is a function of its arguments: no
clock, no file, no order of arrival.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from lineage.records import Impact, digest_of
from policies.conditions import CannotEvaluate, context_of, holds
from policies.deadlines import due_by
from policies.decision import Decision, DueBy, Owed, Reason
from policies.errors import BadPack, BadRequest
from policies.facts import misfits, plain_facts, regimes_of
from policies.request import RemovalRequest
from policies.rules import Deadline, Effect, Pack
from policies.taxonomy import CARRIED_OUT, Family, Guarantee, Outcome, Part, Refusal, Scope

HOUSE = "house"
HOUSE_CITATION = "rule of this software (ours; no law says it in these words)"
HOUSE_DATED = dt.date(2026, 11, 24)

_SEVERITY = {outcome: rank for rank, outcome in enumerate(Outcome)}
_REFUSALS = {refusal: rank for rank, refusal in enumerate(Refusal)}


@dataclass(frozen=True, slots=True)
class _Fired:
    """A rule that fired, its effect, and the dates it came to for this request."""

    reason: Reason
    effect: Effect
    deadlines: tuple[DueBy, ...] = ()
    acknowledge: dt.date | None = None
    spared: tuple[str, ...] = ()

    @property
    def deadline(self) -> dt.date | None:
        """The earliest day by which something must be removed."""
        return min((due.by for due in self.deadlines if due.by and due.of is not Part.PUT_BACK), default=None)

    @property
    def name(self) -> str:
        return f"{self.reason.pack}/{self.reason.rule}"


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
    context = context_of(request, impact, facts=facts, regimes=regimes, today=today.isoformat())
    fired: list[_Fired] = []
    for pack in sorted(packs, key=lambda pack: pack.pack):
        fired += _look(pack, context, request, facts)
    fired += _house(request, impact, fired, misfits(facts, regimes, packs))
    fired += _beyond(fired)
    families = _families(fired)
    if not families:
        fired.append(
            _own("no-family", "the rules that fired admit no family of methods in common", Outcome.NEEDS_REVIEW)
        )
    overrides = tuple(_overrides(fired, core=impact.hits_core))
    return _together(request, fired, families, overrides, packs=digest_of(sorted(p.digest for p in packs)), today=today)


def _look(pack: Pack, context: Any, request: RemovalRequest, facts: dict[str, Any]) -> Iterable[_Fired]:
    """Return the rules of one pack that fire, and those that could not be evaluated."""
    try:
        if not holds(pack.applies, context):
            return
    except CannotEvaluate as problem:
        yield _own(
            f"applies-{pack.pack}", f"whether the pack {pack.pack} applies is unclear: {problem}", _REVIEW, fired=False
        )
        return
    for rule in pack.rules:
        said = Reason(pack.pack, rule.id, rule.words.strip(), rule.citation.strip(), rule.dated, rule.then.outcome)
        try:
            if not holds(rule.when, context):
                continue
        except CannotEvaluate as problem:
            words = f"could not be evaluated ({problem}): {said.words}"
            yield _Fired(Reason(pack.pack, rule.id, words, said.citation, said.dated, _REVIEW, False), _TO_REVIEW)
            continue
        dates: dict[str, list[DueBy]] = {"deadline": [], "acknowledgement": [], "sparing": []}
        for label, wanted in _clocks(rule.then):
            try:
                dates[label].append(
                    due_by(wanted, request.received, facts, request.events, rule=f"{pack.pack}/{rule.id}")
                )
            except BadRequest as problem:
                words = f"the {label} of {rule.id}: {problem}"
                yield _own(f"{label}-{pack.pack}-{rule.id}", words, _REVIEW, fired=False)
        confirm = next((each.by for each in dates["acknowledgement"]), None)
        yield _Fired(said, rule.then, tuple(dates["deadline"]), confirm, _spared(rule.then, dates["sparing"]))


def _clocks(effect: Effect) -> Iterable[tuple[str, Deadline]]:
    """Yield every deadline that an effect has, with what it is for."""
    yield from (("deadline", deadline) for deadline in effect.due)
    if effect.acknowledge is not None:
        yield "acknowledgement", effect.acknowledge
    if effect.spares is not None and effect.spares.by is not None:
        yield "sparing", effect.spares.by


def _spared(effect: Effect, by: Sequence[DueBy]) -> tuple[str, ...]:
    if effect.spares is None:
        return ()
    day = next((f" until {each.by}" for each in by if each.by), "")
    return (f"{effect.spares.words.strip()}{day}",)


_REVIEW = Outcome.NEEDS_REVIEW
_TO_REVIEW = Effect(outcome=Outcome.NEEDS_REVIEW)


def _own(rule: str, words: str, outcome: Outcome, fired: bool = True, **more: Any) -> _Fired:
    said = Reason(HOUSE, rule, words, HOUSE_CITATION, HOUSE_DATED, outcome, fired)
    return _Fired(said, Effect(outcome=outcome, **more))


def _house(request: RemovalRequest, impact: Impact, fired: Sequence[_Fired], doubts: Iterable[str]) -> Iterable[_Fired]:
    """Return the rules that hold whatever the packs say."""
    yield from (_own("facts", doubt, _REVIEW, fired=False) for doubt in doubts)
    if request.legal_hold or request.facts.get("legal_hold") is True:
        words = (
            "the data is under a legal hold: it must be preserved, and the hold beats every removal until it is lifted"
        )
        yield _own("legal-hold", words, Outcome.ON_HOLD, category="legal-hold")
    if impact.items == 0:
        words = "no item matches the selectors, so there is nothing to remove"
        yield _own("no-match", words, Outcome.DENIED, refusal=Refusal.NO_MATCH)
    if impact.hits_core and not any(item.effect.reaches_core for item in fired):
        words = (
            "an item is in a shard declared not removable (core): everything built on it is affected, and no rule that "
            "fired reaches that far; a person decides"
        )
        yield _own("core", words, _REVIEW)
    if not any(item.effect.outcome and item.reason.fired for item in fired):
        words = f"no rule decides this request (regime {request.regime}, {request.standing.value}); a person decides"
        yield _own("nothing-fired", words, _REVIEW)


def _beyond(fired: Sequence[_Fired]) -> Iterable[_Fired]:
    """Send to a person what the rules that fired ask for and this software cannot carry out."""
    scope = _scope(fired)
    if scope is not None and scope not in CARRIED_OUT:
        yield _own(
            "scope", f"what is owed is {_BEYOND[scope]}; a person decides whether to remove more than that", _REVIEW
        )
    for spared in dict.fromkeys(words for item in fired for words in item.spared):
        words = (
            f"spared: {spared}. Which items those are is not looked up here; a person grants the request once its "
            f"selectors leave them out, or denies it"
        )
        yield _own("spared", words, _REVIEW)


_BEYOND = {
    Scope.DATA_ONLY: (
        "the removal of the data alone, and a removal here always takes its influence on models along, so it would "
        "destroy models that nobody wants destroyed"
    ),
    Scope.NEXT_VERSION: (
        "the removal from each model's next version on, and a removal here takes the versions in service along at once"
    ),
}


def _scope(fired: Sequence[_Fired]) -> Scope | None:
    """Return the strongest scope that is asked for; a rule that owes a guarantee and names none means influence."""
    asked = [item.effect.scope or Scope.INFLUENCE for item in fired if item.effect.promised or item.effect.scope]
    return max(asked, key=list(Scope).index, default=None)


def _families(fired: Sequence[_Fired]) -> tuple[Family, ...]:
    admitted = [set(item.effect.families) for item in fired if item.effect.families is not None]
    return tuple(family for family in Family if all(family in some for some in admitted))


def _together(
    request: RemovalRequest,
    fired: Sequence[_Fired],
    families: tuple[Family, ...],
    overrides: tuple[str, ...],
    *,
    packs: str,
    today: dt.date,
) -> Decision:
    outcome = max((item.effect.outcome for item in fired if item.effect.outcome), key=_SEVERITY.__getitem__)
    winners = [item for item in fired if item.effect.outcome is outcome]
    refusals = [item.effect.refusal for item in winners if item.effect.refusal]
    categories = [item.effect.category for item in sorted(winners, key=_weight, reverse=True) if item.effect.category]
    return Decision(
        request=request.id,
        outcome=outcome,
        category=categories[0] if categories else f"{request.regime}/{request.ground.value}",
        owed=None if outcome is Outcome.DENIED else _owed(fired, families),
        refusal=min(refusals, key=_REFUSALS.__getitem__, default=None),
        reasons=tuple(item.reason for item in fired),
        packs=packs,
        decided=today,
        overrides=overrides,
    )


def _weight(item: _Fired) -> tuple[bool, int]:
    """Order rules of one outcome by how much they ask for."""
    return item.effect.scope is Scope.WHOLE_LINEAGE, item.effect.promised or Guarantee.NONE


def _owed(fired: Sequence[_Fired], families: tuple[Family, ...]) -> Owed | None:
    """Return what the rules ask for together; None if none of them asks for a guarantee."""
    guarantees = [item.effect.promised for item in fired if item.effect.promised is not None]
    if not guarantees:
        return None
    effects = [item.effect for item in fired]
    return Owed(
        guarantee=max(guarantees),
        families=families,
        scope=_scope(fired) or Scope.INFLUENCE,
        deadline=min((item.deadline for item in fired if item.deadline), default=None),
        acknowledge_by=min((item.acknowledge for item in fired if item.acknowledge), default=None),
        approvals=max((e.approvals for e in effects if e.approvals), default=1),
        evidence=tuple(sorted({name for e in effects for name in e.evidence})),
        notices=tuple(dict.fromkeys(notice for e in effects for notice in e.notices)),
        utility_floor=max((e.utility_floor for e in effects if e.utility_floor is not None), default=None),
        deadlines=tuple(due for item in fired for due in item.deadlines),
        spared=tuple(dict.fromkeys(words for item in fired for words in item.spared)),
    )


def _overrides(fired: Sequence[_Fired], *, core: bool) -> Iterable[str]:
    """Return in words which rule prevailed over which, wherever two asked for different things."""
    yield from _prevailing(fired, "outcome", lambda f: f.effect.outcome, _SEVERITY.__getitem__, str)
    yield from _prevailing(fired, "guarantee", lambda f: f.effect.promised, int, lambda value: value.label)
    yield from _prevailing(fired, "scope", lambda f: f.effect.scope, list(Scope).index, str)
    yield from _prevailing(fired, "deadline", lambda f: f.deadline, lambda day: -day.toordinal(), str)
    yield from _prevailing(fired, "acknowledgement", lambda f: f.acknowledge, lambda day: -day.toordinal(), str)
    yield from _prevailing(fired, "approvals", lambda f: f.effect.approvals, int, str)
    yield from _prevailing(fired, "utility floor", lambda f: f.effect.utility_floor, float, str)
    reaching = [item.name for item in fired if item.effect.reaches_core]
    if core and reaching:
        yield f"core: {', '.join(reaching)} holds for data declared not removable, too"


def _prevailing(
    fired: Sequence[_Fired],
    label: str,
    value: Callable[[_Fired], Any],
    rank: Callable[[Any], Any],
    words: Callable[[Any], str],
) -> Iterable[str]:
    asked: dict[Any, list[str]] = {}
    for item in fired:
        if (wanted := value(item)) is not None:
            asked.setdefault(wanted, []).append(item.name)
    best, *rest = sorted(asked, key=rank, reverse=True) or [None]
    for other in rest:
        yield f"{label}: {words(best)} ({', '.join(asked[best])}) beats {words(other)} ({', '.join(asked[other])})"
