"""Samples of a generator as PNG for reports.

No picture refers to anything outside itself, and the same values give the same bytes, so that a report can be written
twice.

>>> import numpy as np
>>> png(np.zeros((1, 1), dtype=np.uint8))[1:4]
b'PNG'
"""

import base64
import struct
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from disgorge.method import Array

COLUMNS = 16
"""Samples a row of the grid."""
TILE = 32
"""Least side of a sample in the grid, in pixels: smaller ones are enlarged by a whole factor."""
GAP = 2
"""Pixels between samples."""


def png(pixels: "Array") -> bytes:
    """Return a PNG of 8-bit pixels, shape (height, width) for gray or (height, width, 3) for color."""
    import numpy as np

    height, width = pixels.shape[:2]
    color = 0 if pixels.ndim == 2 else 2
    rows = np.ascontiguousarray(pixels, dtype=np.uint8).reshape(height, -1)  # (height, bytes)
    scanlines = np.hstack([np.zeros((height, 1), dtype=np.uint8), rows])  # (height, 1 + bytes); 0: no filter
    header = struct.pack(">IIBBBBB", width, height, 8, color, 0, 0, 0)
    body = zlib.compress(scanlines.tobytes(), 9)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def sample_grid(samples: "Array") -> str:
    """Return samples as the data URI of one PNG, "" for an array of another shape.

    Shape (n, h, w), (n, 1, h, w), (n, 3, h, w) or (n, h, w, 3), values in [0, 1]; what is not a number becomes black.
    """
    import numpy as np

    tiles = _channels_last(np.asarray(samples))  # (n, h, w, channels)
    if tiles.ndim != 4 or tiles.shape[-1] not in (1, 3) or not tiles.size or tiles.dtype.kind not in "biuf":
        return ""
    count, height, width, channels = tiles.shape
    eight_bit = np.clip(np.nan_to_num(tiles, nan=0.0) * 255.0 + 0.5, 0, 255).astype(np.uint8)
    factor = max(1, -(-TILE // min(height, width)))
    eight_bit = eight_bit.repeat(factor, axis=1).repeat(factor, axis=2)
    height, width = height * factor, width * factor
    columns = min(COLUMNS, count)
    rows = -(-count // columns)
    sheet = np.full((rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, channels), 255, dtype=np.uint8)
    for place, tile in enumerate(eight_bit):
        top, left = (place // columns) * (height + GAP), (place % columns) * (width + GAP)
        sheet[top : top + height, left : left + width] = tile
    return data_uri(png(sheet[..., 0] if channels == 1 else sheet), "image/png")


def _channels_last(samples: "Array") -> "Array":
    if samples.ndim == 3:
        return samples[..., None]
    if samples.ndim == 4 and samples.shape[1] in (1, 3):
        return samples.transpose(0, 2, 3, 1)
    return samples


def data_uri(data: bytes, kind: str) -> str:
    """Return bytes as a data URI of that media type."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
