"""Parquet files of every type there is, then damaged where it hurts: footers, page headers, lengths, dictionaries."""

import datetime as dt
import decimal
import io
import random
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.fuzz import hostile
from tests.fuzz.mutation import damaged
from tests.fuzz.place import Place
from tests.fuzz.taking import incoming, options, take

ROWS = 5


def parquet(columns: dict[str, Any], **options: Any) -> bytes:
    """Return a table as Parquet."""
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream, **options)
    return stream.getvalue()


def _footer_says(data: bytes, length: int) -> bytes:
    return data[:-8] + length.to_bytes(4, "little") + data[-4:]


SMALL = {"key": [str(row) for row in range(ROWS)], "x": list(range(ROWS))}

KNOWN: tuple[Callable[[], bytes], ...] = (
    lambda: b"",
    lambda: b"PAR1",
    lambda: b"PAR1PAR1",
    lambda: b"PARE" + bytes(100) + b"PARE",
    lambda: b"PAR1" + b"\xff\xff\xff\x7f" + b"PAR1",
    lambda: parquet(SMALL),
    lambda: parquet(SMALL)[:-1],
    lambda: parquet(SMALL)[4:],
    lambda: parquet(SMALL) * 2,
    lambda: _footer_says(parquet(SMALL), 0),
    lambda: _footer_says(parquet(SMALL), 0x7FFFFFFF),
    lambda: _footer_says(parquet(SMALL), 0xFFFFFFFF),
    lambda: parquet({"x": pa.array([], pa.int64())}),
    lambda: parquet({}),
    lambda: parquet({"x": pa.nulls(3)}),
    lambda: parquet({"x": pa.array(["a" * 1000] * 10_000)}),
    lambda: parquet({"x": pa.array(["a" * (1 << 20)]).dictionary_encode().take(pa.array([0] * 9_000))}),
    lambda: parquet({"x": pa.array([0] * 50_000, pa.int64())}),
    lambda: parquet({"x": pa.array([[0] * 100_000] * 100, pa.list_(pa.int8()))}),
    lambda: parquet({"x": pa.nulls(5_000_000, pa.int64())}),
    lambda: parquet({f"c{number}": [1] for number in range(10_000)}),
    lambda: parquet({"x": pa.array([_nested(60)])}),
    lambda: parquet({"x" * 100_000: [1]}),
    lambda: parquet({"x": ["\x1b[31m"], "\x1b[2J": [1]}),
)  # fmt: skip
"""Each once."""


def _nested(depth: int) -> Any:
    found: Any = [1]
    for _ in range(depth):
        found = [found]
    return found


VALUES: tuple[Callable[[random.Random], Any], ...] = (
    lambda rng: pa.array(range(ROWS), rng.choice((pa.int8(), pa.int64(), pa.uint16(), pa.uint64()))),
    lambda rng: pa.array([float(row) for row in range(ROWS)], rng.choice((pa.float32(), pa.float64()))),
    lambda rng: pa.array([rng.random() < 0.5 for _ in range(ROWS)]),
    lambda rng: pa.array([_text(rng) for _ in range(ROWS)], rng.choice((pa.string(), pa.large_string()))),
    lambda rng: pa.array([rng.choice(("a", "b")) for _ in range(ROWS)]).dictionary_encode(),
    lambda rng: pa.array(
        [[row, 1] for row in range(ROWS)], rng.choice((pa.list_(pa.int32()), pa.list_(pa.int32(), 2)))
    ),
    lambda rng: pa.array([[[1.5, 2.5]] * 2] * ROWS),
    lambda rng: pa.array([[1] * rng.randrange(3) for _ in range(ROWS)]),
    lambda rng: pa.array([{"a": 1, "b": "x"}] * ROWS),
    lambda rng: pa.array([[("k", 1)]] * ROWS, pa.map_(pa.string(), pa.int32())),
    lambda rng: pa.array([b"\x00\xff"] * ROWS, rng.choice((pa.binary(), pa.binary(2)))),
    lambda rng: pa.array([dt.date(2026, 1, 1)] * ROWS),
    lambda rng: pa.array([dt.datetime(2026, 1, 1)] * ROWS, pa.timestamp("ns")),
    lambda rng: pa.array([decimal.Decimal("1.5")] * ROWS),
    lambda rng: pa.nulls(ROWS, rng.choice((pa.null(), pa.int64(), pa.string()))),
    lambda rng: pa.array([1, None, 3, 4, 5], rng.choice((pa.int64(), pa.float32()))),
)
"""A column of each type; the first are types that are taken."""
TAKEN = 7


def case(place: Place, number: int) -> str:
    """Add one Parquet file."""
    rng = place.fresh("empty", kind="parquet", number=number).rng
    path = incoming(place, "data.parquet")
    if number < len(KNOWN):
        path.write_bytes(KNOWN[number]())
        return take(place, path)
    names = tuple(dict.fromkeys(_name(rng) for _ in range(rng.randrange(1, 5))))
    data = generated(names, rng)
    if rng.random() < 0.75:
        footer = int.from_bytes(data[-8:-4], "little") + 8
        data = damaged(data, rng, end=rng.choice((0, footer, footer, 12)))
    path.write_bytes(data)
    return take(place, path, *options(rng, names))


def generated(names: tuple[str, ...], rng: random.Random) -> bytes:
    """Return a table of random types and settings as Parquet."""
    return parquet(
        {name: rng.choice(VALUES[: rng.choice((TAKEN, TAKEN, len(VALUES)))])(rng) for name in names},
        compression=rng.choice(("none", "snappy", "zstd", "gzip", "lz4", "brotli")),
        use_dictionary=rng.random() < 0.5,
        data_page_version=rng.choice(("1.0", "2.0")),
        write_statistics=rng.random() < 0.7,
        row_group_size=rng.choice((2, 1000)),
        store_schema=rng.random() < 0.7,
        write_page_checksum=rng.random() < 0.3,
    )


def _name(rng: random.Random) -> str:
    if rng.random() < 0.15:
        return _text(rng)[:1_000]
    return rng.choice(("x", "label", "key", "subject", "source", "license", "y"))


def _text(rng: random.Random) -> str:
    return hostile.word(rng)[:20_000].encode("utf-8", "replace").decode()
