"""From a shard's items to what a network takes, and back."""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from disgorge.errors import BadModel
from disgorge.method import Items

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]


def to_network(items: Items, peak: float) -> Tensor:
    """Return the images as (items, channels, height, width) in [-1, 1]; black is -1 and ``peak`` is 1.

    Takes the field ``image`` of shape (items, height, width) or (items, height, width, channels).
    """
    if "image" not in items.arrays:
        raise BadModel(
            "compartmental_diffusion trains on a field 'image'; this shard has "
            + (", ".join(sorted(items.arrays)) or "none")
        )
    pixels = torch.from_numpy(items.arrays["image"].astype("float32"))  # (items, height, width[, channels])
    if pixels.ndim not in (3, 4):
        raise BadModel(f"field 'image' has {pixels.ndim - 1} axes an item; it must be height x width [x channels]")
    if not bool(((pixels >= 0) & (pixels <= peak)).all()):
        raise BadModel(f"field 'image' has values outside 0 to {peak:g}; set parameter peak to the value that is white")
    planes = pixels[:, None] if pixels.ndim == 3 else pixels.permute(0, 3, 1, 2)  # (items, channels, height, width)
    return (planes * (2 / peak) - 1).contiguous()


def from_network(planes: Tensor, axes: int) -> "Array":
    """Return images in [0, 1] with ``axes`` axes an item, 2 or 3, from (items, channels, height, width) in [-1, 1]."""
    pixels = ((planes + 1) / 2).clamp(0, 1)
    array: Array = (pixels[:, 0] if axes == 2 else pixels.permute(0, 2, 3, 1)).contiguous().numpy()
    return array


def together(shards: tuple[Items, ...]) -> Items:
    """Return several shards as one, in digest order, so that neither their names nor their order matter."""
    import numpy as np

    if len(shards) == 1:
        return shards[0]
    digests = [digest for shard in shards for digest in shard.digests]
    order = np.argsort(np.array(digests), kind="stable")
    if len({shard.arrays["image"].shape[1:] for shard in shards if "image" in shard.arrays}) > 1:
        raise BadModel("the core's shards have images of unequal size; give every image the same height and width")
    image = np.concatenate([shard.arrays["image"] for shard in shards if "image" in shard.arrays])
    return Items(digests=tuple(digests[index] for index in order), arrays={"image": image[order]})
