"""The pixels of a picture, as the file holds them: what cannot be kept is converted by a rule here, or refused.

- Bits (mode 1) are brightness 0 and 255; a palette's colors are written out.
- Transparency is kept, as a last channel, where a palette or one color is declared transparent too.
- A picture is turned as its EXIF data says, as a viewer shows it. Other EXIF data and color profiles are not kept.
- A phone's MPO, of which the second picture is for depth or a preview, is its first picture.
- Refused: CMYK, LAB, YCbCr and others, whose numbers would read as other colors; 16 bits of several channels, of which
  Pillow keeps eight; several pictures in one file; of TIFF channels beside the colors, and numbers read as others.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lineage.errors import BadInput, LineageError
from lineage.storage.size_limits import too_large

if TYPE_CHECKING:
    from numpy.typing import NDArray

_KEPT = frozenset(("L", "LA", "RGB", "RGBA", "I", "F", "I;16", "I;16B", "I;16L", "I;16N"))
"""Modes whose numbers are brightness, red, green and blue, and alpha."""
_CONVERTED = {"1": "L", "P": "RGB", "PA": "RGBA"}
"""Modes whose numbers are bits, or places in a palette, and what they are turned into."""
_WITH_ALPHA = {"L": "LA", "RGB": "RGBA"}
_ORIENTATION = 0x0112
_UPRIGHT = 1
_BITS_KEPT, _HIGHEST_8_BITS = 8, 255
_WIDE = frozenset(("I", "F"))

_BITS, _BRIGHTNESS, _EXTRA, _NUMBERS = 258, 262, 338, 339
"""Tags of TIFF: bits a channel, what brightness 0 is, what channels beside the colors mean, how numbers are written."""
_WHITE_IS_0, _NO_MEANING, _UNSIGNED, _SIGNED = 0, 0, 1, 2
_OTHER_NUMBERS = frozenset(((8, _SIGNED), (32, _UNSIGNED)))
"""Bits and writing of numbers that Pillow reads as unsigned, or as signed, where they are not."""


@dataclass(frozen=True, slots=True)
class Picture:
    """Pixels, shape (height, width) or (height, width, channels), and the rules that were applied, in words."""

    pixels: "NDArray[Any]"
    rules: tuple[str, ...]


def read_picture(file: Path, limit: int) -> Picture:
    """Return a picture's pixels; ``BadInput`` for what is none, is larger than ``limit`` bytes, or would lose."""
    try:
        from PIL import Image, ImageOps  # read on use: most shards are not folders of pictures
    except ImportError as problem:
        raise LineageError(f"{file}: reading pictures needs Pillow; pip install 'disgorge[images]'") from problem
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of size, which is checked here, and of odd metadata, which is not kept
            # Of a file opened by name Pillow maps a TIFF that is to be turned into memory under its other size.
            with file.open("rb") as stream, Image.open(stream) as picture:
                needed = picture.width * picture.height * 4  # bytes: no mode kept here has more than four a pixel
                if needed > limit:
                    raise too_large(str(file), needed, limit)
                if getattr(picture, "n_frames", 1) > 1 and picture.format != "MPO":
                    raise BadInput(f"{file}: holds several pictures; save each as a file of its own")
                wanted = _mode(picture)
                if wrong := _lost(picture, wanted):
                    raise BadInput(f"{file}: {wrong}, or take the files whole, as their bytes (--files)")
                rules = tuple(_rules(picture))
                upright = ImageOps.exif_transpose(picture.convert(wanted) if wanted != picture.mode else picture)
                return Picture(np.asarray(upright), rules)
    except BadInput:
        raise
    except Exception as problem:  # Pillow's decoders raise nearly anything for a damaged file
        raise BadInput(f"{file}: not a picture, or a damaged one; replace it or move it out") from problem


def _mode(picture: Any) -> str:
    """Return the mode that keeps what a picture shows."""
    plain: str = _CONVERTED.get(picture.mode, picture.mode)
    return _WITH_ALPHA.get(plain, plain) if "transparency" in picture.info else plain


def _lost(picture: Any, wanted: str) -> str:
    """Return what of a picture would be lost or misread, and what to do, "" for nothing."""
    if wanted not in _KEPT:
        return f"is in mode {picture.mode}, whose numbers would read as other colors; convert it to RGB"
    if "transparency" in picture.info and not wanted.endswith("A"):
        return f"declares a brightness transparent in mode {picture.mode}; save it with an alpha channel or without"
    if not wanted.startswith("I") and wanted not in _WIDE and _has_16_bits(picture):
        return "has 16 bits a channel, of which eight would be read; convert it to 8 bits, save the array as .npy"
    return _lost_of_tiff(picture, wanted) if picture.format == "TIFF" else ""


def _lost_of_tiff(picture: Any, wanted: str) -> str:
    """Return what Pillow drops of a TIFF, or takes for other numbers, and what to do, "" for nothing."""
    bits, kind = (_as_tuple(picture.tag_v2.get(*tag)) for tag in ((_BITS, 1), (_NUMBERS, _UNSIGNED)))
    if _NO_MEANING in _as_tuple(picture.tag_v2.get(_EXTRA, ())):
        return "has channels beside its colors, which would be dropped; save the array as .npy"
    if picture.tag_v2.get(_BRIGHTNESS) == _WHITE_IS_0 and (wanted.startswith("I") or wanted in _WIDE):
        return "counts brightness from white, and would be read from black; invert it, save the array as .npy"
    if (max(bits), min(kind)) in _OTHER_NUMBERS:
        return "holds numbers whose sign would be misread; save the array as .npy"
    return ""


def _as_tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def _has_16_bits(picture: Any) -> bool:
    """Whether the file holds more bits a channel than a mode of eight: its tags or the decoder's own words tell."""
    if picture.format == "BMP":
        return False  # its 16 bits are those of a whole pixel
    if picture.format == "TIFF":  # of channels stored one after the other the words tell nothing
        return bool(max(_as_tuple(picture.tag_v2.get(_BITS, 1))) > _BITS_KEPT)
    for tile in picture.tile:
        words = tile[3] if isinstance(tile[3], tuple) else (tile[3],)
        if any(isinstance(word, str) and ";16" in word for word in words):
            return True
        if tile[0].startswith("ppm") and isinstance(words[-1], int) and words[-1] > _HIGHEST_8_BITS:
            return True
    return False


def _rules(picture: Any) -> Iterator[str]:
    if picture.getexif().get(_ORIENTATION, _UPRIGHT) != _UPRIGHT:
        yield "turned as EXIF says"
    if picture.format == "MPO" and getattr(picture, "n_frames", 1) > 1:
        yield "of several in one file the first (MPO)"
    if "transparency" in picture.info:
        yield "with a color that is transparent, kept as a channel"
