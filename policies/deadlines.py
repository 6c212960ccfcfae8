"""Deadlines by the calendar: when something is due, and how far it may be extended.

- A month is a calendar month: the same date in a later month, or that month's last day if there is no such date
  (Council Regulation (EEC, Euratom) No 1182/71 of 3 June 1971, Article 3(2)(c)). The day of receipt is not counted
  (Article 3(1)).
- A business day is neither a weekend day nor a public holiday of the calendar the rule names.
- A period in months or days that ends on a weekend or holiday runs to the next working day under Article 3(4) of that
  regulation. A pack asks for this with ``roll``; the shipped packs do not, so their dates are never too late.
- An extended period is counted from receipt as a whole: one month and two further ones from January 31 end on April
  30, not on April 28.

>>> add_months(dt.date(2027, 1, 31), 1)
datetime.date(2027, 2, 28)
>>> due(Deadline(months=1, calendar="DE", roll=True), dt.date(2026, 11, 25), {})
datetime.date(2026, 12, 28)
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from lineage.records import digest_of
from policies.decision import Decision
from policies.errors import BadPack, BadRequest
from policies.request import RemovalRequest
from policies.rules import MAX_DAYS, Deadline, Extension, Pack
from policies.taxonomy import Outcome


def add_months(start: dt.date, months: int) -> dt.date:
    """Return the same date so many months later, or that month's last day."""
    from dateutil.relativedelta import relativedelta

    return start + relativedelta(months=months)


def add_business_days(start: dt.date, days: int, *, calendar: str) -> dt.date:
    """Return the ``days``-th business day after ``start``; ``start`` itself is not counted."""
    later: dt.date = _holidays(calendar).get_nth_working_day(start, days)
    return later


def next_working_day(day: dt.date, *, calendar: str) -> dt.date:
    """Return ``day``, or the first working day after it when it is a weekend day or a holiday."""
    return day if _holidays(calendar).is_working_day(day) else add_business_days(day, 1, calendar=calendar)


def require_calendar(name: str) -> None:
    """Raise :class:`BadPack` unless the `holidays` library knows the country, part of a country or market."""
    try:
        _holidays(name)
    except (NotImplementedError, ValueError, KeyError):
        raise BadPack(f"no calendar {name!r}; use a country (US), a part of one (DE-BY) or a market (ECB)") from None


@lru_cache(maxsize=64)
def _holidays(name: str) -> Any:
    import holidays  # large, and only some rules need it

    if name in holidays.list_supported_financial():
        return holidays.financial_holidays(name)
    country, _, part = name.partition("-")
    return holidays.country_holidays(country, subdiv=part or None)


def due(deadline: Deadline, received: dt.date, facts: Mapping[str, Any]) -> dt.date:
    """Return when a deadline falls for a request received on that day.

    Raises :class:`BadRequest` when the fact it needs is missing or no date (no number of days), or when the date
    leaves the calendar.
    """
    if deadline.fact is not None:
        return _date_fact(deadline.fact, facts)
    days = deadline.days
    if deadline.days_fact is not None and deadline.days_fact in facts:
        days = _days_fact(deadline.days_fact, facts)
    try:
        if deadline.business_days:
            return add_business_days(received, deadline.business_days, calendar=str(deadline.calendar))
        return _rolled(
            deadline, add_months(received, deadline.months) if deadline.months else _add_days(received, days)
        )
    except (OverflowError, ValueError):
        raise BadRequest(
            f"a deadline counted from {received} leaves the calendar; correct the date of receipt"
        ) from None


def extended(deadline: Deadline, received: dt.date, facts: Mapping[str, Any]) -> tuple[dt.date, dt.date] | None:
    """Return a deadline's date after its extension and the last day to tell of it; None if it has no extension."""
    extension = deadline.extension
    if extension is None:
        return None
    try:
        if deadline.months and extension.months:
            until = add_months(received, deadline.months + extension.months)
        else:
            first = due(
                Deadline(months=deadline.months, days=deadline.days, days_fact=deadline.days_fact), received, facts
            )
            until = add_months(first, extension.months) if extension.months else _add_days(first, extension.days)
        return _rolled(deadline, until), _tell_by(extension, received)
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
    than before, when no ``reason`` is given (whoever asked must be told it), or when the packs are not those the
    decision was made by. Extending again gives the same date: the period is counted from receipt.
    """
    name = f"request {request.id}"
    if decision.request != request.id:
        raise BadRequest(f"{name}: the decision is about request {decision.request}")
    if digest_of(sorted(pack.digest for pack in packs)) != decision.packs:
        raise BadRequest(f"{name} was decided by other packs than these; decide it again, then extend")
    if not reason.strip():
        raise BadRequest(f"{name}: an extension needs a reason, and whoever asked must be told it; give one")
    if decision.outcome is Outcome.DENIED or decision.owed is None or decision.owed.deadline is None:
        raise BadRequest(f"{name} is {decision.outcome.value} and has no deadline to extend")
    apart = {claim.pack for claim in decision.claims if not _owes(claim.outcome, decision.outcome)}
    fired = {(said.pack, said.rule) for said in decision.reasons if said.fired and said.pack not in apart}
    dates: list[tuple[dt.date, str]] = []
    for pack in packs:
        for rule in pack.rules:
            if rule.then.deadline is None or (pack.pack, rule.id) not in fired:
                continue
            try:
                dates.append(_latest(rule.then.deadline, request, today, f"{pack.pack}/{rule.id}", rule.citation))
            except BadRequest:
                continue  # the decision says that this deadline could not be told; a person set the matter right
    until, why = min(dates, default=(decision.owed.deadline, "no rule set it"))
    if until <= decision.owed.deadline:
        raise BadRequest(f"{name}: the deadline {decision.owed.deadline} cannot be extended: {why}")
    return until


def _owes(claim: Outcome, decided: Outcome) -> bool:
    """Whether the deadline of a claim is one of those that the decision is held to."""
    return claim is Outcome.GRANTED or (decided is not Outcome.GRANTED and claim is not Outcome.DENIED)


def _latest(
    deadline: Deadline, request: RemovalRequest, today: dt.date, rule: str, citation: str
) -> tuple[dt.date, str]:
    """Return the latest date a rule allows as of today, and why it is no later."""
    own = due(deadline, request.received, request.facts)
    prolonged = extended(deadline, request.received, request.facts)
    if prolonged is None:
        return own, f"{rule} allows no extension ({citation})"
    until, tell_by = prolonged
    if today > tell_by:
        return own, f"{rule} wanted whoever asked to be told by {tell_by}, and it is {today} ({citation})"
    return until, f"{rule} allows no more ({citation})"


def _rolled(deadline: Deadline, day: dt.date) -> dt.date:
    return next_working_day(day, calendar=str(deadline.calendar)) if deadline.roll else day


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
        raise BadRequest(f"the fact {name} is {value!r}, which is no date (YYYY-MM-DD)") from None


def _days_fact(name: str, facts: Mapping[str, Any]) -> int:
    value = facts[name]
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_DAYS:
        raise BadRequest(f"the fact {name} is {value!r}, which is no number of days between 0 and {MAX_DAYS}")
    return value
