"""Done: TIFFs with a fifth band, brightness from white, signed bytes, 16 bits in planes, and an orientation.
Must: refused with what to do, or turned as a viewer turns them; two different pictures are never one item.
Follows: python-pillow/Pillow#2938
"""

import struct
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lineage.errors import BadInput
from lineage.formats.read import read_file
from lineage.storage.content import item_digests

WIDTH, HEIGHT = 3, 2
BITS, BRIGHTNESS, ORIENTATION, CHANNELS, PLANES, EXTRA, NUMBERS = 258, 262, 274, 277, 284, 338, 339
TURNS: dict[int, Callable[[Any], Any]] = {
    1: lambda a: a, 2: lambda a: a[:, ::-1], 3: lambda a: a[::-1, ::-1], 4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1), 6: lambda a: np.rot90(a, -1), 7: lambda a: a[::-1, ::-1].swapaxes(0, 1), 8: np.rot90,
}  # fmt: skip
"""What TIFF's orientations do to stored pixels, shape (height, width, ...)."""


def tiff(pixels: bytes, tags: dict[int, list[int]]) -> bytes:
    """A TIFF without compression, as other programs write it."""
    told = {256: [WIDTH], 257: [HEIGHT], BITS: [8], 259: [1], BRIGHTNESS: [1], CHANNELS: [1], 278: [HEIGHT]} | tags
    planes = told[CHANNELS][0] if told.get(PLANES) == [2] else 1
    told |= {273: [0] * planes, 279: [len(pixels) // planes] * planes}
    end = 8 + 2 + 12 * len(told) + 4
    start = end + sum(2 * len(values) for values in told.values() if len(values) > 2)
    told[273] = [start + plane * len(pixels) // planes for plane in range(planes)]
    entries, beside = b"", b""
    for tag, values in sorted(told.items()):
        data = struct.pack(f"<{len(values)}H", *values)
        if len(data) > 4:
            data, beside = struct.pack("<I", end + len(beside)), beside + data
        entries += struct.pack("<HHI", tag, 3, len(values)) + data.ljust(4, b"\0")
    return b"II*\0" + struct.pack("<IH", 8, len(told)) + entries + bytes(4) + beside + pixels


COLORS: dict[int, list[int]] = {BRIGHTNESS: [2], CHANNELS: [3], BITS: [8] * 3}
FORMS: dict[str, tuple[int, dict[int, list[int]], str]] = {
    "gray": (1, {}, ""),
    "gray from white": (1, {BRIGHTNESS: [0]}, ""),
    "signed bytes": (1, {NUMBERS: [2]}, "sign would be misread"),
    "16 bits": (2, {BITS: [16]}, ""),
    "16 bits from white": (2, {BITS: [16], BRIGHTNESS: [0]}, "counts brightness from white"),
    "signed 16 bits": (2, {BITS: [16], NUMBERS: [2]}, ""),
    "32 bits": (4, {BITS: [32]}, "sign would be misread"),
    "signed 32 bits": (4, {BITS: [32], NUMBERS: [2]}, ""),
    "colors": (3, COLORS, ""),
    "colors in planes": (3, COLORS | {PLANES: [2]}, ""),
    "colors and alpha": (4, COLORS | {CHANNELS: [4], BITS: [8] * 4, EXTRA: [2]}, ""),
    "colors and infrared": (4, COLORS | {CHANNELS: [4], BITS: [8] * 4, EXTRA: [0]}, "channels beside its colors"),
    "alpha and infrared": (5, COLORS | {CHANNELS: [5], BITS: [8] * 5, EXTRA: [2, 0]}, "channels beside its colors"),
    "colors of 16 bits": (6, COLORS | {BITS: [16] * 3}, "has 16 bits"),
    "colors of 16 bits in planes": (6, COLORS | {BITS: [16] * 3, PLANES: [2]}, "has 16 bits"),
}
PIXELS = st.lists(st.integers(0, 255), min_size=WIDTH * HEIGHT * 6, max_size=WIDTH * HEIGHT * 6).map(bytes)


def taken(data: bytes, name: str = "a.tif") -> tuple[str, Any]:
    """The digest of a file's one item, and its pixels."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / name).write_bytes(data)
        content = read_file(folder).content
    return item_digests(content)[0], content["image"][0]


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=20)
@given(one=PIXELS, other=PIXELS)
def test_two_pictures_never_share_a_digest(form: str, one: bytes, other: bytes) -> None:
    size, tags, refused = FORMS[form]
    one, other = (each[: size * WIDTH * HEIGHT] for each in (one, other))
    if refused:
        with pytest.raises(BadInput, match=refused):
            taken(tiff(one, tags))
        return
    assert (taken(tiff(one, tags))[0] == taken(tiff(other, tags))[0]) == (one == other)


@pytest.mark.parametrize("form", ["gray", "16 bits", "colors", "colors and alpha"])
@pytest.mark.parametrize("orientation", TURNS)
def test_it_is_turned_as_it_is_shown(form: str, orientation: int) -> None:
    size, tags, _ = FORMS[form]
    pixels = bytes(range(1, 1 + size * WIDTH * HEIGHT))
    stored = taken(tiff(pixels, tags))[1]
    digest, shown = taken(tiff(pixels, tags | {ORIENTATION: [orientation]}))
    assert np.array_equal(shown, TURNS[orientation](stored))
    assert (digest == taken(tiff(pixels, tags))[0]) == (orientation == 1)


def test_16_bits_a_pixel_of_a_bmp_are_read() -> None:
    pixels = struct.pack("<4H", 0xF800, 0x07E0, 0x001F, 0x0000)
    head = struct.pack("<IiiHHIIiiII3I", 40, 2, 2, 1, 16, 3, len(pixels), 0, 0, 0, 0, 0xF800, 0x07E0, 0x001F)
    start = 14 + len(head)
    data = b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start) + head + pixels
    assert taken(data, "a.bmp")[1].tolist() == [[[0, 0, 255], [0, 0, 0]], [[255, 0, 0], [0, 255, 0]]]
