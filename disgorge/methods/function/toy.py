"""A small instance for the removal laws: functions as a user may write them, over the shards of other methods' toys."""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from disgorge.method import Toy
from disgorge.methods.function.context import Context
from disgorge.methods.function.items import View
from disgorge.methods.shared.toy import classifier_toy

if TYPE_CHECKING:
    from disgorge.method import Array, Tensors

_CLASSES = 3


def fit(items: View, parts: "Tensors", context: Context) -> "dict[str, Array]":
    """Return the mean image of each class, and how many items it is of."""
    images = np.asarray(items["image"], np.float64).reshape(len(items), -1)  # (items, pixels)
    counts = np.bincount(items["label"], minlength=_CLASSES)
    sums = np.stack([images[items["label"] == each].sum(axis=0) for each in range(_CLASSES)])
    return {"counts": counts, "means": sums / np.maximum(counts, 1)[:, None]}


def predict(parts: "Tensors", items: View, context: Context) -> "Array":
    """Return probabilities by the distance to each class's mean, 0 for a class without items."""
    images = np.asarray(items["image"], np.float64).reshape(len(items), 1, -1)
    logits = -((images - parts["means"]) ** 2).mean(axis=2)  # (items, classes)
    logits = np.where(parts["counts"] > 0, logits, -np.inf)
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: Array = odds / odds.sum(axis=1, keepdims=True)
    return shares


def toy_of(seed: int) -> Toy:
    """Return the toy: a component for each of five shards, which also reads the core."""
    toy = classifier_toy("function", seed, release="toy-function")
    here = __name__
    parameters = {"train": f"{here}:fit", "predict": f"{here}:predict", "layout": "isolated"}
    return Toy(replace(toy.spec, parameters=dict(parameters)), toy.items)
