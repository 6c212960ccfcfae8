"""Prints results: as JSON, or as tables and lines for people.

Names come from other people's files, so all text that reaches a terminal goes through
:func:`~lineage.printable.printable` first: no name moves a cursor, colors a line or looks like markup.
"""

import json
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

import typer

from disgorge.result import Result
from lineage.printable import printable
from lineage.shown import Attention, Table

_COLORS = {"error": "red", "warning": "yellow"}
"""Cells that are drawn in a color."""


def result(value: Result, as_json: bool) -> None:
    """Print what a verb returned: as JSON, or what a person is shown. What asks for attention is always said."""
    told(value.shown, quiet=as_json)
    if as_json:
        write_json(value.plain())


def told(shown: Iterable[str | Table], *, quiet: bool = False) -> None:
    """Print lines and tables; ``quiet`` leaves out all but what asks for attention."""
    for each in shown:
        if isinstance(each, Attention):
            warn(each)
        elif quiet:
            continue
        elif isinstance(each, Table):
            table(each) if each.columns else pairs(each.rows)
        else:
            paragraph(each)


def write_json(value: Any, *, indent: int | None = 2) -> None:
    """Print plain values as JSON with sorted keys."""
    typer.echo(json.dumps(value, indent=indent, sort_keys=True, ensure_ascii=True))


def line(text: str) -> None:
    """Print one line for people."""
    typer.echo(clean(text))


def warn(text: str) -> None:
    """Print a warning, on the stream of errors so that output stays what was asked for."""
    typer.echo(f"warning: {clean(text)}", err=True)


def clean(value: Any) -> str:
    """Return a value as text on one line that a terminal can be given."""
    return printable(_text(value))


def pairs(rows: Iterable[Sequence[Any]]) -> None:
    """Print names and values, one a line, values aligned; values that are None or empty are left out."""
    filled = [(name, value) for name, value in rows if value not in (None, "", (), [])]
    width = max((len(name) for name, _ in filled), default=0)
    for name, value in filled:
        typer.echo(f"{name:<{width}}  {clean(value)}")


def paragraph(text: str) -> None:
    """Print a line; on a terminal it is broken between words, its later lines indented, but for a command to copy."""
    start, words = text[: len(text) - len(text.lstrip(" "))], clean(text)
    if not sys.stdout.isatty() or words.startswith("next: "):
        typer.echo(start + words)
        return
    width, later = max(shutil.get_terminal_size().columns, 40), f"{start}  "
    lines = textwrap.wrap(
        words, width, initial_indent=start, subsequent_indent=later, break_long_words=False, break_on_hyphens=False
    )
    typer.echo("\n".join(lines))


def table(given: Table) -> None:
    """Print a table: drawn by rich on a terminal, aligned plain text elsewhere."""
    cells = [[clean(cell) for cell in row] for row in given.rows]
    if not cells:
        line(f"{given.title}: {given.empty}" if given.title else given.empty)
    elif sys.stdout.isatty():
        _drawn(given.columns, cells, given.title)
    else:
        _aligned(given.columns, cells, given.title)


def _aligned(columns: Sequence[str], cells: Sequence[Sequence[str]], title: str) -> None:
    if title:
        line(title)
    rows = [list(columns), *cells]
    widths = [max(len(row[at]) for row in rows) for at in range(len(columns))]
    for row in rows:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _drawn(columns: Sequence[str], cells: Sequence[Sequence[str]], title: str) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(title=title or None, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for column in columns:
        drawn.add_column(column, overflow="fold")  # a name that is cut short names nothing
    for row in cells:
        drawn.add_row(*(Text(cell, style=_COLORS.get(cell, "")) for cell in row))
    Console().print(drawn)


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(_text(inner) for inner in value)
    return str(value)
