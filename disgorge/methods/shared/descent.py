"""Gradient descent as every method here does it: AdamW over batches that a seeded generator draws.

It can go on from a checkpoint, to the very bits that it reaches in one go: what was learned and the optimizer's state
are put back; batches and the schedule, which follow from the seed and the number of steps, are gone through again.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Protocol, TypeVar

import torch
from torch import Tensor
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler

from disgorge.method import NO_CHECKPOINTS, Checkpoints, Progress
from disgorge.methods.shared.tensors import as_arrays, as_tensors

if TYPE_CHECKING:
    from disgorge.method import Tensors

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
    checkpoints: Checkpoints = NO_CHECKPOINTS,
    beside: Iterable[Tensor] = (),
    generator: torch.Generator | None = None,
) -> None:
    """Minimize ``loss`` over ``batches`` in place, one step of AdamW each; the rate falls by a cosine by default.

    ``beside`` are tensors that ``loss`` changes besides, ``generator`` what it draws from: checkpoints hold both.
    """
    learned = list(tensors)
    optimizer = torch.optim.AdamW(learned, lr=rate, weight_decay=decay)
    falling = (schedule or partial(CosineAnnealingLR, T_max=len(batches)))(optimizer)
    state = _State([*learned, *beside], optimizer, falling, generator)
    begun = 0 if checkpoints.last is None else state.put_back(checkpoints.last)
    for done, batch in enumerate(islice(batches, begun, None), start=begun + 1):
        value = loss(batch)
        optimizer.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        falling.step()
        progress(done, len(batches))
        checkpoints.keep(partial(state.after, done))


@dataclass(frozen=True, slots=True)
class _State:
    """All that decides how a descent goes on, beside its arguments."""

    changing: list[Tensor]
    optimizer: torch.optim.Optimizer
    falling: LRScheduler
    generator: torch.Generator | None

    def after(self, done: int) -> "Tensors":
        """Return it as tensors, after so many steps."""
        found = {"done": torch.tensor(done)} | {f"changing.{n}": each for n, each in enumerate(self.changing)}
        for number, state in self.optimizer.state_dict()["state"].items():
            found |= {f"optimizer.{number}.{name}": each for name, each in state.items()}
        if self.generator is not None:
            found["generator"] = self.generator.get_state()
        return as_arrays(found)

    def put_back(self, last: "Tensors") -> int:
        """Go to where a checkpoint was kept, and return how many steps that was."""
        kept = as_tensors(last)
        done, state = int(kept["done"]), dict[int, dict[str, Tensor]]()
        with torch.no_grad():
            for number, each in enumerate(self.changing):
                each.copy_(kept[f"changing.{number}"])
        self.optimizer.step()  # no gradient is there yet, so this only lets the schedule begin
        for _ in range(done):
            self.falling.step()
        for name, each in kept.items():
            if name.startswith("optimizer."):
                _, place, what = name.split(".")
                state.setdefault(int(place), {})[what] = each
        self.optimizer.load_state_dict(self.optimizer.state_dict() | {"state": state})
        if self.generator is not None:
            self.generator.set_state(kept["generator"])
        return done
