"""Arrow's extension types, read as what they mean; a type whose meaning is not known here is refused by its name.

- ``arrow.fixed_shape_tensor`` is an array in the order of its dimensions that its permutation says;
- ``arrow.bool8`` is booleans; ``arrow.json`` text as it is written; ``arrow.uuid`` text in the usual form;
- arrays of Hugging Face (``Array2D`` and others) are the lists that they are stored as;
- others (``arrow.opaque``, ``geoarrow.wkb``) are refused: save such a column as its storage, or leave it out.

>>> as_meant(pa.chunked_array([pa.array([bytes(15) + b"a"], pa.uuid())]), "x", "a.parquet").to_pylist()
['00000000-0000-0000-0000-000000000061']
"""

from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.compute as pc

from lineage.errors import BadInput

_NAME = b"ARROW:extension:name"
_AS_STORED = "datasets.features.features.Array"
"""What the names of types begin with that mean what they are stored as."""


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
    raise _unknown(origin, name, told, kind.storage_type)


def refuse_unknown(column: Any, origin: str) -> None:
    """Raise ``BadInput`` for a column, given by its field, whose extension type this process does not know.

    Arrow reads such a column as its storage, and only the field's metadata tells.
    """
    inner = column
    while True:
        told = ((inner.metadata or {}).get(_NAME) or b"").decode("utf-8", "replace")
        if told and not told.startswith(_AS_STORED):
            raise _unknown(origin, column.name, told, inner.type)
        if not hasattr(inner.type, "value_field"):
            return
        inner = inner.type.value_field


def _unknown(origin: str, name: str, told: str, storage: Any) -> BadInput:
    return BadInput(
        f"{origin}: field '{name}' is of the extension type {told}, whose meaning is not known; if its values mean "
        f"what they are stored as, save it as {storage}, or leave it out (--fields)"
    )
