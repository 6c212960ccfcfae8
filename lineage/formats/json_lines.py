r"""Items from JSON Lines: an object a line, whose members are the item's fields.

Every line has the same members, of the same kind: numbers, text, true and false, or lists of these, which are read as
Parquet's are (:mod:`.arrow_columns`). null among numbers is NaN. Numbers are int64, or float64 where one of them has a
fraction. Objects within are refused, and so is a member that a line lacks, unless missing values are kept: then it is
null. Lines are read one by one, empty ones hold no item; the text is UTF-8, as JSON is.

>>> import tempfile
>>> file = Path(tempfile.mkdtemp()) / "a.jsonl"
>>> _ = file.write_text('{"key": "a", "x": [1, 2]}\n{"key": "b", "x": [3, 4]}\n')
>>> read_json_lines(file, Choice(), limit=10_000).content["x"].tolist()
[[1, 2], [3, 4]]
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from lineage.errors import BadInput
from lineage.formats.arrow_columns import ArrowColumns
from lineage.formats.columns import MOST_COLUMNS, Choice, Columns
from lineage.formats.decoding.compressed import opened
from lineage.storage.size_limits import check_items, too_large

_DEEPEST = 32
"""Lists in one another: numpy's arrays have at most 64 axes."""
_REFUSED = {
    "objects": "an object", "mixed": "values of several kinds in a list", "too deep": "lists too deep in one another",
}  # fmt: skip
"""What is said of a value whose kind ends so."""
_BYTES_OF_A_MARK = b"\xef\xbb\xbf"


def read_json_lines(
    path: Path, choice: Choice, *, limit: int, kinds: Mapping[str, str] | None = None, missing: bool = False
) -> Columns:
    """Return the items of a JSON Lines file; raises ``BadInput`` naming the line.

    ``kinds`` says what fields were when they were read before, ``missing`` keeps nulls where no number stands and takes
    a member that a line lacks for null.
    """
    origin, numbers = str(path), list[int]()
    members: dict[str, list[Any]] = {}
    for number, record in _records(path, limit):
        if numbers and not missing and (odd := record.keys() ^ members.keys()):
            name = min(odd)
            raise BadInput(
                f"{origin}: line {number}: field '{name}' {'is not there' if name in members else 'is new'}, unlike in "
                "the lines before; give all the same fields, or take what is not there as missing (--missing keep)"
            )
        for name in record.keys() - members.keys():
            members[name] = [None] * len(numbers)
        if len(members) > MOST_COLUMNS:
            choice.settle(list(members), origin)  # which refuses it, before every line's lack of each takes memory
        for name, values in members.items():
            values.append(record.get(name))
        numbers.append(number)
    check_items(origin, len(numbers), limit)
    if not numbers:
        raise BadInput(f"{origin}: is empty; every line is an object with the fields of an item")
    settled = choice.settle(list(members), origin)
    rows = tuple(f"line {number}" for number in numbers)
    read = ArrowColumns(origin, limit, where=rows.__getitem__, missing=missing)
    return Columns(
        origin=origin,
        content={
            name: read.content(_column(name, members[name], rows, origin), name, (kinds or {}).get(name))
            for name in settled.fields or ()
        },
        text={
            role: read.text(_column(name, members[name], rows, origin), role) for role, name in settled.roles().items()
        },
        rows=rows,
        roles=settled.roles(),
        notes=tuple(read.notes),
    )


def _records(path: Path, limit: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the number of each line that is not empty, and its object."""
    total, decode = 0, json.JSONDecoder(object_pairs_hook=_object).decode
    with opened(path) as stream:
        for number, line in enumerate(stream, 1):
            total += len(line)
            if total > limit:
                raise too_large(str(path), total, limit)
            line = line.removeprefix(_BYTES_OF_A_MARK) if number == 1 else line
            if not line.strip():
                continue
            try:
                record = decode(line.decode())
            except (ValueError, RecursionError) as problem:
                said = getattr(problem, "msg", None) or getattr(problem, "reason", None) or str(problem)
                raise BadInput(f"{path}: line {number}: not JSON ({said}); mend the line") from problem
            if not isinstance(record, dict):
                raise BadInput(f"{path}: line {number}: holds no object of fields; write {{...}} in every line")
            yield number, record


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        raise ValueError("a name stands in an object twice")
    return record


def _column(name: str, values: list[Any], rows: tuple[str, ...], origin: str) -> Any:
    """Return the values of a field as a column of Arrow; ``BadInput`` naming the line of the first that differs."""
    types, kind, first = {*map(type, values)} - {type(None)}, "", ""
    is_plain = types in ({str}, {bool}) or types <= {int, float}  # and then no line differs
    for row, value in enumerate(() if is_plain else values):
        here = _kind(value)
        if what := next((words for end, words in _REFUSED.items() if here.endswith(end)), None):
            raise BadInput(
                f"{origin}: {rows[row]}: field '{name}' holds {what}; write each part as a field of its own, or leave "
                "it out (--fields)"
            )
        if not (here.startswith(kind) or kind.startswith(here)):
            raise BadInput(
                f"{origin}: {rows[row]}: field '{name}' holds {here}, and {kind} in {first}; write all lines alike"
            )
        if len(here) > len(kind):
            kind, first = here, rows[row]
    try:
        return pa.chunked_array([pa.array(values)])
    except (pa.ArrowException, ValueError, OverflowError) as problem:
        said = str(problem).splitlines()[0]
        raise BadInput(
            f"{origin}: field '{name}' cannot be held exactly ({said}); write it as text, or leave it out (--fields)"
        ) from problem


def _kind(value: Any, depth: int = 0) -> str:
    """Return what kind of value it is, "" for null: one that a longer one begins with may stand beside it.

    >>> [_kind(value) for value in (None, 1.5, [[1], []], ["a", 1], {})]
    ['', 'numbers', 'lists of lists of numbers', 'lists of mixed', 'objects']
    """
    if value is None:
        return ""
    if isinstance(value, list):
        if depth == _DEEPEST:
            return "too deep"
        kinds = sorted({_kind(each, depth + 1) for each in value}, key=len)
        longest = kinds[-1] if kinds else ""
        return f"lists of {longest if all(longest.startswith(kind) for kind in kinds) else 'mixed'}"
    if isinstance(value, bool):
        return "true or false"
    return {int: "numbers", float: "numbers", str: "text", dict: "objects"}[type(value)]
