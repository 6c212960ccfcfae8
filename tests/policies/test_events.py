"""Events stop and start clocks, in the order of their days; laws of what they do to deadlines and decisions."""

import datetime as dt
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lineage.records import Selector, plain, restore
from policies.cases.case_files import ImpactFacts, ShardFacts
from policies.errors import BadPack, BadRequest
from policies.events import ENDS, Event, EventKind, in_order, pending
from policies.judging.deadlines import due, due_by, extended
from policies.judging.explain import explain
from policies.judging.judge import decide
from policies.packs.conditions import parse
from policies.packs.load import pack_of
from policies.packs.rules import Deadline, Extension, Stop
from policies.request import RemovalRequest, Standing
from policies.taxonomy import Defect, Outcome, Part
from tests.policies.shipped import SHIPPED
from tests.policies.test_judge_laws import DATES, PATIENT, impacts, packs, requests

PAUSE = Stop(EventKind.IDENTITY_ASKED, (EventKind.IDENTITY_SHOWN, EventKind.IDENTITY_FAILED))
ANEW = Stop(EventKind.FEE_ASKED, EventKind.FEE_PAID, anew=True)
RECEIVED = dt.date(2026, 3, 2)


def on(kind: str, day: int, month: int = 3) -> Event:
    """Return an event of 2026."""
    return Event(EventKind(kind), dt.date(2026, month, day))


@st.composite
def clocks(draw, *, stopped: bool = True):
    """Draw a deadline that is counted, rolled or not, stopped or not, extended or not."""
    unit, count = draw(
        st.sampled_from([("months", 1), ("months", 3), ("days", 45), ("days", 10), ("business_days", 10)])
    )
    rolls = unit == "business_days" or draw(st.booleans())
    return Deadline(
        **{unit: count},
        calendar=draw(st.sampled_from(["DE", "US", "GB-ENG"])) if rolls else None,
        roll=rolls and unit != "business_days",
        saturdays=unit == "business_days" and draw(st.booleans()),
        extension=None if unit == "business_days" else Extension(months=2, told_within_months=1),
        stops=draw(st.sampled_from([(), PAUSE, ANEW, (PAUSE, ANEW)])) if stopped else (),
    )


def happenings(start: dt.date, kinds=tuple(EventKind), most: int = 6):
    """Draw events from a day on, over half a year."""
    days = st.integers(0, 180).map(lambda n: start + dt.timedelta(days=n))
    facts = st.sampled_from(
        [{}, {}, {}, {"verification_failed": True}, {"court_action": True}, {"order_stayed": False}]
    )
    return st.lists(st.builds(Event, st.sampled_from(kinds), days, facts), max_size=most)


STOPPING = (
    EventKind.IDENTITY_ASKED, EventKind.IDENTITY_SHOWN, EventKind.IDENTITY_FAILED, EventKind.FEE_ASKED,
    EventKind.FEE_PAID,
)  # fmt: skip


def no_later(one: dt.date | None, other: dt.date | None) -> bool:
    """Whether a deadline is no later than another; one that no day can be given of is later than all."""
    return other is None or (one is not None and one <= other)


@PATIENT
@given(clocks(), DATES, st.integers(0, 40), st.data())
def test_a_later_receipt_never_gives_an_earlier_deadline(clock, received, days, data):
    later = received + dt.timedelta(days=days)
    events = data.draw(happenings(later, STOPPING))
    assert no_later(due(clock, received, {}, events), due(clock, later, {}, events))
    try:
        first, second = extended(clock, received, {}, events), extended(clock, later, {}, events)
    except BadRequest:
        return
    if first and second:
        assert first[0] <= second[0]
        assert first[1] <= second[1]


@PATIENT
@given(clocks(), DATES, st.data())
def test_stopping_the_clock_never_makes_a_deadline_earlier(clock, received, data):
    events = data.draw(happenings(received, STOPPING))
    assert no_later(due(replace(clock, stops=()), received, {}, events), due(clock, received, {}, events))
    more = data.draw(happenings(received, (EventKind.IDENTITY_ASKED, EventKind.FEE_ASKED), most=2))
    assert no_later(due(clock, received, {}, events), due(clock, received, {}, [*events, *more]))


@PATIENT
@given(requests(), impacts(), packs(), st.data(), st.randoms(use_true_random=False))
def test_an_event_entered_late_gives_what_it_would_have_given_in_time(request, impact, pack, data, random):
    events = data.draw(happenings(request.received))
    facts = [(event.on, name) for event in events for name in event.facts]
    assume(len(set(facts)) == len(facts))  # of one fact given twice on one day, either may be a correction
    late = [*events]
    random.shuffle(late)
    today = request.received + dt.timedelta(days=200)
    in_time = decide(request.after(events), impact, (*SHIPPED, pack), today=today)
    assert decide(request.after(late), impact, (*SHIPPED, pack), today=today) == in_time
    one_by_one = request
    for number in range(1, len(late) + 1):
        one_by_one = request.after(late[:number])
    assert decide(one_by_one, impact, (*SHIPPED, pack), today=today) == in_time


NOTICE = {f"dmca_{part}": True for part in ("signature", "work", "material", "contact", "good_faith", "accuracy")}
UPHELD = {"withdrawal_upheld": True}
ORDER = {"order_reference": "C-1", "order_deadline": "2027-01-01", "order_scope": "whole-lineage"}
KEEPS = [
    ("regulator-order", Standing.REGULATOR, ORDER, "order_stayed",
     [("stayed", {}), ("stay-lifted", {}), ("order-changed", {})]),
    ("contract", Standing.CONTRIBUTOR, {}, "contract_disputed",
     [("suit-filed", {}), ("settled", UPHELD), ("judgment", UPHELD)]),
    ("copyright", Standing.RIGHTS_HOLDER, NOTICE, "counter_notice",
     [("counter-notice", {}), ("counter-notice-withdrawn", {}), ("answered", {})]),
    ("gdpr", Standing.DATA_SUBJECT, {"gdpr_ground": "a"}, "legal_hold",
     [("identity-asked", {}), ("identity-shown", {}), ("settled", {"legal_hold": False})]),
]  # fmt: skip
"""Under each regime a request that is granted, a fact that keeps its data, and what happens around such matters."""


@PATIENT
@given(st.sampled_from(KEEPS), st.data())
def test_what_keeps_the_data_keeps_it_whatever_ended_the_like_before(keeps, data):
    """A stay was lifted, a dispute settled, a counter-notice withdrawn; then it is recorded that there is another."""
    regime, standing, facts, fact, kinds = keeps
    asked = RemovalRequest(
        "r-1", standing, Defect.PRIVACY, regime, (Selector("subject", "7f3a"),), RECEIVED, True, facts=facts
    )
    impact = ImpactFacts(items=3, subjects=1, shards=(ShardFacts("a", "MIT", legal_basis="consent"),)).build()
    assert decide(asked, impact, SHIPPED, today=RECEIVED).outcome is Outcome.GRANTED
    drawn = data.draw(st.lists(st.tuples(st.sampled_from(kinds), st.integers(0, 180)), max_size=5))
    before = [Event(EventKind(kind), RECEIVED + dt.timedelta(days=day), came) for (kind, came), day in drawn]
    known = Event(EventKind.NOTED, RECEIVED + dt.timedelta(days=181), {fact: True})
    today = RECEIVED + dt.timedelta(days=200)
    assert decide(asked.after([*before, known]), impact, SHIPPED, today=today).outcome is Outcome.ON_HOLD


@PATIENT
@given(requests(), impacts(), st.data())
def test_every_decision_with_events_can_be_explained_and_restored(request, impact, data):
    after = request.after(data.draw(happenings(request.received, most=10)))
    decision = decide(after, impact, SHIPPED, today=request.received + dt.timedelta(days=200))
    assert explain(decision, after)
    assert restore(type(decision), plain(decision)) == decision
    assert restore(RemovalRequest, plain(after)) == after
    if decision.owed is not None:
        removing = [each.by for each in decision.owed.deadlines if each.by and each.of is not Part.PUT_BACK]
        assert decision.owed.deadline == min(removing, default=None)
        assert all(each.counted for each in decision.owed.deadlines)


@pytest.mark.parametrize(
    ("stops", "events", "day"),
    [
        (PAUSE, [], dt.date(2026, 4, 2)),
        (PAUSE, [on("identity-asked", 2), on("identity-shown", 2)], dt.date(2026, 4, 2)),
        (PAUSE, [on("identity-asked", 4), on("identity-failed", 14)], dt.date(2026, 4, 12)),
        (PAUSE, [on("identity-asked", 4), on("identity-asked", 9), on("identity-shown", 14)], dt.date(2026, 4, 12)),
        (PAUSE, [on("identity-asked", 2, 4), on("identity-shown", 9, 4)], dt.date(2026, 4, 9)),
        (PAUSE, [on("identity-asked", 3, 4), on("identity-shown", 9, 4)], dt.date(2026, 4, 2)),
        (PAUSE, [on("identity-asked", 25, 2), on("identity-shown", 5)], dt.date(2026, 4, 5)),
        (ANEW, [on("fee-asked", 4), on("fee-paid", 14)], dt.date(2026, 4, 14)),
        (ANEW, [on("fee-paid", 14)], dt.date(2026, 4, 2)),
        (ANEW, [on("fee-asked", 4)], None),
        ((PAUSE, ANEW), [on("identity-asked", 4), on("fee-asked", 6), on("identity-shown", 8), on("fee-paid", 10)],
         dt.date(2026, 4, 10)),
        ((PAUSE, Stop(EventKind.CLARIFICATION_ASKED, EventKind.CLARIFICATION_GIVEN)),
         [on("identity-asked", 4), on("clarification-asked", 8), on("identity-shown", 11),
          on("clarification-given", 15)],
         dt.date(2026, 4, 13)),
    ],
)  # fmt: skip
def test_a_month_from_march_2_with_stops(stops, events, day):
    assert due(Deadline(months=1, stops=stops), RECEIVED, {}, events) == day


def test_what_a_clock_waits_for_is_said():
    clock = Deadline(
        business_days=14, not_before=10, calendar="US", from_event=EventKind.COUNTER_NOTICE, of=Part.PUT_BACK
    )
    assert "counter-notice, which is not recorded" in due_by(clock, RECEIVED, {}, [], rule="a/b").counted
    window = due_by(clock, RECEIVED, {}, [on("counter-notice", 5)], rule="a/b")
    assert (window.not_before, window.by, window.of) == (dt.date(2026, 3, 19), dt.date(2026, 3, 25), Part.PUT_BACK)
    ended = due_by(clock, RECEIVED, {}, [on("counter-notice", 5), on("suit-filed", 9)], rule="a/b")
    assert ended.by is None
    with pytest.raises(BadRequest, match="stands still since 2026-03-04"):
        extended(
            Deadline(months=1, stops=PAUSE, extension=Extension(months=2, told_within_months=1)),
            RECEIVED, {}, [on("identity-asked", 4)],
        )  # fmt: skip


def test_what_begins_on_the_day_its_like_ended_goes_on():
    assert pending([on("stayed", 9), on("stay-lifted", 12), on("stayed", 12)]) == (EventKind.STAYED,)
    assert pending([on("stayed", 9), on("stayed", 12), on("stay-lifted", 13)]) == ()
    assert pending([on("identity-asked", 9), on("identity-shown", 9)]) == ()
    assert [event.on.day for event in in_order([on("told-on", 9), on("told-on", 3)])] == [3, 9]


def test_every_kind_says_what_it_means_and_what_ends_a_matter_is_no_beginning_of_it():
    assert all(kind.words and "\n" not in kind.words for kind in EventKind)
    assert all(kind not in ends for kind, ends in ENDS.items())


def test_facts_of_the_latest_day_hold():
    asked = RemovalRequest(
        "r-1", Standing.REGULATOR, Defect.REGULATOR_ORDER, "regulator-order", (Selector("shard", "a"),), RECEIVED,
        facts={"order_deadline": "2026-06-01"},
    )  # fmt: skip
    changed = [
        Event(EventKind.ORDER_CHANGED, dt.date(2026, 4, day), {"order_deadline": f"2026-07-{day:02}"}) for day in (9, 3)
    ]
    assert asked.after(changed).facts["order_deadline"] == "2026-07-09"
    before = Event(
        EventKind.ORDER_CHANGED, dt.date(2026, 2, 1), {"order_deadline": "2026-05-01", "order_scope": "influence"}
    )
    assert asked.after([before]).facts == {"order_deadline": "2026-06-01", "order_scope": "influence"}
    assert asked.after([]).digest == asked.digest, "a request without events keeps its digest"


@pytest.mark.parametrize(
    "condition",
    [
        'request.events.exists(e, e.kind == "counter-notise")',
        'request.events.exists(e, "counter-notise" == e.kind)',
        'request.events.exists(e, e.kind in ["stayed", "counter-notise"])',
        '"counter-notise" in request.pending',
        '"put-back" in request.pending',
        'request.events.map(e, e).exists(e, e.kind == "counter-notise")',
        'request.events.filter(e, true)[0].kind == "counter-notise"',
        "request.happened.exists(e, true)",
    ],
)
def test_a_kind_that_there_is_not_is_refused_when_a_pack_is_read(condition):
    with pytest.raises(BadPack, match=r"condition names|none of"):
        parse(condition, facts=())


def test_a_condition_sees_kinds_and_days():
    rule = {"id": "late", "words": "Late.", "citation": "ours", "dated": "2026-01-01",
            "when": 'request.events.exists(e, e.kind == "complaint" && e.on >= "2026-03-10")',
            "then": {"outcome": "granted", "guarantee": "exact",
                     "deadline": {"days": 30, "from_event": "complaint"}}}  # fmt: skip
    pack = pack_of({"pack": "p", "title": "P", "version": "1", "applies": "true", "rules": [rule]}, name="p")
    asked = RemovalRequest("r-1", Standing.DATA_SUBJECT, Defect.PRIVACY, "p", (Selector("shard", "a"),), RECEIVED)
    impact = ImpactFacts().build()
    for day, deadline in ((9, None), (10, dt.date(2026, 4, 9))):
        decision = decide(asked.after([on("complaint", day)]), impact, [pack], today=dt.date(2026, 3, 20))
        assert (decision.owed.deadline if decision.owed else None) == deadline


@pytest.mark.parametrize(
    ("then", "says"),
    [
        (
            {"deadline": {"months": 1, "stops": {"from": "identity-asked", "until": "identity-asked"}}},
            "stops `from` one",
        ),
        ({"deadline": {"months": 1, "stops": {"from": "identity-asked", "untill": "x"}}}, "stops"),
        ({"deadline": {"months": 1, "stops": {"from": "asked", "until": "identity-shown"}}}, "stops"),
        ({"deadlines": [{"of": "datas", "months": 1}]}, "deadlines.0.of: 'datas' is unknown"),
        ({"deadlines": [{"of": "data", "fact": "nowhere"}]}, "then.deadlines.0.fact: declare the fact nowhere"),
        ({"spares": {"words": "x", "by": {"fact": "nowhere"}}}, "then.spares.by.fact: declare"),
        ({"spares": {"words": " "}}, "must say which data is spared"),
        ({"deadline": {"days": 10, "not_before": 11}}, "`not_before` is no more than the period"),
        ({"deadline": {"days": 10, "saturdays": True}}, "`saturdays` says how"),
        ({"duties": [{"words": "x", "done_by": "told"}]}, "done_by"),
        ({"duties": [{"words": "x", "until": {"days": 9}, "done_by": "answered"}]}, "lasts `until` a day has no event"),
    ],
)
def test_a_deadline_that_does_not_hold_together_is_refused(then, says):
    rule = {"id": "r", "when": "true", "words": "x", "citation": "y", "dated": "2026-01-01", "then": then}
    with pytest.raises(BadPack, match=says):
        pack_of({"pack": "p", "title": "P", "version": "1", "applies": "true", "rules": [rule]}, name="p")


def test_explain_says_how_days_were_counted():
    asked = RemovalRequest("r-1", Standing.DATA_SUBJECT, Defect.PRIVACY, "gdpr", (Selector("shard", "a"),), RECEIVED)
    said = explain(decide(asked, ImpactFacts().build(), SHIPPED, today=RECEIVED), asked)
    assert "counted without moving a last day that is a weekend or holiday, so never too late" in said
    after = asked.after([on("identity-asked", 2)])
    still = explain(decide(after, ImpactFacts().build(), SHIPPED, today=RECEIVED), after)
    assert "deadline: none that can be given now" in still
    assert "the clock stands still since 2026-03-02 (identity-asked), until identity-shown or identity-failed" in still
