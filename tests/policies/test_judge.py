"""What deciding refuses outright, and the edges of the calendar."""

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest

from lineage.records import Selector, plain, restore
from policies.cases.case_files import ImpactFacts, ShardFacts
from policies.decision import Claim, Decision, Duty
from policies.errors import BadPack, BadRequest
from policies.judging.judge import decide
from policies.packs.load import load_packs
from policies.request import RemovalRequest, Standing
from policies.taxonomy import Confinement, Defect, Outcome

DAY = dt.date(2026, 3, 2)


def decided(*, packs=None, today=DAY, **changes):
    fields = {
        "id": "r-1",
        "standing": Standing.DATA_SUBJECT,
        "ground": Defect.PRIVACY,
        "regime": "gdpr",
        "selectors": (Selector("subject", "7f3a"),),
        "received": DAY,
        "identity_verified": True,
        "facts": {"gdpr_ground": "d"},
    }
    request = RemovalRequest(**(fields | changes))
    return decide(request, ImpactFacts(items=1).build(), packs or load_packs(), today=today)


def test_what_overrode_what_is_said_once():
    request = RemovalRequest(
        "r-1", Standing.DATA_SUBJECT, Defect.PRIVACY, "gdpr", (Selector("subject", "7f3a"),), DAY,
        identity_verified=True, facts={"gdpr_ground": "d"},
    )  # fmt: skip
    impact = ImpactFacts(items=1, shards=(ShardFacts("invoices", legal_basis="legal-obligation"),)).build()
    found = decide(request, impact, load_packs(), today=DAY).overrides
    assert found == ("outcome: needs-review (gdpr/legal-obligation, house/kept-by-law) beats granted (gdpr/erasure)",)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"received": dt.date(2026, 3, 4)}, "after today"),
        ({"received": dt.datetime(2026, 3, 2, 9)}, "has a time of day"),
        ({"regime": "\ud800"}, "not Unicode"),
        ({"facts": {"two words": 1}}, "no usable name"),
        ({"facts": {"x": "a\nb"}}, "cannot be printed"),
        ({"facts": {"x": float("inf")}}, "not a finite number"),
        ({"facts": {"x": 10**20}}, "too large"),
        ({"facts": {"x": {"a": 1}}}, "is a dict; give text"),
    ],
)
def test_a_request_that_cannot_be_decided_is_refused_in_one_line(changes, says):
    with pytest.raises(BadRequest, match=says) as refused:
        decided(**changes)
    assert "\n" not in str(refused.value)


def test_a_day_of_grace_for_time_zones():
    assert decided(received=dt.date(2026, 3, 3)).outcome is Outcome.GRANTED


@pytest.mark.parametrize("day", [dt.date.min, dt.date.max])
def test_the_ends_of_the_calendar_are_no_crash(day):
    decision = decided(received=day, today=day)
    assert decision.outcome is (Outcome.NEEDS_REVIEW if day == dt.date.max else Outcome.GRANTED)


def test_two_packs_of_one_name_are_refused():
    with pytest.raises(BadPack, match="two packs have one name"):
        decided(packs=[*load_packs(), load_packs()[0]])


def test_a_decision_names_the_packs_it_was_made_by():
    all_packs = decided()
    some = decided(packs=[pack for pack in load_packs() if pack.pack == "gdpr"])
    assert all_packs.packs != some.packs
    assert all_packs.digest == decided().digest != some.digest


def test_a_refusal_is_due_by_the_earliest_of_its_answers_and_no_record_is() -> None:
    day = dt.date(2026, 12, 3)
    answer, record = Duty("say why", day, "a/b"), Duty("keep it", dt.date(2026, 11, 4), "a/c", lasts=True)
    claim = Claim("a", "A", Outcome.DENIED, None, None, None, None, "a sets none", (), (record, answer))
    assert Decision("r", Outcome.DENIED, "x", None, None, (), "", day, (), (claim,)).due == day
    assert (answer.said, record.said) == ("by 2026-12-03: say why", "until 2026-11-04: keep it")


def test_a_decision_recorded_without_confinement_is_held_to_the_strictest_and_keeps_its_digest() -> None:
    decision = decided()
    assert (decision.owed.confinement, decision.owed.equal_bits) == (Confinement.LANDLOCK, False)
    written = plain(decision)
    assert written["owed"].pop("confinement") == "landlock"
    assert written["owed"].pop("equal_bits") is False
    earlier = restore(Decision, written)
    assert (earlier.owed.confinement, earlier.owed.equal_bits) == (Confinement.NAMESPACE, True)
    assert plain(earlier) == written
    assert earlier.digest != decision.digest
    strict = replace(decision, owed=replace(decision.owed, equal_bits=True))
    assert restore(Decision, plain(strict)) == strict
    assert "equal_bits" not in plain(strict)["owed"], "true says nothing that a record without it does not say"
    with pytest.raises(ValueError, match="confinement"):
        restore(Decision, written | {"owed": written["owed"] | {"confinement": "box"}})


@pytest.mark.parametrize("change", [{"confinement": Confinement.NAMESPACE}, {"equal_bits": True}])
def test_a_removal_that_is_shown_otherwise_is_another(change: dict[str, Any]) -> None:
    owed = decided().owed
    assert not owed.removes_the_same(replace(owed, **change))
    assert owed.removes_the_same(replace(owed, notices=()))
