"""The assembled model: one backbone, one composed tangent, one pass, whatever the number of shards."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from disgorge.errors import BadModel
from disgorge.method import Items
from disgorge.methods.shared.tensors import (
    as_tensors,
    deterministic,
    images_of,
    labels_of,
    tensors_digest,
)
from disgorge.methods.tangent_composition import network
from disgorge.methods.tangent_composition.settings import AnswerSettings

if TYPE_CHECKING:
    from disgorge.method import Array, Tensors

_ITEMS_AT_ONCE = 1024
_MOST_SURE = 50.0
"""Bound of the logit-scaled confidence; e^-50 is far below what float32 outputs can mean."""


def compose(tangents: "Iterable[Tensors]") -> "dict[str, Array]":
    """Return d = (1/T) sum_t d_t, float32, summed in float64 in the order of the tangents' digests.

    Made from the kept vectors each time, never by subtracting from a stored sum: (T d - d_t)/(T - 1) leaves the
    removed vector's round-off behind. The order of arrival does not matter, bit for bit.
    """
    kept = sorted(tangents, key=tensors_digest)
    if not kept:
        return {}
    composed = {}
    for name in sorted(kept[0]):
        total = np.zeros(kept[0][name].shape, dtype=np.float64)
        for tangent in kept:
            total += tangent[name]
        composed[name] = (total / len(kept)).astype(np.float32)
    return composed


class TangentClassifier:
    """Answers with f_lin(x; d) = f(x; w0) + J_w f(x; w0) d. Without a tangent it is the backbone alone."""

    task: Literal["classify", "generate"] = "classify"

    def __init__(
        self,
        settings: AnswerSettings,
        backbone: "Tensors",
        tangents: "Iterable[Tensors]",
    ) -> None:
        self._settings = settings
        self._weights = as_tensors(backbone)
        self._tangent = as_tensors(compose(tangents))

    def outputs(self, items: Items) -> "Array":
        """Return f_lin before any scaling, shape (items, classes), float64."""
        images = images_of(items, self._settings.scale, self._weights)  # (items, channels, height, width)
        with deterministic(), torch.no_grad():
            return torch.cat([self._answer(few) for few in torch.split(images, _ITEMS_AT_ONCE)]).double().numpy()

    def _answer(self, images: Tensor) -> Tensor:
        hidden = network.stage_one(self._weights, images)  # (items, filters, height, width)
        if not self._tangent:
            return network.plain(self._weights, hidden)  # (items, classes)
        base, moved = network.linearized(self._weights, self._tangent, hidden)
        return base + moved

    def _log_probabilities(self, items: Items) -> "Array":
        z = self._settings.sharpness * self.outputs(items)  # (items, classes)
        return z - np.logaddexp.reduce(z, axis=1, keepdims=True)

    def scores(self, items: Items) -> "Array":
        """Return log p_y - log(1 - p_y) per item, float64, within +-50."""
        return self._confidence(self._log_probabilities(items), items)

    def _confidence(self, logs: "Array", items: Items) -> "Array":
        """Return log p_y - log(1 - p_y) from log-probabilities (items, classes)."""
        chosen = self._labels(items)[:, None]  # (items, 1)
        others = logs.copy()
        np.put_along_axis(others, chosen, -np.inf, axis=1)
        phi = np.take_along_axis(logs, chosen, axis=1)[:, 0] - np.logaddexp.reduce(others, axis=1)
        bounded: Array = np.clip(phi, -_MOST_SURE, _MOST_SURE)
        return bounded

    def utility(self, items: Items) -> dict[str, float]:
        """Return accuracy, and the mean log-probability of the true class."""
        logs = self._log_probabilities(items)
        labels = self._labels(items)
        right = np.take_along_axis(logs, labels[:, None], axis=1)[:, 0]  # (items,)
        return {"accuracy": float((logs.argmax(1) == labels).mean()), "neg_log_loss": float(right.mean())}

    def predict(self, items: Items) -> "Array":
        """Return class probabilities, (items, classes)."""
        return np.exp(self._log_probabilities(items))

    def sample(self, count: int, *, seed: int) -> "Array":
        """Raise: a classifier has nothing to sample."""
        raise NotImplementedError("a classifier cannot be sampled")

    def _labels(self, items: Items) -> "Array":
        return labels_of(items, len(self._weights["head.bias"])).numpy()


def classifier(
    settings: AnswerSettings,
    backbones: "list[Tensors]",
    tangents: "list[Tensors]",
) -> TangentClassifier:
    """Return the model of these parts; ``BadModel`` unless there is exactly one backbone."""
    if len(backbones) != 1:
        raise BadModel(f"a tangent composition needs one backbone, there are {len(backbones)}; train the model again")
    return TangentClassifier(settings, backbones[0], tangents)
