"""The items that a job trains on, joined and picked, and torch held to a thread count."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec

from disgorge.method import Items


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


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Hold torch to a thread count inside the block, because bits depend on it; restores the count that was.

    Where torch is not installed, a method can do without it and there is nothing to hold. Nor is there where it is not
    loaded yet and the environment says the same count, as it does in workers: torch takes that when it is loaded,
    and a method that needs no torch need not wait for it.
    """
    unloaded = "torch" not in sys.modules and os.environ.get("OMP_NUM_THREADS") == str(count)
    if unloaded or find_spec("torch") is None:
        yield
        return
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
