"""``disgorge release``: compose, list and show releases, record where they are served, and ask them."""

from pathlib import Path
from typing import Annotated

import typer

from disgorge import api
from disgorge.cli.options import AsJson, By, Many, Text, argument, option
from disgorge.cli.output import tables as show

app = typer.Typer(
    help="Models that are served: compose | list | show | predict | sample | serve-at | serve-again.",
    no_args_is_help=True,
)

Named = Annotated[str, argument("RELEASE", "NAME or NAME@ALIAS; the alias is live by default.")]


@app.command("list")
def list_(every: Annotated[bool, option("--all", "Withdrawn ones too.")] = False, as_json: AsJson = False) -> None:
    """List the releases there are, and which must not be served."""
    show.result(api.releases.list_releases(api.workspace.open_workspace(), withdrawn=every), as_json)


@app.command("show")
def show_(release: Named, as_json: AsJson = False) -> None:
    """Show one release: method, components, the data they learned from, and where else it is served."""
    show.result(api.releases.show_release(api.workspace.open_workspace(), release), as_json)


@app.command()
def compose(
    name: Annotated[str, argument("NAME", "What the release is to be called.")],
    components: Annotated[list[str], argument("COMPONENT...", "Names or digests of recorded components.")],
    predict: Annotated[
        Text, option("--predict", "Function that answers, module:function; without, the release answers nothing.")
    ] = None,
    combine: Annotated[
        str, option("--combine", "What makes one answer of several: mean, vote, or none, which is given all.")
    ] = "mean",
    task: Annotated[Text, option("--task", "What it is for: classify (the default), regress, or another word.")] = None,
    evaluate: Annotated[Many, option("--evaluate", "A shard that it is measured on; repeat it for several.")] = None,
    alias: Annotated[str, option("--alias", "Under which alias it is released.")] = "live",
    as_json: AsJson = False,
) -> None:
    """Make a release of components that were recorded by hand, so that requests reach it."""
    composed = api.releases.compose(
        api.workspace.open_workspace(), name, components, predict=predict, combine=combine, task=task,
        evaluate=evaluate or (), alias=alias,
    )  # fmt: skip
    show.result(composed, as_json)


@app.command("serve-at")
def serve_at(
    release: Named,
    place: Annotated[
        str, argument("URL|PATH", "Where else it is served; kept in the ledger for good, so name no person in it.")
    ],
    by: By,
    stopped: Annotated[bool, option("--stopped", "It is served there no more.")] = False,
    as_json: AsJson = False,
) -> None:
    """Record what else serves a release: a removal cannot stop it, and says so."""
    workspace = api.workspace.open_workspace()
    show.result(api.releases.serve_at(workspace, release, place, by=by, stopped=stopped), as_json)


@app.command("serve-again")
def serve_again(as_json: AsJson = False) -> None:
    """Serve again what only holds that are over kept out of service, and stop what open holds want out of it."""
    show.result(api.releases.serve_again(api.workspace.open_workspace()), as_json)


@app.command()
def predict(
    release: Named,
    data: Annotated[str, argument("DATA", "Name or digest of a shard, or a file that a shard is made of.")],
    as_json: AsJson = False,
) -> None:
    """Let a classifier answer, and say how right it is where the items have labels. Refused if it is contained."""
    show.result(api.releases.predict(api.workspace.open_workspace(), release, data), as_json)


@app.command()
def sample(
    release: Named,
    out: Annotated[Path, option("--out", "PNG file to write.")],
    count: Annotated[int, typer.Option("--count", min=1, max=4096, help="How many.")] = 16,
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**31 - 1, help="Same seed, same samples.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Let a generator draw, into one picture. Refused if the release is contained."""
    workspace = api.workspace.open_workspace()
    show.result(api.releases.sample(workspace, release, out=out, count=count, seed=seed), as_json)
