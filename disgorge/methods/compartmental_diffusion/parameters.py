"""The numbers a model file may set for compartmental diffusion, with their defaults and limits.

Each kind of component takes only the parameters that shape it, so a change of the adapters' rank leaves the
backbone's recipe as it was. Nothing here depends on how many shards there are.

>>> read({"rank": 4}).rank
4
>>> read({"ranks": 4})
Traceback (most recent call last):
    ...
disgorge.errors.BadModel: compartmental_diffusion has no parameter 'ranks'; did you mean 'rank'?
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, fields

from disgorge.errors import BadModel
from lineage.records import Json

RULES = ("draw", "likeliest", "weighted", "stratified", "naive")
"""How compartments answer together; see :mod:`disgorge.methods.compartmental_diffusion.pipeline`."""

NORM_GROUPS = 8
"""Groups of every group normalization; a level's channels must be a multiple."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """What a model file may say under ``parameters``. Defaults were picked on the digits of ``examples/digits``."""

    peak: float = 255.0
    """The pixel value that is white."""
    channels: tuple[int, ...] = (16, 32)
    """Channels per level of the UNet; each level but the last halves the image."""
    batch: int = 32
    """Images per optimizer step, the same for every shard, whatever there is beside it."""
    backbone_steps: int = 1500
    backbone_rate: float = 6e-3
    """Peak learning rate of AdamW; it falls linearly to zero."""
    rank: int = 16
    """Rank of an adapter in each convolution and linear layer."""
    compartment_steps: int = 150
    compartment_rate: float = 1e-2
    rehearsal: float = 0.0
    """Part of each batch of a compartment that is drawn from the core. None by default: the core is a member of the
    mixture, and rehearsal made every measure on the digits worse."""
    features: int = 24
    """Directions of the core's covariance in which densities are measured."""
    clusters: int = 16
    """Gaussians per density."""
    breadth: float = 6.0
    """Variance of those Gaussians in units of the core's variance within clusters. Above 1 because a center is
    estimated from a handful of images and must not vouch for its own alone."""
    sampler_steps: int = 25
    draw_steps: int = 10
    """Sampler steps in which a compartment is drawn anew for each image, before one is kept."""
    rule: str = "draw"

    def of(self, kind: str, seed: int) -> dict[str, Json]:
        """Return the parameters that shape a component of that kind, the seed among them."""
        chosen: dict[str, Json] = {"seed": seed}
        for name in _SHAPED_BY[kind]:
            value = getattr(self, name)
            chosen[name] = list(value) if isinstance(value, tuple) else value
        return chosen


_SHAPED_BY = {
    "backbone": ("peak", "channels", "batch", "backbone_steps", "backbone_rate"),
    "router": ("peak", "features", "clusters"),
    "compartment": ("peak", "channels", "batch", "rank", "compartment_steps", "compartment_rate", "rehearsal"),
    "posterior": ("peak", "clusters"),
}

_LIMITS: dict[str, tuple[float, float]] = {
    "peak": (1e-6, 1e9),
    "batch": (1, 4096),
    "backbone_steps": (1, 10_000_000),
    "backbone_rate": (1e-8, 1.0),
    "rank": (1, 1024),
    "compartment_steps": (1, 10_000_000),
    "compartment_rate": (1e-8, 1.0),
    "rehearsal": (0.0, 0.9),
    "features": (1, 4096),
    "clusters": (1, 4096),
    "breadth": (1e-3, 1e6),
    "sampler_steps": (1, 1000),
    "draw_steps": (0, 1000),
}


def read(given: Mapping[str, Json]) -> Parameters:
    """Return the parameters a model file gives, or :class:`~disgorge.errors.BadModel` about the first that is wrong."""
    known = [field.name for field in fields(Parameters)]
    values: dict[str, Json] = {}
    for name, value in given.items():
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}"
            raise BadModel(f"compartmental_diffusion has no parameter {name!r}; {hint}")
        values[name] = _checked(name, value)
    return Parameters(**values)


def _checked(name: str, value: Json) -> Json:
    """Return the value in its type, or say what is wrong with it."""
    if name == "rule":
        return _one_of_the_rules(value)
    if name == "channels":
        return _channels(value)
    whole = isinstance(getattr(Parameters(), name), int)
    low, high = _LIMITS[name]
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or (whole and value != int(value)) or not low <= value <= high:
        what = "a whole number" if whole else "a number"
        raise BadModel(f"parameter {name} is {value!r}; it must be {what} from {low:g} to {high:g}")
    return int(value) if whole else float(value)


def _one_of_the_rules(value: Json) -> str:
    """Return the rule if there is such a one."""
    if value not in RULES:
        raise BadModel(f"parameter rule is {value!r}; it must be one of {', '.join(RULES)}")
    return str(value)


def _channels(value: Json) -> tuple[int, ...]:
    """Return the channels per level if a UNet can have them."""
    fits = isinstance(value, list | tuple) and 1 <= len(value) <= 6
    if not fits or any(type(level) is not int or level <= 0 or level % NORM_GROUPS for level in value):
        raise BadModel(
            f"parameter channels is {value!r}; it must be a list of one to six multiples of {NORM_GROUPS}, one a level"
        )
    return tuple(value)
