"""Shared by probes that compare a model with references: models that never saw the removed items."""

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from disgorge.evidence.checks import Check, Control, Verdict
from disgorge.method import Answering, Items
from lineage.records import Json

Vector = np.ndarray[Any, np.dtype[np.float64]]

MIN_REFERENCES = 3
"""Two make a band; a third is the negative control's target."""
MATTERS = 0.5
"""The share of what there is to forget below which a difference is not called a failure."""
_LOST = {
    "positive": "not even the model before removal stood out, so silence proves nothing",
    "negative": "models that never saw the items differ among themselves too much to compare with",
}
"""What it means that a control did not hold."""


@dataclass(frozen=True, slots=True)
class Words:
    """A probe's name and question, and what it answers to a model above the band, below it, and within it."""

    name: str
    question: str
    above: str
    below: str
    passed: str

    def not_measured(self, subject: str, why: str, *, n: int, detail: dict[str, Any]) -> Check:
        """Return an inconclusive check that says why."""
        return self.check(subject, f"Not measured: {why}.", n=n, verdict=Verdict.INCONCLUSIVE, detail=detail)

    def check(self, subject: str, answer: str, *, value: Json = None, threshold: Json = None, **more: Any) -> Check:
        """Return a check of this name and question."""
        return Check(self.name, subject, self.question, answer, value, threshold, **more)

    def verdict(self, controls: tuple[Control, ...], *, side: int, inside: bool) -> tuple[Verdict, str]:
        """Return the verdict in words on a model flagged above (1), below (-1) or not (0), and maybe inside the band.

        Without both controls nothing is shown.
        """
        lost = [control.name for control in controls if not control.held]
        if lost:
            return Verdict.INCONCLUSIVE, f"Not shown: {' and '.join(_LOST[name] for name in lost)}."
        if side:
            return Verdict.FAIL, self.above if side > 0 else self.below
        if inside:
            return Verdict.PASS, self.passed
        return Verdict.INCONCLUSIVE, "Not shown: neither clearly alike nor clearly apart; use more references."


def why_not(references: int, *, finite: bool, enough: str = "") -> str:
    """Return why nothing can be measured, "" if it can; ``enough`` says what there are too few of."""
    if references < MIN_REFERENCES:
        return f"there are {references} never-trained references and at least {MIN_REFERENCES} are needed"
    return enough or ("" if finite else "a model gave numbers that are not finite")


def scores_of(model: Answering, items: Items) -> Vector:
    """Return a model's scores as float64, shape (items,); of no items there are no fields to score either."""
    scores = model.scores(items) if len(items) else np.empty(0)
    return np.asarray(scores, dtype=np.float64).reshape(len(items))  # (items,)


@cache
def student(freedom: int, level: float) -> float:
    """Return the t that Student's distribution lies within, on both sides, with probability ``level``; by bisection.

    >>> round(student(2, 0.95), 3), round(student(2, 0.99), 3), round(student(7, 0.99), 3)
    (4.303, 9.925, 3.499)
    """
    low, high = 0.0, 1e6
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, freedom) < level else (low, middle)
    return high


def _within(t: float, freedom: int) -> float:
    """Return P(|T| <= t) for a whole number of degrees (Abramowitz and Stegun 26.7.3 and 26.7.4)."""
    theta = math.atan(t / math.sqrt(freedom))
    sine, cosine = math.sin(theta), math.cos(theta)
    odd = freedom % 2 == 1
    term = total = cosine if odd else 1.0
    if freedom == 1:
        return 2 / math.pi * theta
    for k in range(3 if odd else 2, freedom - 1, 2):
        term *= cosine**2 * (k - 1) / k
        total += term
    return 2 / math.pi * (theta + sine * total) if odd else sine * total
