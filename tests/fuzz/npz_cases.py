"""NPZ archives: arrays with false headers, members with false sizes and names, bombs, pickles that leave a canary."""

import io
import os
import pickle
import random
import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tests.fuzz import hostile
from tests.fuzz.mutation import damaged
from tests.fuzz.place import Place
from tests.fuzz.taking import incoming, options, take


class Bait:
    """What runs code when it is unpickled."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"touch '{os.environ['CANARY']}'",)


def npy(shape: str, dtype: str, body: bytes, *, version: tuple[int, int] = (1, 0), more: str = "") -> bytes:
    """Return a ``.npy`` file with a header as it is given, true or not."""
    header = f"{{'descr': {dtype}, 'fortran_order': False, 'shape': {shape}, {more}}}".encode("latin-1", "replace")
    length = struct.pack("<H", len(header) % 65_536) if version == (1, 0) else struct.pack("<I", len(header))
    return b"\x93NUMPY" + bytes(version) + length + header + body


def saved(array: Any) -> bytes:
    """Return an array as numpy saves it; objects are pickled."""
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def archive(members: Mapping[str, bytes], *, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a zip of these members."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as made:
        for name, data in members.items():
            made.writestr(name, data)
    return stream.getvalue()


def _claims(data: bytes, size: int) -> bytes:
    """Return an archive whose every record of an unpacked size says ``size``."""
    made = bytearray(data)
    for mark, at in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):
        start = made.find(mark)
        while start >= 0:
            made[start + at : start + at + 4] = struct.pack("<I", size)
            start = made.find(mark, start + 4)
    return bytes(made)


def _overlapping() -> bytes:
    """Return an archive in which many entries of the directory share one member's bytes."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("x0.npy", saved(np.zeros(1 << 20, np.uint8)))
        first = made.filelist[0]
        for number in range(1, 100):
            twin = zipfile.ZipInfo(f"x{number}.npy")
            for name in ("header_offset", "compress_size", "file_size", "CRC", "compress_type"):
                setattr(twin, name, getattr(first, name))
            made.filelist.append(twin)
    return stream.getvalue()


ZEROS = 64 << 20
"""Bytes of zeros that a bomb unpacks to, from a quarter of a megabyte."""

KNOWN: tuple[Callable[[], bytes], ...] = (
    lambda: b"",
    lambda: b"PK\x05\x06" + bytes(18),
    lambda: archive({}),
    lambda: archive({"x.npy": b""}),
    lambda: archive({"x.npy": saved(np.arange(3))}),
    lambda: archive({"x.npy": saved(np.array([Bait(), Bait()], dtype=object))}),
    lambda: archive({"x.npy": pickle.dumps(Bait())}),
    lambda: archive({"x.npy": saved(np.arange(2)), "key.npy": saved(np.array([Bait(), "b"], dtype=object))}),
    lambda: archive({"x.npy": npy("(2,)", "'|O'", pickle.dumps(Bait()))}),
    lambda: archive({"x.npy": npy("(2,)", "[('a', '|O'), ('b', '<i8')]", pickle.dumps(Bait()))}),
    lambda: archive({"x.npy": npy("(2,)", "__import__('os').system('touch $CANARY')", b"")}),
    lambda: archive({"x.npy": npy("(2,)", "'<f8'", b"", more="'x': ().__class__")}),
    lambda: archive({"x.npy": npy("(10_000_000_000,)", "'<f8'", b"")}),
    lambda: archive({"x.npy": npy("(" + "1000," * 12 + ")", "'<f8'", bytes(8))}),
    lambda: archive({"x.npy": npy("(0, 10**18)".replace("10**18", str(10**18)), "'<f8'", b"")}),
    lambda: archive({"x.npy": npy("(" + str(10**18) + ", 0)", "'<f8'", b"")}),
    lambda: archive({"x.npy": npy("(" + str(10**40) + ",)", "'<f8'", b"")}),
    lambda: archive({"x.npy": npy("(-1,)", "'<f8'", b"")}),
    lambda: archive({"x.npy": npy("(-2, -2)", "'<f8'", bytes(32))}),
    lambda: archive({"x.npy": npy("(True,)", "'<f8'", bytes(8))}),
    lambda: archive({"x.npy": npy("(2.0,)", "'<f8'", bytes(16))}),
    lambda: archive({"x.npy": npy("(" + str(10**9) + ",)", "'|V0'", b"")}),
    lambda: archive({"x.npy": npy("(" + str(10**9) + ",)", "'<U0'", b"")}),
    lambda: archive({"x.npy": npy("(1,)", "'<U4'", b"\xff\xff\xff\x7f" * 4)}),
    lambda: archive({"key.npy": npy("(1,)", "'<U4'", b"\x00\xd8\x00\x00" * 4), "x.npy": saved(np.arange(1))}),
    lambda: archive({"x.npy": npy("(1,)", "'|b1'", b"\x07")}),
    lambda: archive({"x.npy": npy("(2,)", "'<M8[ns]'", bytes(16))}),
    lambda: archive({"x.npy": npy("(1,)", "'<f16'", bytes(16))}),
    lambda: archive({"x.npy": npy("(1,)", "'<c16'", bytes(16))}),
    lambda: archive({"x.npy": npy("(1,)", "(" * 5_000 + ")" * 5_000, b"", version=(2, 0))}),
    lambda: archive({"x.npy": npy("(1,)", "'" + "i" * (5 << 20) + "'", b"", version=(2, 0))}),
    lambda: archive({"x.npy": npy("(1,)", "'<i8'", bytes(8), version=(3, 0), more="'" + "x" * (5 << 20) + "': 1")}),
    lambda: archive({"x.npy": b"\x93NUMPY\x02\x00\xff\xff\xff\xff{"}),
    lambda: archive({"x.npy": b"\x93NUMPY\x09\x00\x08\x00{}     \n"}),
    lambda: archive({"../../outside/x.npy": saved(np.arange(3))}),
    lambda: archive({"/etc/x.npy": saved(np.arange(3))}),
    lambda: archive({"..\\x.npy": saved(np.arange(3)), "C:\\x.npy": saved(np.arange(3))}),
    lambda: archive({".npy": saved(np.arange(3))}),
    lambda: archive({"x\n\x1b[31m.npy": saved(np.arange(3))}),
    lambda: archive({"x.npy": saved(np.arange(3)), "nested.zip": archive({"y.npy": saved(np.arange(3))})}),
    lambda: archive({"x.npy": archive({"y.npy": saved(np.arange(3))})}),
    lambda: archive({"x.npy": bytes(ZEROS)}),
    lambda: archive({f"x{number}.npy": bytes(ZEROS // 8) for number in range(8)}),
    lambda: archive({"x.npy": npy(f"({ZEROS},)", "'|i1'", bytes(ZEROS))}, method=zipfile.ZIP_BZIP2),
    lambda: _claims(archive({"x.npy": saved(np.arange(3))}), 10 << 30 & 0xFFFFFFFF),
    lambda: _claims(archive({"x.npy": bytes(ZEROS)}), 10),
    lambda: _claims(archive({"x.npy": bytes(ZEROS)}), 0xFFFFFFFF),
    _overlapping,
    lambda: archive({f"x{number}.npy": saved(np.arange(1)) for number in range(5_000)}, method=zipfile.ZIP_STORED),
)  # fmt: skip
"""Each once."""


def case(place: Place, number: int) -> str:
    """Add one NPZ archive."""
    rng = place.fresh("empty", kind="npz", number=number).rng
    path = incoming(place, "data.npz")
    if number < len(KNOWN):
        path.write_bytes(KNOWN[number]())
        return take(place, path)
    names = tuple(_name(rng) for _ in range(rng.randrange(1, 5)))
    rows = rng.randrange(4)
    members = {f"{name}.npy": _member(rng, rows) for name in names}
    method = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
    data = archive(members, method=method)
    if rng.random() < 0.5:
        data = damaged(data, rng, end=rng.choice((0, 0, 200)))
    path.write_bytes(data)
    return take(place, path, *options(rng, names))


def _name(rng: random.Random) -> str:
    if rng.random() < 0.2:
        return hostile.word(rng)[:200].encode("utf-8", "replace").decode().lstrip("\x00")
    return rng.choice(("x", "label", "key", "subject", "source", "license", "y"))


def _member(rng: random.Random, rows: int) -> bytes:
    rows = rows if rng.random() < 0.9 else rng.randrange(9)
    kind = rng.choice(("<f4", "<i8", "|b1", ">f8", "<U7", "|S3", "<f2", "|u1", "<c8", "O", "<M8[D]"))
    shape = (rows, *rng.choice(((), (), (2,), (2, 3), (0,))))
    array = np.zeros(shape, kind)
    if kind == "<U7":
        array[...] = rng.choice(("", "ann", "a\x1b[31m", "\N{GRINNING FACE}", "\ud800"))
    if kind == "O":
        array[...] = Bait()
    data = saved(array)
    if rng.random() < 0.3:
        return damaged(data, rng, end=0) if rng.random() < 0.5 else damaged(data[:128], rng) + data[128:]
    return data


def bait_file(path: Path) -> None:
    """Write a pickle where weights or arrays are looked for."""
    path.write_bytes(pickle.dumps(Bait()))
