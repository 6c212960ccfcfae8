"""Removals that are killed: before every step, before seeded changes inside steps, and at seeded moments.

Real processes, really killed with SIGKILL. Whatever happened, the removal that is resumed in a new process ends as the
one that nobody disturbed: same digests, same verdict, the facts in the order of safety, nothing left over.

The second tier (:mod:`tests.tier`) has many more seeded cases than the first.
"""

import os
import random
from pathlib import Path

import pytest

from disgorge.request.case import docket
from lineage.errors import LedgerBroken
from lineage.records import shard_digest
from lineage.workspace import Workspace
from tests.crash_harness import aftermath
from tests.crash_harness.nursery import the_nursery
from tests.crash_harness.removals import KILLED, removal
from tests.tier import amount
from tests.toys import toy_of, write_rows

KILLS = amount(4, 80)
LATE = amount(2, 24)
KINDS = ("retrain", "subtract", "withdraw")


def closed(workspace_folder: Path) -> bool:
    """Whether the request is closed already: some die after the last fact."""
    return docket(Workspace.open(workspace_folder))["R-1"].closed is not None


@pytest.mark.parametrize("kind", KINDS)
def test_killed_before_every_step(kind: str) -> None:
    wanted = removal(kind)
    workspace_folder = wanted.copy("steps")
    for step in wanted.plan.steps:
        assert wanted.kill(workspace_folder, die_at_step=step.id)
    wanted.resume(workspace_folder)
    wanted.check(workspace_folder)


@pytest.mark.parametrize("number", range(KILLS))
def test_killed_inside_a_step(number: int) -> None:
    wanted = removal(KINDS[number % len(KINDS)])
    places = wanted.spread()
    workspace_folder, rng = wanted.copy(f"inside-{number}"), random.Random(number)
    assert wanted.kill(workspace_folder, die_at=places[number // len(KINDS) % len(places)])
    for _ in range(rng.randrange(3)):  # and again, wherever it is by then
        if not closed(workspace_folder):
            wanted.kill(workspace_folder, die_at=rng.randint(2, len(wanted.changes) // 2))
    if not closed(workspace_folder):
        wanted.resume(workspace_folder)
    wanted.check(workspace_folder)


@pytest.mark.parametrize("number", range(LATE))
def test_killed_while_purging_or_writing_the_report(number: int) -> None:
    """Where half of something is the worst: weights gone or not, a bundle that is there and not signed for."""
    wanted = removal("retrain")
    places = [place for place, (step, _, _) in enumerate(wanted.changes, 1) if "purge" in step or "report" in step]
    workspace_folder = wanted.copy(f"late-{number}")
    assert wanted.kill(workspace_folder, die_at=places[(number * len(places) + len(places) // 2) // LATE])
    if not closed(workspace_folder):
        wanted.resume(workspace_folder)
    wanted.check(workspace_folder)


@pytest.mark.parametrize("number", range(KILLS // 4))
def test_killed_at_any_moment(number: int) -> None:
    wanted = removal(KINDS[number % len(KINDS)])
    workspace_folder, rng = wanted.copy(f"moment-{number}"), random.Random(number)
    tries = 0
    while not closed(workspace_folder):
        tries += 1
        after = rng.uniform(0.05, wanted.seconds) if tries < 4 else None
        wanted.kill(workspace_folder, die_after=after)
    wanted.check(workspace_folder)


@pytest.mark.parametrize(
    ("step", "event", "ending"),
    [
        ("retrain", "os.rename", "/head.json"),  # the component is recorded, its predecessor not yet retired
        ("purge", "os.remove", ".parquet"),  # half of it is deleted
        ("report", "os.rename", "/reports/R-1"),  # the report is written aside
        ("report", "shutil.rmtree", ""),  # it is in place, and no fact says so
    ],
)
def test_killed_at_the_worst_places(step: str, event: str, ending: str) -> None:
    wanted = removal("retrain")
    workspace_folder = wanted.copy("worst")
    place = wanted.place(step, event, ending)
    assert wanted.kill(workspace_folder, die_at=place)
    assert wanted.kill(workspace_folder, die_at=2)  # a second time, before anything is done
    wanted.resume(workspace_folder)
    wanted.check(workspace_folder)


@pytest.mark.parametrize("step", ["withdraw-items", "report"])
def test_a_power_cut_tears_the_last_line_and_says_how_to_go_on(step: str) -> None:
    """What SIGKILL cannot do: the lines of an append reach the disk in part, and were never acknowledged."""
    wanted = removal("retrain")
    workspace_folder = wanted.copy("torn")
    assert wanted.kill(workspace_folder, die_at=wanted.place(step, "os.rename", "/head.json"))
    file = workspace_folder / ".disgorge" / "ledger.jsonl"
    os.truncate(file, file.stat().st_size - random.Random(step).randint(1, 200))
    with pytest.raises(LedgerBroken, match="is torn"):
        Workspace.open(workspace_folder).ledger.verify()
    refused = the_nursery().run("cli", workspace_folder, arguments=["request", "resume", "R-1"], without=["mlflow"])
    assert refused.code == 1
    assert len(refused.err.splitlines()) == 1
    assert "is torn" in refused.err
    aside = Workspace.open(workspace_folder).ledger.set_aside_torn_line()
    assert aside is not None
    assert aside.stat().st_size
    aftermath.under_way(workspace_folder, wanted.plan)
    wanted.resume(workspace_folder)
    wanted.check(workspace_folder)


def test_what_a_torn_line_says_to_do_can_be_done() -> None:
    wanted = removal("retrain")
    workspace_folder = wanted.copy("repaired")
    assert wanted.kill(workspace_folder, die_at=wanted.place("adopt", "os.rename", "/head.json"))
    file = workspace_folder / ".disgorge" / "ledger.jsonl"
    os.truncate(file, file.stat().st_size - 1)
    refused = the_nursery().run("cli", workspace_folder, arguments=["request", "resume", "R-1"], without=["mlflow"])
    command = refused.err.partition("run `disgorge ")[2].partition("`")[0].split()
    assert command[:2] == ["ledger", "verify"]
    assert the_nursery().run("cli", workspace_folder, arguments=command).code == 0
    wanted.resume(workspace_folder)
    wanted.check(workspace_folder)


def test_what_a_killed_writer_left_of_the_items_goes_with_them(tmp_path: Path) -> None:
    """A shard with the same items was being added when its process was killed; their bytes lie there, written aside."""
    wanted = removal("retrain")
    workspace_folder = wanted.copy("left-aside")
    killed_while_adding(workspace_folder, tmp_path, ".aside-*")
    wanted.resume(workspace_folder)
    wanted.check(workspace_folder)


def test_what_a_killed_writer_left_unrecorded_goes_or_the_request_stays_open(tmp_path: Path) -> None:
    wanted = removal("retrain")
    workspace_folder = wanted.copy("unrecorded")
    killed_while_adding(workspace_folder, tmp_path, f"{shard_digest(wanted.forgotten)}.parquet")
    the_nursery().run("carry", workspace_folder, request="R-1")
    assert not aftermath.traces(Workspace.open(workspace_folder), wanted.forgotten) or not closed(workspace_folder)


def killed_while_adding(workspace_folder: Path, folder: Path, what: str) -> None:
    """Kill a process that adds the items of the person who asked once more, as soon as ``what`` lies there."""
    write_rows(folder / "late.npz", "late", toy_of("averages", 3).items["shard-3"], [3, 4, 5])
    adding = ["shard", "add", str(folder / "late.npz"), "--name", "late", "--key", "key", "--no-check"]
    place = 0
    while not list((workspace_folder / "shards").glob(what)):
        place += 1
        assert the_nursery().run("cli", workspace_folder, arguments=adding, die_at=place).killed


def test_workers_die_with_who_started_them() -> None:
    wanted = removal("retrain")
    workspace_folder = wanted.copy("workers")
    assert wanted.kill(workspace_folder, die_at=wanted.place("probe", "os.rename", "/head.json"), workers=True)
    assert not aftermath.orphans()
    wanted.resume(workspace_folder, workers=True)
    assert not aftermath.orphans()
    wanted.check(workspace_folder)


@pytest.mark.parametrize("number", range(amount(1, 6)))
def test_a_worker_that_is_killed_stops_the_removal_and_it_goes_on(number: int) -> None:
    """Inside the training or the re-execution of a method of torch: one process dies, the rest says so and ends."""
    wanted = removal("retrain", "shard_graph")
    workspace_folder, died = wanted.copy(f"worker-{number}"), wanted.folder / f"died-{number}"
    after = random.Random(number).uniform(0.0, 3.0)
    with aftermath.nothing_lost(workspace_folder):
        ended = the_nursery().run(
            "carry", workspace_folder, request="R-1", workers=True, kill_worker_after=after, touches_killed=str(died)
        )
    if ended.code:
        assert died.exists()
        assert ended.err.startswith("disgorge.errors.ExecutionFailed: "), ended
        assert "run the command again" in ended.err
    KILLED[workspace_folder] += died.exists()
    aftermath.under_way(workspace_folder, wanted.plan)
    if not closed(workspace_folder):
        wanted.resume(workspace_folder)
    assert not aftermath.orphans()
    wanted.check(workspace_folder)


def test_a_method_of_torch_survives_as_well() -> None:
    wanted = removal("retrain", "shard_graph")
    workspace_folder = wanted.copy("torch")
    places = [wanted.place(step, "os.rename", "/head.json") for step in ("retrain", "probe", "purge")]
    assert wanted.kill(workspace_folder, die_at=places[0])
    assert wanted.kill(workspace_folder, die_at=places[1] - places[0])
    wanted.kill(workspace_folder, die_at=places[2] - places[1])
    wanted.resume(workspace_folder)
    wanted.check(workspace_folder)
