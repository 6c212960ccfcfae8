"""RMIA on arrays: from scores to the attack's AUC, true-positive rates and their intervals. See ``membership``.

Rules: numpy alone; every resample comes from an explicit seed; ties count half, and ratios are rounded so that models
that answer alike tie instead of differing in a last bit.
"""

import math
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist
from typing import Any

import numpy as np

Vector = np.ndarray[Any, np.dtype[np.float64]]

A = {"classify": 0.3, "generate": 1.0}
"""Equation (1)'s ``a``: 0.3 is the paper's for image classifiers; see the docstring of ``membership`` for 1."""
LEVEL = 0.95
"""Two-sided coverage of every interval."""
DIGITS = 12
"""Decimals of a ratio that count: ratios lie near 1, where doubles carry 15."""
RESAMPLES = 1000
"""Bootstrap resamples: the ends of a 95 % interval then rest on 25 of them each."""
FALSE_POSITIVE_RATES = (0.01, 0.001)

NORMAL_QUANTILE = NormalDist().inv_cdf((1 + LEVEL) / 2)


@dataclass(frozen=True, slots=True)
class Attack:
    """What the attack found on one target: AUC, its interval and its variance from sampling items, and the TPRs."""

    auc: float
    auc_interval: tuple[float, float]
    auc_variance: float
    rates: dict[str, Any]

    @property
    def words(self) -> str:
        """The interval as text."""
        return f"{self.auc_interval[0]:.2f} to {self.auc_interval[1]:.2f}"

    @property
    def plain(self) -> dict[str, Any]:
        """As JSON."""
        return {"auc": self.auc, "auc_interval": list(self.auc_interval), "tpr_at_fpr": self.rates}


def signal(scores: Vector, *, task: str) -> Vector:
    """Return ``p_T``: the logistic function of a classifier's phi, ``exp`` of a generator's negative loss."""
    if task == "classify":
        return 0.5 * (1.0 + np.tanh(0.5 * scores))  # (items,); never overflows
    return np.exp(np.clip(scores, -700.0, 50.0))  # (items,); within what a double holds


def ratios(target: Vector, references: Vector, *, task: str) -> Vector:
    """Return equation (2) from scores, shapes (items,) and (references, items)."""
    a = A[task]
    out = signal(references, task=task).mean(axis=0)  # (items,)
    tiny = np.finfo(np.float64).tiny  # a density of zero is as small as a double says
    ratio: Vector = signal(target, task=task) / np.maximum(0.5 * ((1 + a) * out + (1 - a)), tiny)  # (items,)
    return np.round(ratio, DIGITS)


def population_scores(ratio: Vector, population: Vector) -> Vector:
    """Return equation (3) with gamma = 1: the share of the population each item's ratio exceeds, ties half."""
    ordered = np.sort(population)  # (population,)
    below = np.searchsorted(ordered, ratio, side="left")  # (items,)
    upto = np.searchsorted(ordered, ratio, side="right")  # (items,)
    share: Vector = (below + upto) / (2.0 * len(ordered))  # (items,)
    return share


def run(
    target: tuple[Vector, Vector],
    references: tuple[tuple[Vector, Vector], ...],
    *,
    task: str,
    seed: int,
    resamples: int = RESAMPLES,
) -> Attack:
    """Attack one target. Pairs are scores on removed and on held-out items; ``resamples`` 0 gives no intervals."""
    ratio_removed, ratio_held = (
        ratios(target[part], np.stack([reference[part] for reference in references]), task=task) for part in (0, 1)
    )
    removed = population_scores(ratio_removed, ratio_held)  # (removed,)
    held = population_scores(ratio_held, ratio_held)  # (held,)
    wins = (removed[:, None] > held[None, :]) + 0.5 * (removed[:, None] == held[None, :])  # (removed, held)
    auc = float(wins.mean())
    variance = _auc_variance(wins)
    if resamples == 0:
        return Attack(auc, (auc, auc), variance, {})

    generator = np.random.default_rng(seed)
    n, m = wins.shape
    pick = generator.integers(n, size=(resamples, n))  # (resamples, removed)
    other = generator.integers(m, size=(resamples, m))  # (resamples, held)
    aucs = np.einsum("bm,bm->b", _weights(pick, n) @ wins, _weights(other, m))  # (resamples,)
    rates: dict[str, Any] = {}
    for rate in FALSE_POSITIVE_RATES:
        if m * rate < 1:
            rates[f"{rate:g}"] = {"value": None, "why": f"needs {round(1 / rate)} held-out items, there are {m}"}
            continue
        drawn = _true_positives(removed[pick], held[other], rate)  # (resamples,)
        value = float(_true_positives(removed[None], held[None], rate)[0])
        rates[f"{rate:g}"] = {"value": value, "interval": list(_interval(drawn))}
    return Attack(auc, _interval(aucs), variance, rates)


def _weights(picks: np.ndarray[Any, np.dtype[np.int64]], count: int) -> Vector:
    """Return how much of a resample each item makes up, shape (resamples, items), rows summing to one."""
    cells = picks + count * np.arange(len(picks))[:, None]  # (resamples, drawn)
    tally = np.bincount(cells.ravel(), minlength=len(picks) * count)  # (resamples * items,)
    weights: Vector = tally.reshape(len(picks), count) / picks.shape[1]  # (resamples, items)
    return weights


def _true_positives(removed: Vector, held: Vector, rate: float) -> Vector:
    """Return the share of removed items above the threshold that at most ``rate`` of the held-out ones exceed."""
    allowed = int(rate * held.shape[1])
    threshold = np.sort(held, axis=1)[:, -1 - allowed]  # (resamples,)
    share: Vector = (removed > threshold[:, None]).mean(axis=1)  # (resamples,)
    return share


def _interval(values: Vector) -> tuple[float, float]:
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _auc_variance(wins: Vector) -> float:
    """Return the larger of DeLong's variance and the Mann-Whitney null's, which perfect separation does not shrink."""
    n, m = wins.shape
    null = (n + m + 1) / (12.0 * n * m)
    delong = float(wins.mean(axis=1).var(ddof=1)) / n + float(wins.mean(axis=0).var(ddof=1)) / m
    return float(max(null, delong))


@cache
def student_quantile(freedom: int) -> float:
    """Return Student's t quantile for the two-sided :data:`LEVEL`: bisection on the exact distribution.

    >>> [round(student_quantile(freedom), 3) for freedom in (1, 2, 3, 7, 30)]
    [12.706, 4.303, 3.182, 2.365, 2.042]
    """
    # With theta = atan(t / sqrt(f)) the two-sided probability is a finite sum (Abramowitz and Stegun 26.7.3, 26.7.4);
    # bisection on theta needs no derivative and cannot leave the interval.
    low, high = 0.0, math.pi / 2
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if _two_sided(middle, freedom) < LEVEL else (low, middle)
    return math.tan(low) * math.sqrt(freedom)


def _two_sided(theta: float, freedom: int) -> float:
    sine, cosine = math.sin(theta), math.cos(theta)
    odd = freedom % 2 == 1
    term, total = (cosine, 0.0) if odd else (1.0, 0.0)
    start = 3 if odd else 2
    if freedom > 1:
        total = term
        for k in range(start, freedom - 1, 2):
            term *= cosine**2 * (k - 1) / k
            total += term
    return 2 / math.pi * (theta + sine * total) if odd else sine * total
