"""Offline RMIA, on arrays.

Source: Zarifzadeh, Liu, Shokri, "Low-Cost High-Power Membership Inference Attacks", arXiv:2312.03262. With ``p_T(x)``
the target's signal on item ``x``:

(1)  p(x)     = ((1 + a) mean_out(x) + (1 - a)) / 2,   mean_out over models that never saw ``x``
(2)  ratio(x) = p_T(x) / p(x)
(3)  score(x) = Pr_z [ratio(x) / ratio(z) >= gamma],   z from a population, here the held-out items; gamma = 1

A classifier's score is the logit-scaled confidence phi, so ``p_T`` is its logistic function. A generator's score is a
negative loss, so ``p_T = exp(score)`` is only *like* a density; and as nothing caps it at 1 the way a confidence is
capped, (1) takes a = 1 there. Either way the design is paired, item by item, so hard items do not pass for forgotten.
Ratios are rounded, so that models that answer alike tie instead of differing in a last bit.
"""

import numpy as np

from disgorge.evidence.probes.attack.curve import Pair, Vector, share_below

A = {"classify": 0.3, "generate": 1.0}
"""Equation (1)'s ``a``: 0.3 is the paper's for image classifiers."""
DIGITS = 12
"""Decimals of a ratio that count: ratios lie near 1, where doubles carry 15."""


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


def scores(target: Pair, references: tuple[Pair, ...], *, task: str) -> Pair:
    """Return equation (3), with gamma = 1, for the removed and the held-out items; ties count half."""
    removed, held = (
        ratios(target[part], np.stack([reference[part] for reference in references]), task=task) for part in (0, 1)
    )
    return share_below(removed, held), share_below(held, held)
