"""What every classifier answers, from its log-probabilities."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Literal

import numpy as np

from disgorge.method import Items
from disgorge.methods.shared.last_answer import LastAnswer

if TYPE_CHECKING:
    from disgorge.method import Array

_MOST_SURE = 50.0
"""Bound of the logit-scaled confidence; e^-50 is far below what float32 outputs can mean."""


class Classifier(ABC):
    """A :class:`disgorge.method.Model` that gives class probabilities."""

    task: Literal["classify", "generate"] = "classify"

    def __init__(self) -> None:
        self._last = LastAnswer()

    @abstractmethod
    def log_probabilities(self, items: Items) -> "Array":
        """Return log-probabilities, (items, classes), float64."""

    @abstractmethod
    def labels(self, items: Items) -> "Array":
        """Return the items' labels, (items,) int64, checked."""

    def predict(self, items: Items) -> "Array":
        """Return class probabilities, (items, classes), float64."""
        return np.exp(self._last.about(items, self.log_probabilities))

    def scores(self, items: Items) -> "Array":
        """Return log p_y - log(1 - p_y) per item, float64, within +-50."""
        return confidence(self._last.about(items, self.log_probabilities), self.labels(items))

    def utility(self, items: Items) -> dict[str, float]:
        """Return accuracy, and the mean log-probability of the true class."""
        logs, labels = self._last.about(items, self.log_probabilities), self.labels(items)
        right = np.take_along_axis(logs, labels[:, None], axis=1)[:, 0]  # (items,)
        return {"accuracy": float((logs.argmax(1) == labels).mean()), "neg_log_loss": float(right.mean())}

    def sample(self, count: int, *, seed: int) -> "Array":
        """Raise: a classifier has nothing to sample."""
        raise NotImplementedError("a classifier cannot be sampled")


def confidence(logs: "Array", labels: "Array") -> "Array":
    """Return log p_y - log(1 - p_y), (items,), from log-probabilities (items, classes)."""
    chosen = labels[:, None]  # (items, 1)
    others = logs.copy()
    np.put_along_axis(others, chosen, -np.inf, axis=1)
    phi = np.take_along_axis(logs, chosen, axis=1)[:, 0] - np.logaddexp.reduce(others, axis=1)
    bounded: Array = np.clip(phi, -_MOST_SURE, _MOST_SURE)
    return bounded
