"""Holds on the command line: put on, shown, lifted; what holding owes is said, and what identifies an item is not."""

from pathlib import Path

import pytest

from disgorge.audit.rules import audit
from lineage.workspace import Workspace
from tests.disgorge.cli.conftest import RELEASE, filed, fine, one_line, planned, refused, run, untouched

PERSON = ("--subject", "shard-3-person-1")


def test_who_asks_for_held_items_is_told_who_holds_them(workspace_folder: Path) -> None:
    filed("H-1", "--shard", "shard-3", "--hold")
    filed("R-2", *PERSON)
    decided = one_line(fine("request decide R-2").out)
    assert "Request R-2: ON HOLD." in decided
    assert "request H-1 holds 3 of 3 items (filed under a legal hold)" in decided
    assert "while it is held: Keep the held items apart" in decided
    assert "next: when that hold has ended, or the held items are left out, disgorge request decide R-2" in decided
    with untouched(workspace_folder):
        assert "only a granted one is planned" in refused("request plan R-2")
    audited = run("audit --json").json["findings"]
    assert {(each["id"], each["where"]) for each in audited} == {("DSG009", "H-1"), ("DSG009", "R-2")}


def test_a_hold_put_on_after_the_approval_is_one_clear_line(workspace_folder: Path) -> None:
    digest = planned("R-2", *PERSON)
    fine(f"request approve R-2 {digest} --by ann")
    filed("H-1", "--shard", "shard-3", "--hold")
    with untouched(workspace_folder):
        said = refused("request execute R-2")
    assert said == (
        "request R-2 stops before its first step, and nothing is deleted: request H-1 holds 3 of 3 items (filed under "
        "a legal hold); wait until that hold ends, or leave the held items out with `disgorge request hold R-2 "
        "--held-by H-1 --by NAME --reason TEXT`, then decide and plan again"
    )


def test_a_hold_on_items_says_what_it_owes_and_asks_about_serving(workspace_folder: Path) -> None:
    filed("R-2", *PERSON)
    ran = fine("request hold R-2 --key shard-3-4 --until 2099-01-01 --by Evelyn --reason 'exhibit 7'")
    said, warned = one_line(ran.out), one_line(ran.err)
    assert "1 item is on hold, and R-2 leaves out those that it selects: exhibit 7" in said
    assert "until: 2099-01-01" in said
    assert "no training, no evaluation" in said
    assert f"{RELEASE}@live learned from what is held: decide whether to go on serving" in warned
    again = fine("request hold R-2 --key shard-3-4 --by Evelyn --reason 'exhibit 7' --serving keep")
    assert "they go on serving" in again.out
    assert not again.err
    shown = fine("request show R-2").out
    assert "exhibit 7" in shown
    told = fine("request show R-2 --json").json["holds"]
    assert [(each["serving"], each["items"], each["until"]) for each in told] == [("keep", 1, None)]
    public = [
        path
        for path in workspace_folder.rglob("*")
        if path.suffix in (".jsonl", ".json") and "private" not in path.parts
    ]
    assert not [path for path in public if b"shard-3-4" in path.read_bytes() or b"Evelyn" in path.read_bytes()]
    plan = one_line(fine("request decide R-2").out + fine("request plan R-2").out)
    assert "fulfills the request only in part: 1 item stays, under a hold of R-2 (exhibit 7)" in plan
    assert plan.count("shown by: equal bits, of a run that need not be confined") == 2


def test_lifting_says_what_is_still_on_hold(workspace_folder: Path) -> None:
    filed("R-2", *PERSON)
    fine("request hold R-2 --shard shard-3 --by Evelyn --reason 'exhibit 7'")
    said = refused("request hold R-2 --lift --reason over")
    assert "is not on hold as a whole, some of its items are" in said
    fine("request hold R-2 --reason litigation")
    lifted = fine("request hold R-2 --lift --reason settled").out
    assert "note: some of its items are still on hold: exhibit 7" in lifted
    lifted = fine("request hold R-2 --shard shard-3 --lift --reason over").out
    assert lifted == "the hold on those items of R-2 is lifted\nnext: disgorge request decide R-2\n"


def test_holds_for_two_reasons_are_said_and_end_one_by_one(workspace_folder: Path) -> None:
    filed("H-1", "--shard", "shard-3", "--hold")
    said = one_line(fine("request hold H-1 --reason audit").out)
    assert "note: it stays on hold as well: filed under a legal hold" in said
    with untouched(workspace_folder):
        words = refused("request hold H-1 --lift --reason over")
        assert "(audit; filed under a legal hold), and each ends by itself: say which with --held-for REASON" in words
        assert "--held-for says which hold --lift ends" in refused("request hold H-1 --reason x --held-for audit")
    lifted = fine("request hold H-1 --lift --held-for 'filed under a legal hold' --reason over --json")
    assert lifted.json["on_hold"] is True
    assert "legal hold  lifted" in fine("request show H-1").out
    assert fine("request show H-1 --json").json["on_hold"] == "audit"
    for verb in (("request", "decide"), ("policy", "explain"), ("request", "show")):
        told = one_line(fine(*verb, "H-1").out)
        assert "Request H-1: GRANTED." in told
        assert "note: its data is on hold (audit): nothing is removed meanwhile" in told


def test_who_asked_is_erased_though_the_data_is_held(workspace_folder: Path) -> None:
    """The private file has a name and no item: what is held is said by the shard, and by the hold's own file."""
    filed("H-1", "--shard", "shard-3", "--hold", "--name", "Ada Example")
    fine("request hold H-1 --key shard-1-4 --by Evelyn --reason 'exhibit 7'")
    fine("request deny H-1 --reason other")
    assert "the particulars are erased" in fine("request erase-particulars H-1").out
    filed("R-2", "--key", "shard-1-4")
    fine("request decide R-2")
    assert "request H-1 holds 1 of 1 item (exhibit 7)" in one_line(fine("policy explain R-2").out)
    assert fine("request show H-1 --json").json["on_hold"] == "filed under a legal hold"


def test_denying_what_is_on_hold_does_not_end_the_hold(workspace_folder: Path) -> None:
    filed("H-1", "--key", "shard-3-4", "--hold")
    denied = one_line(fine("request deny H-1 --reason other").out)
    assert "its data stays on hold (filed under a legal hold) and binds other requests" in denied
    assert "only its private file says which items that covers" in refused("request erase-particulars H-1")
    assert "the hold on H-1 is lifted" in fine("request hold H-1 --lift --reason over").out
    fine("request erase-particulars H-1")


def test_what_waited_for_a_hold_is_not_forgotten_when_it_ends(workspace_folder: Path) -> None:
    """attevon-llc/OpenTranscribe issue 442 (2026-08-13): "Legal-hold deferral is permanently forgotten"."""
    filed("H-1", "--key", "shard-3-4", "--hold")
    filed("R-2", *PERSON)
    assert "ON HOLD" in fine("request decide R-2").out
    waiting = [each for each in audit(Workspace.open()) if each.where == "R-2"]
    assert [(each.id, each.level.value) for each in waiting] == [("DSG009", "note")]
    lifted = fine("request hold H-1 --lift --reason settled").out
    assert "note: R-2 waited for it: decide it again with `disgorge request decide R-2`" in lifted
    (ended,) = [each for each in audit(Workspace.open()) if each.where == "R-2"]
    assert (ended.id, ended.level.value) == ("DSG009", "warning")
    assert "waited for a hold that has ended" in ended.words
    fine("request decide R-2")
    assert not [each for each in audit(Workspace.open()) if each.where == "R-2"]


@pytest.mark.usefixtures("mlflow_store")
def test_serving_is_stopped_and_comes_back_aloud(workspace_folder: Path) -> None:
    filed("H-1", *PERSON)
    live = f"{RELEASE}@live"
    said = fine("request hold H-1 --reason litigation --by Evelyn --serving stop")
    assert f"{live} learned from what is held and is taken out of service\n" in said.out
    assert "decide whether to go on serving" not in said.err
    assert "stopped by the hold of H-1" in fine("release list").out
    assert [each["stopped_by"] for each in fine("release list --json").json] == [["H-1"]]
    assert fine(f"release show {RELEASE}").out.startswith(f"{live}: stopped by the hold of H-1\n")
    words = refused(f"release predict {RELEASE} shard-1", code=1)
    assert words.startswith(f"release {live} is stopped by the hold of H-1: it learned from held items")
    assert "they are not to be served" in fine("request show H-1").out
    assert [(each["id"], each["where"]) for each in run("audit --json").json["findings"]] == [
        ("DSG009", "H-1"), ("DSG009", live),
    ]  # fmt: skip
    lifted = fine("request hold H-1 --lift --reason settled --json").json
    assert (lifted["stopped"], lifted["served_again"], lifted["holds"]) == ([], [live], [])
    assert "in service, or out of it, as holds want it" in fine("release serve-again").out
    assert fine("release list --json").json[0]["state"] == "live"


@pytest.mark.usefixtures("mlflow_store")
def test_a_registry_that_cannot_be_reached_leaves_the_hold_and_says_what_is_left_to_do(
    workspace_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filed("H-1", *PERSON)
    (workspace_folder / "broken.db").write_text("no database")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{workspace_folder}/broken.db")
    ran = run("request hold H-1 --reason litigation --by Evelyn --serving stop")
    assert ran.code == 3
    assert "what was said of the hold is recorded, and not every release was stopped or served again" in ran.err
    assert "then run `disgorge release serve-again`" in ran.err
    found = {each["id"]: each["where"] for each in run("audit --json").json["findings"]}
    assert found["DSG020"] == f"{RELEASE}@live"
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert "is taken out of service" in fine("release serve-again").out
