"""Gradient descent as every method here does it: AdamW over batches that a seeded generator draws.

AdamW comes as torch's function, not as its class: an instance of that class loads torch's compiler, which takes longer
than training a small part.

It can go on from a checkpoint, to the very bits that it reaches in one go: what was learned and the optimizer's state
are put back; batches, which follow from the seed and the number of steps, are gone through again.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from math import cos, pi
from typing import TYPE_CHECKING, Protocol, TypeVar

import torch
from torch import Tensor
from torch.optim.adamw import adamw

from disgorge.method import NO_CHECKPOINTS, Checkpoints, Progress
from disgorge.methods.shared.tensors import as_arrays, as_tensors

if TYPE_CHECKING:
    from disgorge.method import Tensors

Batch = TypeVar("Batch", covariant=True)
Share = Callable[[int], float]
"""The share of the learning rate with which a step, counted from 0, is taken."""


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
    share: Share | None = None,
    progress: Progress,
    checkpoints: Checkpoints = NO_CHECKPOINTS,
    beside: Iterable[Tensor] = (),
    generator: torch.Generator | None = None,
) -> None:
    """Minimize ``loss`` over ``batches`` in place, one step of AdamW each; the rate falls by a cosine by default.

    ``beside`` are tensors that ``loss`` changes besides, ``generator`` what it draws from: checkpoints hold both.
    """
    learned = list(tensors)
    optimizer, share = AdamW(learned, decay), share or partial(_cosine, steps=len(batches))
    state = _State([*learned, *beside], optimizer, generator)
    begun = 0 if checkpoints.last is None else state.put_back(checkpoints.last)
    for done, batch in enumerate(islice(batches, begun, None), start=begun):
        for each in learned:
            each.grad = None
        loss(batch).backward()  # type: ignore[no-untyped-call]
        optimizer.step(rate * share(done))
        progress(done + 1, len(batches))
        checkpoints.keep(partial(state.after, done + 1))


def _cosine(step: int, *, steps: int) -> float:
    return (1 + cos(pi * step / steps)) / 2


class AdamW:
    """AdamW (arXiv:1711.05101) over some tensors, with the usual constants; ``state`` is what it remembers of them."""

    def __init__(self, tensors: Sequence[Tensor], decay: float) -> None:
        self._tensors, self._decay = tensors, decay
        self.state = [
            (torch.zeros_like(each), torch.zeros_like(each), torch.zeros((), device="cpu")) for each in tensors
        ]
        """Of each tensor the mean of its gradients, that of their squares, and the number of steps."""

    def step(self, rate: float) -> None:
        """Take one step along the gradients there are."""
        moved = [(each, *state) for each, state in zip(self._tensors, self.state, strict=True) if each.grad is not None]
        gradients = [each.grad for each, *_ in moved if each.grad is not None]
        tensors, means, squares, steps = (list(column) for column in zip(*moved, strict=True))
        with torch.no_grad():
            adamw(
                tensors, gradients, means, squares, [], steps, amsgrad=False, beta1=0.9, beta2=0.999, lr=rate,
                weight_decay=self._decay, eps=1e-8, maximize=False,
            )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _State:
    """All that decides how a descent goes on, beside its arguments."""

    changing: list[Tensor]
    optimizer: AdamW
    generator: torch.Generator | None

    def after(self, done: int) -> "Tensors":
        """Return it as tensors, after so many steps."""
        found = {"done": torch.tensor(done)} | {name: tensor for name, tensor in self._named()}
        if self.generator is not None:
            found["generator"] = self.generator.get_state()
        return as_arrays(found)

    def put_back(self, last: "Tensors") -> int:
        """Go to where a checkpoint was kept, and return how many steps that was."""
        kept = as_tensors(last)
        with torch.no_grad():
            for name, tensor in self._named():
                tensor.copy_(kept[name])
        if self.generator is not None:
            self.generator.set_state(kept["generator"].cpu())
        return int(kept["done"])

    def _named(self) -> Iterator[tuple[str, Tensor]]:
        yield from ((f"changing.{number}", each) for number, each in enumerate(self.changing))
        for number, state in enumerate(self.optimizer.state):
            yield from ((f"optimizer.{number}.{place}", each) for place, each in enumerate(state))
