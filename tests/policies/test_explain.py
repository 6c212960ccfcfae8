"""An explanation says everything the decision holds, most important first."""

import datetime as dt
from dataclasses import replace

from lineage.records import plain, restore
from policies.decision import Decision
from policies.events import Event, EventKind
from policies.judging.explain import explain
from policies.taxonomy import Defect, Outcome
from tests.policies.shipped import decided


def test_every_rule_is_named_with_its_citation_and_date():
    for decision, request in decided():
        text = explain(decision, request)
        assert decision.outcome.value.replace("-", " ").upper() in text.splitlines()[0]
        for said in decision.reasons:
            assert f"{said.pack}/{said.rule}: " in text
            unread = "" if said.read else "; NOT READ when this rule was written: check the text"
            assert f"[{said.citation}, {said.dated}{unread}]" in text
        if decision.owed:
            assert decision.owed.guarantee.words in text
            assert f"  - shown by: {decision.owed.shown_by}\n" in text
            assert decision.owed.deadline is None or str(decision.owed.deadline) in text
        for claim in decision.claims:
            assert f"{claim.pack} ({claim.title}): {claim.outcome.value.replace('-', ' ')}" in text
            assert (str(claim.answer_by) if claim.answer_by else claim.no_answer_day) in text
            assert claim.owed is None or f"; shown by {claim.owed.shown_by}; " in text
        notices = decision.owed.notices if decision.owed else ()
        duties = (duty.said for duty in decision.duties)
        assert all(line in text for line in (*decision.overrides, *notices, *duties, decision.no_due))
        assert "not legal advice" in text
        assert restore(Decision, plain(decision)) == decision


def test_a_refusal_whose_day_has_passed_is_called_overdue():
    denied, request = next(pair for pair in decided() if pair[0].outcome is Outcome.DENIED and pair[0].duties)
    text = explain(replace(denied, decided=dt.date(2026, 6, 1)), request)
    assert "Owed with the refusal:" in text
    assert "(OVERDUE by " in text


def test_what_a_pack_granted_before_it_refused_does_not_count_as_deciding():
    pairs = [pair for pair in decided() if pair[0].outcome is Outcome.GRANTED and len(pair[0].claims) > 1]
    refused = [(pair, claim) for pair in pairs for claim in pair[0].claims if claim.outcome is Outcome.DENIED]
    assert refused
    for (decision, request), claim in refused:
        deciding = explain(decision, request).partition("Decided by:")[2].partition("\n\n")[0]
        assert f"- {claim.pack}/" not in deciding


def test_an_own_decision_says_that_no_claim_was_decided():
    pair = next(pair for pair in decided() if pair[1].ground is Defect.OWN_DECISION)
    assert "No claim was decided" in explain(*pair)


def test_a_deadline_that_has_passed_is_called_overdue():
    late, request = next(pair for pair in decided() if pair[0].decided == dt.date(2026, 6, 1))
    assert "OVERDUE by 60 days when decided" in explain(late, request)


def test_a_receipt_that_was_confirmed_is_not_overdue():
    granted, request = next(pair for pair in decided() if pair[0].owed and pair[0].owed.acknowledge_by)
    by = granted.owed.acknowledge_by
    late = replace(granted, decided=by + dt.timedelta(days=30))
    assert f"confirm receipt by: {by} (OVERDUE by 30 days when decided)" in explain(late, request)
    confirmed = request.after([Event(EventKind.ACKNOWLEDGED, by)])
    assert f"confirm receipt by: {by} (done on {by})" in explain(late, confirmed)
    after = request.after([Event(EventKind.ANSWERED, by + dt.timedelta(days=1))])
    assert f"(done on {by + dt.timedelta(days=1)}, a day late)" in explain(late, after)
    asked = request.after([Event(EventKind.IDENTITY_ASKED, by)])
    assert "OVERDUE by 30 days" in explain(late, asked)


def test_a_day_that_is_left_was_left():
    granted, request = next(pair for pair in decided() if pair[0].owed and pair[0].owed.deadline)
    eve = replace(granted, decided=granted.owed.deadline - dt.timedelta(days=1))
    assert "(1 day was left when decided)" in explain(eve, request)


def test_a_window_to_put_material_back_that_is_over_is_overdue_though_a_hold_lasts():
    """17 U.S.C. 512(g)(2)(C): not more than 14 business days."""
    held, request = next(pair for pair in decided() if pair[0].put_back_by)
    assert held.due == held.put_back_by
    late = replace(held, decided=held.put_back_by + dt.timedelta(days=2))
    assert f"to {held.put_back_by} (OVERDUE by 2 days when decided)" in explain(late, request)


def test_every_regime_that_is_claimed_under_is_named():
    granted, request = next(pair for pair in decided() if pair[1].facts.get("also_under") == "ccpa")
    assert f"under {request.regime} and ccpa, on the ground of" in explain(granted, request)
