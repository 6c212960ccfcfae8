"""What an item looks or reads like, as a short hash: near-duplicates have hashes that differ in few bits.

Images: a perceptual hash (Zauner 2010, "Implementation and Benchmarking of Perceptual Image Hash Functions"): gray,
32 x 32, the lowest 16 x 16 frequencies of its cosine transform, each above or below their median. Twice, 256 bits each:
of the image as it lies, and of the image moved so that what differs from its border is in the middle, because a shift
of one pixel changes a small image more than anything else does. Either one being near is enough.

Text: SimHash (Charikar 2002, "Similarity Estimation Techniques from Rounding Algorithms"; Manku et al. 2007), 128 bits
over three-letter and whole-word shingles of the text without case, accents, punctuation and doubled spaces.

Calibrated by ``benchmarks/calibrate_likeness.py``, all figures in ``benchmarks/calibrate_likeness.json``; at the
thresholds below, per million pairs of different items, and of near-duplicates the share that is found:

====================  =====  =========  =========  =============  =====  ================
items                 false  2 % noise  5 % noise  10 % brighter  JPEG   moved by a pixel
====================  =====  =========  =========  =============  =====  ================
digits 8 x 8          284    0.996      0.887      0.991          0.895  0.607
MNIST 28 x 28         0.2    0.999      0.954      1.000          1.000  0.997
photographs 32 x 32   0.0    0.892      0.558      0.992          0.873  0.000
====================  =====  =========  =========  =============  =====  ================

Sentences of 8 to 16 words: 65 false; all found in another case or punctuation, 0.919 with a word changed, 0.996 with
one dropped.

What it costs: a hash is a summary of content, so it stands in manifests, which are rewritten, and never in the ledger.
Different items may be near, and then a person has to look. Not found: a photograph moved by a pixel, crops, turns,
mirrored images, translations, another order of sentences. An image of one color, and a text without a letter or digit,
has no likeness.

>>> one = text_likeness("The quick brown fox jumps over the lazy dog, twice a day.")
>>> two = text_likeness("the quick brown fox jumps over the lazy dog twice a day")
>>> distance(one, two), distance(one, text_likeness("A noun is a word that names something.")) > THRESHOLDS["text"]
(0, True)
"""

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from lineage.errors import BadInput

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

THRESHOLDS = {"image": 21, "text": 20}
"""Bits in which two hashes may differ and still be near: of 256 for images, of 128 for text. See the module."""

_FORM = re.compile(r"image:[0-9a-f]{128}|text:[0-9a-f]{32}")
_VIEWS = {"image": 2, "text": 1}
"""Hashes that one likeness holds side by side; two likenesses are as far apart as their nearest views."""
_SIDE = 32  # pixels an image is brought to
_KEPT = 16  # frequencies a side: more than the usual 8, which cannot tell small images apart
_CHANNELS = (1, 2, 3, 4)
_SHINGLE = 3  # letters
_CHUNK = 2**24  # comparisons at once: 16 MB a word of the hash


def is_likeness(text: str) -> bool:
    """Whether a text has the form of a likeness."""
    return _FORM.fullmatch(text) is not None


def likenesses(kind: str, field: str, values: "NDArray[Any]") -> tuple[str | None, ...]:
    """Return the likeness of every item of a text or image field, shape (items, ...); ``BadInput`` for another."""
    if kind == "text":
        if values.dtype.kind != "T":
            raise BadInput(f"field '{field}': holds no text; give --likeness image:{field}, or another field")
        return tuple(text_likeness(text) for text in values.tolist())
    if values.dtype.kind == "T" or not _is_image(values.shape[1:]):
        what = "text" if values.dtype.kind == "T" else f"of shape {values.shape[1:]} an item"
        raise BadInput(f"field '{field}': is {what}, no image; an image is height x width, with or without channels")
    return image_likenesses(values)


def image_likenesses(images: "NDArray[Any]") -> tuple[str | None, ...]:
    """Return likenesses of images, shape (items, height, width) with or without channels, first or last."""
    import numpy as np

    found: list[str | None] = []
    for start in range(0, len(images), 1024):  # images at once: a few megabytes of small ones
        gray = _gray(images[start : start + 1024])  # (images, height, width)
        bits = np.concatenate([_frequencies(gray), _frequencies(_centered(gray))], axis=1)  # (images, 512)
        flat = np.ptp(gray.reshape(len(gray), -1), axis=1) == 0
        words = np.packbits(bits, axis=1)
        found += [None if empty else f"image:{row.tobytes().hex()}" for row, empty in zip(words, flat, strict=True)]
    return tuple(found)


def text_likeness(text: str) -> str | None:
    """Return the likeness of a text, None for one without a letter or a digit."""
    import numpy as np

    letters = unicodedata.normalize("NFKD", text.casefold())
    words = re.findall(r"[^\W_]+", "".join(letter for letter in letters if not unicodedata.combining(letter)))
    if not words:
        return None
    line = f" {' '.join(words)} "
    shingles = Counter(line[at : at + _SHINGLE] for at in range(len(line) - _SHINGLE + 1))
    shingles.update(f"{word}\n" for word in words)
    hashes = b"".join(hashlib.blake2b(shingle.encode(), digest_size=16).digest() for shingle in shingles)
    bits = np.unpackbits(np.frombuffer(hashes, np.uint8)).reshape(len(shingles), 128)  # (shingles, bits)
    votes = np.array(list(shingles.values())) @ (bits.astype(np.int64) * 2 - 1)
    return f"text:{np.packbits(votes > 0).tobytes().hex()}"


def distance(one: str | None, other: str | None) -> int | None:
    """Return in how many bits two likenesses differ, in their nearest view; None if they cannot be compared."""
    if one is None or other is None or one.partition(":")[0] != other.partition(":")[0]:
        return None
    kind = one.partition(":")[0]
    return int(_distances(_words(kind, [one]), _words(kind, [other]))[0, 0])


def near_any(wanted: Collection[str], found: Sequence[str | None]) -> "NDArray[np.bool_]":
    """Return for each of ``found`` whether it is near one of ``wanted``; shape (found,)."""
    import numpy as np

    near = np.zeros(len(found), np.bool_)
    for kind, threshold in THRESHOLDS.items():
        there = [row for row, likeness in enumerate(found) if likeness is not None and likeness.startswith(f"{kind}:")]
        ours = sorted({likeness for likeness in wanted if likeness.startswith(f"{kind}:")})
        if not there or not ours:
            continue
        rows, words = np.array(there), _words(kind, ours)
        step = max(1, _CHUNK // len(ours))
        for start in range(0, len(rows), step):
            some = rows[start : start + step]
            apart = _distances(_words(kind, [str(found[row]) for row in some]), words)
            near[some] = (apart <= threshold).any(axis=1)
    return near


def _words(kind: str, likenesses: Sequence[str]) -> "NDArray[np.uint64]":
    """Return likenesses as words, shape (likenesses, views, words)."""
    import numpy as np

    data = np.frombuffer(bytes.fromhex("".join(text.partition(":")[2] for text in likenesses)), np.uint64)
    return data.reshape(len(likenesses), _VIEWS[kind], -1)


def _distances(some: "NDArray[np.uint64]", others: "NDArray[np.uint64]") -> "NDArray[Any]":
    """Return in how many bits each differs from each, in the nearest view; shape (some, others)."""
    import numpy as np

    views = []
    for view in range(some.shape[1]):
        apart = np.zeros((len(some), len(others)), np.uint16)
        for word in range(some.shape[2]):
            apart += np.bitwise_count(some[:, view, word, None] ^ others[None, :, view, word])
        views.append(apart)
    return np.asarray(np.minimum.reduce(views))


def _is_image(shape: Sequence[int]) -> bool:
    if len(shape) == 3:
        shape = shape[1:] if shape[0] in _CHANNELS and shape[2] not in _CHANNELS else shape[:2]
    return len(shape) == 2 and min(shape) > 1


def _gray(images: "NDArray[Any]") -> "NDArray[np.float64]":
    """Return the mean over channels, divided by the largest number, so that nothing overflows; NaN counts as 0."""
    import numpy as np

    values = np.nan_to_num(images.astype(np.float64))
    if values.ndim == 4:
        values = values.mean(axis=1 if values.shape[1] in _CHANNELS and values.shape[3] not in _CHANNELS else 3)
    largest = np.abs(values).reshape(len(values), -1).max(axis=1)
    return np.asarray(values / np.where(largest > 0, largest, 1.0)[:, None, None])


def _frequencies(gray: "NDArray[np.float64]") -> "NDArray[np.bool_]":
    """Return the perceptual hash of gray images as bits, shape (images, 256): the constant one is always unset."""
    import numpy as np

    rows, columns = _resizing(gray.shape[1]), _resizing(gray.shape[2])
    # Rounding keeps equal images equal whatever order a machine adds in; a bit at the median could fall either way.
    waves = np.round(rows @ gray @ columns.T, 9).reshape(len(gray), -1)  # (images, 16 * 16)
    waves[:, 0] = -np.inf
    return np.asarray(waves > np.median(waves[:, 1:], axis=1, keepdims=True))


@cache
def _resizing(pixels: int) -> "NDArray[np.float64]":
    """Return the matrix that brings ``pixels`` to 32 and then to 16 frequencies, shape (16, pixels)."""
    import numpy as np

    if pixels >= _SIDE:  # each new pixel is the mean of what it covers
        edges = np.linspace(0, pixels, _SIDE + 1)
        at = np.arange(pixels)
        covered = np.minimum(edges[1:, None], at + 1) - np.maximum(edges[:-1, None], at)
        resize = np.maximum(covered, 0) * _SIDE / pixels
    else:  # between two old ones, in proportion
        place = np.clip((np.arange(_SIDE) + 0.5) * pixels / _SIDE - 0.5, 0, pixels - 1)
        resize = np.maximum(1 - np.abs(place[:, None] - np.arange(pixels)), 0)
    cosine = np.cos(np.pi * np.arange(_KEPT)[:, None] * (np.arange(_SIDE) + 0.5) / _SIDE)
    return np.asarray(cosine @ resize)


def _centered(gray: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """Return images moved, by parts of a pixel too, so that what differs from their border has its mass in the middle.

    What the move leaves empty repeats the border.
    """
    import numpy as np

    border = np.concatenate([gray[:, 0], gray[:, -1], gray[:, :, 0], gray[:, :, -1]], axis=1)
    mass = np.abs(gray - np.median(border, axis=1)[:, None, None])
    total = mass.sum(axis=(1, 2))
    moved = gray
    for axis in (1, 2):
        pixels = gray.shape[axis]
        profile = mass.sum(axis=3 - axis)  # (images, pixels)
        middle = (profile @ np.arange(pixels)) / np.where(total > 0, total, 1.0)
        by = np.where(total > 0, middle - (pixels - 1) / 2, 0.0)
        moved = _moved(moved, by, axis)
    return moved


def _moved(gray: "NDArray[np.float64]", by: "NDArray[np.float64]", axis: int) -> "NDArray[np.float64]":
    """Return images read ``by`` pixels further along an axis, linear between pixels."""
    import numpy as np

    last = gray.shape[axis] - 1
    place = np.clip(np.arange(last + 1)[None] + by[:, None], 0, last)  # (images, pixels)
    below = np.floor(place).astype(np.intp)
    along = (slice(None), slice(None), None) if axis == 1 else (slice(None), None, slice(None))
    part = (place - below)[along]
    lower = np.take_along_axis(gray, below[along], axis)
    upper = np.take_along_axis(gray, np.minimum(below + 1, last)[along], axis)
    return np.asarray(lower * (1 - part) + upper * part)
