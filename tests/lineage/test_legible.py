"""A file is what its first bytes say, and text is data only where its name or its place says so."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import save

from lineage.storage.file_types import Reading


def parquet(column: str) -> bytes:
    """A table of one column."""
    stream = io.BytesIO()
    pq.write_table(pa.table({column: ["a"]}), stream)
    return stream.getvalue()


def npz() -> bytes:
    """An archive of one array."""
    stream = io.BytesIO()
    np.savez(stream, x=np.zeros(3))
    return stream.getvalue()


CASES: list[tuple[str, bytes, Reading]] = [
    ("a.bak", parquet("digest"), Reading.PARQUET),
    ("a.parquet", parquet("name"), Reading.UNREAD),
    ("a.parquet", b"PAR1 and no more", Reading.UNREAD),
    ("a.py", save({"w": np.zeros(3)}), Reading.SAFETENSORS),
    ("a.safetensors", b"\xff" * 8 + b"{", Reading.UNREAD),
    ("a.npz", npz(), Reading.UNREAD),
    ("a.txt", npz(), Reading.UNREAD),
    ("a", npz(), Reading.UNREAD),
    ("a.csv", b"name\nada\n", Reading.UNREAD),
    ("a.JSONL", b"{}\n", Reading.UNREAD),
    ("a.json", b'{"settings": 1}', Reading.WORDS),
    ("a.json", b'"' + b"x" * 70_000 + b'"', Reading.UNREAD),
    ("requirements.txt", b"numpy", Reading.WORDS),
    ("a.md", "\N{EURO SIGN}".encode() * 3000, Reading.WORDS),
    ("a.pyc", b"\0\1\2", Reading.WORDS),
    ("a.bin", b"", Reading.WORDS),
]


@pytest.mark.parametrize(("name", "data", "reading"), CASES)
def test_a_file_is_read_by_its_bytes(tmp_path: Path, name: str, data: bytes, reading: Reading) -> None:
    (tmp_path / name).write_bytes(data)
    assert Reading.of(tmp_path / name) is reading


@pytest.mark.parametrize(("name", "data", "reading"), [(*each[:2], Reading.UNREAD) for each in CASES[10:14]])
def test_where_only_data_is_kept_all_text_is_data(tmp_path: Path, name: str, data: bytes, reading: Any) -> None:
    (tmp_path / name).write_bytes(data)
    assert Reading.of(tmp_path / name, stored=True) is reading
