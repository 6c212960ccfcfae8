"""The course of a request, in words: what happened and was decided, in order, and what holds now.

A decision says what the packs, or a person, found on one day. Afterwards the request may be refused by a person all the
same, extended, held, amended or closed; so what holds is read off all its facts, and says who decided it and by when
what is owed.
"""

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from disgorge.facts import (
    DeadlineExtendedFact,
    DecisionConfirmedFact,
    DecisionFact,
    HoldFact,
    ReportFact,
    RequestAmendedFact,
    RequestClosedFact,
    RequestEventFact,
    RequestFact,
)
from disgorge.request.case import Case
from disgorge.request.holds.open import open_holds
from lineage.ledger.chain import Fact
from lineage.ledger.fact_kinds import FACT_KINDS
from policies.decision import Decision, Duty
from policies.events import EventKind, first_day
from policies.judging.held import waits_for_others
from policies.judging.review import is_decided_on_review, waiting
from policies.taxonomy import Outcome

DayOf = Callable[[Fact], dt.date]
"""The controller's day on which a fact was recorded."""


@dataclass(frozen=True, slots=True)
class Extension:
    """That the day of a request was moved: from when to when, on which day, why, and when the requester was told."""

    until: dt.date
    before: dt.date | None
    on: dt.date
    reason: str
    told: dt.date | None

    @property
    def words(self) -> str:
        """The extension in words."""
        said = f"the requester was told on {self.told}" if self.told else "that the requester was told is not recorded"
        before = f" from {self.before}" if self.before else ""
        return f"on {self.on}{before} to {self.until}, because: {self.reason} ({said})"


@dataclass(frozen=True, slots=True)
class Now:
    """What holds about a request: its state, since when and by whom, the day by which it is due, and what is owed.

    ``owed`` are the duties of a refusal, of a person's too. ``words`` say all of it but these, one sentence a line.
    """

    state: str
    on: dt.date | None
    by: str
    due: dt.date | None
    extension: Extension | None
    owed: tuple[Duty, ...]
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Happened:
    """One thing that happened in a request, and the day on which it was recorded."""

    on: dt.date
    words: str


def now(case: Case, day_of: DayOf) -> Now:
    """Return what holds about a request; ``owed`` is empty unless it is refused."""
    closing = next((fact for fact in reversed(case.facts) if fact.kind == "request-closed"), None)
    refused = case.closed == "denied" or (
        not case.closed and case.decision is not None and case.decision.outcome is Outcome.DENIED
    )
    extension = extension_of(case, day_of)
    on: dt.date | None
    if closing is not None and case.ending is not None:
        on, by = day_of(closing), _closed_by(case.ending)
        words = [*_closed(case, case.ending, on)]
    else:
        on, by = (case.decision.decided, decider(case.decision)) if case.decision else (None, "")
        words = [*_open(case)]
    if extension is not None:
        words.append(f"Its day was extended {extension.words}.")
    elif case.deadline is not None and not (case.closed or refused or open_holds(case)):
        words.append(f"It is due by {case.deadline}.")
    owed = case.owed_on_refusal if refused else ()
    due = case.deadline if refused or not case.closed else None
    return Now(case.state, on, by, due, extension, owed, tuple(words))


def extension_of(case: Case, day_of: DayOf) -> Extension | None:
    """Return the extension that a request's day rests on, None if there is none."""
    if case.until is None or not case.extension or case.extension.until != case.until:
        return None
    fact = [fact for fact in case.facts if fact.kind == DeadlineExtendedFact.kind_of_fact][-1]
    told_on = first_day(case.events, EventKind.EXTENSION_TOLD)
    before = case.decision.due if case.decision else None
    return Extension(case.until, before, day_of(fact), case.extension.reason, told_on)


def decider(decision: Decision) -> str:
    """Return who made a decision: the packs, or a person, by pseudonym."""
    return decision.reasons[-1].citation if is_decided_on_review(decision) else "the packs"


def _closed_by(ending: RequestClosedFact) -> str:
    if ending.outcome == "taken-back":
        return f"the requester, as recorded by pseudonym {ending.by[:12]}"
    return {"denied": "a person", "fulfilled": f"the removal for {ending.by_request}"}.get(
        ending.outcome, "its execution"
    )


def _closed(case: Case, ending: RequestClosedFact, on: dt.date) -> Iterator[str]:
    name = case.request.id
    if ending.outcome == "denied":
        yield f"{name} was denied by a person on {on}, reason {ending.reason}, and is closed: nothing is removed."
        yield _found_by_packs(case)
        return
    ended = {
        "done": "was carried out",
        "fulfilled": f"was fulfilled by the removal for {ending.by_request}",
        "taken-back": f"was taken back by {_closed_by(ending)},",
    }.get(ending.outcome, ending.outcome)
    report = f"; the report is {case.report.bundle} ({case.report.verdict})" if case.report else ""
    yield f"{name} {ended} and closed on {on}{report}."


def _found_by_packs(case: Case) -> str:
    """Say what the packs had decided about a request that a person denied."""
    decision = case.decision or case.superseded
    if decision is None:
        return "No pack was asked about it, so what is owed with the refusal, and by when, is not known here."
    amended = ", before it was amended" if case.decision is None else ""
    if is_decided_on_review(decision):
        return f"It had been {_STANDS[decision.outcome]} on {decision.decided} by {decider(decision)}{amended}."
    refusal = f" ({decision.refusal.value})" if decision.refusal else ""
    words = {
        Outcome.DENIED: f"refused it as well{refusal}",
        Outcome.GRANTED: "had granted it",
        Outcome.NEEDS_REVIEW: "had left it to a person",
        Outcome.ON_HOLD: "had put it on hold",
    }[decision.outcome]
    return f"The packs {words} on {decision.decided}{amended}."


def _open(case: Case) -> Iterator[str]:
    name, decision = case.request.id, case.decision
    for hold in open_holds(case):
        if hold.terms.is_partial:
            yield f"Some items of {name} are on hold ({hold.words}), and stay."
        else:
            yield f"{name} is on hold ({hold.words}): nothing is removed meanwhile."
    if decision is None:
        superseded = f" on {case.superseded.decided}" if case.superseded else ""
        yield f"{name} was amended after it was decided{superseded}, and nothing holds until it is decided again."
    elif is_decided_on_review(decision):
        last = decision.reasons[-1]
        did = "a claim was refused" if last.outcome is Outcome.DENIED else "it was granted"
        who = f"on {decision.decided} by {last.citation}"
        yield f"{name} is {_STANDS[decision.outcome]}: {did} {who}, because: {last.words}."
        reasons = case.by_packs.reasons if case.by_packs else ()
        left = ", ".join(f"{each.pack}/{each.rule}" for each in reasons if each.outcome is Outcome.NEEDS_REVIEW)
        yield f"The packs had left it to a person{f' ({left})' if left else ''}."
        if decision.outcome is Outcome.GRANTED:
            yield from (f"The claim under {claim.pack} still waits for a person." for claim in waiting(decision))
    elif decision.outcome is Outcome.DENIED:
        why = f" ({decision.refusal.value})" if decision.refusal else ""
        yield f"{name} was refused by the packs on {decision.decided}{why}, and stays open until a person denies it."
    elif decision.outcome is Outcome.ON_HOLD:
        if waits_for_others(decision):
            yield f"{name} waits, as decided on {decision.decided}, until another request's hold on its items ends."
        elif case.lifted:
            yield f"The packs put it on hold on {decision.decided}; that hold is lifted, so it has to be decided again."
    else:
        outcome = "granted" if decision.outcome is Outcome.GRANTED else "left to a person"
        yield f"{name} was {outcome} by the packs on {decision.decided}."
    if case.outdated:
        yield f"{case.outdated[:1].upper()}{case.outdated[1:]}: it has to be decided again."
    if case.partly_done:
        yield f"{name} is carried out but for the items on hold."


_STANDS = {
    Outcome.GRANTED: "granted",
    Outcome.DENIED: "refused",
    Outcome.NEEDS_REVIEW: "left to a person",
    Outcome.ON_HOLD: "on hold",
}


def course(case: Case, day_of: DayOf) -> tuple[Happened, ...]:
    """Return what happened in a request and was decided about it, in the order in which it was recorded."""
    return tuple(Happened(day_of(fact), words) for fact in case.facts for words in _happened(fact))


def _happened(fact: Fact) -> Iterator[str]:
    kind = FACT_KINDS.get(fact.kind)
    match kind.read(fact) if kind else None:
        case RequestFact():
            yield "filed"
        case RequestAmendedFact() as amendment:
            yield f"amended: {', '.join(amendment.changed)}"
        case DecisionFact() as made:
            yield _decided(made.decision)
        case DecisionConfirmedFact() as again:
            due = f", due {again.deadline} now" if again.deadline else ""
            yield f"decided again: the decision that held stands{due}"
        case RequestEventFact() as event:
            yield f"{event.kind.value} of {event.on}: {event.kind.words}"
        case DeadlineExtendedFact() as extended:
            yield f"extended until {extended.until}: {extended.reason}"
        case HoldFact() as hold:
            yield f"{'put on hold' if hold.on else 'hold lifted'}: {hold.reason}"
        case ReportFact() as report:
            yield f"report written: {report.verdict}"
        case RequestClosedFact() as closed:
            why = closed.reason or closed.by_request
            yield f"closed: {closed.outcome}{f' ({why})' if why else ''}"


def _decided(decision: Decision) -> str:
    due = f", due {decision.due}" if decision.due else ""
    refusal = f" ({decision.refusal.value})" if decision.refusal else ""
    return f"{decision.outcome.value.replace('-', ' ')}{refusal} by {decider(decision)}, as {decision.category}{due}"
