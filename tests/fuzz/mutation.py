"""Changes to what was valid: bytes that are flipped, cut and copied about; trees whose leaves and branches change."""

import copy
import random
from collections.abc import Iterator
from typing import Any

from tests.fuzz import hostile

EDGES = (b"\x00", b"\xff", b"\x7f", b"\x80", b"\x00" * 4, b"\xff" * 4, b"\xff\xff\xff\x7f", b"\x00" * 64, b"\n", b'"')
"""Bytes that lengths, counts and signs are sensitive to."""


def damaged(data: bytes, rng: random.Random, *, end: int = 0) -> bytes:
    """Return ``data`` with one to eight changes; ``end`` > 0 keeps them to that many last bytes (where footers are)."""
    made = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        if not made:
            return bytes(made)
        first = max(len(made) - end, 0) if end else 0
        at = rng.randrange(first, len(made))
        match rng.randrange(8):
            case 0 | 1:
                made[at] ^= 1 << rng.randrange(8)
            case 2:
                made[at] = rng.randrange(256)
            case 3:
                edge = rng.choice(EDGES)
                made[at : at + len(edge)] = edge
            case 4:
                del made[at : at + rng.choice((1, 2, 7, 64, 1 << 16))]
            case 5:
                made[at:at] = rng.choice((rng.randbytes(rng.randrange(1, 9)), rng.choice(EDGES)))
            case 6:
                other = rng.randrange(len(made))
                made[at : at + 16] = made[other : other + 16]
            case 7:
                if rng.random() < 0.3:
                    del made[at:]
                else:
                    made[at] = (made[at] + rng.choice((1, -1))) % 256
    return bytes(made)


def changed(tree: Any, rng: random.Random) -> Any:
    """Return a JSON-like tree with one to three changes: a value, a key, a branch gone, doubled or moved."""
    made = copy.deepcopy(tree)
    for _ in range(rng.choice((1, 1, 2, 3))):
        places = list(_places(made))
        if not places:
            return hostile.value(rng)
        parent, key = rng.choice(places)
        match rng.randrange(8):
            case 0 | 1 | 2:
                parent[key] = hostile.word(rng)
            case 3 | 4:
                parent[key] = hostile.value(rng)
            case 5:
                del parent[key]
            case 6:
                other, at = rng.choice(places)
                if at in other if isinstance(other, dict) else at < len(other):
                    parent[key] = copy.deepcopy(other[at])
            case 7:
                if isinstance(parent, dict):
                    parent[hostile.word(rng)[:300]] = hostile.value(rng)
                else:
                    parent.insert(key, copy.deepcopy(parent[key]))
    return made


def words_changed(tree: Any, rng: random.Random, *, share: float, keep: frozenset[str] = frozenset()) -> Any:
    """Return a tree in which a share of the text values is hostile; those in ``keep`` stay."""
    if isinstance(tree, dict):
        return {key: words_changed(inner, rng, share=share, keep=keep) for key, inner in tree.items()}
    if isinstance(tree, list):
        return [words_changed(inner, rng, share=share, keep=keep) for inner in tree]
    if isinstance(tree, str) and tree not in keep and rng.random() < share:
        return hostile.word(rng)
    return tree


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every place in a tree as its parent and key."""
    if isinstance(tree, dict | list):
        for key in list(tree) if isinstance(tree, dict) else range(len(tree)):
            yield tree, key
            yield from _places(tree[key])
