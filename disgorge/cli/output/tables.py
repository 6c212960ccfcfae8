"""How results look: JSON, or tables and lines for people.

Names come from other people's files, so whatever reaches a terminal goes through
:func:`~lineage.printable.printable` first: no name moves a cursor, colors a line or looks like markup.
"""

import json
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import typer

from lineage.plural import counted
from lineage.printable import printable

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
"""The option every verb but the demo has."""

SHORT = 12
"""How many characters of a digest a table shows; every command takes as few."""


def write_json(value: Any) -> None:
    """Print a value, records included, as JSON with sorted keys."""
    from lineage.records import plain

    typer.echo(json.dumps(plain(value), indent=2, sort_keys=True, ensure_ascii=True))


def line(text: str) -> None:
    """Print one line for people."""
    typer.echo(clean(text))


def warn(text: str) -> None:
    """Print a warning, on the stream of errors so that output stays what was asked for."""
    typer.echo(f"warning: {clean(text)}", err=True)


def clean(value: Any) -> str:
    """Return a value as text on one line that a terminal can be given."""
    return printable(_text(value))


def short(digest: str | None) -> str:
    """Return the beginning of a digest, or a dash."""
    return digest[:SHORT] if digest else "-"


def seconds(value: float) -> str:
    """Return a time in words.

    >>> seconds(0.04), seconds(12.34), seconds(75)
    ('0.0 s', '12.3 s', '1 min 15 s')
    """
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s"


def whole_seconds(value: float) -> str:
    """Return a time in words, to the second.

    >>> whole_seconds(0.4), whole_seconds(12.34), whole_seconds(75)
    ('0 s', '12 s', '1 min 15 s')
    """
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def cost(value: Any) -> str:
    """Return a :class:`~lineage.records.Cost` in words."""
    return f"{counted(value.steps, 'step')}, {seconds(value.seconds)}"


def utility(measures: Iterable[Any]) -> None:
    """Print each release's measure to speak of, before and after, one a line."""
    from disgorge.evidence.utility import change_words

    for measure in measures:
        line(f"utility of {measure.release}: {change_words(measure)}")


def pairs(rows: Iterable[tuple[str, Any]]) -> None:
    """Print names and values, one a line, values aligned; values that are None or empty are left out."""
    kept = [(name, value) for name, value in rows if value not in (None, "", (), [])]
    width = max((len(name) for name, _ in kept), default=0)
    for name, value in kept:
        line_with_indent(f"{name:<{width}}  ", clean(value))


def paragraph(text: str, *, indent: int = 0) -> None:
    """Print text for reading. On a terminal it is broken between words, its later lines indented by ``indent``."""
    start, words = text[: len(text) - len(text.lstrip(" "))], clean(text)
    if sys.stdout.isatty():
        lines = textwrap.wrap(
            words,
            width=max(shutil.get_terminal_size().columns, 40),
            initial_indent=start,
            subsequent_indent=start + " " * indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
        typer.echo("\n".join(lines))
    else:
        line_with_indent(start, words)


def line_with_indent(start: str, text: str) -> None:
    """Print a line that keeps the spaces of its start."""
    typer.echo(f"{start}{text}")


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str = "", empty: str = "none") -> None:
    """Print a table: drawn by rich on a terminal, aligned plain text elsewhere; ``empty`` says that there is no row."""
    cells = [[clean(cell) for cell in row] for row in rows]
    if not cells:
        line(f"{title}: {empty}" if title else empty)
    elif sys.stdout.isatty():
        _drawn(columns, cells, title)
    else:
        _aligned(columns, cells, title)


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
        drawn.add_row(*(Text(cell) for cell in row))
    Console().print(drawn)


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(_text(inner) for inner in value)
    return str(value)
