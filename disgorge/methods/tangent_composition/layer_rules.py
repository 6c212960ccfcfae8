"""Layer rules: how each layer carries an activation and its tangent, (x, dx) -> (y, dy).

For a layer y = g(x; w) with weights moved by dw and input by dx, dy = dg/dx dx + dg/dw dw, in closed form. Composed
over a network this is its Jacobian-vector product in one forward pass, and it is linear in all the dw together. Where
``dx`` is None the tangent is zero: below the first linearized layer nothing moves.

Tests compare each rule, and their composition, with ``torch.func.jvp`` in float64.
"""

import torch
from torch import Tensor
from torch.nn import functional

Dual = tuple[Tensor, Tensor]
"""An activation and its tangent, of one shape."""


def convolution(x: Tensor, dx: Tensor | None, weight: Tensor, dweight: Tensor, *, stride: int) -> Dual:
    """3x3 convolution, padding 1, no bias: dy = W * dx + dW * x.

    ``x`` is (items, in, height, width), ``weight`` (out, in, 3, 3).
    """
    y = functional.conv2d(x, weight, stride=stride, padding=1)
    dy = functional.conv2d(x, dweight, stride=stride, padding=1)
    if dx is not None:
        dy = dy + functional.conv2d(dx, weight, stride=stride, padding=1)
    return y, dy


def linear(x: Tensor, dx: Tensor, weight: Tensor, bias: Tensor, dweight: Tensor, dbias: Tensor) -> Dual:
    """Affine map: dy = W dx + dW x + db. ``x`` is (items, in), ``weight`` (out, in)."""
    return functional.linear(x, weight, bias), functional.linear(dx, weight) + functional.linear(x, dweight, dbias)


def batch_norm(
    x: Tensor,
    dx: Tensor,
    mean: Tensor,
    variance: Tensor,
    gamma: Tensor,
    beta: Tensor,
    dgamma: Tensor,
    dbeta: Tensor,
    *,
    epsilon: float,
) -> Dual:
    """Batch norm with frozen statistics: dy = dgamma xhat + dbeta + gamma dx / sqrt(v + eps).

    ``x`` is (items, channels, height, width); everything else (channels,). Statistics that moved with the batch would
    break linearity in the weights.
    """
    inverse = _per_channel((variance + epsilon).rsqrt())
    xhat = (x - _per_channel(mean)) * inverse
    y = _per_channel(gamma) * xhat + _per_channel(beta)
    return y, _per_channel(dgamma) * xhat + _per_channel(dbeta) + _per_channel(gamma) * inverse * dx


def relu(x: Tensor, dx: Tensor) -> Dual:
    """Rectifier: dy = dx [x > 0], and 0 at the kink, as autodiff has it."""
    return functional.relu(x), dx * (x > 0)


def residual(x: Tensor, dx: Tensor, branch: Tensor, dbranch: Tensor) -> Dual:
    """Skip connection: both streams add."""
    return x + branch, dx + dbranch


def mean_pool(x: Tensor, dx: Tensor) -> Dual:
    """Mean over 2x2 cells: linear, so it acts on both streams alike."""
    return functional.avg_pool2d(x, 2), functional.avg_pool2d(dx, 2)


def flatten(x: Tensor, dx: Tensor) -> Dual:
    """(items, channels, height, width) -> (items, features), both streams."""
    return torch.flatten(x, 1), torch.flatten(dx, 1)


def _per_channel(values: Tensor) -> Tensor:
    return values[:, None, None]  # (channels,) -> (channels, 1, 1)
