"""The assembled model: one backbone, one composed tangent, one pass, whatever the number of shards."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from disgorge.method import Items
from disgorge.methods.shared.classifier import Classifier
from disgorge.methods.shared.digest import tensors_digest
from disgorge.methods.shared.tensors import as_tensors, images_of, labels_of
from disgorge.methods.tangent_composition import network
from disgorge.methods.tangent_composition.settings import Settings

if TYPE_CHECKING:
    from disgorge.method import Array, Tensors

_ITEMS_AT_ONCE = 1024


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


class TangentClassifier(Classifier):
    """Answers with f_lin(x; d) = f(x; w0) + J_w f(x; w0) d. Without a tangent it is the backbone alone."""

    def __init__(self, settings: Settings, backbone: "Tensors", tangents: "Iterable[Tensors]") -> None:
        super().__init__()
        self._settings = settings
        self._weights = as_tensors(backbone)
        self._tangent = as_tensors(compose(tangents))

    def outputs(self, items: Items) -> "Array":
        """Return f_lin before any scaling, shape (items, classes), float64."""
        images = images_of(items, self._settings.scale, self._weights)  # (items, channels, height, width)
        with torch.no_grad():
            return torch.cat([self._answer(few) for few in torch.split(images, _ITEMS_AT_ONCE)]).double().cpu().numpy()

    def _answer(self, images: Tensor) -> Tensor:
        hidden = network.stage_one(self._weights, images)  # (items, filters, height, width)
        if not self._tangent:
            return network.plain(self._weights, hidden)  # (items, classes)
        base, moved = network.linearized(self._weights, self._tangent, hidden)
        return base + moved

    def log_probabilities(self, items: Items) -> "Array":
        """Return log-probabilities, (items, classes), float64."""
        return self._logs(self.outputs(items))

    def labels(self, items: Items) -> "Array":
        """Return the items' labels, (items,) int64, checked."""
        return labels_of(items, len(self._weights["head.bias"])).cpu().numpy()

    def _logs(self, outputs: "Array") -> "Array":
        z = self._settings.sharpness * outputs  # (items, classes)
        return z - np.logaddexp.reduce(z, axis=1, keepdims=True)
