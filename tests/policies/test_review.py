"""A person grants what needs review, and nothing else; what the packs said stays."""

import datetime as dt
from dataclasses import replace

import pytest

from lineage.records import plain, restore
from policies.decision import Decision
from policies.errors import BadRequest
from policies.explain import explain
from policies.review import grant
from policies.taxonomy import CARRIED_OUT, Outcome, Scope
from tests.policies.test_explain import decided

TODAY = dt.date(2027, 1, 4)
PAIRS = list(decided())
IN_REVIEW = [(decision, request) for decision, request in PAIRS if decision.outcome is Outcome.NEEDS_REVIEW]


CARRIED = [pair for pair in IN_REVIEW if pair[0].owed and pair[0].owed.scope in CARRIED_OUT]


def granted(decision: Decision) -> Decision:
    return grant(decision, by="9f2a" * 16, reason="seen in person,\n passport ", today=TODAY)


@pytest.mark.parametrize(("decision", "request_"), CARRIED, ids=lambda value: "")
def test_what_the_packs_said_and_what_is_owed_stay(decision, request_) -> None:
    after = granted(decision)
    assert after.outcome is Outcome.GRANTED
    assert (after.owed, after.packs, after.request) == (decision.owed, decision.packs, decision.request)
    assert after.reasons[:-1] == decision.reasons
    assert after.overrides[:-1] == decision.overrides
    assert after.decided == TODAY
    assert restore(Decision, plain(after)) == after
    text = explain(after, request_)
    assert "review/person: seen in person, passport [a person's decision, pseudonym 9f2a9f2a9f2a, 2027-01-04]" in text
    assert "outcome: granted (review/person) beats needs-review (" in text
    for said in decision.reasons:
        assert f"{said.pack}/{said.rule}: " in text


@pytest.mark.parametrize("outcome", [Outcome.GRANTED, Outcome.DENIED, Outcome.ON_HOLD])
def test_nothing_else_is_a_persons_to_grant(outcome: Outcome) -> None:
    decision = replace(IN_REVIEW[0][0], outcome=outcome)
    with pytest.raises(BadRequest, match=f"is {outcome.value}; a person grants only what needs review"):
        granted(decision)


def test_where_no_rule_says_what_is_owed_nothing_is_granted() -> None:
    with pytest.raises(BadRequest, match="no rule says what would be owed"):
        granted(replace(IN_REVIEW[0][0], owed=None))


def test_a_reason_is_given() -> None:
    decision = next(decision for decision, _ in IN_REVIEW if decision.owed)
    with pytest.raises(BadRequest, match="gives a reason"):
        grant(decision, by="9f2a", reason="  ", today=TODAY)


def test_granting_again_is_refused() -> None:
    decision = next(decision for decision, _ in IN_REVIEW if decision.owed)
    with pytest.raises(BadRequest, match="is granted; a person grants only what needs review"):
        granted(granted(decision))


@pytest.mark.parametrize(
    "decision",
    [decision for decision, _ in IN_REVIEW if decision.owed and decision.owed.scope not in CARRIED_OUT],
    ids=lambda decision: decision.owed.scope.value,
)
def test_a_scope_that_is_not_carried_out_is_granted_only_as_a_wider_one(decision) -> None:
    with pytest.raises(BadRequest, match="which is not carried out here; grant more than that"):
        granted(decision)
    wider = grant(decision, by="9f2a" * 16, reason="more, of our own will", today=TODAY, scope=Scope.INFLUENCE)
    assert wider.owed == replace(decision.owed, scope=Scope.INFLUENCE)
    assert "goes beyond the" in wider.overrides[-1]
