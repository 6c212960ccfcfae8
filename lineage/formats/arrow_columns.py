"""Columns of Arrow, which Parquet and JSON Lines are read into, as fields and as the other parts of items.

Numbers keep their type; a null among them is NaN, and whole numbers beside one become float64. Lists of numbers, of one
size and nested to any depth, become arrays; lists of texts, and of different lengths, JSON in one text: ``["a","b"]``.
Times become ``datetime64`` in UTC, binary columns are whole files, and so is a struct of ``bytes`` and ``path``, as
Hugging Face writes pictures and audio (its path is left out: it is not what training reads).
A null where no number stands is refused, unless missing values are kept: then it is the empty text, NaN among booleans
(which are floats then), and a time that is none. Types that training could read in more than one way are refused
(decimals, times in a zone, other structs): turn those into numbers or text first.

Extension types are read as what they mean; one whose meaning is not known is refused by its name:

- ``arrow.fixed_shape_tensor`` is an array, its dimensions in the order that its permutation says; one that is not its
  own inverse is refused, since pyarrow writes the inverse of what the specification, and pyarrow itself, read;
- ``arrow.bool8`` is booleans; ``arrow.json`` text as it is written; ``arrow.uuid`` text in the usual form;
- arrays of Hugging Face (``Array2D`` and others) are the lists that they are stored as;
- others (``arrow.opaque``, ``geoarrow.wkb``) are refused: save such a column as its storage, or leave it out.

>>> as_meant(pa.chunked_array([pa.array([bytes(15) + b"a"], pa.uuid())]), "x", "a.parquet").to_pylist()
['00000000-0000-0000-0000-000000000061']
"""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lineage.errors import BadInput
from lineage.formats.columns import BY, Text, fit_floats, too_long_beside_empty
from lineage.storage.content import as_objects, as_text
from lineage.storage.size_limits import too_large

_OR_KEEP = ", or keep what is missing (--missing keep)"
_KINDS = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_timestamp)
_BYTES = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary)
_LISTS = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)

_EXTENSION = b"ARROW:extension:name"
_AS_STORED = "datasets.features.features.Array"
"""What the names of types begin with that mean what they are stored as."""


def is_text(kind: Any) -> bool:
    """Whether a column of this type is text."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


@dataclass(frozen=True, slots=True)
class ArrowColumns:
    """Reads the columns of one file: ``where`` says in which line or row an item stands, ``missing`` keeps nulls.

    ``notes`` collect what is to be said of how columns were read.
    """

    origin: str
    limit: int
    where: Callable[[int], str] = "row {}".format
    missing: bool = False
    notes: list[str] = field(default_factory=list)

    def content(self, column: Any, name: str, kind: str | None = None) -> NDArray[Any]:
        """Return a column as a field, shape (items, ...); ``kind`` is what it was when it was read before."""
        if isinstance(column.type, pa.FixedShapeTensorType):
            return self._tensors(column, name, kind)
        column = as_meant(column, name, self.origin)
        if pa.types.is_null(column.type) and kind == "str":
            column = column.cast(pa.string())
        if pa.types.is_dictionary(column.type) and not is_text(column.type.value_type):
            column = column.cast(column.type.value_type)
        if pa.types.is_struct(column.type) and {"bytes"} <= {each.name for each in column.type} <= {"bytes", "path"}:
            column = pc.struct_field(column, "bytes")
        if any(is_bytes(column.type) for is_bytes in _BYTES):
            return self._files(column, name)
        if pa.types.is_dictionary(column.type) or is_text(column.type):
            return as_text(name, self._filled(self._texts(column, name), name))
        whole = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
        if _leaf(whole.type) is not whole.type and (kind == "str" or (kind is None and _is_json(whole))):
            return self._json(whole, name)
        return self._numbers(whole, name, kind)

    def text(self, column: Any, role: str) -> Text:
        """Return a column that plays a part, None where it is empty."""
        column = as_meant(column, role, self.origin)
        if pa.types.is_dictionary(column.type) and not is_text(column.type.value_type):
            column = column.cast(column.type.value_type)
        by = role == BY and (pa.types.is_boolean(column.type) or pa.types.is_date(column.type))
        if pa.types.is_integer(column.type) or by:
            return tuple(None if value is None else str(value) for value in column.to_pylist())
        if pa.types.is_null(column.type):
            return (None,) * len(column)
        return tuple(text or None for text in self._texts(column, role))

    def _tensors(self, column: Any, name: str, kind: str | None) -> NDArray[Any]:
        """Return tensors in the order of dimensions that they mean, shape (items, ...)."""
        shape, order = column.type.shape, column.type.permutation or list(range(len(column.type.shape)))
        if [order[place] for place in order] != sorted(order):
            raise BadInput(
                f"{self.origin}: field '{name}' holds tensors whose permutation {order} pyarrow writes and reads "
                "in different ways; store the numbers in the order in which they are meant"
            )
        array = self.content(as_meant(column, name, self.origin), name, kind).reshape(len(column), *shape)
        return np.ascontiguousarray(array.transpose(0, *(place + 1 for place in order)))

    def _files(self, column: Any, name: str) -> NDArray[Any]:
        if column.null_count:
            raise self._empty(_first_null(column), name)
        if column.nbytes > self.limit:
            raise too_large(self.origin, column.nbytes, self.limit)
        return as_objects(column.to_pylist())

    def _filled(self, texts: list[str | None], name: str) -> list[str]:
        empty = texts.count(None)
        if empty and not self.missing:
            why = "; text holds no null, and an empty text is not one"
            raise self._empty(texts.index(None), name, why, or_keep=_OR_KEEP)
        if empty:
            self.notes.append(f"'{name}' has no value in {empty} of {len(texts)} items: it is the empty text there")
        return [text or "" for text in texts]

    def _json(self, whole: Any, name: str) -> NDArray[Any]:
        """Return lists as JSON, shape (items,)."""
        if whole.null_count:
            raise self._empty(_first_null(whole), name)
        texts = list[str]()
        encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode
        for row, value in enumerate(whole.to_pylist()):
            try:
                texts.append(encode(_plain(value)))
            except ValueError as problem:
                raise BadInput(f"{self.origin}: {self.where(row)}: field '{name}' is infinite; mend it") from problem
        if (needed := sum(map(len, texts))) > self.limit:
            raise too_large(self.origin, needed, self.limit)
        self.notes.append(f"'{name}' holds lists of text or of different lengths: each is one text, in JSON")
        return as_text(name, texts)

    def _numbers(self, whole: Any, name: str, kind: str | None) -> NDArray[Any]:
        """Return numbers in lists of equal length, nested to any depth, shape (items, ...)."""
        items, shape = len(whole), []
        while any(is_list(whole.type) for is_list in _LISTS):
            if whole.null_count:
                raise self._empty(_first_null(whole) * items // len(whole), name)
            lengths = np.asarray(pc.list_value_length(whole))
            odd = np.flatnonzero(lengths != lengths[:1])
            if len(odd):
                where = self.where(int(odd[0]) * items // len(whole))
                raise BadInput(
                    f"{self.origin}: {where}: field '{name}' is of another size than {self.where(0)}; make all alike"
                )
            shape.append(int(lengths[0]) if len(lengths) else 0)
            whole = whole.flatten()
            if shape[-1] == 0:
                break
        if pa.types.is_null(whole.type) and items:
            if not self.missing and kind is None:
                raise BadInput(
                    f"{self.origin}: field '{name}' has no value in any row; leave it out (--fields), or give it a type"
                )
            whole = whole.cast(pa.float64())
        return self._settled(whole, name, kind, items).reshape(items, *shape)

    def _settled(self, whole: Any, name: str, kind: str | None, items: int) -> NDArray[Any]:
        """Return single values, a null of floats as NaN; one where it cannot stand is refused."""
        if pa.types.is_date(whole.type):
            whole = whole.cast(pa.timestamp("ms"))
        if not any(is_kind(whole.type) for is_kind in _KINDS) or (getattr(whole.type, "tz", None) or "UTC") != "UTC":
            raise BadInput(
                f"{self.origin}: field '{name}' is of type {whole.type}; turn it into numbers or text, or leave it out "
                "(--fields)"
            )
        if pa.types.is_integer(whole.type) and (whole.null_count or kind == "<f8"):
            if not fit_floats(np.asarray(whole.drop_null())):
                row = _first_null(whole) * items // len(whole)
                raise too_long_beside_empty(f"{self.origin}: {self.where(row)}", name)
            whole = whole.cast(pa.float64())
        if pa.types.is_boolean(whole.type) and self.missing and (whole.null_count or kind == "<f8"):
            whole = whole.cast(pa.uint8()).cast(pa.float64())
        if pa.types.is_timestamp(whole.type) and self.missing:
            return np.asarray(whole.to_numpy(zero_copy_only=False))
        if whole.null_count and not pa.types.is_floating(whole.type):
            raise self._empty(_first_null(whole) * items // len(whole), name, or_keep=_OR_KEEP)
        return np.asarray(whole.to_numpy(zero_copy_only=False))

    def _texts(self, column: Any, name: str) -> list[str | None]:
        kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        if not is_text(kind):
            raise BadInput(f"{self.origin}: '{name}' is of type {column.type}; turn it into text or whole numbers")
        needed = 0
        for chunk in column.chunks:
            lengths = (
                pc.binary_length(chunk.dictionary).take(chunk.indices)
                if isinstance(chunk, pa.DictionaryArray)
                else None
            )
            needed += (pc.sum(lengths).as_py() or 0) if lengths is not None else chunk.nbytes
        if needed > self.limit:
            raise too_large(self.origin, needed, self.limit)
        plain = column.cast(kind) if pa.types.is_dictionary(column.type) else column
        texts: list[str | None] = plain.to_numpy(zero_copy_only=False).tolist()  # several times faster than to_pylist
        return texts

    def _empty(self, row: int, name: str, why: str = "", or_keep: str = "") -> BadInput:
        return BadInput(
            f"{self.origin}: {self.where(row)}: field '{name}' is empty{why}; fill it in, or leave the row or the "
            f"field out (--fields){or_keep}"
        )


def _first_null(whole: Any) -> int:
    return int(pc.index(pc.is_null(whole), True).as_py())


def _leaf(kind: Any) -> Any:
    """Return the type of what lies in lists, however deep; the type itself of what is no list."""
    while any(is_list(kind) for is_list in _LISTS):
        kind = kind.value_type
    return kind


def _is_json(whole: Any) -> bool:
    """Whether lists hold text, or are of different lengths and hold numbers."""
    leaf = _leaf(whole.type)
    if is_text(leaf):
        return True
    if not (pa.types.is_integer(leaf) or pa.types.is_floating(leaf) or pa.types.is_boolean(leaf)):
        return False
    while any(is_list(whole.type) for is_list in _LISTS) and not whole.null_count:
        if len(pc.unique(pc.list_value_length(whole))) > 1:
            return True
        whole = whole.flatten()
    return False


def _plain(value: Any) -> Any:
    """Return a value of a list for JSON, where NaN is null."""
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def as_meant(column: Any, name: str, origin: str) -> Any:
    """Return a column of an extension type as one of a plain type, of tensors their storage; others as they are.

    Raises ``BadInput`` for a type whose meaning is not known.
    """
    kind = column.type
    if not isinstance(kind, pa.BaseExtensionType):
        return column
    plain = pa.chunked_array([chunk.storage for chunk in column.chunks], kind.storage_type)
    if isinstance(kind, pa.Bool8Type):
        return pc.not_equal(plain, 0)
    if isinstance(kind, pa.UuidType):
        texts = [None if value is None else str(UUID(bytes=value)) for value in plain.to_pylist()]
        return pa.chunked_array([pa.array(texts, pa.string())])
    if isinstance(kind, pa.FixedShapeTensorType | pa.JsonType) or kind.extension_name.startswith(_AS_STORED):
        return plain
    told = f"{kind.extension_name} '{kind.type_name}'" if isinstance(kind, pa.OpaqueType) else kind.extension_name
    raise _unknown_type(origin, name, told, kind.storage_type)


def refuse_unknown_type(column: Any, origin: str) -> None:
    """Raise ``BadInput`` for a column, given by its field, whose extension type this process does not know.

    Arrow reads such a column as its storage, and only the field's metadata tells.
    """
    inner = column
    while True:
        told = ((inner.metadata or {}).get(_EXTENSION) or b"").decode("utf-8", "replace")
        if told and not told.startswith(_AS_STORED):
            raise _unknown_type(origin, column.name, told, inner.type)
        if not hasattr(inner.type, "value_field"):
            return
        inner = inner.type.value_field


def _unknown_type(origin: str, name: str, told: str, storage: Any) -> BadInput:
    return BadInput(
        f"{origin}: field '{name}' is of the extension type {told}, whose meaning is not known; if its values mean "
        f"what they are stored as, save it as {storage}, or leave it out (--fields)"
    )
