"""IAM, the cheap variant, on arrays: how far from never-trained toward the model before removal a target stands.

Source: Wang et al., "Towards Lifecycle Unlearning Commitment Management: Measuring Sample-level Unlearning
Completeness", arXiv:2506.06112. Between the signal of a model that never saw an item and that of the original model lie
stations, and a target's item scores how many of them it has passed:

(1)  signal   = -log(e + loss),    loss = log(1 + exp(-phi)) for a classifier with e = 0.01; minus the score, e = 0, for
                a generator
(2)  m_k(x)   = out(x) + k (original(x) - out(x)),    k = 0, 0.1, ..., 0.9
(3)  score(x) = sum_k (k + 0.1) Pr[N(m_k(x), w^2) <= signal(x)] / sum_k (k + 0.1)

with w one width for all items, the spread over held-out items of the original's signal around ``out``: one reference
suffices. (The paper fits Gumbel or Gaussian distributions with a width per station; one width is the cheaper choice.)

A degree is read from the means, where interpolation is linear and needs no distribution:

(4)  place  = mean of the signal over removed items - mean over held-out items
(5)  degree = (place - place_out) / (place_original - place_out):  0 never trained, 1 nothing done, < 0 over-forgotten

The mean weighs every item's signal alike, and the logarithm keeps an item with a huge loss from deciding alone.
"""

from statistics import NormalDist

import numpy as np

from disgorge.evidence.probes.attack.curve import Pair, Vector, interval, weights

FLOOR = 0.01
"""e of equation (1): a classifier surer than that is as sure as can be."""
STATIONS = tuple(step / 10 for step in range(10))
DIGITS = 9
"""Decimals of a signal that count, so that models that answer alike lie in the same place."""

_GRID = np.linspace(-6.0, 6.0, 2401)
_NORMAL = np.array([NormalDist().cdf(float(z)) for z in _GRID])


def signal(scores: Vector, *, task: str) -> Vector:
    """Return equation (1); a generator's loss of zero or less counts as 1e-12."""
    if task == "classify":
        loss: Vector = FLOOR + np.asarray(np.logaddexp(0.0, -scores), dtype=np.float64)  # (items,)
    else:
        loss = np.asarray(np.maximum(-scores, 1e-12), dtype=np.float64)  # (items,)
    rounded: Vector = np.asarray(np.round(-np.log(loss), DIGITS), dtype=np.float64)
    return rounded


def signals(pair: Pair, *, task: str) -> Pair:
    """Return equation (1) on removed and held-out items."""
    return signal(pair[0], task=task), signal(pair[1], task=task)


def out_of(references: tuple[Pair, ...]) -> Pair:
    """Return the references' mean signal on each item."""
    removed, held = (np.stack([reference[part] for reference in references]).mean(axis=0) for part in (0, 1))
    return removed, held


def width(original: Pair, out: Pair) -> float:
    """Return w of equation (3): how much two models differ, item by item, on what neither was trained on."""
    return float((original[1] - out[1]).std(ddof=1))


def scores(target: Pair, original: Pair, out: Pair) -> Pair:
    """Return equation (3) from signals."""
    wide = max(width(original, out), 10.0**-DIGITS)
    removed, held = (
        sum(
            (k + 0.1) * np.interp((target[part] - out[part] - k * (original[part] - out[part])) / wide, _GRID, _NORMAL)
            for k in STATIONS
        )
        / sum(k + 0.1 for k in STATIONS)
        for part in (0, 1)
    )
    return np.round(removed, DIGITS), np.round(held, DIGITS)


def place(target: Pair) -> float:
    """Return equation (4) from signals."""
    return float(target[0].mean() - target[1].mean())


def variance(target: Pair, out: Pair) -> float:
    """Return the variance of a target's place relative to ``out`` from sampling items alone."""
    return sum(float((target[part] - out[part]).var(ddof=1)) / len(target[part]) for part in (0, 1))


def place_interval(target: Pair, out: Pair, *, seed: int, resamples: int) -> tuple[float, float]:
    """Return the bootstrap interval, over items, of a target's place relative to ``out``."""
    generator = np.random.default_rng(seed)
    drawn = []
    for part in (0, 1):
        away = target[part] - out[part]  # (items,)
        picks = generator.integers(len(away), size=(resamples, len(away)))  # (resamples, items)
        drawn.append(weights(picks, len(away)) @ away)  # (resamples,)
    return interval(drawn[0] - drawn[1])
