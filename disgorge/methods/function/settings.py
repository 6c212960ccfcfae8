"""What a model file with ``method: function`` says beside what every model file says, checked.

>>> read_settings({"train": "mine:fit", "predict": "mine:predict"}).stages["model"].layout
'joint'
>>> read_settings({"train": "fit", "predict": "mine:predict"})
Traceback (most recent call last):
    ...
disgorge.errors.BadModel: train: 'fit' names no function; write module:function, as in reviews.fit:train
"""

import re
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from disgorge.errors import BadModel
from lineage.records import Json

MODEL = "model"
"""The one stage of a model without ``stages``."""
LABEL = "label"
"""What user code calls the column that a model is to answer: ``predict`` is not shown it."""
OTHERS = "*"
"""The key of ``columns`` that stands for every field that is not named there."""
_FUNCTION = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)
_STAGE = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,49}")
_SHOWN = 3


def _is_function(value: str) -> str:
    if not _FUNCTION.fullmatch(value):
        raise ValueError(f"{value[:80]!r} names no function; write module:function, as in reviews.fit:train")
    return value


def _is_stage(value: str) -> str:
    if not _STAGE.fullmatch(value):
        raise ValueError(f"{value[:80]!r} is an invalid name; use letters, digits, hyphens and underscores")
    return value


Function = Annotated[str, AfterValidator(_is_function)]
StageName = Annotated[str, AfterValidator(_is_stage)]
Name = Annotated[str, Field(min_length=1)]
Class = str | int | bool


class _Strict(BaseModel):
    """Unknown keys, and values of another type, are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Column(_Strict):
    """A field of the shards as user code sees it; ``map`` has the number, or other class, that stands for each text."""

    field: Name
    map: dict[str, Class] | None = None


class Stage(_Strict):
    """A function that makes one kind of component, over which shards, from which earlier stages."""

    train: Function
    layout: Literal["joint", "isolated", "graph", "core"] = "joint"
    reads: list[StageName] = []


class Used(_Strict):
    """What shaped a component: the name is missing once no file names it any more."""

    of: Literal["shard", "artifact"]
    role: Name
    digest: Name | None = None
    name: Name | None = None


class Shaping(_Strict):
    """What shaped a component that was recorded, and the parameters of its recipe where a function makes it."""

    uses: list[Used]
    parameters: dict[str, Any] | None = None


class Settings(_Strict):
    """The keys of the file. ``stages`` always has at least one: ``train`` and ``layout`` are the stage ``model``.

    Those of a release of recorded components stand in no file: it has ``components``, ``stored`` code, and no stages.
    """

    train: Function | None = None
    layout: Literal["joint", "isolated", "graph"] = "joint"
    stages: dict[StageName, Stage] = {}
    predict: Function | None = None
    score: Function | None = None
    sample: Function | None = None
    measure: Function | None = None
    route: Function | None = None
    combine: Literal["mean", "vote", "weighted", "route", "none"] = "mean"
    weights: dict[Name, Annotated[float, Field(ge=0, allow_inf_nan=False)]] = {}
    task: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,49}$")] = "classify"
    classes: list[Class] | Literal["core", "all"] | None = None
    columns: dict[Name, Column] = {}
    neighbors: dict[Name, list[Name]] = {}
    ring: Annotated[int, Field(ge=0)] = 0
    select: list[Name] = []
    chosen_on: list[Name] = []
    code: list[Name] = []
    expose: list[Name] = []
    parameters: dict[str, Any] = {}
    components: dict[Name, Shaping] = {}
    stored: dict[str, str] = {}

    @property
    def is_staged(self) -> bool:
        """Whether the file has ``stages``."""
        return self.train is None

    @property
    def in_order(self) -> tuple[str, ...]:
        """The stages, each after those that it reads: their order in the file is lost where it is kept."""
        return tuple(
            TopologicalSorter({name: sorted(self.stages[name].reads) for name in sorted(self.stages)}).static_order()
        )

    @property
    def last(self) -> str:
        """The stage whose components answer: the one that no other reads."""
        return _unread(self)[0]

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        value = dict(value)
        if isinstance(value.get("columns"), dict):
            value["columns"] = {
                name: {"field": each} if isinstance(each, str) else each for name, each in value["columns"].items()
            }
        if "weights" in value and isinstance(value["weights"], dict):
            value["weights"] = {n: float(w) if type(w) is int else w for n, w in value["weights"].items()}
        if "task" not in value:
            value["task"] = "generate" if value.get("sample") else "classify"
        if value.get("train") is not None and not value.get("stages"):
            value["stages"] = {MODEL: {"train": value["train"], "layout": value.get("layout", "joint")}}
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> "Settings":
        if problem := next(_problems(self), ""):
            raise ValueError(problem)
        return self


def _unread(given: Settings) -> list[str]:
    read = {name for stage in given.stages.values() for name in stage.reads}
    return sorted(name for name in given.stages if name not in read)


def _problems(given: Settings) -> Iterator[str]:
    """Yield what does not fit together, in words."""
    if not given.stages and not given.components:
        yield "train: is missing; name the function that trains, as in reviews.fit:train, or write `stages`"
    if given.train is not None and list(given.stages) != [MODEL]:
        yield "stages: takes the place of train; leave one of them out"
    if given.predict is None and given.sample is None and not given.components:
        yield "predict: is missing; name the function that answers, as in reviews.fit:predict"
    if (given.task == "generate") != (given.sample is not None):
        yield "sample: belongs to `task: generate`; name both, or neither"
    for name, stage in given.stages.items():
        if unknown := [each for each in stage.reads if each not in given.stages]:
            yield f"stages.{name}.reads: {unknown[0]!r} is no stage"
            return
    try:
        ends = len(_unread(given)) if given.in_order else 1
    except CycleError:
        yield "stages: read one another in a circle"
        return
    if ends != 1:
        yield f"stages: {', '.join(_unread(given))} are read by none; one of them answers, so have it read the others"
    layouts = {stage.layout for stage in given.stages.values()}
    if (given.neighbors or given.ring) and "graph" not in layouts:
        yield "neighbors: belongs to `layout: graph`; take it out, or write that layout"
    if given.neighbors and given.ring:
        yield "ring: takes the place of neighbors; leave one of them out"
    if "graph" in layouts and not (given.neighbors or given.ring):
        yield "neighbors: is missing; `layout: graph` takes neighbors by name, or `ring: n`"
    if bool(given.weights) != (given.combine == "weighted"):
        yield "weights: belongs to `combine: weighted`; name both, or neither"
    if bool(given.route) != (given.combine == "route"):
        yield "route: belongs to `combine: route`; name both, or neither"
    if isinstance(given.classes, list) and len({*map(str, given.classes)}) != len(given.classes):
        yield "classes: names a class twice"


_WITHIN: dict[Any, type[_Strict]] = {"stages": Stage, "columns": Column, "components": Shaping}
"""What stands within keys that hold more than a value."""


def read_settings(parameters: Mapping[str, Json]) -> Settings:
    """Return the settings; :class:`~disgorge.errors.BadModel` says in one line which key is wrong, and how."""
    try:
        return Settings.model_validate(dict(parameters))
    except ValidationError as error:
        said = []
        for problem in error.errors(include_url=False, include_context=False):
            if problem["loc"][:2] == ("stages", MODEL) and "stages" not in parameters:
                continue  # which is said of train and layout already
            where = ".".join(str(part)[:80] for part in problem["loc"] if part not in ("str", "constrained-str"))
            words = problem["msg"].removeprefix("Value error, ")
            if problem["type"] == "extra_forbidden":
                known = _WITHIN.get(problem["loc"][0], Settings) if len(problem["loc"]) > 1 else Settings
                words = f"unknown; take it out or correct its name (known are {', '.join(known.model_fields)})"
            said.append(f"{where}: {words}" if where else words)
        raise BadModel("; ".join(said[:_SHOWN])) from None
