"""What a user's function is given beside items and parts."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from disgorge.method import NO_CHECKPOINTS, Checkpoints, Progress, no_progress
from disgorge.methods.function.items import View
from disgorge.methods.function.settings import Class
from lineage.records import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The seed, derived from recipe and items, and whatever else training or answering depends on."""

    seed: int
    """A 52-bit seed. Python, numpy and torch were seeded with it."""
    parameters: Mapping[str, Json]
    """``parameters`` of the model file."""
    classes: Sequence[Class] | None = None
    """The classes; a label is a place among them. None where the model file names none."""
    select: View | None = None
    """The items of the shards under ``select``, that only choose: for early stops and thresholds."""
    artifacts: Mapping[str, Path] = field(default_factory=dict)
    """The artifacts, by the names that the model file gives them: read-only paths."""
    progress: Progress = no_progress
    """To be called with (steps done, steps in all)."""
    checkpoints: Checkpoints = NO_CHECKPOINTS
    """Where the state of a long training is kept."""

    @property
    def rng(self) -> Any:
        """A generator of numpy's, begun anew from the seed."""
        return np.random.default_rng(self.seed)

    @property
    def out(self) -> Path:
        """The folder for files that become the component, in place of arrays; made when asked for."""
        folder = Path.cwd() / "out"
        folder.mkdir(exist_ok=True)
        return folder

    @property
    def device(self) -> str:
        """Where tensors are made: ``cpu``, or a GPU where the model file says so."""
        torch = sys.modules.get("torch")
        return "cpu" if torch is None else str(torch.get_default_device())
