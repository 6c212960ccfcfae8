"""A method that looks around where it is re-executed, and learns from whatever lies about: what must find nothing.

``train`` returns what it can see: how many shards and objects lie below its working folder, or below one that a
variable of its process names, or were given to it, whether its process has trained before, and whether something was
kept with a shard's file; beside that what the averages learn, so that it is a method. It keeps nothing that a removal
would not reach; an implementation that resumes from checkpoints, or caches by module, does all of this in good faith.
"""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from averages import Averages

from disgorge.method import Progress, Toy, no_progress

_trained: list[str] = []


@dataclass(frozen=True)
class Prying(Averages):
    """See the module."""

    name: str = "prying"

    def train(self, kind: str, parameters: Any, items: Any, parts: Any, *, progress: Progress = no_progress) -> Any:
        """The averages' tensors, and what was seen."""
        if parameters.get("die"):
            os.abort()  # to SIGKILL the first process of a namespace is deaf
        given = Path("..", "in")
        here = Path(os.environ.get("PRYING_AT", "."))
        files = [*here.rglob("shards/*.parquet"), *given.glob("*.npz")]
        kept = [file for file in files if b"old weights" in file.read_bytes()]
        objects = [*here.rglob("objects/??/*"), *given.glob("*.safetensors")]
        seen = {"shards": len(files), "objects": len(objects), "jobs": len(_trained), "kept": len(kept)}
        _trained.append(kind)
        honest = super().train(kind, parameters, items, parts, progress=progress)
        return honest | {name: np.array(count) for name, count in seen.items()}

    def toy(self, seed: int) -> Toy:
        """The averages', of this method."""
        toy = super().toy(seed)
        return replace(toy, spec=replace(toy.spec, method=self.name, release="toy-prying"))


METHOD = Prying()
