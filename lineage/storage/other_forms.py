"""Whether the tensors of a file are others in another form: rounded, transposed, cut, joined, or in a sum.

Compared are samples (:mod:`lineage.storage.tensor_samples`) of the tensors that are looked for, and the values at the
same places of a file's tensors and of *retained* ones, whose files are at hand.

- **Whole.** A tensor x of as many elements, as it is, transposed or in another shape, is written as a linear
  combination of a constant, retained tensors r and those looked for t, by least squares over the sampled places:

      x = c + sum_i a_i r_i + sum_j b_j t_j + e

  It is one of them, or a sum with them, if (1) without the t the rest e is at least 100 times as large, in squares, as
  with them, over at least 16 degrees of freedom: for numbers that have nothing to do with t this is rarer than 1e-16;
  (2) e is no more than rounding to the type that x fits into (bfloat16, float16, or 1.5e-5 of its size in others), at
  all but some hundredths of the places; and (3) without the t it is more. So another model trained from the same
  beginning, which is close to t and yet no sum, does not count, and neither does what retained tensors explain.
- **In pieces.** A tensor that differs from t in the length of one axis lies in it, or holds it, as one run along that
  axis: by the same rules, over at least 24 values and without any fit.

A file that has tensors of the shapes of everything that is looked for in one component, with values that retained
tensors do not explain, is *open*: it may be made of it, and whether it is cannot be told.

Not found, and where the shapes agree left open: rounding to fewer than 16 bits, or of terms before they were summed;
changes smaller than the rounding; sums of more tensors than there are places for; pieces of a sum; runs that are cut
and joined at once.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lineage.errors import BadInput
from lineage.storage.tensor_samples import TensorSample, is_float, values_along, values_spread
from lineage.storage.tensors import Place, map_tensor, places_of

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

TIMES = 100.0
"""How much larger the rest must be, in squares, without the tensors looked for."""
FREEDOM = 16
"""Degrees of freedom that a fit must leave: 100 ** -(16 / 2) is 1e-16."""
LEAST_VALUES = 24
"""Values of a piece that must agree: 100 ** -(24 / 2) is 1e-24."""
RELATIVE = 2.0**-16
"""Rounding of sums in float32, and more: 1.5e-5 of a value and of the tensor's size."""
_MOST_OF_FLOAT16 = 65_504.0
_MISSES = 0.02
"""Share of the places at which a tensor may differ by more than rounding."""
_CANDIDATES = 8
"""Places at which a piece is tried."""
_MOST_RETAINED, _MOST_SOUGHT = 192, 32
"""Tensors in one fit: those with the names most alike."""


@dataclass(frozen=True)
class Forms:
    """What a file holds in another form, in words; ``open_shapes`` if it may be and that cannot be told."""

    found: tuple[str, ...] = ()
    open_shapes: bool = False


@dataclass(frozen=True)
class OtherForms:
    """The comparison of files with samples of tensors, and with the tensors in the files of what is retained."""

    samples: Sequence[TensorSample]
    retained: Sequence[Path] = ()
    _read: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def look(self, path: Path) -> Forms:
        """Return which of the tensors a file holds in another form; ``ValueError`` for one that is damaged."""
        import numpy as np

        if not self.samples:
            return Forms()
        with np.errstate(all="ignore"):  # numbers that no comparison finds anything in
            return self._look(path)

    def _look(self, path: Path) -> Forms:
        try:
            places = [place for place in places_of(path)[0] if is_float(place)]
        except BadInput as problem:
            raise ValueError(f"{path}: damaged safetensors ({problem})") from problem
        found, unexplained = list[str](), set[int]()
        shapes = {(prod(place.shape), tuple(sorted(place.shape))) for place in places}
        for place in places:
            tensor = map_tensor(path, place)
            if (words := self._whole(tensor, unexplained) or self._piece(tensor)) is not None:
                found.append(f"{place.name[:100]!r} comes from {words}")
        return Forms(tuple(found), not found and self._has_all(shapes, unexplained))

    def _whole(self, tensor: "Array", unexplained: set[int]) -> str | None:
        """Return in words which tensor of the same size it is; note the size if nothing retained explains it."""
        import numpy as np

        compared = explained = False
        for sample in self._of_size(tensor.size):
            for how, view in _whole_views(tensor, sample):
                x = values_spread(view)
                if not np.isfinite(x).all():
                    continue
                fit, compared = self._fit(sample, x), True
                if fit.found:
                    return f"{sample.name[:100]!r} ({how or _of_a_sum(x, sample)})"
                explained |= fit.explained
        if compared and not explained:
            unexplained.add(tensor.size)
        return None

    def _fit(self, sample: TensorSample, x: "Array") -> "_Fit":
        basis = self._basis(sample)
        before, after = _rest(x, basis.retained), _rest(x, basis.both)
        grid = _Grid.of(x)
        columns = basis.both.shape[1]
        enough = len(x) - columns >= FREEDOM + 2 * (columns - basis.retained.shape[1])
        explained = _squares(before) <= 4 * grid.noise
        is_sum = enough and not explained and _squares(after) * TIMES <= _squares(before)
        return _Fit(is_sum and grid.fits(x, basis.columns), explained)

    def _basis(self, sample: TensorSample) -> "_Basis":
        """Return orthonormal columns for the retained tensors of a size, and with those looked for; kept."""
        import numpy as np

        key = f"{sample.size} {sample.of} {sample.name}"
        if key not in self._read:
            places = len(sample.values)
            sought = _alike(self._of_size(sample.size), sample.name, max(1, min(_MOST_SOUGHT, places // 16)))
            kept = _alike(self._retained(sample.size), sample.name, min(_MOST_RETAINED, places // 4))
            columns = [np.ones(places), *(values for _, values in kept), *(each.values for each in sought)]
            scaled = np.stack([each / (np.linalg.norm(each) or 1.0) for each in columns], axis=1)  # (places, columns)
            both, _ = np.linalg.qr(scaled)
            self._read[key] = _Basis(both[:, : 1 + len(kept)], both, scaled)
        found: _Basis = self._read[key]
        return found

    def _piece(self, tensor: "Array") -> str | None:
        """Return in words which tensor it is a run of, or holds one of."""
        for sample in self.samples:
            for axis, view in _views_along(tensor, sample):
                lines = sample.line(axis)
                values = values_along(view, axis, length=sample.shape[axis]) if len(lines) else lines
                if not values.size or len(values) == len(lines):
                    continue
                is_part = len(values) < len(lines)
                for start in _starts(*(values, lines) if is_part else (lines, values)):
                    run = slice(start, start + min(len(values), len(lines)))
                    x, t = (values, lines[run]) if is_part else (values[run], lines)
                    if _equal(x, t) and not self._is_retained(x, sample, axis, run if is_part else slice(None)):
                        return f"{sample.name[:100]!r} ({'a piece' if is_part else 'joined with others'})"
        return None

    def _is_retained(self, x: "Array", sample: TensorSample, axis: int, run: slice) -> bool:
        """Whether a retained tensor has the same values at the same places."""
        return any(
            _equal(x, values_along(map_tensor(path, place), axis)[run])
            for path, place in self._tensors().get(sample.size, [])
            if place.shape == sample.shape
        )

    def _has_all(self, shapes: Iterable[tuple[int, tuple[int, ...]]], unexplained: set[int]) -> bool:
        """Whether a file has the shapes of all that is looked for in one component, and not all is explained."""
        there = set(shapes)
        sizes = {size for size, _ in there}
        groups: dict[tuple[str, bool], list[TensorSample]] = {}
        for sample in self.samples:
            groups.setdefault((sample.of, sample.product), []).append(sample)
        return any(
            any(each.size in unexplained for each in group)
            and all(
                each.size in sizes if each.product else (each.size, tuple(sorted(each.shape))) in there
                for each in group
            )
            for group in groups.values()
        )

    def _of_size(self, size: int) -> Sequence[TensorSample]:
        import numpy as np

        if "sizes" not in self._read:
            sizes = self._read["sizes"] = dict[int, list[TensorSample]]()
            for sample in self.samples:
                if np.isfinite(sample.values).all():
                    sizes.setdefault(sample.size, []).append(sample)
        found: list[TensorSample] = self._read["sizes"].get(size, [])
        return found

    def _retained(self, size: int) -> "list[tuple[str, Array]]":
        """Return the sampled values of the retained tensors of a size, with their names; kept."""
        import numpy as np

        if (key := f"retained {size}") not in self._read:
            found = self._tensors().get(size, [])
            every = [(place.name, values_spread(map_tensor(path, place))) for path, place in found]
            self._read[key] = [(name, values) for name, values in every if np.isfinite(values).all()]
        values: list[tuple[str, Array]] = self._read[key]
        return values

    def _tensors(self) -> dict[int, list[tuple[Path, Place]]]:
        """Return where the retained tensors lie, by size; kept."""
        if "tensors" not in self._read:
            sizes = {sample.size for sample in self.samples}
            found: dict[int, list[tuple[Path, Place]]] = {}
            for path in self.retained:
                for place in _places_in(path):
                    if (size := prod(place.shape)) in sizes and is_float(place):
                        found.setdefault(size, []).append((path, place))
            self._read["tensors"] = found
        tensors: dict[int, list[tuple[Path, Place]]] = self._read["tensors"]
        return tensors


@dataclass(frozen=True)
class _Fit:
    found: bool
    explained: bool


@dataclass(frozen=True)
class _Basis:
    """Orthonormal columns for what is retained, and for what is looked for as well; and the columns themselves."""

    retained: "Array"  # (places, fewer columns)
    both: "Array"  # (places, columns)
    columns: "Array"  # (places, columns)


@dataclass(frozen=True)
class _Grid:
    """How far rounding may have moved each of some values, and the sum of squares that it is expected to make."""

    most: "Array"
    noise: float

    @classmethod
    def of(cls, x: "Array") -> "_Grid":
        """Return the coarsest of bfloat16, float16 and a bound for sums in float32 that values fit into."""
        import ml_dtypes
        import numpy as np

        exponent = np.floor(np.log2(np.maximum(np.abs(x), 1e-38)))
        if (x == x.astype(ml_dtypes.bfloat16).astype(np.float64)).all():
            most = 2.0 ** (exponent - 8)
        elif np.abs(x).max(initial=0) < _MOST_OF_FLOAT16 and (x == x.astype(np.float16)).all():
            most = np.maximum(2.0 ** (exponent - 11), 2.0**-25)
        else:
            most = RELATIVE * (np.abs(x) + np.sqrt(np.mean(x**2)))
        return cls(most, _squares(most) / 3)

    def agrees(self, rest: "Array", *, misses: float = _MISSES) -> bool:
        """Whether differences are of rounding alone, but for a share of the places."""
        import numpy as np

        return bool(np.mean(np.abs(rest) > self.most * 1.001 + 1e-30) <= misses)

    def fits(self, x: "Array", columns: "Array") -> bool:
        """Whether values are a linear combination of columns, rounded; each counts by how exact it is.

        Of rounded values the coefficients are not exact either, which moves more of them across a border.
        """
        import numpy as np

        weights = 1 / np.maximum(self.most, 1e-12 * np.abs(x).max())
        found, *_ = np.linalg.lstsq(columns * weights[:, None], x * weights, rcond=None)
        return self.agrees(x - columns @ found, misses=_MISSES + 0.4 * (columns.shape[1] / len(x)) ** 0.5)


def _equal(x: "Array", t: "Array") -> bool:
    """Whether values are others, rounded, beyond chance: they vary, and by more than the two differ."""
    import numpy as np

    if x.size < LEAST_VALUES or x.shape != t.shape or not (np.isfinite(x).all() and np.isfinite(t).all()):
        return False
    spread = _squares(x - x.mean())
    return spread > 0 and _squares(x - t) * TIMES <= spread and _Grid.of(x.ravel()).agrees((x - t).ravel())


def _of_a_sum(x: "Array", sample: TensorSample) -> str:
    """Return in words how values come from a tensor's."""
    if not sample.product and _equal(x, sample.values):
        return "in another type or shape" if (x == sample.values).all() else "rounded"
    return "in a sum"


def _rest(x: "Array", columns: "Array") -> "Array":
    """Return what orthonormal columns leave of values; twice, as the first time leaves errors of its own."""
    for _ in range(2):
        x = x - columns @ (columns.T @ x)
    return x


def _squares(values: "Array") -> float:
    return float((values * values).sum())


def _starts(short: "Array", long: "Array") -> Iterator[int]:
    """Yield where a run of rows may begin within others: there its most telling row is most nearly found."""
    import numpy as np

    telling = int(np.abs(short - short.mean(axis=0)).sum(axis=1).argmax())
    last = len(long) - len(short) + 1
    away = np.abs(long[telling : telling + last] - short[telling]).max(axis=1)
    nearest = np.argpartition(away, _CANDIDATES - 1)[:_CANDIDATES] if last > _CANDIDATES else range(last)
    yield from map(int, nearest)


def _whole_views(tensor: "Array", sample: TensorSample) -> "Iterator[tuple[str, Array]]":
    """Yield a tensor in the shape of another of its size, with how: as it is, its axes exchanged, or in other rows."""
    found = False
    for axes in _orders(tensor.ndim):
        if tuple(tensor.shape[axis] for axis in axes) == sample.shape:
            found = True
            yield ("" if axes == tuple(range(tensor.ndim)) else "transposed"), tensor.transpose(axes)
    if not found:
        yield "in another shape", tensor.reshape(sample.shape)


def _views_along(tensor: "Array", sample: TensorSample) -> "Iterator[tuple[int, Array]]":
    """Yield a tensor in a shape that differs from another in the length of one axis, with the axis."""
    if sample.product or tensor.size == sample.size or not tensor.size:
        return
    shape = sample.shape
    if tensor.ndim == len(shape):
        if not set(tensor.shape) & set(shape) and tensor.ndim > 1:
            return
        for axes in _orders(tensor.ndim):
            other = [axis for axis, place in enumerate(axes) if tensor.shape[place] != shape[axis]]
            if len(other) == 1:
                yield other[0], tensor.transpose(axes)
    elif tensor.ndim == len(shape) + 1 and tensor.shape[2:] == shape[1:] and tensor.shape[1:2] == shape[:1]:
        yield 0, tensor.reshape(-1, *tensor.shape[2:])  # stacked
    elif tensor.ndim == len(shape) - 1 and tensor.shape == shape[1:]:
        yield 0, tensor[None]  # one of a stack


def _orders(axes: int) -> Iterator[tuple[int, ...]]:
    """Yield the orders of a tensor's axes: every one up to four axes, else as they are and backwards."""
    if axes <= 4:
        yield from permutations(range(axes))
    else:
        yield from (tuple(range(axes)), tuple(reversed(range(axes))))


def _alike(several: Any, name: str, most: int) -> Any:
    """Return those of several tensors, or names with values, that are named most like another; so many at the most."""
    named = [(each if isinstance(each, tuple) else (each.name, each), each) for each in several]
    ranked = sorted(named, key=lambda pair: (pair[0][0] != name, not name.startswith(pair[0][0])))
    return [each for _, each in ranked[:most]]


def _places_in(path: Path) -> list[Place]:
    try:
        return places_of(path)[0]
    except (BadInput, OSError):  # a folder's listing, a text, or a file that is not there
        return []
