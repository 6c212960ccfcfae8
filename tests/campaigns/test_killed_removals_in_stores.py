"""Removals that are killed while MLflow and DVC take part: an alias moved and no fact says so, half of a store purged.

As in :mod:`tests.campaigns.test_killed_removals`, with the real registry and tracking, a real DVC repository with a
remote and a pipeline, and never-trained references. The moments that matter are named; which of their changes dies, a
seed decides.
"""

import random
from collections.abc import Callable

import pytest

from disgorge.request.case import docket
from lineage.workspace import Workspace
from tests.crash_harness.removals import Change
from tests.crash_harness.stored import SERVED, Stored, stored
from tests.tier import amount

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
    wanted.resume(workspace_folder)
    wanted.check(workspace_folder)


@pytest.mark.parametrize("number", range(amount(1, len(CASES))))
def test_killed_while_stores_take_part(number: int) -> None:
    kind, references, moment = CASES[number]
    wanted, rng = stored(kind, references), random.Random(number)
    workspace_folder = wanted.copy(f"moment-{number}")
    fitting = places(wanted, {**MOMENTS, **DESTROYED}[moment])
    assert wanted.kill(workspace_folder, die_at=rng.choice(fitting) if number else fitting[0])
    wanted.resume(workspace_folder)
    wanted.check(workspace_folder)
