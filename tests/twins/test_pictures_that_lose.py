"""Done: pictures whose numbers a reader drops or takes for others: 16 bits, transparency, CMYK, EXIF turns, an MPO.
Must: kept, converted by a rule that is said, or refused; two different pictures are never one item.
Follows: python-pillow/Pillow#7723
"""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from lineage.errors import BadInput
from lineage.formats.decoding.picture import read_picture
from lineage.formats.read import read_file
from lineage.storage.content import item_digests

PIXELS = np.random.default_rng(0).integers(0, 255, (4, 6, 3)).astype(np.uint8)
COLORS = Image.fromarray(PIXELS)
LIMIT = 10**6


def turned(picture: Image.Image, orientation: int) -> dict[str, Any]:
    """What saves a picture with an orientation."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return {"exif": exif}


def png(width: int, height: int, bits: int, kind: int, data: bytes) -> bytes:
    """A PNG file of these bytes, as other programs write it."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    row = len(data) // height
    rows = b"".join(b"\0" + data[at * row : (at + 1) * row] for at in range(height))
    head = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    parts = [(b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


REFUSED: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "16 bits of three channels": ("a.png", lambda p: p.write_bytes(png(3, 2, 16, 2, bytes(range(36)))), "has 16 bits"),
    "16 bits and alpha": ("a.png", lambda p: p.write_bytes(png(3, 2, 16, 4, bytes(range(24)))), "has 16 bits"),
    "16 bits in PPM": ("a.ppm", lambda p: p.write_bytes(b"P6\n2 2\n65535\n" + bytes(range(24))), "has 16 bits"),
    "CMYK": ("a.jpg", lambda p: COLORS.convert("CMYK").save(p), "is in mode CMYK"),
    "LAB": ("a.tif", lambda p: COLORS.convert("LAB").save(p), "is in mode LAB"),
    "YCbCr": ("a.tif", lambda p: COLORS.convert("YCbCr").save(p), "is in mode YCbCr"),
    "several": (
        "a.gif", lambda p: COLORS.save(p, save_all=True, append_images=[ImageOps.mirror(COLORS)]), "several pictures",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_it_is_refused(tmp_path: Path, what: str) -> None:
    name, write, words = REFUSED[what]
    write(tmp_path / name)
    with pytest.raises(BadInput, match=words):
        read_file(tmp_path)


@pytest.mark.parametrize("suffix", ["png", "gif"])
def test_transparency_of_a_palette_is_kept(tmp_path: Path, suffix: str) -> None:
    palette = COLORS.convert("P")
    used = int(np.asarray(palette)[0, 0])
    palette.save(tmp_path / f"a.{suffix}", transparency=used)
    palette.save(tmp_path / f"b.{suffix}")
    clear, solid = (read_picture(tmp_path / f"{name}.{suffix}", LIMIT) for name in "ab")
    assert (clear.pixels.shape, solid.pixels.shape) == ((4, 6, 4), (4, 6, 3))
    assert clear.pixels[0, 0, 3] == 0
    assert clear.rules == ("with a color that is transparent, kept as a channel",)


def test_a_picture_is_turned_as_it_is_shown(tmp_path: Path) -> None:
    for name, orientation in (("a", 1), ("b", 3)):
        COLORS.save(tmp_path / f"{name}.png", **turned(COLORS, orientation))
    taken = read_file(tmp_path)
    assert np.array_equal(taken.content["image"], [PIXELS, PIXELS[::-1, ::-1]])
    assert len({*item_digests(taken.content)}) == 2
    assert "1 picture turned as EXIF says" in taken.notes


def test_a_phone_s_file_is_its_first_picture(tmp_path: Path) -> None:
    COLORS.save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=[COLORS.resize((2, 2))])
    taken = read_file(tmp_path)
    assert taken.content["image"].shape == (1, 4, 6, 3)
    assert "1 picture of several in one file the first (MPO)" in taken.notes


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "I;16", "F"])
def test_what_is_kept_is_kept_as_it_is(tmp_path: Path, mode: str) -> None:
    gray = np.asarray(COLORS.convert("L"))
    made = {"I;16": lambda: Image.fromarray(gray.astype(np.uint16) * 257), "F": lambda: COLORS.convert("F")}
    picture = made.get(mode, lambda: COLORS.convert(mode))()
    picture.save(tmp_path / "a.tif")
    found = read_picture(tmp_path / "a.tif", LIMIT)
    assert np.array_equal(found.pixels, np.asarray(picture))
    assert found.rules == ()


BYTES = st.lists(st.integers(0, 255), min_size=16, max_size=16)


@given(BYTES, BYTES, st.sampled_from([(8, 0, 1), (8, 4, 2), (8, 2, 3), (8, 6, 4), (16, 0, 2), (16, 2, 6), (16, 6, 8)]))
def test_two_pictures_never_share_a_digest(one: list[int], other: list[int], form: tuple[int, int, int]) -> None:
    """Of two by two pixels, in each form of PNG."""
    import tempfile

    bits, kind, size = form
    found = []
    for values in (one, other):
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "a.png").write_bytes(png(2, 2, bits, kind, bytes((values * 2)[: 4 * size])))
            try:
                found.append(item_digests(read_file(folder).content)[0])
            except BadInput:
                return  # refused
    assert (found[0] == found[1]) == ((one * 2)[: 4 * size] == (other * 2)[: 4 * size])
