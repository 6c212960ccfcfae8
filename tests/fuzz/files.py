"""Files that come in as shards: tables, arrays and folders, hostile ones that are known, others drawn and damaged.

Each is added as a shard, whole or not at all, and the ledger holds.
"""

import csv
import datetime as dt
import decimal
import io
import json
import os
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st
from PIL import Image

from tests.fuzz.kind import Kind
from tests.fuzz.place import Place
from tests.fuzz.strategies import DAMAGE, SOUND, TYPED, WORD, damaged

ROLES = ("--key", "--subject", "--source-column", "--license-column", "--fields")
USUAL = ("key", "subject", "source", "license", "x", "label", "y")
ENCODINGS = (
    "utf-8", "utf-16", "utf-32", "latin-1", "utf-7", "cp037", "idna", "punycode", "unicode_escape", "rot13", "hex",
    "zip", "undefined", "raw_unicode_escape", "mbcs", "utf-8-sig", "", "../utf-8", "os", "big5", "utf-8\x00",
)  # fmt: skip
OPTIONS = st.just(()) | st.lists(
    st.tuples(st.sampled_from(ROLES), st.sampled_from(USUAL) | TYPED.filter(lambda word: not word.startswith("-")))
    | st.tuples(st.just("--encoding"), st.sampled_from(ENCODINGS)),
    max_size=3,
    unique_by=lambda pair: pair[0],
).map(lambda pairs: tuple(word for pair in pairs for word in pair))
"""Options that name columns, mostly ones that are there."""
KEEP = st.just(("--missing", "keep"))
"""Takes in what has no value."""
NAMES = st.one_of(*[st.sampled_from(USUAL)] * 4, SOUND.map(lambda word: word[:500].replace("\x00", "")))
"""Names of columns, some with a part to play, some hostile."""


def take(place: Place, path: Path, *options: str) -> str:
    """Add a file as a shard; return ``taken``, which must then check and show, or ``refused``, which must leave none.

    What is refused is refused because of the file (exit 2), never because the machine failed.
    """
    before = place.files()
    ran = place.run(
        "shard", "add", "--no-check", "--no-dvc", "--name", "fuzzed", *options, "--", str(path),
        names="" if options else path.name,
    )  # fmt: skip
    assert ran.code in (0, 2), f"exit {ran.code}: {ran.err[:300]}"
    facts = place.workspace.ledger.verify()
    if ran.code == 2:
        assert place.files() == before, "a refused file left something"
        return "refused"
    assert facts > 1
    assert place.run("shard", "check").code == 0, "a file was taken whose shard does not check"
    for looked in (("shard", "list"), ("shard", "show", "fuzzed"), ("trace", "fuzzed"), ("audit",)):
        place.run(*looked, terminal=True)
    return "taken"


def attempt_as(name: str) -> Callable[[Place, bytes | tuple[bytes, tuple[str, ...]]], str]:
    """Return what adds bytes as a file of that name, perhaps with options."""

    def attempt(place: Place, case: bytes | tuple[bytes, tuple[str, ...]]) -> str:
        data, options = case if isinstance(case, tuple) else (case, ())
        return take(place, place.incoming(name, data), *options)

    return attempt


def maybe_damaged(whole: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Draw a file, or one damaged anywhere, or in its last 200 bytes."""
    return st.one_of(
        whole,
        st.builds(damaged, whole, DAMAGE),
        st.builds(lambda data, damage: damaged(data, damage, end=200), whole, DAMAGE),
    )


# CSV


def known_csv() -> Iterator[bytes]:
    """Known bad ones."""
    yield b""
    yield b"\n\n\n"
    yield b"\xef\xbb\xbf"
    yield b"key,x\n"
    yield b"key,x"
    yield b"x\n1\n"
    yield b",\n1,2\n"
    yield b"x,x\n1,2\n"
    yield b'"x\n1\n2\n'
    yield b'x\n"a"b"\n'
    yield b"x,y\n1\n"
    yield b"x\r1\r2\r"
    yield b"x\n\x00\n"
    yield b"\x00"
    yield b"x\n1\n\x1a"
    yield b"\xff\xfex\x00\n\x001\x00\n\x00"
    yield b"\xff"
    yield b"x\n" + b"9" * 5_000 + b"\n"
    yield b"x\n9223372036854775808\n-9223372036854775809\n"
    yield b"x\n1\nnan\n"
    yield b"x\n1e999\n-1e999\n"
    yield b"x\n1\n" + b"1e400\n"
    yield b"x\n\n1\n\n"
    yield b"x\n=cmd|' /C calc'!A0\n"
    yield b"subject,x\n" + "\N{COMBINING ACUTE ACCENT}".encode() * 5_000 + b",1\n"
    yield ",".join(f"c{number}" for number in range(100_000)).encode() + b"\n" + b"1," * 99_999 + b"1\n"
    yield b",".join([b"c"] * 100_000) + b"\n"
    yield b"x\n" + b"a" * (10 << 20) + b"\n"
    yield b"x" * (10 << 20) + b"\n1\n"
    yield b'x\n"' + b"\n" * (1 << 20) + b'"\n'
    yield b"x\n" + b'"' * (1 << 20)
    yield b"x\n" + b"\n" * (1 << 20) + b"1\n"
    yield b"x\n" + b"1\n" * 20_000


@st.composite
def csv_files(draw: st.DrawFn) -> bytes:
    """Draw a table of hostile cells in some dialect."""
    columns = draw(st.lists(NAMES, min_size=1, max_size=5))
    cells = [st.sampled_from(CELLS) | SOUND for _ in columns]
    text = io.StringIO()
    writer = csv.writer(
        text, delimiter=draw(st.sampled_from(",,,;")), quotechar=draw(st.sampled_from("\"\"\"'")),
        lineterminator=draw(st.sampled_from(["\n", "\r\n"])), quoting=csv.QUOTE_ALL,
    )  # fmt: skip
    writer.writerows([columns, *draw(st.lists(st.tuples(*cells), min_size=1, max_size=7))])
    return text.getvalue().encode()


CELLS = ("0", "1", "-5", str(10**18), str(2**63), "0.5", "1e300", "ann", "Ada Example", "")


# JSON Lines


def known_json_lines() -> Iterator[bytes]:
    """Known bad ones."""
    yield b""
    yield b"{}\n"
    yield b"[]\n1\nnull\n"
    yield b'{"x": 1}\n{"x": 1'
    yield b'\xef\xbb\xbf{"x": 1}\n'
    yield b'{"x": "\\ud800"}\n'
    yield b'{"x": NaN}\n{"x": Infinity}\n'
    yield b'{"x": 1e999}\n'
    yield b'{"x": ' + b"9" * 10_000 + b"}\n"
    yield b'{"x": 18446744073709551616}\n'
    yield b"[" * 100_000
    yield b'{"x": ' + b"[" * 500 + b"]" * 500 + b"}\n"
    yield b'{"x": ' * 500 + b"1" + b"}" * 500
    yield b'{"subject": {"name": "Ann"}, "x": 1}\n'
    yield b'{"\\u001b[31m": 1, "x": 2}\n'
    yield b'{"x": 1}\n' * 20_000
    yield b"{" + b", ".join(b'"c%d": 1' % number for number in range(10_000)) + b"}\n"
    yield b"\n".join(b'{"c%d": 1}' % number for number in range(10_000))
    yield b"\n" * (1 << 20) + b'{"x": 1}\n'
    yield b'{"x": "' + b"a" * (10 << 20) + b'"}\n'
    yield b"\xff\xfe{\x00}\x00"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | SOUND,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SOUND, inner, max_size=2),
    max_leaves=4,
)


@st.composite
def json_lines(draw: st.DrawFn) -> bytes:
    """Draw lines with hostile fields, mostly the same in each."""
    names = draw(st.lists(NAMES, min_size=1, max_size=4))
    kinds = [draw(st.sampled_from([SOUND, st.integers(-9, 9), st.floats(), VALUES])) for _ in names]
    rows = draw(st.lists(st.tuples(*kinds), min_size=1, max_size=5))
    return "\n".join(json.dumps(dict(zip(names, row, strict=True))) for row in rows).encode("utf-8", "surrogatepass")


# NPZ


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


def known_npz() -> Iterator[bytes]:
    """Known bad ones."""
    yield b""
    yield b"PK\x05\x06" + bytes(18)
    yield archive({})
    yield archive({"x.npy": b""})
    yield archive({"x.npy": saved(np.arange(3))})
    yield archive({"x.npy": saved(np.array([Bait(), Bait()], dtype=object))})
    yield archive({"x.npy": pickle.dumps(Bait())})
    yield archive({"x.npy": saved(np.arange(2)), "key.npy": saved(np.array([Bait(), "b"], dtype=object))})
    yield archive({"x.npy": npy("(2,)", "'|O'", pickle.dumps(Bait()))})
    yield archive({"x.npy": npy("(2,)", "[('a', '|O'), ('b', '<i8')]", pickle.dumps(Bait()))})
    yield archive({"x.npy": npy("(2,)", "__import__('os').system('touch $CANARY')", b"")})
    yield archive({"x.npy": npy("(2,)", "'<f8'", b"", more="'x': ().__class__")})
    yield archive({"x.npy": npy("(10_000_000_000,)", "'<f8'", b"")})
    yield archive({"x.npy": npy("(" + "1000," * 12 + ")", "'<f8'", bytes(8))})
    yield archive({"x.npy": npy("(0, 10**18)".replace("10**18", str(10**18)), "'<f8'", b"")})
    yield archive({"x.npy": npy("(" + str(10**18) + ", 0)", "'<f8'", b"")})
    yield archive({"x.npy": npy("(" + str(10**40) + ",)", "'<f8'", b"")})
    yield archive({"x.npy": npy("(-1,)", "'<f8'", b"")})
    yield archive({"x.npy": npy("(-2, -2)", "'<f8'", bytes(32))})
    yield archive({"x.npy": npy("(True,)", "'<f8'", bytes(8))})
    yield archive({"x.npy": npy("(2.0,)", "'<f8'", bytes(16))})
    yield archive({"x.npy": npy("(" + str(10**9) + ",)", "'|V0'", b"")})
    yield archive({"x.npy": npy("(" + str(10**9) + ",)", "'<U0'", b"")})
    yield archive({"x.npy": npy("(1,)", "'<U4'", b"\xff\xff\xff\x7f" * 4)})
    yield archive({"key.npy": npy("(1,)", "'<U4'", b"\x00\xd8\x00\x00" * 4), "x.npy": saved(np.arange(1))})
    yield archive({"x.npy": npy("(1,)", "'|b1'", b"\x07")})
    yield archive({"x.npy": npy("(2,)", "'<M8[ns]'", bytes(16))})
    yield archive({"x.npy": npy("(1,)", "'<f16'", bytes(16))})
    yield archive({"x.npy": npy("(1,)", "'<c16'", bytes(16))})
    yield archive({"x.npy": npy("(1,)", "(" * 5_000 + ")" * 5_000, b"", version=(2, 0))})
    yield archive({"x.npy": npy("(1,)", "'" + "i" * (5 << 20) + "'", b"", version=(2, 0))})
    yield archive({"x.npy": npy("(1,)", "'<i8'", bytes(8), version=(3, 0), more="'" + "x" * (5 << 20) + "': 1")})
    yield archive({"x.npy": b"\x93NUMPY\x02\x00\xff\xff\xff\xff{"})
    yield archive({"x.npy": b"\x93NUMPY\x09\x00\x08\x00{}     \n"})
    yield archive({"../../outside/x.npy": saved(np.arange(3))})
    yield archive({"/etc/x.npy": saved(np.arange(3))})
    yield archive({"..\\x.npy": saved(np.arange(3)), "C:\\x.npy": saved(np.arange(3))})
    yield archive({".npy": saved(np.arange(3))})
    yield archive({"x\n\x1b[31m.npy": saved(np.arange(3))})
    yield archive({"x.npy": saved(np.arange(3)), "nested.zip": archive({"y.npy": saved(np.arange(3))})})
    yield archive({"x.npy": archive({"y.npy": saved(np.arange(3))})})
    yield archive({"x.npy": bytes(ZEROS)})
    yield archive({f"x{number}.npy": bytes(ZEROS // 8) for number in range(8)})
    yield archive({"x.npy": npy(f"({ZEROS},)", "'|i1'", bytes(ZEROS))}, method=zipfile.ZIP_BZIP2)
    yield _claims(archive({"x.npy": saved(np.arange(3))}), 10 << 30 & 0xFFFFFFFF)
    yield _claims(archive({"x.npy": bytes(ZEROS)}), 10)
    yield _claims(archive({"x.npy": bytes(ZEROS)}), 0xFFFFFFFF)
    yield _overlapping()
    yield archive({f"x{number}.npy": saved(np.arange(1)) for number in range(5_000)}, method=zipfile.ZIP_STORED)


ARRAYS = [
    np.array(["", "a\x1b[31m"]), np.array(["\ud800", "\N{GRINNING FACE}"]), np.array([Bait(), None], dtype=object),
    *(np.zeros(shape, kind) for shape in ((2,), (2, 2), (2, 2, 3), (3,), (2, 0), (0,))
      for kind in ("<f4", "<i8", "|b1", ">f8", "|S3", "<f2", "|u1", "<c8", "<M8[D]")),
]  # fmt: skip
MEMBER = st.builds(saved, st.sampled_from(ARRAYS))
NPZ_FILES = st.builds(
    lambda members, method: archive({f"{name}.npy": data for name, data in members.items()}, method=method),
    st.dictionaries(NAMES, MEMBER | st.builds(damaged, MEMBER, DAMAGE), min_size=1, max_size=4),
    st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]),
)


# Parquet

ROWS = 5


def parquet(columns: dict[str, Any], **options: Any) -> bytes:
    """Return a table as Parquet."""
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream, **options)
    return stream.getvalue()


def _footer_says(data: bytes, length: int) -> bytes:
    return data[:-8] + length.to_bytes(4, "little") + data[-4:]


def known_parquet() -> Iterator[bytes]:
    """Known bad ones."""
    small = {"key": [str(row) for row in range(ROWS)], "x": list(range(ROWS))}
    nested: Any = [1]
    for _ in range(60):
        nested = [nested]
    yield b""
    yield b"PAR1"
    yield b"PAR1PAR1"
    yield b"PARE" + bytes(100) + b"PARE"
    yield b"PAR1" + b"\xff\xff\xff\x7f" + b"PAR1"
    yield parquet(small)
    yield parquet(small)[:-1]
    yield parquet(small)[4:]
    yield parquet(small) * 2
    yield _footer_says(parquet(small), 0)
    yield _footer_says(parquet(small), 0x7FFFFFFF)
    yield _footer_says(parquet(small), 0xFFFFFFFF)
    yield parquet({"x": pa.array([], pa.int64())})
    yield parquet({})
    yield parquet({"x": pa.nulls(3)})
    yield parquet({"x": pa.array(["a" * 1000] * 10_000)})
    yield parquet({"x": pa.array(["a" * (1 << 20)]).dictionary_encode().take(pa.array([0] * 9_000))})
    yield parquet({"x": pa.array([0] * 50_000, pa.int64())})
    yield parquet({"x": pa.array([[0] * 100_000] * 100, pa.list_(pa.int8()))})
    yield parquet({"x": pa.nulls(5_000_000, pa.int64())})
    yield parquet({f"c{number}": [1] for number in range(10_000)})
    yield parquet({"x": pa.array([nested])})
    yield parquet({"x" * 100_000: [1]})
    yield parquet({"x": ["\x1b[31m"], "\x1b[2J": [1]})


COLUMN = st.lists(SOUND, min_size=ROWS, max_size=ROWS).map(pa.array) | st.sampled_from(
    [
        *(pa.array(range(ROWS), kind) for kind in (pa.int8(), pa.int64(), pa.uint64(), pa.float32(), pa.float64())),
        *(pa.array(["a"] * ROWS, kind) for kind in (pa.string(), pa.large_string(), pa.binary(), pa.binary(1))),
        *(pa.array([[row, 1] for row in range(ROWS)], kind) for kind in (pa.list_(pa.int32()), pa.list_(pa.int8(), 2))),
        *(pa.array([value] * ROWS) for value in (True, [[1.5]] * 2, {"a": 1}, dt.date.min, decimal.Decimal("1.5"))),
        pa.array(["a"] * ROWS).dictionary_encode(),
        pa.array([[1] * row for row in range(ROWS)]),
        pa.array([[("k", 1)]] * ROWS, pa.map_(pa.string(), pa.int32())),
        pa.array([dt.datetime(2026, 1, 1)] * ROWS, pa.timestamp("ns")),
        pa.nulls(ROWS),
        pa.nulls(ROWS, pa.string()),
        pa.array([1, None, 3, 4, 5]),
    ]
)
PARQUET_FILES = st.builds(
    parquet,
    st.dictionaries(NAMES, COLUMN, min_size=1, max_size=4),
    compression=st.sampled_from(["none", "snappy", "zstd", "gzip", "lz4", "brotli"]),
    use_dictionary=st.booleans(),
    data_page_version=st.sampled_from(["1.0", "2.0"]),
    write_statistics=st.booleans(),
    row_group_size=st.sampled_from([2, 1000]),
    store_schema=st.booleans(),
    write_page_checksum=st.booleans(),
)


# Folders


def picture(kind: str) -> bytes:
    """Return a small picture."""
    stream = io.BytesIO()
    Image.new("L", (4, 4), 7).save(stream, {"jpg": "jpeg"}.get(kind, kind))
    return stream.getvalue()


def png_of(width: int, height: int) -> bytes:
    """Return a PNG that claims a size, whatever it holds."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(1 << 16))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def _deep(folder: Path) -> None:
    here = os.open(folder, os.O_RDONLY)
    for _ in range(600):  # deeper than a path may be long, so one level at a time
        os.mkdir("d" * 10, dir_fd=here)
        inner = os.open("d" * 10, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(os.open("a.txt", os.O_WRONLY | os.O_CREAT, dir_fd=here))
    os.close(here)


def known_folders() -> Iterator[Callable[[Path], object]]:
    """Known bad ones, as what makes one."""
    yield lambda folder: None
    yield lambda folder: (folder / "a.txt").write_text("")
    yield lambda folder: (folder / "a.txt").write_bytes(b"\xff\xfe")
    yield lambda folder: (folder / "a.txt").symlink_to(Path("../../../outside/secret.txt"))
    yield lambda folder: (folder / "a.npy").symlink_to(Path("../../../outside/secret.npy"))
    yield lambda folder: (folder / "a.txt").symlink_to("/etc/passwd")
    yield lambda folder: (folder / "a.txt").symlink_to("/dev/zero")
    yield lambda folder: (folder / "a.txt").symlink_to("/dev/stdin")
    yield lambda folder: (folder / "a.txt").symlink_to("/proc/self/environ")
    yield lambda folder: (folder / "a.txt").symlink_to("/proc/self/mem")
    yield lambda folder: (folder / "a.txt").symlink_to("a.txt")
    yield lambda folder: (folder / "a.txt").symlink_to("gone.txt")
    yield lambda folder: (folder / "loop").symlink_to(folder)
    yield lambda folder: (folder / "root").symlink_to("/")
    yield lambda folder: os.mkfifo(folder / "a.txt")
    yield lambda folder: os.mkfifo(folder / "a.png")
    yield lambda folder: (folder / "a.png").mkdir()
    yield _deep
    yield lambda folder: (folder / "a.npy").write_bytes(pickle.dumps(Bait()))
    yield lambda folder: (folder / "a.npy").write_bytes(saved(np.array([Bait()], dtype=object)))
    yield lambda folder: (folder / "a.npy").write_bytes(npy("(10_000_000_000,)", "'<f8'", b""))
    yield lambda folder: (folder / "a.npy").write_bytes(npy("()", "'<f8'", bytes(8)))
    yield lambda folder: (folder / "a.png").write_bytes(png_of(1, 1))
    yield lambda folder: (folder / "a.png").write_bytes(png_of(100_000, 100_000))
    yield lambda folder: (folder / "a.png").write_bytes(png_of(2**31 - 1, 2**31 - 1))
    yield lambda folder: (folder / "a.png").write_bytes(png_of(20_000, 20_000))
    yield lambda folder: (folder / "a.png").write_bytes(png_of(0, 0))
    yield lambda folder: (folder / "a.jpg").write_bytes(png_of(4, 4))
    yield lambda folder: (folder / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(x) run\n")
    yield lambda folder: (folder / "a.txt").write_bytes(b"a" * (10 << 20))
    yield lambda folder: (folder / "a.pkl").write_bytes(b"x")
    yield lambda folder: (folder / "a.txt").write_bytes(pickle.dumps(Bait()))
    yield lambda folder: [(folder / f"{number}.txt").write_text("a") for number in range(2_000)]
    yield lambda folder: os.close(os.open(os.fsencode(folder) + b"/\xff\xfe.txt", os.O_WRONLY | os.O_CREAT))
    yield lambda folder: (folder / "a\x1b[31m\nb.txt").write_text("a")
    yield lambda folder: (folder / ("a" * 251 + ".txt")).write_text("a")


CONTENTS = {
    **{kind: st.just(picture(kind)) for kind in ("png", "jpg", "gif", "bmp", "tiff", "webp", "ppm")},
    "npy": st.builds(saved, st.sampled_from(ARRAYS)),
    "txt": WORD.map(lambda word: word.encode("utf-8", "surrogatepass")),
}
FILE_NAMES = st.sampled_from(["a", "b", "c d", "\u00e9", "below/a"]) | TYPED.map(
    lambda name: os.fsdecode(name.replace("/", "_").encode("utf-8", "replace")[:200]).strip(".") or "a"
)


@st.composite
def folders(draw: st.DrawFn) -> dict[str, bytes]:
    """Draw files of one kind, some in a folder below, some damaged."""
    kind = draw(st.sampled_from(sorted(CONTENTS)))
    names = FILE_NAMES.map(lambda name: f"{name}.{kind}")
    return draw(st.dictionaries(names, maybe_damaged(CONTENTS[kind]), min_size=1, max_size=3))


def attempt_folder(place: Place, case: Callable[[Path], object] | dict[str, bytes]) -> str:
    """Add a folder."""
    folder = place.incoming("data")
    folder.mkdir()
    if not isinstance(case, dict):
        case(folder)
        return take(place, folder)
    for name, data in case.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(data)
    return take(place, folder)


KINDS = (
    Kind("csv", attempt_as("data.csv"), st.tuples(maybe_damaged(csv_files()), OPTIONS), known_csv, full=1_400,
         isolated=True),
    Kind("json lines", attempt_as("data.jsonl"), st.tuples(maybe_damaged(json_lines()), OPTIONS | KEEP),
         known_json_lines, full=1_400, isolated=True),
    Kind("npz", attempt_as("data.npz"), st.tuples(maybe_damaged(NPZ_FILES), OPTIONS), known_npz, full=1_400,
         isolated=True),
    Kind("parquet", attempt_as("data.parquet"), st.tuples(maybe_damaged(PARQUET_FILES), OPTIONS), known_parquet,
         full=2_000, isolated=True),
    Kind("folder", attempt_folder, folders(), known_folders, full=600, isolated=True),
)  # fmt: skip
