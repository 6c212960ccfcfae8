"""A small instance that trains in about a second, for the removal laws."""

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from disgorge.method import Items, ModelSpec, Toy, seed_of

if TYPE_CHECKING:
    from disgorge.method import Array

_CLASSES = 3
_SIDE = 6
_COUNTS = {"core": 36, "shard-1": 12, "shard-2": 16, "shard-3": 20, "shard-4": 14, "shard-5": 12, "held-out": 30}


def toy(seed: int) -> Toy:
    """Return five removable shards of 6x6 patterns under heavy noise, three classes; the core lacks the third.

    Noise outweighs pattern, so that training has something to memorize that removal can be seen to take away.
    """
    chance = np.random.default_rng(seed_of(seed, "tangent_composition", "toy"))
    patterns = chance.integers(0, 6, (_CLASSES, _SIDE, _SIDE))  # (classes, height, width)
    items = {}
    for name, count in _COUNTS.items():
        label = np.arange(count) % (_CLASSES - 1 if name == "core" else _CLASSES)  # (items,)
        noise = chance.integers(0, 11, (count, _SIDE, _SIDE))
        image = (patterns[label] + noise).astype(np.uint8)  # (items, height, width)
        items[name] = _in_digest_order(image, label.astype(np.int64))
    spec = ModelSpec(
        release="toy-tangent",
        method="tangent_composition",
        core=("core",),
        shards=tuple(name for name in _COUNTS if name.startswith("shard-")),
        evaluate=("held-out",),
        seed=seed,
        parameters={
            "classes": _CLASSES,
            "filters": 4,
            "batch": 16,
            "core_epochs": 6,
            "epochs": 12,
            "learning_rate": 0.02,
        },
    )
    return Toy(spec, items)


def _in_digest_order(image: "Array", label: "Array") -> Items:
    digests = [hashlib.sha256(one.tobytes() + bytes([int(y)])).hexdigest() for one, y in zip(image, label, strict=True)]
    order = np.argsort(digests)
    return Items(tuple(digests[i] for i in order), {"image": image[order], "label": label[order]})
