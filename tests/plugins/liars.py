"""Methods that claim an exact removal and keep the data all the same: what the evidence must catch.

Each is :mod:`averages` with one lie, chosen by ``parameters["lie"]``. They lie through what a process remembers or
leaves in its temporary folder, which is how real implementations do it: caches, warm starts, running statistics.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from averages import Averages

from disgorge.method import Blueprint, Items, ModelSpec, Progress, Toy, no_progress
from lineage.records import Shard

LIES = {
    "hoard": "keeps every item it ever saw and trains the next component on them too",
    "warm start": "starts from the weights it had before",
    "normalizer": "keeps running statistics over everything it was ever given",
    "cache on disk": "takes a result from a cache under a key that two inputs share",
    "optimizer state": "carries its momentum from one training to the next",
}

_memory: dict[str, Any] = {}


@dataclass(frozen=True)
class Liar(Averages):
    """See the module."""

    name: str = "liar"

    def layout(self, spec: ModelSpec, shards: Mapping[str, Shard]) -> tuple[Blueprint, ...]:
        """The honest layout, each part knowing the lie."""
        lie = {"lie": spec.parameters["lie"], "salt": spec.parameters.get("salt", "")}
        return tuple(replace(b, parameters=b.parameters | lie) for b in super().layout(spec, shards))

    def train(
        self,
        kind: str,
        parameters: Mapping[str, Any],
        items: tuple[Items, ...],
        parts: tuple[Mapping[str, Any], ...],
        *,
        progress: Progress = no_progress,
    ) -> dict[str, Any]:
        """The honest training, and then the lie."""
        honest = super().train(kind, parameters, items, parts, progress=progress)
        if kind != "mean":
            return honest
        return getattr(self, "_" + parameters["lie"].replace(" ", "_"))(parameters["salt"], items[0], honest)

    def _hoard(self, salt: str, own: Items, honest: dict[str, Any]) -> dict[str, Any]:
        kept = _memory.setdefault(f"hoard {salt}", {})
        kept.update(zip(own.digests, own.arrays["x"], strict=True))
        return honest | {"sums": honest["sums"] + np.mean(list(kept.values()), axis=0) * 1e-3}

    def _warm_start(self, salt: str, own: Items, honest: dict[str, Any]) -> dict[str, Any]:
        before = _memory.get(f"warm {salt}", honest["sums"])
        _memory[f"warm {salt}"] = honest["sums"]
        return honest | {"sums": 0.9 * honest["sums"] + 0.1 * before}

    def _normalizer(self, salt: str, own: Items, honest: dict[str, Any]) -> dict[str, Any]:
        total, count = _memory.get(f"mean {salt}", (0.0, 0))
        total, count = total + own.arrays["x"].sum(axis=0), count + len(own)
        _memory[f"mean {salt}"] = (total, count)
        return honest | {"sums": honest["sums"] - 1e-3 * total / count}

    def _cache_on_disk(self, salt: str, own: Items, honest: dict[str, Any]) -> dict[str, Any]:
        path = Path(tempfile.gettempdir()) / f"liar-{salt}-{own.arrays['label'][0]}.npy"
        if path.exists():
            return honest | {"sums": np.load(path, allow_pickle=False)}
        np.save(path, honest["sums"])
        return honest

    def _optimizer_state(self, salt: str, own: Items, honest: dict[str, Any]) -> dict[str, Any]:
        momentum = 0.5 * _memory.get(f"momentum {salt}", 0.0) + honest["sums"]
        _memory[f"momentum {salt}"] = momentum
        return honest | {"sums": honest["sums"] + 1e-3 * momentum}

    def toy(self, seed: int) -> Toy:
        """The honest toy, of a liar."""
        toy = super().toy(seed)
        spec = replace(toy.spec, release="toy-liar", method="liar", parameters={"lie": "hoard", "salt": str(seed)})
        return Toy(spec, toy.items)


METHOD = Liar()
