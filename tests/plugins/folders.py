"""A method whose components are folders of files: what a third party's adapters, boosted trees and tokenizers are.

It is :mod:`averages` otherwise. A component is a folder with ``model.safetensors`` in bfloat16 or, of the scale and of
the classes, ``model.txt``; ``settings.json``, which all of a kind have in common; and ``words/list.txt``, which only
the seed decides, so that components share files.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from averages import Averages, Nearest

from disgorge.method import Items, ModelSpec, Part, Progress, Toy, no_progress
from lineage.storage.tensors import map_tensors, write_tensors


@dataclass(frozen=True)
class Folders(Averages):
    """See the module."""

    name: str = "folders"
    libraries: tuple[str, ...] = ("numpy", "ml_dtypes")

    def train(
        self,
        kind: str,
        parameters: Mapping[str, Any],
        items: tuple[Items, ...],
        parts: tuple[Any, ...],
        *,
        progress: Progress = no_progress,
    ) -> Path:
        """Write what :mod:`averages` makes of the same to a folder."""
        arrays = super().train(kind, parameters, items, tuple(map(read, parts)), progress=progress)
        return write(Path("made"), kind, arrays, seed=parameters["seed"])

    def assemble(self, spec: ModelSpec, parts: tuple[Part, ...]) -> Nearest:
        """Assemble what the folders hold."""
        return super().assemble(spec, tuple(replace(part, tensors=read(part.tensors)) for part in parts))

    def toy(self, seed: int) -> Toy:
        """The toy of :mod:`averages`."""
        toy = super().toy(seed)
        return replace(toy, spec=replace(toy.spec, release="toy-folders", method="folders"))


def write(folder: Path, kind: str, arrays: Mapping[str, Any], *, seed: int) -> Path:
    """Write a component, and return its folder."""
    (folder / "words").mkdir(parents=True)
    (folder / "words" / "list.txt").write_text("".join(f"word {seed + number}\n" for number in range(20)))
    (folder / "settings.json").write_text(json.dumps({"kind": kind, "format": "of nobody else"}))
    if kind in ("mean", "tilt"):
        write_tensors(folder / "model.safetensors", {k: v.astype(ml_dtypes.bfloat16) for k, v in arrays.items()})
    else:
        (folder / "model.txt").write_text("".join(f"{name}: {np.ravel(v).tolist()}\n" for name, v in arrays.items()))
    return folder


def read(folder: Path) -> dict[str, Any]:
    """Return the arrays of a component."""
    if (text := folder / "model.txt").is_file():
        lines = (line.partition(": ") for line in text.read_text().splitlines())
        return {name: np.array(json.loads(value)).squeeze() for name, _, value in lines}
    return {name: each.astype(np.float64) for name, each in map_tensors(folder / "model.safetensors").items()}


METHOD = Folders()
