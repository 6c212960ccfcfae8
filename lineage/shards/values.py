"""Items by the values they have, whatever the types of their columns: a withdrawn one may come back in others.

One cell decides the type of a column: an empty one makes floats of whole numbers, ``n/a`` makes texts of them all, and
another program writes 32 bits instead of 64. The digest of the same row is then another one. So the list of withdrawn
items also has the digest of a row's values as text: a number, or a text that is one, in its shortest form, nothing for
what is missing, and arrays as numbers.

>>> import numpy as np
>>> one = {"x": np.array([41, 5]), "note": np.array(["a", "b"])}
>>> two = {"note": np.array(["a", "b"]), "x": np.array(["41.0", "n/a"])}
>>> [mine == other for mine, other in zip(value_digests(one), value_digests(two))]
[True, False]
"""

import hashlib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from lineage.errors import LineageError
from lineage.records import canonical
from lineage.shards.files import shard_items
from lineage.workspace import Workspace

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE | re.ASCII)
_MISSING = frozenset(("", "nan", "none", "null", "n/a", "na"))
_WHOLE = re.compile(r"[+-]?\d{1,19}", re.ASCII)
_BETWEEN = "\x1f"
_WRITTEN_OUT = 1e19
"""Whole numbers below are compared digit by digit: no 64 bits hold larger ones."""


def value_digests(content: "Mapping[str, NDArray[Any]]") -> Iterator[str]:
    """Yield the digest of each row's values, in row order, for fields of shape (items, ...) of one length."""
    names = sorted(content)
    start = hashlib.sha256(canonical(names))
    for row in zip(*(_values(content[name]) for name in names), strict=True):
        body = start.copy()
        body.update(_BETWEEN.join(row).encode())
        yield f"values {body.hexdigest()}"


def mark_withdrawn(workspace: Workspace, shards: Iterable[str], items: Collection[str]) -> int:
    """Remember that items must not come back, by digest and by the values with which these shards hold them.

    Returns how many marks there are by now. A shard that cannot be read has its items by their digests alone.
    """
    values, wanted = set[str](), frozenset(items)
    for shard in shards:
        try:
            digests, content = shard_items(workspace, shard, verify=False, as_paths=True)
        except LineageError:
            continue
        rows = [row for row, digest in enumerate(digests) if digest in wanted]
        values.update(value_digests({name: array[rows] for name, array in content.items()}))
    return workspace.mark_withdrawn([*items, *values])


def _values(array: "NDArray[Any]") -> Iterable[str]:
    """Return the value that each item has in a field, as text."""
    if array.ndim > 1:
        return (hashlib.sha256(value.astype(np.float64).tobytes()).hexdigest() for value in array)
    if array.dtype.kind == "f":
        wide = array if array.dtype.itemsize > 4 else np.array([float(str(value)) for value in array], np.float64)
        return map(_number, wide.tolist())
    if array.dtype.kind == "M":
        return ("" if value is None else str(value) for value in array.astype("M8[us]").tolist())
    if array.dtype.kind == "b":
        return map(str, array.astype(int).tolist())  # where one is missing they are floats
    return map(cache(_text) if array.dtype.kind in "TU" else str, array.tolist())


def _text(text: str) -> str:
    text = text.strip()
    if text.casefold() in _MISSING:
        return ""
    if _WHOLE.fullmatch(text):
        return str(int(text))
    return _number(float(text)) if _NUMBER.fullmatch(text) else text.replace(_BETWEEN, _BETWEEN * 2)


def _number(number: float) -> str:
    text = repr(number)
    if text.endswith(".0"):
        return text[:-2] if number else "0"  # without the sign of zero
    if number != number:
        return ""
    return str(int(number)) if number.is_integer() and abs(number) < _WRITTEN_OUT else text
