"""``disgorge request execute``, ``resume``, ``report`` and ``disgorge purge``: a plan carried out, and its proof."""

from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from disgorge import api
from disgorge.cli.options import AsJson, Because, By, Id, Text, option, parse_date
from disgorge.cli.output import tables as show
from disgorge.cli.output.errors import going_on
from disgorge.cli.output.progress import shown
from disgorge.cli.request import app
from disgorge.errors import Refused, WrongUse

if TYPE_CHECKING:
    from collections.abc import Callable

Compared = Annotated[
    int | None,
    typer.Option(
        "--references",
        min=0,
        max=64,  # each takes as long as the whole model; no probe gains by more
        help="How many reference models the plan's statistical probes compare with.",
        show_default="as many as the probes need",
    ),
]


@app.command()
def execute(request: Id, references: Compared = None, as_json: AsJson = False) -> None:
    """Carry out an approved plan: remove, train again to compare, release, purge, report.

    Exit 1 when a check refuses it, 4 when the environment here is not the recorded one.
    """
    _conclude(_carry_out(api.plans.execute, request, references, as_json=as_json))


@app.command()
def resume(request: Id, references: Compared = None, as_json: AsJson = False) -> None:
    """Go on with an execution that was interrupted, from the first step that was not finished."""
    _conclude(_carry_out(api.plans.resume, request, references, as_json=as_json))


def _carry_out(carry_out: "Callable[..., Any]", request: str, references: int | None, *, as_json: bool) -> Any:
    """Carry a request's plan out with a display, and say how it ended."""
    workspace = api.workspace.open_workspace()
    with going_on(lambda: api.plans.standing(workspace, request)), shown(quiet=as_json) as display:
        ended = carry_out(workspace, request, references=references, progress=display)
    show.result(ended, as_json)
    return ended


def _conclude(ended: Any) -> None:
    if ended.refusal:
        raise Refused(ended.refusal)


@app.command()
def report(
    request: Id,
    open_: Annotated[bool, option("--open", "Open the page in a browser.")] = False,
    with_inputs: Annotated[
        bool, option("--with-inputs", "Also write a zip with the retained data and weights, to hand over.")
    ] = False,
    again: Annotated[
        bool, option("--again", "Write a lost report again from the recorded evidence, signed anew.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say where the report of a request is, and its verdict. Exit 1 when the certificate was refused."""
    written = api.plans.report(api.workspace.open_workspace(), request, with_inputs=with_inputs, again=again)
    if open_:
        typer.launch(str(written.bundle / "report.html"))
    show.result(written, as_json)
    if written.verdict != "certified":
        raise typer.Exit(1)


class Purges(TyperGroup):
    """``disgorge purge [REQUEST]`` is ``disgorge purge run [REQUEST]``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take what names no verb of this group as a request."""
        verb = args[0] if args else ""
        return super().parse_args(ctx, args if verb in (*self.commands, "-h", "--help") else ["run", *args])


purges = typer.Typer(
    cls=Purges, help="Delete old weights and withdrawn items once it is time, or keep them for a while."
)


@purges.command()
def run(
    request: Annotated[Text, typer.Argument(help="Id of a request; without one, all that are due.")] = None,
    dry_run: Annotated[bool, option("--dry-run", "Only print what would be deleted, and kept.")] = False,
    references: Compared = None,
    as_json: AsJson = False,
) -> None:
    """Carry out every purge that is due, and let those requests finish with their report.

    With --dry-run and a planned request, say before anything is done what its purge would delete.
    """
    workspace = api.workspace.open_workspace()
    if dry_run:
        return show.result(api.plans.preview_purge(workspace, request), as_json)
    done = api.plans.purge(
        workspace,
        request,
        carry_through=lambda _, name: _carry_out(api.plans.resume, name, references, as_json=as_json),
    )
    if not as_json:
        show.result(done, as_json)


@purges.command()
def hold(
    request: Id,
    until: Annotated[str, option("--until", "The first day on which it may be purged, YYYY-MM-DD.")],
    because: Because,
    by: By,
    as_json: AsJson = False,
) -> None:
    """Keep old weights and withdrawn items until a day; the request is not certified before."""
    day = parse_date(until, option="--until")
    if day is None:
        raise WrongUse("say until when: --until DATE")
    workspace = api.workspace.open_workspace()
    show.result(api.holds.hold_purge(workspace, request, until=day, because=because, by=by), as_json)


@purges.command()
def release(request: Id, because: Because, by: By, as_json: AsJson = False) -> None:
    """End the hold on a purge at once."""
    workspace = api.workspace.open_workspace()
    show.result(api.holds.release_purge(workspace, request, because=because, by=by), as_json)
