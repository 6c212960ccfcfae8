"""Tables in packs: a rule is written once for laws that differ by state, with a row for each law.

A rule with ``each: states`` stands for one rule per row of the table of that name. ``{days}`` in any of its texts and
values is what the row says under ``days``, ``{row}`` is the row's own name, and the id of each rule is that of the
written one with the row's name in lower case (``answer-va``)::

    tables:
      states:
        VA: {days: 45, law: Va. Code 59.1-577, since: 2023-01-01, read: true}
        TX: {days: 45, law: Tex. Bus. & Com. Code 541.052, since: 2024-07-01, read: false}
    rules:
      - id: answer
        each: states
        when: request.facts.us_state == "{row}"
        words: Answer within {days} days.
        citation: "{law}"
        dated: "{since}"
        read: "{read}"
        then: {deadline: {days: "{days}"}}

A text that is one ``{column}`` and nothing else becomes the row's value as it is: a number, a date, true or false, a
list. A column that a row lacks, one that no rule uses and a table that no rule names are errors: what is written and
not applied would look applied. A rule that only some rows have gets a table of its own.

>>> written = {"tables": {"t": {"VA": {"days": 45}}}, "rules": [{"id": "a", "each": "t", "words": "{row}: {days}"}]}
>>> expanded(written, name="mine.yaml")["rules"]
[{'id': 'a-va', 'words': 'VA: 45'}]
"""

import datetime as dt
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from policies.errors import BadPack
from policies.vocabulary.nearest import or_nearest

MOST_RULES = 2000
"""Rules of one pack, those of tables counted by row: more were not written by a person."""
ROW = "row"
"""The column that every table has: the name of the row."""

_PLACE = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_COLUMN = re.compile(r"[a-z][a-z0-9_]*")
_ROW_NAME = re.compile(r"[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*")


@dataclass(slots=True)
class _Table:
    """A table while its rules are made, with the columns they used so far."""

    name: str
    rows: Mapping[str, Mapping[str, Any]]
    used: set[str]


def expanded(pack: Mapping[str, Any], *, name: str) -> dict[str, Any]:
    """Return a written pack with a rule for every row in place of those with ``each``.

    Raises :class:`BadPack` that names the file, the rule, the row and the column.
    """
    tables = _tables(pack, name)
    rest = {key: value for key, value in pack.items() if key != "tables"}
    if not isinstance(pack.get("rules"), list):
        return rest  # the reader of packs says what rules are
    rules = [*islice(_rules(pack["rules"], tables, name), MOST_RULES + 1)]
    if len(rules) > MOST_RULES:
        raise BadPack(f"{name}: more than {MOST_RULES} rules, those of tables counted by row; split the pack")
    for table in tables.values():
        _require_used(table, name)
    return {**rest, "rules": rules}


def _require_used(table: _Table, name: str) -> None:
    """Raise :class:`BadPack` for a table, or a column of one of its rows, that no rule uses."""
    if not table.used:
        raise BadPack(f"{name}: table {table.name}: no rule uses it; write `each: {table.name}` in one, or take it out")
    for row, columns in table.rows.items():
        if unused := sorted(set(columns) - table.used):
            raise BadPack(
                f"{name}: table {table.name}: row {row}: no rule uses the column {', '.join(unused)}"
                f"{or_nearest(unused[0], table.used)}; write {{{unused[0]}}} where it belongs, or take it out"
            )


def _tables(pack: Mapping[str, Any], name: str) -> dict[str, _Table]:
    """Return the tables of a written pack, checked."""
    written = pack.get("tables", {})
    if not isinstance(written, Mapping):
        raise BadPack(f"{name}: tables: a mapping of a table's name to its rows")
    for table, rows in written.items():
        where = f"{name}: table {table}"
        if not isinstance(rows, Mapping) or not rows:
            raise BadPack(f"{where}: a table is a mapping of each row's name to its columns, with at least one row")
        for row, columns in rows.items():
            if not _ROW_NAME.fullmatch(row):
                raise BadPack(f"{where}: row {row!r}: use letters, digits and hyphens, for a rule's id ends with it")
            if not isinstance(columns, Mapping):
                raise BadPack(f"{where}: row {row}: a row is a mapping of columns to values, such as {{days: 45}}")
            bad = sorted(column for column in columns if not _COLUMN.fullmatch(column) or column == ROW)
            if bad:
                raise BadPack(
                    f"{where}: row {row}: invalid column name {bad[0]!r}: use lower case, digits and underscores, "
                    f"not `{ROW}`, which is the row's own name"
                )
    return {table: _Table(table, rows, set()) for table, rows in written.items()}


def _rules(rules: list[Any], tables: Mapping[str, _Table], name: str) -> Iterator[Any]:
    """Yield every rule, those of tables once a row."""
    for number, rule in enumerate(rules, start=1):
        if isinstance(rule, Mapping) and "each" in rule:
            yield from _of_rows(rule, tables, f"{name}: rule {rule.get('id', f'number {number}')}")
        else:
            yield rule


def _of_rows(rule: Mapping[str, Any], tables: Mapping[str, _Table], where: str) -> Iterator[Any]:
    table = tables.get(rule["each"]) if isinstance(rule["each"], str) else None
    if table is None:
        raise BadPack(f"{where}: each: unknown table {rule['each']!r}{or_nearest(str(rule['each']), tables)}")
    written = {key: value for key, value in rule.items() if key != "each"}
    for row, columns in table.rows.items():
        cells = _Cells({**columns, ROW: row}, table, f"{where}: row {row} of the table {table.name}")
        filled = {key: cells.filled(value) for key, value in written.items()}
        if isinstance(filled.get("id"), str):
            filled["id"] = f"{filled['id']}-{row.lower()}"
        yield filled


@dataclass(frozen=True, slots=True)
class _Cells:
    """One row, put into the places of a rule."""

    values: Mapping[str, Any]
    table: _Table
    where: str

    def filled(self, value: Any) -> Any:
        """Return a value of the written rule with the row's values in the places of its columns."""
        if isinstance(value, Mapping):
            return {key: self.filled(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.filled(inner) for inner in value]
        if not isinstance(value, str):
            return value
        if whole := _PLACE.fullmatch(value):
            return self._cell(whole[1])
        return _PLACE.sub(lambda found: self._text(found[1]), value)

    def _cell(self, column: str) -> Any:
        if column not in self.values:
            raise BadPack(
                f"{self.where} has no column {column}{or_nearest(column, self.values)}; it has "
                f"{', '.join(sorted(self.values))}"
            )
        self.table.used.add(column)
        return self.values[column]

    def _text(self, column: str) -> str:
        cell = self._cell(column)
        if isinstance(cell, bool) or not isinstance(cell, str | int | float | dt.date):
            raise BadPack(f"{self.where}: column {column} is {cell!r}, which cannot be in a text; use it as a value")
        return str(cell)
