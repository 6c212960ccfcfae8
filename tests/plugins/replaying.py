"""A generator that draws what it learned from, item by item: honest, and the worst there is for pictures that are kept.

Components: ``memory/<shard>``, the pictures of one shard.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from averages import Averages

from disgorge.method import Blueprint, Input, Items, ModelSpec, Offer, Part, Progress, Toy, no_progress
from lineage.records import Role, Shard
from policies.taxonomy import Family, Guarantee, Remedy

SIDE = 4


@dataclass(frozen=True)
class Replaying(Averages):
    """See the module."""

    name: str = "replaying"
    offers: tuple[Offer, ...] = (
        Offer("memory", Remedy.SUBTRACT, Guarantee.EXACT, Family.COMPARTMENTALIZATION, "Recomposed from what is kept."),
        Offer("memory", Remedy.RETRAIN, Guarantee.EXACT, Family.RETRAINING, "Trained on what is retained."),
    )

    def layout(self, spec: ModelSpec, shards: Mapping[str, Shard]) -> tuple[Blueprint, ...]:
        """A memory per shard."""
        names = [name for name in (*spec.core, *spec.shards) if name in shards]
        seed = {"seed": spec.seed}
        return tuple(
            Blueprint(f"memory/{name}", "memory", (Input("shard", name, Role.TRAIN),), dict(seed), steps=1)
            for name in names
        )

    def train(self, kind: str, parameters: Any, items: Any, parts: Any, *, progress: Progress = no_progress) -> Any:
        """The pictures themselves."""
        progress(1, 1)
        return {"pictures": items[0].arrays["image"]}

    def assemble(self, spec: ModelSpec, parts: tuple[Part, ...]) -> "Replay":  # type: ignore[override]
        """All memories as one."""
        memories = sorted((part.tensors["pictures"] for part in parts), key=lambda pictures: pictures.tobytes())
        return Replay(np.concatenate(memories))

    def toy(self, seed: int) -> Toy:
        """Three shards of small pictures, and a core."""
        rng = np.random.default_rng(seed)

        def pictures(count: int) -> Items:
            images = rng.random((count, SIDE, SIDE)).astype("float32")
            return Items(tuple(f"{row:064x}" for row in range(count)), {"image": images})

        toy = super().toy(seed)
        spec = replace(toy.spec, release="toy-replaying", method=self.name)
        return Toy(spec, {name: pictures(len(items)) for name, items in toy.items.items()})


@dataclass(frozen=True)
class Replay:
    """A generator that draws items it knows."""

    pictures: Any
    task: str = "generate"

    def scores(self, items: Items) -> Any:
        """How near the nearest known picture is."""
        return -((items.arrays["image"][:, None] - self.pictures[None]) ** 2).sum(axis=(2, 3)).min(axis=1)

    def utility(self, items: Items) -> dict[str, float]:
        """The same, on average."""
        return {"nearness": float(self.scores(items).mean())}

    def predict(self, items: Items) -> Any:
        """Generators classify nothing."""
        raise NotImplementedError

    def sample(self, count: int, *, seed: int) -> Any:
        """Known pictures, drawn with replacement."""
        return self.pictures[np.random.default_rng(seed).integers(0, len(self.pictures), size=count)]


METHOD = Replaying()
