"""A method's parameters: ranges and types checked, an unknown or unfit one refused by name.

A method declares its settings as frozen dataclasses and a range per number; a model file's mapping is checked here.
"""

from collections.abc import Collection, Mapping
from dataclasses import fields
from typing import Any

from disgorge.errors import BadModel
from lineage.records import Json

Ranges = Mapping[str, tuple[float, float]]
"""Parameter to the least and greatest value it may have."""


def types_of(*settings: type) -> dict[str, Any]:
    """Return the type of every field of these dataclasses, by name."""
    return {field.name: field.type for kind in settings for field in fields(kind)}


def check_number(
    name: str, value: Json, *, ranges: Ranges, types: Mapping[str, Any], others: Collection[str] = ()
) -> None:
    """Refuse a parameter nobody knows or a value out of its range; ``others`` are known and checked elsewhere.

    Raises :class:`~disgorge.errors.BadModel` that names the parameter and what it may be.
    """
    if name not in ranges:
        known = ", ".join(sorted({*ranges, *others}))
        raise BadModel(f"parameters.{name}: no such parameter; there are: {known}")
    low, high = ranges[name]
    whole = types[name] is int
    fits = isinstance(value, int if whole else int | float) and not isinstance(value, bool) and low <= value <= high
    if not fits:
        kind = "a whole number" if whole else "a number"
        raise BadModel(f"parameters.{name}: {value!r} is not {kind} from {low:g} to {high:g}")


def picked(kind: type, parameters: Mapping[str, Json]) -> dict[str, Json]:
    """Return those parameters that are fields of a dataclass."""
    return {field.name: parameters[field.name] for field in fields(kind) if field.name in parameters}
