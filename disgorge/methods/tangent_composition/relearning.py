"""A composed tangent trained further on given items, in a copy: what an audit by relearning watches."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from disgorge.methods.shared.tensors import deterministic
from disgorge.methods.tangent_composition import network
from disgorge.methods.tangent_composition.settings import Settings

if TYPE_CHECKING:
    from disgorge.method import Array

GENTLE = 0.1
"""Part of the tangents' rate: the rate of their second phase. The full one leaps from where training has ended."""


def relearned(
    weights: Mapping[str, Tensor],
    tangent: Mapping[str, Tensor],
    images: Tensor,
    labels: Tensor,
    settings: Settings,
    *,
    steps: int,
) -> "Iterator[Array]":
    """Yield the outputs f_lin (items, classes), float64, before and after each of ``steps`` steps on all items.

    The loss is the tangents' own, mean of (f_lin - k e_y)^2. Without a tangent, training starts from zero.
    """
    with deterministic(), torch.no_grad():
        hidden = network.stage_one(weights, images)  # (items, filters, height, width)
    start = {name: tangent.get(name, torch.zeros_like(weights[name])) for name in network.TANGENT}
    copy = {name: tensor.clone().requires_grad_() for name, tensor in start.items()}
    targets = settings.target * functional.one_hot(labels, settings.classes).float()  # (items, classes)
    optimizer = torch.optim.AdamW(list(copy.values()), lr=GENTLE * settings.learning_rate, weight_decay=0.0)
    for step in range(steps + 1):
        with deterministic():
            base, moved = network.linearized(weights, copy, hidden)
            outputs = base + moved  # (items, classes)
            if step < steps:
                optimizer.zero_grad()
                functional.mse_loss(outputs, targets).backward()  # type: ignore[no-untyped-call]
                optimizer.step()
        yield outputs.detach().double().numpy()
