"""What a job reads, by digest: from a workspace, or from the folder that a sandboxed job is given; and items picked."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from disgorge.method import Items

if TYPE_CHECKING:
    from disgorge.method import Tensors


class Inputs(Protocol):
    """Items of shards and tensors of components, by digest."""

    def items(self, shard: str) -> Items:
        """Return a shard's items, in digest order."""

    def tensors(self, component: str) -> "Tensors":
        """Return a component's tensors."""


def join(parts: list[Items]) -> Items:
    """Return several sets of items as one; the fields must agree. No parts make no items."""
    import numpy as np

    parts = [part for part in parts if len(part)]
    if not parts:
        return Items((), {})
    arrays = {field: np.concatenate([part.arrays[field] for part in parts]) for field in parts[0].arrays}
    return Items(tuple(digest for part in parts for digest in part.digests), arrays)


def pick(items: Items, digests: frozenset[str]) -> Items:
    """Return those items whose digest is wanted, in their order."""
    return rows_of(items, [row for row, digest in enumerate(items.digests) if digest in digests])


def rows_of(items: Items, rows: Sequence[int]) -> Items:
    """Return the items of these rows."""
    import numpy as np

    index = np.array(rows, dtype=np.int64)
    return Items(tuple(items.digests[row] for row in rows), {name: a[index] for name, a in items.arrays.items()})
