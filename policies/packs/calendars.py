"""Calendar arithmetic: months, business days and the holidays of a country or market."""

import datetime as dt
from functools import lru_cache
from typing import Any

from policies.errors import BadPack


def add_months(start: dt.date, months: int) -> dt.date:
    """Return the same date so many months later, or that month's last day."""
    from dateutil.relativedelta import relativedelta

    return start + relativedelta(months=months)


def add_business_days(start: dt.date, days: int, *, calendar: str, saturdays: bool = False) -> dt.date:
    """Return the ``days``-th business day after ``start``; ``start`` itself is not counted."""
    later: dt.date = _holidays(calendar, saturdays).get_nth_working_day(start, days)
    return later


def next_working_day(day: dt.date, *, calendar: str, saturdays: bool = False) -> dt.date:
    """Return ``day``, or the first working day after it when it is a weekend day or a holiday."""
    if _holidays(calendar, saturdays).is_working_day(day):
        return day
    return add_business_days(day, 1, calendar=calendar, saturdays=saturdays)


def require_calendar(name: str) -> None:
    """Raise :class:`BadPack` unless the `holidays` library knows the country, part of a country or market."""
    try:
        _holidays(name)
    except (NotImplementedError, ValueError, KeyError):
        raise BadPack(
            f"unknown calendar {name!r}: use a country (US), a part of one (DE-BY) or a market (ECB)"
        ) from None


@lru_cache(maxsize=64)
def _holidays(name: str, saturdays: bool = False) -> Any:
    import holidays  # large, and only some rules need it

    country, _, part = name.partition("-")
    calendar: Any = (
        holidays.financial_holidays(name)
        if name in holidays.list_supported_financial()
        else holidays.country_holidays(country, subdiv=part or None)
    )
    if saturdays:
        calendar.weekend = set(calendar.weekend) - {5}
    return calendar
