"""The sampler: a diffusers pipeline whose every step asks the compartments, by one of five rules.

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

from dataclasses import dataclass
from typing import Any

import torch
from diffusers import DiffusionPipeline
from torch import Tensor

from disgorge.methods.compartmental_diffusion import mixture
from disgorge.methods.compartmental_diffusion.compartments import Compartments


@dataclass(frozen=True, slots=True)
class Sampled:
    """What the pipeline returns: ``images`` (batch, channels, height, width) in [-1, 1]."""

    images: Tensor


class CompartmentPipeline(DiffusionPipeline):
    """Samples from a mixture of compartments. Every random number comes from the generator given."""

    unet: Any
    scheduler: Any

    def __init__(self, unet: Any, scheduler: Any, compartments: Compartments) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # diffusers has no types
        untyped: Any = self
        untyped.register_modules(unet=unet, scheduler=scheduler)
        self.compartments = compartments

    @torch.no_grad()
    def __call__(
        self,
        batch_size: int,
        *,
        generator: torch.Generator,
        num_inference_steps: int = 25,
        rule: str = "draw",
        draw_steps: int = 10,
    ) -> Sampled:
        """Return ``batch_size`` samples. The same numbers are drawn whatever the compartments answer."""
        compartments = self.compartments
        config = self.unet.config
        x = torch.randn(batch_size, config.in_channels, *config.sample_size, generator=generator)
        order = torch.randperm(batch_size, generator=generator)  # (batch,)
        chosen = mixture.stratified(compartments.priors, batch_size, torch.rand((), generator=generator), order)
        self.scheduler.set_timesteps(num_inference_steps)
        for step, time in enumerate(self.scheduler.timesteps):
            level = int(time)
            uniform = torch.rand(batch_size, generator=generator, dtype=torch.float64)  # (batch,)
            weights = self._weights(x, level, rule)  # (batch, members)
            if rule == "draw" and step < draw_steps:
                chosen = mixture.draw(weights, uniform)
            elif rule == "likeliest" and step <= draw_steps:
                chosen = weights.argmax(dim=1) if step == draw_steps else mixture.draw(weights, uniform)
            if rule in ("weighted", "naive"):
                velocity = compartments.predict_mixed(x, level, weights)
            else:
                velocity = compartments.predict_chosen(x, level, chosen)
            x = self.scheduler.step(velocity, time, x, generator=generator).prev_sample
        return Sampled(images=x)

    def _weights(self, x: Tensor, level: int, rule: str) -> Tensor:
        """Return the weights the rule goes by (batch, members)."""
        members = len(self.compartments.members)
        if rule == "naive":
            return torch.full((len(x), members), 1 / members, dtype=torch.float64)
        kept = float(self.scheduler.alphas_cumprod[level])  # alpha squared
        return self.compartments.weights(x, alpha=kept**0.5, sigma=(1 - kept) ** 0.5)
