"""A method's toy, trained once, and how tests lay out, train and assemble by hand, without a workspace."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from disgorge.method import Blueprint, Items, Method, Model, ModelSpec, Part, Toy, method_named
from disgorge.methods.shared.digest import tensors_digest
from examples.digits.data import digits
from lineage.records import Shard

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Taught:
    """A method, one of its toys, and the parts that its layout has."""

    method: Method
    toy: Toy
    parts: dict[str, Part]

    @property
    def layout(self) -> dict[str, Blueprint]:
        """The blueprints by name."""
        return {each.name: each for each in self.method.layout(self.toy.spec, recorded(self.toy.items))}

    def of_kind(self, kind: str) -> list[Mapping[str, Any]]:
        """The tensors of each part of a kind."""
        return [part.tensors for part in self.parts.values() if part.kind == kind]

    def model(self, *without: str) -> Any:
        """The model of all parts but those of some shards."""
        parts = {name: part for name, part in self.parts.items() if name.rpartition("/")[2] not in without}
        return assembled(self.method, self.toy.spec, parts)


@cache
def taught(method: str, seed: int = 3) -> Taught:
    """Train a toy; torch may draw and train what it likes before and after."""
    torch.set_num_threads(1)
    found = method_named(method)
    toy = found.toy(seed)
    return Taught(found, toy, train(found, toy.spec, toy.items))


def recorded(items: Mapping[str, Items]) -> dict[str, Shard]:
    """A record for each shard."""
    return {
        name: Shard(one.shard, name, None, None, None, len(one), core=name == "core", fields=tuple(one.arrays))
        for name, one in items.items()
    }


def train(method: Method, spec: ModelSpec, items: Mapping[str, Items], **progress: Any) -> dict[str, Part]:
    """Lay out and train everything from nothing."""
    made: dict[str, Part] = {}
    for blueprint in method.layout(spec, recorded(items)):
        shards = tuple(items[use.name] for use in blueprint.inputs if use.of == "shard")
        parts = tuple(made[use.name].tensors for use in blueprint.inputs if use.of == "component")
        tensors = method.train(blueprint.kind, blueprint.parameters, shards, parts, **progress)
        made[blueprint.name] = Part(blueprint.name, blueprint.kind, blueprint.weight, tensors)
    return made


def assembled(method: Method, spec: ModelSpec, parts: Mapping[str, Part]) -> Model:
    """The model of these parts."""
    return method.assemble(spec, tuple(parts.values()))


def digests(parts: Mapping[str, Part]) -> dict[str, str]:
    """The digest of each part's tensors."""
    return {name: tensors_digest(part.tensors) for name, part in parts.items()}


def cut(items: Items, keep: Sequence[int]) -> Items:
    """Some of the items."""
    rows = list(keep)
    return Items(tuple(items.digests[row] for row in rows), {name: array[rows] for name, array in items.arrays.items()})


def accuracy_on_digits(method: Method, file: str, base: str) -> tuple[float, float]:
    """Accuracy of the example's model file with fewer epochs, and of its part ``base`` alone."""
    document = yaml.safe_load((ROOT / "examples/digits" / file).read_text())
    document |= {key: tuple(document[key]) for key in ("core", "shards", "evaluate")}
    document["parameters"] |= {"core_epochs": 10, "epochs": 15}
    spec, items = ModelSpec(**document), {name: digit_items(columns) for name, columns in digits().items()}
    made = train(method, spec, items)
    models = (assembled(method, spec, made), assembled(method, spec, {base: made[base]}))
    whole, alone = (model.utility(items["held-out"])["accuracy"] for model in models)
    return whole, alone


def digit_items(columns: Mapping[str, np.ndarray[Any, np.dtype[Any]]]) -> Items:
    """The items of one shard of the example."""
    rows = zip(columns["image"], columns["label"], strict=True)
    found = [hashlib.sha256(image.tobytes() + bytes([label])).hexdigest() for image, label in rows]
    order = np.argsort(found)
    return Items(tuple(found[row] for row in order), {name: columns[name][order] for name in ("image", "label")})
