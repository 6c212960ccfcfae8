"""``disgorge init`` and ``disgorge trace``: make a workspace, and ask what learned from what."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from disgorge.cli import show
from disgorge.cli.show import AsJson

if TYPE_CHECKING:
    from lineage.trace import Trace


def init(
    folder: Annotated[Path, typer.Argument(help="The folder that becomes a workspace.", show_default="here")] = Path(),
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
        str, typer.Argument(help="An item (digest or key), shard, component or release; a person with --subject.")
    ],
    up: Annotated[bool, typer.Option("--up", help="Only what it learned from.")] = False,
    down: Annotated[bool, typer.Option("--down", help="Only what learned from it.")] = False,
    subject: Annotated[bool, typer.Option("--subject", help="START is the name of a person.")] = False,
    svg: Annotated[Path | None, typer.Option("--svg", help="Also draw it into this file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what learned from something, and what that learned from, with roles. Both ways unless one is chosen."""
    from lineage.catalog import Catalog
    from lineage.ledger import Ledger

    ledger = Ledger.open()
    named = ledger.pseudonym(start) if subject else start
    both = up == down
    with Catalog.of(ledger) as catalog:
        found = catalog.trace(named, up=up or both, down=down or both)
    if svg is not None:
        _draw(found, svg)
    if as_json:
        show.write_json(found.json())
        return
    show.table(("from", "is", "role", "to", "is", "state"), found.rows(), empty="nothing learned from it")
    if not found.edges:
        show.table(("name", "is", "state", "detail"), [(n.name, n.kind, n.state, n.detail) for n in found.nodes])


def _draw(trace: "Trace", file: Path) -> None:
    from lineage.drawing import draw

    file.write_text(draw(trace), encoding="utf-8")
