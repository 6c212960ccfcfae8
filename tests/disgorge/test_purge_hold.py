"""A purge that waits for its day: nothing is deleted and nothing certified before; then what was said goes."""

import datetime as dt
import os
import re
import shutil
from contextlib import chdir
from pathlib import Path

import pytest
from typer.testing import CliRunner

from disgorge.audit.rules import audit
from disgorge.cli.app import app
from disgorge.errors import AlreadyExecuted, DisgorgeError, PurgeHeld
from disgorge.removal.conflicts import keepers
from disgorge.removal.dry_run import preview
from disgorge.report.bundle import verify_bundle
from disgorge.request.case import case_of, plan_of
from disgorge.request.holds.purge_hold import due, hold_purge, release_purge, waiting
from disgorge.request.particulars import erase_particulars
from lineage.records import Selector
from lineage.workspace import Workspace
from tests import toys
from tests.stores import quiet_dvc

UNTIL = dt.date(2026, 12, 24)


@pytest.fixture
def workspace(workspace: Workspace) -> Workspace:
    """A trained toy with an approved removal whose purge is on hold for a month."""
    return purge_held(workspace)


def purge_held(workspace: Workspace) -> Workspace:
    """Approve a removal whose purge is on hold for a month."""
    toys.granted_plan(workspace, [toys.person(workspace, "shard-3", 1)])
    hold_purge(workspace, "R-1", until=UNTIL, because="the court may ask for it", by="Ann")
    return workspace


def test_all_but_the_purge_is_done_and_nothing_is_certified(workspace: Workspace) -> None:
    old, shard = (
        toys.bytes_by_name(workspace, toys.RELEASE)[f"{toys.RELEASE}/mean/shard-3"],
        toys.live_shards(workspace)["shard-3"].digest,
    )
    with pytest.raises(PurgeHeld, match="on hold until 2026-12-24"):
        toys.carry(workspace)
    assert toys.bytes_by_name(workspace, toys.RELEASE)[f"{toys.RELEASE}/mean/shard-3"] != old, "the release moved"
    assert workspace.objects.exists(old)
    assert workspace.content_path(shard).exists()
    case = case_of(workspace, "R-1")
    assert (case.closed, case.report, case.purge_held) == (None, None, UNTIL)
    assert list(waiting(workspace)) == ["R-1"]
    assert not due(workspace)
    with pytest.raises(PurgeHeld):
        toys.carry(toys.at(workspace, UNTIL - dt.timedelta(days=1)))
    assert workspace.objects.exists(old)


def test_on_its_day_the_purge_is_due_and_the_request_ends(workspace: Workspace) -> None:
    old = toys.bytes_by_name(workspace, toys.RELEASE)[f"{toys.RELEASE}/mean/shard-3"]
    with pytest.raises(PurgeHeld):
        toys.carry(workspace)
    on_the_day = toys.at(workspace, UNTIL)
    assert list(due(on_the_day)) == ["R-1"]
    assert toys.carry(on_the_day).verdict == "certified"
    assert not workspace.objects.exists(old)
    with pytest.raises(AlreadyExecuted):
        hold_purge(on_the_day, "R-1", until=dt.date(2027, 1, 1), because="late", by="Ann")


def test_a_hold_can_be_released_and_names_nobody(workspace: Workspace) -> None:
    with pytest.raises(PurgeHeld):
        toys.carry(workspace)
    release_purge(workspace, "R-1", because="settled", by="Ann")
    assert toys.carry(workspace).verdict == "certified"
    assert b"Ann" not in (workspace.home / "ledger.jsonl").read_bytes()


def test_the_audit_names_a_purge_that_is_kept_and_one_that_is_late(workspace: Workspace) -> None:
    with pytest.raises(PurgeHeld):
        toys.carry(workspace)
    for day, level in ((toys.NOW.date(), "note"), (UNTIL, "error")):
        found = [finding for finding in audit(workspace, today=day) if finding.id == "DSG010"]
        assert [finding.level.value for finding in found] == [level]


def test_another_removal_from_the_release_goes_on_meanwhile(workspace: Workspace) -> None:
    with pytest.raises(PurgeHeld):
        toys.carry(workspace)
    toys.granted_plan(workspace, [toys.person(workspace, "shard-1", 0)], request_id="R-2")
    other = toys.carry(workspace, "R-2")
    assert other.verdict == verify_bundle(other.bundle).verdict == "certified"
    own = toys.carry(toys.at(workspace, UNTIL))
    assert own.verdict == verify_bundle(own.bundle).verdict == "certified"


@pytest.mark.parametrize("shard", ["shard-3", "shard-4"])
def test_where_what_is_kept_has_their_items_too_their_purge_waits(
    workspace: Workspace, shard: str, tmp_path: Path
) -> None:
    """The old shard has the items of both people; or an old part learned from both shards."""
    if shard == "shard-4":
        workspace = purge_held(toys.trained_toy(tmp_path / "joint", parameters={"joint": True}))
    with pytest.raises(PurgeHeld):
        toys.carry(workspace)
    toys.granted_plan(workspace, [toys.person(workspace, shard, 2)], request_id="R-2")
    there = toys.at(workspace, UNTIL)
    for day in (workspace, there):
        with pytest.raises(PurgeHeld, match=r"R-1 keeps old .* until 2026-12-24"):
            toys.carry(day, "R-2")
    assert case_of(workspace, "R-2").report is None
    assert toys.carry(there).verdict == "certified"
    assert toys.carry(there, "R-2").verdict == "certified"


def test_who_asks_for_the_same_items_and_others_waits_too(workspace: Workspace) -> None:
    """They are live nowhere any more, so no plan of the second request finds them; they are kept all the same."""
    same, other = toys.person(workspace, "shard-3", 1), toys.person(workspace, "shard-1", 0)
    with pytest.raises(PurgeHeld):
        toys.carry(workspace)
    toys.granted_plan(workspace, [same, other], request_id="R-2")
    there = toys.at(workspace, UNTIL)
    for day in (workspace, there):
        with pytest.raises(PurgeHeld, match=r"R-1 keeps old shards that hold its items until 2026-12-24"):
            toys.carry(day, "R-2")
    assert toys.carry(there).verdict == "certified"
    assert toys.carry(there, "R-2").verdict == "certified"


def test_who_asks_for_them_again_is_told_that_they_are_kept(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are live nowhere, so a second request for them alone is denied: not without a word of where they are.

    It needs no ``--unmatched``: R-1 asked for the same, so nobody mistyped.
    """
    monkeypatch.chdir(workspace.root)
    with pytest.raises(PurgeHeld):
        toys.carry(workspace)
    kept = r"old shards that request R-1 keeps until 2026-12-24 \(the court may ask for it\) hold items that it selects"
    asked = "request file --id R-2 --standing contributor --ground contract --regime contract".split()
    filed = CliRunner().invoke(app, [*asked, "--verified", "--subject", "shard-3-person-1"])
    assert filed.exit_code == 0, filed.output
    assert re.search(kept, one_line(filed.output))
    decided = CliRunner().invoke(app, ["request", "decide", "R-2"])
    assert re.search(kept, one_line(decided.output))
    assert not keepers(workspace, [toys.person(workspace, "shard-1", 0)]), "of somebody else nothing is kept"
    assert toys.carry(toys.at(workspace, UNTIL)).verdict == "certified"
    assert not keepers(workspace, [toys.person(workspace, "shard-3", 1)])


def one_line(text: str) -> str:
    """Return what was printed without its line breaks."""
    return " ".join(text.split())


def test_who_erased_what_was_asked_for_waits_and_is_told_why(workspace: Workspace) -> None:
    """Nobody can say any more whether what an earlier one keeps was meant too; so that one goes first, and no other."""
    with pytest.raises(PurgeHeld):
        toys.carry(workspace)
    for name, key in (("R-2", "shard-1-0"), ("R-3", "shard-2-0")):
        toys.granted_plan(workspace, [Selector("key", key)], request_id=name)
        hold_purge(workspace, name, until=UNTIL, because="the same", by="Ann")
        with pytest.raises(PurgeHeld):
            toys.carry(workspace, name)
        assert erase_particulars(workspace, name)
    there = toys.at(workspace, UNTIL)
    for name, earlier in (("R-3", "R-1"), ("R-2", "R-1")):
        with pytest.raises(PurgeHeld, match=f"{earlier} keeps old shards, and what it selected is erased"):
            toys.carry(there, name)
    assert toys.carry(there).verdict == "certified"
    with pytest.raises(PurgeHeld, match="R-2 keeps old shards, and what it selected is erased"):
        toys.carry(there, "R-3")
    assert toys.carry(there, "R-2").verdict == "certified"
    assert toys.carry(there, "R-3").verdict == "certified"


def test_what_dvc_made_of_the_items_of_both_is_kept_as_well(dvc_template: Path, tmp_path: Path) -> None:
    """A model of a DVC stage that read an old shard of each: the hold of one keeps it from the other's purge."""
    shutil.copytree(dvc_template, tmp_path / "workspace")
    workspace = Workspace.init(tmp_path / "workspace", clock=lambda: toys.NOW)
    (workspace.root / "store").mkdir()
    toy = toys.toy_of("averages", 3)
    toys.populate(workspace, toy, tmp_path / "sources")
    toys.train(workspace, toy)
    live = toys.live_shards(workspace)
    one, two = (
        workspace.content_path(live[name].digest).relative_to(workspace.root).as_posix()
        for name in ("shard-1", "shard-3")
    )
    (workspace.root / "dvc.yaml").write_text(
        f"stages:\n  fit:\n    cmd: cat {one} {two} > model.bin\n    deps: [{one}, {two}]\n    outs: [model.bin]\n"
    )
    with quiet_dvc(), chdir(workspace.root):
        from dvc.repo import Repo

        with Repo(str(workspace.root)) as repo:
            repo.reproduce()
    purge_held(workspace)
    with pytest.raises(PurgeHeld):
        toys.carry(workspace)
    toys.granted_plan(workspace, [toys.person(workspace, "shard-1", 0)], request_id="R-2")
    with pytest.raises(PurgeHeld, match="R-1 keeps what DVC made of the items of both until 2026-12-24"):
        toys.carry(workspace, "R-2")
    assert (workspace.root / "model.bin").exists()
    there = toys.at(workspace, UNTIL)
    assert toys.carry(there).verdict == toys.carry(there, "R-2").verdict == "certified"
    assert not (workspace.root / "model.bin").exists()


def test_a_day_that_is_past_is_no_hold(workspace: Workspace) -> None:
    with pytest.raises(DisgorgeError, match="not after today"):
        hold_purge(workspace, "R-1", until=toys.NOW.date(), because="x", by="Ann")


def test_what_is_said_before_is_what_disappears(workspace: Workspace) -> None:
    with pytest.raises(PurgeHeld):
        toys.carry(workspace)
    gone = plan_of(workspace, case_of(workspace, "R-1")).purges
    strays = [workspace.home / "objects" / "old.bak", workspace.root / "shards" / "old" / "x"]
    old = (workspace.objects.path(gone.objects[0]), workspace.content_path(gone.shards[0]))
    for path, stray in zip(old, strays, strict=True):
        stray.parent.mkdir(exist_ok=True)
        shutil.copy(path, stray)
    killed = workspace.home / "apart-killed" / "workspace" / "shards"  # a re-execution's copies
    killed.mkdir(parents=True)
    (killed / "copy.parquet").write_bytes(b"PAR1")
    before = {path for path in workspace.root.rglob("*") if path.is_file()}
    said = preview(workspace, "R-1")
    assert {path for path in workspace.root.rglob("*") if path.is_file()} == before, "it only reads"
    private = workspace.home / "private" / "executions"  # the list of items, erased by the report and not by the purge
    release_purge(workspace, "R-1", because="settled", by="Ann")
    toys.carry(workspace)
    after = {path for path in workspace.root.rglob("*") if path.is_file()}
    assert {path for path in before - after if private not in path.parents} == set(said.paths)
    assert set(strays) < set(said.paths)


def test_the_verbs(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workspace.root)
    runner = CliRunner()
    with pytest.raises(PurgeHeld):
        toys.carry(workspace)
    listed = runner.invoke(app, ["purge", "--dry-run", "R-1"])
    assert listed.exit_code == 0, listed.output
    assert f"shards{os.sep}" in listed.output
    assert runner.invoke(app, ["purge", "--dry-run", "--json"]).exit_code == 0
    far = "2099-01-01"
    told = runner.invoke(app, ["purge", "hold", "R-1", "--until", far, "--because", "trial", "--by", "Ann"])
    assert told.exit_code == 0, told.output
    assert f"waits until {far}" in told.output
    assert "no purge is due" in runner.invoke(app, ["purge"]).output
    assert runner.invoke(app, ["purge", "R-2"]).exit_code == 2
