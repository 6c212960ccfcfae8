"""Folders of files: names that hurt, links that lead out or round in circles, pipes, pictures and arrays damaged."""

import io
import os
import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.fuzz import hostile
from tests.fuzz.mutation import damaged
from tests.fuzz.npz_cases import Bait, bait_file, npy, saved
from tests.fuzz.place import Place
from tests.fuzz.taking import incoming, take

FORMATS = ("png", "jpg", "gif", "bmp", "tiff", "webp", "ppm")


def picture(kind: str, mode: str = "RGB", size: tuple[int, int] = (4, 4)) -> bytes:
    """Return a small picture."""
    from PIL import Image

    stream = io.BytesIO()
    Image.new(mode, size, 7).save(stream, {"jpg": "jpeg"}.get(kind, kind))
    return stream.getvalue()


def png_of(width: int, height: int) -> bytes:
    """Return a PNG that claims a size, whatever it holds."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(1 << 16))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def _links(folder: Path, target: Path | str, name: str = "a.txt") -> None:
    (folder / name).symlink_to(target)


def _deep(folder: Path) -> None:
    here = os.open(folder, os.O_RDONLY)
    for _ in range(600):  # deeper than a path may be long, so one level at a time
        os.mkdir("d" * 10, dir_fd=here)
        inner = os.open("d" * 10, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(os.open("a.txt", os.O_WRONLY | os.O_CREAT, dir_fd=here))
    os.close(here)


KNOWN: tuple[Callable[[Path], object], ...] = (
    lambda folder: None,
    lambda folder: (folder / "a.txt").write_text(""),
    lambda folder: (folder / "a.txt").write_bytes(b"\xff\xfe"),
    lambda folder: _links(folder, Path("../../../outside/secret.txt")),
    lambda folder: _links(folder, Path("../../../outside/secret.npy"), "a.npy"),
    lambda folder: _links(folder, "/etc/passwd"),
    lambda folder: _links(folder, "/dev/zero"),
    lambda folder: _links(folder, "/dev/stdin"),
    lambda folder: _links(folder, "/proc/self/environ"),
    lambda folder: _links(folder, "/proc/self/mem"),
    lambda folder: _links(folder, "a.txt"),
    lambda folder: _links(folder, "gone.txt"),
    lambda folder: _links(folder, folder, "loop"),
    lambda folder: _links(folder, "/", "root"),
    lambda folder: os.mkfifo(folder / "a.txt"),
    lambda folder: os.mkfifo(folder / "a.png"),
    lambda folder: (folder / "a.png").mkdir(),
    _deep,
    lambda folder: bait_file(folder / "a.npy"),
    lambda folder: (folder / "a.npy").write_bytes(saved(np.array([Bait()], dtype=object))),
    lambda folder: (folder / "a.npy").write_bytes(npy("(10_000_000_000,)", "'<f8'", b"")),
    lambda folder: (folder / "a.npy").write_bytes(npy("()", "'<f8'", bytes(8))),
    lambda folder: (folder / "a.png").write_bytes(png_of(1, 1)),
    lambda folder: (folder / "a.png").write_bytes(png_of(100_000, 100_000)),
    lambda folder: (folder / "a.png").write_bytes(png_of(2**31 - 1, 2**31 - 1)),
    lambda folder: (folder / "a.png").write_bytes(png_of(20_000, 20_000)),
    lambda folder: (folder / "a.png").write_bytes(png_of(0, 0)),
    lambda folder: (folder / "a.jpg").write_bytes(png_of(4, 4)),
    lambda folder: (folder / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(x) run\n"),
    lambda folder: (folder / "a.txt").write_bytes(b"a" * (10 << 20)),
    lambda folder: (folder / "a.pkl").write_bytes(b"x"),
    lambda folder: bait_file(folder / "a.txt"),
    lambda folder: [(folder / f"{number}.txt").write_text("a") for number in range(2_000)],
    lambda folder: os.close(os.open(os.fsencode(folder) + b"/\xff\xfe.txt", os.O_WRONLY | os.O_CREAT)),
    lambda folder: (folder / "a\x1b[31m\nb.txt").write_text("a"),
    lambda folder: (folder / ("a" * 251 + ".txt")).write_text("a"),
)  # fmt: skip
"""Each once."""


def case(place: Place, number: int) -> str:
    """Add one folder."""
    rng = place.fresh("empty", kind="folder", number=number).rng
    folder = incoming(place, "data")
    folder.mkdir()
    if number < len(KNOWN):
        KNOWN[number](folder)
        return take(place, folder)
    suffix = rng.choice((*FORMATS, "png", "npy", "npy", "txt", "txt"))
    whole = _content(suffix, rng)
    for _ in range(rng.randrange(1, 4)):
        at = folder / _name(rng) if rng.random() < 0.3 else folder
        at.mkdir(parents=True, exist_ok=True)
        data = damaged(whole, rng) if rng.random() < 0.5 else whole
        (at / f"{_name(rng)}.{suffix}").write_bytes(data)
    return take(place, folder)


def _content(suffix: str, rng: random.Random) -> bytes:
    if suffix == "npy":
        return saved(np.zeros(rng.choice(((), (2,), (2, 2))), rng.choice(("<f4", "<i8", "|u1", "<U3"))))
    if suffix == "txt":
        return hostile.word(rng).encode("utf-8", "surrogatepass")
    mode = rng.choice(("L", "RGB")) if suffix in ("jpg", "ppm", "webp") else rng.choice(("1", "L", "P", "RGB"))
    return picture(suffix, mode, rng.choice(((4, 4), (1, 1), (300, 2))))


def _name(rng: random.Random) -> str:
    name = hostile.typed(rng).replace("/", "_") if rng.random() < 0.4 else rng.choice(("a", "b", "c d", "\u00e9"))
    held = name.encode("utf-8", "surrogateescape" if _escapable(name) else "replace")[:200]
    return os.fsdecode(held).strip(".") or "a"


def _escapable(name: str) -> bool:
    try:
        name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True
