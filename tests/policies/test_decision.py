"""Decisions and packs of earlier versions keep their digests."""

import datetime as dt

from lineage.records import digest_of, plain, restore
from policies.decision import Claim, Decision, Duty
from policies.packs.load import load_packs
from policies.taxonomy import Outcome

OLD = {
    "request": "r-1",
    "outcome": "denied",
    "category": "exception",
    "owed": None,
    "refusal": "claim-not-covered",
    "reasons": [],
    "packs": "ab" * 32,
    "decided": "2026-11-03",
    "overrides": [],
}
"""A decision as version 1 recorded it, without claims and duties."""

SINCE = {"duties", "on_refusal", "reaches_everyone", "without_identity"}
"""Fields of an effect that packs of earlier versions do not have."""


def test_a_decision_recorded_before_restores_and_keeps_its_digest() -> None:
    restored = restore(Decision, OLD)
    assert plain(restored) == OLD
    assert restored.digest == digest_of(OLD)
    assert restored.due is None


def test_a_pack_that_says_nothing_new_keeps_its_digest() -> None:
    effects = [plain(rule.then) for pack in load_packs() for rule in pack.rules]
    assert any(SINCE & set(effect) for effect in effects)
    assert any(not SINCE & set(effect) for effect in effects)


def test_a_refusal_is_due_by_the_earliest_of_its_answers_and_no_record_is() -> None:
    day = dt.date(2026, 12, 3)
    answer, record = Duty("say why", day, "a/b"), Duty("keep it", dt.date(2026, 11, 4), "a/c", lasts=True)
    claim = Claim("a", "A", Outcome.DENIED, None, None, None, None, "a sets none", (), (record, answer))
    assert Decision("r", Outcome.DENIED, "x", None, None, (), "", day, (), (claim,)).due == day
    assert (answer.said, record.said) == ("by 2026-12-03: say why", "until 2026-11-04: keep it")
