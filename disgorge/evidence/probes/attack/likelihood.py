"""Offline, per-example U-LiRA, on arrays.

Source: Hayes, Shumailov, Triantafillou, Khalifa, Papernot, "Inexact Unlearning Needs More Careful Evaluations to Avoid
a False Sense of Privacy", arXiv:2403.01218. Offline: for each item one Gaussian of the score, from models that never
saw it, and the target's item scores how far up that Gaussian it lies:

(1)  z(x) = (phi_T(x) - mean_out(x)) / tau(x),    membership score = z, which orders items as Pr[N(0, 1) <= z] does
(2)  tau(x)^2 = (d t^2 + (R - 1) s(x)^2) / (d + R - 1),    t^2 = mean of s(x)^2 over all items, d = 4

``s(x)`` is the standard deviation over R references. With few references it is mostly chance, and items where it came
out small would lead the ranking of every target; so (2) shrinks the variance toward that of all items, as if d more
references had shown it (the posterior mean under a scaled inverse chi-square prior). The price: items that truly are
more stable than others are scored as if they were less so. With one reference there is no spread and tau is 1.

A generator's score stands in for phi. Differences are rounded, so that models that answer alike tie.
"""

import numpy as np

from disgorge.evidence.probes.attack.curve import Pair, Vector

PRIOR = 4.0
"""d of equation (2), in references."""
DIGITS = 9
"""Decimals of a difference in phi that count: phi is within 50, where doubles carry 14."""


def scores(target: Pair, references: tuple[Pair, ...], *, task: str) -> Pair:
    """Return equation (1) for the removed and the held-out items; ``task`` makes no difference."""
    stacked = [np.stack([reference[part] for reference in references]) for part in (0, 1)]  # (references, items) each
    away = [np.round(target[part] - stacked[part].mean(axis=0), DIGITS) for part in (0, 1)]  # (items,) each
    freedom = len(references) - 1
    if freedom == 0:
        return away[0], away[1]
    variances: list[Vector] = [part.var(axis=0, ddof=1) for part in stacked]  # (items,) each
    pooled = float(np.concatenate(variances).mean())
    if not pooled > 0 or not np.isfinite(pooled):  # references that answer alike: no spread to scale by
        return away[0], away[1]
    removed, held = (
        part / np.sqrt((PRIOR * pooled + freedom * variance) / (PRIOR + freedom))
        for part, variance in zip(away, variances, strict=True)
    )
    return removed, held
