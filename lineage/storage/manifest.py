"""A shard's items, without their content: the one place that says which item is whose.

Rows are sorted by digest and then key, in Parquet that DuckDB, Spark or Trino read as it is.

The columns ``likeness`` and ``written`` are there only where one was recorded, so a manifest without them keeps its
bytes; they are in no digest of an item or shard, only in that of the manifest's file.

A manifest is erasable, the ledger is not: keys are kept as they were given, and a key may well be personal data (an
e-mail address, a file name), so they stand here and never in a fact. Subjects are keyed pseudonyms.

>>> import tempfile
>>> path = Path(tempfile.mkdtemp()) / "manifest.parquet"
>>> _ = write_manifest(path, [Item("b" * 64, "2", None, None, None, 8), Item("a" * 64, "1", None, "web", "MIT", 8)])
>>> [item.key for item in read_manifest(path)]
['1', '2']
"""

import hashlib
import os
from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

from lineage.perceptual_hash import is_likeness
from lineage.records import Item
from lineage.storage.objects import write_atomically
from lineage.storage.parquet import broken, read_table, table_bytes

_TAIL = 8
"""Bytes at the end of a Parquet file: the length of its footer, and a mark."""


_digest = attrgetter("digest")
_OPTIONAL = ("likeness", "written")
"""Columns that are there where an item has one, after all others."""


def _schema(optional: Iterable[str]) -> Any:
    """Return the Arrow schema of a manifest with some of its optional columns."""
    import pyarrow as pa

    fields = [
        pa.field("digest", pa.string(), nullable=False),
        pa.field("key", pa.string(), nullable=False),
        pa.field("subject", pa.string()),
        pa.field("source", pa.string()),
        pa.field("license", pa.string()),
        pa.field("n_bytes", pa.int64(), nullable=False),
    ]
    return pa.schema([*fields, *(pa.field(name, pa.string()) for name in optional)])


def manifest_bytes(items: Sequence[Item]) -> bytes:
    """Return the file of a manifest, sorted; the same items in any order give the same bytes."""
    import pyarrow as pa

    ordered = in_manifest_order(items)
    schema = _schema(name for name in _OPTIONAL if any(getattr(item, name) is not None for item in ordered))
    columns = [pa.array([getattr(item, column.name) for item in ordered], column.type) for column in schema]
    return table_bytes(pa.Table.from_arrays(columns, schema=schema), dictionary=True)


def write_manifest(path: Path, items: Sequence[Item]) -> str:
    """Write items to ``path`` atomically and return the SHA-256 of the file's bytes.

    Raises ``LineageError`` when the disk is full or the folder cannot be written.
    """
    data = manifest_bytes(items)
    write_atomically(path, data)
    return hashlib.sha256(data).hexdigest()


def read_manifest(path: Path) -> tuple[Item, ...]:
    """Return the items at ``path``, sorted by digest, then key.

    Raises ``UnknownRecord`` if there is no such file, ``DigestMismatch`` if it is damaged.
    """
    table = read_table(path, "manifest of the shard")
    optional = [name for name in _OPTIONAL if name in table.schema.names]
    if not table.schema.equals(_schema(optional)):
        raise broken(path, "manifest of the shard")
    columns = {column.name: table.column(column.name).to_pylist() for column in table.schema}
    nothing = [None] * len(table)
    likenesses, written = (columns.pop(name, nothing) for name in _OPTIONAL)
    if not all(likeness is None or is_likeness(likeness) for likeness in likenesses):
        raise broken(path, "manifest of the shard")
    return in_manifest_order(Item(*row) for row in zip(*columns.values(), likenesses, written, strict=True))


def may_hold_likenesses(path: Path) -> bool:
    """Whether the manifest at ``path`` may have the column, read from its footer, which names every column.

    Loads no library to say that it has none, as most have. True for what has no footer: reading it will say so.
    """
    try:
        with path.open("rb") as file:
            start = file.seek(-min(file.seek(0, os.SEEK_END), _TAIL), os.SEEK_END)
            end = file.read()
            length = int.from_bytes(end[:4], "little")
            file.seek(max(start - length, 0))
            return end[4:] != b"PAR1" or length > start or b"likeness" in file.read(length)
    except OSError:
        return True


def read_digests(path: Path) -> Any:
    """Return the digests at ``path`` as an Arrow column, without reading the rest."""
    table = read_table(path, "manifest of the shard", ["digest"])
    if table.schema.names != ["digest"]:
        raise broken(path, "manifest of the shard")
    return table.column("digest")


def read_licenses(path: Path) -> tuple[str, ...]:
    """Return the different licenses at ``path``, sorted, without reading the rest. Errors as above."""
    table = read_table(path, "manifest of the shard", ["license"])
    if table.schema.names != ["license"]:
        raise broken(path, "manifest of the shard")
    return tuple(sorted(text for text in table.column("license").unique().to_pylist() if text is not None))


def in_manifest_order(items: Iterable[Item]) -> tuple[Item, ...]:
    """Return items as a manifest keeps them: by digest, then key, then the rest, so that no order of arrival shows."""
    ordered: list[Item] = []
    for _, alike in groupby(sorted(items, key=_digest), key=_digest):
        several = list(alike)
        ordered += several if len(several) == 1 else sorted(several, key=_place)
    return tuple(ordered)


def _place(item: Item) -> tuple[tuple[bool, str], ...]:
    known = (item.digest, item.key, item.subject, item.source, item.license, f"{item.n_bytes:020}")
    return tuple((text is not None, text or "") for text in (*known, item.likeness, item.written))
