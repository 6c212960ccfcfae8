"""Which rules of a pack fire for a request, with the dates that each comes to."""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from policies.decision import DueBy, Reason
from policies.errors import BadRequest
from policies.events import Event
from policies.judging.deadlines import due_by
from policies.judging.unknown_words import Suppositions
from policies.packs.conditions import CannotEvaluate, holds
from policies.packs.rules import ConfinementSpec, Deadline, Effect, Pack
from policies.request import RemovalRequest
from policies.taxonomy import Confinement, Outcome, Part

HOUSE = "house"
HOUSE_CITATION = "rule of this software (ours; no law says it in these words)"
HOUSE_DATED = dt.date(2026, 11, 29)

TO_REVIEW = Effect(outcome=Outcome.NEEDS_REVIEW)
NO_DEMAND = ConfinementSpec(Confinement.PROCESS, equal_bits=False)
"""What a guard of the house asks of the runs that show a removal: nothing."""


@dataclass(frozen=True, slots=True)
class Fired:
    """A rule that fired, or could not be evaluated, its effect, and the dates it came to for this request.

    ``confinement`` is what its pack accepts.
    """

    reason: Reason
    effect: Effect
    deadlines: tuple[DueBy, ...] = ()
    acknowledge: dt.date | None = None
    spared: tuple[str, ...] = ()
    confinement: ConfinementSpec = NO_DEMAND

    @property
    def deadline(self) -> dt.date | None:
        """The earliest day by which something must be removed."""
        return min((due.by for due in self.deadlines if due.by and due.of is not Part.PUT_BACK), default=None)

    @property
    def name(self) -> str:
        """Pack and rule, as people are told them."""
        return f"{self.reason.pack}/{self.reason.rule}"

    @property
    def outcome(self) -> Outcome | None:
        """What the rule alone would decide."""
        return self.effect.outcome


def of_the_house(rule: str, words: str, outcome: Outcome, *, fired: bool = True, **more: Any) -> Fired:
    """Return a rule of the house that fired, or (``fired`` false) a doubt that sends to a person."""
    said = Reason(HOUSE, rule, words, HOUSE_CITATION, HOUSE_DATED, outcome, fired)
    return Fired(said, Effect(outcome=outcome, **more))


def doubt(rule: str, words: str) -> Fired:
    """Return a doubt: something that could not be evaluated, for a person to review."""
    return of_the_house(rule, words, Outcome.NEEDS_REVIEW, fired=False)


@dataclass(frozen=True, slots=True)
class PackResult:
    """A pack that applies, or may apply, and what of it fired."""

    pack: Pack
    fired: tuple[Fired, ...]

    @property
    def decides(self) -> bool:
        """Whether a rule of it has an outcome for this request."""
        return any(item.outcome for item in self.fired)


def evaluate(
    pack: Pack, context: Any, request: RemovalRequest, facts: Mapping[str, Any], unsure: Suppositions
) -> PackResult | None:
    """Return which rules of a pack fire and which could not be evaluated; None for a pack that does not apply."""
    try:
        applies = holds(pack.applies, context)
        if unsure_why := unsure.doubt(pack.applies, applies):
            raise CannotEvaluate(unsure_why)
        if not applies:
            return None
    except CannotEvaluate as problem:
        unclear = doubt(f"applies-{pack.pack}", f"whether the pack {pack.pack} applies is unclear: {problem}")
        return PackResult(pack, (replace(unclear, confinement=pack.confinement),))
    fired = _rules(pack, context, request, facts, unsure)
    return PackResult(pack, tuple(replace(item, confinement=pack.confinement) for item in fired))


def _rules(
    pack: Pack, context: Any, request: RemovalRequest, facts: Mapping[str, Any], unsure: Suppositions
) -> Iterator[Fired]:
    for rule in pack.rules:
        effect = rule.effect
        words, citation = rule.words.strip(), rule.citation.strip()
        said = Reason(pack.pack, rule.id, words, citation, rule.dated, effect.outcome, read=rule.all_read)
        try:
            fires = holds(rule.when, context)
        except CannotEvaluate as problem:
            yield _unclear(said, problem)
            continue
        if unsure_why := unsure.doubt(rule.when, fires):
            yield _unclear(said, unsure_why)
        if not fires:
            continue
        dates: dict[str, list[DueBy]] = {"deadline": [], "acknowledgement": [], "sparing": []}
        for label, deadline in _clocks(effect):
            try:
                day = due_by(deadline, request.received, facts, request.events, rule=f"{pack.pack}/{rule.id}")
                dates[label].append(day)
            except BadRequest as problem:
                yield doubt(f"{label}-{pack.pack}-{rule.id}", f"the {label} of {rule.id}: {problem}")
        confirm = next((each.by for each in dates["acknowledgement"]), None)
        yield Fired(said, effect, tuple(dates["deadline"]), confirm, _spared(effect, dates["sparing"]))


def _clocks(effect: Effect) -> Iterator[tuple[str, Deadline]]:
    """Yield every deadline that an effect has, with what it is for."""
    yield from (("deadline", deadline) for deadline in effect.due)
    if effect.acknowledge is not None:
        yield "acknowledgement", effect.acknowledge
    if effect.spares is not None and effect.spares.by is not None:
        yield "sparing", effect.spares.by


def _spared(effect: Effect, by: Sequence[DueBy]) -> tuple[str, ...]:
    """Return in words what a rule spares, and until when that can be claimed."""
    if effect.spares is None:
        return ()
    day = next((f" until {each.by}" for each in by if each.by), "")
    return (f"{effect.spares.words.strip()}{day}",)


def _unclear(said: Reason, problem: object) -> Fired:
    words = f"could not be evaluated ({problem}): {said.words}"
    return Fired(replace(said, words=words, outcome=Outcome.NEEDS_REVIEW, fired=False), TO_REVIEW)


def day_of(
    wanted: Deadline | None, start: dt.date, facts: Mapping[str, Any], events: Sequence[Event]
) -> tuple[dt.date | None, str]:
    """Return the day a period ends that begins on ``start``, or None and why there is none."""
    if wanted is None:
        return None, ""
    try:
        due = due_by(wanted, start, facts, events, rule="")
    except BadRequest as problem:
        return None, str(problem)
    return due.by, "" if due.by else due.counted


def outcomes(items: Iterable[Fired]) -> Iterator[Outcome]:
    """Yield the outcomes of rules that have one."""
    yield from (item.outcome for item in items if item.outcome is not None)
