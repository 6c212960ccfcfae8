"""Items from Parquet: one row per item; lists of lists of numbers become arrays.

Numbers keep their type; a null among them is NaN, and whole numbers beside one become float64. Times become
``datetime64`` in UTC, binary columns are whole files, and so is a struct of ``bytes`` and ``path``, as Hugging Face
writes pictures and audio (its path is left out: it is not what training reads).
Rows whose lists differ in length are refused, as is a null where no number stands, and types that training could read
in more than one way (decimals, times in a zone, other structs): turn those into numbers or text first.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from lineage.errors import BadInput
from lineage.formats.columns import BY, Choice, Columns, Text, fit_floats, too_long_beside_empty
from lineage.storage.content import as_objects, as_text
from lineage.storage.size_limits import check_items, too_large

_BROKEN = (pa.ArrowException, OSError, ValueError, TypeError, KeyError, IndexError, OverflowError, MemoryError)
_KINDS = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_timestamp)
_BYTES = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary)
_WIDTH = 8
"""Bytes that a value is counted as: the widest number there is."""


def read_parquet(path: Path, choice: Choice, *, limit: int, kinds: Mapping[str, str] | None = None) -> Columns:
    """Return the items of a Parquet file; raises ``BadInput`` naming the row and the column.

    ``kinds`` says what columns were when they were read before: the row may be gone whose null made floats of one.
    """
    origin = str(path)
    try:
        with pq.ParquetFile(path) as file:
            texts = [column.name for column in file.schema_arrow if _is_text(column.type)]
            settled = choice.settle(file.schema_arrow.names, origin)
            needed = _declared(file.metadata)
            if needed > limit:
                raise too_large(origin, needed, limit)
            check_items(origin, file.metadata.num_rows, limit)
        wanted = [*(settled.fields or ()), *settled.roles().values()]
        with pq.ParquetFile(path, read_dictionary=texts) as file:  # a repeated text is not repeated in memory
            table = file.read(columns=list(dict.fromkeys(wanted)))
        return Columns(
            origin=origin,
            content={
                name: _values(table.column(name), name, origin, limit, (kinds or {}).get(name))
                for name in settled.fields or ()
            },
            text={role: _text(table.column(name), role, origin, limit) for role, name in settled.roles().items()},
            roles=settled.roles(),
        )
    except _BROKEN as problem:
        said = str(problem).splitlines() or [type(problem).__name__]
        raise BadInput(f"{origin}: not Parquet, or a damaged one ({said[0]}); write it again") from problem


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


def _is_day(kind: Any) -> bool:
    return bool(pa.types.is_date(kind))


def _is_text(kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _values(column: Any, name: str, origin: str, limit: int, kind: str | None) -> NDArray[Any]:
    if pa.types.is_dictionary(column.type) and not _is_text(column.type.value_type):
        column = column.cast(column.type.value_type)
    if pa.types.is_struct(column.type) and {"bytes"} <= {each.name for each in column.type} <= {"bytes", "path"}:
        column = pc.struct_field(column, "bytes")
    if any(is_bytes(column.type) for is_bytes in _BYTES):
        return _files(column, name, origin, limit)
    if pa.types.is_dictionary(column.type) or _is_text(column.type):
        texts = _texts(column, name, origin, limit)
        if None in texts:
            raise _empty(origin, texts.index(None), name, "; text holds no null, and an empty text is not one")
        return as_text(name, [text or "" for text in texts])
    whole = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    if isinstance(whole, pa.ExtensionArray):
        return _values(pa.chunked_array([whole.storage]), name, origin, limit, kind).reshape(
            len(whole), *getattr(whole.type, "shape", [-1])
        )
    return _numbers(whole, name, origin, kind)


def _files(column: Any, name: str, origin: str, limit: int) -> NDArray[Any]:
    if column.null_count:
        raise _empty(origin, _first_null(column), name)
    if column.nbytes > limit:
        raise too_large(origin, column.nbytes, limit)
    return as_objects(column.to_pylist())


def _numbers(whole: Any, name: str, origin: str, kind: str | None) -> NDArray[Any]:
    """Return numbers in lists of equal length, nested to any depth, shape (items, ...)."""
    items, shape = len(whole), []
    while pa.types.is_list(whole.type) or pa.types.is_large_list(whole.type) or pa.types.is_fixed_size_list(whole.type):
        if whole.null_count:
            raise _empty(origin, _first_null(whole) * items // len(whole), name)
        lengths = np.asarray(pc.list_value_length(whole))
        odd = np.flatnonzero(lengths != lengths[:1])
        if len(odd):
            row = int(odd[0]) * items // len(whole)
            raise BadInput(f"{origin}: row {row}: field '{name}' is of another size than row 0; make all items alike")
        shape.append(int(lengths[0]) if len(lengths) else 0)
        whole = whole.flatten()
        if shape[-1] == 0:
            break
    if pa.types.is_null(whole.type) and items:
        raise BadInput(f"{origin}: field '{name}' has no value in any row; leave it out (--fields), or give it a type")
    if pa.types.is_date(whole.type):
        whole = whole.cast(pa.timestamp("ms"))
    if not any(is_kind(whole.type) for is_kind in _KINDS) or (getattr(whole.type, "tz", None) or "UTC") != "UTC":
        raise BadInput(
            f"{origin}: field '{name}' is of type {whole.type}; turn it into numbers or text, or leave it out "
            "(--fields)"
        )
    if pa.types.is_integer(whole.type) and (whole.null_count or kind == "<f8"):
        if not fit_floats(np.asarray(whole.drop_null())):
            raise too_long_beside_empty(f"{origin}: row {_first_null(whole) * items // len(whole)}", name)
        whole = whole.cast(pa.float64())
    if whole.null_count and not pa.types.is_floating(whole.type):
        raise _empty(origin, _first_null(whole) * items // len(whole), name)
    return np.asarray(whole.to_numpy(zero_copy_only=False)).reshape(items, *shape)  # a null of floats is NaN


def _first_null(whole: Any) -> int:
    return int(pc.index(pc.is_null(whole), True).as_py())


def _text(column: Any, role: str, origin: str, limit: int) -> Text:
    if pa.types.is_dictionary(column.type) and not _is_text(column.type.value_type):
        column = column.cast(column.type.value_type)
    if pa.types.is_integer(column.type) or (role == BY and (pa.types.is_boolean(column.type) or _is_day(column.type))):
        return tuple(None if value is None else str(value) for value in column.to_pylist())
    return tuple(text or None for text in _texts(column, role, origin, limit))


def _texts(column: Any, name: str, origin: str, limit: int) -> list[str | None]:
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not _is_text(kind):
        raise BadInput(f"{origin}: '{name}' is of type {column.type}; turn it into text or whole numbers")
    needed = 0
    for chunk in column.chunks:
        lengths = (
            pc.binary_length(chunk.dictionary).take(chunk.indices) if isinstance(chunk, pa.DictionaryArray) else None
        )
        needed += (pc.sum(lengths).as_py() or 0) if lengths is not None else chunk.nbytes
    if needed > limit:
        raise too_large(origin, needed, limit)
    plain = column.cast(kind) if pa.types.is_dictionary(column.type) else column
    texts: list[str | None] = plain.to_numpy(zero_copy_only=False).tolist()  # several times faster than to_pylist
    return texts


def _empty(origin: str, row: int, name: str, why: str = "") -> BadInput:
    return BadInput(
        f"{origin}: row {row}: field '{name}' is empty{why}; fill it in, or leave the row or the field out (--fields)"
    )
