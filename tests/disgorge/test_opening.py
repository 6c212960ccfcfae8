"""The four sentences that a report opens with, and the three groups of its caveats: true to every kind of ending."""

import datetime as dt
from dataclasses import astuple, replace
from typing import Any

import pytest

from disgorge.plan.plan import Action, LeftOut, Share
from disgorge.report.page import render, render_certificate
from disgorge.report.sentences import asked
from disgorge.report.summary import opening
from disgorge.statement.limitations import ALWAYS, CLOCKS_AND_NAMES
from disgorge.statement.statement import ReportCase
from lineage.records import Impact
from policies.request import Standing
from policies.taxonomy import Defect
from tests.disgorge.report_cases import (
    case,
    check,
    decision,
    evidence,
    hexadecimal,
    plan,
    request,
    step,
)
from tests.disgorge.test_page import refusal


def fulfilled() -> ReportCase:
    """A request whose items another one's removal had taken."""
    decided = decision()
    detail = {"request": "R-1", "plan": hexadecimal("p"), "statement": hexadecimal("s"), "removed": 3, "of": 3}
    planned = plan(
        decided,
        steps=(step(Action.CONFIRM, "R-1", None, detail=detail), step(Action.REPORT, "R-7", None)),
        required=("residue",),
    )
    found = evidence(planned, subjects=(), checks=(check("residue", "R-7"),), utility=(), before={}, after={})
    empty = Impact(hexadecimal("head"), (), (), (), (), items=0, subjects=0, duplicates=0)
    return case(decision=decided, plan=planned, evidence=found, impact=empty, samples=None, compositions={})


def withdrawn() -> ReportCase:
    """A release that was destroyed, since nothing else could be done about it."""
    decided = decision()
    steps = tuple(each for each in plan(decided).steps if each.action in (Action.CONTAIN, Action.WITHDRAW_ITEMS))
    ends = (step(Action.PURGE, "old weights and withdrawn items", None), step(Action.REPORT, "R-7", None))
    planned = plan(decided, steps=(*steps, step(Action.WITHDRAW, "digits-maker", "digits-maker"), *ends))
    name = "digits-maker"
    checks = (check("lineage-closure", name), check("residue", name))
    found = evidence(planned, subjects=(name,), checks=checks, before={name: hexadecimal("x")}, after={}, utility=())
    return case(decision=decided, plan=planned, evidence=found, samples=None)


def emptied() -> ReportCase:
    """A release that serves again with nothing left in it that was trained, as its approver accepted."""
    made = case()
    losses = ["nothing that was trained on removable data is left in the release"]
    checks = tuple(
        replace(each, detail={"losses": losses}) if (each.name, each.subject) == ("utility", "digits-maker") else each
        for each in made.evidence.checks
    )
    return case(evidence=replace(made.evidence, checks=checks))


def in_part() -> ReportCase:
    """A removal that left two items where a hold keeps them."""
    decided = decision()
    left = (LeftOut(2, "H-1", "a claim of Bob's", dt.date(2027, 1, 1)),)
    return case(decision=decided, plan=plan(decided, left_out=left))


def after_an_earlier_plan() -> ReportCase:
    """A plan that went on where another one of the same request had taken items out."""
    made = case()
    cut = {"plan": hexadecimal("earlier"), "request": "R-7", "shard": hexadecimal("b"), "name": "bob", "removed": 9}
    return replace(made, facts=(*made.facts, {"kind": "shard-withdrawn", "body": cut}))


def own_decision() -> ReportCase:
    """A removal that nothing but the operator's own will asks for."""
    return case(request=request(ground=Defect.OWN_DECISION, regime="own-decision", standing=Standing.INTERNAL))


def done_and_refused() -> ReportCase:
    """Every step was done, and one check said no."""
    made = case()
    found = replace(made.evidence, checks=tuple(each for each in made.evidence.checks if each.name != "residue"))
    return case(evidence=found, refusal="check residue is missing")


ENDINGS = [case, refusal, done_and_refused, fulfilled, withdrawn, emptied, in_part, after_an_earlier_plan, own_decision]


@pytest.mark.parametrize("ending", ENDINGS)
def test_each_report_opens_with_four_sentences_before_anything_else(ending: Any) -> None:
    made = ending()
    sentences = astuple(opening(made))
    assert len(sentences) == 4
    for words in sentences:
        assert words.endswith(".")
        assert ". " not in words
        assert words[0] == words[0].upper()
        for page in (render(made), render_certificate(made)):
            assert words in page
            assert page.index(words) < page.index("What was asked")


def test_what_was_done_is_told_as_it_was_done() -> None:
    made = opening(case())
    assert made.asked == (
        "A contributor asked on 2 November 2026 for the removal of data, with what models learned from it: "
        "150 items of 22 people."
    )
    assert made.done == (
        "150 rows were taken out of 1 shard, 1 component was dropped, 1 component was trained again without the data, "
        "digits-maker and digits-reader were released again and the withdrawn items and the old weights were deleted "
        "from the workspace."
    )
    assert made.shown.startswith("All 8 required checks passed: digits-maker and digits-reader, trained again without")
    assert "nothing of it was found in the places searched" in made.shown
    assert "compliance with any law" in made.not_promised
    assert "until an auditor re-executes the removal" in made.not_promised


def test_what_was_done_for_several_requests_together_says_how_much_is_this_ones() -> None:
    decided = decision()
    shares = (Share("R-7", decided.digest, 11), Share("R-8", decided.digest, 139))
    together = case(decision=decided, plan=replace(plan(decided), together=shares))
    words = "150 rows were taken out of 1 shard, for this request (11 items) and 1 other request together"
    assert opening(together).done.startswith(f"{words}, 1 component was dropped")
    assert any(sentence.startswith("The plan, carried out for R-8 as well, removes") for sentence in asked(together))
    assert "together" not in opening(case()).done


def test_a_report_names_every_law_that_was_claimed_under() -> None:
    one, both = case(), case(request=replace(request(), facts={"also_under": "uk-gdpr"}))
    assert f"under the rules called “{one.request.regime}”. " in next(asked(one))
    assert f"under the rules called “{one.request.regime}” and “uk-gdpr”. " in next(asked(both))


def test_a_refused_removal_shows_and_promises_nothing() -> None:
    early, late = opening(refusal()), opening(done_and_refused())
    assert early.done == "Nothing was removed; the execution stopped before its end, and no certificate was issued."
    assert late.done.endswith("; every step was done, and no certificate was issued.")
    assert late.shown == (
        "That the removal is complete is not shown: 6 of the 6 required checks made passed, not made: residue."
    )
    for made in (early, late):
        assert "is not shown" in made.shown
        assert made.not_promised.startswith("Nothing is certified")


def test_a_request_that_another_removal_fulfilled_claims_no_removal_of_its_own() -> None:
    made = opening(fulfilled())
    assert made.asked.endswith(": 3 items.")
    assert made.done.startswith("Nothing was removed for this request, because the removal for request R-1 had taken")
    assert made.shown.startswith("The report on R-1 shows that removal")
    assert "re-executes" not in made.not_promised


def test_a_destroyed_release_is_not_said_to_be_released_again() -> None:
    made = opening(withdrawn())
    assert "digits-maker was taken down and destroyed" in made.done
    assert "released again" not in made.done
    assert "bit for bit" not in made.shown
    assert "re-executes" not in made.not_promised


def test_a_loss_of_use_that_was_accepted_is_told_at_once() -> None:
    assert (
        "digits-maker (with a loss that was accepted: nothing that was trained on removable data is left in the "
        "release) and digits-reader were released again"
    ) in opening(emptied()).done


def test_what_a_hold_keeps_is_told_at_once() -> None:
    made = opening(in_part())
    assert made.asked.endswith(": 152 items.")
    assert "150 items of 22 people in 1 shard, 3 of them exact copies found elsewhere, beside 2 items under" in render(
        in_part()
    )
    assert made.done.endswith("; 2 items stay under a hold, so the request is fulfilled only in part.")
    assert "anything about the 2 items under a hold" in made.not_promised


def test_after_an_earlier_plan_nothing_is_counted_that_this_one_did_not_do() -> None:
    made = opening(after_an_earlier_plan())
    assert made.asked.endswith("with what models learned from it.")
    assert made.done.startswith("An earlier plan of the request did a part")


def test_an_own_decision_is_nobodys_request() -> None:
    made = own_decision()
    assert opening(made).asked.startswith("The operator decided on 2 November 2026, of its own will and with no claim")
    assert "asked on" not in render(made)


def test_a_source_that_still_holds_the_data_is_told_at_once() -> None:
    made = case()
    checks = tuple(
        replace(each, detail={"unsupported": ["alice was read from a.npz"], "not enumerated": {}})
        if each.name == "residue"
        else each
        for each in made.evidence.checks
    )
    told = opening(replace(made, evidence=replace(made.evidence, checks=checks))).not_promised
    assert "that the data is gone from the file that 1 shard was read from" in told


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_caveat_stands_in_one_group(ending: Any) -> None:
    made = ending()
    groups = made.caveats
    told = [sentence for _, sentences in groups.groups for sentence in sentences]
    assert len(told) == len(set(told))
    assert groups.always == ALWAYS
    assert CLOCKS_AND_NAMES in groups.this_machine
    for page in (render(made), render_certificate(made)):
        places = [page.index(f"<h3>{heading}</h3>") for heading, _ in groups.groups]
        assert places == sorted(places)
        assert "About this machine" in page
        assert "Always" in page


def test_what_was_left_where_it_is_is_about_this_removal() -> None:
    groups = in_part().caveats
    assert any("fulfilled only in part" in sentence for sentence in groups.this_removal)
    assert "Git history keeps the names and MD5 digests of removed DVC outputs." in groups.this_removal
