"""Deadlines by the calendar, against dates looked up by hand and a slow count of days."""

import datetime as dt

import holidays
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.cases.run_cases import run_cases
from policies.errors import BadRequest
from policies.judging.deadlines import due, extend, extended
from policies.packs.calendars import add_business_days, add_months, next_working_day
from policies.packs.load import load_packs
from policies.packs.rules import Deadline, Extension

DAYS = st.dates(dt.date(2000, 1, 1), dt.date(2080, 12, 31))


@pytest.mark.parametrize(
    ("start", "months", "end"),
    [
        ("2027-01-31", 1, "2027-02-28"),
        ("2028-01-31", 1, "2028-02-29"),
        ("2027-02-28", 1, "2027-03-28"),
        ("2026-12-31", 2, "2027-02-28"),
        ("2026-08-31", 1, "2026-09-30"),
        ("2026-03-05", 1, "2026-04-05"),
    ],
)
def test_a_month_is_a_calendar_month(start, months, end):
    assert add_months(dt.date.fromisoformat(start), months) == dt.date.fromisoformat(end)


@settings(deadline=None)
@given(DAYS, st.integers(1, 60))
def test_months_keep_the_date_or_end_with_the_month(start, months):
    end = add_months(start, months)
    assert (end.year * 12 + end.month) - (start.year * 12 + start.month) == months
    assert end.day == start.day or (end.day < start.day and (end + dt.timedelta(days=1)).day == 1)


@settings(deadline=None)
@given(DAYS, st.integers(1, 30))
def test_business_days_are_counted_one_by_one(start, days):
    calendar = holidays.country_holidays("US")
    slow, left = start, days
    while left:
        slow += dt.timedelta(days=1)
        left -= slow.weekday() < 5 and slow not in calendar
    assert add_business_days(start, days, calendar="US") == slow


def test_a_last_day_that_is_no_working_day_rolls_over_if_the_rule_says_so():
    christmas = dt.date(2026, 12, 25)  # a Friday; the 26th is a holiday in Germany, too
    received = dt.date(2026, 11, 25)
    assert due(Deadline(months=1), received, {}) == christmas
    assert due(Deadline(months=1, calendar="DE", roll=True), received, {}) == dt.date(2026, 12, 28)
    assert next_working_day(dt.date(2026, 12, 24), calendar="DE") == dt.date(2026, 12, 24)
    assert next_working_day(dt.date(2026, 4, 3), calendar="ECB") == dt.date(2026, 4, 7)  # Good Friday to Tuesday
    assert next_working_day(dt.date(2026, 6, 4), calendar="DE-BY") == dt.date(2026, 6, 5)  # Corpus Christi in Bavaria


def test_a_fact_gives_the_date_or_the_days():
    received = dt.date(2026, 3, 2)
    assert due(Deadline(fact="day"), received, {"day": "2026-05-31"}) == dt.date(2026, 5, 31)
    assert due(Deadline(days=30, days_fact="n"), received, {}) == dt.date(2026, 4, 1)
    assert due(Deadline(days=30, days_fact="n"), received, {"n": 10}) == dt.date(2026, 3, 12)


@pytest.mark.parametrize(
    ("deadline", "facts", "says"),
    [
        (Deadline(fact="day"), {}, "the fact day is missing"),
        (Deadline(fact="day"), {"day": "soon"}, "invalid date"),
        (Deadline(fact="day"), {"day": 3}, "invalid date"),
        (Deadline(days=1, days_fact="n"), {"n": "3"}, "not a number of days"),
        (Deadline(days=1, days_fact="n"), {"n": True}, "not a number of days"),
        (Deadline(days=1, days_fact="n"), {"n": 10**9}, "not a number of days"),
    ],
)
def test_a_fact_that_gives_neither_is_said(deadline, facts, says):
    with pytest.raises(BadRequest, match=says):
        due(deadline, dt.date(2026, 3, 2), facts)


@pytest.mark.parametrize(
    "deadline", [Deadline(months=1), Deadline(days=9), Deadline(business_days=9, calendar="US")], ids=str
)
def test_a_date_beyond_the_calendar_is_said(deadline):
    with pytest.raises(BadRequest, match="leaves the calendar"):
        due(deadline, dt.date(9999, 12, 30), {})


def test_an_extension_is_counted_from_receipt():
    month = Deadline(months=1, extension=Extension(months=2, told_within_months=1))
    assert extended(month, dt.date(2027, 1, 31), {}) == (dt.date(2027, 4, 30), dt.date(2027, 2, 28))
    days = Deadline(days=45, extension=Extension(days=45, told_within_days=45))
    assert extended(days, dt.date(2026, 3, 2), {}) == (dt.date(2026, 5, 31), dt.date(2026, 4, 16))
    assert extended(Deadline(months=1), dt.date(2026, 3, 2), {}) is None


CASE = """
cases:
  - {name: erasure, today: 2026-03-03, impact: {items: 1}, expect: {}, request: {standing: data-subject,
     ground: privacy, regime: gdpr, received: 2026-03-02, identity_verified: true, selectors: {subject: a},
     facts: {FACTS}}}
"""


def decided(tmp_path, facts=""):
    from policies.cases.case_files import read_cases

    path = tmp_path / "case.yaml"
    path.write_text(CASE.replace("FACTS", facts))
    return run_cases(path, load_packs())[0].decision, read_cases(path).cases[0].request.build()


def test_extending_twice_gives_the_same_date(tmp_path):
    decision, request = decided(tmp_path)
    first = extend(decision, request, load_packs(), reason="complex", today=dt.date(2026, 3, 10))
    again = extend(decision, request, load_packs(), reason="complex", today=dt.date(2026, 4, 2))
    assert first == again == dt.date(2026, 6, 2)


def test_two_regimes_extend_only_as_far_as_both_allow(tmp_path):
    decision, request = decided(tmp_path, "also_under: ccpa")
    until = extend(decision, request, load_packs(), reason="complex", today=dt.date(2026, 3, 10))
    assert until == dt.date(2026, 5, 31)  # 90 days by CCPA, before the three months of GDPR on June 2


def test_extending_by_other_packs_or_another_request_is_refused(tmp_path):
    decision, request = decided(tmp_path)
    with pytest.raises(BadRequest, match="decided by other packs"):
        extend(decision, request, load_packs()[:2], reason="complex", today=dt.date(2026, 3, 10))
    denied, request = decided(tmp_path, "manifestly_excessive: true")
    with pytest.raises(BadRequest, match="is denied and has no deadline"):
        extend(denied, request, load_packs(), reason="complex", today=dt.date(2026, 3, 10))
