"""The Great Expectations suite that a shard must pass before it is recorded.

Every shard is held to the same floor: it has items, each with a digest, a key of its own within the shard, and
content that is there, not infinite and of one shape; a number may be NaN, which is a null to every expectation. A
caller adds what *this* data must be: ranges, sets of labels, or any expectation that Great Expectations knows. A
missing license is a warning, since it is for the audit to find.

The suite runs on a frame with one row per item: ``item_digest``, ``item_key``, ``item_license``; a field of one number
or text an item under its own name; whole files as ``f.bytes``, their size; any other field ``f`` as ``f.min``,
``f.max`` (NaN left out), ``f.mean`` (null where a number is NaN) and ``f.shape``.

Great Expectations reports usage by default: that is turned off before it is imported. An expectation that could not be
evaluated does not raise there, it comes back as failed with an exception inside, so every result is looked into.
"""

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lineage.activity import activity
from lineage.errors import BadInput, ExpectationsFailed, LineageError
from lineage.records import Json, plain
from lineage.shards.validation.rules import Rules
from lineage.storage.content import file_sizes

if TYPE_CHECKING:
    from lineage.formats.read import Intake

_SPOKEN = {"T": "text", "M": "a time"}
_SHOWN = 5
"""Failing items named in an error; the rest is a count, so that the line stays one line."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one expectation went. ``failing`` counts the items that broke it."""

    type: str
    column: str | None
    success: bool
    warning: bool
    failing: int = 0


@dataclass(frozen=True, slots=True)
class Validation:
    """That a shard passed: which expectations, under which rules, by which version. Names no item."""

    shard: str
    items: int
    library: str
    rules: Json
    outcomes: tuple[Outcome, ...]

    @property
    def warnings(self) -> tuple[str, ...]:
        """What does not hold and only warns."""
        return tuple(
            f"{outcome.failing} of {self.items} items have no license"
            if outcome.column == "item_license"
            else f"{outcome.type} ({outcome.column}) does not hold"
            for outcome in self.outcomes
            if outcome.warning and not outcome.success
        )


@activity("checking items with Great Expectations")
def validate(intake: "Intake", digests: tuple[str, ...], *, shard: str, rules: Rules | None = None) -> Validation:
    """Hold items to the suite and return what was checked.

    Raises ``ExpectationsFailed`` naming the failing items by key, ``BadInput`` for a rule that does not fit the fields,
    and ``LineageError`` if Great Expectations is not installed.
    """
    rules = rules or Rules()
    _check_rules(rules, intake)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of libraries' own deprecations, in code that is not ours
        gx = _library()
        frame = _frame(intake, digests)
        try:
            suite = gx.ExpectationSuite(name="shard", expectations=_suite(intake, rules))
        except Exception as problem:  # a caller's expectation: unknown type, or arguments its model refuses
            said = " ".join(str(problem).split()[:30]) or type(problem).__name__  # pydantic's reasons span lines
            raise BadInput(f"{intake.origin}: invalid rule ({said}); see Great Expectations' gallery") from problem
        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = {"globally": False}
        asset = context.data_sources.add_pandas("items").add_dataframe_asset("shard")
        batch = asset.add_batch_definition_whole_dataframe("whole").get_batch({"dataframe": frame})
        form = {"result_format": "COMPLETE", "unexpected_index_column_names": ["item_key"]}
        results = batch.validate(suite, result_format=form).results
    problems = [_problem(result, len(intake)) for result in results if not result.success and not _is_warning(result)]
    if problems:
        rest = f" (and {len(problems) - 1} more expectations)" if len(problems) > 1 else ""
        raise ExpectationsFailed(f"{intake.origin}: {problems[0]}{rest}; mend the items or change the rules")
    return Validation(
        shard=shard,
        items=len(intake),
        library=f"great_expectations {gx.__version__}",
        rules=plain(rules),
        outcomes=tuple(sorted(map(_outcome, results), key=lambda outcome: (outcome.type, outcome.column or ""))),
    )


def _library() -> Any:
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    try:
        import great_expectations

        return great_expectations
    except ImportError as problem:
        raise LineageError(
            "checking a shard needs Great Expectations; pip install 'disgorge[expectations]', or pass check=False "
            "(--no-check)"
        ) from problem


def _check_rules(rules: Rules, intake: "Intake") -> None:
    """Refuse a rule about a field that is not there or not of that kind: it would never be looked at."""
    taken = ["item_digest", "item_key", "item_license"]
    for name, array in intake.content.items():
        if clash := set(_columns(name, array)) & set(taken):
            raise BadInput(
                f"{intake.origin}: field '{name}' would be checked as '{min(clash)}', as another is; rename it"
            )
        taken += _columns(name, array)
    for name, rule in [
        *((name, "range") for name in rules.ranges),
        *((name, "set of values") for name in rules.values),
    ]:
        if name not in intake.content:
            raise BadInput(
                f"{intake.origin}: a {rule} is given for '{name}'; the fields are {', '.join(intake.content)}"
            )
        array = intake.content[name]
        if rule == "range" and array.dtype.kind in "TM":
            what = _SPOKEN[array.dtype.kind]
            raise BadInput(f"{intake.origin}: a range is given for '{name}', which is {what}; give it a set of values")
        if rule != "range" and (array.ndim > 1 or array.dtype.kind == "O"):
            raise BadInput(
                f"{intake.origin}: a set of values is given for '{name}', which is an array; give it a range"
            )


def _frame(intake: "Intake", digests: tuple[str, ...]) -> Any:
    import pandas as pd

    columns: dict[str, Any] = {
        "item_digest": list(digests),
        "item_key": list(intake.keys),
        "item_license": pd.Series(intake.licenses, dtype=object),
    }
    for name, array in intake.content.items():
        if array.dtype.kind == "T":
            columns[name] = array.tolist()
        elif array.dtype.kind == "O":
            columns[f"{name}.bytes"] = file_sizes(array)
        elif array.ndim == 1:
            columns[name] = (
                array.astype(np.float32) if array.dtype == np.float16 else array
            )  # pandas has no half floats
        else:
            flat = array.reshape(len(array), -1)  # (items, values)
            columns[f"{name}.min"] = np.fmin.reduce(flat, axis=1).astype(np.float64)
            columns[f"{name}.max"] = np.fmax.reduce(flat, axis=1).astype(np.float64)
            columns[f"{name}.mean"] = flat.mean(axis=1, dtype=np.float64)
            columns[f"{name}.shape"] = ["x".join(map(str, array.shape[1:]))] * len(array)
    return pd.DataFrame(columns)


def _columns(name: str, array: NDArray[Any]) -> tuple[str, ...]:
    """Return the columns of the frame that stand for a field."""
    if array.dtype.kind == "O":
        return (f"{name}.bytes",)
    return (name,) if array.ndim == 1 else tuple(f"{name}.{part}" for part in ("min", "max", "mean", "shape"))


def _suite(intake: "Intake", rules: Rules) -> list[Any]:
    gxe = _library().expectations
    suite = [
        gxe.ExpectTableRowCountToBeBetween(min_value=1),
        gxe.ExpectColumnValuesToNotBeNull(column="item_digest"),
        gxe.ExpectColumnValuesToMatchRegex(column="item_digest", regex="^[0-9a-f]{64}$"),
        gxe.ExpectColumnValuesToNotBeNull(column="item_key"),
        gxe.ExpectColumnValuesToBeUnique(column="item_key"),
        gxe.ExpectColumnValuesToNotBeNull(
            column="item_license", severity="critical" if rules.license_required else "warning"
        ),
    ]
    for name, array in intake.content.items():
        columns = [*_columns(name, array)][:2]
        if array.dtype.kind == "f":
            bound = float(np.finfo(np.float64).max)
            suite += [gxe.ExpectColumnValuesToBeBetween(column=c, min_value=-bound, max_value=bound) for c in columns]
        elif array.dtype.kind != "M":  # reading refuses a time that is none, unless it was to be kept
            suite += [gxe.ExpectColumnValuesToNotBeNull(column=column) for column in columns]
        if array.ndim > 1:
            shape = "x".join(map(str, array.shape[1:]))
            suite.append(gxe.ExpectColumnValuesToBeInSet(column=f"{name}.shape", value_set=[shape]))
        if name in rules.ranges:
            least, most = rules.ranges[name]
            suite += [gxe.ExpectColumnValuesToBeBetween(column=c, min_value=least, max_value=most) for c in columns]
        if name in rules.values:
            suite.append(gxe.ExpectColumnValuesToBeInSet(column=name, value_set=list(rules.values[name])))
    for more in rules.more:
        suite.append(_expectation(gxe, more))
    return suite


def _expectation(gxe: Any, told: Mapping[str, Json]) -> Any:
    kind = str(told.get("type", ""))
    known = getattr(gxe, "".join(part.capitalize() for part in kind.split("_")), None)
    if known is None or not kind.startswith("expect_") or set(told) - {"type", "kwargs", "severity"}:
        raise ValueError(f"{dict(told)!r} has no known type, or more than type, kwargs and severity")
    severity = {"severity": told["severity"]} if "severity" in told else {}
    return known(**told.get("kwargs", {}), **severity)


def _is_warning(result: Any) -> bool:
    """Tell whether a failed result only warns. One that could not be evaluated is never only a warning."""
    return str(getattr(result.expectation_config, "severity", "") or "").lower().endswith(
        ("warning", "info")
    ) and not _exceptions(result)


def _exceptions(result: Any) -> list[str]:
    """Return the exceptions inside a result: a dict of its own, or one for each metric."""
    info = result.exception_info or {}
    entries = [info] if "raised_exception" in info else [entry for entry in info.values() if isinstance(entry, dict)]
    return [str(entry.get("exception_message")) for entry in entries if entry.get("raised_exception")]


def _column(result: Any) -> str | None:
    column = result.expectation_config.kwargs.get("column")
    return None if column is None else str(column)


def _problem(result: Any, items: int) -> str:
    """Return in words why a result is a failure, with the keys of the first failing items."""
    named = result.expectation_config.type + (f" ({column})" if (column := _column(result)) else "")
    if raised := _exceptions(result):
        return f"{named} could not be evaluated: {raised[0].splitlines()[0]}"
    found = result.result or {}
    keys = [str(row.get("item_key")) for row in found.get("unexpected_index_list") or []]
    if not keys:
        return f"{named} failed, observed {found.get('observed_value')}"
    shown = ", ".join(f"'{key}'" for key in keys[:_SHOWN]) + (", ..." if len(keys) > _SHOWN else "")
    return f"{named} is broken by {len(keys)} of {items} items: key {shown}"


def _outcome(result: Any) -> Outcome:
    return Outcome(
        type=str(result.expectation_config.type),
        column=_column(result),
        success=bool(result.success),
        warning=not result.success,
        failing=int((result.result or {}).get("unexpected_count") or 0),
    )
