"""The network f(x; w): a small residual convolutional net, its plain pass and its linearized pass.

    stage 1   conv 3x3 -> batch norm -> relu            frozen after pre-training; its output can be computed once
    stage 2   conv 3x3, stride 2 -> batch norm -> relu  |
    stage 3   h + (conv 3x3 -> batch norm), relu        | linearized at w0: these weights have tangents
    pool      mean over 2x2 cells, flattened            |
    head      affine, to the classes                    |

:func:`plain` and :func:`linearized` are written apart, so that a test can hold the second to autodiff of the first.
"""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from disgorge.methods.shared.tensors import he_kernel
from disgorge.methods.tangent_composition import layer_rules as rules

Weights = Mapping[str, Tensor]

EPSILON = 1e-5
"""What batch norm adds to a variance; torch's own default."""

STATISTICS = ("norm1.mean", "norm1.variance", "norm2.mean", "norm2.variance", "norm3.mean", "norm3.variance")
"""Batch norm's statistics, gathered on the core and frozen from then on."""

TANGENT = (
    "conv2.weight",
    "norm2.gamma",
    "norm2.beta",
    "conv3.weight",
    "norm3.gamma",
    "norm3.beta",
    "head.weight",
    "head.bias",
)
"""The weights that have tangents."""


def initial_weights(
    *, channels: int, height: int, width: int, filters: int, classes: int, generator: torch.Generator
) -> dict[str, Tensor]:
    """Return random weights and fresh statistics, float32. ``filters`` is stage 1's; later stages have twice that."""
    wide = 2 * filters
    weights = {
        "conv1.weight": he_kernel(filters, channels, generator),
        "conv2.weight": he_kernel(wide, filters, generator),
        "conv3.weight": he_kernel(wide, wide, generator),
    }
    for name, size in (("norm1", filters), ("norm2", wide), ("norm3", wide)):
        weights |= {
            f"{name}.gamma": torch.ones(size, dtype=torch.float32),
            f"{name}.beta": torch.zeros(size, dtype=torch.float32),
            f"{name}.mean": torch.zeros(size, dtype=torch.float32),
            f"{name}.variance": torch.ones(size, dtype=torch.float32),
        }
    features = wide * (-(-height // 2) // 2) * (-(-width // 2) // 2)
    weights["head.weight"] = torch.zeros(classes, features, dtype=torch.float32)
    weights["head.bias"] = torch.zeros(classes, dtype=torch.float32)
    return weights


def stage_one(weights: Weights, images: Tensor, *, training: bool = False) -> Tensor:
    """Return the frozen first stage's activations, (items, filters, height, width)."""
    return functional.relu(_norm(weights, "norm1", _conv(weights, "conv1", images), training=training))


def features(weights: Weights, h: Tensor, *, training: bool = False) -> Tensor:
    """Return what the head sees, (items, features), from stage 1's activations."""
    h = functional.relu(_norm(weights, "norm2", _conv(weights, "conv2", h, stride=2), training=training))
    h = functional.relu(h + _norm(weights, "norm3", _conv(weights, "conv3", h), training=training))
    return torch.flatten(functional.avg_pool2d(h, 2), 1)


def plain(weights: Weights, h: Tensor, *, training: bool = False) -> Tensor:
    """Return f(x; w), (items, classes), from stage 1's activations.

    ``training`` normalizes by the batch's own statistics and lets the running ones follow.
    """
    seen = features(weights, h, training=training)
    return functional.linear(seen, weights["head.weight"], weights["head.bias"])


def linearized(weights: Weights, tangent: Weights, h: Tensor) -> tuple[Tensor, Tensor]:
    """Return f(x; w0) and J_w f(x; w0) d, each (items, classes), in one pass by the layer rules.

    ``tangent`` holds d for every name in :data:`TANGENT`. Their sum is f_lin(x; d).
    """
    y, dy = rules.convolution(h, None, weights["conv2.weight"], tangent["conv2.weight"], stride=2)
    y, dy = rules.relu(*_norm_rule(weights, tangent, "norm2", y, dy))
    branch, dbranch = rules.convolution(y, dy, weights["conv3.weight"], tangent["conv3.weight"], stride=1)
    branch, dbranch = _norm_rule(weights, tangent, "norm3", branch, dbranch)
    y, dy = rules.relu(*rules.residual(y, dy, branch, dbranch))
    y, dy = rules.flatten(*rules.mean_pool(y, dy))
    return rules.linear(
        y, dy, weights["head.weight"], weights["head.bias"], tangent["head.weight"], tangent["head.bias"]
    )


def _conv(weights: Weights, name: str, x: Tensor, *, stride: int = 1) -> Tensor:
    return functional.conv2d(x, weights[f"{name}.weight"], stride=stride, padding=1)


def _norm(weights: Weights, name: str, x: Tensor, *, training: bool) -> Tensor:
    return functional.batch_norm(
        x,
        weights[f"{name}.mean"],
        weights[f"{name}.variance"],
        weights[f"{name}.gamma"],
        weights[f"{name}.beta"],
        training=training,
        eps=EPSILON,
    )


def _norm_rule(weights: Weights, tangent: Weights, name: str, x: Tensor, dx: Tensor) -> rules.Dual:
    return rules.batch_norm(
        x,
        dx,
        weights[f"{name}.mean"],
        weights[f"{name}.variance"],
        weights[f"{name}.gamma"],
        weights[f"{name}.beta"],
        tangent[f"{name}.gamma"],
        tangent[f"{name}.beta"],
        epsilon=EPSILON,
    )
