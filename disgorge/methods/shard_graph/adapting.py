"""What a node learns on top of the frozen encoder: its adapter and its shard's prototypes.

The encoder runs once per training; no gradient goes through it.
"""

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from disgorge.method import Items, Progress, seed_of
from disgorge.methods.shard_graph import encoding
from disgorge.methods.shard_graph.attention import adapt
from disgorge.methods.shard_graph.settings import AdapterSettings, PrototypeSettings
from disgorge.methods.shared.tensors import as_arrays, as_tensors, deterministic, images_of, labels_of

if TYPE_CHECKING:
    from disgorge.method import Array, Tensors


def fit_adapter(
    settings: AdapterSettings, shards: tuple[Items, ...], encoder: "Tensors", progress: Progress
) -> "dict[str, Array]":
    """Return a node's adapter, trained by cross-entropy on its own shard, listed first, and its neighbors'.

    It starts from the adapter trained on the core, its head at zero, because that head knows only the core's classes.
    The order of items comes from the seed and the own shard, so two nodes that read the same shards shuffle apart.
    """
    with deterministic():
        frozen = as_tensors(encoder)
        tokens = torch.cat(
            [encoding.encode(frozen, images_of(items, settings.scale, frozen)) for items in shards]
        )  # (items, tokens, dims)
        labels = torch.cat([labels_of(items, settings.classes) for items in shards])  # (items,)
        emphasis = torch.cat(
            [
                torch.full((len(items),), settings.neighbor_weight if place else 1.0, dtype=torch.float32)
                for place, items in enumerate(shards)
            ]
        )  # (items,)
        generator = torch.Generator().manual_seed(seed_of(settings.seed, "adapter", shards[0].shard))
        weights = encoding.start(frozen)
        weights |= {name: torch.zeros_like(weights[name]) for name in ("head.weight", "head.bias")}
        optimizer = torch.optim.AdamW(
            [tensor.requires_grad_() for tensor in weights.values()],
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
        )
        steps = settings.epochs * -(-len(labels) // settings.batch)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        done = 0
        for _ in range(settings.epochs):
            for batch in torch.split(torch.randperm(len(labels), generator=generator), settings.batch):
                each = functional.cross_entropy(adapt(weights, tokens[batch]), labels[batch], reduction="none")
                loss = (each * emphasis[batch]).mean()
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
                done += 1
                progress(done, steps)
        return as_arrays(weights)


def gather_prototypes(settings: PrototypeSettings, items: Items, encoder: "Tensors") -> "dict[str, Array]":
    """Return a shard's prototypes: per class the sum of unit embeddings, and how many there are."""
    with deterministic():
        frozen = as_tensors(encoder)
        tokens = encoding.encode(frozen, images_of(items, settings.scale, frozen))
        labels = labels_of(items, settings.classes)
        sums, counts = encoding.class_sums(encoding.embeddings(tokens), labels, settings.classes)
        return as_arrays({"sums": sums, "counts": counts})
