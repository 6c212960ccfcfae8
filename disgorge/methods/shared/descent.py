"""Gradient descent as every method here does it: AdamW over batches that a seeded generator draws."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

import torch
from torch import Tensor
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler

from disgorge.method import Progress

Batch = TypeVar("Batch", covariant=True)
Schedule = Callable[[torch.optim.Optimizer], LRScheduler]


class Batches(Protocol[Batch]):
    """A known number of batches."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Batch]: ...


@dataclass(frozen=True, slots=True)
class Epochs:
    """Batches of row numbers, (batch,) each: every row once an epoch, shuffled anew by the generator."""

    rows: int
    count: int
    batch: int
    generator: torch.Generator

    @property
    def steps_each(self) -> int:
        """Batches per epoch."""
        return -(-self.rows // self.batch)

    def __len__(self) -> int:
        return self.count * self.steps_each

    def __iter__(self) -> Iterator[Tensor]:
        for _ in range(self.count):
            yield from torch.split(torch.randperm(self.rows, generator=self.generator), self.batch)


def descend(
    tensors: Iterable[Tensor],
    loss: Callable[[Batch], Tensor],
    batches: Batches[Batch],
    *,
    rate: float,
    decay: float = 0.0,
    schedule: Schedule | None = None,
    progress: Progress,
) -> None:
    """Minimize ``loss`` over ``batches`` in place, one step of AdamW each; the rate falls by a cosine by default."""
    optimizer = torch.optim.AdamW(list(tensors), lr=rate, weight_decay=decay)
    falling = (schedule or partial(CosineAnnealingLR, T_max=len(batches)))(optimizer)
    for done, batch in enumerate(batches, start=1):
        value = loss(batch)
        optimizer.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        falling.step()
        progress(done, len(batches))
