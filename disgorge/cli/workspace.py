"""``disgorge init``, ``doctor``, ``train``, ``attest`` and ``trace``: a workspace, models and what they learned."""

from pathlib import Path
from typing import Annotated

import typer

from disgorge import api
from disgorge.cli.options import AsJson, References, Svg, Text, argument, option
from disgorge.cli.output import tables as show
from disgorge.cli.output.errors import going_on
from disgorge.cli.output.progress import shown


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
    show.result(api.doctor.doctor(api.doctor.workspace_here()), as_json)


def train(
    model: Annotated[Path, argument("MODEL", "MODEL.yaml: method, shards, release name, parameters.")],
    as_json: AsJson = False,
) -> None:
    """Train what is missing of a model, record what learned from what, and release it under its alias."""
    again = f"interrupted; components that were finished stand, go on with `disgorge train {model}`"
    workspace = api.workspace.open_workspace()
    with going_on(lambda: again), shown(quiet=as_json) as display:
        trained = api.releases.train(workspace, model, progress=display)
    show.result(trained, as_json)


def attest(
    release: Annotated[
        str | None, argument("RELEASE", "NAME or NAME@ALIAS; every live release by default.", show_default=False)
    ] = None,
    again: Annotated[bool, option("--again", "Also run a second time what no second run made again.")] = False,
    component: Annotated[Text, option("--component", "A component recorded from outside; goes with --recipe.")] = None,
    recipe: Annotated[
        Path | None, option("--recipe", "MODEL.yaml that lays that component out: its recipe, if its bytes come out.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run components that lack an attestation, confined, and record the runs, so that no removal has to.

    Exit 1 if a run made other bytes than are recorded, 4 if the environment here may be why.
    """
    words = "interrupted; runs that were finished are recorded, run the same command again to go on"
    workspace = api.workspace.open_workspace()
    with going_on(lambda: words), shown(quiet=as_json) as display:
        attested = api.releases.attest(
            workspace, release, again=again, component=component, recipe=recipe, progress=display
        )
    show.result(attested, as_json)
    raise typer.Exit(attested.exit_code)


def trace(
    start: Annotated[
        str, argument("START", "An item (digest or key), shard, component or release; a person with --subject.")
    ],
    up: Annotated[bool, option("--up", "Only what it learned from.")] = False,
    down: Annotated[bool, option("--down", "Only what learned from it.")] = False,
    subject: Annotated[bool, option("--subject", "START is the name of a person.")] = False,
    every: References = False,
    svg: Svg = None,
    as_json: AsJson = False,
) -> None:
    """Show what learned from something, and what that learned from, with roles. Both ways unless one is chosen."""
    workspace = api.workspace.open_workspace()
    traced = api.lineage.trace(workspace, start, up=up, down=down, subject=subject, references=every, svg=svg)
    show.result(traced, as_json)
