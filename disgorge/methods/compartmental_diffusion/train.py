"""How each kind of component is made: functions of items, other components' tensors and parameters alone.

Training reads items in digest order and draws batches, noise levels and noise from one generator, seeded by the
recipe's seed and the shard's digest: neither a shard's name nor what stands beside it reaches the bits.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from disgorge.method import Checkpoints, Items, Progress, seed_of
from disgorge.methods.compartmental_diffusion import density, network
from disgorge.methods.compartmental_diffusion.images import to_network
from disgorge.methods.compartmental_diffusion.settings import Settings
from disgorge.methods.shared.descent import descend
from disgorge.methods.shared.tensors import as_arrays, as_tensors

if TYPE_CHECKING:
    from disgorge.method import Tensors

WARM_UP = 0.05
"""Part of the steps in which the learning rate rises, before it falls linearly to zero."""


def train_backbone(settings: Settings, core: Items, progress: Progress, checkpoints: Checkpoints) -> "Tensors":
    """Return the UNet trained on the core, and ``axes``: how many axes an image of this model has."""
    images = to_network(core, settings.peak)  # (items, channels, height, width)
    with network.reproducible(seed_of(settings.seed, "backbone", core.shard)) as generator:
        unet = network.build_unet(settings.channels, (images.shape[1], images.shape[2], images.shape[3]))
        _fit(
            dict(unet.named_parameters()),
            lambda noised, levels: unet(noised, levels, return_dict=False)[0],
            lambda: _some(images, settings.batch, generator),
            settings.backbone_steps,
            settings.backbone_rate,
            generator,
            progress,
            checkpoints,
        )
        axes = torch.tensor([core.arrays["image"].ndim - 1], dtype=torch.int64)
        size = torch.tensor(images.shape[1:], dtype=torch.int64)  # channels, height, width
        return as_arrays({**unet.state_dict(), "axes": axes, "size": size})


def train_compartment(
    settings: Settings,
    shard: Items,
    core: Items | None,
    backbone: "Tensors",
    progress: Progress,
    checkpoints: Checkpoints,
) -> "Tensors":
    """Return an adapter on the frozen backbone, trained on one shard and, for ``rehearsal`` of each batch, the core."""
    images = to_network(shard, settings.peak)  # (items, channels, height, width)
    rehearsed = to_network(core, settings.peak) if core is not None else images[:0]
    again = round(settings.batch * settings.rehearsal) if len(rehearsed) else 0
    with network.reproducible(seed_of(settings.seed, "compartment", shard.shard)) as generator:
        unet, frozen = load_backbone(settings, backbone)
        adapter = network.new_adapter(frozen, settings.rank, generator)
        for tensor in adapter.values():
            tensor.requires_grad_(True)

        def batch() -> Tensor:
            own = _some(images, settings.batch - again, generator)
            return torch.cat([own, _some(rehearsed, again, generator)]) if again else own

        _fit(
            adapter,
            lambda noised, levels: network.predict(unet, network.merged(frozen, adapter), noised, levels),
            batch,
            settings.compartment_steps,
            settings.compartment_rate,
            generator,
            progress,
            checkpoints,
        )
        return as_arrays(adapter)


def train_router(settings: Settings, core: Items) -> "Tensors":
    """Return the trunk of the mixing weights and the core's own density, from the core alone."""
    images = to_network(core, settings.peak).flatten(1)  # (items, pixels)
    with network.reproducible(seed_of(settings.seed, "router", core.shard)) as generator:
        return as_arrays(
            density.fit_router(images, features=settings.features, clusters=settings.clusters, generator=generator)
        )


def train_posterior(settings: Settings, shard: Items, router: "Tensors") -> "Tensors":
    """Return one shard's density in the trunk's directions, and its count."""
    images = to_network(shard, settings.peak).flatten(1)  # (items, pixels)
    with network.reproducible(seed_of(settings.seed, "posterior", shard.shard)) as generator:
        return as_arrays(
            density.fit_density(images, as_tensors(router), clusters=settings.clusters, generator=generator)
        )


def load_backbone(settings: Settings, backbone: "Tensors") -> tuple[Any, dict[str, Tensor]]:
    """Return the UNet with a backbone's weights, frozen, and those weights by name."""
    tensors = as_tensors(backbone)
    channels, height, width = tensors.pop("size").tolist()
    del tensors["axes"]
    with network.reproducible(0):  # the first weights are overwritten at once; torch's random state must not notice
        unet = network.build_unet(settings.channels, (channels, height, width))
    unet.load_state_dict(tensors)
    unet.requires_grad_(False)
    unet.eval()
    return unet, {name: weight.detach() for name, weight in unet.named_parameters()}


def _fit(
    weights: Mapping[str, Tensor],
    predict: Callable[[Tensor, Tensor], Tensor],
    batch: Callable[[], Tensor],
    steps: int,
    rate: float,
    generator: torch.Generator,
    progress: Progress,
    checkpoints: Checkpoints,
) -> None:
    """Minimize the mean squared error of the predicted velocity over uniform noise levels, in place."""
    scheduler = network.build_scheduler()
    rise = max(1, round(steps * WARM_UP))

    def loss(_: int) -> Tensor:
        clean = batch()  # (batch, channels, height, width)
        noise = torch.randn(clean.shape, generator=generator)
        levels = torch.randint(network.TRAIN_LEVELS, (len(clean),), generator=generator)  # (batch,)
        target: Tensor = scheduler.get_velocity(clean, noise, levels)
        return (predict(scheduler.add_noise(clean, noise, levels), levels) - target).square().mean()

    def share(step: int) -> float:
        return min((step + 1) / rise, (steps - step) / max(1, steps - rise))

    learned = [weights[name] for name in sorted(weights)]
    descend(
        learned, loss, range(steps), rate=rate, share=share, progress=progress, checkpoints=checkpoints,
        generator=generator,
    )  # fmt: skip


def _some(images: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Return ``count`` images drawn with replacement."""
    return images[torch.randint(len(images), (count,), generator=generator)]
