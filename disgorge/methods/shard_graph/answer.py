"""The assembled model: the encoder runs once, every adapter reads its tokens, prototypes have their say."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import torch

from disgorge.method import Items
from disgorge.methods.shard_graph import encoder as encoding
from disgorge.methods.shard_graph.adapter import adapt
from disgorge.methods.shard_graph.settings import Settings
from disgorge.methods.shared.classifier import Classifier
from disgorge.methods.shared.digest import tensors_digest
from disgorge.methods.shared.last_answer import LastAnswer
from disgorge.methods.shared.tensors import as_tensors, images_of, labels_of

if TYPE_CHECKING:
    from disgorge.method import Array, Tensors

_ITEMS_AT_ONCE = 1024
_LEAST = 1e-12
"""Probabilities are kept this far from 0 and 1 before a logarithm."""


def pooled(encoder: "Tensors", prototypes: "Iterable[Tensors]") -> "Array":
    """Return unit class vectors (classes, features), float64; a class without examples is a row of zeros.

    Sums are added up anew in order of digest, the core's first; nothing is ever subtracted.
    """
    sums = np.array(encoder["core.sums"], dtype=np.float64)
    for one in sorted(prototypes, key=tensors_digest):
        sums = sums + one["sums"]
    length = np.linalg.norm(sums, axis=1, keepdims=True)  # (classes, 1)
    unit: Array = np.divide(sums, length, out=np.zeros_like(sums), where=length > 0)
    return unit


def seen_classes(encoder: "Tensors", prototypes: "Iterable[Tensors]") -> "Array":
    """Return how many items of each class the prototypes are made of, (classes,) int64."""
    return np.array(encoder["core.counts"]) + sum(np.asarray(one["counts"]) for one in prototypes)


class ShardGraphClassifier(Classifier):
    """Answers with the mean of the adapters' probabilities, mixed with the prototypes': equation (3) of the method.

    Without an adapter, the one trained on the core takes their place.
    """

    def __init__(
        self, settings: Settings, encoder: "Tensors", adapters: "list[Tensors]", prototypes: "list[Tensors]"
    ) -> None:
        super().__init__()
        self._answers = LastAnswer()
        self._settings = settings
        self._encoder = as_tensors(encoder)
        self._adapters = [as_tensors(one) for one in sorted(adapters, key=tensors_digest)] or [
            encoding.start(self._encoder)
        ]
        self._prototypes = torch.tensor(pooled(encoder, prototypes))  # (classes, features)
        self._seen = torch.tensor(seen_classes(encoder, prototypes)) > 0  # (classes,)

    def predict(self, items: Items) -> "Array":
        """Return class probabilities, (items, classes), float64."""
        return self._answers.about(items, self._answer_all)

    def _answer_all(self, items: Items) -> "Array":
        images = images_of(items, self._settings.scale, self._encoder)  # (items, channels, height, width)
        with torch.no_grad():
            return np.concatenate([self._answer(batch) for batch in torch.split(images, _ITEMS_AT_ONCE)])

    def _answer(self, images: torch.Tensor) -> "Array":
        tokens = encoding.encode(self._encoder, images)  # (items, tokens, dims)
        probabilities: Array = self._mixed(self._adapters, tokens).cpu().numpy()
        return probabilities

    def _mixed(self, adapters: "list[dict[str, torch.Tensor]]", tokens: torch.Tensor) -> torch.Tensor:
        """Return class probabilities (items, classes), float64, of some adapters and the prototypes."""
        cosine = encoding.embeddings(tokens) @ self._prototypes.T  # (items, classes)
        cosine = cosine.masked_fill(~self._seen, -torch.inf)
        nearest = torch.softmax(self._settings.prototype_sharpness * cosine, dim=1)
        total = torch.zeros_like(nearest)
        for adapter in adapters:  # in order of digest, so that the bits do not remember an order of arrival
            total += torch.softmax(adapt(adapter, tokens).double() / self._settings.temperature, dim=1)
        share = self._settings.prototype_weight
        mixed = (1 - share) * total / len(adapters) + share * nearest
        sharpened = mixed**self._settings.sharpness
        return sharpened / sharpened.sum(1, keepdim=True)

    def log_probabilities(self, items: Items) -> "Array":
        """Return log-probabilities, (items, classes), float64, no lower than log 1e-12."""
        logs: Array = np.log(np.maximum(self.predict(items), _LEAST))
        return logs

    def labels(self, items: Items) -> "Array":
        """Return the items' labels, (items,) int64, checked."""
        return labels_of(items, self._prototypes.shape[0]).cpu().numpy()
