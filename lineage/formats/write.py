r"""Writing a table again without some of its items; every format that is read has its way here.

What stays is as it was: bytes of CSV and JSON Lines (of a compressed file, those it unpacks to); values, types, their
order and what a schema says of Parquet and NPZ. So without an item to leave out, a file is written as it was. Columns
that play no part are kept like any other. Of a folder in which each file is an item, files can be left out as they are.

>>> import tempfile
>>> file = Path(tempfile.mkdtemp()) / "a.csv"
>>> _ = file.write_bytes(b"who,x\r\n'ann',1\r\n\r\nbob,\"2\r\n3\"\r\n")
>>> write_without(file, file.with_name("b.csv"), {0})
>>> file.with_name("b.csv").read_bytes()
b'who,x\r\n\r\nbob,"2\r\n3"\r\n'
"""

import codecs
import io
import shutil
import zipfile
from collections.abc import Collection
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lineage.errors import BadInput
from lineage.formats.csv_file import USUAL, decoded, table
from lineage.formats.decoding.compressed import format_of, opened, read_whole, written
from lineage.formats.folder import files_below
from lineage.formats.npz_file import parse_npy
from lineage.formats.parquet_file import is_table_folder, table_files
from lineage.storage.size_limits import LIMIT


def write_without(
    path: Path, out: Path, rows: Collection[int], *, encoding: str = "utf-8", delimiter: str | None = None
) -> None:
    """Write the table at ``path`` to ``out``, which is not there, without the items of these rows.

    Rows are counted from 0, in the order in which :func:`.read_file` gives the items; ``encoding`` and ``delimiter``
    are those of reading. Raises ``BadInput`` for what cannot be read or written as it was.
    """
    gone = frozenset(rows)
    if path.is_dir() and is_table_folder(path):
        _folder(path, out, gone)
        return
    match format_of(path):
        case ".csv" | ".tsv":
            _csv(path, out, gone, encoding=encoding, delimiter=delimiter)
        case ".jsonl" | ".ndjson":
            _json_lines(path, out, gone)
        case ".npz":
            _npz(path, out, gone)
        case ".parquet" | ".pq":
            _parquet(path, out, gone)
        case _:
            raise BadInput(
                f"{path}: no table, so it cannot be written without some rows; give a table that can be read"
            )


def _csv(path: Path, out: Path, gone: frozenset[int], *, encoding: str, delimiter: str | None) -> None:
    data = read_whole(path, LIMIT)
    text = decoded(data, path, encoding)
    if text.encode(encoding) != data:
        raise BadInput(f"{path}: is not what {encoding} writes; name its encoding more exactly, such as utf-16-be")
    lines = list(io.StringIO(text, newline=""))
    ends = table(text.removeprefix("\ufeff"), str(path), delimiter, usual=USUAL.get(format_of(path), ","))[2]
    left_out = set[int]()
    for row, (before, end) in enumerate(pairwise(ends)):
        if row in gone:
            start = next(line for line in range(before, end) if lines[line].strip("\r\n"))  # empty ones before it stay
            left_out.update(range(start, end))
    with written(out, path) as stream:
        stream.write("".join(line for number, line in enumerate(lines) if number not in left_out).encode(encoding))


def _json_lines(path: Path, out: Path, gone: frozenset[int]) -> None:
    row = 0
    with opened(path) as source, written(out, path) as stream:
        for line in source:
            is_item = bool(line.removeprefix(codecs.BOM_UTF8).strip())
            if not (is_item and row in gone):
                stream.write(line)
            row += is_item


def _npz(path: Path, out: Path, gone: frozenset[int]) -> None:
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(out, "w") as archive:
        arrays = {each: parse_npy(source.read(each), f"{path}: '{each.filename}'") for each in source.infolist()}
        if len({len(array) if array.ndim else 0 for array in arrays.values()}) > 1:
            raise BadInput(f"{path}: holds arrays of different lengths, so some are not of items; save those apart")
        for member, array in arrays.items():
            array = np.delete(array, sorted(gone), axis=0)
            data = io.BytesIO()
            np.save(data, array, allow_pickle=False)
            archive.writestr(member.filename, data.getvalue(), member.compress_type)


def _parquet(path: Path, out: Path, gone: Collection[int]) -> None:
    with pq.ParquetFile(path) as source:
        groups = source.metadata.num_row_groups
        codec = source.metadata.row_group(0).column(0).compression if groups and source.metadata.num_columns else ""
        codec = {"": "NONE", "UNCOMPRESSED": "NONE"}.get(codec, codec)
        with pq.ParquetWriter(out, source.schema_arrow, compression=codec) as writer:
            row = 0
            for group in range(groups):
                table = source.read_row_group(group)
                stays = pa.array([place not in gone for place in range(row, row + len(table))], pa.bool_())
                writer.write_table(table.filter(stays))
                row += len(table)


def _folder(path: Path, out: Path, gone: frozenset[int]) -> None:
    """Write each file of a folder that is one table; what is beside them, such as ``_SUCCESS``, as it is."""
    files, row = table_files(path), 0
    for file in files_below(path, path.resolve(), whole=True):
        (out / file.relative_to(path)).parent.mkdir(parents=True, exist_ok=True)
        if file not in files:
            shutil.copyfile(file, out / file.relative_to(path))
    for file in files:
        count = pq.read_metadata(file).num_rows
        _parquet(file, out / file.relative_to(path), {place - row for place in gone})
        row += count
