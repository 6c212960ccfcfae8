"""Mixing weights and mixed predictions: pure functions of log-densities, priors and predictions.

    w_t(x, i) = l_i p_{i,t}(x) / sum_j l_j p_{j,t}(x)                                                            (2)
    v_t(x) = sum_i w_t(x, i) v_{i,t}(x)                                                                          (3)

(3) holds for scores, for the noise and for the velocity v = alpha eps - sigma x_0 alike: each is a posterior mean given
x_t, or an affine function of one. No parameter here was trained, so nothing here can remember a shard.

All in float64; every function works row by row, so what a row answers does not depend on the rows beside it.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def mixing_weights(log_densities: Tensor, priors: Tensor) -> Tensor:
    """Return w_t(x, i), rows summing to one, from log p_{i,t}(x) (rows, members) and l_i > 0 (members,), any scale."""
    return torch.softmax(log_densities.double() + priors.double().log(), dim=1)  # (rows, members)


def mix(weights: Tensor, predictions: Sequence[Tensor]) -> Tensor:
    """Return the mixture's prediction (rows, ...), in the type of the members' predictions (rows, ...) each.

    Members are added in the order given, which must therefore be a function of the members alone.
    """
    total = torch.zeros_like(predictions[0], dtype=torch.float64)
    for member, prediction in enumerate(predictions):
        share = weights[:, member].reshape(-1, *[1] * (prediction.ndim - 1))  # (rows, 1, ...)
        total = total + share * prediction.double()  # (rows, ...)
    return total.to(predictions[0].dtype)


def draw(weights: Tensor, uniform: Tensor) -> Tensor:
    """Return one member per row (rows,), member i with probability ``weights[:, i]``, from ``uniform`` in [0, 1)."""
    last = weights.shape[1] - 1
    return (weights.cumsum(dim=1) <= uniform.double()[:, None]).sum(dim=1).clamp(max=last)  # (rows,)


def stratified(priors: Tensor, count: int, uniform: Tensor, order: Tensor) -> Tensor:
    """Return one member per row (count,), each as often as its prior says to within one, in the given order of rows.

    ``uniform`` is one number in [0, 1), ``order`` a permutation of the rows.
    """
    shares = (priors.double() / priors.double().sum()).expand(count, -1)  # (rows, members)
    positions = (torch.arange(count, dtype=torch.float64) + uniform.double()) / count  # (rows,)
    return draw(shares, positions)[order]
