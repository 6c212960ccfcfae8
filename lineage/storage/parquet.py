"""Parquet files that are written whole or not at all, with the same bytes for the same table.

Manifests and contents are truth, so they are never seen half written. Nothing in a file depends on a clock: the same
pyarrow version writes the same table to the same bytes (a file names its writer, so another version writes others).
"""

from pathlib import Path
from typing import Any

from lineage.errors import DigestMismatch, UnknownRecord
from lineage.storage.size_limits import ITEM, check_items, too_large

_ROW_GROUP = 65_536
"""Rows a group: fixed, so that bytes do not depend on a library's default."""


def table_bytes(table: Any, *, dictionary: bool) -> bytes:
    """Return an Arrow table as a Parquet file; ``dictionary`` is worth it for columns that repeat themselves."""
    import pyarrow as pa
    import pyarrow.parquet as pq

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
    return stream.getvalue().to_pybytes()  # type: ignore[no-any-return]


def read_table(path: Path, what: str, columns: list[str] | None = None, *, limit: int | None = None) -> Any:
    """Return the Arrow table at ``path``; ``what`` names it in an error.

    ``limit`` is for a file from elsewhere: bytes its content may take in memory. What this workspace wrote may be as
    large as was allowed when it was taken in. Raises ``UnknownRecord`` if there is no file, ``DigestMismatch`` if
    it is not the Parquet that was written, ``TooLarge`` for one above the limit.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        raise missing(path, what)
    try:
        if limit is not None:
            whole = _read_within(path, limit)
            return whole if columns is None else whole.select(columns)
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            return file.read(columns=columns)
    except (pa.ArrowException, OSError, ValueError, MemoryError) as problem:
        raise broken(path, what) from problem


def read_metadata(path: Path, what: str) -> dict[bytes, bytes]:
    """Return what a file at ``path`` says of its table, without reading that; errors as of :func:`read_table`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        raise missing(path, what)
    try:
        return pq.read_schema(path).metadata or {}
    except (pa.ArrowException, OSError, ValueError) as problem:
        raise broken(path, what) from problem


def missing(path: Path, what: str) -> UnknownRecord:
    """Return the error for a file that is not there."""
    return UnknownRecord(f"{path}: the {what} is missing; restore the file (with DVC: dvc pull), then repeat")


def broken(path: Path, what: str) -> DigestMismatch:
    """Return the error for a file that is not what was written there."""
    return DigestMismatch(f"{path}: the {what} was changed on disk and cannot be read; restore the file, then repeat")


def _read_within(path: Path, limit: int) -> Any:
    """Return a table whose rows, in full width, fit into the limit; ``ValueError`` for types no shard is written in.

    A page of a run or of a dictionary holds a million values in some bytes. Numbers are counted before anything is
    read; a text is read as a place in its group's dictionary, and written out when all of them are known to fit.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        schema = file.schema_arrow
        groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
        rows = sum(group.num_rows for group in groups)
        check_items(str(path), rows, limit)
        room = limit + rows * ITEM  # the digest of every item stands there too
        needed = rows * sum(map(_width, schema.types))
        for unpacked in (needed, sum(group.total_byte_size for group in groups)):
            if unpacked > room:
                raise too_large(str(path), unpacked, limit)
    texts = [field.name for field in schema if pa.types.is_string(field.type)]
    files = [field.name for field in schema if pa.types.is_large_binary(field.type)]
    parts = [schema.empty_table()]
    with pq.ParquetFile(path, page_checksum_verification=True, read_dictionary=texts) as file:
        for number in range(file.num_row_groups):
            part = file.read_row_group(number)
            needed += sum(_letters(part.column(name)) for name in texts)
            needed += sum(part.column(name).nbytes for name in files)
            if needed > room:
                raise too_large(str(path), needed, limit)
            parts.append(part.cast(schema))
    return pa.concat_tables(parts)


def _width(kind: Any) -> int:
    """Return the bytes that a value takes, beside its letters where it is text."""
    import pyarrow as pa

    if pa.types.is_string(kind):
        return 4  # where it ends
    if pa.types.is_large_binary(kind):
        return 8
    if pa.types.is_primitive(kind) or pa.types.is_fixed_size_binary(kind):
        return int(max(kind.bit_width // 8, 1))
    raise ValueError(f"a column of type {kind}")


def _letters(column: Any) -> int:
    """Return the bytes of a column's texts when every one is written out."""
    import pyarrow as pa
    import pyarrow.compute as pc

    lengths = (pc.binary_length(chunk.dictionary).take(chunk.indices) for chunk in column.chunks)
    return sum(pc.sum(pc.cast(each, pa.int64())).as_py() or 0 for each in lengths)
