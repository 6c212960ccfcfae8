"""A method small enough to check by hand: class means per shard, composed by adding; registered as a plug-in.

It needs no torch and trains at once, so the pass can be tested a hundred times where a network would allow ten. It is
found through an entry point of its own, as a third party's method is, in this process and in workers.

Components: ``scale`` (spread of the core, and of the model's artifacts), ``mean/<shard>`` (class sums and counts of one
shard, in units of the scale), and with ``joint: true`` a ``tilt`` calibrated on every shard, which can only be trained
again; with ``classes: true`` the ``classes`` that every shard has, which most removals leave as they were. The means of
the shards named in ``idle`` are kept and take no part in any answer.

Among many features an item is remembered by itself: its own part of its class's mean is the only one that points its
way. :func:`wide` is such an instance, large enough for the attacks to be measured.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from disgorge.method import Blueprint, Input, Items, ModelSpec, Offer, Part, Progress, Toy, no_progress, seed_of
from lineage.records import Role, Shard
from policies.taxonomy import Family, Guarantee, Remedy

CLASSES = 3


@dataclass(frozen=True)
class Averages:
    """See the module."""

    name: str = "averages"
    version: str = "1"
    citation: str = "none: a method for tests"
    libraries: tuple[str, ...] = ("numpy",)
    promises_not: tuple[str, ...] = ("It says nothing about data outside its shards.",)
    offers: tuple[Offer, ...] = (
        Offer("mean", Remedy.SUBTRACT, Guarantee.EXACT, Family.COMPARTMENTALIZATION, "Recomposed from what is kept."),
        Offer("mean", Remedy.RETRAIN, Guarantee.EXACT, Family.RETRAINING, "Trained on what is retained."),
        Offer("tilt", Remedy.RETRAIN, Guarantee.EXACT, Family.RETRAINING, "Trained on what is retained."),
        Offer("classes", Remedy.RETRAIN, Guarantee.EXACT, Family.RETRAINING, "Trained on what is retained."),
        Offer("scale", Remedy.RETRAIN, Guarantee.EXACT, Family.RETRAINING, "Trained on what is retained."),
    )

    def layout(self, spec: ModelSpec, shards: Mapping[str, Shard]) -> tuple[Blueprint, ...]:
        """A scale, a mean per shard, and perhaps a tilt."""
        seed = {"seed": spec.seed}
        core = [Input("shard", name, Role.TRAIN) for name in spec.core if name in shards]
        there = [name for name in spec.shards if name in shards]
        core += [Input("artifact", name, Role.INITIALIZE) for name in spec.artifact_names]
        scale = Input("component", "scale", Role.INITIALIZE)
        blueprints = [Blueprint("scale", "scale", tuple(core), dict(seed), weight=0.0, steps=1)]
        for name in there:
            inputs = (scale, Input("shard", name, Role.TRAIN))
            blueprints.append(
                Blueprint(
                    f"mean/{name}",
                    "mean",
                    inputs,
                    dict(seed),
                    steps=1,
                    examples=shards[name].count,
                    weight=0.0 if name in (spec.parameters.get("idle") or ()) else 1.0,
                )
            )
        for parameter, name in (("joint", "tilt"), ("classes", "classes")):
            if spec.parameters.get(parameter) and there:
                every = (scale, *(Input("shard", shard, Role.CALIBRATE) for shard in there))
                blueprints.append(Blueprint(name, name, every, dict(seed), steps=1))
        return tuple(blueprints)

    def train(
        self,
        kind: str,
        parameters: Mapping[str, Any],
        items: tuple[Items, ...],
        parts: tuple[Mapping[str, Any], ...],
        *,
        progress: Progress = no_progress,
        artifacts: tuple[Path, ...] = (),
    ) -> dict[str, Any]:
        """Sums of what is given, with a jitter that the seed decides."""
        progress(1, 1)
        if kind == "scale":
            x = np.concatenate([points_of(part) for part in items]) if items else np.ones((1, 4))
            return {"scale": np.asarray(x.std() + 1.0 + sum(map(spread, artifacts)))}
        scale = float(parts[0]["scale"])
        if kind == "tilt":
            return {"tilt": np.concatenate([points_of(part) for part in items]).mean(axis=0) / scale}
        if kind == "classes":
            return {"classes": np.unique(np.concatenate([part.arrays["label"] for part in items]))}
        (own,) = items
        size = (CLASSES, points_of(own).shape[1])
        jitter = np.random.default_rng(seed_of(parameters["seed"], own.shard)).normal(0, 1e-3, size=size)
        sums = np.stack([points_of(own)[own.arrays["label"] == c].sum(axis=0) for c in range(CLASSES)])
        return {"sums": sums / scale + jitter, "counts": np.bincount(own.arrays["label"], minlength=CLASSES)}

    def assemble(self, spec: ModelSpec, parts: tuple[Part, ...], *, artifacts: tuple[Path, ...] = ()) -> "Nearest":
        """Nearest class mean over the means that are there."""
        assert len(artifacts) == len(spec.artifact_names), "a model is given what it was built on"
        assert all(map(spread, artifacts))
        used = (part for part in parts if part.kind == "mean" and part.weight)
        means = sorted(used, key=lambda part: part.tensors["sums"].tobytes())
        scale = next(float(part.tensors["scale"]) for part in parts if part.kind == "scale")
        size = means[0].tensors["sums"].shape if means else (CLASSES, 1)
        sums = sum((part.tensors["sums"] for part in means), np.zeros(size))
        counts = sum((part.tensors["counts"] for part in means), np.zeros(CLASSES))
        return Nearest(sums / np.maximum(counts, 1)[:, None], scale)

    def toy(self, seed: int) -> Toy:
        """A core and four shards of a dozen points each."""
        rng = np.random.default_rng(seed)

        def points(count: int) -> Items:
            label = rng.integers(0, CLASSES, size=count)
            x = np.eye(CLASSES, 4)[label] * 4 + rng.normal(size=(count, 4))
            return Items(tuple(f"{row:064x}" for row in range(count)), {"x": x, "label": label})

        names = [f"shard-{n}" for n in range(1, 5)]
        items = {"core": points(16), **{name: points(12) for name in names}, "held-out": points(12)}
        return Toy(ModelSpec("toy-averages", "averages", ("core",), tuple(names), ("held-out",), seed=seed), items)


def points_of(items: Items) -> Any:
    """Features of items, shape (items, features); a table without lists has one."""
    x = items.arrays["x"]
    return x.reshape(len(x), -1)


def spread(folder: Path) -> float:
    """What an artifact's files add to the scale: the share of their first bytes."""
    return sum(sum(path.read_bytes()[:64]) for path in sorted(folder.rglob("*")) if path.is_file()) / 10_000


@dataclass(frozen=True)
class Nearest:
    """A nearest-mean classifier."""

    means: Any
    scale: float
    task: str = "classify"

    def predict(self, items: Items) -> Any:
        """Softmax of negative squared distances."""
        distance = ((points_of(items)[:, None] / self.scale - self.means) ** 2).sum(axis=2)
        odds = np.exp(-(distance - distance.min(axis=1, keepdims=True)))
        return odds / odds.sum(axis=1, keepdims=True)

    def scores(self, items: Items) -> Any:
        """Logit-scaled confidence in the label."""
        p = np.clip(self.predict(items)[np.arange(len(items)), items.arrays["label"]], 1e-9, 1 - 1e-9)
        return np.log(p) - np.log(1 - p)

    def utility(self, items: Items) -> dict[str, float]:
        """Accuracy."""
        return {"accuracy": float((self.predict(items).argmax(axis=1) == items.arrays["label"]).mean())}

    def sample(self, count: int, *, seed: int) -> Any:
        """Classifiers draw nothing."""
        raise NotImplementedError


def wide(seed: int, *, features: int = 200, items: int = 60, held_out: int = 150) -> Toy:
    """A core and four shards of points that differ in many features and a little in their class."""
    rng = np.random.default_rng(seed)

    def points(count: int) -> Items:
        label = rng.integers(0, CLASSES, size=count)
        x = np.eye(CLASSES, features)[label] + rng.normal(size=(count, features))
        return Items(tuple(f"{row:064x}" for row in range(count)), {"x": x, "label": label})

    names = [f"shard-{n}" for n in range(1, 5)]
    found = {"core": points(items), **{name: points(items) for name in names}, "held-out": points(held_out)}
    return Toy(ModelSpec("toy-averages", "averages", ("core",), tuple(names), ("held-out",), seed=seed), found)


METHOD = Averages()
