"""How far the answers of one model lie apart where only rounding differs, for the tolerance of ``answers``.

``python -m benchmarks.calibrate_answers`` trains the toy of every method that ships, on three seeds, asks each model
for scores, predictions and samples with one thread and with two, as the check does, and writes the largest difference
to ``calibrate_answers.json`` beside itself; and how far the answers move when one item is removed from the first shard,
which is what the check has to see.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from disgorge.examination.compare_outputs import CLEAR, TOLERANCE, difference
from disgorge.method import Items, Model, Toy, method_named
from disgorge.training.answer import SAMPLES
from disgorge.training.items import threads
from disgorge.training.make import make
from disgorge.training.stored import assemble
from lineage.catalog.catalog import Catalog
from lineage.shards.add import add_shard
from lineage.workspace import Workspace
from tests.in_process import InProcessRunner

METHODS = ("tangent_composition", "shard_graph", "compartmental_diffusion")
SEEDS = (1, 2, 3)


def model_of(toy: Toy, folder: Path, *, without: str | None = None) -> Model:
    """Train a toy in a workspace of its own, the first item of one shard left out, and put it together."""
    workspace = Workspace.init(folder / "workspace")
    for name, items in toy.items.items():
        rows = slice(int(name == without), None)
        source = folder / f"{name}.npz"
        keys = np.array([f"{name}-{row}" for row in range(len(items))])[rows]
        np.savez(source, key=keys, **{field: array[rows] for field, array in items.arrays.items()})
        core = name in toy.spec.core
        add_shard(
            workspace, source, name=name, key="key", legal_basis="public domain", core=core, check=False, dvc=False
        )
    with Catalog.of(workspace) as catalog:
        shards = {shard.name: shard for shard in catalog.shards()}
    return assemble(workspace, make(workspace, toy.spec, InProcessRunner(workspace), shards=shards).composition)


def answers(model: Model, asked: Items, count: int) -> dict[str, Any]:
    """Return what a model answers under a count of threads."""
    with threads(count):
        found = {"scores": np.asarray(model.scores(asked), np.float64)}
        if model.task == "classify":
            found["predictions"] = np.asarray(model.predict(asked), np.float64)
        else:
            found["samples"] = np.asarray(model.sample(SAMPLES, seed=0), np.float64)
    return found


def apart(one: dict[str, Any], other: dict[str, Any]) -> float:
    """Return the largest difference over all sets of answers."""
    return max(difference(one[name], other[name]) for name in one)


def measure(method: str, seed: int) -> dict[str, Any]:
    """Return the differences of one toy."""
    toy = method_named(method).toy(seed)
    asked = toy.items[toy.spec.shards[0]]
    with tempfile.TemporaryDirectory() as folder:
        whole = model_of(toy, Path(folder) / "whole")
        less = model_of(toy, Path(folder) / "less", without=toy.spec.shards[0])
        one = answers(whole, asked, 1)
        return {
            "method": method,
            "seed": seed,
            "one and two threads": apart(one, answers(whole, asked, 2)),
            "one item removed": apart(one, answers(less, asked, 1)),
        }


def main() -> None:
    """Measure every toy and write what was found."""
    rows = [measure(method, seed) for method in METHODS for seed in SEEDS]
    summary = {
        "tolerance": TOLERANCE,
        "told apart above": CLEAR * TOLERANCE,
        "one and two threads, at most": max(row["one and two threads"] for row in rows),
        "one item removed, at least": min(row["one item removed"] for row in rows),
    }
    text = json.dumps({"summary": summary, "toys": rows}, indent=1, sort_keys=True) + "\n"
    Path(__file__).with_suffix(".json").write_text(text, encoding="utf-8")
    print(json.dumps(summary, indent=1))


if __name__ == "__main__":
    main()
