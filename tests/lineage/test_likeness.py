"""Near-duplicates have near likenesses, different items have not, and the fast comparison agrees with the slow one."""

import json
from pathlib import Path

import numpy as np
import pytest

from lineage.errors import BadInput
from lineage.perceptual_hash import (
    THRESHOLDS,
    distance,
    image_likenesses,
    is_likeness,
    likenesses,
    near_any,
    text_likeness,
)

FIGURES = Path(__file__).parents[2] / "benchmarks" / "calibrate_likeness.json"


def strokes(count: int, side: int) -> np.ndarray:
    """Bright random walks on a dark ground, as handwriting is: shape (count, side, side), 0 to 255."""
    rng = np.random.default_rng(side)
    images = np.zeros((count, side, side))
    for image in images:
        y, x = rng.integers(side // 4, 3 * side // 4, 2)
        for _ in range(side * 3):
            image[y, x] = min(255, image[y, x] + 120)
            y, x = np.clip(np.array([y, x]) + rng.integers(-1, 2, 2), 2, side - 3)
    return images


IMAGES = strokes(60, 28)
CHANGES = {
    "noise": lambda x: np.clip(x + np.random.default_rng(3).normal(0, 5, x.shape), 0, 255),
    "brighter": lambda x: x + 25,
    "less contrast": lambda x: x * 0.8,
    "moved by a pixel": lambda x: np.roll(x, 1, axis=2),
    "another type": lambda x: np.round(x).astype(np.uint8),
    "in color": lambda x: np.repeat(x[..., None], 3, axis=3),
    "channels first": lambda x: np.repeat(x[:, None], 3, axis=1),
    "resized": lambda x: x.repeat(2, axis=1).repeat(2, axis=2),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_image_is_near_and_another_is_not(change: str) -> None:
    before, after = image_likenesses(IMAGES), image_likenesses(CHANGES[change](IMAGES))
    apart = [[distance(one, other) for other in after] for one in before]
    same = np.mean([apart[row][row] <= THRESHOLDS["image"] for row in range(len(apart))])
    others = np.mean([apart[i][j] <= THRESHOLDS["image"] for i in range(60) for j in range(60) if i != j])
    assert same >= 0.95
    assert others == 0


@pytest.mark.parametrize(
    ("change", "near"),
    [
        (str.upper, True),
        (lambda text: text.replace(",", " -- ").rstrip(".") + "!", True),
        (lambda text: text.replace("meadow", "garden"), True),
        (lambda text: f"  {text}\n", True),
        (lambda text: text[::-1], False),
        (lambda text: "A removal is shown by what a model that never saw the item would have said of it.", False),
    ],
)
def test_a_changed_text_is_near_and_another_is_not(change: object, near: bool) -> None:
    text = "In the meadow behind the old mill, a heron stood still until evening, and nobody came to look at it."
    found = distance(text_likeness(text), text_likeness(change(text)))  # type: ignore[operator]
    assert (found is not None and found <= THRESHOLDS["text"]) is near


def test_what_has_nothing_to_tell_it_by_has_no_likeness() -> None:
    assert image_likenesses(np.full((2, 8, 8), 7.0)) == (None, None)
    assert text_likeness(" -- !") is None
    assert text_likeness("x") is not None
    assert distance(None, text_likeness("x")) is None
    assert distance(image_likenesses(IMAGES[:1])[0], text_likeness("x")) is None


def test_comparing_many_is_comparing_each() -> None:
    texts = [text_likeness(f"number {n} of many things") for n in range(40)]
    found = [*image_likenesses(IMAGES), None, *texts]
    wanted = [*image_likenesses(CHANGES["noise"](IMAGES[:5])), texts[3]]
    slow = [
        any((d := distance(one, each)) is not None and d <= THRESHOLDS[str(one).partition(":")[0]] for one in wanted)
        for each in found
    ]
    assert near_any([one for one in wanted if one], found).tolist() == slow
    assert any(slow)
    assert not all(slow)
    assert not near_any([], found).any()


def test_likenesses_have_the_form_that_manifests_take() -> None:
    for each in (*image_likenesses(IMAGES[:3]), text_likeness("a")):
        assert each is not None
        assert is_likeness(each)


@pytest.mark.parametrize("values", [np.zeros((3,)), np.zeros((3, 4)), np.zeros((3, 1, 9)), np.zeros((3, 2, 2, 9, 9))])
def test_what_is_no_image_is_refused(values: np.ndarray) -> None:
    with pytest.raises(BadInput, match="no image"):
        likenesses("image", "x", values)


def test_huge_and_tiny_numbers_are_no_trouble() -> None:
    for factor in (1e300, 1e-300):
        pairs = zip(image_likenesses(IMAGES * factor), image_likenesses(IMAGES), strict=True)
        assert {distance(*pair) for pair in pairs} == {0}


def test_the_thresholds_are_those_that_were_calibrated() -> None:
    """At them the file's figures say how many are missed and how many are found wrongly."""
    figures = json.loads(FIGURES.read_text())
    assert figures["thresholds"] == THRESHOLDS
    for kind in ("image", "text"):
        for told in figures[kind].values():
            at = told[f"within {THRESHOLDS[kind]} bits"]
            assert at["false matches per million pairs"] < 300
            sure = [share for name, share in at["recall"].items() if name in ("10 % brighter", "case", "punctuation")]
            assert min(sure) > 0.99
