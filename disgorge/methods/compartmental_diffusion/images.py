"""From a shard's items to what a network takes, and back."""

from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from disgorge.errors import BadModel
from disgorge.method import Items
from disgorge.methods.shared.tensors import images_of

if TYPE_CHECKING:
    from disgorge.method import Array


def to_network(items: Items, peak: float) -> Tensor:
    """Return the images as (items, channels, height, width) in [-1, 1]; black is -1 and ``peak`` is 1.

    Takes the field ``image`` of shape (items, height, width) or (items, height, width, channels).
    """
    planes = images_of(items)  # (items, channels, height, width)
    if not bool(((planes >= 0) & (planes <= peak)).all()):
        raise BadModel(f"field 'image' has values outside 0 to {peak:g}; set parameter peak to the value that is white")
    return planes * (2 / peak) - 1


def from_network(planes: Tensor, axes: int) -> "Array":
    """Return images in [0, 1] with ``axes`` axes an item, 2 or 3, from (items, channels, height, width) in [-1, 1]."""
    pixels = ((planes + 1) / 2).clamp(0, 1)
    array: Array = (pixels[:, 0] if axes == 2 else pixels.permute(0, 2, 3, 1)).contiguous().numpy()
    return array


def together(shards: tuple[Items, ...]) -> Items:
    """Return several shards as one, in digest order, so that neither their names nor their order matter."""
    if len(shards) == 1:
        return shards[0]
    digests = [digest for shard in shards for digest in shard.digests]
    order = np.argsort(np.array(digests), kind="stable")
    if len({shard.arrays["image"].shape[1:] for shard in shards if "image" in shard.arrays}) > 1:
        raise BadModel("the core's shards have images of unequal size; give every image the same height and width")
    image = np.concatenate([shard.arrays["image"] for shard in shards if "image" in shard.arrays])
    return Items(digests=tuple(digests[index] for index in order), arrays={"image": image[order]})
