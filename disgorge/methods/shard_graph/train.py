"""Trains what a shard graph is made of: the encoder on the core; an adapter and the prototypes of each shard.

The encoder runs once per adapter or prototypes; no gradient goes through it.
"""

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from disgorge.method import Checkpoints, Items, Progress, seed_of
from disgorge.methods.shard_graph import encoder as encoding
from disgorge.methods.shard_graph.adapter import adapt
from disgorge.methods.shard_graph.settings import Settings
from disgorge.methods.shared.descent import Epochs, descend
from disgorge.methods.shared.tensors import SHAPE, as_arrays, as_tensors, generator_of, labeled_images
from lineage.records import shard_digest

if TYPE_CHECKING:
    from disgorge.method import Array, Tensors


def fit_encoder(
    settings: Settings, shards: tuple[Items, ...], progress: Progress, checkpoints: Checkpoints
) -> "dict[str, Array]":
    """Return the encoder's tensors: convolutions, the adapter all nodes start from, the core's own prototypes."""
    images, labels = labeled_images(shards, settings.scale, settings.classes)
    core = shard_digest(digest for items in shards for digest in items.digests)
    generator = generator_of(seed_of(settings.seed, "encoder", core))
    weights = encoding.initial_encoder(images.shape, settings, generator)
    learned = [tensor.requires_grad_() for tensor in weights.values()]

    def loss(rows: Tensor) -> Tensor:
        logits = adapt(encoding.start(weights), encoding.read_tokens(weights, images[rows]))
        return functional.cross_entropy(logits, labels[rows])

    batches = Epochs(len(labels), settings.core_epochs, settings.batch, generator)
    rate, decay = settings.core_learning_rate, settings.core_weight_decay
    descend(learned, loss, batches, rate=rate, decay=decay, progress=progress, checkpoints=checkpoints)
    weights = {name: tensor.detach() for name, tensor in weights.items()}
    vectors = encoding.embeddings(encoding.encode(weights, images))  # (items, features)
    weights[SHAPE] = torch.tensor(images.shape[1:], dtype=torch.int64)
    weights["core.sums"], weights["core.counts"] = encoding.class_sums(vectors, labels, settings.classes)
    return as_arrays(weights)


def fit_adapter(
    settings: Settings, shards: tuple[Items, ...], encoder: "Tensors", progress: Progress, checkpoints: Checkpoints
) -> "dict[str, Array]":
    """Return a node's adapter, trained by cross-entropy on its own shard, listed first, and its neighbors'.

    It starts from the adapter trained on the core, its head at zero, because that head knows only the core's classes.
    The order of items comes from the seed and the own shard, so two nodes that read the same shards shuffle apart.
    """
    frozen = as_tensors(encoder)
    images, labels = labeled_images(shards, settings.scale, settings.classes, like=frozen)
    tokens = encoding.encode(frozen, images)  # (items, tokens, dims)
    emphasis = torch.cat(
        [
            torch.full((len(items),), settings.neighbor_weight if place else 1.0, dtype=torch.float32)
            for place, items in enumerate(shards)
        ]
    )  # (items,)
    generator = generator_of(seed_of(settings.seed, "adapter", shards[0].shard))
    weights = encoding.start(frozen)
    weights |= {name: torch.zeros_like(weights[name]) for name in ("head.weight", "head.bias")}
    learned = [tensor.requires_grad_() for tensor in weights.values()]

    def loss(rows: Tensor) -> Tensor:
        each = functional.cross_entropy(adapt(weights, tokens[rows]), labels[rows], reduction="none")
        return (each * emphasis[rows]).mean()

    batches = Epochs(len(labels), settings.epochs, settings.batch, generator)
    rate, decay = settings.learning_rate, settings.weight_decay
    descend(learned, loss, batches, rate=rate, decay=decay, progress=progress, checkpoints=checkpoints)
    return as_arrays(weights)


def gather_prototypes(settings: Settings, items: Items, encoder: "Tensors") -> "dict[str, Array]":
    """Return a shard's prototypes: per class the sum of unit embeddings, and how many there are."""
    frozen = as_tensors(encoder)
    images, labels = labeled_images((items,), settings.scale, settings.classes, like=frozen)
    tokens = encoding.encode(frozen, images)  # (items, tokens, dims)
    sums, counts = encoding.class_sums(encoding.embeddings(tokens), labels, settings.classes)
    return as_arrays({"sums": sums, "counts": counts})
