"""A method that looks around where it is re-executed, and learns from whatever lies about: what must find nothing.

``train`` returns what it can see beside its inputs: how many other shards and objects lie below its working folder,
whether its process has trained before, and whether something was kept with a shard's file; beside that the sum of its
items, so that it is a method. It keeps nothing that a removal would not reach; an implementation that resumes from
checkpoints, or caches by module, does all of this in good faith.
"""

import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from disgorge.method import Blueprint, Items, Model, ModelSpec, Offer, Part, Progress, Toy, method_named, no_progress
from lineage.records import Shard

_trained: list[str] = []


@dataclass(frozen=True)
class Prying:
    """See the module."""

    name: str = "prying"
    version: str = "1"
    citation: str = "none: a method for tests"
    promises_not: tuple[str, ...] = ("Anything.",)

    @property
    def offers(self) -> tuple[Offer, ...]:
        """Those of the averages."""
        return method_named("averages").offers

    def layout(self, spec: ModelSpec, shards: Mapping[str, Shard]) -> tuple[Blueprint, ...]:
        """The averages'."""
        return method_named("averages").layout(replace(spec, method="averages"), shards)

    def train(
        self,
        kind: str,
        parameters: Mapping[str, Any],
        items: tuple[Items, ...],
        parts: tuple[Mapping[str, Any], ...],
        *,
        progress: Progress = no_progress,
    ) -> dict[str, Any]:
        """The averages' tensors, and what was seen."""
        import pyarrow.parquet as pq

        if parameters.get("die"):
            os.kill(os.getpid(), signal.SIGKILL)
        files = sorted(Path().rglob("shards/*.parquet"))
        kept = [file for file in files if b"kept" in (pq.read_schema(file).metadata or {})]
        objects = sorted(Path().rglob("objects/??/*"))
        seen = {"shards": len(files), "objects": len(objects), "jobs": len(_trained), "kept": len(kept)}
        _trained.append(kind)
        honest = method_named("averages").train(kind, parameters, items, parts, progress=progress)
        return dict(honest) | {name: np.array(count) for name, count in seen.items()}

    def assemble(self, spec: ModelSpec, parts: tuple[Part, ...]) -> Model:
        """The averages'."""
        return method_named("averages").assemble(replace(spec, method="averages"), parts)

    def toy(self, seed: int) -> Toy:
        """The averages', of this method."""
        toy = method_named("averages").toy(seed)
        return replace(toy, spec=replace(toy.spec, method="prying", release="toy-prying"))


METHOD = Prying()
