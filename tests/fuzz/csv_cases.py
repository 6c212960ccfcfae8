"""CSV files: tables of hostile cells, written in many dialects and encodings, then damaged; and the known bad ones."""

import random
from collections.abc import Callable

from tests.fuzz import hostile
from tests.fuzz.mutation import damaged
from tests.fuzz.place import Place
from tests.fuzz.taking import incoming, options, take

MEGABYTES = 10

KNOWN: tuple[Callable[[], bytes], ...] = (
    lambda: b"",
    lambda: b"\n\n\n",
    lambda: b"\xef\xbb\xbf",
    lambda: b"key,x\n",
    lambda: b"key,x",
    lambda: b"x\n1\n",
    lambda: b",\n1,2\n",
    lambda: b"x,x\n1,2\n",
    lambda: b'"x\n1\n2\n',
    lambda: b'x\n"a"b"\n',
    lambda: b"x,y\n1\n",
    lambda: b"x\r1\r2\r",
    lambda: b"x\n\x00\n",
    lambda: b"\x00",
    lambda: b"x\n1\n\x1a",
    lambda: b"\xff\xfex\x00\n\x001\x00\n\x00",
    lambda: b"\xff",
    lambda: b"x\n" + b"9" * 5_000 + b"\n",
    lambda: b"x\n9223372036854775808\n-9223372036854775809\n",
    lambda: b"x\n1\nnan\n",
    lambda: b"x\n1e999\n-1e999\n",
    lambda: b"x\n1\n" + b"1e400\n",
    lambda: b"x\n\n1\n\n",
    lambda: b"x\n=cmd|' /C calc'!A0\n",
    lambda: b"subject,x\n" + "\N{COMBINING ACUTE ACCENT}".encode() * 5_000 + b",1\n",
    lambda: ",".join(f"c{number}" for number in range(100_000)).encode() + b"\n" + b"1," * 99_999 + b"1\n",
    lambda: b",".join([b"c"] * 100_000) + b"\n",
    lambda: b"x\n" + b"a" * (MEGABYTES << 20) + b"\n",
    lambda: b"x" * (MEGABYTES << 20) + b"\n1\n",
    lambda: b'x\n"' + b"\n" * (1 << 20) + b'"\n',
    lambda: b"x\n" + b'"' * (1 << 20),
    lambda: b"x\n" + b"\n" * (1 << 20) + b"1\n",
    lambda: b"x\n" + b"1\n" * 20_000,
)  # fmt: skip
"""Each once."""

ENCODINGS = (
    "utf-8", "utf-16", "utf-32", "latin-1", "utf-7", "cp037", "idna", "punycode", "unicode_escape", "rot13", "hex",
    "zip", "undefined", "raw_unicode_escape", "mbcs", "utf-8-sig", "", "../utf-8", "os", "big5", "utf-8\x00",
)  # fmt: skip


def case(place: Place, number: int) -> str:
    """Add one CSV file."""
    rng = place.fresh("empty", kind="csv", number=number).rng
    path = incoming(place, "data.csv")
    if number < len(KNOWN):
        path.write_bytes(KNOWN[number]())
        return take(place, path)
    columns = table_columns(rng)
    data = written(columns, rng)
    more = options(rng, columns)
    if rng.random() < 0.15:
        encoding = rng.choice(ENCODINGS)
        more += ("--encoding", encoding)
        if rng.random() < 0.5:
            data = _encoded(data, encoding)
    path.write_bytes(damaged(data, rng) if rng.random() < 0.6 else data)
    return take(place, path, *more)


def table_columns(rng: random.Random) -> tuple[str, ...]:
    """Return names of columns, some with a part to play, some hostile."""
    usual = ("key", "subject", "source", "license", "x", "label", "text", "digest")
    return tuple(
        hostile.word(rng)[:500] if rng.random() < 0.15 else rng.choice(usual) for _ in range(rng.randrange(1, 6))
    )


def written(columns: tuple[str, ...], rng: random.Random) -> bytes:
    """Return rows under these columns as CSV of some dialect."""
    comma, quote, end = rng.choice(((",", '"', "\n"),) * 4 + ((";", '"', "\n"), (",", "'", "\n"), (",", '"', "\r\n")))
    lines = [columns]
    kinds = [rng.choice(("whole", "number", "word", "any")) for _ in columns]
    for _ in range(rng.randrange(1, 8)):
        lines.append(tuple(_cell(kind, rng) for kind in kinds))
    quoted = (comma.join(_quoted(cell, quote, rng) for cell in line) for line in lines)
    return (end.join(quoted) + end).encode("utf-8", errors="surrogatepass")


def _cell(kind: str, rng: random.Random) -> str:
    if kind == "whole":
        return str(rng.choice((0, 1, -5, 7, 10**18, 2**63)))
    if kind == "number":
        return repr(rng.choice((0.5, 1e300, -2.25, 3.0)))
    return hostile.word(rng)[:20_000] if kind == "any" else rng.choice(("ann", "bob", "Ada Example", ""))


def _quoted(cell: str, quote: str, rng: random.Random) -> str:
    if rng.random() < 0.1 and not set(cell) & set(",;\"'\r\n"):
        return cell
    return quote + cell.replace(quote, quote * 2) + quote


def _encoded(data: bytes, encoding: str) -> bytes:
    try:
        return data.decode("utf-8", errors="replace").encode(encoding)
    except (LookupError, ValueError, AttributeError):
        return data
