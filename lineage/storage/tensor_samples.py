"""Samples of a tensor by which it is known in another form: some of its values, at places that its shape decides.

Two sets of values are kept. The *spread* ones lie all over the tensor; being values, those of a sum are the sum of its
terms' and those of a rounded tensor are rounded. The *lines* run along each axis, all of its length, in a few places of
the other axes; a tensor cut along an axis, or joined with others along it, has a run of them.

Values are read where they lie, so a large file costs little memory and no time. Negative consequence: of a small tensor
the samples are all of it, so they are kept only while it is looked for.

>>> import numpy as np
>>> sample = sample_of(np.arange(8.0).reshape(2, 4), name="w", digest="d", of="c")
>>> sample.values
array([0., 1., 2., 3., 4., 5., 6., 7.])
>>> sample.line(1).shape
(4, 2)
"""

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import permutations
from math import prod
from typing import TYPE_CHECKING, Any

from lineage.storage.tensors import Place

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

SPREAD = 512
"""Values of a tensor that are spread over it: enough to tell a sum of some two hundred tensors."""
_ON_LINES = 256
"""Values on the lines along an axis, at the least, where the tensor has so many."""
_LEAST_LINES = 2
LONGEST = 1 << 22
"""Values on the lines along one axis, at the most: 32 MB of memory. Longer axes are not compared in pieces."""
_GOLDEN = 0.6180339887498949
"""Multiples of it, without their whole parts, spread evenly over an interval."""
_FLOATS = frozenset({"F16", "F32", "F64", "BF16"})


@dataclass(frozen=True)
class TensorSample:
    """Some values of a tensor, as base64 of float32; ``digest`` is that of its bytes, ``of`` that of its file.

    A ``product`` is that of two tensors which are multiplied before they are added to another; it has no lines.
    """

    name: str
    digest: str
    of: str
    shape: tuple[int, ...]
    spread: str
    lines: list[str] = field(default_factory=list)
    product: bool = False

    @property
    def size(self) -> int:
        """How many elements the tensor has."""
        return prod(self.shape)

    @cached_property
    def values(self) -> "Array":
        """The values spread over the tensor."""
        return _unpacked(self.spread)

    def line(self, axis: int) -> "Array":
        """Return the values along an axis, one row for each of its places; empty for an axis that is too long."""
        found = _unpacked(self.lines[axis])
        return found.reshape(self.shape[axis] if found.size else 0, -1 if found.size else 1)


def is_float(place: Place) -> bool:
    """Whether a tensor of a file holds floating point numbers of at least 16 bits."""
    return place.dtype in _FLOATS


def sample_of(tensor: "Array", *, name: str, digest: str, of: str) -> TensorSample:
    """Return the sample of a tensor, which may lie in a file."""
    along = [_packed(values_along(tensor, axis)) for axis in range(tensor.ndim)]
    return TensorSample(name, digest, of, tensor.shape, _packed(values_spread(tensor)), along)


def products_of(tensors: "Mapping[str, Array]", *, digests: Mapping[str, str], of: str) -> Iterator[TensorSample]:
    """Yield the samples of the products of two matrices of low rank whose names differ in one part, as adapters have.

    >>> import numpy as np
    >>> pair = {"q.up": np.ones((4, 2)), "q.down": np.ones((2, 3))}
    >>> [(each.name, each.shape) for each in products_of(pair, digests={"q.up": "d", "q.down": "e"}, of="c")]
    [('q.up @ q.down', (4, 3))]
    """
    by_stem: dict[tuple[int, tuple[str, ...]], list[str]] = {}
    for name, tensor in tensors.items():
        if tensor.ndim == 2:
            parts = name.split(".")
            for place in range(len(parts)):
                by_stem.setdefault((place, (*parts[:place], "", *parts[place + 1 :])), []).append(name)
    for names in by_stem.values():
        for first, second in permutations(names[:_MOST_PARTNERS], 2):
            one, other = tensors[first], tensors[second]
            rank = one.shape[1]
            if rank == other.shape[0] and rank < min(one.shape[0], other.shape[1]):
                shape = (one.shape[0], other.shape[1])
                rows, columns = _where(shape, spread_over(prod(shape), SPREAD))
                values = (_floats(one[rows]) * _floats(other[:, columns]).T).sum(axis=1)
                yield TensorSample(f"{first} @ {second}", digests[first], of, shape, _packed(values), product=True)


_MOST_PARTNERS = 16
"""Matrices whose names differ in the same part; of more, as of numbered layers, the first are multiplied."""


def values_spread(tensor: "Array") -> "Array":
    """Return the values of a tensor that are spread over it, as its shape is, or would be if it were in one row."""
    return _floats(tensor[_where(tensor.shape, spread_over(tensor.size, SPREAD))])


def values_along(tensor: "Array", axis: int, *, length: int | None = None) -> "Array":
    """Return the values along an axis, one row for each of its places; empty for one that is too long.

    The lines are those of a tensor with another ``length`` of this axis, if one is given.
    """
    import numpy as np

    rest = tensor.shape[:axis] + tensor.shape[axis + 1 :]
    most = -(-_ON_LINES // max(length or tensor.shape[axis], 1))
    where = spread_over(prod(rest), max(_LEAST_LINES, most))
    if tensor.shape[axis] * len(where) > LONGEST or not tensor.size:
        return np.zeros((0, 1))
    moved = np.moveaxis(tensor, axis, 0)
    places: Any = (slice(None), *_where(rest, where)) if rest else (slice(None), None)
    return _floats(moved[places])


def spread_over(count: int, most: int) -> "Array":
    """Return places in a row of so many, all of them or the given number at the most, always the same.

    >>> spread_over(100, 4)
    array([ 0, 23, 61, 85])
    """
    import numpy as np

    if count <= most:
        return np.arange(count)
    found: Array = np.unique((np.arange(most) * _GOLDEN % 1 * count).astype(np.int64))
    return found


def _where(shape: tuple[int, ...], places: "Array") -> "tuple[Array, ...]":
    import numpy as np

    return np.unravel_index(places, shape) if shape else ()


def _floats(values: "Array") -> "Array":
    import numpy as np

    return np.asarray(values).astype(np.float64)


def _packed(values: "Array") -> str:
    import numpy as np

    with np.errstate(over="ignore"):
        return base64.b64encode(values.astype("<f4").tobytes()).decode()


def _unpacked(text: str) -> "Array":
    import numpy as np

    return np.frombuffer(base64.b64decode(text), "<f4").astype(np.float64)
