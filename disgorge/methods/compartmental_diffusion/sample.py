"""The sampler: DDIM, every step of which asks the compartments, by one of five rules.

- ``draw``: draw one compartment an image with probability w_t, in each of the first steps, and keep the last one drawn.
  Its expected velocity is the mixture's, at the cost of one network; and from where it keeps one, x_t ~ p_t and
  i ~ p(i | x_t), so following shard i alone from there still ends in the mixture;
- ``likeliest``: the same, but keep the one with the greatest weight. It favors shards that are large or common: on the
  digits, classes that contributors alone bring were 11 % of 2,000 samples, against 23 % by ``draw`` and 30 % in the
  data (seed 0; counted by a small classifier that is 97 % right);
- ``weighted``: the velocities of all, weighted by w_t: equation (3) as it stands, at the cost of all networks;
- ``stratified``: one compartment an image for good, each as often as its prior says; a baseline that needs no weights;
- ``naive``: the plain average of all: the baseline that is wrong.
"""

from typing import Any

import torch
from torch import Tensor

from disgorge.methods.compartmental_diffusion import mixture
from disgorge.methods.compartmental_diffusion.compartments import Compartments
from disgorge.methods.compartmental_diffusion.settings import Settings


@torch.no_grad()
def sample(
    compartments: Compartments,
    scheduler: Any,
    settings: Settings,
    count: int,
    *,
    rule: str,
    generator: torch.Generator,
) -> Tensor:
    """Return samples (count, channels, height, width) in [-1, 1].

    Every random number comes from the generator, and the same ones are drawn whatever the compartments answer.
    """
    config = compartments.unet.config
    x = torch.randn(count, config.in_channels, *config.sample_size, generator=generator)
    order = torch.randperm(count, generator=generator)  # (count,)
    chosen = mixture.stratified(compartments.priors, count, torch.rand((), generator=generator), order)
    scheduler.set_timesteps(settings.sampler_steps)
    for step, time in enumerate(scheduler.timesteps):
        level = int(time)
        uniform = torch.rand(count, generator=generator, dtype=torch.float64)  # (count,)
        weights = _weights(compartments, x, rule, float(scheduler.alphas_cumprod[level]))  # (count, members)
        if rule == "draw" and step < settings.draw_steps:
            chosen = mixture.draw(weights, uniform)
        elif rule == "likeliest" and step <= settings.draw_steps:
            chosen = weights.argmax(dim=1) if step == settings.draw_steps else mixture.draw(weights, uniform)
        if rule in ("weighted", "naive"):
            velocity = compartments.predict_mixed(x, level, weights)
        else:
            velocity = compartments.predict_chosen(x, level, chosen)
        x = scheduler.step(velocity, time, x, generator=generator).prev_sample
    return x


def _weights(compartments: Compartments, x: Tensor, rule: str, kept: float) -> Tensor:
    """Return the weights the rule goes by (rows, members); ``kept`` is alpha squared."""
    members = len(compartments.members)
    if rule == "naive":
        return torch.full((len(x), members), 1 / members, dtype=torch.float64)
    return compartments.weights(x, alpha=kept**0.5, sigma=(1 - kept) ** 0.5)
