"""Small instances that train in about a second, for the removal laws."""

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from disgorge.method import Items, ModelSpec, Toy, seed_of
from lineage.records import Json

if TYPE_CHECKING:
    from disgorge.method import Array

_CLASSES = 3
_SIDE = 6
_COUNTS = {"core": 36, "shard-1": 12, "shard-2": 16, "shard-3": 20, "shard-4": 14, "shard-5": 12, "held-out": 30}


def classifier_toy(method: str, seed: int, *, release: str, **parameters: Json) -> Toy:
    """Return five removable shards of 6x6 patterns under heavy noise, three classes; the core lacks the third.

    Noise outweighs pattern, so that training has something to memorize that removal can be seen to take away.
    """
    chance = np.random.default_rng(seed_of(seed, method, "toy"))
    patterns = chance.integers(0, 6, (_CLASSES, _SIDE, _SIDE))  # (classes, height, width)
    items = {}
    for name, count in _COUNTS.items():
        label = np.arange(count) % (_CLASSES - 1 if name == "core" else _CLASSES)  # (items,)
        noise = chance.integers(0, 11, (count, _SIDE, _SIDE))
        image = (patterns[label] + noise).astype(np.uint8)  # (items, height, width)
        items[name] = in_digest_order(image, label.astype(np.int64))
    common = {"classes": _CLASSES, "filters": 4, "batch": 16, "core_epochs": 6, "epochs": 12, "learning_rate": 0.02}
    shards = tuple(name for name in _COUNTS if name.startswith("shard-"))
    spec = ModelSpec(release, method, ("core",), shards, ("held-out",), seed=seed, parameters=common | parameters)
    return Toy(spec, items)


def in_digest_order(image: "Array", label: "Array | None" = None) -> Items:
    """Return images, with labels where there are any, as items in digest order."""
    fields = {"image": image} | ({} if label is None else {"label": label})
    endings = [b""] * len(image) if label is None else [bytes([int(each)]) for each in label]
    digests = [hashlib.sha256(one.tobytes() + end).hexdigest() for one, end in zip(image, endings, strict=True)]
    order = np.argsort(digests)
    return Items(tuple(digests[row] for row in order), {name: array[order] for name, array in fields.items()})
