"""Items from NPZ: arrays with one row per item; and single arrays from ``.npy``.

An archive's members are measured before they are unpacked, and an array's header must agree with its member's size, so
that a few bytes cannot claim the memory of a machine. Pickled members are refused, never opened.
"""

import io
import struct
import warnings
import zipfile
import zlib
from lzma import LZMAError
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from lineage.errors import BadInput
from lineage.formats.columns import BY, Choice, Columns, Text
from lineage.storage.content import as_field
from lineage.storage.size_limits import check_items, too_large

_BROKEN = (
    zipfile.BadZipFile, zlib.error, LZMAError, struct.error, EOFError, OSError, ValueError, NotImplementedError,
    RuntimeError, KeyError, IndexError, OverflowError, MemoryError, TypeError,
)  # fmt: skip
"""What zipfile and its decompressors raise for bytes that are not an archive, or an encrypted one."""


def read_npz(path: Path, choice: Choice, *, limit: int) -> Columns:
    """Return the items of an NPZ file; raises ``BadInput`` naming the array."""
    origin = str(path)
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            total = sum(member.file_size for member in members)
            if total > limit:
                raise too_large(origin, total, limit)
            for member in members:
                if not member.filename.endswith(".npy"):
                    raise BadInput(
                        f"{origin}: holds '{member.filename}', which is not an array; leave only arrays in it"
                    )
            settled = choice.settle([member.filename.removesuffix(".npy") for member in members], origin)
            wanted = {*(settled.fields or ()), *settled.roles().values()}
            raw = {
                member.filename.removesuffix(".npy"): archive.read(member)
                for member in members
                if member.filename.removesuffix(".npy") in wanted
            }
    except _BROKEN as problem:
        raise BadInput(
            f"{origin}: not an NPZ archive, or a damaged one ({problem}); write it with numpy.savez"
        ) from problem
    arrays = {name: parse_npy(data, f"{origin}: array '{name}'") for name, data in raw.items()}
    check_items(origin, max((array.shape[0] for array in arrays.values() if array.ndim), default=0), limit)
    return Columns(
        origin=origin,
        content={name: arrays[name] for name in settled.fields or ()},
        text={role: _text(role, arrays[name], origin) for role, name in settled.roles().items()},
        roles=settled.roles(),
    )


def parse_npy(data: bytes, what: str) -> NDArray[Any]:
    """Return the array in ``data``, which is a whole ``.npy`` file; ``what`` names it in an error."""
    stream = io.BytesIO(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numpy warns of headers written by Python 2, which it reads well
            version = npy.read_magic(stream)
            read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            shape, fortran, dtype = read_header(stream)
    except Exception as problem:  # the header is a Python literal: its parser has many ways to refuse rubbish
        raise BadInput(f"{what}: not an array as numpy.save writes it; write it again") from problem
    if dtype.hasobject:
        raise BadInput(f"{what}: holds Python objects, which only unpickling could read; save it as numbers or str")
    count = 1
    for length in shape:
        count *= length
    body = len(data) - stream.tell()
    if any(type(length) is not int or length < 0 for length in shape) or count * dtype.itemsize != body:
        raise BadInput(f"{what}: its header tells of {count * dtype.itemsize} bytes, it has {body}; write it again")
    if dtype.itemsize == 0 or count == 0:
        return np.zeros(shape, dtype)
    flat = np.frombuffer(data, dtype, count, stream.tell())
    return flat.reshape(shape, order="F" if fortran else "C")


def _text(role: str, array: NDArray[Any], origin: str) -> Text:
    if array.ndim != 1 or array.dtype.kind not in ("Uiub" if role == BY else "Uiu"):
        raise BadInput(
            f"{origin}: the {role} must be a row of texts or whole numbers, not {array.dtype} {array.shape}; mend it"
        )
    if array.dtype.kind != "U":
        return tuple(str(value) for value in array.tolist())
    try:
        return tuple(text or None for text in as_field("text", array).tolist())
    except BadInput as problem:
        raise BadInput(f"{origin}: the {role} holds text that is not Unicode; write it as UTF-8") from problem
