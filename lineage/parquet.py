"""Parquet files that are written whole or not at all, with the same bytes for the same table.

Manifests and contents are truth, so they are never seen half written. Nothing in a file depends on a clock: the same
pyarrow version writes the same table to the same bytes (a file names its writer, so another version writes others).
"""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lineage.errors import DigestMismatch, UnknownRecord
from lineage.objects import write_atomically

_ROW_GROUP = 65_536
"""Rows a group: fixed, so that bytes do not depend on a library's default."""


def write_table(path: Path, table: Any, *, dictionary: bool) -> None:
    """Write an Arrow table to ``path`` atomically; ``dictionary`` is worth it for columns that repeat themselves.

    Raises ``LineageError`` when the disk is full or the folder cannot be written; then nothing is left behind.
    """
    stream = pa.BufferOutputStream()
    pq.write_table(
        table,
        stream,
        compression="zstd",
        use_dictionary=dictionary,
        version="2.6",
        row_group_size=_ROW_GROUP,
        write_page_checksum=True,  # a manifest's keys and subjects are in no digest
    )
    write_atomically(path, stream.getvalue().to_pybytes())


def read_table(path: Path, what: str, columns: list[str] | None = None) -> Any:
    """Return the Arrow table at ``path``; ``what`` names it in an error.

    Raises ``UnknownRecord`` if there is no file, ``DigestMismatch`` if it is not the Parquet that was written.
    """
    if not path.is_file():
        raise UnknownRecord(f"{path}: the {what} is missing; restore the file (with DVC: dvc pull), then repeat")
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            return file.read(columns=columns)
    except (pa.ArrowException, OSError, ValueError, MemoryError) as problem:
        raise broken(path, what) from problem


def broken(path: Path, what: str) -> DigestMismatch:
    """Return the error for a file that is not what was written there."""
    return DigestMismatch(f"{path}: the {what} was changed on disk and cannot be read; restore the file, then repeat")
