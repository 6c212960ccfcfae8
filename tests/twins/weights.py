"""A removal of one component of three, with weights of the size of a small layer, and files of what comes from them."""

from pathlib import Path
from typing import Any

import numpy as np

from disgorge.evidence.checks import Check
from disgorge.examination.coverage import residue_check
from disgorge.locations.every import purge, search
from disgorge.locations.location import Target
from disgorge.locations.references import samples_that_go, tensors_that_go
from lineage.records import Component, Composition, Member, Role, Shard, Use, plain
from lineage.storage.tensors import save_tensors
from lineage.workspace import Workspace
from tests.disgorge.test_purge import Removal

SHAPES = {"w": (96, 64), "b": (96,), "k": (12, 8, 3, 3)}
RANK = 4


def weights(seed: int, **other: tuple[int, ...]) -> dict[str, Any]:
    """Return tensors of a layer, as training leaves them: no two are alike."""
    draw = np.random.default_rng(seed)
    return {name: (draw.standard_normal(shape) / 20).astype(np.float32) for name, shape in {**SHAPES, **other}.items()}


class Layers(Removal):
    """``head`` goes, ``left`` and ``right`` of the same composition stay; so do their tensors, as attributes."""

    def __init__(self, folder: Path) -> None:
        super().__init__(Workspace.init(folder / "workspace"))
        self.gone, self.left, self.right = weights(1, up=(96, RANK), down=(RANK, 64)), weights(2), weights(3)
        self.head = self.record("head", self.alice, self.gone)
        kept = [self.record("left", self.bob, self.left), self.record("right", self.bob, self.right)]
        members = tuple(Member(each.name, each.digest) for each in (self.head, *kept))
        self.workspace.ledger.append("composition", {"composition": plain(Composition("toy", {}, members))})
        self.withdraw()
        objects = (self.head.digest,)
        tensors = tensors_that_go(self.workspace, objects)
        samples = samples_that_go(self.workspace, objects, tensors)
        self.targets = {"shards": (self.alice.digest,), "weights": objects, "tensors": tensors, "samples": samples}

    def record(self, name: str, used: Shard, tensors: dict[str, Any]) -> Component:
        """Record a component with these tensors."""
        digest = self.workspace.objects.put(save_tensors(tensors))
        made = Component(digest, name, "toy", (Use(used.digest, Role.TRAIN),))
        self.workspace.ledger.append("component", {"component": plain(made)})
        return made

    def put(self, place: str = "exports/model.safetensors", **tensors: Any) -> Path:
        """Write tensors somewhere in the workspace."""
        path = self.workspace.root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(save_tensors(tensors))
        return path

    def purged(self) -> Check:
        """Purge, and return the check of what is left: the weights themselves are gone by then."""
        target = Target(items=self.items, request="R-1", **self.targets)
        found = len(search(self.workspace, target).left)
        purge(self.workspace, target)
        assert not self.workspace.objects.exists(self.head.digest)
        return residue_check(self.workspace, target, found_before=found)
