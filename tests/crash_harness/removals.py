"""Approved removals to be carried out by children: trained once, copied for every case."""

import json
import random
import shutil
import time
from collections import Counter
from dataclasses import dataclass, replace
from functools import cache
from itertools import zip_longest
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from disgorge.plan.plan import Plan
from lineage.records import Selector
from lineage.workspace import Workspace
from tests.crash_harness import aftermath
from tests.crash_harness.nursery import Ended, the_nursery
from tests.tier import tally
from tests.toys import CONTRACT, ORDER, approved, filed_and_decided, items_of, person, populate, toy_of, train

Change = tuple[str, str, str]

KILLED: Counter[Path] = Counter()
"""How many processes died of SIGKILL in each workspace, until it was found to have survived them."""


def survived(name: str, workspace_folder: Path) -> None:
    """Note for the summary that a workspace ended as if none of its kills had been."""
    if kills := KILLED.pop(workspace_folder, 0):
        tally("kills", name, kills=kills, survived=kills)


@dataclass(frozen=True)
class Removal:
    """An approved removal, and what it comes to undisturbed: how fast, and by which changes to the workspace."""

    folder: Path
    plan: Plan
    forgotten: frozenset[str]
    changes: list[Change]
    seconds: float

    def copy(self, name: str) -> Path:
        """Return a workspace in which the removal is approved and not begun."""
        return Path(shutil.copytree(self.folder / "approved", self.folder / name))

    def carry(self, workspace_folder: Path, **order: Any) -> Ended:
        """Carry the removal out, or go on with it, in a process of its own."""
        return the_nursery().run("carry", workspace_folder, **{"request": "R-1"} | order)

    def resume(self, workspace_folder: Path, **order: Any) -> None:
        """Go on with the removal in a new process; it must be certified."""
        with aftermath.nothing_lost(workspace_folder):
            ended = self.carry(workspace_folder, **order)
        assert (ended.code, ended.out) == (0, "certified"), ended

    def kill(self, workspace_folder: Path, **order: Any) -> bool:
        """Carry the removal out in a process that is told to die; return whether it did. Nothing must be lost by it."""
        with aftermath.nothing_lost(workspace_folder):
            ended = self.carry(workspace_folder, **order)
        assert ended.killed or (ended.code, ended.out) == (0, "certified"), ended
        KILLED[workspace_folder] += ended.killed
        aftermath.under_way(workspace_folder, self.plan)
        return ended.killed

    def check(self, workspace_folder: Path) -> None:
        """Assert that the removal in a workspace ended as the undisturbed one, and delete the workspace."""
        aftermath.finished(workspace_folder, self.folder / "undisturbed", self.plan, forgotten=self.forgotten)
        survived(self.folder.name.rpartition("-")[0], workspace_folder)
        shutil.rmtree(workspace_folder)

    def finish(self, workspace_folder: Path, **order: Any) -> None:
        """Go on with the removal to its end, which must be that of the undisturbed one; delete the workspace."""
        self.resume(workspace_folder, **order)
        self.check(workspace_folder)

    def meanwhile(self, workspace_folder: Path, step: str, do: str, **order: Any) -> tuple[Ended, Ended]:
        """Carry the removal out, and before a step have another order carried out; return how both ended."""
        inside, over = (str(self.folder / f"{workspace_folder.name}-{name}") for name in ("in", "over"))
        first, second = the_nursery().together(
            ("carry", workspace_folder, {"request": "R-1", "at": step, "touches_at": inside, "holds_until": over}),
            (do, workspace_folder, {**order, "waits_for": inside, "signals": over}),
        )
        return first, second

    def step(self, name: str) -> str:
        """The id of the first step that holds a name."""
        return next(step.id for step in self.plan.steps if name in step.id)

    def place(self, step: str, event: str, ending: str) -> int:
        """Return the place of the last change of this kind within the step whose id holds ``step``."""
        fitting = [
            place
            for place, change in enumerate(self.changes, start=1)
            if step in change[0] and change[1] == event and change[2].endswith(ending)
        ]
        return fitting[-1]

    def spread(self) -> list[int]:
        """Return the places of all changes, one of every kind before a second of any; a seed decides which."""
        rng = random.Random(2026)
        kinds: dict[Change, list[int]] = {}
        for place, (step, event, path) in enumerate(self.changes, start=1):
            kinds.setdefault((step, event, Path(path).parts[1]), []).append(place)
        groups = [rng.sample(places, len(places)) for places in kinds.values()]
        rng.shuffle(groups)
        return [place for turn in zip_longest(*groups) for place in turn if place is not None]


@cache
def removal(kind: str, method: str = "averages") -> Removal:
    """Train a toy, have a removal approved, and carry it out once in a copy.

    ``retrain`` takes out a person, ``subtract`` a whole shard, ``withdraw`` everything built on a shard, ``together``
    a person and a whole shard, for two requests of one plan.
    """
    folder = Path(mkdtemp(prefix=f"{kind}-{method}-", dir=the_nursery().folder))
    workspace = Workspace.init(folder / "approved")
    toy = toy_of(method, 3)
    if kind == "retrain" and method == "averages":
        toy = replace(toy, spec=replace(toy.spec, parameters={"joint": True}))
    populate(workspace, toy, folder / "sources")
    train(workspace, toy)
    a_person, a_shard = [person(workspace, "shard-3", 1)], [Selector("shard", "shard-2")]
    asked = {"retrain": [a_person], "together": [a_person, a_shard]}.get(kind, [a_shard])
    forgotten = frozenset(item for selectors in asked for item in items_of(workspace, selectors))
    names = [f"R-{number}" for number in range(1, len(asked) + 1)]
    for name, selectors in zip(names, asked, strict=True):
        filed_and_decided(workspace, selectors, ORDER if kind == "withdraw" else CONTRACT, request_id=name)
    plan = approved(workspace, *names, by=names[-1])
    shutil.copytree(folder / "approved", folder / "undisturbed")
    record, start = folder / "changes.json", time.perf_counter()
    ended = the_nursery().run("carry", folder / "undisturbed", request="R-1", record=str(record))
    seconds = time.perf_counter() - start
    assert (ended.code, ended.out) == (0, "certified"), ended
    changes = [(step, event, path) for step, event, path in json.loads(record.read_text())]
    return Removal(folder, plan, forgotten, changes, seconds)
