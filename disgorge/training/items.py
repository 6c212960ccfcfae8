"""Items, joined and picked."""

from collections.abc import Sequence

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
