"""The settings of compartmental diffusion, and which of them determine which part.

Each kind of component takes only the settings that shape it, so a change of the adapters' rank leaves the backbone's
recipe as it was. Nothing here depends on how many shards there are.
"""

from dataclasses import dataclass

from disgorge.errors import BadModel
from disgorge.methods.shared.settings import checked, choice, number
from lineage.records import Json

RULES = ("draw", "likeliest", "weighted", "stratified", "naive")
"""How compartments answer together; see :mod:`disgorge.methods.compartmental_diffusion.sample`."""

NORM_GROUPS = 8
"""Groups of every group normalization; a level's channels must be a multiple."""


def _channels(value: Json) -> tuple[int, ...]:
    """Return the channels per level if a UNet can have them."""
    fits = isinstance(value, list | tuple) and 1 <= len(value) <= 6
    if not fits or any(type(level) is not int or level <= 0 or level % NORM_GROUPS for level in value):
        raise BadModel(f"{value!r} is not a list of one to six multiples of {NORM_GROUPS}, one a level")
    return tuple(value)


@dataclass(frozen=True, slots=True)
class Settings:
    """What a model file may say under ``parameters``. Defaults were picked on the digits of ``examples/digits``."""

    seed: int = 0
    peak: float = number(255.0, 1e-6, 1e9)
    """The pixel value that is white."""
    channels: tuple[int, ...] = checked((16, 32), _channels)
    """Channels per level of the UNet; each level but the last halves the image."""
    batch: int = number(32, 1, 4096)
    """Images per optimizer step, the same for every shard, whatever there is beside it."""
    backbone_steps: int = number(1500, 1, 10_000_000)
    backbone_rate: float = number(6e-3, 1e-8, 1.0)
    """Peak learning rate of AdamW; it falls linearly to zero."""
    rank: int = number(16, 1, 1024)
    """Rank of an adapter in each convolution and linear layer."""
    compartment_steps: int = number(150, 1, 10_000_000)
    compartment_rate: float = number(1e-2, 1e-8, 1.0)
    rehearsal: float = number(0.0, 0.0, 0.9)
    """Part of each batch of a compartment that is drawn from the core. None by default: the core is a member of the
    mixture, and rehearsal made every measure on the digits worse."""
    features: int = number(24, 1, 4096)
    """Directions of the core's covariance in which densities are measured."""
    clusters: int = number(16, 1, 4096)
    """Gaussians per density."""
    breadth: float = number(6.0, 1e-3, 1e6)
    """Variance of those Gaussians in units of the core's variance within clusters. Above 1 because a center is
    estimated from a handful of images and must not vouch for its own alone."""
    sampler_steps: int = number(25, 1, 1000)
    draw_steps: int = number(10, 0, 1000)
    """Sampler steps in which a compartment is drawn anew for each image, before one is kept."""
    rule: str = choice(*RULES)


DETERMINING = {
    "backbone": ("peak", "channels", "batch", "backbone_steps", "backbone_rate"),
    "router": ("peak", "features", "clusters"),
    "compartment": ("peak", "channels", "batch", "rank", "compartment_steps", "compartment_rate", "rehearsal"),
    "posterior": ("peak", "clusters"),
}
"""Settings that determine a component, by its kind."""
