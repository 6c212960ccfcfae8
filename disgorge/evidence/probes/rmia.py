"""Offline RMIA, the membership attack, on arrays: how well its scores separate removed from held-out items.

Source: Zarifzadeh, Liu, Shokri, "Low-Cost High-Power Membership Inference Attacks", arXiv:2312.03262. With ``p_T(x)``
the target's signal on item ``x``:

(1)  p(x)     = ((1 + a) mean_out(x) + (1 - a)) / 2,   mean_out over models that never saw ``x``
(2)  ratio(x) = p_T(x) / p(x)
(3)  score(x) = Pr_z [ratio(x) / ratio(z) >= gamma],   z from a population, here the held-out items; gamma = 1

A classifier's score is the logit-scaled confidence phi, so ``p_T`` is its logistic function. A generator's score is a
negative loss, so ``p_T = exp(score)`` is only *like* a density; and as nothing caps it at 1 the way a confidence is
capped, (1) takes a = 1 there. Either way the design is paired, item by item, so hard items do not pass for forgotten.
Ratios are rounded, so that models that answer alike tie instead of differing in a last bit.

The separation is an AUC, and its interval comes from resampling items.
Rules: numpy alone; every resample comes from an explicit seed; ties count half.
"""

from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

Vector = np.ndarray[Any, np.dtype[np.float64]]
Pair = tuple[Vector, Vector]
"""Numbers on the removed and on the held-out items, shapes (removed,) and (held_out,)."""

LEVEL = 0.95
"""Two-sided coverage of every interval."""
RESAMPLES = 1000
"""Bootstrap resamples: the ends of a 95 % interval then rest on 25 of them each."""
A = {"classify": 0.3, "generate": 1.0}
"""Equation (1)'s ``a``: 0.3 is the paper's for image classifiers; 1 for other tasks."""
DIGITS = 12
"""Decimals of a ratio that count: ratios lie near 1, where doubles carry 15."""


def signal(scores: Vector, *, task: str) -> Vector:
    """Return ``p_T``: the logistic function of a classifier's phi, ``exp`` of a generator's negative loss."""
    if task == "classify":
        return 0.5 * (1.0 + np.tanh(0.5 * scores))  # (items,); never overflows
    return np.exp(np.clip(scores, -700.0, 50.0))  # (items,); within what a double holds


def ratios(target: Vector, references: Vector, *, task: str) -> Vector:
    """Return equation (2) from scores, shapes (items,) and (references, items)."""
    a = A.get(task, 1.0)
    out = signal(references, task=task).mean(axis=0)  # (items,)
    tiny = np.finfo(np.float64).tiny  # a density of zero is as small as a double says
    ratio: Vector = signal(target, task=task) / np.maximum(0.5 * ((1 + a) * out + (1 - a)), tiny)  # (items,)
    return np.round(ratio, DIGITS)


def scores(target: Pair, references: tuple[Pair, ...], *, task: str) -> Pair:
    """Return equation (3), with gamma = 1, for the removed and the held-out items; ties count half."""
    removed, held = (
        ratios(target[part], np.stack([reference[part] for reference in references]), task=task) for part in (0, 1)
    )
    return share_below(removed, held), share_below(held, held)


def normal_quantile(level: float) -> float:
    """Return the z that a normal lies within, on both sides, with probability ``level``."""
    return NormalDist().inv_cdf((1 + level) / 2)


@dataclass(frozen=True, slots=True)
class Curve:
    """AUC, its interval, and its variance from sampling items."""

    auc: float
    auc_interval: tuple[float, float]
    auc_variance: float

    @property
    def plain(self) -> dict[str, Any]:
        """As JSON."""
        return {"auc": self.auc, "auc_interval": list(self.auc_interval)}


def measure(scores: Pair, *, seed: int, resamples: int = RESAMPLES) -> Curve:
    """Measure scores that are higher the more an item looks trained on; ``resamples`` 0 gives no interval."""
    removed, held = scores  # (removed,), (held,)
    beaten, beating = share_below(removed, held), 1.0 - share_below(held, removed)  # (removed,), (held,)
    auc = float(beaten.mean())
    variance = _auc_variance(beaten, beating)
    if resamples == 0:
        return Curve(auc, (auc, auc), variance)

    generator = np.random.default_rng(seed)
    wins = (removed[:, None] > held[None, :]) + 0.5 * (removed[:, None] == held[None, :])  # (removed, held)
    n, m = wins.shape
    pick = generator.integers(n, size=(resamples, n))  # (resamples, removed)
    other = generator.integers(m, size=(resamples, m))  # (resamples, held)
    aucs = np.einsum("bm,bm->b", weights(pick, n) @ wins, weights(other, m))  # (resamples,)
    return Curve(auc, interval(aucs), variance)


def weights(picks: np.ndarray[Any, np.dtype[np.int64]], count: int) -> Vector:
    """Return how much of a resample each item makes up, shape (resamples, items), rows summing to one."""
    cells = picks + count * np.arange(len(picks))[:, None]  # (resamples, drawn)
    tally = np.bincount(cells.ravel(), minlength=len(picks) * count)  # (resamples * items,)
    weights: Vector = tally.reshape(len(picks), count) / picks.shape[1]  # (resamples, items)
    return weights


def interval(values: Vector) -> tuple[float, float]:
    """Return the two-sided interval that resampled values span at :data:`LEVEL`."""
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def share_below(values: Vector, others: Vector) -> Vector:
    """Return the share of ``others`` that each value exceeds, ties half, shape (values,)."""
    ordered = np.sort(others)  # (others,)
    below = np.searchsorted(ordered, values, side="left")  # (values,)
    upto = np.searchsorted(ordered, values, side="right")  # (values,)
    share: Vector = (below + upto) / (2.0 * len(ordered))  # (values,)
    return share


def _auc_variance(beaten: Vector, beating: Vector) -> float:
    """Return the larger of DeLong's variance and the Mann-Whitney null's, which perfect separation does not shrink.

    ``beaten`` is each removed item's share of held-out ones below it, ``beating`` each held-out one's share above.
    """
    n, m = len(beaten), len(beating)
    null = (n + m + 1) / (12.0 * n * m)
    delong = float(beaten.var(ddof=1)) / n + float(beating.var(ddof=1)) / m
    return float(max(null, delong))
