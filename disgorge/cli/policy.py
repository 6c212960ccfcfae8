"""``disgorge policy``: list rules, explain decisions, begin a pack, and run cases against packs."""

from pathlib import Path
from typing import Annotated

import typer

from disgorge import api
from disgorge.cli.options import AsJson, Id, Packs, option
from disgorge.cli.output import tables as show

app = typer.Typer(help="Rules, as data: list | facts | new | explain | test.", no_args_is_help=True)


@app.command("list")
def list_(packs: Packs = None, as_json: AsJson = False) -> None:
    """List the policy packs and their rules, each with its source."""
    show.result(api.policies.list_packs(packs), as_json)


@app.command()
def facts(packs: Packs = None, as_json: AsJson = False) -> None:
    """List the facts that rules may ask for: the name, the type, what it means, and the packs that ask."""
    show.result(api.policies.list_facts(packs), as_json)


@app.command()
def explain(
    request: Id,
    history: Annotated[bool, option("--history", "Every decision there was, oldest first.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say in words what holds about a request and how it was decided: which rules fired, and what overrode what."""
    show.result(api.requests.explain_request(api.workspace.open_workspace(), request, history=history), as_json)


@app.command()
def new(
    pack: Annotated[str, typer.Argument(help="Its name, also that of its regime: lower case and hyphens.")],
    into: Annotated[Path, option("--into", "Folder to write PACK.yaml into.")] = Path(),
    as_json: AsJson = False,
) -> None:
    """Begin a pack: one commented file, PACK.yaml, with a right, a table of exceptions, a period and its own cases."""
    show.result(api.policies.new_pack(pack, into=into), as_json)


@app.command("test")
def run(
    folder: Annotated[
        Path | None,
        typer.Argument(
            help="Folder, or file, of cases in YAML. By default those that the packs carry, and tests/policies/cases "
            "where it is.",
            metavar="[CASES]",
            show_default=False,
        ),
    ] = None,
    packs: Packs = None,
    as_json: AsJson = False,
) -> None:
    """Run cases kept as data against the packs. Exit 1 if one comes out otherwise.

    With --packs, the cases that those packs carry; other folders of cases only where they carry none.
    """
    results = api.policies.run_cases(folder, packs=packs)
    show.result(results, as_json)
    if results.failed:
        raise typer.Exit(1)
