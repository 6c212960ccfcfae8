"""A person grants what needs review, and nothing else; what the packs said stays."""

import datetime as dt
from dataclasses import replace

import pytest

from lineage.records import plain, restore
from policies.decision import Decision
from policies.errors import BadRequest
from policies.judging.explain import explain
from policies.judging.review import ALL, grant, refuse, waiting
from policies.taxonomy import CARRIED_OUT, Outcome, Refusal, Scope
from tests.policies import test_judge
from tests.policies.shipped import decided

TODAY = dt.date(2027, 1, 4)
IN_REVIEW = [pair for pair in decided() if pair[0].outcome is Outcome.NEEDS_REVIEW]
OWING = [pair for pair in IN_REVIEW if pair[0].owed]
CARRIED = [pair for pair in OWING if pair[0].owed.scope in CARRIED_OUT]


def granted(decision: Decision) -> Decision:
    return grant(decision, by="9f2a" * 16, reason="seen in person,\n passport ", today=TODAY, claims=[ALL])


def test_what_the_packs_said_and_what_is_owed_stay() -> None:
    for decision, request in CARRIED:
        after = granted(decision)
        assert (after.outcome, after.decided) == (Outcome.GRANTED, TODAY)
        assert (after.owed, after.packs, after.request) == (decision.owed, decision.packs, decision.request)
        assert (after.reasons[:-1], after.overrides[:-1]) == (decision.reasons, decision.overrides)
        assert restore(Decision, plain(after)) == after
        text = explain(after, request)
        assert (
            "review/person: seen in person, passport [a person's decision, pseudonym 9f2a9f2a9f2a, 2027-01-04]" in text
        )
        assert "outcome: granted (review/person) beats needs-review (" in text
        assert all(f"{said.pack}/{said.rule}: " in text for said in decision.reasons)


@pytest.mark.parametrize("outcome", [Outcome.GRANTED, Outcome.DENIED, Outcome.ON_HOLD])
def test_nothing_else_is_a_persons_to_grant(outcome: Outcome) -> None:
    claims = tuple(replace(claim, outcome=outcome) for claim in IN_REVIEW[0][0].claims)
    decision = replace(IN_REVIEW[0][0], outcome=outcome, claims=claims)
    with pytest.raises(BadRequest, match=f"is {outcome.value}; a person grants only what needs review"):
        granted(decision)


def test_where_no_rule_says_what_is_owed_nothing_is_granted() -> None:
    with pytest.raises(BadRequest, match="no rule says what would be owed"):
        granted(replace(IN_REVIEW[0][0], owed=None))


def test_a_reason_is_given_and_a_grant_is_given_once() -> None:
    decision, _ = OWING[0]
    with pytest.raises(BadRequest, match="gives a reason"):
        grant(decision, by="9f2a", reason="  ", today=TODAY)
    with pytest.raises(BadRequest, match="is granted; a person grants only what needs review"):
        granted(granted(decision))


def test_a_scope_that_is_not_carried_out_is_granted_only_as_a_wider_one() -> None:
    narrow = [decision for decision, _ in OWING if decision.owed.scope not in CARRIED_OUT]
    assert narrow
    for decision in narrow:
        with pytest.raises(BadRequest, match="which is not carried out here; grant more than that"):
            granted(decision)
        wider = grant(decision, by="9f2a", reason="more, of our own will", today=TODAY, scope=Scope.INFLUENCE,
                      claims=[ALL])  # fmt: skip
        assert wider.owed == replace(decision.owed, scope=Scope.INFLUENCE)
        assert "goes beyond the" in wider.overrides[-1]


def two_wait() -> Decision:
    """An unidentified person asks under the GDPR and the CCPA: both claims wait, with days of their own."""
    facts = {"gdpr_ground": "b", "also_under": "ccpa", "california_resident": True}
    found = test_judge.decided(facts=facts, identity_verified=False)
    assert [claim.pack for claim in waiting(found)] == ["ccpa", "gdpr"]
    return found


def by_ann(decision: Decision, *claims: str, scope: Scope | None = None) -> Decision:
    return grant(decision, by="9f2a" * 16, reason="seen", today=TODAY, claims=claims, scope=scope)


def outcomes(decision: Decision) -> dict[str, str]:
    return {claim.pack: claim.outcome.value for claim in decision.claims}


def test_where_several_claims_wait_a_person_says_which() -> None:
    """Today's grant granted each of them, whatever the person had looked at."""
    with pytest.raises(BadRequest) as refused:
        by_ann(two_wait())
    assert str(refused.value) == (
        "request r-1: claims under ccpa and gdpr wait for a person; say which with --claim ccpa or --claim gdpr "
        "(repeat it for more than one), or --claim all"
    )
    with pytest.raises(BadRequest, match="no claim under hipaa waits for a person; waiting: ccpa, gdpr"):
        by_ann(two_wait(), "gdpr", "hipaa")


def test_what_is_owed_is_what_the_granted_claims_owe() -> None:
    asked = two_wait()
    one = by_ann(asked, "gdpr")
    claims = {claim.pack: claim for claim in asked.claims}
    assert (one.outcome, outcomes(one)) == (Outcome.GRANTED, {"ccpa": "needs-review", "gdpr": "granted"})
    assert one.owed == claims["gdpr"].owed
    assert one.due == claims["gdpr"].answer_by
    assert {claim.pack: claim.answer_by for claim in one.claims} == {p: c.answer_by for p, c in claims.items()}
    assert one.reasons[-1].citation == "a person's decision on gdpr, pseudonym 9f2a9f2a9f2a"
    assert "ccpa/identity" not in one.overrides[-1]
    assert restore(Decision, plain(one)) == one

    both = by_ann(one, "ccpa")
    assert outcomes(both) == {"ccpa": "granted", "gdpr": "granted"}
    at_once = by_ann(asked, ALL)
    assert both.owed is not None
    assert at_once.owed is not None
    assert (set(both.owed.notices), both.owed.deadline) == (set(at_once.owed.notices), at_once.owed.deadline)
    assert both.owed.removes_the_same(at_once.owed)
    assert by_ann(one).claims == both.claims, "one claim that waits alone need not be named"
    with pytest.raises(BadRequest, match="is granted; a person grants only what needs review"):
        by_ann(both)
    assert by_ann(asked, "ccpa", "gdpr").owed == at_once.owed == asked.owed


def test_a_claim_is_refused_alone_with_its_days() -> None:
    asked = two_wait()
    refused = refuse(
        asked, by="9f2a" * 16, reason=Refusal.INSUFFICIENT_VERIFICATION, today=TODAY, claims=["ccpa"]
    )  # fmt: skip
    assert (refused.outcome, outcomes(refused)) == (Outcome.NEEDS_REVIEW, {"ccpa": "denied", "gdpr": "needs-review"})
    ccpa, gdpr = refused.claims
    assert (ccpa.refusal, ccpa.owed) == (Refusal.INSUFFICIENT_VERIFICATION, None)
    assert set(ccpa.on_refusal) <= set(refused.duties)
    assert not set(gdpr.on_refusal) & set(refused.duties)
    assert refused.owed == gdpr.owed
    granted = by_ann(refused)
    assert (granted.outcome, outcomes(granted)) == (Outcome.GRANTED, {"ccpa": "denied", "gdpr": "granted"})
    assert granted.owed == gdpr.owed

    later = refuse(by_ann(asked, "gdpr"), by="9f2a", reason=Refusal.OTHER, today=TODAY, claims=["ccpa"])
    assert (later.outcome, outcomes(later), later.owed) == (Outcome.GRANTED, outcomes(granted), gdpr.owed)


def test_refusing_the_last_claim_is_denying_the_request() -> None:
    for decision, claims in ((two_wait(), [ALL]), (two_wait(), ["ccpa", "gdpr"])):
        with pytest.raises(BadRequest, match=r"no claim is left but ccpa and gdpr; deny the whole request"):
            refuse(decision, by="9f2a", reason=Refusal.OTHER, today=TODAY, claims=claims)


def test_a_claim_behind_a_guard_waits_on_where_it_is_not_named() -> None:
    """A guard of the data stops both, though each pack grants its own: naming one leaves the other to a person."""
    asked = two_wait()
    guarded = replace(asked, claims=tuple(replace(claim, outcome=Outcome.GRANTED) for claim in asked.claims))
    one = by_ann(guarded, "gdpr")
    assert outcomes(one) == {"ccpa": "needs-review", "gdpr": "granted"}
    assert one.owed == guarded.claims[1].owed
