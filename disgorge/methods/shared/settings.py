"""A method's settings: a frozen dataclass whose fields carry their limits, read from a model file's ``parameters``.

>>> from dataclasses import dataclass
>>> @dataclass(frozen=True)
... class Settings:
...     seed: int = 0
...     batch: int = number(32, 1, 4096)
>>> read_settings(Settings, {"batch": 8}).batch
8
>>> read_settings(Settings, {"batches": 8})
Traceback (most recent call last):
    ...
disgorge.errors.BadModel: parameters.batches: unknown parameter; did you mean 'batch'?
"""

import difflib
from collections.abc import Callable, Collection, Mapping
from dataclasses import field, fields
from typing import Any, TypeVar, cast

from disgorge.errors import BadModel
from lineage.records import Json

T = TypeVar("T")


def number(default: float, low: float, high: float) -> Any:
    """Return a field that takes numbers from ``low`` to ``high``, whole ones where the default is an int."""
    whole = isinstance(default, int)

    def check(value: Json) -> Json:
        fits = isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
        if not fits or (whole and value != int(value)):
            raise BadModel(f"{value!r} is not a {'whole ' * whole}number from {low:g} to {high:g}")
        return int(value) if whole else float(value)

    return checked(default, check)


def choice(default: str, *others: str) -> Any:
    """Return a field that takes one of these words."""
    words = (default, *others)

    def check(value: Json) -> Json:
        if value not in words:
            raise BadModel(f"{value!r} is not one of {', '.join(words)}")
        return value

    return checked(default, check)


def checked(default: Json, check: Callable[[Json], Json]) -> Any:
    """Return a field whose value is what ``check`` makes of the file's; its ``BadModel`` need not name the field."""
    return field(default=default, metadata={"check": check})


def read_settings(kind: type[T], parameters: Mapping[str, Json], *, seed: int = 0, beside: Collection[str] = ()) -> T:
    """Return the settings a model file gives, defaults filled in; ``BadModel`` names the parameter that is wrong.

    Parameters named in ``beside`` are the method's to check.
    """
    checks = {each.name: each.metadata["check"] for each in fields(cast(Any, kind)) if "check" in each.metadata}
    values: dict[str, Json] = {}
    for name, value in parameters.items():
        if name in beside:
            continue
        if name not in checks:
            known = (*checks, *beside)
            near = difflib.get_close_matches(str(name), known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}"
            raise BadModel(f"parameters.{name}: unknown parameter; {hint}")
        try:
            values[name] = checks[name](value)
        except BadModel as problem:
            raise BadModel(f"parameters.{name}: {problem}") from None
    return cast(Any, kind)(seed=seed, **values)  # type: ignore[no-any-return]


def recorded(settings: Any, names: Collection[str]) -> dict[str, Json]:
    """Return those settings as a recipe records them, the seed among them."""
    values = {name: getattr(settings, name) for name in ("seed", *names)}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def restored(kind: type[T], parameters: Mapping[str, Json]) -> T:
    """Return the settings that a recipe records; those it does not name have no part in it."""
    return kind(**{name: tuple(each) if isinstance(each, list) else each for name, each in parameters.items()})
