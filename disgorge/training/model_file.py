"""Reads MODEL.yaml: a model's description, by which method and from which shards it is trained.

::

    release: digits-classifier      # name in the registry
    method: tangent_composition
    core: [core]                    # shards that frozen parts are trained on
    shards: [alice, bob]            # removable shards
    evaluate: [held-out]            # shards that are only measured on
    alias: live                     # optional, as are the lines below
    seed: 0
    threads: 1
    device: cpu                     # or cuda
    deterministic: true             # with false any kernel goes, and equal bits are not promised
    artifacts: {encoder: minilm}    # names in the method's code, and the recorded artifacts they stand for
    parameters: {epochs: 20}        # the method's own

With ``method: function`` the keys that name the user's own code stand beside these, see docs/your-own-model.md. They
are kept as the method's parameters, and the method checks them too.

An unknown key is refused: its author believes that it sets something. What the
*method* makes of its parameters it checks itself, when it lays the model out.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from disgorge.errors import BadModel
from disgorge.method import ModelSpec
from disgorge.training.code.distributions import canonical_name
from lineage.records import Json, canonical
from policies.errors import PolicyError
from policies.packs.strict_yaml import read_yaml

MOST_THREADS = 256
"""More than any one machine this trains on has."""

_SHOWN, _LETTERS = 5, 80
"""Problems that an error names, and letters of each name in it."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_VERSION_LIKE = re.compile(r"v\d+|latest", re.IGNORECASE)


def is_name(text: str) -> bool:
    """Whether a release or an alias may be called so."""
    return _NAME.fullmatch(text) is not None


class _ModelFile(BaseModel):
    """The file's fields, as :class:`~disgorge.method.ModelSpec` has them."""

    model_config = ConfigDict(extra="forbid", strict=True)

    release: str
    method: str = Field(min_length=1)
    shards: list[Annotated[str, Field(min_length=1)]] = Field(min_length=1)
    core: list[Annotated[str, Field(min_length=1)]] = []
    evaluate: list[Annotated[str, Field(min_length=1)]] = []
    alias: str = "live"
    seed: int = Field(default=0, ge=0, lt=2**52)  # canonical JSON carries it exactly, and a reference's seed too
    threads: int = Field(default=1, ge=1, le=MOST_THREADS)
    device: Literal["cpu", "cuda"] = "cpu"
    deterministic: bool = True
    artifacts: dict[Annotated[str, Field(min_length=1)], Annotated[str, Field(min_length=1)]] = {}
    parameters: dict[str, Any] = {}

    @field_validator("release", "alias")
    @classmethod
    def _is_a_name(cls, value: str) -> str:
        if not is_name(value):
            raise ValueError(
                f"{value[:_LETTERS]!r} is an invalid name; use letters, digits, dots, hyphens and underscores"
            )
        return value

    @field_validator("alias")
    @classmethod
    def _is_no_version(cls, value: str) -> str:
        if _VERSION_LIKE.fullmatch(value):
            raise ValueError(f"{value!r} means a version to the registry; choose another alias, such as live")
        return value

    @field_validator("parameters")
    @classmethod
    def _is_json(cls, value: dict[str, Json]) -> dict[str, Json]:
        for name, inner in value.items():
            try:
                _require_json(inner)
                canonical(inner)
            except ValueError as problem:  # which rfc8785's errors are
                raise ValueError(
                    f"{_named(name)}: {problem}; write numbers, words, lists and mappings of them"
                ) from None
        return value

    @model_validator(mode="after")
    def _names_each_shard_once(self) -> "_ModelFile":
        seen: dict[str, str] = {}
        for field in ("core", "shards", "evaluate", "select"):
            for name in getattr(self, field, ()):
                if name in seen:
                    where = f"twice in {field}" if seen[name] == field else f"in {seen[name]} and in {field}"
                    raise ValueError(f"shard {name[:_LETTERS]!r} is named {where}; name it once")
                seen[name] = field
        return self


class _FunctionFile(_ModelFile):
    """A file with ``method: function``, which names the user's own code."""

    train: Any = None
    predict: Any = None
    score: Any = None
    sample: Any = None
    measure: Any = None
    route: Any = None
    columns: Any = None
    classes: Any = None
    task: Any = None
    layout: Any = None
    neighbors: Any = None
    ring: Any = None
    stages: Any = None
    combine: Any = None
    weights: Any = None
    code: list[Annotated[str, Field(min_length=1)]] = []
    expose: list[Annotated[str, Field(min_length=1)]] = []
    select: list[Annotated[str, Field(min_length=1)]] = []
    chosen_on: list[Annotated[str, Field(min_length=1)]] = []

    @model_validator(mode="after")
    def _has_json(self) -> "_FunctionFile":
        for name in _OF_FUNCTION:
            try:
                _require_json(value := _as_json(getattr(self, name)))
                canonical(value)
            except ValueError as problem:
                raise ValueError(f"{name}: {problem}; write numbers, words, lists and mappings of them") from None
        return self


FUNCTION = "function"
"""The method whose model file names the user's own functions."""
_OF_FUNCTION = tuple(name for name in _FunctionFile.model_fields if name not in _ModelFile.model_fields)
_CALLED = ("train", "predict", "score", "sample", "measure", "route")


def functions_of(spec: ModelSpec) -> tuple[str, ...]:
    """Return the functions of the user's (``module:function``) that a model calls, none for other methods."""
    return tuple(functions_by_key(spec).values())


def functions_by_key(spec: ModelSpec) -> dict[str, str]:
    """Return the functions of the user's that a model calls, by the key of the file that names each."""
    if spec.method != FUNCTION:
        return {}
    given = spec.parameters
    stages = given["stages"] if isinstance(given.get("stages"), dict) else {}
    named = {name: given.get(name) for name in _CALLED}
    named |= {f"stages.{name}.train": each.get("train") for name, each in stages.items() if isinstance(each, dict)}
    return {key: name for key, name in named.items() if isinstance(name, str)}


def exposed_to(method: str, parameters: Mapping[str, Json]) -> tuple[str, ...]:
    """Return the installed packages whose data files the user's functions may read, by name; none for other methods.

    >>> exposed_to("function", {"expose": ["Scikit_Learn"]}), exposed_to("mine", {"expose": 3})
    (('scikit-learn',), ())
    """
    named = parameters.get("expose") if method == FUNCTION else None
    return tuple(sorted({canonical_name(str(each)) for each in named})) if isinstance(named, list) else ()


def columns_seen(spec: ModelSpec, fields: Iterable[str]) -> tuple[str, ...]:
    """Return which fields of its items a model of the user's functions is shown when it answers about them.

    None of another method, which makes of them what it will, or of a generator, which is asked for samples.
    """
    if spec.method != FUNCTION or spec.parameters.get("sample"):
        return ()
    given = spec.parameters.get("columns", {})
    named = {name: each if isinstance(each, str) else each["field"] for name, each in given.items()}
    label, others = named.pop("label", "label"), not given or named.pop("*", None) is not None
    return tuple(name for name in fields if name in named.values() or (others and name != label))


def read_model_file(path: Path | str) -> ModelSpec:
    """Return the model that a YAML file describes.

    Raises :class:`~disgorge.errors.BadModel` in one line: the file, the field, and what is the matter with it.
    """
    path = Path(path)
    try:
        value = read_yaml(path, PolicyError)
    except PolicyError as problem:
        raise BadModel(str(problem)) from None
    return model_spec(value, name=str(path))


def model_spec(value: Json, *, name: str) -> ModelSpec:
    """Return the model that plain data describes; ``name`` says in errors where it came from."""
    if not isinstance(value, dict):
        raise BadModel(f"{name}: a model is a mapping with the keys {', '.join(_ModelFile.model_fields)}")
    kind = _FunctionFile if value.get("method") == FUNCTION else _ModelFile
    try:
        read = kind.model_validate(value)
    except ValidationError as error:
        raise BadModel(f"{name}: {_problems(error, kind)}") from None
    parameters, select = read.parameters, getattr(read, "select", [])
    if kind is _FunctionFile:
        given = {key: _as_json(getattr(read, key)) for key in _OF_FUNCTION if getattr(read, key) not in (None, [])}
        parameters = given | ({"parameters": read.parameters} if read.parameters else {})
    return ModelSpec(
        release=read.release,
        method=read.method,
        core=tuple(read.core),
        shards=(*read.shards, *select),
        evaluate=tuple(read.evaluate),
        alias=read.alias,
        seed=read.seed,
        threads=read.threads,
        parameters=parameters,
        device=read.device,
        deterministic=read.deterministic,
        artifacts=dict(sorted(read.artifacts.items())),
    )


def _as_json(value: Any) -> Json:
    """Return a value with the keys of its mappings as text: YAML reads a label 0 as a number."""
    if isinstance(value, dict):
        return {key if isinstance(key, str) else str(key): _as_json(inner) for key, inner in value.items()}
    return [_as_json(inner) for inner in value] if isinstance(value, list) else value


def _require_json(value: Any) -> None:
    """Raise ValueError for a value that YAML knows and JSON does not, such as a date."""
    if isinstance(value, dict):
        for inner in value.values():
            _require_json(inner)
    elif isinstance(value, list):
        for inner in value:
            _require_json(inner)
    elif not (value is None or isinstance(value, bool | int | float | str)):
        raise ValueError(f"{str(value)[:_LETTERS]} is a {type(value).__name__}, which JSON has not")


def _problems(error: ValidationError, kind: type[_ModelFile]) -> str:
    """Return validation errors on one line: each field and what is wrong with it."""
    said = []
    for problem in error.errors(include_url=False, include_context=False):
        where = ".".join(_named(str(part)) for part in problem["loc"])
        words = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden" and where in _OF_FUNCTION:
            words = f"unknown; it belongs to `method: {FUNCTION}`: write that method, or take it out"
        elif problem["type"] == "extra_forbidden":
            words = f"unknown; take it out or correct its name (known are {', '.join(kind.model_fields)})"
        elif problem["type"] == "missing":
            words = "is missing"
        said.append(f"{where}: {words}" if where else words)
    more = [f"and {len(said) - _SHOWN:,} more"] if len(said) > _SHOWN else []
    return "; ".join([*said[:_SHOWN], *more])


def _named(part: str) -> str:
    return part[:_LETTERS] if part.isprintable() else repr(part[:_LETTERS])
