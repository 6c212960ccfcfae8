"""Trains one component by a user's function, or finds the classes that labels name."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from disgorge.method import Checkpoints, Items, Progress, seed_of
from disgorge.methods.function.call import as_component, call
from disgorge.methods.function.context import Context
from disgorge.methods.function.items import View, classes_of, refuse_empty
from disgorge.methods.function.settings import LABEL, Class, Column
from lineage.records import Json

if TYPE_CHECKING:
    from disgorge.method import Tensors

_NUMBERS, _TEXTS, _LENGTHS = "numbers", "texts", "lengths"


def fit(
    parameters: Mapping[str, Json],
    items: tuple[Items, ...],
    parts: "tuple[Tensors, ...]",
    progress: Progress,
    checkpoints: Checkpoints,
    artifacts: Sequence[Path],
) -> "Tensors":
    """Return what the function of a recipe makes of items and parts, in the order that the layout gives them."""
    name, columns = parameters["train"], columns_of(parameters)
    classes, parts = _classes(parameters.get("classes"), parts)
    count = len(items) - parameters.get("select", 0)
    seed = seed_of(dict(parameters), *(each.shard for each in items))
    context = Context(
        seed=seed,
        parameters=parameters.get("parameters", {}),
        classes=classes,
        select=View(items[count:], columns, classes) if count < len(items) else None,
        artifacts={name: _from_here(artifacts[place]) for name, place in parameters.get("artifacts", {}).items()},
        progress=progress,
        checkpoints=checkpoints,
    )
    read = by_stage(parameters.get("reads", ()), [_from_here(p) if isinstance(p, Path) else p for p in parts])
    returned = call("train", name, View(items[:count], columns, classes), read, context, seed=seed)
    if isinstance(returned, Path) or (returned is None and _wrote(context)):
        return cast("Tensors", returned or context.out)  # a folder of files, where components may be one
    return as_component("train", name, returned)


def by_stage(reads: Sequence[Sequence[Json]], parts: Sequence[Any]) -> dict[str, Any]:
    """Return the parts by the stage that made them: one, or several as a tuple."""
    found: dict[str, Any] = {}
    rest = list(parts)
    for name, count in reads:
        found[name] = tuple(rest[:count]) if count else rest[0]
        rest = rest[count or 1 :]
    return found


def columns_of(parameters: Mapping[str, Json]) -> dict[str, Column]:
    """Return the columns that a recipe names."""
    return {name: Column.model_validate(each) for name, each in parameters.get("columns", {}).items()}


def find_classes(parameters: Mapping[str, Json], items: tuple[Items, ...]) -> "Tensors":
    """Return the distinct labels of all items, sorted, as a component."""
    refuse_empty(labels := View(items, columns_of(parameters), None)[LABEL])
    found = classes_of(labels)
    if found and isinstance(found[0], str):
        texts = [str(each).encode() for each in found]
        return {_TEXTS: np.frombuffer(b"".join(texts), np.uint8), _LENGTHS: np.array([len(each) for each in texts])}
    return {_NUMBERS: np.array(found)}


def read_classes(component: "Tensors") -> list[Class]:
    """Return the classes that :func:`find_classes` found."""
    if _NUMBERS in component:
        return list(component[_NUMBERS].tolist())
    data, ends = component[_TEXTS].tobytes(), np.cumsum(component[_LENGTHS]).tolist()
    return [data[start:end].decode() for start, end in zip([0, *ends[:-1]], ends, strict=True)]


def _classes(given: Json, parts: "tuple[Tensors, ...]") -> "tuple[list[Class] | None, tuple[Tensors, ...]]":
    """Return the classes, declared or of the first part, and the other parts."""
    if isinstance(given, str):
        return read_classes(parts[0]), parts[1:]
    return given, parts


def _from_here(path: Path) -> Path:
    """Return a path relative to the working directory: so it is the same in every job, and libraries may save it."""
    return Path(os.path.relpath(path))


def _wrote(context: Context) -> bool:
    folder = Path.cwd() / "out"
    return folder.is_dir() and any(folder.iterdir())
