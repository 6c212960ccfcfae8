"""What KLoM catches on models that were trained: ``python -m benchmarks.klom [MODELS]``.

On the toys of two methods and on the digits of the example, a forget set is taken out and many models are trained, each
from a seed of its own: with all data, without the forget set, and with half of it left in. Removals are then drawn from
these: eight removed models and eight never-trained ones each, no model twice in one. Drawn from so few, removals are
not independent; what is stated is a share of those drawn. Forget sets are an eighth of the removable items:

- *random*: drawn;
- *principal component*: those farthest along the first principal component of the pictures;
- *near-duplicates*: one of each of the pairs that lie nearest, so that a twin of each stays in the data.

Removals: *honest*; *nothing done*, from any seed; *nothing done where it counts*, the released model alone being the
old one; *half done*, the data having been cut by half. A removal is *caught* where the check fails, *accused* if it is
honest. Where controls do not hold the check is inconclusive, and says nothing of either.

Writes ``benchmarks/klom.json`` after each forget set and goes on from there: what is in the file, of as many models, is
kept. Seeds: 0 for data and forget sets, 1, 2, ... for models, 7 for drawing. Seven minutes of one core.

What it came to: no honest removal accused, no removal passed where nothing was done, and too few items in the toys for
most forget sets. Where a twin stays, or a forget set is drawn, half of what is not done mostly goes unseen.
"""

import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from disgorge.evidence.probes.klom import MODELS, Margins, judge
from disgorge.layout import layout_of, touched_by_removable
from disgorge.method import Items, Model, ModelSpec, Part, Toy, method_named
from disgorge.methods.shared.toy import in_digest_order
from disgorge.training.items import pick
from disgorge.training.make import reseeded
from disgorge.training.model_file import read_model_file
from lineage.records import Shard

Vector = np.ndarray[Any, np.dtype[np.float64]]
ROOT = Path(__file__).parents[1]
SHARE, DRAWN, KEPT_EPOCHS = 8, 200, 15
"""A forget set is one item in so many; removals drawn of each kind; epochs on digits, of the example's 100."""
KINDS = ("random", "principal component", "near-duplicates")


def data_sets() -> Iterator[tuple[str, Toy]]:
    """Yield each model with its items, by name."""
    for method in ("tangent_composition", "shard_graph"):
        yield f"toy of {method}", method_named(method).toy(0)
    from examples.digits.data import digits

    spec = read_model_file(ROOT / "examples" / "digits" / "tangent.yaml")
    spec = replace(spec, parameters=dict(spec.parameters) | {"epochs": KEPT_EPOCHS})
    columns = {name: columns for name, columns in digits().items() if name in (*spec.core, *spec.shards)}
    yield "digits", Toy(spec, {name: in_digest_order(each["image"], each["label"]) for name, each in columns.items()})


class Trainer:
    """Trains a model from seeds; parts that nothing removable has influence on once."""

    def __init__(self, spec: ModelSpec) -> None:
        self.spec, self.method = spec, method_named(spec.method)
        self._core: dict[str, Any] = {}

    def train(self, items: Mapping[str, Items], seed: int) -> Model:
        """Return the model of these shards, the seeds of removable parts moved by ``seed``."""
        shards = {
            name: Shard(one.shard, name, None, None, None, len(one), name in self.spec.core, fields=tuple(one.arrays))
            for name, one in items.items()
        }
        blueprints = reseeded(layout_of(self.method, self.spec, shards), self.spec, seed)
        touched = touched_by_removable(self.spec, blueprints)
        made: dict[str, Part] = {}
        for each in blueprints:
            tensors = None if each.name in touched else self._core.get(each.name)
            if tensors is None:
                given = tuple(items[use.name] for use in each.inputs if use.of == "shard")
                parts = tuple(made[use.name].tensors for use in each.inputs if use.of == "component")
                tensors = self.method.train(each.kind, each.parameters, given, parts)
            if each.name not in touched:
                self._core[each.name] = tensors
            made[each.name] = Part(each.name, each.kind, each.weight, tensors)
        return self.method.assemble(self.spec, tuple(made.values()))


def removable(toy: Toy) -> Items:
    """Return the removable items of a model, in digest order, shards one after another."""
    parts = [toy.items[name] for name in toy.spec.shards]
    digests = tuple(digest for part in parts for digest in part.digests)
    return Items(digests, {name: np.concatenate([part.arrays[name] for part in parts]) for name in parts[0].arrays})


def forget_set(kind: str, items: Items) -> tuple[Items, float]:
    """Return a forget set, and how near its items' nearest retained ones are, as a share of what is usual."""
    flat = items.arrays["image"].reshape(len(items), -1).astype(np.float64)  # (items, pixels)
    count, apart = len(items) // SHARE, _distances(flat)
    if kind == "random":
        rows = np.random.default_rng(0).permutation(len(items))[:count]
    elif kind == "principal component":
        centered = flat - flat.mean(axis=0)
        along = centered @ np.linalg.svd(centered, full_matrices=False)[2][0]  # (items,)
        rows = np.argsort(-along, kind="stable")[:count]
    else:
        rows = _one_of_each_pair(apart, count)
    retained = np.setdiff1d(np.arange(len(items)), rows)
    nearest = apart[np.ix_(rows, retained)].min(axis=1).mean() / apart.min(axis=1).mean()
    return pick(items, frozenset(items.digests[row] for row in rows)), round(float(nearest), 3)


def _distances(flat: Vector) -> Vector:
    """Return the distances of items from one another, infinite from themselves, shape (items, items)."""
    squares = (flat**2).sum(axis=1)
    apart = np.sqrt(np.maximum(squares[:, None] + squares[None] - 2 * flat @ flat.T, 0.0))
    np.fill_diagonal(apart, np.inf)
    return np.asarray(apart)


def _one_of_each_pair(apart: Vector, count: int) -> np.ndarray[Any, np.dtype[np.intp]]:
    """Return the first of each of the nearest pairs, no item in two."""
    used, rows = set[int](), list[int]()
    for place in np.argsort(apart, axis=None, kind="stable"):
        one, other = divmod(int(place), len(apart))
        if not used & {one, other} and len(rows) < count:
            used |= {one, other}
            rows.append(one)
    return np.array(rows)


def margins_of(trainer: Trainer, toy: Toy, gone: frozenset[str], asked: Items, seeds: range) -> Vector:
    """Train a model from each seed without some items and return their margins on others, (models, items)."""
    cut = {name: pick(one, frozenset(one.digests) - gone) for name, one in toy.items.items()}
    left = {name: one for name, one in cut.items() if len(one)}
    return np.array([trainer.train(left, seed).scores(asked) for seed in seeds], dtype=np.float64)


def drawn(full: Vector, without: Vector, half: Vector) -> dict[str, dict[str, float]]:
    """Draw removals of each kind and count what the check says of them, as shares."""
    chance, found = np.random.default_rng(7), {}
    for name in ("honest", "nothing done", "nothing done where it counts", "half done"):
        counts: Counter[str] = Counter()
        for number in range(DRAWN):
            old = chance.permutation(len(full))[:MODELS]
            never = chance.permutation(len(without))[: 2 * MODELS]
            honest = without[never[MODELS:]]
            removed = {
                "honest": honest,
                "nothing done": full[old],
                "nothing done where it counts": np.vstack([full[old[:1]], honest[1:]]),
                "half done": half[chance.permutation(len(half))[:MODELS]],
            }[name]
            check = judge(Margins(full[old[0]], removed, without[never[:MODELS]]), release=name, seed=number)
            counts[check.verdict.value] += 1
            counts["controls held"] += all(control.held for control in check.controls)
        found[name] = {word: counts[word] / DRAWN for word in ("fail", "pass", "inconclusive", "controls held")}
    return found


def main(models: int) -> None:
    """Measure what is not in the file yet."""
    import torch

    torch.set_num_threads(1)
    file = Path(__file__).with_suffix(".json")
    figures = json.loads(file.read_text()) if file.exists() else {}
    about: dict[str, Any] = {
        "models of each kind": models, "removals drawn of each kind": DRAWN, "of each in a removal": MODELS,
        "epochs on digits": KEPT_EPOCHS, "numpy": np.__version__, "torch": torch.__version__,
    }  # fmt: skip
    if figures.get("about") != about:
        figures = {"about": about}
    for name, toy in data_sets():
        if all(f"{name}, {kind}" in figures for kind in KINDS):
            continue
        trainer, every = Trainer(toy.spec), removable(toy)
        start = time.perf_counter()
        full = margins_of(trainer, toy, frozenset(), every, range(1, models + 1))
        training = time.perf_counter() - start
        for kind in KINDS:
            if f"{name}, {kind}" in figures:
                continue
            start = time.perf_counter()
            gone, nearest = forget_set(kind, every)
            rows = [every.digests.index(digest) for digest in gone.digests]
            half = frozenset(gone.digests[::2])
            seeds = range(models + 1, 2 * models + 1)
            without = margins_of(trainer, toy, frozenset(gone.digests), gone, seeds)
            partly = margins_of(trainer, toy, half, gone, range(2 * models + 1, 3 * models + 1))
            figures[f"{name}, {kind}"] = drawn(full[:, rows], without, partly) | {
                "items": len(gone), "of": len(every), "nearest retained": nearest,
                "margin before": round(float(full[:, rows].mean()), 2),
                "margin without": round(float(without.mean()), 2),
                "seconds": round(time.perf_counter() - start + training, 1),
            }  # fmt: skip
            print(name, kind, json.dumps(figures[f"{name}, {kind}"]), flush=True)
            file.write_text(json.dumps(figures, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 24)
