"""The items as user code sees them: the columns that the model file names, by the names it gives them.

>>> items = View([Items(("a", "b"), {"x": np.array([1, 2]), "rating": np.array([0, 1])})], {}, None)
>>> len(items), items.fields, items["x"].tolist(), [len(few) for few in items.batches(1)]
(2, ('rating', 'x'), [1, 2], [1, 1])
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from disgorge.errors import BadModel
from disgorge.method import Items
from disgorge.methods.function.settings import LABEL, OTHERS, Class, Column

if TYPE_CHECKING:
    from disgorge.method import Array


class View:
    """Items of one or more shards, one after the other; a column is read when it is asked for.

    ``classes`` are those of the label, None where a label stays as it is; with them it is each item's place among them.
    """

    def __init__(
        self,
        shards: Sequence[Items],
        columns: Mapping[str, Column],
        classes: Sequence[Class] | None,
        *,
        without: Sequence[str] = (),
    ) -> None:
        self._shards = shards
        self._columns = columns
        self._classes = classes
        self._rows = slice(0, sum(map(len, shards)))
        self.fields = tuple(sorted(name for name in _names(shards, columns) if name not in without))
        """The names of the columns."""
        self._read: dict[str, Array] = {}

    def __len__(self) -> int:
        return self._rows.stop - self._rows.start

    def __contains__(self, name: object) -> bool:
        return name in self.fields

    def __iter__(self) -> Iterator[str]:
        return iter(self.fields)

    def __getitem__(self, name: str) -> "Array":
        """Return a column as numpy, shape (items, ...); text as an array of str objects, whole files of bytes."""
        return _read(self._unread(name))

    def _unread(self, name: str) -> "Array":
        """Return a column in which whole files may still be paths."""
        if name not in self.fields:
            raise BadModel(
                f"items have no column {name!r}, only {', '.join(self.fields) or 'none'}; name it under `columns`"
            )
        if name not in self._read:
            self._read[name] = self._column(name)
        return self._read[name][self._rows]

    def numpy(self, *names: str) -> "dict[str, Array]":
        """Return columns by name, all of them unless some are named."""
        return {name: self[name] for name in names or self.fields}

    def matrix(self, *names: str) -> "Array":
        """Return columns of numbers side by side, shape (items, columns); by default all of them but the label."""
        chosen = names or tuple(
            name
            for name in self.fields
            if name != LABEL and (column := self._unread(name)).ndim == 1 and column.dtype.kind in "biuf"
        )
        if not chosen:
            raise BadModel(f"items have no columns of numbers, only {', '.join(self.fields) or 'nothing'}")
        return np.stack([np.asarray(self[name], np.float64) for name in chosen], axis=1)

    def torch(self, *names: str) -> dict[str, Any]:
        """Return columns of numbers as tensors by name."""
        import torch

        chosen = names or tuple(name for name in self.fields if self._unread(name).dtype.kind in "biuf")
        return {name: torch.as_tensor(np.ascontiguousarray(self[name])) for name in chosen}

    def pandas(self, *names: str) -> Any:
        """Return columns as a data frame; an array of several dimensions is a column of arrays."""
        import pandas

        return pandas.DataFrame(
            {name: each if each.ndim == 1 else list(each) for name, each in self.numpy(*names).items()}
        )

    def arrow(self, *names: str) -> Any:
        """Return columns as an Arrow table."""
        import pyarrow

        return pyarrow.table({name: each if each.ndim == 1 else each.tolist() for name, each in
                              self.numpy(*names).items()})  # fmt: skip

    def batches(self, size: int) -> "Iterator[View]":
        """Yield the items, ``size`` at a time."""
        for start in range(self._rows.start, self._rows.stop, size):
            few = object.__new__(View)
            few.__dict__.update(self.__dict__)
            few._rows = slice(start, min(start + size, self._rows.stop))
            yield few

    def _column(self, name: str) -> "Array":
        column = self._columns.get(name, Column(field=name))
        parts = []
        for shard in self._shards:
            if column.field not in shard.arrays:
                raise KeyError(column.field)  # which whoever asks a model is told
            part = np.asarray(shard.arrays[column.field])
            parts.append(part.astype(object) if part.dtype.kind in "TU" else part)
        shapes = {(part.shape[1:], _kind(part, is_label=name == LABEL)) for part in parts}
        if len(shapes) > 1:
            raise BadModel(f"column {name!r} is not alike in all shards: {' and '.join(map(str, sorted(shapes)))}")
        found = np.concatenate(parts) if parts else np.empty(0)
        if name != LABEL:
            return _mapped(name, found, column.map)
        if column.map is not None or self._classes is not None:
            refuse_empty(found)
        return _numbered(_mapped(name, found, column.map), self._classes)


def _read(column: "Array") -> "Array":
    """Return a column with the bytes of whole files, which lie as files among the inputs of a job."""
    if column.dtype.kind != "O" or not any(isinstance(value, Path) for value in column):
        return column
    read: Array = np.empty(len(column), object)
    read[:] = [value.read_bytes() for value in column]
    return read


def _names(shards: Sequence[Items], columns: Mapping[str, Column]) -> set[str]:
    """Return what columns are called: those that are named, and every other field where none is, or ``*`` is."""
    named = {*columns} - {OTHERS}
    if columns and OTHERS not in columns:
        return named
    taken = {column.field for column in columns.values()}
    return named | {name for shard in shards for name in shard.arrays if name not in taken}


def _kind(part: "Array", *, is_label: bool) -> str:
    """Return what shards must agree in: whole numbers of one are floats in another, where one is empty there."""
    return "f" if part.dtype.kind in "iu" and not is_label else part.dtype.kind


def refuse_empty(labels: "Array") -> None:
    """Raise ``BadModel`` where an item has no label."""
    if labels.dtype.kind == "f" and (empty := int(np.isnan(labels).sum())):
        raise BadModel(
            f"label: is empty (NaN) in {empty:,} of {len(labels):,} items; fill it in, or leave these items out of the "
            "shards"
        )


def _mapped(name: str, found: "Array", given: Mapping[str, Class] | None) -> "Array":
    """Return each value's place in a map of the model file; one that it lacks is an error."""
    if given is None:
        return found
    values = [str(value) for value in found.tolist()]
    if outside := sorted({*values} - given.keys()):
        raise BadModel(
            f"{name}: the value {outside[0][:80]!r} is not in columns.{name}.map of the model file; add it, or leave "
            "these items out of the shards"
        )
    mapped: Array = np.array([given[value] for value in values])
    return mapped.astype(object) if mapped.dtype.kind == "U" else mapped


def _numbered(found: "Array", classes: Sequence[Class] | None) -> "Array":
    """Return each label's place among the classes, int64."""
    if classes is None:
        return found
    places = {str(name): place for place, name in enumerate(classes)}
    values = [str(value) for value in found.tolist()]
    if outside := sorted({*values} - places.keys()):
        raise BadModel(
            f"label: {outside[0][:80]!r} is none of the {len(classes)} classes; add it to `classes` in the model "
            "file, or leave these items out of the shards"
        )
    return np.array([places[value] for value in values], np.int64)


def classes_of(labels: "Array") -> list[Class]:
    """Return the distinct labels, sorted.

    >>> classes_of(np.array([2, 0, 2])), classes_of(np.array(["b", "a"], object))
    ([0, 2], ['a', 'b'])
    """
    distinct: list[Class] = sorted(set(labels.tolist()))
    return distinct
