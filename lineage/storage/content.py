"""What training reads: a shard's arrays as Parquet, one row per item, in digest order.

An item is a set of named fields, each an array of one shape and dtype throughout the shard, a text, or the bytes of a
whole file. Its digest
covers every field's name, dtype, shape and bytes, and nothing else: not its key, subject, source or license.

>>> import numpy as np
>>> one = {"image": np.zeros((2, 2), np.float32), "label": np.int64(3)}
>>> item_digest(one) == item_digest(dict(reversed(one.items())))
True
>>> item_digest(one) == item_digest({**one, "label": np.int32(3)})
False

Rules kept here:

- numbers are held little-endian and C-contiguous, whatever they came as; text is UTF-8, as numpy's ``StringDType``;
  times are numpy's ``datetime64``, in UTC, and may be none; bytes are ``bytes`` in an array of objects, or, on their
  way to a digest, the path of the file that holds them, which is read when its turn comes;
- a field of one number or text an item is an ordinary Parquet column; any other shape is a fixed-size binary column
  whose dtype and shape stand in the schema's metadata, so NaN payloads and half floats come back bit for bit;
- nothing is ever pickled, and an array that would need it is refused.
"""

import hashlib
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lineage.errors import BadInput
from lineage.records import canonical, shard_digest
from lineage.storage.objects import write_atomically
from lineage.storage.parquet import broken, read_metadata, read_table, table_bytes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Arrays = dict[str, NDArray[Any]]  # fields by name; every array has the items as its first axis

RESERVED = ("digest", "key", "subject", "source", "license")
"""Names that mean something in a manifest, so that no field of the content may bear them."""

_KINDS = "biufM"  # bool, signed, unsigned, float, time: no complex number, no span of time and no object
_UNITS = ("ms", "us", "ns")
"""Units of time that Parquet has."""
_WIDEST = 8  # bytes; longer floats differ from one processor to the next
_SMALL = 1024
"""Bytes of an item's numbers that are put beside those of other fields before they are hashed."""
_REPEATED = 4096
"""Texts whose bytes are remembered: a column often has few different ones."""
_NO_TIME = -(2**63)
"""What numpy holds for a time that is none, which Parquet has as a null."""
_NAMES = {"T": "str", "O": "bytes"}
_METADATA = b"disgorge.content"
_VERSION = b"lineage.item.v1\n"
_MALFORMED = (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError)
"""What a layout that is none, or not that of its columns, ends in."""


def as_field(name: str, values: Any) -> "NDArray[Any]":
    """Return ``values`` as a field is held: little-endian, C-contiguous numbers, or text. Shape (items, ...).

    Raises ``BadInput`` for what cannot be held without loss or without pickling.
    """
    import numpy as np

    if not name or name in RESERVED or not name.isprintable():
        raise BadInput(f"field {name!r}: not a name for content ({', '.join(RESERVED)} are reserved); rename it")
    if isinstance(values, list) and values and all(isinstance(value, str) for value in values):
        return as_text(name, values)  # numpy's fixed-width text would cut zero characters off the end
    array = np.asarray(values)
    if array.ndim == 0:
        raise BadInput(f"field '{name}': has no axis of items; give one value an item")
    if array.dtype.kind in "UT" or _all_text(array):
        if array.ndim != 1:
            raise BadInput(f"field '{name}': text of shape {array.shape[1:]} an item; give one text an item")
        return as_text(name, _as_list(name, array))
    if _all_bytes(array):
        if array.ndim != 1:
            raise BadInput(
                f"field '{name}': bytes of shape {array.shape[1:]} an item; give the bytes of one file an item"
            )
        return array
    if array.dtype.kind == "M":
        array = _in_whole_units(name, array)
    if array.dtype.kind not in _KINDS or array.dtype.itemsize > _WIDEST:
        kind = "objects, which only unpickling could read" if array.dtype.hasobject else f"of type {array.dtype}"
        raise BadInput(f"field '{name}': values are {kind}; save it as bool, integer, float, str or bytes")
    if 0 in array.shape[1:]:
        raise BadInput(f"field '{name}': items of shape {array.shape[1:]} hold no value; leave the field out")
    if array.dtype.kind == "b":
        array = array.view(np.uint8) != 0  # a damaged file's truth may be any byte, and the digest is over bytes
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))


def as_text(name: str, texts: Sequence[str]) -> "NDArray[Any]":
    """Return texts as an array, shape (items,); ``BadInput`` for what is not Unicode."""
    import numpy as np

    try:
        return np.array(texts, dtype=np.dtypes.StringDType())
    except ValueError as problem:  # a lone surrogate: UnicodeEncodeError is a ValueError
        raise _no_unicode(name) from problem


def as_objects(values: "Sequence[bytes | Path]") -> "NDArray[Any]":
    """Return whole files, or their paths, as a field is held, shape (items,)."""
    import numpy as np

    array = np.empty(len(values), object)
    array[:] = values
    return array


def item_digest(fields: Mapping[str, Any]) -> str:
    """Return the digest of one item, given its fields without an axis of items."""
    import numpy as np

    single = {name: [value] if isinstance(value, str) else np.asarray(value)[None] for name, value in fields.items()}
    return item_digests(single)[0]


def item_digests(arrays: Mapping[str, Any]) -> tuple[str, ...]:
    """Return each item's digest, in row order, for arrays of shape (items, ...)."""
    settled = as_arrays(arrays)
    layout = [[name, dtype_name(array), list(array.shape[1:])] for name, array in settled.items()]
    start = hashlib.sha256(_VERSION + canonical(layout) + b"\n")
    digests = []
    for pieces in zip(*_pieces(settled.values()), strict=True):
        body = start.copy()
        body.update(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        digests.append(body.hexdigest())
    return tuple(digests)


def item_sizes(arrays: Mapping[str, Any]) -> tuple[int, ...]:
    """Return how many bytes of content each item has, in row order."""
    import numpy as np

    settled = as_arrays(arrays)
    items = len(next(iter(settled.values())))
    sizes = np.zeros(items, np.int64)
    for array in settled.values():
        if array.dtype.kind == "T":
            texts = array.tolist()
            sizes += np.array([len(text) if text.isascii() else len(text.encode()) for text in texts], np.int64)
        elif array.dtype.kind == "O":
            sizes += np.array(file_sizes(array), np.int64)
        else:
            sizes += array.nbytes // max(items, 1)
    return tuple(sizes.tolist())


def as_arrays(arrays: Mapping[str, Any]) -> "Arrays":
    """Return the fields as they are held, sorted by name; ``BadInput`` if they do not have the same items."""
    if not arrays:
        raise BadInput("there is no content: give at least one field")
    settled = {name: as_field(name, arrays[name]) for name in sorted(arrays)}
    counts = {name: len(array) for name, array in settled.items()}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"'{name}' has {count}" for name, count in counts.items())
        raise BadInput(f"fields have unequal numbers of items ({listed}); every array needs one row per item")
    return settled


def dtype_name(array: "NDArray[Any]") -> str:
    """Return the dtype as digests and files spell it: ``str``, ``bytes``, or numpy's ``<f4`` and so on for numbers."""
    return _NAMES.get(array.dtype.kind, array.dtype.str)


def write_content(path: Path, digests: Sequence[str], arrays: Mapping[str, Any]) -> None:
    """Write items to ``path`` atomically, as :func:`content_bytes` has them."""
    write_atomically(path, content_bytes(digests, arrays))


def content_bytes(digests: Sequence[str], arrays: Mapping[str, Any]) -> bytes:
    """Return the file of items in digest order; equal content gives equal bytes, in whatever order it came.

    ``digests`` are those of :func:`item_digests`, row by row. Raises ``BadInput`` if the numbers of rows differ.
    """
    import pyarrow as pa

    settled = as_arrays(arrays)
    if any(len(array) != len(digests) for array in settled.values()):
        raise BadInput(f"{len(digests)} digests do not fit the arrays; give one digest an item")
    order = sorted(range(len(digests)), key=digests.__getitem__)  # stable: ties keep the order they came in
    columns = {"digest": pa.array([digests[row] for row in order], pa.string())}
    layout = {}
    for name, array in settled.items():
        columns[name] = _to_arrow(array[order])
        layout[name] = {"dtype": dtype_name(array), "shape": list(array.shape[1:])}
    table = pa.table(columns).replace_schema_metadata({_METADATA: canonical(layout)})
    return table_bytes(table, dictionary=False)


def content_layout(path: Path) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Return type and shape of an item's fields, by name, without reading the items; none where these lie in place.

    Errors as of :func:`read_content`.
    """
    try:
        layout = json.loads(read_metadata(path, "content of the shard").get(_METADATA, b"{}"))
        return {name: (str(told["dtype"]), tuple(told["shape"])) for name, told in layout.items()}
    except _MALFORMED as problem:
        raise broken(path, "content of the shard") from problem


def read_content(path: Path, *, limit: int | None = None) -> "tuple[tuple[str, ...], Arrays]":
    """Return digests and arrays, shape (items, ...), in digest order; fields are sorted by name.

    Raises ``UnknownRecord`` if there is no such file and ``DigestMismatch`` if it is damaged; with a ``limit``, in
    bytes, ``TooLarge`` for more. That the digests are still those of the arrays is for
    :func:`lineage.shards.files.shard_items` to check.
    """
    import pyarrow as pa

    table = read_table(path, "content of the shard", limit=limit)
    try:
        layout = json.loads(table.schema.metadata[_METADATA])
        digests = tuple(table.column("digest").to_pylist())
        shard_digest(digests)  # of what are digests at all
        arrays = {name: _from_arrow(table.column(name), told["dtype"], told["shape"]) for name, told in layout.items()}
    except (*_MALFORMED, pa.ArrowException) as problem:
        raise broken(path, "content of the shard") from problem
    return digests, arrays


def _as_list(name: str, array: "NDArray[Any]") -> list[str]:
    import numpy as np

    if array.dtype.kind == "U" and array.nbytes:  # numpy makes characters of numbers that stand for none
        numbers = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("=")).view(np.uint32)
        if numbers.max() > sys.maxunicode:
            raise _no_unicode(name)
    texts: list[str] = array.tolist()
    return texts


def _no_unicode(name: str) -> BadInput:
    return BadInput(f"field '{name}': holds text that is not Unicode; write it as UTF-8")


def _all_text(array: "NDArray[Any]") -> bool:
    return array.dtype.kind == "O" and array.size > 0 and all(isinstance(value, str) for value in array.flat)


def _all_bytes(array: "NDArray[Any]") -> bool:
    return array.dtype.kind == "O" and array.size > 0 and all(isinstance(value, bytes | Path) for value in array.flat)


def file_sizes(array: "NDArray[Any]") -> list[int]:
    """Return how many bytes each of some whole files has."""
    return [value.stat().st_size if isinstance(value, Path) else len(value) for value in array]


def _in_whole_units(name: str, array: "NDArray[Any]") -> "NDArray[Any]":
    """Return times in a unit that Parquet has; longer ones in milliseconds, which is exact."""
    import numpy as np

    unit, count = np.datetime_data(array.dtype)
    if count == 1 and unit in _UNITS:
        return array
    if unit not in ("Y", "M", "W", "D", "h", "m", "s"):
        raise BadInput(f"field '{name}': times of unit {count} {unit}; save them in s, ms, us or ns")
    return array.astype("datetime64[ms]")


def _read(value: "bytes | Path") -> bytes:
    return value.read_bytes() if isinstance(value, Path) else value


def _pieces(arrays: "Iterable[NDArray[Any]]") -> list[Iterator[Any]]:
    """Return what yields each item's bytes, field by field; numbers of a few bytes that stand in a row go together."""
    pieces: list[Iterator[Any]] = []
    for are_small, several in groupby(arrays, key=_is_small):
        if are_small:
            pieces.append(_numbers(list(several)))
        else:
            pieces += [_texts_or_files(array) if array.dtype.kind in "TO" else _numbers([array]) for array in several]
    return pieces


def _is_small(array: "NDArray[Any]") -> bool:
    return array.dtype.kind not in "TO" and array.nbytes <= _SMALL * len(array)


def _numbers(arrays: "list[NDArray[Any]]") -> Iterator[Any]:
    """Yield the bytes that an item has in some fields of fixed size, one after the other."""
    import numpy as np

    if not len(arrays[0]):
        return
    fields = [array.view(np.uint8).reshape(len(array), -1) for array in arrays]
    whole = fields[0] if len(fields) == 1 else np.concatenate(fields, axis=1)  # (items, bytes)
    width, data = whole.shape[1], whole.reshape(-1).data
    for start in range(0, len(data), width):
        yield data[start : start + width]


def _texts_or_files(array: "NDArray[Any]") -> Iterator[bytes]:
    """Yield each text or file behind its length, since only the layout of numbers tells it."""
    if array.dtype.kind == "T":
        yield from map(lru_cache(_REPEATED)(_behind_its_length), array.tolist())
    else:
        for whole in map(_read, array):
            yield len(whole).to_bytes(8, "little") + whole


def _behind_its_length(text: str) -> bytes:
    encoded = text.encode()
    return len(encoded).to_bytes(8, "little") + encoded


def _to_arrow(array: "NDArray[Any]") -> Any:
    import numpy as np
    import pyarrow as pa

    if array.dtype.kind == "T":
        return pa.array(array.tolist(), pa.string())
    if array.dtype.kind == "O":
        return pa.array([_read(value) for value in array], pa.large_binary())
    if array.ndim == 1:
        return pa.array(array)
    width = array.nbytes // len(array) if len(array) else array[:0].itemsize * int(np.prod(array.shape[1:]))
    data = pa.py_buffer(np.ascontiguousarray(array).tobytes())
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), len(array), [None, data])


def _from_arrow(column: Any, dtype: str, shape: list[int]) -> "NDArray[Any]":
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if column.null_count and not pa.types.is_timestamp(column.type):
        raise ValueError("a field of the content has no nulls")
    if dtype == "str":
        return np.array(column.to_pylist(), dtype=np.dtypes.StringDType())
    if dtype == "bytes":
        return as_objects(column.to_pylist())
    whole = column.combine_chunks()
    if whole.null_count:
        whole = pc.fill_null(whole.view(pa.int64()), _NO_TIME)
    if pa.types.is_boolean(whole.type):  # Arrow packs eight of them into a byte
        return np.array(whole.to_pylist(), dtype=np.bool_).reshape(len(whole), *shape)
    width = whole.type.bit_width // 8  # read from the buffer: Arrow's own conversion imports pandas where there is one
    data = np.frombuffer(whole.buffers()[1] or b"", dtype=np.uint8)[whole.offset * width :][: len(whole) * width]
    return data.copy().view(np.dtype(dtype)).reshape(len(whole), *shape)  # a copy, so that torch may write to it
