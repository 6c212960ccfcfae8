"""Trains what a tangent composition is made of: the backbone on the core, and one tangent per shard.

Every function here is deterministic where the caller has torch take deterministic kernels: float32, generators of its
own seeded from the arguments.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from disgorge.method import Checkpoints, Items, Progress, seed_of
from disgorge.methods.shared.descent import Epochs, descend
from disgorge.methods.shared.tensors import SHAPE, as_arrays, as_tensors, generator_of, labeled_images
from disgorge.methods.tangent_composition import network
from disgorge.methods.tangent_composition.settings import Settings
from lineage.records import shard_digest

if TYPE_CHECKING:
    from disgorge.method import Array


def fit_backbone(
    settings: Settings, shards: tuple[Items, ...], progress: Progress, checkpoints: Checkpoints
) -> "dict[str, Array]":
    """Return w0: the trunk by cross-entropy on the core, then the head by ridge regression on its features.

    The ridge head is the one start that all tangents share; it answers in the units of the tangents' loss, k e_y.
    """
    images, labels = labeled_images(shards, settings.scale, settings.classes)
    core = shard_digest(digest for items in shards for digest in items.digests)
    generator = generator_of(seed_of(settings.seed, "backbone", core))
    weights = network.initial_weights(
        channels=images.shape[1],
        height=images.shape[2],
        width=images.shape[3],
        filters=settings.filters,
        classes=settings.classes,
        generator=generator,
    )
    learned = [tensor.requires_grad_() for name, tensor in weights.items() if name not in network.STATISTICS]

    def loss(rows: Tensor) -> Tensor:
        hidden = network.stage_one(weights, images[rows], training=True)
        return functional.cross_entropy(network.plain(weights, hidden, training=True), labels[rows])

    batches = Epochs(len(labels), settings.core_epochs, settings.batch, generator)
    rate, decay = settings.core_learning_rate, settings.core_weight_decay
    statistics = [weights[name] for name in network.STATISTICS]
    descend(
        learned, loss, batches, rate=rate, decay=decay, progress=progress, checkpoints=checkpoints,
        beside=statistics,
    )  # fmt: skip
    weights = {name: tensor.detach() for name, tensor in weights.items()}
    seen = network.features(weights, network.stage_one(weights, images))  # (items, features)
    weights |= ridge_head(seen, labels, classes=settings.classes, target=settings.target, ridge=settings.ridge)
    return as_arrays(weights | {SHAPE: torch.tensor(images.shape[1:], dtype=torch.int64)})


def ridge_head(seen: Tensor, labels: Tensor, *, classes: int, target: float, ridge: float) -> dict[str, Tensor]:
    """Return the head that minimizes the mean of (W s + b - k e_y)^2 plus ``ridge`` |W|^2, solved in float64.

    ``seen`` is (items, features). A class the core lacks is answered with 0 everywhere: no evidence, not evidence
    against.
    """
    s = seen.double()
    center = s.mean(0)  # (features,)
    targets = target * functional.one_hot(labels, classes).double()  # (items, classes)
    offset = targets.mean(0)  # (classes,)
    s = s - center
    gram = s.T @ s / len(s) + ridge * torch.eye(s.shape[1], dtype=torch.float64)  # (features, features)
    weight = torch.linalg.solve(gram, s.T @ (targets - offset) / len(s)).T  # (classes, features)
    return {"head.weight": weight.float().contiguous(), "head.bias": (offset - weight @ center).float()}


def fit_tangent(
    settings: Settings,
    items: Items,
    backbone: "Mapping[str, Array]",
    progress: Progress,
    checkpoints: Checkpoints,
) -> "dict[str, Array]":
    """Return d_t, by name of weight: from zero, on one shard alone, by the rescaled squares loss.

        mean over batch and classes of (f_lin(x; d) - k e_y)^2  +  regularizer |d|

    The order of items is a function of the seed and the shard, and of nothing that is outside it.
    """
    weights = as_tensors(backbone)
    images, labels = labeled_images((items,), settings.scale, settings.classes, like=weights)
    hidden = network.stage_one(weights, images)  # (items, filters, height, width)
    targets = settings.target * functional.one_hot(labels, settings.classes).float()  # (items, classes)
    generator = generator_of(seed_of(settings.seed, "tangent", items.shard))
    shapes = {name: weights[name].shape for name in network.TANGENT}
    flat = torch.zeros(sum(shape.numel() for shape in shapes.values()), dtype=torch.float32)  # (params,)
    flat.requires_grad_()
    batches = Epochs(len(items), settings.epochs, settings.batch, generator)

    def loss(rows: Tensor) -> Tensor:
        base, moved = network.linearized(weights, named(flat, shapes), hidden[rows])  # (batch, classes)
        missed: Tensor = functional.mse_loss(base + moved, targets[rows])
        missed = missed + settings.regularizer * torch.linalg.vector_norm(flat)
        return missed

    def share(step: int) -> float:
        epoch = step // batches.steps_each
        return 0.1 ** ((epoch >= settings.epochs // 2) + (epoch >= settings.epochs * 4 // 5))

    descend(
        [flat], loss, batches, rate=settings.learning_rate, share=share, progress=progress,
        checkpoints=checkpoints,
    )  # fmt: skip
    return as_arrays(named(flat, shapes))


def named(flat: Tensor, shapes: Mapping[str, torch.Size]) -> dict[str, Tensor]:
    """Return views of a flat vector (params,), one per name in order of ``shapes``."""
    pieces = torch.split(flat, [shape.numel() for shape in shapes.values()])
    return {name: piece.view(shape) for (name, shape), piece in zip(shapes.items(), pieces, strict=True)}
