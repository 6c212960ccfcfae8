"""Processes that run into each other, and Ctrl-C: what is refused is refused in one line, and nothing is lost."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from disgorge.errors import DisgorgeError
from disgorge.request.case import docket
from disgorge.request.workflow.filing import deny_request
from disgorge.request.workflow.plan_request import plan_request
from lineage.records import Selector
from lineage.shards.add import add_shard
from lineage.workspace import Workspace
from tests.crash_harness import aftermath
from tests.crash_harness.nursery import ROOT, the_nursery
from tests.crash_harness.removals import removal
from tests.tier import amount, tally
from tests.toys import items_of, toy_of, write_rows

WITHOUT_MLFLOW = "import sys; sys.modules['mlflow'] = None\nfrom disgorge.cli import main; main()"
"""The command line where only the core is installed: nothing is registered or tracked."""
AGAIN = re.compile(
    r"error: interrupted(; \d+ steps? done, go on with `disgorge request resume R-1`"
    r"| before a step was done; begin again with `disgorge request execute R-1`)\n"
)


MOMENT = 1.0  # seconds; eight processes share two cores with whatever else the machine does
LONGEST = 2.0  # seconds; nobody is blocked for longer, not even once


def start(workspace_folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start a command in a process group of its own, as a shell does."""
    return subprocess.Popen(
        [sys.executable, "-c", WITHOUT_MLFLOW, *arguments],
        cwd=workspace_folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ["PYTHONPATH"]])},
    )  # fmt: skip


def test_of_two_executions_at_once_one_is_refused_and_the_other_not_harmed() -> None:
    wanted = removal("retrain")
    workspace_folder = wanted.copy("two")
    inside, refused, over = (str(wanted.folder / name) for name in ("inside", "refused", "over"))
    probe = wanted.step("probe")
    first, second, third = the_nursery().together(
        ("carry", workspace_folder, {"request": "R-1", "at": probe, "touches_at": inside, "holds_until": over}),
        ("carry", workspace_folder, {"request": "R-1", "waits_for": inside, "signals": refused}),
        (
            "cli",
            workspace_folder,
            {"arguments": ["request", "resume", "R-1"], "without": ["mlflow"], "waits_for": refused, "signals": over},
        ),
    )
    assert (second.code, second.err.partition(":")[0]) == (1, "lineage.errors.WorkspaceBusy"), second
    assert third.code == 2, third
    assert third.err.startswith("error: another execution")
    assert "wait for it" in third.err
    assert len(third.err.splitlines()) == 1
    assert (first.code, first.out) == (0, "certified"), first
    wanted.check(workspace_folder)


def test_a_training_and_an_execution_do_not_run_at_once() -> None:
    wanted = removal("retrain")
    workspace_folder = wanted.copy("training")
    (workspace_folder / "model.yaml").write_text("release: other\nmethod: averages\ncore: [core]\nshards: [shard-1]\n")
    train = {"arguments": ["train", "model.yaml"], "without": ["mlflow"]}
    first, second = wanted.meanwhile(workspace_folder, wanted.step("probe"), "cli", **train)
    assert second.code == 2, second
    assert "is running in this workspace; wait for it" in second.err
    assert first.out == "certified"
    (workspace_folder / "model.yaml").unlink()
    wanted.check(workspace_folder)


def test_a_hundred_requests_from_four_processes_are_all_there(tmp_path: Path) -> None:
    Workspace.init(tmp_path / "workspace")
    ids = [[f"R-{process}-{number}" for number in range(25)] for process in range(4)]
    ended = the_nursery().together(
        *(("file", tmp_path / "workspace", {"ids": each, "particulars": {"name": each[0]}}) for each in ids)
    )
    assert [each.code for each in ended] == [0] * 4, ended
    workspace = Workspace.open(tmp_path / "workspace")
    assert workspace.ledger.verify() == 101
    filed = list(docket(workspace))
    assert len(filed) == 100
    assert [[request for request in filed if request in each] for each in ids] == ids  # each in its process's order
    assert len(list((workspace.home / "private" / "requests").iterdir())) == 100


@pytest.mark.timeout(900)
def test_eight_processes_file_and_read_at_once(tmp_path: Path) -> None:
    """None is lost, the chain holds, and neither who files nor who reads waits for more than a moment."""
    Workspace.init(tmp_path / "workspace")
    each = amount(48, 1000) // 8
    ids = [[f"R-{process}-{number}" for number in range(each)] for process in range(8)]
    ended = the_nursery().together(*(("file-and-read", tmp_path / "workspace", {"ids": some}) for some in ids))
    assert [one.code for one in ended] == [0] * 8, ended
    workspace = Workspace.open(tmp_path / "workspace")
    assert workspace.ledger.verify() == 1 + 8 * each
    filed = list(docket(workspace))
    assert [[request for request in filed if request in some] for some in map(set, ids)] == ids
    assert len(list((workspace.home / "private" / "requests").iterdir())) == 8 * each
    for what in ("filing", "reading"):
        took = sorted(seconds for one in ended for seconds in json.loads(one.out)[what])
        p50, p99 = (took[int(len(took) * share)] for share in (0.5, 0.99))
        tally(
            "eight writers", what, requests=len(took), p50_ms=round(p50 * 1000, 1), p99_ms=round(p99 * 1000, 1),
            max_ms=round(took[-1] * 1000, 1),
        )  # fmt: skip
        busy = max(os.getloadavg()[0] / (os.cpu_count() or 1), 1.0)  # what else runs takes its share of every moment
        assert p99 < MOMENT * busy, (what, p99, busy)
        assert took[-1] < LONGEST * busy, (what, took[-3:], busy)


def test_an_id_is_given_to_one_of_several_who_ask_at_the_same_time(tmp_path: Path) -> None:
    """Whoever is not told that the id is taken believes that the request was recorded."""
    Workspace.init(tmp_path / "workspace")
    ids = [f"R-{number}" for number in range(25)]
    ended = the_nursery().together(*(("file", tmp_path / "workspace", {"ids": ids}) for _ in range(4)))
    said = "".join(each.out for each in ended)
    assert [each.code for each in ended] == [0] * 4, ended
    assert {request: said.count(f"filed {request}\n") for request in ids} == dict.fromkeys(ids, 1)
    workspace = Workspace.open(tmp_path / "workspace")
    assert len(list(workspace.ledger.facts("request"))) == len(ids)


def test_a_filing_that_was_killed_can_be_filed_again(tmp_path: Path) -> None:
    """Particulars are written before the fact; what a killed process left of them must not take the id for good."""
    Workspace.init(tmp_path / "workspace")
    order = {"ids": ["R-1"], "particulars": {"name": "Ada"}}
    killed, place = True, 0
    while killed:  # before every change it makes
        place += 1
        killed = the_nursery().run("file", tmp_path / "workspace", die_at=place, **order).killed
        if not docket(Workspace.open(tmp_path / "workspace")):
            assert killed
    workspace = Workspace.open(tmp_path / "workspace")
    assert workspace.ledger.verify() == 2
    assert list(docket(workspace)) == ["R-1"]


@pytest.mark.parametrize("number", range(2))
def test_ctrl_c_at_any_change_is_one_line_and_can_be_resumed(number: int) -> None:
    wanted = removal("retrain")
    workspace_folder = wanted.copy(f"interrupted-{number}")
    place = random.Random(number).randint(2, len(wanted.changes) - 12)
    ended = the_nursery().run(
        "cli", workspace_folder, arguments=["request", "execute", "R-1", "--references", "0"], without=["mlflow"],
        interrupt_at=place,
    )  # fmt: skip
    assert ended.code == 130, (place, ended)
    assert AGAIN.fullmatch(ended.err), (place, ended)
    assert not aftermath.orphans()
    aftermath.under_way(workspace_folder, wanted.plan)
    wanted.finish(workspace_folder)


def test_ctrl_c_on_a_terminal_reaches_workers_too_and_ends_everything() -> None:
    wanted = removal("retrain")
    workspace_folder = wanted.copy("terminal")
    with start(workspace_folder, "request", "execute", "R-1", "--references", "0") as process:
        until = time.monotonic() + 60
        ledger = workspace_folder / ".disgorge" / "ledger.jsonl"
        while b'"kind":"step"' not in ledger.read_bytes() and process.poll() is None and time.monotonic() < until:
            time.sleep(0.01)  # a process may be asked about the method before anything is begun
        while not aftermath.workers(process.pid) and process.poll() is None and time.monotonic() < until:
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, out
    assert AGAIN.fullmatch(err), (out, err)
    assert not aftermath.orphans()
    aftermath.under_way(workspace_folder, wanted.plan)
    with start(workspace_folder, "request", "resume", "R-1", "--references", "0") as process:
        out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, ""), err
    assert "certified" in out
    assert not aftermath.orphans()
    wanted.check(workspace_folder)


def test_a_hold_from_elsewhere_stops_before_the_next_step() -> None:
    wanted = removal("subtract")
    workspace_folder = wanted.copy("held")
    hold = ["request", "hold", "R-1", "--reason", "litigation"]
    first, second = wanted.meanwhile(workspace_folder, wanted.plan.steps[2].id, "cli", arguments=hold)
    assert second.code == 0, second
    assert (first.code, first.err.partition(":")[0]) == (1, "disgorge.errors.ExecutionFailed"), first
    case = docket(Workspace.open(workspace_folder))["R-1"]
    assert list(case.steps[wanted.plan.digest]) == [step.id for step in wanted.plan.steps[:3]]
    lifted = the_nursery().run(
        "cli", workspace_folder, arguments=["request", "hold", "R-1", "--lift", "--reason", "settled"]
    )
    assert lifted.code == 0, lifted
    wanted.finish(workspace_folder)


@pytest.mark.parametrize("step", [0, 3])
def test_what_is_being_carried_out_is_not_denied(step: int) -> None:
    """Either the denial is refused, or the execution stops; a denied request whose data is removed is neither."""
    wanted = removal("subtract")
    workspace_folder = wanted.copy(f"denied-{step}")
    deny = ["request", "deny", "R-1", "--reason", "other"]
    first, second = wanted.meanwhile(workspace_folder, wanted.plan.steps[step].id, "cli", arguments=deny)
    assert (first.code == 0) != (second.code == 0), (first, second)
    assert len(second.err.splitlines()) <= 1
    assert len(list(Workspace.open(workspace_folder).ledger.facts("request-closed"))) == 1


def test_what_was_begun_under_an_older_plan_is_not_denied() -> None:
    """Planned again after its release was contained, the request is still under way: nobody would lift that."""
    wanted = removal("subtract")
    workspace_folder = wanted.copy("planned-again")
    assert the_nursery().run("carry", workspace_folder, request="R-1", die_at_step=wanted.plan.steps[1].id).killed
    workspace = Workspace.open(workspace_folder)
    plan_request(workspace, "R-1")
    with pytest.raises(DisgorgeError, match="being carried out"):
        deny_request(workspace, "R-1", reason="other")


def test_what_others_added_meanwhile_is_not_passed_over(tmp_path: Path) -> None:
    """The same items come in under another name after the execution was cut short: the plan does not know them."""
    wanted = removal("retrain")
    workspace_folder = wanted.copy("late")
    assert the_nursery().run("carry", workspace_folder, request="R-1", die_at_step=wanted.plan.steps[1].id).killed
    write_rows(tmp_path / "late.npz", "late", toy_of("averages", 3).items["shard-3"], [3, 4, 5])
    workspace = Workspace.open(workspace_folder)
    add_shard(workspace, tmp_path / "late.npz", name="late", key="key", license="MIT", check=False, dvc=False)
    the_nursery().run("carry", workspace_folder, request="R-1")
    selected = items_of(workspace, [Selector("item", digest) for digest in wanted.forgotten])
    assert not selected or docket(workspace)["R-1"].closed is None


def test_a_request_filed_while_an_execution_runs_is_kept() -> None:
    """Filing takes no lock of executions, and the execution goes on over it."""
    wanted = removal("subtract")
    workspace_folder = wanted.copy("filed")
    first, second = wanted.meanwhile(workspace_folder, wanted.step("probe"), "file", ids=["R-2", "R-3"])
    assert (first.out, second.out) == ("certified", "filed R-2\nfiled R-3\n")
    workspace = Workspace.open(workspace_folder)
    assert [case.closed for case in docket(workspace).values()] == ["done", None, None]
    workspace.ledger.verify()
