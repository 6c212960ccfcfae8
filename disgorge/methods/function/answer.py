"""The assembled model: each component answers by the user's ``predict``, and the answers are combined.

    mean, weighted   sum_i w_i answer_i / sum_i w_i, with the weights that components have in the composition
    vote             the share of components whose best class it is, ties to the lowest class
    route            sum_i r_i(x) answer_i, with weights (items, parts) or the number of a part by the user's ``route``
    none             ``predict`` is given all components at once, as a tuple

Components come in order of digest. What a model does not offer is no attribute of it: see
:class:`~disgorge.method.Scored` and the protocols beside it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from disgorge.errors import ExecutionFailed
from disgorge.method import Items, ModelSpec, seed_of
from disgorge.methods.function.call import as_answers, call, off_device
from disgorge.methods.function.context import Context
from disgorge.methods.function.items import View, refuse_empty
from disgorge.methods.function.settings import LABEL, Class, Settings
from disgorge.methods.shared.classifier import confidence
from disgorge.methods.shared.last_answer import LastAnswer

if TYPE_CHECKING:
    from disgorge.method import Array

_LEAST = 1e-12
"""Probabilities are kept this far from 0 and 1 before a logarithm."""


class FunctionModel:
    """A model that answers by functions of the user's."""

    def __init__(
        self,
        spec: ModelSpec,
        given: Settings,
        parts: Sequence[tuple[float, Any]],
        classes: Sequence[Class] | None,
        artifacts: Sequence[Path] = (),
    ) -> None:
        """``parts`` are those that answer, in order of digest, each with its weight."""
        self.task = given.task
        self._given = given
        self._weights = np.array([weight for weight, _ in parts])
        self._parts = [part for _, part in parts]
        self._classes = classes
        self._last = LastAnswer()
        self._context = Context(
            seed=seed_of(spec.seed, "answer"),
            parameters=given.parameters,
            classes=classes,
            artifacts={name: artifacts[place] for name, place in spec.artifact_places.items()},
        )
        if given.predict:
            self.predict = self._predict
        if given.score or (given.predict and given.task == "classify"):
            self.scores = self._scores
        if given.measure or (given.predict and given.task in ("classify", "regress")):
            self.utility = self._utility
        if given.sample:
            self.sample = self._sample

    def _predict(self, items: Items) -> "Array":
        """Return class probabilities, (items, classes), or numbers, (items,), float64."""
        return self._last.about(items, self._answer)

    def _answer(self, items: Items) -> "Array":
        view, given = self._view(items, without=(LABEL,)), self._given
        if not self._parts:
            raise ExecutionFailed("no component is left that could answer")
        asked = [tuple(self._parts)] if given.combine == "none" else self._parts
        answers = [self._ask("predict", part, view) for part in asked]
        if any(each.shape != answers[0].shape for each in answers):
            raise ExecutionFailed(
                f"predict ({given.predict}) returned shapes {sorted({each.shape for each in answers})} for components "
                "of one model; give every component all classes"
            )
        stacked = np.stack(answers)  # (parts, items, ...)
        if given.combine == "vote":
            return _votes(stacked)
        if given.combine == "route":
            returned = call("route", str(given.route), self._parts, view, self._context, seed=self._context.seed)
            return _routed(stacked, off_device(returned))
        return self._mean(stacked) if given.combine != "none" else answers[0]

    def _ask(self, key: str, part: Any, view: View) -> "Array":
        name = str(getattr(self._given, key))
        returned = call(key, name, part, view, self._context, seed=self._context.seed)
        return as_answers(key, name, returned, items=len(view), task=self.task if key == "predict" else "")

    def _mean(self, answers: "Array") -> "Array":
        """Return the weighted mean of (parts, items, ...), added up in order."""
        total = np.zeros(answers.shape[1:])
        for weight, answer in zip(self._weights, answers, strict=True):
            total += weight * answer
        mean: Array = total / self._weights.sum()
        return mean

    def _scores(self, items: Items) -> "Array":
        """Return how well each item is fitted, (items,): the user's ``score``, or log p_y - log(1 - p_y)."""
        if not self._given.score:
            return confidence(np.log(np.clip(self.predict(items), _LEAST, 1)), self._labels(items))
        view = self._view(items)
        asked = [tuple(self._parts)] if self._given.combine == "none" else self._parts
        scores = np.stack([self._ask("score", part, view) for part in asked])  # (parts, items)
        return scores[0] if self._given.combine == "none" else self._mean(scores)

    def _utility(self, items: Items) -> dict[str, float]:
        """Return what the user's ``measure`` finds; else accuracy and mean log p_y, or the negative RMSE."""
        answers = self._predict(items) if self._given.predict else None
        if name := self._given.measure:
            returned = call("measure", name, answers, self._view(items), self._context, seed=self._context.seed)
            return _measures(name, returned)
        assert answers is not None  # settings see to it
        if self.task == "regress":
            if LABEL not in (view := self._view(items)):
                raise KeyError(LABEL)
            refuse_empty(labels := np.asarray(view[LABEL], np.float64))
            return {"neg_rmse": -float(np.sqrt(np.mean((answers.reshape(labels.shape) - labels) ** 2)))}
        labels = self._labels(items)
        right = answers[np.arange(len(labels)), labels]  # (items,)
        logs = np.log(np.clip(right, _LEAST, 1))
        return {"accuracy": float((answers.argmax(1) == labels).mean()), "neg_log_loss": float(logs.mean())}

    def _sample(self, count: int, *, seed: int) -> "Array":
        """Return samples, (count, ...): of each component its share."""
        name = str(self._given.sample)
        asked = [tuple(self._parts)] if self._given.combine == "none" else self._parts
        if not asked:
            raise ExecutionFailed("no component is left that could draw")
        share, more = divmod(count, len(asked))
        drawn = []
        for place, part in enumerate(asked):
            if number := share + (place < more):
                one = seed_of(seed, place)
                returned = call("sample", name, part, number, self._context, seed=one)
                returned = np.asarray(off_device(returned), np.float64)
                if returned.ndim < 1 or len(returned) != number:
                    raise ExecutionFailed(f"sample ({name}) returned shape {returned.shape} for {number} samples")
                drawn.append(returned)
        return np.concatenate(drawn)

    def _labels(self, items: Items) -> "Array":
        """Return each item's class by number, (items,) int64."""
        view = self._view(items)
        if LABEL not in view:
            raise KeyError(LABEL)  # which whoever asks is told
        labels, classes = view[LABEL], self._predict(items).shape[1]
        if labels.dtype.kind not in "biu" or (len(labels) and not 0 <= labels.min() <= labels.max() < classes):
            known = len(self._classes) if self._classes else 0
            mend = (
                f"predict returned {classes} columns for {known} classes; return one for each"
                if known
                else "name `classes` in the model file, or map them"
            )
            raise ExecutionFailed(f"labels are no numbers from 0 to {classes - 1}; {mend}")
        return np.asarray(labels, np.int64)

    def _view(self, items: Items, *, without: Sequence[str] = ()) -> View:
        return View([items], self._given.columns, self._classes, without=without)


def _votes(answers: "Array") -> "Array":
    """Return the share of (parts, items, classes) that is for each class, ties of the best to the lowest class."""
    best = answers.argmax(axis=2)  # (parts, items)
    return np.stack([(best == each).mean(axis=0) for each in range(answers.shape[2])], axis=1)


def _routed(answers: "Array", returned: Any) -> "Array":
    """Return each item's answer by a router's weights (items, parts), or by the number of a part (items,)."""
    weights, (parts, items) = np.asarray(returned), answers.shape[:2]
    if weights.shape == (items,) and weights.dtype.kind in "iu" and (weights < parts).all() and (weights >= 0).all():
        weights = np.eye(parts)[weights]
    if weights.shape != (items, parts):
        raise ExecutionFailed(f"route returned shape {weights.shape}; it must be ({items}, {parts}), or ({items},)")
    routed: Array = np.einsum("ip,pi...->i...", weights.astype(np.float64), answers)
    return routed


def _measures(name: str, returned: Any) -> dict[str, float]:
    if isinstance(returned, Mapping):
        try:
            return {str(each): float(value) for each, value in returned.items()}
        except (TypeError, ValueError):
            pass
    raise ExecutionFailed(f"measure ({name}) must return numbers by name, the headline first, as in {{'f1': 0.9}}")
