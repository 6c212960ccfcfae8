"""An instance that trains in about a second on one core, for the removal laws."""

import numpy as np

from disgorge.method import ModelSpec, Toy, seed_of
from disgorge.methods.shared.toy import in_digest_order

SIDE = 8
IMAGES = 24
"""Images per shard: few enough that an adapter of a few dozen steps remembers some."""


def toy(seed: int) -> Toy:
    """Return a core of bars, four removable shards of blobs (a corner each) and a held-out set of all four."""
    spec = ModelSpec(
        release="toy-generator",
        method="compartmental_diffusion",
        core=("core",),
        shards=("north", "east", "south", "west"),
        evaluate=("held-out",),
        seed=seed,
        parameters={
            "peak": 16.0,
            "channels": [8, 16],
            "batch": 16,
            "backbone_steps": 40,
            "compartment_steps": 30,
            "rank": 4,
            "features": 32,
            "clusters": 3,
            "breadth": 2.0,
            "sampler_steps": 6,
            "draw_steps": 3,
        },
    )
    corners = {"north": (1, 1), "east": (1, 5), "south": (5, 5), "west": (5, 1)}
    items = {"core": in_digest_order(np.stack([_bars(_generator(seed, "core", n)) for n in range(2 * IMAGES)]))}
    for name, corner in corners.items():
        items[name] = in_digest_order(np.stack([_blob(_generator(seed, name, n), corner) for n in range(IMAGES)]))
    items["held-out"] = in_digest_order(
        np.stack([_blob(_generator(seed, "held-out", n), list(corners.values())[n % 4]) for n in range(IMAGES)])
    )
    return Toy(spec=spec, items=items)


def _generator(seed: int, name: str, index: int) -> np.random.Generator:
    """Return the generator of one toy image."""
    return np.random.default_rng(seed_of(seed, "toy", name, index))


def _bars(generator: np.random.Generator) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Return horizontal or vertical bars (height, width)."""
    image = generator.integers(0, 3, (SIDE, SIDE))
    row = int(generator.integers(SIDE))
    image[row] = 14
    return (image.T if generator.random() < 0.5 else image).astype(np.uint8)


def _blob(generator: np.random.Generator, corner: tuple[int, int]) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Return a patch of random pixels at a corner (height, width)."""
    image = generator.integers(0, 3, (SIDE, SIDE))
    top, left = corner
    image[top : top + 3, left : left + 3] = generator.integers(6, 17, (3, 3))
    return image.astype(np.uint8)
