"""Compartments trained further on given images, in a copy: what an audit by relearning watches."""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from disgorge.methods.compartmental_diffusion import network
from disgorge.methods.compartmental_diffusion.compartments import Compartments

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

LEVELS = (100, 300)
"""Noise levels, of a thousand: two of those that scores are measured at, so that a step costs a third."""


def relearned(compartments: Compartments, clean: Tensor, *, rank: int, rate: float, steps: int, seed: int) -> "Array":
    """Return the mean negative denoising loss before and after each step of training, (steps + 1,).

    Each noised image goes to the member that is likeliest for it, which answers for it throughout; every member that
    any goes to gets a new adapter on top of its weights, trained as compartments are. ``clean`` is (items, channels,
    height, width); noise is drawn once, by ``seed``, so that the loss is a function of the weights alone.
    """
    import numpy as np

    scheduler = network.build_scheduler()
    with network.reproducible(seed) as generator:
        noise = torch.randn(len(LEVELS), *clean.shape, generator=generator)  # (levels, items, channels, height, width)
        groups: list[tuple[dict[str, Tensor], dict[str, Tensor], Tensor, Tensor, Tensor]] = []
        noised, wanted, levels, chosen = [], [], [], []
        for level, drawn in zip(LEVELS, noise, strict=True):
            kept = float(scheduler.alphas_cumprod[level])  # alpha squared
            alpha, sigma = kept**0.5, (1 - kept) ** 0.5
            noised.append(alpha * clean + sigma * drawn)
            wanted.append(alpha * drawn - sigma * clean)
            levels.append(torch.full((len(clean),), level))
            chosen.append(compartments.weights(noised[-1], alpha=alpha, sigma=sigma).argmax(dim=1))
        x, v, t, who = torch.cat(noised), torch.cat(wanted), torch.cat(levels), torch.cat(chosen)  # (rows, ...)
        for index, member in enumerate(compartments.members):
            mine = (who == index).nonzero()[:, 0]  # (rows of this member,)
            if len(mine):
                fresh = network.new_adapter(dict(member.weights), rank, torch.Generator().manual_seed(seed))
                adapter = {name: tensor.requires_grad_() for name, tensor in fresh.items()}
                groups.append((dict(member.weights), adapter, x[mine], v[mine], t[mine]))
        optimizer = torch.optim.AdamW(
            [adapter[name] for _, adapter, *_ in groups for name in sorted(adapter)], lr=rate, weight_decay=0.0
        )
        means = []
        for step in range(steps + 1):
            loss = torch.zeros((), dtype=torch.float32)
            for weights, adapter, rows, target, at in groups:
                predicted = network.predict(compartments.unet, network.merged(weights, adapter), rows, at)
                loss = loss + (predicted - target).square().flatten(1).mean(dim=1).sum() / len(x)
            means.append(-float(loss.detach()))
            if step < steps:
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
    return np.array(means)
