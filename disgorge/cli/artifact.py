"""``disgorge artifact``: record what is frozen and came from elsewhere, list it, look at it."""

from pathlib import Path
from typing import Annotated

import typer

from disgorge import api
from disgorge.cli.options import AsJson, References, argument, option
from disgorge.cli.output import tables as show

app = typer.Typer(help="Pre-trained weights and other frozen inputs: add | list | show.", no_args_is_help=True)


@app.command()
def add(
    name: Annotated[str, argument("NAME", "What the artifact is called from now on.")],
    path: Annotated[Path, argument("PATH", "A file or folder; links are refused.")],
    source: Annotated[str, option("--source", "Where it is from.")],
    license: Annotated[str, option("--license", "Under which license; SPDX has the names.")],
    basis: Annotated[str, option("--basis", "On which legal basis: licensed, owned, public domain, ...")],
    in_place: Annotated[bool, option("--in-place", "Store nothing: its files stay there, and are checked.")] = False,
    as_json: AsJson = False,
) -> None:
    """Record a file or folder of pre-trained weights, a tokenizer or a configuration, frozen as it is."""
    workspace = api.workspace.open_workspace()
    show.result(
        api.artifacts.add(workspace, name, path, source=source, license=license, basis=basis, in_place=in_place),
        as_json,
    )


@app.command("list")
def list_(every: Annotated[bool, option("--all", "Withdrawn ones too.")] = False, as_json: AsJson = False) -> None:
    """List the artifacts there are."""
    show.result(api.artifacts.list_artifacts(api.workspace.open_workspace(), withdrawn=every), as_json)


@app.command("show")
def show_(
    name: Annotated[str, argument("ARTIFACT", "Name or digest of an artifact.")],
    every: References = False,
    as_json: AsJson = False,
) -> None:
    """Show one artifact: what it is, whether its files are as recorded, what was built on it, and its history."""
    show.result(api.artifacts.show_artifact(api.workspace.open_workspace(), name, references=every), as_json)
