"""A second request for the same data, and one asked again after erasure, name the earlier one; neither is refused."""

from pathlib import Path

from disgorge.request.case import case_of
from disgorge.request.history.earlier import earlier_requests
from disgorge.request.particulars import erase_particulars
from disgorge.request.workflow.approval import approve_plan
from disgorge.request.workflow.plan_request import plan_request
from lineage.workspace import Workspace
from tests.disgorge.cli.conftest import WITHDRAWAL, filed, fine, refused
from tests.toys import carry

KEYS = ("--key", "shard-2-1", "--key", "shard-2-2")
FILE = f"{WITHDRAWAL} --verified --fact all_theirs=true --id"


def carried_out(request: str) -> None:
    """Plan, approve and execute a request that is granted."""
    workspace = Workspace.open()
    plan = plan_request(workspace, request)
    approve_plan(workspace, request, plan.digest, approver="ann", accept_utility_loss=bool(plan.warnings))
    assert carry(workspace, request).verdict == "certified"


def test_a_second_request_for_the_same_data_names_the_open_one(workspace_folder: Path) -> None:
    filed("R-1", *KEYS)
    day = case_of(Workspace.open(), "R-1").request.received
    told = f"note: R-1 of {day} asks for the same data and is open (filed)"
    again = fine(FILE, "R-2", *KEYS)
    assert told in again.out
    assert "close this one with `disgorge request close R-2 --fulfilled-by R-1`" in again.out
    assert "filed R-2" in again.out
    assert told in fine("request decide R-2").out
    assert told in fine("request show R-2").out
    (value,) = fine("request decide R-2 --json").json["earlier"]
    assert (value["request"], value["asks"], value["state"], value["live"]) == ("R-1", "same", "filed", 2)
    assert "note:" not in fine("request show R-1").out


def test_narrower_wider_and_other_selectors_are_told_apart(workspace_folder: Path) -> None:
    filed("R-1", *KEYS)
    found = {
        name: [
            (each["asks"], each["items"], each["of"]) for each in fine(FILE, name, *chosen, "--json").json["earlier"]
        ]
        for name, chosen in {
            "R-2": ("--key", "shard-2-1"),
            "R-3": (*KEYS, "--key", "shard-2-5"),
            "R-4": ("--key", "shard-4-1"),
        }.items()
    }
    assert found == {"R-2": [("more", None, None)], "R-3": [("part", None, None), ("part", None, None)], "R-4": []}
    fifth = fine(FILE, "R-5", "--subject", "shard-2-person-0").out
    assert "R-1 of" in fifth
    assert "asks for 2 of the 3 items too and is open (filed)" in fifth
    assert "R-4" not in fifth
    assert "fulfilled-by" not in fifth  # no other request asks for all of it
    sixth = fine(FILE, "R-6", "--source", "source-of-shard-4", "--key", "shard-4-1", "--key", "shard-4-2").out
    assert "R-4 of" in sixth
    assert "asks for 1 of the 2 items too and is open (filed)" in sixth
    seventh = fine(FILE, "R-7", "--subject", "shard-4-person-0", "--key", "shard-4-1").out
    assert "asks for this data and more and is open (filed)" in seventh
    eighth = fine(FILE, "R-8", "--subject", "shard-4-person-0", "--source", "source-of-shard-4").out
    assert "asks for 2 of the 3 items too" in eighth
    ninth = fine(FILE, "R-9", "--shard", "shard-4", "--key", "shard-4-2").out
    assert "asks for this item too and is open (filed): " not in ninth
    assert "R-8 of" in ninth
    assert "asks for this item too and is open (filed)" in ninth
    assert "close this one with `disgorge request close R-9 --fulfilled-by R-6`" in ninth


def test_what_was_removed_and_is_asked_again_is_recorded_and_names_the_removal(workspace_folder: Path) -> None:
    filed("R-1", *KEYS)
    fine("request decide R-1")
    carried_out("R-1")
    assert "no item is selected" in refused(FILE, "R-2", "--key", "shard-2-99")
    again = fine(FILE, "R-2", *KEYS)
    case = case_of(Workspace.open(), "R-1")
    day = Workspace.open().day_of(case.facts[-1])
    told = f"R-1 of {case.request.received} asked for the same data and was carried out on {day}; nothing that"
    assert told in again.out
    assert "--reason no-match`, once `disgorge request decide R-2` said what is owed" in again.out
    decided = fine("request decide R-2").out
    assert "said what is owed" not in decided
    assert told in decided
    assert (
        "answer with what was done for R-1, and close this one with `disgorge request deny R-2 --reason no-match`"
        in decided
    )
    denied = fine("request deny R-2 --reason no-match").out
    assert f"note: R-1 of {case.request.received} asked for the same data and was carried out on {day}" in denied
    third = fine(FILE, "R-3", *KEYS).out
    assert f"R-2 of {case.request.received} asked for the same data and was denied on {day} (no-match)" in third
    assert "answer with what was done for R-1" in third


def test_what_another_removal_took_meanwhile_leads_to_closing_it_as_fulfilled(workspace_folder: Path) -> None:
    filed("R-1", *KEYS)
    filed("R-2", *KEYS)
    fine("request decide R-1")
    carried_out("R-1")
    decided = fine("request decide R-2").out
    assert "once R-1, which removed it, is certified, `disgorge request close R-2 --fulfilled-by R-1`" in decided
    assert "--reason no-match" not in decided


def test_erased_particulars_leave_nothing_wrong_to_be_said(workspace_folder: Path) -> None:
    filed("R-1", *KEYS)
    filed("R-2", "--subject", "shard-2-person-0")
    filed("R-3", *KEYS)
    workspace = Workspace.open()
    erase_particulars(workspace, "R-1")
    assert [(each.request, each.asks) for each in earlier_requests(workspace, "R-2")] == []
    erase_particulars(workspace, "R-3")
    found = earlier_requests(workspace, "R-3")
    assert [(each.request, each.asks, each.live) for each in found] == [("R-1", "same", None)]


def test_no_key_and_no_name_is_in_what_is_said(workspace_folder: Path) -> None:
    filed("R-1", *KEYS)
    filed("R-2", "--subject", "shard-2-person-0")
    said = str(fine(FILE, "R-3", *KEYS, "--json").json["earlier"])
    assert "R-1" in said
    assert "R-2" in said
    assert "shard-2" not in said
