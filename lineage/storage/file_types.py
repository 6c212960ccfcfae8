r"""What a search for data can read, told by a file's first bytes and not by its name.

Parquet that lists items by digest and safetensors can be compared with what is sought. Anything else that may hold data
cannot: an archive, a checkpoint, a picture, a table in text. A search names such files, so that they are not taken for
searched.

Text is taken for code, prose or settings unless it is called what tables are called (``.csv``), is JSON too long for a
description, or lies where only data is kept. Rows in any text are found by marks (:mod:`lineage.shards.row_marks`);
negative consequence: where they have none, data in other text is neither read nor named.

>>> import tempfile
>>> folder = Path(tempfile.mkdtemp())
>>> for name, data in {"a.npz": b"PK\3\4\0", "b.csv": b"x", "c.py": b"x = 1"}.items():
...     _ = (folder / name).write_bytes(data)
>>> [Reading.of(folder / name).name for name in ("a.npz", "b.csv", "c.py")]
['UNREAD', 'UNREAD', 'WORDS']
"""

from collections.abc import Collection
from enum import Enum
from pathlib import Path

_HEAD = 4096
"""Bytes by which a file is judged."""
_LENGTH_BYTES = 8  # of a safetensors header's length, little-endian, with which the file begins
_TABLES = frozenset({".csv", ".tsv", ".jsonl", ".ndjson", ".txt"})
_DESCRIPTION = 65_536  # bytes of JSON: settings and descriptions have less
_COMPILED = frozenset({".pyc"})


class Reading(Enum):
    """How a file can be read."""

    PARQUET = "Parquet with a column of digests"
    SAFETENSORS = "safetensors"
    WORDS = "text other than a table, or nothing at all"
    UNREAD = "anything else"

    @classmethod
    def of(cls, path: Path, *, stored: bool = False) -> "Reading":
        """Return how a file can be read; ``stored`` is for a place where only data is kept. May raise ``OSError``."""
        with path.open("rb") as file:
            head = file.read(_HEAD)
        if head.startswith(b"PAR1"):
            return cls.PARQUET if _lists_digests(path) else cls.UNREAD
        size = path.stat().st_size
        if head[_LENGTH_BYTES:].startswith(b"{") and int.from_bytes(head[:_LENGTH_BYTES], "little") < size:
            return cls.SAFETENSORS
        if not head or path.suffix in _COMPILED:
            return cls.WORDS
        is_table = path.suffix.lower() in _TABLES and path.name != "requirements.txt"
        is_table |= path.suffix.lower() == ".json" and size > _DESCRIPTION
        return cls.UNREAD if stored or is_table or not _is_text(head) else cls.WORDS


def is_text(path: Path) -> bool:
    """Whether a file begins as text does; may raise ``OSError``."""
    with path.open("rb") as file:
        return _is_text(file.read(_HEAD))


def holds(path: Path, items: Collection[str]) -> bool:
    """Whether a file is Parquet with one of these item digests; no for a damaged one, which digests tell of."""
    try:
        return lists_any(path, items)
    except (OSError, ValueError):
        return False


def lists_any(path: Path, items: Collection[str]) -> bool:
    """Whether a file is Parquet with a ``digest`` column in which one of these item digests stands, in either case.

    Raises ``OSError`` or ``ValueError`` for a damaged file, and for digests in another form than text.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    with path.open("rb") as file:
        if file.read(4) != b"PAR1":
            return False
    wanted = pa.array(sorted(items), pa.string())
    try:
        with pq.ParquetFile(path) as table:
            if "digest" not in table.schema_arrow.names:
                return False
            for batch in table.iter_batches(columns=["digest"]):
                listed = pc.utf8_lower(batch.column(0).cast(pa.string()))
                if pc.any(pc.is_in(listed, value_set=wanted)).as_py():
                    return True
    except pa.ArrowException as problem:
        raise ValueError(f"{path}: damaged Parquet ({problem})") from problem
    return False


def _lists_digests(path: Path) -> bool:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return "digest" in pq.read_schema(path).names
    except (pa.ArrowException, OSError, ValueError):  # bytes that are not UTF-8 where names stand
        return False


def _is_text(head: bytes) -> bool:
    if b"\0" in head:
        return False
    try:
        head.decode()
    except UnicodeDecodeError as problem:
        return len(head) == _HEAD and problem.start > _HEAD - 4  # a character that the head ends within
    return True
