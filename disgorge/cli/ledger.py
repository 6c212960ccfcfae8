"""``disgorge ledger``: verify and export the chain of facts."""

from pathlib import Path
from typing import Annotated

import typer

from disgorge import api
from disgorge.cli.options import AsJson, Text, option
from disgorge.cli.output import tables as show

app = typer.Typer(help="The record of facts: verify | export.", no_args_is_help=True)


@app.command()
def verify(
    repair_torn: Annotated[
        bool, option("--repair-torn", "Set a torn last line aside, as a crash leaves it, then verify.")
    ] = False,
    accept_loss: Annotated[
        bool, option("--accept-loss", "Go on though the last facts are gone and no copy has them; recorded.")
    ] = False,
    against: Annotated[
        Path | None, option("--against", "A copy of the ledger: say up to where the two are the same.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check that no fact was edited, reordered or cut off. Exit 1 if one was."""
    verified = api.workspace.verify_ledger(
        api.workspace.open_workspace(), repair_torn=repair_torn, accept_loss=accept_loss, against=against
    )
    show.result(verified, as_json)


@app.command()
def export(
    request: Annotated[Text, option("--request", "Only the facts about this request.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print facts, one JSON object a line (with --json, one array). They hold no personal data."""
    facts = api.workspace.export_facts(api.workspace.open_workspace(), request=request)
    if as_json:
        return show.result(facts, as_json)
    for fact in facts.plain():
        show.write_json(fact, indent=None)
