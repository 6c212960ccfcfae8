"""Scikit-learn's 1,797 handwritten digits, shared out to a public core, eight contributors and a held-out set.

    python -m examples.digits.data OUT_DIR

The images and labels are real (``sklearn.datasets.load_digits``, UCI "Optical Recognition of Handwritten Digits").
**Everything said about people and organizations is invented here**: the data set names no writers, so the persons,
the contributors' sources and their licenses exist only to have something to ask about. Each person has seven images,
all within one shard; the last person of a shard has what is left (four of 130).

The core holds only the digits 0 to 6. Digits 7, 8 and 9 are brought by contributors alone, so what a model knows of
them it learned from data that can be asked back. Each contributor leans to some digits and overlaps with the others.

The split is a function of the index in the data set and of the table below, so it is the same on every machine:

>>> sum(CONTRIBUTED["contributor-1"].images)
130
>>> [sum(contributor.images[digit] for contributor in CONTRIBUTED.values()) for digit in (7, 8, 9)]
[154, 149, 155]
"""

import hashlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

CORE = "core"
HELD_OUT = "held-out"
IMAGES_PER_PERSON = 7
PUBLIC_LICENSE = "BSD-3-Clause"
"""The license scikit-learn ships the data under: what the core and the held-out set are used on."""


@dataclass(frozen=True, slots=True)
class Contributor:
    """Where a contributor's images are said to come from, and how many of each digit (0 to 9) it brings."""

    source: str
    license: str
    images: tuple[int, ...]


CONTRIBUTED: Mapping[str, Contributor] = {
    "contributor-1": Contributor("clinic-a", "LicenseRef-data-use-agreement", (10, 10, 5, 5, 5, 5, 5, 65, 10, 10)),
    "contributor-2": Contributor("school-b", "CC-BY-4.0", (10, 5, 5, 10, 5, 5, 5, 10, 65, 10)),
    "contributor-3": Contributor("post-office-c", "LicenseRef-contract", (5, 5, 5, 10, 10, 5, 5, 10, 10, 65)),
    "contributor-4": Contributor("bank-d", "LicenseRef-contract", (8, 35, 15, 5, 6, 5, 5, 36, 7, 8)),
    "contributor-5": Contributor("volunteers-e", "CC-BY-4.0", (8, 5, 5, 35, 6, 18, 5, 8, 32, 8)),
    "contributor-6": Contributor("museum-f", "CC0-1.0", (6, 6, 5, 5, 36, 6, 17, 8, 7, 34)),
    "contributor-7": Contributor("clinic-g", "LicenseRef-data-use-agreement", (32, 6, 6, 6, 6, 6, 40, 9, 9, 10)),
    "contributor-8": Contributor("scraped-forum", "LicenseRef-forum-terms", (6, 6, 33, 6, 6, 40, 6, 8, 9, 10)),
}
"""Eight contributors of 130 images. The last one's source is the one a regulator orders away."""

HELD_OUT_IMAGES = (26, 26, 26, 26, 26, 26, 26, 25, 25, 25)
"""Images of each digit that nobody trains on. The core gets what is left of the digits 0 to 6: 500 images."""


def write_digits(folder: Path) -> dict[str, Path]:
    """Write one NPZ file per shard to ``folder`` (made if missing) and return the files by shard name.

    A file holds ``image`` (n, 8, 8) uint8 from 0 to 16, ``label`` (n,) int64, and the string columns ``key``
    ("digit-0001" is index 1 of the data set), ``subject``, ``source`` and ``license``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written: dict[str, Path] = {}
    for name, columns in digits().items():
        written[name] = folder / f"{name}.npz"
        np.savez(written[name], allow_pickle=False, **columns)
    return written


def digits() -> dict[str, dict[str, np.ndarray[Any, Any]]]:
    """Return the columns of every shard by its name: the core, the contributors, then the held-out set."""
    from sklearn.datasets import load_digits  # a second of import that help and type checks need not pay

    images, labels = load_digits(return_X_y=True)
    images = images.reshape(-1, 8, 8).astype(np.uint8)  # (images, height, width)
    shards: dict[str, dict[str, np.ndarray[Any, Any]]] = {}
    persons = 0
    for name, indices in split(labels).items():
        source, terms = _source_and_license(name)
        people = [f"person-{persons + position // IMAGES_PER_PERSON + 1:03d}" for position in range(len(indices))]
        persons += -(-len(indices) // IMAGES_PER_PERSON)
        shards[name] = {
            "image": images[indices],
            "label": labels[indices].astype(np.int64),
            "key": np.array([f"digit-{index:04d}" for index in indices]),
            "subject": np.array(people),
            "source": np.array([source] * len(indices)),
            "license": np.array([terms] * len(indices)),
        }
    return shards


def split(labels: np.ndarray[Any, Any]) -> dict[str, list[int]]:
    """Return the indices of each shard by its name. Every index is in exactly one shard."""
    waiting = {digit: _mixed([i for i, label in enumerate(labels) if label == digit]) for digit in range(10)}
    shards: dict[str, list[int]] = {CORE: []}
    for name, quota in {**{n: c.images for n, c in CONTRIBUTED.items()}, HELD_OUT: HELD_OUT_IMAGES}.items():
        taken: list[int] = []
        for digit, count in enumerate(quota):
            taken += waiting[digit][:count]
            del waiting[digit][:count]
        shards[name] = _mixed(taken)
    shards[CORE] = _mixed([index for left in waiting.values() for index in left])
    return shards


def _mixed(indices: list[int]) -> list[int]:
    """Return indices in an order that looks random and depends on nothing but the indices."""
    return sorted(indices, key=lambda index: hashlib.sha256(f"digit-{index:04d}".encode()).digest())


def _source_and_license(name: str) -> tuple[str, str]:
    """Return what the items of a shard say about where they come from."""
    if name in CONTRIBUTED:
        return CONTRIBUTED[name].source, CONTRIBUTED[name].license
    return ("public-archive" if name == CORE else "evaluation-set"), PUBLIC_LICENSE


def main(arguments: list[str]) -> int:
    """Write the files to the folder named and list them; 2 if none is named."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print("usage: python -m examples.digits.data OUT_DIR", file=sys.stderr)
        return 2
    for name, path in write_digits(Path(arguments[0])).items():
        print(f"{name}\t{path}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
