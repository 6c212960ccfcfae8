"""Honest removals are certified nearly always: fifty of them, by seed, shard, person and method, three references each.

A refusal of an honest removal is a false alarm of some probe, and its answer says of which; at most one in fifty is
borne. Beside the verdict each removal notes what its evidence cost, as seconds and as a share of training it all again.
"""

import json
import random
import time
from pathlib import Path
from typing import Any

import pytest

from disgorge.errors import DisgorgeError
from disgorge.training.runners.local import Workers
from lineage.records import Selector
from lineage.workspace import Workspace
from tests.tier import FULL, amount, tally
from tests.toys import PEOPLE_HOLD, SINGLE, carry, granted_plan, person, populate, toy_of, train, trained_toy

COUNTS = {"averages": 20, "tangent_composition": 12, "shard_graph": 10, "compartmental_diffusion": 8}
"""Honest removals per method: fifty in all."""
REFERENCES = 3
ASKED = ("a person", "two people", "a shard", "a source")


def cases() -> list[tuple[str, int]]:
    """Every method with its seeds; in the first tier one of each but the slowest, whose whole pass the demo makes."""
    every = [(method, seed) for method, count in COUNTS.items() for seed in range(100, 100 + count)]
    return every if FULL else [(method, 100 + place) for place, method in enumerate(COUNTS)][:-1]


def asked_of(workspace: Workspace, method: str, seed: int) -> tuple[str, list[Selector]]:
    """Return what a seed has removed, in words and as selectors."""
    toy, chance = toy_of(method, seed), random.Random(f"{method} {seed}")
    what = ASKED[seed % len(ASKED)]
    one, two = chance.sample(toy.spec.shards, 2)
    people = [len(toy.items[name]) // PEOPLE_HOLD for name in (one, two)]
    if what == "a person":
        return what, [person(workspace, one, chance.randrange(people[0]))]
    if what == "two people":
        return what, [person(workspace, name, chance.randrange(n)) for name, n in zip((one, two), people, strict=True)]
    return what, [Selector("shard", one) if what == "a shard" else Selector("source", f"source-of-{one}")]


def fifty(method: str, seed: int, folder: Path) -> dict[str, Any]:
    """Carry one honest removal out and return what it came to."""
    workspace, toy = Workspace.init(folder / "workspace"), toy_of(method, seed)
    populate(workspace, toy, folder / "sources")
    start = time.perf_counter()
    train(workspace, toy)
    training = time.perf_counter() - start
    what, selectors = asked_of(workspace, method, seed)
    granted_plan(workspace, selectors, named=SINGLE)
    start, why = time.perf_counter(), ""
    try:
        verdict = carry(
            workspace, independent=lambda: Workers(workspace, count=1, apart=True), references=REFERENCES
        ).verdict  # fmt: skip
    except DisgorgeError as refusal:
        verdict, why = "refused", str(refusal)
    seconds = time.perf_counter() - start
    evidence = json.loads(workspace.objects.get(list(workspace.ledger.facts("report"))[-1].body["evidence"]))
    checks = evidence["checks"]
    references = max((check["detail"].get("reference_seconds", 0.0) for check in checks), default=0.0)
    cost = sum(check["seconds"] for check in checks) + references
    return {
        "asked": what, "verdict": verdict, "why": why, "seconds": seconds, "training": training, "evidence": cost,
        "verdicts": {check["name"]: check["verdict"] for check in checks},
    }  # fmt: skip


@pytest.mark.parametrize(("method", "seed"), cases())
def test_an_honest_removal_is_certified(method: str, seed: int, tmp_path: Path) -> None:
    found = fifty(method, seed, tmp_path)
    share = found["evidence"] / found["training"]
    tally(
        "honest", f"{method} {seed}", method=method, asked=found["asked"], certified=found["verdict"] == "certified",
        seconds=round(found["seconds"], 3), **{f"check {n}": v for n, v in found["verdicts"].items()},
    )  # fmt: skip
    tally(
        "evidence cost", f"{method} {seed}", method=method, seconds=round(found["evidence"], 3),
        share_of_full_retrain=round(share, 3),
    )  # fmt: skip
    assert found["verdict"] == "certified", found["why"]


@pytest.mark.parametrize("method", list(COUNTS)[: amount(1, 4)])
def test_a_second_honest_removal_from_the_same_workspace_is_certified(method: str, tmp_path: Path) -> None:
    workspace, toy = trained_toy(tmp_path, method=method, seed=7), toy_of(method, 7)
    for number, shard in enumerate(toy.spec.shards[:2]):
        granted_plan(workspace, [person(workspace, shard, 1)], request_id=f"R-{number}", named=SINGLE)
        found = carry(
            workspace, f"R-{number}", independent=lambda: Workers(workspace, count=1, apart=True), references=REFERENCES
        )  # fmt: skip
        assert found.verdict == "certified"
