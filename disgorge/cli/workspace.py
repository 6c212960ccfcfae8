"""``disgorge init``, ``doctor``, ``trace`` and ``demo``: a workspace, and what learned from what in it."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from disgorge import api
from disgorge.cli.options import AsJson, References, Svg, argument, option
from disgorge.cli.output import tables as show
from disgorge.errors import WrongUse


def init(
    folder: Annotated[
        Path, typer.Argument(help="The folder that becomes a workspace.", show_default="here", metavar="FOLDER")
    ] = Path(),
    as_json: AsJson = False,
) -> None:
    """Make a workspace: the ledger, the keys that keep people's names out of it, and what git is to ignore."""
    show.result(api.workspace.init(folder), as_json)


def doctor(as_json: AsJson = False) -> None:
    """Say what this machine has and lacks for confined training: level, why, and how to raise it. Changes nothing."""
    show.result(api.workspace.doctor(api.workspace.workspace_here()), as_json)


def trace(
    start: Annotated[
        str, argument("START", "An item (digest or key), shard, component or release; a person with --subject.")
    ],
    up: Annotated[bool, option("--up", "Only what it learned from.")] = False,
    down: Annotated[bool, option("--down", "Only what learned from it.")] = False,
    subject: Annotated[bool, option("--subject", "START is the name or id of a person.")] = False,
    every: References = False,
    svg: Svg = None,
    as_json: AsJson = False,
) -> None:
    """Show what learned from something, and what that learned from, with roles. Both ways unless one is chosen."""
    workspace = api.workspace.open_workspace()
    traced = api.lineage.trace(workspace, start, up=up, down=down, subject=subject, references=every, svg=svg)
    show.result(traced, as_json)


def demo(
    folder: Annotated[
        str, argument("FOLDER", "The workspace to make; one of the demo's own is made anew.")
    ] = "demo-workspace",
) -> None:
    """Make a workspace of real digits and take three removal requests all the way; run it in the repository."""
    sys.path.insert(0, os.getcwd())
    try:
        from examples.digits.demo import main
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] != "examples":
            raise
        raise WrongUse("the demo's data and story come with the repository; run `disgorge demo` in a clone") from None
    raise typer.Exit(main(folder))
