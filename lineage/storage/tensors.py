"""Tensors as safetensors files: by name, without metadata, so equal tensors make equal bytes; nothing is unpickled.

Large ones are written without a copy in memory (:func:`write_tensors`) and read as they are needed
(:func:`map_tensors`). Types that numpy lacks, such as bfloat16, are those of the package ``ml_dtypes``; tensors of
torch are taken bit for bit.

>>> import numpy as np
>>> a = save_tensors({"w": np.ones(3, np.float32), "b": np.zeros(1, np.float32)})
>>> a == save_tensors({"b": np.zeros(1, np.float32), "w": np.ones(3, np.float32)})
True
>>> sorted(load_tensors(a))
['b', 'w']
"""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lineage.errors import BadInput

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

_LENGTH = 8
"""Bytes of the header's length, little-endian, with which a file begins."""
_LARGE = 64 << 20
"""Bytes from which on a file is mapped into memory and not read."""
_NUMPY = {
    "F64": "float64", "F32": "float32", "F16": "float16", "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8",
    "U64": "uint64", "U32": "uint32", "U16": "uint16", "U8": "uint8", "BOOL": "bool", "C64": "complex64",
}  # fmt: skip
_OF_ML_DTYPES = {
    "BF16": "bfloat16", "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2", "F8_E8M0": "float8_e8m0fnu",
    "F8_E4M3FNUZ": "float8_e4m3fnuz", "F8_E5M2FNUZ": "float8_e5m2fnuz",
}  # fmt: skip
_SMALL_FLOATS = frozenset(_OF_ML_DTYPES.values())


def save_tensors(tensors: Mapping[str, Any]) -> bytes:
    """Return the safetensors bytes of arrays, or tensors of torch: equal values under equal names make equal bytes.

    Raises :class:`~lineage.errors.BadInput` for no tensor at all, or one that safetensors cannot hold.
    """
    from safetensors.numpy import save

    flat = _flat(tensors)
    try:
        return bytes(save(flat))
    except Exception as problem:  # safetensors raises KeyError, SafetensorError and more for dtypes it lacks
        raise BadInput(f"safetensors cannot hold these tensors: {problem}") from problem


def write_tensors(path: Path, tensors: Mapping[str, Any]) -> None:
    """Write what :func:`save_tensors` returns to a file, without holding it in memory. Raises what that raises."""
    from safetensors.numpy import save_file

    flat = _flat(tensors)
    try:
        save_file(flat, path)
    except OSError:
        raise
    except Exception as problem:
        raise BadInput(f"safetensors cannot hold these tensors: {problem}") from problem


def load_tensors(data: bytes) -> "dict[str, Array]":
    """Return the tensors that :func:`save_tensors` wrote; :class:`~lineage.errors.BadInput` if it did not."""
    import numpy as np
    import safetensors
    from safetensors import SafetensorError

    read: Any = safetensors.deserialize
    try:
        return {
            name: np.frombuffer(each["data"], _dtype(each["dtype"])).reshape(each["shape"]) for name, each in read(data)
        }
    except (SafetensorError, KeyError, ValueError) as problem:
        raise BadInput(f"not a safetensors file: {problem}") from problem


def read_tensors(path: Path) -> "dict[str, Array]":
    """Return the tensors of a file: those of a large one are read as they are needed. Raises as :func:`load_tensors`.

    Small ones have memory of their own, since kernels may round differently on unaligned memory.
    """
    return map_tensors(path) if path.stat().st_size > _LARGE else load_tensors(path.read_bytes())


def map_tensors(path: Path) -> "dict[str, Array]":
    """Return the tensors of a file, read as they are needed; what is written to them stays in this process.

    Raises :class:`~lineage.errors.BadInput` for a file that is no safetensors.
    """
    import numpy as np

    places, end = places_of(path)
    try:
        if end == path.stat().st_size:  # of tensors without elements alone, which cannot be mapped
            return {place.name: np.zeros(place.shape, _dtype(place.dtype)) for place in places}
        whole: Any = np.memmap(path, np.uint8, "c", offset=end)
        return {
            place.name: np.asarray(whole)[place.start - end : place.stop - end]
            .view(_dtype(place.dtype))
            .reshape(place.shape)
            for place in places
        }
    except (KeyError, ValueError) as problem:
        raise BadInput(f"not a safetensors file: {problem}") from problem


class Place(NamedTuple):
    """Where in a file the bytes of a tensor lie, and what they are."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int


def places_of(path: Path) -> tuple[list[Place], int]:
    """Return where a file's tensors lie, and where the first begins; :class:`~lineage.errors.BadInput` for another."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np"):  # which checks the header against the file's size
            pass
    except (SafetensorError, ValueError) as problem:
        raise BadInput(f"not a safetensors file: {problem}") from problem
    with path.open("rb") as file:
        end = _LENGTH + int.from_bytes(file.read(_LENGTH), "little")
        header = json.loads(file.read(end - _LENGTH))
    header.pop("__metadata__", None)
    found = [
        Place(name, each["dtype"], tuple(each["shape"]), *(end + offset for offset in each["data_offsets"]))
        for name, each in header.items()
    ]
    return found, end


def map_tensor(path: Path, place: Place) -> "Array":
    """Return one tensor of a file, read as it is needed; its memory is free again once it is no longer used."""
    import numpy as np

    dtype = _dtype(place.dtype)
    if place.start == place.stop:
        return np.zeros(place.shape, dtype)
    found: Array = np.memmap(path, dtype, "r", offset=place.start, shape=place.shape or (1,)).reshape(place.shape)
    return found


def _dtype(name: str) -> "np.dtype[Any]":
    import numpy as np

    if name in _OF_ML_DTYPES:
        import ml_dtypes

        found: np.dtype[Any] = np.dtype(getattr(ml_dtypes, _OF_ML_DTYPES[name]))
        return found
    return np.dtype(_NUMPY[name])


def _flat(tensors: Mapping[str, Any]) -> "dict[str, Array]":
    if not tensors:
        raise BadInput("no tensor to save: give at least one, by name")
    return dict(_contiguous(tensors))


def _contiguous(tensors: Mapping[str, Any]) -> "Iterator[tuple[str, Array]]":
    import numpy as np

    for name in sorted(tensors):
        tensor = as_array(tensors[name])
        if tensor.dtype.kind not in "biufc" and tensor.dtype.name not in _SMALL_FLOATS:
            raise BadInput(f"tensor {name!r} holds {tensor.dtype}, which safetensors cannot: give it numbers")
        order = "=" if tensor.dtype.name in _SMALL_FLOATS else "<"
        little = tensor if order == "=" else tensor.astype(tensor.dtype.newbyteorder("<"), copy=False)
        yield name, little if little.flags.c_contiguous else np.ascontiguousarray(little)


def as_array(tensor: Any) -> "Array":
    """Return an array, or a tensor of torch on whatever device, as an array of the same bits."""
    import numpy as np

    if not hasattr(tensor, "detach"):
        return np.asarray(tensor)
    tensor, name = tensor.detach().cpu(), str(tensor.dtype).removeprefix("torch.")
    if name not in _SMALL_FLOATS:
        return np.asarray(tensor.numpy())
    import ml_dtypes

    torch = sys.modules["torch"]  # loaded, as there is one of its tensors
    same_size = torch.uint16 if tensor.element_size() == 2 else torch.uint8
    bits = tensor.contiguous().view(same_size).numpy()
    return np.asarray(bits).view(getattr(ml_dtypes, name))
