"""``disgorge init`` and ``disgorge trace``: make a workspace, and ask what learned from what."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from disgorge.cli import show
from disgorge.cli.failures import WrongUse
from disgorge.cli.show import AsJson

if TYPE_CHECKING:
    from lineage.trace import Trace


def init(
    folder: Annotated[
        Path, typer.Argument(help="The folder that becomes a workspace.", show_default="here", metavar="FOLDER")
    ] = Path(),
    as_json: AsJson = False,
) -> None:
    """Make a workspace: the ledger, and the keys that keep people's names out of it."""
    from lineage.ledger import Ledger

    ledger = Ledger.init(folder)
    if as_json:
        show.write_json({"workspace": str(ledger.workspace), "head": ledger.head()})
    else:
        show.line(f"workspace {ledger.workspace} is ready; record data with `disgorge shard add PATH --name NAME`")


def trace(
    start: Annotated[
        str,
        typer.Argument(
            help="An item (digest or key), shard, component or release; a person with --subject.", metavar="START"
        ),
    ],
    up: Annotated[bool, typer.Option("--up", help="Only what it learned from.")] = False,
    down: Annotated[bool, typer.Option("--down", help="Only what learned from it.")] = False,
    subject: Annotated[bool, typer.Option("--subject", help="START is the name of a person.")] = False,
    every: Annotated[bool, typer.Option("--all", help="List references of probes too; JSON always has them.")] = False,
    svg: Annotated[Path | None, typer.Option("--svg", help="Also draw it into this file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what learned from something, and what that learned from, with roles. Both ways unless one is chosen."""
    from disgorge.cli.lineage_views import apart, print_trace
    from lineage.catalog import Catalog
    from lineage.errors import UnknownRecord
    from lineage.ledger import Ledger

    ledger = Ledger.open()
    named = ledger.pseudonym(start) if subject else start
    both = up == down
    try:
        with Catalog.of(ledger) as catalog:
            found = catalog.trace(named, up=up or both, down=down or both)
    except UnknownRecord as unknown:
        raise WrongUse(_unknown(str(unknown), start, subject=subject)) from None
    seen, left_out = (found, 0) if every else apart(found)
    if svg is not None:
        _draw(seen, svg)
    if as_json:
        show.write_json(found.json())
        return
    print_trace(seen, left_out=left_out, empty=_nothing(up=up, down=down))


def _unknown(words: str, start: str, *, subject: bool) -> str:
    """Return what to say of a start that nobody recorded: a person by the name that was typed, never by a pseudonym."""
    if subject:
        return f"no item of a live shard is recorded as one of {start!r}; check the name as it stands in the data"
    lists = "" if "did you mean" in words else "`disgorge shard list` and `disgorge release list` show names, "
    return f"{words.removesuffix('?')}; {lists}--subject takes the name of a person"


def _nothing(*, up: bool, down: bool) -> str:
    if up == down:
        return "nothing live is recorded that learned from it, or that it learned from"
    return "it learned from nothing that is recorded" if up else "nothing recorded learned from it"


def _draw(trace: "Trace", file: Path) -> None:
    from lineage.drawing import draw

    file.write_text(draw(trace), encoding="utf-8")
