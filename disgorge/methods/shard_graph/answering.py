"""The assembled model: the encoder runs once, every adapter reads its tokens, prototypes have their say."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from disgorge.errors import BadModel
from disgorge.method import Items
from disgorge.methods.shard_graph import encoding
from disgorge.methods.shard_graph.attention import adapt
from disgorge.methods.shard_graph.settings import AnswerSettings
from disgorge.methods.shared.tensors import as_tensors, deterministic, images_of, labels_of, tensors_digest

if TYPE_CHECKING:
    from disgorge.method import Array, Tensors

_ITEMS_AT_ONCE = 1024
_LEAST = 1e-12
"""Probabilities are kept this far from 0 and 1 before a logarithm."""


def pooled(encoder: "Tensors", prototypes: "Iterable[Tensors]") -> "Array":
    """Return unit class vectors (classes, features), float64; a class nobody has is a row of zeros.

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


class ShardGraphClassifier:
    """Answers with the mean of the adapters' probabilities, mixed with the prototypes': equation (3) of the method.

    Without an adapter, the one trained on the core takes their place.
    """

    task: Literal["classify", "generate"] = "classify"

    def __init__(
        self,
        settings: AnswerSettings,
        encoder: "Tensors",
        adapters: "list[Tensors]",
        prototypes: "list[Tensors]",
    ) -> None:
        self._settings = settings
        self._encoder = as_tensors(encoder)
        self._adapters = [as_tensors(one) for one in sorted(adapters, key=tensors_digest)] or [
            encoding.start(self._encoder)
        ]
        self._prototypes = torch.tensor(pooled(encoder, prototypes))  # (classes, features)
        self._seen = torch.tensor(seen_classes(encoder, prototypes)) > 0  # (classes,)

    def predict(self, items: Items) -> "Array":
        """Return class probabilities, (items, classes), float64."""
        images = images_of(items, self._settings.scale, self._encoder)  # (items, channels, height, width)
        with deterministic(), torch.no_grad():
            return np.concatenate([self._answer(batch) for batch in torch.split(images, _ITEMS_AT_ONCE)])

    def _answer(self, images: torch.Tensor) -> "Array":
        tokens = encoding.encode(self._encoder, images)  # (items, tokens, dims)
        probabilities: Array = self._mixed(self._adapters, tokens).numpy()
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

    def scores(self, items: Items) -> "Array":
        """Return log p_y - log(1 - p_y) per item, float64, p kept within 1e-12 of 0 and 1."""
        p = np.clip(self._of_label(self.predict(items), items), _LEAST, 1 - _LEAST)  # (items,)
        phi: Array = np.log(p) - np.log1p(-p)
        return phi

    def utility(self, items: Items) -> dict[str, float]:
        """Return accuracy, and the mean log-probability of the true class."""
        probabilities = self.predict(items)
        right = np.log(np.maximum(self._of_label(probabilities, items), _LEAST))  # (items,)
        labels = np.asarray(items.arrays["label"])
        return {"accuracy": float((probabilities.argmax(1) == labels).mean()), "neg_log_loss": float(right.mean())}

    def sample(self, count: int, *, seed: int) -> "Array":
        """Raise: a classifier has nothing to sample."""
        raise NotImplementedError("a classifier cannot be sampled")

    def _of_label(self, probabilities: "Array", items: Items) -> "Array":
        labels = labels_of(items, probabilities.shape[1]).numpy()
        return np.take_along_axis(probabilities, labels[:, None], axis=1)[:, 0]


def classifier(
    settings: AnswerSettings,
    encoders: "list[Tensors]",
    adapters: "list[Tensors]",
    prototypes: "list[Tensors]",
) -> ShardGraphClassifier:
    """Return the model of these parts; ``BadModel`` unless there is exactly one encoder."""
    if len(encoders) != 1:
        raise BadModel(f"a shard graph needs one encoder, there are {len(encoders)}; train the model again")
    return ShardGraphClassifier(settings, encoders[0], adapters, prototypes)
