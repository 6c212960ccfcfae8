"""Removals that are killed: before every step, before seeded changes inside steps, and at seeded moments.

Real processes, really killed with SIGKILL. Whatever happened, the removal that is resumed in a new process ends as the
one that nobody disturbed: same digests, same verdict, the facts in the order of safety, nothing left over.

The second tier (:mod:`tests.tier`) has many more seeded cases than the first.
"""

import json
import os
import random
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import pytest

from disgorge.request.case import docket
from lineage.errors import LedgerBroken
from lineage.records import shard_digest
from lineage.workspace import Workspace
from tests.crash_harness import aftermath
from tests.crash_harness.nursery import Ended, the_nursery
from tests.crash_harness.removals import KILLED, Change, removal, survived
from tests.crash_harness.stored import SERVED, Stored, stored
from tests.tier import amount
from tests.toys import toy_of, trained_toy, write_rows

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
    wanted.finish(workspace_folder)


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
        wanted.finish(workspace_folder)


@pytest.mark.parametrize("number", range(LATE))
def test_killed_while_purging_or_writing_the_report(number: int) -> None:
    """Where half of something is the worst: weights gone or not, a bundle that is there and not signed for."""
    wanted = removal("retrain")
    places = [place for place, (step, _, _) in enumerate(wanted.changes, 1) if "purge" in step or "report" in step]
    workspace_folder = wanted.copy(f"late-{number}")
    assert wanted.kill(workspace_folder, die_at=places[(number * len(places) + len(places) // 2) // LATE])
    if not closed(workspace_folder):
        wanted.finish(workspace_folder)


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
    wanted.finish(workspace_folder)


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
    command = refused.err.partition("run `disgorge ")[2].partition("`")[0].split()
    assert command[:2] == ["ledger", "verify"]
    assert the_nursery().run("cli", workspace_folder, arguments=command).code == 0
    (aside,) = (workspace_folder / ".disgorge").glob("ledger.torn-*")
    assert aside.stat().st_size
    aftermath.under_way(workspace_folder, wanted.plan)
    wanted.finish(workspace_folder)


def test_what_a_killed_writer_left_of_the_items_goes_with_them(tmp_path: Path) -> None:
    """A shard with the same items was being added when its process was killed; their bytes lie there, written aside."""
    wanted = removal("retrain")
    workspace_folder = wanted.copy("left-aside")
    killed_while_adding(workspace_folder, tmp_path, ".aside-*")
    wanted.finish(workspace_folder)


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
    wanted.finish(workspace_folder)


# Joint plans


def test_a_joint_removal_killed_before_every_step() -> None:
    wanted = removal("together")
    assert wanted.plan.requests == ("R-1", "R-2")
    workspace_folder = wanted.copy("steps")
    for number, step in enumerate(wanted.plan.steps):
        assert wanted.kill(workspace_folder, request=f"R-{number % 2 + 1}", die_at_step=step.id)
    wanted.finish(workspace_folder, request="R-1")


@pytest.mark.parametrize("number", range(amount(2, 24)))
def test_a_joint_removal_killed_inside_a_step(number: int) -> None:
    """Half of them where it hurts most: while the purge, or one of the two reports, is written."""
    wanted = removal("together")
    late = [place for place, (step, _, _) in enumerate(wanted.changes, 1) if "purge" in step or "report" in step]
    places = late if number % 2 else wanted.spread()
    workspace_folder, rng = wanted.copy(f"inside-{number}"), random.Random(number)
    assert wanted.kill(workspace_folder, die_at=rng.choice(places))
    if any(not case.closed for case in docket(Workspace.open(workspace_folder)).values()):
        wanted.finish(workspace_folder, request=f"R-{number % 2 + 1}")


# In stores


Moment = Callable[[Change], bool]
LEDGER = "/.disgorge/ledger.jsonl"
MOMENTS: dict[str, Moment] = {
    "half of MLflow purged": lambda change: "purge" in change[0] and change[2].startswith("/mlartifacts"),
    "references trained in part": lambda change: "probe" in change[0] and "/objects/" in change[2],
    "alias moved": lambda change: "adopt" in change[0] and change[2] == LEDGER,
    "version half described": lambda change: "adopt" in change[0] and change[2].startswith("/mlartifacts"),
    "half of DVC purged": lambda change: "purge" in change[0] and change[2].startswith(("/.dvc/cache", "/store")),
    "DVC forgets names": lambda change: "purge" in change[0] and change[2].endswith((".dvc", ".lock")),
    "alias taken away": lambda change: "contain" in change[0] and change[2] == LEDGER,
    "cut shard given to DVC": lambda change: "withdraw-items" in change[0] and change[2].startswith("/.dvc"),
    "anywhere": lambda change: True,
}
DESTROYED: dict[str, Moment] = {
    "model destroyed": lambda change: "withdraw-toy" in change[0] and change[2] == LEDGER,
    "model half destroyed": lambda change: "withdraw-toy" in change[0] and change[2].startswith("/mlartifacts"),
    "half of DVC purged": MOMENTS["half of DVC purged"],
}
CASES = [
    *(("retrain", 3, name) for name in MOMENTS),
    *(("retrain", 0, name) for name in ("half of DVC purged", "half of MLflow purged", "alias moved")),
    *(("withdraw", 0, name) for name in DESTROYED),
]


def places(wanted: Stored, moment: Moment) -> list[int]:
    """Return the places of the changes that are of a moment."""
    return [place for place, change in enumerate(wanted.changes, start=1) if moment(change)]


def test_killed_where_a_store_and_the_ledger_disagree() -> None:
    """One removal, killed when its alias had moved, and again in the middle of what DVC is to forget."""
    wanted = stored("retrain", 3)
    workspace_folder = wanted.copy("worst")
    adopted = places(wanted, MOMENTS["alias moved"])[0]
    assert wanted.kill(workspace_folder, die_at=adopted)
    assert wanted.asked(workspace_folder, SERVED) == wanted.adopted() != []
    done = docket(Workspace.open(workspace_folder))["R-1"].steps[wanted.plan.digest]
    assert not any("adopt" in step for step in done), "the alias moved and no fact says so"
    purging = places(wanted, MOMENTS["half of DVC purged"])
    assert wanted.kill(workspace_folder, die_at=purging[len(purging) // 2] - adopted)
    wanted.finish(workspace_folder)


@pytest.mark.parametrize("number", range(amount(1, len(CASES))))
def test_killed_while_stores_take_part(number: int) -> None:
    kind, references, moment = CASES[number]
    wanted, rng = stored(kind, references), random.Random(number)
    workspace_folder = wanted.copy(f"moment-{number}")
    fitting = places(wanted, {**MOMENTS, **DESTROYED}[moment])
    assert wanted.kill(workspace_folder, die_at=rng.choice(fitting) if number else fitting[0])
    wanted.finish(workspace_folder)


# Other commands


STRIDE = amount(5, 1)
"""Every so manieth change is died at."""
DONE = {"file": "exists", "approve": "approved this plan already"}
"""What a verb says that was killed after its fact: there is nothing left to do."""


@cache
def trained() -> Path:
    """A workspace with a model and no request."""
    folder = Path(mkdtemp(prefix="verbs-", dir=the_nursery().folder))
    trained_toy(folder, clock=None)
    return folder


def through(workspace_folder: Path, *arguments: str, stride: int | None) -> Ended:
    """Run a verb of ``request``, killed at ever later changes until it gets through; ``None`` kills nothing."""
    place = 1
    while True:
        order = {} if stride is None else {"die_at": place}
        with aftermath.nothing_lost(workspace_folder):
            ended = the_nursery().run(
                "cli", workspace_folder, arguments=["request", *arguments], without=["mlflow"], **order
            )
        KILLED[workspace_folder] += ended.killed
        if not ended.killed:
            assert ended.code == 0 or DONE.get(arguments[0], "never said") in ended.err, ended
            return ended
        place += stride or 1


def request_and_remove(workspace_folder: Path, *, stride: int | None) -> None:
    """One request through every verb, and carried out."""
    through(workspace_folder, "file", "--id", "R-1", "--standing", "contributor", "--ground", "contract", "--regime",
            "contract", "--verified", "--subject", "shard-3-person-1", "--name", "Ada", stride=stride)  # fmt: skip
    through(workspace_folder, "decide", "R-1", stride=stride)
    digest = json.loads(through(workspace_folder, "plan", "R-1", "--json", stride=stride).out)["digest"]
    through(workspace_folder, "approve", "R-1", digest, "--by", "ann", stride=stride)
    ended = the_nursery().run("carry", workspace_folder, request="R-1")
    assert (ended.code, ended.out) == (0, "certified"), ended


def test_killed_while_filing_deciding_planning_and_approving() -> None:
    calm, killed = (Path(shutil.copytree(trained() / "workspace", trained() / name)) for name in ("calm", "killed"))
    request_and_remove(calm, stride=None)
    request_and_remove(killed, stride=STRIDE)
    workspace = Workspace.open(killed)
    assert list(docket(workspace)) == ["R-1"]
    assert len(list(workspace.ledger.facts("request"))) == 1
    assert len(docket(workspace)["R-1"].approvals[docket(workspace)["R-1"].plan or ""]) == 1
    assert aftermath.served(workspace) == aftermath.served(Workspace.open(calm))
    assert aftermath.live(workspace) == aftermath.live(Workspace.open(calm))
    assert KILLED[killed] >= 4
    survived("file, decide, plan, approve", killed)
