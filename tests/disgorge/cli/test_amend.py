"""A request that said something wrong is amended: on record, decided anew, and never once it is carried out."""

from pathlib import Path

import pytest

from disgorge.request.workflow.filing import file_request
from lineage.records import Selector
from lineage.workspace import Workspace
from policies.request import Standing
from policies.taxonomy import Defect
from tests.disgorge.cli.conftest import PERSON, WITHDRAWAL, asked, executed, filed, fine, planned, refused, untouched
from tests.disgorge.cli.test_request import everything_public, own_pack


def amendments() -> list[dict[str, object]]:
    """The amendments that the ledger holds."""
    return [fact.body for fact in Workspace.open().ledger.facts("request-amended")]


def test_a_mistaken_fact_is_amended_and_the_request_decided_anew(workspace_folder: Path) -> None:
    """Case of public origin: CC BY 4.0 (2013-11-25), Section 2(a)(1), an irrevocable license."""
    filed("R-1")
    assert "GRANTED" in fine("request decide R-1").out
    told = fine("request amend R-1 --fact license_irrevocable=yes --reason 'the card says CC BY 4.0'")
    assert told.out == (
        "R-1: fact license_irrevocable was absent, is yes (the card says CC BY 4.0)\n"
        "next: disgorge request decide R-1\n"
    )
    assert fine("request decide R-1 --json").json["outcome"] == "denied"


def test_an_amendment_puts_decision_and_plan_out_of_force(workspace_folder: Path) -> None:
    digest = planned()
    fine(f"request approve R-1 {digest} --by ann")
    fine("request amend R-1 --fact contract_days=10")
    assert fine("request list --json").json[0]["state"] == "filed"
    with untouched(workspace_folder):
        assert "is not decided" in refused("request plan R-1")
        assert "has no plan" in refused("request execute R-1")
        assert "has no plan" in refused(f"request approve R-1 {digest} --by bob")
    due = fine("request decide R-1 --json").json["owed"]["deadline"]
    assert fine("request list --json").json[0]["due"] == due
    fine("request plan R-1")
    with untouched(workspace_folder):
        assert "0 of 1 approvals" in refused("request execute R-1")


def test_an_approval_of_before_counts_for_no_plan_of_after(workspace_folder: Path) -> None:
    """Though the plan should come out the same, who approved it read another request."""
    digest = planned()
    fine(f"request approve R-1 {digest} --by ann")
    fine("request amend R-1 --standing customer")
    fine("request decide R-1")
    fine("request plan R-1")
    with untouched(workspace_folder):
        assert "0 of 1 approvals" in refused("request execute R-1")


def test_everything_that_was_filed_can_be_amended_and_is_shown(workspace_folder: Path) -> None:
    filed("R-1")
    fine(
        "request amend R-1 --standing data-subject --ground privacy --regime gdpr --received 2026-11-02",
        *("--not-verified", "--shard", "shard-1", "--fact", "made_public=yes"),
    )
    told = fine("request show R-1 --json").json
    now = told["request"]
    assert (now["standing"], now["ground"], now["regime"], now["received"], now["identity_verified"]) == (
        "data-subject", "privacy", "gdpr", "2026-11-02", False,
    )  # fmt: skip
    assert now["selectors"] == [{"field": "shard", "value": "shard-1"}]
    assert now["facts"]["made_public"] is True
    before = {change["name"]: change["before"] for change in told["changes"]}
    assert before.pop("received") > "2026-11-02"
    assert before == {
        "standing": "contributor", "ground": "contract", "regime": "contract", "identity_verified": True,
        "selectors": [{"field": "shard", "value": "shard-2"}], "fact made_public": None,
    }  # fmt: skip
    shown = " ".join(fine("request show R-1").out.split())
    assert "regime was contract, is gdpr" in shown
    assert "selectors was shard shard-2, is shard shard-1" in shown
    assert "identity_verified was yes, is no" in shown


def test_a_fact_is_taken_out(workspace_folder: Path) -> None:
    filed("R-1", "--shard", "shard-2", "--fact", "contract_days=10")
    fine("request amend R-1 --without-fact contract_days")
    assert "contract_days" not in fine("request show R-1 --json").json["request"]["facts"]


def test_a_request_of_a_pack_of_ones_own_is_amended_with_it(workspace_folder: Path) -> None:
    filed("R-1", "--shard", "shard-2", "--fact", "contract_days=3")
    mine = ("request", "amend", "R-1", "--regime", "mine-2026", "--fact", "plan=silver", *own_pack())
    with untouched(workspace_folder):
        said = refused(*mine)
    assert "which no pack given here asks for" in said
    assert "--without-fact contract_days" in said
    before = fine("request show R-1 --json").json["request"]["facts"]
    fine(*mine, *(word for name in before for word in ("--without-fact", name)))
    assert fine("request show R-1 --json").json["request"]["facts"] == {"plan": "silver"}


def test_hidden_selectors_stay_private_and_what_was_asked_first_stays_with_them(workspace_folder: Path) -> None:
    filed("R-1", "--key", "shard-2-0", "--name", "Ada Example")
    before = everything_public(workspace_folder).count("shard-2-1")
    told = fine("request amend R-1 --key shard-2-1 --key shard-2-2").out
    assert "key (mark " in told
    assert "shard-2-1" not in told
    assert everything_public(workspace_folder).count("shard-2-1") == before
    assert fine("request impact R-1 --json").json["items"] == 2
    (kept,) = (workspace_folder / ".disgorge" / "private" / "requests").iterdir()
    assert "Ada Example" in kept.read_text()
    assert '"shard-2-0"' in kept.read_text()
    fine("request amend R-1 --subject", PERSON)
    assert fine("request impact R-1 --json").json["items"] == 3
    assert PERSON not in everything_public(workspace_folder)


@pytest.mark.usefixtures("no_mlflow")
def test_an_amended_request_is_granted_carried_out_reported_verified_and_amended_no_more(
    workspace_folder: Path,
) -> None:
    fine(f"{WITHDRAWAL} --fact all_theirs=true --shard shard-1 --id R-1")
    fine("request decide R-1")
    fine("request amend R-1 --shard shard-2 --reason 'the letter says 2'")
    assert "NEEDS REVIEW" in fine("request decide R-1").out
    fine("request grant R-1 --by Evelyn --reason 'seen in person, passport'")
    executed()
    assert "seen in person, passport" in Path("reports/R-1/report.html").read_text()
    fine("verify reports/R-1 --key .disgorge/public.pem")
    listed = {shard["name"] for shard in fine("shard list --json").json}
    assert "shard-1" in listed
    assert "shard-2" not in listed
    with untouched(workspace_folder):
        assert "is closed (done)" in refused("request amend R-1 --regime gdpr")


def test_an_extension_stays_while_the_deadline_does(workspace_folder: Path) -> None:
    asked("R-1")
    until = fine("request extend R-1 --reason 'many requests' --json").json["due"]
    fine("request amend R-1 --fact made_public=yes")
    fine("request decide R-1")
    assert fine("request list --json").json[0]["due"] == until


def test_a_hold_that_was_a_mistaken_fact_is_amended_away(workspace_folder: Path) -> None:
    filed("R-1", "--shard", "shard-2", "--fact", "legal_hold=yes")
    assert "disgorge request amend R-1" in fine("request decide R-1").out
    fine("request amend R-1 --fact legal_hold=no")
    assert "GRANTED" in fine("request decide R-1").out


def test_an_amendment_is_on_record_with_what_was_before(workspace_folder: Path) -> None:
    filed("R-1")
    fine("request amend R-1 --regime quality --ground bias --reason misread")
    (body,) = amendments()
    assert (body["request"], body["changed"], body["because"]) == ("R-1", ["ground", "regime"], "misread")
    (first,) = Workspace.open().ledger.facts("request")
    assert first.body["request"]["regime"] == "contract"
    fine("ledger verify")


def test_filed_in_error_closes_a_request_and_says_that_its_id_stays_taken(workspace_folder: Path) -> None:
    filed("R-1")
    said = fine("request deny R-1 --reason filed-in-error").out
    assert "R-1 is denied: filed-in-error; its id stays taken" in said
    assert "denied (filed-in-error)" in fine("request list --all").out
    with untouched(workspace_folder):
        again = refused(f"{WITHDRAWAL} --shard shard-2 --id R-1")
        assert "its id stays taken however it ended; correct it with `disgorge request amend R-1` while it is" in again
        assert "is closed (denied)" in refused("request amend R-1 --regime gdpr")


def test_the_python_api_files_and_amends(workspace_folder: Path) -> None:
    from disgorge.request.case import case_of
    from disgorge.request.workflow.amend import amend_request, changes_of

    workspace = Workspace.open()
    before = file_request(
        workspace, standing=Standing.CUSTOMER, ground=Defect.CONTRACT, regime="contract",
        selectors=[Selector("shard", "shard-2")], request_id="R-1",
    )  # fmt: skip
    amended = amend_request(workspace, "R-1", facts={"contract_days": "14"}, identity_verified=True)
    assert (amended.facts, amended.identity_verified) == ({"contract_days": 14}, True)
    case = case_of(workspace, "R-1")
    assert case.request == amended != before
    assert {change.name for change in changes_of(case)} == {"fact contract_days", "identity_verified"}
