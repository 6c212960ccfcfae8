"""Arrow's extension types, read as they mean, or refused by name: their storage alone may say something else.

A tensor's values are in the order of its logical dimensions, also where it is stored in another (``permutation``); a
``bool8`` is true or false; JSON is text, and a UUID its 36 characters. Lists that Hugging Face calls ``ArrayXD`` are
the lists they are stored as. Other types are refused: a program that knows one gives its values another meaning, such
as a period of time to a whole number.
"""

import uuid
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lineage.errors import BadInput

_NAME = b"ARROW:extension:name"
"""Where Parquet keeps the name of an extension type that the program that reads it does not know."""
_AS_STORED = "datasets.features.features.Array"


def is_extension(column: Any) -> bool:
    """Whether a column is of an extension type that Arrow knows here."""
    return isinstance(column.type, pa.BaseExtensionType)


def refuse_unknown(schema: Any, origin: str) -> None:
    """Raise ``BadInput`` for a column of an extension type of which nothing is known but the name."""
    for each in schema:
        name = (each.metadata or {}).get(_NAME, b"").decode(errors="replace")
        if name and not name.startswith(_AS_STORED):
            raise _unknown(origin, each.name, name)


def storage_of(column: Any, name: str, origin: str) -> Any:
    """Return an extension column as one of plain types, for tensors with the values of an item in stored order."""
    kind = column.type.extension_name
    storage = pa.chunked_array([chunk.storage for chunk in column.chunks], column.type.storage_type)
    if kind == "arrow.bool8":
        return pa.chunked_array([pa.array(np.asarray(chunk) != 0) for chunk in _whole(storage, name, origin).chunks])
    if kind == "arrow.uuid":
        values = [None if value is None else str(uuid.UUID(bytes=value)) for value in storage.to_pylist()]
        return pa.chunked_array([pa.array(values, pa.string())])
    if kind in ("arrow.json", "arrow.fixed_shape_tensor") or kind.startswith(_AS_STORED):
        return storage
    raise _unknown(origin, name, kind)


def in_logical_order(values: NDArray[Any], kind: Any) -> NDArray[Any]:
    """Return the values of a tensor type, shape (items, ...) as stored, in the order of its logical dimensions."""
    if kind.extension_name != "arrow.fixed_shape_tensor":
        return values
    physical = values.reshape(len(values), *kind.shape)
    order = kind.permutation or range(len(kind.shape))
    return np.ascontiguousarray(physical.transpose(0, *(1 + axis for axis in order)))


def _whole(storage: Any, name: str, origin: str) -> Any:
    if storage.null_count:
        raise BadInput(f"{origin}: field '{name}' has nulls among bool8; fill them in, or write them as bool")
    return storage


def _unknown(origin: str, name: str, kind: str) -> BadInput:
    return BadInput(
        f"{origin}: field '{name}' is of the extension type {kind!r:.80}, whose meaning is not known here; write it as "
        "plain numbers or text, or leave it out (--fields)"
    )
