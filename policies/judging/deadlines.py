"""Deadlines by the calendar: when something is due, what stops the clock, and how far a deadline may be extended.

- A month is a calendar month: the same date in a later month, or that month's last day if there is no such date
  (Council Regulation (EEC, Euratom) No 1182/71 of 3 June 1971, Article 3(2)(c)). The day of receipt is not counted
  (Article 3(1)).
- A business day is neither a weekend day nor a public holiday of the calendar the rule names.
- A period in months or days that ends on a weekend or holiday runs to the next working day under Article 3(4) of that
  regulation. A pack asks for this with ``roll``, which then holds for each period of the rule: acknowledgement, the
  extended date, the last day to tell of an extension. The shipped packs do not, so their dates are never too late, and
  the decision says so. Article 3(5), by which a period of two days or more has at least two working days, is not
  applied: the date is then earlier, never later.
- An extended period is counted from receipt as a whole: one month and two further ones from January 31 end on April
  30, not on April 28.
- A clock that stands still between two events (``stops``) gets the days between added. Days before receipt do not
  count, nor does a stop that begins when the period has run out. While it stands still there is no date, and the
  decision says what it waits for.

>>> add_months(dt.date(2027, 1, 31), 1)
datetime.date(2027, 2, 28)
>>> due(Deadline(months=1, calendar="DE", roll=True), dt.date(2026, 11, 25), {})
datetime.date(2026, 12, 28)
>>> stops = Stop(EventKind.IDENTITY_ASKED, EventKind.IDENTITY_SHOWN)
>>> asked, shown = Event(stops.from_, dt.date(2026, 3, 4)), Event(EventKind.IDENTITY_SHOWN, dt.date(2026, 3, 11))
>>> due(Deadline(months=1, stops=stops), dt.date(2026, 3, 2), {}, [asked, shown])
datetime.date(2026, 4, 9)
"""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from lineage.records import digest_of
from policies.decision import Decision, DueBy
from policies.errors import BadRequest
from policies.events import ENDS, Event, EventKind, in_order, open_events, spans
from policies.packs.calendars import add_business_days, add_months, next_working_day
from policies.packs.rules import MAX_DAYS, Deadline, Extension, Pack, Stop
from policies.request import RemovalRequest
from policies.taxonomy import Outcome, Part


def due(
    deadline: Deadline, received: dt.date, facts: Mapping[str, Any], events: Sequence[Event] = ()
) -> dt.date | None:
    """Return when a deadline falls for a request received on that day; None while no day can be given.

    Raises :class:`BadRequest` when the fact it needs is missing or no date (no number of days), or when the date
    leaves the calendar.
    """
    return due_by(deadline, received, facts, events, rule="").by


def due_by(
    deadline: Deadline, received: dt.date, facts: Mapping[str, Any], events: Sequence[Event], *, rule: str
) -> DueBy:
    """Return a deadline's day, and in words how it was counted or what it waits for. Errors as of :func:`due`."""
    of = deadline.of or Part.ALL
    if deadline.fact is not None:
        return DueBy(of, _date_fact(deadline.fact, facts), rule, f"the day that the fact {deadline.fact} gives")
    days = _days(deadline, facts)
    with _within_calendar(received):
        end = _end(deadline, received, events, lambda start: _period(deadline, start, days))
        first = None
        if deadline.not_before and end.day:
            opens = _end(deadline, received, events, lambda start: _window(deadline, start, deadline.not_before)).day
            first = min(opens or end.day, end.day)
    unread = "" if deadline.read else "; the text that sets this period was NOT READ when the rule was written"
    words = f"{_period_words(deadline, days)} {end.words}{_rolling_words(deadline)}{unread}"
    return DueBy(of, end.day, rule, words, first)


def extended(
    deadline: Deadline, received: dt.date, facts: Mapping[str, Any], events: Sequence[Event] = ()
) -> tuple[dt.date, dt.date] | None:
    """Return a deadline's date after its extension and the last day to tell of it; None if it has no extension.

    Raises :class:`BadRequest` as :func:`due`, and while the clock stands still.
    """
    extension = deadline.extension
    if extension is None:
        return None
    days = _days(deadline, facts)
    with _within_calendar(received):
        until = _end(deadline, received, events, lambda start: _longer(deadline, extension, start, days))
        tell_by = _end(deadline, received, events, lambda start: _tell_by(extension, start))
    if until.day is None or tell_by.day is None:
        raise BadRequest(f"no day can be given now ({until.words}); extend it once the clock runs again")
    return until.day, tell_by.day


@dataclass(frozen=True, slots=True)
class _End:
    """The last day of a period, None while none can be told, and from what it runs in words."""

    day: dt.date | None
    words: str


def _end(deadline: Deadline, received: dt.date, events: Sequence[Event], period: Callable[[dt.date], dt.date]) -> _End:
    """Return where a period ends: from receipt or its event, stopped where its rule says, rolled if the rule rolls."""
    events = in_order(events)
    start, words = received, f"from receipt on {received}"
    if (kind := deadline.from_event) is not None:
        begun = _first(kind, events)
        if begun is None:
            return _End(None, f"from {kind.value}, which is not recorded or is settled")
        start, words = begun, f"from {kind.value} on {begun}"
    end, counted, stood = period(start), start, 0
    for began, ended, stop in _stopped(deadline, events):
        if began > end:
            continue  # the period had run out
        if ended is None:
            ends = " or ".join(kind.value for kind in stop.ends)
            return _End(None, f"{words}; the clock stands still since {began} ({stop.from_.value}), until {ends}")
        if stop.anew:
            if ended > start:
                start, words = ended, f"from {' or '.join(kind.value for kind in stop.ends)} on {ended}"
                end = max(end, period(start))
        elif ended > (since := max(began, counted)):
            end, counted, stood = end + (ended - since), ended, stood + (ended - since).days
    if stood:
        words += f", and {stood} {'day' if stood == 1 else 'days'} more in which the clock stood still"
    if deadline.roll or deadline.business_days:
        end = next_working_day(end, calendar=str(deadline.calendar), saturdays=deadline.saturdays)
    return _End(end, words)


def _first(kind: EventKind, events: Sequence[Event]) -> dt.date | None:
    """Return the day of the first event of a kind that nothing has ended."""
    still = open_events(events) if kind in ENDS else iter(events)
    return next((event.on for event in still if event.kind is kind), None)


def _stopped(deadline: Deadline, events: Sequence[Event]) -> Iterator[tuple[dt.date, dt.date | None, Stop]]:
    """Yield from when to when the clock stood still, in order; None for a stop that goes on."""
    stopped = [
        (began, ended, stop) for stop in deadline.all_stops for began, ended in spans(events, stop.from_, stop.ends)
    ]
    yield from sorted(stopped, key=lambda each: (each[0], each[1] or dt.date.max))


def _days(deadline: Deadline, facts: Mapping[str, Any]) -> int:
    if deadline.days_fact is not None and deadline.days_fact in facts:
        return _days_fact(deadline.days_fact, facts)
    return deadline.days


def _period(deadline: Deadline, start: dt.date, days: int) -> dt.date:
    if deadline.business_days:
        return _window(deadline, start, deadline.business_days)
    return add_months(start, deadline.months) if deadline.months else _add_days(start, days)


def _window(deadline: Deadline, start: dt.date, count: int) -> dt.date:
    """Return the day so many of the deadline's own units after the start."""
    if deadline.business_days:
        return add_business_days(start, count, calendar=str(deadline.calendar), saturdays=deadline.saturdays)
    return add_months(start, count) if deadline.months else _add_days(start, count)


def _longer(deadline: Deadline, extension: Extension, start: dt.date, days: int) -> dt.date:
    """Return the end of the whole period, its extension included."""
    if deadline.months and extension.months:
        return add_months(start, deadline.months + extension.months)
    first = _period(deadline, start, days)
    return add_months(first, extension.months) if extension.months else _add_days(first, extension.days)


def _period_words(deadline: Deadline, days: int) -> str:
    if deadline.business_days:
        week = "Saturdays counted, " if deadline.saturdays else ""
        return f"{deadline.business_days} business days ({week}{deadline.calendar})"
    if deadline.months:
        return "one calendar month" if deadline.months == 1 else f"{deadline.months} calendar months"
    return "one day" if days == 1 else f"{days} days"


def _rolling_words(deadline: Deadline) -> str:
    if deadline.business_days:
        return ""
    if deadline.roll:
        return f"; a last day that is no working day ({deadline.calendar}) moves to the next one"
    return "; counted without moving a last day that is a weekend or holiday, so never too late"


@contextmanager
def _within_calendar(received: dt.date) -> Iterator[None]:
    """Turn a date that leaves the calendar into a :class:`BadRequest`."""
    try:
        yield
    except (OverflowError, ValueError):
        raise BadRequest(
            f"a deadline counted from {received} leaves the calendar; correct the date of receipt"
        ) from None


def extend(
    decision: Decision, request: RemovalRequest, packs: Sequence[Pack], *, reason: str, today: dt.date
) -> dt.date:
    """Return the deadline of a decided request after the extension its packs allow.

    Every rule that set a deadline must allow it: the new date is the earliest of their extended ones, and a rule
    that allows none, or whose time to tell is over, keeps its own. Raises :class:`BadRequest` when that is no later
    than before, when no ``reason`` is given (the requester must be told it), or when the packs are not those the
    decision was made by. Extending again gives the same date: the period is counted from receipt.
    """
    name = f"request {request.id}"
    if decision.request != request.id:
        raise BadRequest(f"{name}: the decision is about request {decision.request}")
    if digest_of(sorted(pack.digest for pack in packs)) != decision.packs:
        raise BadRequest(f"{name} was decided by other packs than these; decide it again, then extend")
    if not reason.strip():
        raise BadRequest(f"{name}: an extension needs a reason, and the requester must be told it; give one")
    if decision.outcome is not Outcome.DENIED and decision.owed is not None and decision.owed.stands_still:
        waits = next(due.counted for due in decision.owed.deadlines if due.by is None)
        raise BadRequest(f"{name} has no deadline now ({waits}); extend it once the clock runs again")
    if decision.outcome is Outcome.DENIED or decision.owed is None or decision.owed.deadline is None:
        raise BadRequest(f"{name} is {decision.outcome.value} and has no deadline to extend")
    apart = {claim.pack for claim in decision.claims if not _owes(claim.outcome, decision.outcome)}
    fired = {(said.pack, said.rule) for said in decision.reasons if said.fired and said.pack not in apart}
    dates: list[tuple[dt.date, str]] = []
    for pack in packs:
        for rule in pack.rules:
            if (pack.pack, rule.id) not in fired:
                continue
            for deadline in rule.then.due:
                if deadline.of is Part.PUT_BACK:
                    continue
                try:
                    latest = _latest(deadline, request, today, f"{pack.pack}/{rule.id}", rule.citation)
                except BadRequest:
                    continue  # the decision says that this deadline could not be told; a person set the matter right
                if latest is not None:
                    dates.append(latest)
    until, why = min(dates, default=(decision.owed.deadline, "no rule set it"))
    if until <= decision.owed.deadline:
        raise BadRequest(f"{name}: the deadline {decision.owed.deadline} cannot be extended: {why}")
    return until


def _owes(claim: Outcome, decided: Outcome) -> bool:
    """Whether the deadline of a claim is one of those that the decision is held to."""
    return claim is Outcome.GRANTED or (decided is not Outcome.GRANTED and claim is not Outcome.DENIED)


def _latest(
    deadline: Deadline, request: RemovalRequest, today: dt.date, rule: str, citation: str
) -> tuple[dt.date, str] | None:
    """Return the latest date a rule allows as of today, and why it is no later; None while its clock stands still."""
    own = due(deadline, request.received, request.facts, request.events)
    if own is None:
        return None
    prolonged = extended(deadline, request.received, request.facts, request.events)
    if prolonged is None:
        return own, f"{rule} allows no extension ({citation})"
    until, tell_by = prolonged
    if today > tell_by:
        return own, f"{rule} wanted the requester to be told by {tell_by}, and it is {today} ({citation})"
    return until, f"{rule} allows no more ({citation})"


def _tell_by(extension: Extension, received: dt.date) -> dt.date:
    if extension.told_within_months:
        return add_months(received, extension.told_within_months)
    return _add_days(received, extension.told_within_days)


def _add_days(start: dt.date, days: int) -> dt.date:
    return start + dt.timedelta(days=days)


def _date_fact(name: str, facts: Mapping[str, Any]) -> dt.date:
    value = facts.get(name)
    if value is None:
        raise BadRequest(f"the fact {name} is missing; record it as a date (YYYY-MM-DD)")
    if isinstance(value, dt.date):
        return value
    try:
        return dt.date.fromisoformat(value)
    except (TypeError, ValueError):
        raise BadRequest(f"the fact {name} is {value!r}, an invalid date: use YYYY-MM-DD") from None


def _days_fact(name: str, facts: Mapping[str, Any]) -> int:
    value = facts[name]
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_DAYS:
        raise BadRequest(f"the fact {name} is {value!r}, not a number of days between 0 and {MAX_DAYS}")
    return value
