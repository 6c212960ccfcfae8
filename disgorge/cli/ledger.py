"""``disgorge ledger``: check the chain of facts, hand it out, make the catalog again."""

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from disgorge.cli.output import tables as show
from disgorge.cli.output.errors import Refused, WrongUse
from disgorge.cli.output.tables import AsJson
from lineage.plural import counted

if TYPE_CHECKING:
    from disgorge.request.history.lost_facts import Accepted
    from lineage.ledger.chain import Fact
    from lineage.workspace import Workspace

app = typer.Typer(help="The record of facts: verify | export | rebuild.", no_args_is_help=True)


@app.command()
def verify(
    repair_torn: Annotated[
        bool, typer.Option("--repair-torn", help="Set a torn last line aside, as a crash leaves it, then verify.")
    ] = False,
    accept_loss: Annotated[
        bool,
        typer.Option("--accept-loss", help="Go on though the last facts are gone and no copy has them; recorded."),
    ] = False,
    against: Annotated[
        Path | None, typer.Option("--against", help="A copy of the ledger: say up to where the two are the same.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check that no fact was edited, reordered or cut off. Exit 1 if one was."""
    from disgorge.request.history import lost_facts
    from lineage.records import plain
    from lineage.workspace import Workspace

    if repair_torn and accept_loss:
        raise WrongUse("--repair-torn is for a line nobody was told of, --accept-loss for facts that count; give one")
    workspace = Workspace.open()
    compared = _compared(workspace, against) if against is not None else None
    aside = workspace.ledger.set_aside_torn_line() if repair_torn else None
    accepted = lost_facts.accept_loss(workspace) if accept_loss else None
    facts, head = workspace.ledger.verify(), workspace.ledger.head()
    back = _went_back(workspace)
    if as_json:
        found = {"facts": facts, "head": head, "set_aside": str(aside) if aside else None, "clock_went_back": back}
        found |= {"loss": plain(accepted.loss), "open": accepted.open} if accepted else {}
        show.write_json(found | ({"against": compared} if compared else {}))
        return
    if aside is not None:
        show.line(f"a torn last line was moved to {aside}; nobody was told that it was recorded")
    if accepted is not None:
        _say_lost(accepted)
    show.line(f"the chain holds: {counted(facts, 'fact')}, head {head}")
    if back:
        show.line(
            f"the clock went back before line {', '.join(map(str, back[:5]))}{', ...' if back[5:] else ''}; facts "
            "are ordered by their place, which holds; set the machine's clock before deadlines are counted from it"
        )
    if compared:
        show.line(compared)


def _say_lost(accepted: "Accepted") -> None:
    """Print what is not known any more, and how to go on."""
    from disgorge.request.history.lost_facts import NOT_KNOWN

    show.line(accepted.loss.words)
    show.line(NOT_KNOWN)
    for request, state in accepted.open.items():
        show.line(f"open, as far as is known: {request}, {state}")
    if accepted.aside is not None:
        show.line(f"what is left of them was moved to {accepted.aside}")


def _compared(workspace: "Workspace", against: Path) -> str:
    """Return in words how a copy compares with the ledger; refuse, with both, where the ledger is not whole."""
    from lineage.errors import LedgerBroken
    from lineage.ledger.compare import compared, copy_of

    try:
        data = workspace.ledger.journal.file.read_bytes()
    except FileNotFoundError:
        data = b""
    found = compared(data, copy_of(against), where=str(against))
    try:
        workspace.ledger.verify()
    except LedgerBroken as broken:
        raise Refused(f"{broken}; compared with {against}: {found.words}") from None
    if not found.is_prefix:
        raise Refused(f"{against}: {found.words}; it is no copy of this ledger as it was, do not go back to it")
    return found.words


def _went_back(workspace: "Workspace") -> list[int]:
    """Return the places of facts that are dated before the fact they follow."""
    facts = list(workspace.ledger.facts())
    return [fact.seq for before, fact in pairwise(facts) if fact.at < before.at]


@app.command()
def export(
    request: Annotated[str | None, typer.Option("--request", help="Only the facts about this request.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print facts, one JSON object a line (with --json, one array). They hold no personal data."""
    import json

    from disgorge.request.case import case_of
    from lineage.records import plain
    from lineage.workspace import Workspace

    workspace = Workspace.open()
    facts: list[Fact] = list(workspace.ledger.facts()) if request is None else list(case_of(workspace, request).facts)
    if as_json:
        show.write_json(facts)
        return
    for fact in facts:
        typer.echo(json.dumps(plain(fact), sort_keys=True))


@app.command()
def rebuild(as_json: AsJson = False) -> None:
    """Delete the catalog and make it again from the facts. Nothing is lost: it is a projection."""
    from lineage.catalog.catalog import Catalog
    from lineage.workspace import Workspace

    workspace = Workspace.open()
    workspace.ledger.verify()
    deleted = 0
    for path in workspace.home.glob("catalog-*"):
        path.unlink(missing_ok=True)
        deleted += 1
    with Catalog.of(workspace) as catalog:
        shards, components, releases = len(catalog.shards()), len(catalog.components()), len(catalog.releases())
    if as_json:
        show.write_json({"deleted": deleted, "shards": shards, "components": components, "releases": releases})
        return
    show.line(
        f"the catalog is made again: {counted(shards, 'live shard')}, {counted(components, 'live component')}, "
        f"{counted(releases, 'live release')}"
    )
