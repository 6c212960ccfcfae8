"""Requests, answers and duties that are overdue."""

import datetime as dt
from collections.abc import Iterator

from disgorge.audit.findings import OVERDUE, Finding, Level
from disgorge.audit.rules.holds import Sight
from disgorge.audit.snapshot import Snapshot, is_late
from disgorge.request.case import Case
from lineage.plural import counted
from policies.decision import Duty
from policies.events import ENDS, EventKind, first_day
from policies.taxonomy import Outcome

UNDECIDED_DAYS = 28
"""Days after which an undecided request is overdue: the shortest calendar month, for the month that GDPR
Art. 12(3) gives; other regimes in the packs give longer to decide."""


def overdue(snapshot: Snapshot) -> Iterator[Finding]:
    """Yield an error per open request or refusal whose time is up; a hold excuses a removal, not an answer."""
    sight = Sight(snapshot)
    for case in snapshot.cases.values():
        request, place = case.request.id, case.facts[0].seq
        outcome = case.decision.outcome if case.decision else None
        if case.closed:
            continue
        yield from _unanswered(case, snapshot.today)
        yield from _not_put_back(case, snapshot.today)
        if outcome is Outcome.DENIED:
            continue
        undecided = case.deadline is None and snapshot.today > case.request.received + dt.timedelta(days=UNDECIDED_DAYS)
        if not (undecided or is_late(case, snapshot.today)) or sight.excuses(case):
            continue
        if not undecided:
            yield Finding(
                OVERDUE,
                request,
                f"had to be done by {case.deadline} and is {case.state}{_though_answered(case)}",
                f"carry it out, or extend it as its regime allows: `disgorge request show {request}`",
                fact=place,
            )
        elif case.decision is None or case.decision.owed is None or not case.decision.owed.stands_still:
            yield Finding(
                OVERDUE,
                request,
                f"was received on {case.request.received} and has no decision that sets a deadline",
                f"decide it with `disgorge request decide {request}`",
                fact=place,
            )


def _though_answered(case: Case) -> str:
    """Say that the requester was answered: what had to be done has to be done all the same."""
    answered = case.answered
    return f", though it was answered on {answered}" if answered else ""


def _not_put_back(case: Case, today: dt.date) -> Iterator[Finding]:
    """Yield an error for material that a counter-notice wanted put back by a day that has passed.

    The hold is what the counter-notice asks for, so it does not excuse this.
    """
    request, by = case.request.id, case.decision.put_back_by if case.decision else None
    if by is None or today <= by or any(event.kind in ENDS[EventKind.COUNTER_NOTICE] for event in case.new_events):
        return
    yield Finding(
        OVERDUE,
        request,
        f"the material had to be put back by {by} after the counter-notice, and neither that nor an action is recorded",
        f"put it back and record it: `disgorge request event {request} put-back --on DAY --by NAME`; or record "
        "suit-filed, if notice of an action came in time",
        fact=case.facts[0].seq,
    )


def _unanswered(case: Case, today: dt.date) -> Iterator[Finding]:
    """Yield an error per claim of an open request that was refused or left to a person, and not answered by its day.

    A duty with the event that fulfills it is done once that was recorded; one that names none is taken to be done by
    ``refusal-told``. Closing the request counts as answering it. What was done late is a note, with how late. A hold
    does not stop the day: the requester is told of that too.
    """
    request, decision, place = case.request.id, case.decision, case.facts[0].seq
    if decision is None:
        return
    refused = decision.outcome is Outcome.DENIED
    answered = case.answered
    if answered is not None and case.deadline is not None and answered > case.deadline:
        yield _late(request, "was answered", answered, case.deadline, place)
    for claim in decision.claims:
        tell = (
            f"tell the requester what `disgorge request show {request}` lists, record it with `disgorge request event "
            f"{request} refusal-told --on DAY --by NAME`, "
        )
        reason = claim.refusal.value if claim.refusal else "other"
        if claim.outcome is Outcome.DENIED:
            telling = {duty: _done(duty, case) for duty in claim.on_refusal if duty.by is not None and not duty.lasts}
            days = [duty.by for duty, done in telling.items() if done is None and duty.by is not None]
            if days and today > min(days):
                words = f"was refused under {claim.pack}, which had to be told with its reasons by {min(days)}"
                close = f"then close the request: `disgorge request deny {request} --reason {reason}`"
                yield Finding(
                    OVERDUE, request, words, tell + (close if refused else "and carry out the rest"), fact=place
                )
            done_late = [(done, duty.by) for duty, done in telling.items() if done and duty.by and done > duty.by]
            if done_late:
                yield _late(request, f"was told of the refusal under {claim.pack}", *min(done_late), place)
        elif claim.outcome is Outcome.NEEDS_REVIEW and decision.outcome is Outcome.GRANTED and claim.answer_by:
            if answered is None and today > claim.answer_by:
                words = f"waits for a person under {claim.pack}, which had to be answered by {claim.answer_by}"
                anew = (
                    f"`disgorge request show {request}` says what is missing; record it and decide again, or grant or "
                    f"deny the claim with --claim {claim.pack}"
                )
                yield Finding(OVERDUE, request, words, anew, fact=place)
            elif answered is not None and answered > claim.answer_by and claim.answer_by != case.deadline:
                yield _late(request, f"was answered under {claim.pack}", answered, claim.answer_by, place)


def _done(duty: Duty, case: Case) -> dt.date | None:
    """Return the day on which a duty of a refusal was done, None if it was not."""
    told_on = first_day(case.events, EventKind.REFUSAL_TOLD)
    return told_on if duty.done_by is None else duty.done_on(case.events)


def _late(request: str, what: str, on: dt.date, by: dt.date, place: int) -> Finding:
    days = counted((on - by).days, "day")
    then = "say so to who asks: nothing is left to do about it, and the note ends when the request is closed"
    return Finding(OVERDUE, request, f"{what} on {on}, {days} after the last day, {by}", then, Level.NOTE, fact=place)
