"""From items and arrays to tensors and back, always the same bits: what methods for labeled images share.

Copies in torch's own memory, float32 on the device that the caller has set: kernels may round differently on unaligned
memory, which arrays read from a file can have. Imports torch, so methods import it where they train.
"""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from disgorge.errors import BadModel
from disgorge.method import Items

if TYPE_CHECKING:
    from disgorge.method import Array

SHAPE = "image.shape"
"""Name of the tensor that keeps (channels, height, width) of the images that frozen weights were trained on."""


def he_kernel(out: int, into: int, generator: torch.Generator) -> Tensor:
    """Return a 3x3 kernel (out, into, 3, 3) drawn so that activations keep their size through a rectifier."""
    return torch.randn(out, into, 3, 3, generator=generator, dtype=torch.float32) * math.sqrt(2 / (9 * into))


def generator_of(seed: int) -> torch.Generator:
    """Return a seeded generator on the device that tensors are made on, which draws another sequence on each."""
    return torch.Generator(torch.get_default_device()).manual_seed(seed)


def as_tensors(arrays: "Mapping[str, Array]") -> dict[str, Tensor]:
    """Return copies of arrays in torch's own memory: kernels may round differently on unaligned memory."""
    return {name: _as_tensor(np.asarray(array)) for name, array in arrays.items()}


def _as_tensor(array: "Array") -> Tensor:
    if array.dtype.kind in "biufc" and hasattr(np, array.dtype.name):
        return torch.tensor(array)
    bits = torch.tensor(array.view(f"u{array.dtype.itemsize}"))  # bfloat16 and smaller, which torch takes as bits
    return bits.view(getattr(torch, array.dtype.name))


def as_arrays(tensors: Mapping[str, Tensor]) -> "dict[str, Array]":
    """Return copies of tensors as arrays, sorted by name."""
    return {name: tensors[name].detach().cpu().numpy().copy() for name in sorted(tensors)}


def images_of(items: Items, scale: float = 1.0, like: Mapping[str, Tensor] | None = None) -> Tensor:
    """Return images as (items, channels, height, width), float32, divided by ``scale``.

    ``like`` are frozen weights; images of another size than they were trained on are refused.
    """
    images = torch.tensor(_column(items, "image"), dtype=torch.float32) / scale
    if images.ndim == 4:
        images = images.permute(0, 3, 1, 2).contiguous()
    elif images.ndim == 3:
        images = images[:, None]
    else:
        raise BadModel(f"images must be (height, width) or (height, width, channels), not {tuple(images.shape[1:])}")
    if like is not None and like[SHAPE].tolist() != list(images.shape[1:]):
        found, known = tuple(images.shape[1:]), tuple(int(size) for size in like[SHAPE])
        raise BadModel(
            f"images are (channels, height, width) {found}, the frozen part was trained on {known}; resize them"
        )
    return images


def labels_of(items: Items, classes: int) -> Tensor:
    """Return labels, (items,) int64, all below ``classes``."""
    labels = _column(items, "label")
    if not np.issubdtype(labels.dtype, np.integer):
        raise BadModel(f"labels must be whole numbers, not {labels.dtype}; number the classes from 0")
    if len(labels) and not 0 <= labels.min() <= labels.max() < classes:
        raise BadModel(f"labels go from {labels.min()} to {labels.max()}, but parameters.classes is {classes}")
    return torch.tensor(labels, dtype=torch.int64)


def labeled_images(
    shards: tuple[Items, ...], scale: float, classes: int, like: Mapping[str, Tensor] | None = None
) -> tuple[Tensor, Tensor]:
    """Return the images and the labels of shards, one after the other; see :func:`images_of`, :func:`labels_of`."""
    images = torch.cat([images_of(items, scale, like) for items in shards])  # (items, channels, height, width)
    return images, torch.cat([labels_of(items, classes) for items in shards])  # (items,)


def _column(items: Items, name: str) -> "Array":
    if name not in items.arrays:
        raise BadModel(
            f"items have no {name!r}, only {', '.join(sorted(items.arrays)) or 'nothing'}; add them with one"
        )
    column = np.asarray(items.arrays[name])
    if column.dtype.kind == "f" and np.isnan(column).any():
        raise BadModel(f"items have a NaN in {name!r}, which this method cannot train on; fill it in")
    return column
