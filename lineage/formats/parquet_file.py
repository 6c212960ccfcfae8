"""Items from Parquet: one row per item, of one file or of all files of a folder (see :mod:`.arrow_columns`).

A folder of Parquet files is one table: its files in the order of their paths, all with the same columns. What folders
within it are called in the manner of Hive, ``year=2024/lang=de/a.parquet``, are columns too, read as the cells of a CSV
file are. Files whose names begin with ``_`` or a dot are left alone (``_SUCCESS``).
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from lineage.errors import BadInput
from lineage.formats.arrow_columns import ArrowColumns, is_text, refuse_unknown_type
from lineage.formats.columns import Choice, Columns, Text
from lineage.formats.csv_file import cell_values
from lineage.formats.folder import files_below
from lineage.storage.size_limits import check_items, too_large

SUFFIXES = (".parquet", ".pq")
_BROKEN = (pa.ArrowException, OSError, ValueError, TypeError, KeyError, IndexError, OverflowError, MemoryError)
_WIDTH = 8
"""Bytes that a value is counted as: the widest number there is."""
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


def is_table_folder(path: Path) -> bool:
    """Whether a folder holds Parquet files and nothing else, so that it is one table."""
    found = False
    for _, folders, names in os.walk(path):
        folders[:] = [name for name in folders if not _is_aside(name)]
        shown = [name for name in names if not _is_aside(name)]
        if not all(name.lower().endswith(SUFFIXES) for name in shown):
            return False
        found |= bool(shown)
    return found


def table_files(path: Path) -> list[Path]:
    """Return the files of a folder that is one table, in the order in which they are read."""
    files = (file for file in files_below(path, path.resolve(), whole=True) if not _is_aside(file.name))
    return sorted(files, key=lambda file: file.relative_to(path).as_posix())


def partition_of(name: str) -> dict[str, str]:
    """Return the columns that a file's path within a folder tells, in the manner of Hive, with their cells.

    >>> partition_of("year=2024/lang=de/part-0.parquet"), partition_of("a/b.parquet")
    ({'year': '2024', 'lang': 'de'}, {})
    """
    pairs = (part.partition("=") for part in name.split("/")[:-1] if "=" in part[1:])
    return {unquote(column): "" if value == _NO_VALUE else unquote(value) for column, _, value in pairs}


def read_parquet(
    path: Path, choice: Choice, *, limit: int, kinds: Mapping[str, str] | None = None, missing: bool = False
) -> Columns:
    """Return the items of a Parquet file, or of a folder of them; raises ``BadInput`` naming the row and the column.

    ``kinds`` says what columns were when they were read before: the row may be gone whose null made floats of one.
    ``missing`` keeps nulls where no number stands.
    """
    origin, is_folder = str(path), path.is_dir()
    files = table_files(path) if is_folder else [path]
    partitions = [partition_of(file.relative_to(path).as_posix()) for file in files]
    names, counts = _names(files, partitions, limit, origin)
    settled = choice.settle(names, origin)
    wanted = dict.fromkeys([*(settled.fields or ()), *settled.roles().values()])
    tables = [_read(file, [name for name in wanted if name not in partitions[0]]) for file in files]
    rows, cells = tuple[str, ...](), dict[str, list[str]]()
    if is_folder:
        lengths = list(zip(files, partitions, counts, strict=True))
        rows = tuple(f"{file.relative_to(path)}: row {row}" for file, _, count in lengths for row in range(count))
        cells = {name: [told[name] for _, told, count in lengths for _ in range(count)] for name in partitions[0]}
        _refuse_other_types(tables, files)
    read = ArrowColumns(origin, limit, where=rows.__getitem__ if rows else "row {}".format, missing=missing)

    def field(name: str) -> NDArray[Any]:
        kind = (kinds or {}).get(name)
        if name in cells:
            return cell_values(name, cells[name], rows, origin, kind, missing=missing)
        if kind is None:  # what was taken before they were refused is still read where it lies
            refuse_unknown_type(table.schema.field(name), origin)
        return read.content(table.column(name), name, kind)

    def part(role: str, name: str) -> Text:
        return tuple(cell or None for cell in cells[name]) if name in cells else read.text(table.column(name), role)

    with _parquet(path):
        table = pa.concat_tables(tables)
        content = {name: field(name) for name in settled.fields or ()}
        text = {role: part(role, name) for role, name in settled.roles().items()}
    return Columns(origin, content, text, rows, settled.roles(), tuple(read.notes), in_tables=is_folder)


def _names(
    files: Sequence[Path], partitions: Sequence[Mapping[str, str]], limit: int, origin: str
) -> tuple[list[str], list[int]]:
    """Return the columns, which every file has, and the rows of each; ``BadInput`` for others, and for too much."""
    names, needed, counts = list[str](), 0, list[int]()
    for file, told in zip(files, partitions, strict=True):
        with _parquet(file), pq.ParquetFile(file) as opened:
            own = [name for name in opened.schema_arrow.names if name not in told]
            needed += _declared(opened.metadata)
            counts.append(opened.metadata.num_rows)
        if needed > limit:
            raise too_large(origin, needed, limit)
        check_items(origin, sum(counts), limit)
        here = [*own, *told]
        names = names or here
        if odd := sorted(({*here} ^ {*names}) | (told.keys() ^ partitions[0].keys())):
            raise BadInput(f"{file}: column '{odd[0]}' is not in every file of the folder; write all with the same")
    return names, counts


def _read(file: Path, names: list[str]) -> Any:
    with _parquet(file), pq.ParquetFile(file) as opened:
        texts = [column.name for column in opened.schema_arrow if is_text(column.type)]
    with _parquet(file), pq.ParquetFile(file, read_dictionary=texts) as opened:  # repeated texts are kept once
        return opened.read(columns=names).select(names).replace_schema_metadata(None)


def _refuse_other_types(tables: Sequence[Any], files: Sequence[Path]) -> None:
    """Raise ``BadInput`` for a column that is of one type in one file and of another in the next."""
    for table, file in zip(tables, files, strict=True):
        for column, first in zip(table.schema, tables[0].schema, strict=True):
            if column.type != first.type:
                raise BadInput(
                    f"{file}: column '{column.name}' is of type {column.type}, and {first.type} in {files[0]}; write "
                    "all files of a folder with the same types"
                )


@contextmanager
def _parquet(path: Path) -> Iterator[None]:
    try:
        yield
    except _BROKEN as problem:
        said = str(problem).splitlines() or [type(problem).__name__]
        raise BadInput(f"{path}: not Parquet, or a damaged one ({said[0]}); write it again") from problem


def _declared(metadata: Any) -> int:
    """Return the bytes the file says it unpacks to: encoded pages, and every row of every column at full width.

    The metadata of single columns is not asked: on a damaged footer Arrow ends the process over it, where no exception
    can be caught. The cost: values of nested columns count as one a row until their pages are read.
    """
    total = 0
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        total += group.total_byte_size + group.num_rows * metadata.num_columns * _WIDTH
    return total


def _is_aside(name: str) -> bool:
    return name.startswith((".", "_"))
