"""Pictures: the PNG is one that another decoder reads back to the same pixels."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest

from disgorge.report.images import GAP, TILE, png, sample_grid


def pixels_of(data: bytes) -> np.ndarray:
    """Decode with Pillow."""
    image = pytest.importorskip("PIL.Image", reason="Pillow decodes what we encode")
    return np.array(image.open(io.BytesIO(data)))


@pytest.mark.parametrize("shape", [(1, 1), (5, 7), (3, 4, 3)])
def test_another_decoder_reads_the_same_pixels(shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    np.testing.assert_array_equal(pixels_of(png(pixels)), pixels)


@pytest.mark.parametrize("shape", [(32, 8, 8), (5, 1, 8, 8), (5, 3, 8, 8), (5, 8, 8, 3), (1, 28, 28), (40, 64, 64)])
def test_samples_of_every_shape_make_a_sheet(shape: tuple[int, ...]) -> None:
    uri = sample_grid(np.random.default_rng(0).uniform(size=shape))
    assert uri.startswith("data:image/png;base64,")
    sheet = pixels_of(base64.b64decode(uri.partition(",")[2]))
    side = max(8, shape[2] if shape[1] in (1, 3) else shape[1])
    tile = side * max(1, -(-TILE // side))
    columns, rows = min(16, shape[0]), -(-shape[0] // 16)
    assert sheet.shape[:2] == (rows * (tile + GAP) - GAP, columns * (tile + GAP) - GAP)


@pytest.mark.parametrize("shape", [(6, 8), (6,), (5, 2, 8, 8), (5, 8, 8, 4), (2, 3, 4, 5, 6), (0, 8, 8)])
def test_what_is_no_picture_makes_none(shape: tuple[int, ...]) -> None:
    assert sample_grid(np.zeros(shape)) == ""


def test_values_are_kept_and_what_is_no_number_is_black() -> None:
    sheet = pixels_of(base64.b64decode(sample_grid(np.array([[[0.0, 1.0], [np.nan, 7.0]]])).partition(",")[2]))
    assert [sheet[0, 0], sheet[0, -1], sheet[-1, 0], sheet[-1, -1]] == [0, 255, 0, 255]


def test_the_same_samples_give_the_same_bytes(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).uniform(size=(4, 8, 8))
    assert sample_grid(samples) == sample_grid(samples.copy())
