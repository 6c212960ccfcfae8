"""The frozen encoder: trained on the core alone, it turns an image into tokens that all adapters share.

    conv 3x3 -> relu -> conv 3x3, stride 2 -> relu -> conv 3x3 -> relu -> conv 3x3 -> relu
    each position of the last map is a token; a token is normalized over its dimensions, with nothing fitted
    an adapter on the tokens, trained along with them: every node starts from it, and it answers where none is left

Everything here is fitted on the core, so no removable item is in it.
"""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from disgorge.methods.shard_graph.adapter import initial_adapter
from disgorge.methods.shard_graph.settings import Settings
from disgorge.methods.shared.tensors import he_kernel

START = "start."
"""Prefix of the tensors of the adapter that all nodes start from."""

_STRIDES = {"conv1": 1, "conv2": 2, "conv3": 1, "conv4": 1}


def initial_encoder(shape: torch.Size, settings: Settings, generator: torch.Generator) -> dict[str, Tensor]:
    """Return random convolutions and an untrained adapter for images of ``shape`` (items, channels, height, width)."""
    _, channels, height, width = shape
    dims = 2 * settings.filters
    sizes = (channels, settings.filters, dims, dims, dims)
    weights: dict[str, Tensor] = {}
    for name, into, out in zip(_STRIDES, sizes, sizes[1:], strict=False):
        weights[f"{name}.weight"] = he_kernel(out, into, generator)
        weights[f"{name}.bias"] = torch.zeros(out, dtype=torch.float32)
    first = initial_adapter(
        settings.adapter,
        queries=settings.queries,
        classes=settings.classes,
        tokens=-(-height // 2) * -(-width // 2),
        dims=dims,
        generator=generator,
    )
    return weights | {START + name: tensor for name, tensor in first.items()}


def start(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the adapter trained on the core: what every node starts from."""
    return {name.removeprefix(START): tensor for name, tensor in weights.items() if name.startswith(START)}


def read_tokens(weights: Mapping[str, Tensor], images: Tensor) -> Tensor:
    """Return tokens (items, tokens, dims) of images, with gradients."""
    h = images  # (items, channels, height, width)
    for name, stride in _STRIDES.items():
        h = functional.relu(
            functional.conv2d(h, weights[f"{name}.weight"], weights[f"{name}.bias"], stride=stride, padding=1)
        )
    z = h.flatten(2).transpose(1, 2)  # (items, tokens, dims)
    return functional.layer_norm(z, z.shape[-1:])


def encode(weights: Mapping[str, Tensor], images: Tensor) -> Tensor:
    """Return tokens (items, tokens, dims): computed once per batch, shared by all adapters and prototypes."""
    with torch.no_grad():
        return read_tokens(weights, images)


def embeddings(tokens: Tensor) -> Tensor:
    """Return unit vectors (items, tokens * dims), float64: what prototypes are sums of."""
    return functional.normalize(tokens.flatten(1).double(), dim=1)


def class_sums(vectors: Tensor, labels: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Return per class the sum of ``vectors`` (items, features), float64, and how many there are, int64.

    Summed item by item in the order given, which is digest order: the bits are a function of what is retained.
    """
    sums = torch.zeros(classes, vectors.shape[1], dtype=torch.float64)  # (classes, features)
    for vector, label in zip(vectors, labels.tolist(), strict=True):
        sums[label] += vector
    return sums, torch.bincount(labels, minlength=classes)
