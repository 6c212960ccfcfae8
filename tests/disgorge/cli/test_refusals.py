"""Refusals with their dates and duties, and removals that nobody claimed, on the command line."""

import datetime as dt
from pathlib import Path

import pytest

from disgorge.audit.rules import audit
from lineage.workspace import Workspace
from tests.disgorge.cli.conftest import CLAIM, asked, executed, filed, fine, one_line, plan_of, refused, untouched

TODAY = dt.datetime.now(dt.UTC).date()
REFUSED = "gdpr_ground=b gdpr_exception=a"
HALF = "gdpr_ground=b gdpr_exception=d also_under=ccpa california_resident=true collected_from_consumer=true"
"""Granted under one law, and left to a person under the other."""


def found(day: dt.date | None = None) -> list[tuple[str, str, str]]:
    """What an audit of that day says about the request, with its weight."""
    about = [each for each in audit(Workspace.open(), today=day) if each.where == "R-1"]
    return [(each.id, each.level.value, each.words) for each in about]


def after(day: dt.date) -> dt.date:
    """The next day."""
    return day + dt.timedelta(days=1)


def test_a_refusal_is_listed_shown_and_answered_by_its_day(workspace_folder: Path) -> None:
    asked("R-1", REFUSED)
    listed = fine("request list --json").json[0]
    assert (listed["state"], listed["claims"]) == ("denied", {"gdpr": "denied"})
    due = dt.date.fromisoformat(listed["due"])
    assert 28 <= (due - TODAY).days <= 31
    duties = [f"by {duty['by']}: {duty['words']}" for duty in listed["duties"]]
    assert f"by {due}: the person who asked: that nothing is erased for now" in " ".join(duties)
    assert str(due) in fine("request list").out
    for shown in (fine("request show R-1").out, fine("policy explain R-1").out):
        assert "Owed with the refusal:" in shown
        assert "gdpr (General Data Protection Regulation" in shown
    assert fine("request show R-1 --json").json["decision"]["claims"][0]["answer_by"] == str(due)
    assert not found(due)
    ((rule, level, words),) = found(after(due))
    assert (rule, level) == ("DSG006", "error")
    assert f"was refused under gdpr, which had to be told with its reasons by {due}" in words
    assert f"by {due}: the person who asked" in fine("request deny R-1 --reason claim-not-covered").out
    assert not found(after(due))


def test_a_refusal_that_was_told_is_answered_though_the_request_is_open(workspace_folder: Path) -> None:
    asked("R-1", REFUSED)
    late = after(dt.date.fromisoformat(fine("request list --json").json[0]["due"]))
    assert [rule for rule, *_ in found(late)] == ["DSG006"]
    fine("request event R-1 refusal-told --by Ann")
    assert "nothing changed" in fine("request decide R-1").out
    assert not found(late)


def test_a_counter_notice_that_nobody_acts_on_is_overdue_though_it_holds(workspace_folder: Path) -> None:
    """17 U.S.C. 512(g)(2)(C); GitHub community discussion 208201: a counter-notice, and two months of silence."""
    elements = ("work", "material", "contact", "signature", "good_faith", "accuracy")
    given = " ".join(f"--fact dmca_{element}=yes" for element in elements)
    asked_for = "request file --standing rights-holder --ground intellectual-property --regime copyright --verified"
    fine(f"{asked_for} --shard shard-2 --id R-1 --received 2026-06-08 {given}")
    fine("request event R-1 counter-notice --on 2026-06-15 --by Ann")
    assert "ON HOLD" in fine("request decide R-1").out
    due = dt.date(2026, 7, 7)
    assert fine("request list --json").json[0]["due"] == str(due)
    assert "DSG006" not in [rule for rule, *_ in found(due)]
    (late,) = [each for each in found(after(due)) if each[0] == "DSG006"]
    assert late[1] == "error"
    assert "had to be put back by 2026-07-07" in late[2]
    fine("request event R-1 suit-filed --on 2026-06-20 --by Ann")
    assert "DSG006" not in [rule for rule, *_ in found(after(due))]


def test_one_pack_refuses_and_the_other_is_planned(workspace_folder: Path) -> None:
    asked("R-1", "gdpr_ground=b also_under=ccpa california_resident=false")
    shown = fine("policy explain R-1").out
    assert "GRANTED" in shown.splitlines()[0]
    assert "denied (outside-jurisdiction), as jurisdiction; answer due by" in shown
    assert "refused under ccpa: this ends that claim only, not what gdpr gives" in shown
    assert fine("request list --json").json[0]["claims"] == {"ccpa": "denied", "gdpr": "granted"}
    assert "granted (but ccpa denied)" in one_line(fine("request list").out)
    fine("request plan R-1")


def test_a_claim_left_to_a_person_is_overdue_though_another_is_granted(workspace_folder: Path) -> None:
    asked("R-1", HALF)
    claims = {each["pack"]: each for each in fine("request show R-1 --json").json["decision"]["claims"]}
    assert (claims["gdpr"]["outcome"], claims["ccpa"]["outcome"]) == ("needs-review", "granted")
    day = dt.date.fromisoformat(claims["gdpr"]["answer_by"])
    assert not found(day)
    ((*_, words),) = found(after(day))
    assert words == f"waits for a person under gdpr, which had to be answered by {day}"


def test_a_person_who_refuses_is_told_what_is_owed_with_it(workspace_folder: Path) -> None:
    asked("R-1", "california_resident=true collected_from_consumer=true", regime="ccpa")
    told = fine("request deny R-1 --reason other --json").json
    assert any("a detailed explanation of the basis" in duty["words"] for duty in told["owed"])
    assert any(duty.get("lasts") and "24 months" in duty["words"] for duty in told["owed"])
    assert "owed with the refusal:" in fine("request show R-1").out


def test_what_was_never_decided_is_refused_without_a_day(workspace_folder: Path) -> None:
    fine(f"{CLAIM} --regime gdpr --id R-1")
    assert "no pack was asked what is owed" in fine("request deny R-1 --reason other").out


@pytest.mark.usefixtures("no_mlflow")
def test_an_own_decision_is_granted_by_no_pack_and_its_report_says_so(workspace_folder: Path) -> None:
    fine("request file --ground own-decision --shard shard-2 --id R-1")
    told = fine("request decide R-1").out
    assert "No claim was decided" in told
    assert "no day runs for the request: no period runs: there is no claimant" in told
    executed()
    page = Path("reports/R-1/report.html").read_text()
    assert "No claim was decided: the operator removes the data of its own will" in page
    fine("verify reports/R-1 --key .disgorge/public.pem")


def test_an_own_decision_waits_for_every_hold(workspace_folder: Path) -> None:
    fine("request file --ground own-decision --shard shard-2 --id R-1 --hold")
    assert "ON HOLD" in fine("request decide R-1").out
    with untouched(workspace_folder):
        refused("request plan R-1")


def test_a_person_decides_claims_one_by_one(workspace_folder: Path) -> None:
    fine(f"{CLAIM} --regime gdpr --id R-1 --fact gdpr_ground=b --fact also_under=ccpa --fact california_resident=yes")
    decided = one_line(fine("request decide R-1").out)
    assert "next: disgorge request grant R-1 --claim PACK --by NAME --reason TEXT" in decided
    by = ("--by", "Ann", "--reason")
    with untouched(workspace_folder):
        said = refused("request grant R-1", *by, "seen")
        assert said.startswith("request R-1: claims under ccpa and gdpr wait for a person; say which with --claim ccpa")
        assert "who refuses the claim" in refused("request deny R-1 --claim ccpa --reason other")
    granted = one_line(fine("request grant R-1 --claim gdpr", *by, "seen in person").out)
    assert granted.startswith("R-1 is granted under gdpr: seen in person note: the claim under ccpa waits for a person")
    assert "disgorge request deny R-1 --claim ccpa --by NAME --reason REASON next: disgorge request plan R-1" in granted
    assert "granted (but ccpa needs-review)" in one_line(fine("request list").out)
    first = plan_of()
    shown = one_line(fine("request show R-1").out)
    assert "ccpa (California Consumer Privacy Act as amended by the CPRA, right to delete): needs review" in shown
    denied = one_line(fine("request deny R-1 --claim ccpa", *by, "insufficient-verification").out)
    assert denied.startswith("R-1 is refused under ccpa: insufficient-verification; it stays open owed with that:")
    assert "could not be verified (7022(a))" in denied
    told = fine("request show R-1 --json").json
    assert (told["state"], told["claims"]) == ("planned", {"ccpa": "denied", "gdpr": "granted"})
    assert "was decided again after its plan was made" in refused("request execute R-1")
    assert plan_of() != first


def test_what_was_done_late_is_said_with_its_days(workspace_folder: Path) -> None:
    """Told after its day, a refusal was told, and late: it is no error that is left to mend."""
    asked("R-1", REFUSED, options=f"--verified --received {TODAY - dt.timedelta(days=50)}")
    due = dt.date.fromisoformat(fine("request list --json").json[0]["due"])
    assert [each[:2] for each in found()] == [("DSG006", "error")]
    told = due + dt.timedelta(days=3)
    fine(f"request event R-1 refusal-told --on {told} --by Ann")
    fine("request decide R-1")
    words = f"was told of the refusal under gdpr on {told}, 3 days after the last day, {due}"
    assert found() == [("DSG006", "note", words)]
    shown = one_line(fine("request show R-1").out)
    assert f"[gdpr/refuse-in-time]: done on {told} (3 days late)" in shown
    (done,) = fine("request list --json").json[0]["duties_done"]
    assert (done["done_on"], done["days_late"]) == (str(told), 3)
    denied = fine("request deny R-1 --reason claim-not-covered").out
    assert f"; done on {told} (3 days late)" in one_line(denied)


def test_an_answer_counts_for_the_claim_that_waits_and_a_late_one_is_said(workspace_folder: Path) -> None:
    asked("R-1", HALF)
    shown = fine("request show R-1 --json").json
    day = {each["pack"]: dt.date.fromisoformat(each["answer_by"]) for each in shown["decision"]["claims"]}["gdpr"]
    for event in ("answered", "acknowledged", "told-on"):
        fine(f"request event R-1 {event} --by Ann")
    fine("request decide R-1")
    assert not found(after(day)), "before, it was said to be unanswered"
    assert f"answered on {TODAY}" in one_line(fine("request list").out)
    shown_now = one_line(fine("request show R-1").out)
    assert f"- receipt: confirmed on {TODAY}" in shown_now
    assert f"- recipients of the data, or of models built on it: told on {TODAY}" in shown_now
    done = shown["due"]
    ((*_, words),) = found(after(dt.date.fromisoformat(done)))
    assert words == f"had to be done by {done} and is granted, though it was answered on {TODAY}"


def test_an_answer_after_the_last_day_is_late(workspace_folder: Path) -> None:
    received, answered, due = (TODAY - dt.timedelta(days=days) for days in (40, 1, 10))
    filed("R-1", "--shard", "shard-2", "--received", str(received))
    fine("request decide R-1")
    fine(f"request event R-1 answered --by Ann --on {answered}")
    fine("request decide R-1")
    said = {level: words for _, level, words in found()}
    assert said["note"] == f"was answered on {answered}, 9 days after the last day, {due}"
    assert f"answered on {answered} (9 days late)" in one_line(fine("request list").out)
