"""The backbone, its noise schedule, and the adapter that makes a compartment of it.

An adapter adds to the weight W of each convolution and linear layer a product of low rank, W + U D (Hu et al., LoRA,
arXiv:2106.09685), and owns U and D alone. PEFT does this by wrapping layers; a compartment here is merged into a copy
of the weights instead, because a sampler that asks eight of them per step should pay for one plain UNet each.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from disgorge.errors import BadModel
from disgorge.methods.compartmental_diffusion.settings import NORM_GROUPS

UP, DOWN = ".up", ".down"
"""Suffixes of an adapter's two tensors for a weight: (out, rank) and (rank, inputs)."""

TRAIN_LEVELS = 1000
"""Noise levels of the schedule, the number diffusers' models are commonly trained with."""


@contextmanager
def reproducible(seed: int) -> Iterator[torch.Generator]:
    """Give a seeded generator; leave torch's own random state as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield torch.Generator().manual_seed(seed)


def build_unet(channels: tuple[int, ...], shape: tuple[int, int, int]) -> Any:
    """Return an untrained UNet2DModel for images of ``shape`` (channels, height, width)."""
    from diffusers import UNet2DModel

    make: Any = UNet2DModel
    step = 2 ** (len(channels) - 1)
    if shape[1] % step or shape[2] % step:
        raise BadModel(
            f"images of {shape[1]}x{shape[2]} cannot be halved {len(channels) - 1} times;"
            " give parameter channels fewer levels"
        )
    return make(
        sample_size=shape[1:],
        in_channels=shape[0],
        out_channels=shape[0],
        block_out_channels=channels,
        down_block_types=["DownBlock2D"] * len(channels),
        up_block_types=["UpBlock2D"] * len(channels),
        layers_per_block=1,
        norm_num_groups=NORM_GROUPS,
        add_attention=False,
    )


def build_scheduler() -> Any:
    """Return the sampler: DDIM on a cosine schedule, the network predicting velocity."""
    from diffusers import DDIMScheduler

    make: Any = DDIMScheduler
    return make(
        num_train_timesteps=TRAIN_LEVELS,
        beta_schedule="squaredcos_cap_v2",
        prediction_type="v_prediction",
        timestep_spacing="trailing",
        clip_sample=True,
    )


def new_adapter(backbone: Mapping[str, Tensor], rank: int, generator: torch.Generator) -> dict[str, Tensor]:
    """Return an adapter that changes nothing yet: U zero, D random."""
    adapter: dict[str, Tensor] = {}
    for name, weight in sorted(backbone.items()):
        if weight.ndim < 2 or not weight.is_floating_point():
            continue
        inputs = weight[0].numel()
        kept = min(rank, len(weight), inputs)
        adapter[name + UP] = torch.zeros(len(weight), kept)  # (out, rank)
        adapter[name + DOWN] = torch.randn(kept, inputs, generator=generator) / inputs**0.5  # (rank, inputs)
    return adapter


def merged(backbone: Mapping[str, Tensor], adapter: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the backbone's weights with the adapter's products added."""
    whole = dict(backbone)
    for name in adapter:
        if name.endswith(UP):
            weight = name.removesuffix(UP)
            product = adapter[name] @ adapter[weight + DOWN]  # (out, inputs)
            whole[weight] = backbone[weight] + product.reshape(backbone[weight].shape)
    return whole


def predict(unet: nn.Module, weights: Mapping[str, Tensor], noised: Tensor, levels: Tensor) -> Tensor:
    """Return the velocity (rows, channels, height, width) that the UNet predicts with these weights."""
    answer = torch.func.functional_call(unet, dict(weights), (noised, levels), {"return_dict": False})
    velocity: Tensor = answer[0]
    return velocity
