"""``disgorge purge``: keep old weights and items until a day, end that, say what would go, delete what is due."""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from disgorge.cli.output import tables as show
from disgorge.cli.output.errors import Refused, WrongUse
from disgorge.cli.output.tables import AsJson
from disgorge.cli.request.execute import References, carry_through
from disgorge.cli.request.options import Id, require_name, require_reason
from lineage.plural import counted


class Purges(TyperGroup):
    """``disgorge purge [REQUEST]`` is ``disgorge purge run [REQUEST]``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take what names no verb of this group as a request."""
        verb = args[0] if args else ""
        return super().parse_args(ctx, args if verb in (*self.commands, "-h", "--help") else ["run", *args])


app = typer.Typer(cls=Purges, help="Delete old weights and withdrawn items once it is time, or keep them for a while.")

Because = Annotated[str, typer.Option("--because", help="Why; no personal data, it is recorded for good.")]
By = Annotated[str, typer.Option("--by", help="Who says so; recorded as a pseudonym.")]


@app.command()
def run(
    request: Annotated[str | None, typer.Argument(help="Id of a request; without one, all that are due.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print what would be deleted, and kept.")] = False,
    references: References = None,
    as_json: AsJson = False,
) -> None:
    """Carry out every purge that is due, and let those requests finish with their report.

    With --dry-run and a planned request, say before anything is done what its purge would delete.
    """
    from disgorge.errors import DataHeld
    from disgorge.request.holds.purge_hold import due, is_ahead, waiting
    from lineage.workspace import Workspace

    workspace = Workspace.open()
    foretold = dry_run and request is not None and is_ahead(workspace, request)
    if request is not None and request not in waiting(workspace) and not foretold:
        raise WrongUse(f"no purge is next for {request}; `disgorge request show {request}` says where it stands")
    names = [request] if request is not None else list(waiting(workspace) if dry_run else due(workspace))
    if dry_run:
        _print_lists(workspace, names, as_json=as_json)
        return
    if not names and not as_json:
        show.line("no purge is due")
    refused = []
    for name in names:
        try:
            carry_through(name, references=references, as_json=as_json, resume=True)
        except (Refused, DataHeld) as refusal:  # the others do not wait for it
            refused.append(str(refusal))
    if refused:
        raise Refused("; ".join(refused))


@app.command()
def hold(
    request: Id,
    until: Annotated[str, typer.Option("--until", help="The first day on which it may be purged, YYYY-MM-DD.")],
    because: Because,
    by: By,
    as_json: AsJson = False,
) -> None:
    """Keep old weights and withdrawn items until a day; the request is not certified before."""
    from disgorge.cli.request.filing import parse_date
    from disgorge.request.holds.purge_hold import hold_purge
    from lineage.workspace import Workspace

    day = parse_date(until, option="--until")
    if day is None:
        raise WrongUse("say until when: --until DATE")
    _require_words(because, by, does="keeps it")
    case = hold_purge(Workspace.open(), request, until=day, because=because, by=by)
    if case.deadline is not None and case.deadline < day:
        show.warn(f"{request} must be done by {case.deadline}, before this hold ends")
    _said(f"the purge of {request} waits until {day}; no certificate before", request, day, as_json=as_json)


@app.command()
def release(request: Id, because: Because, by: By, as_json: AsJson = False) -> None:
    """End the hold on a purge at once."""
    from disgorge.request.holds.purge_hold import release_purge
    from lineage.workspace import Workspace

    _require_words(because, by, does="ends the hold")
    release_purge(Workspace.open(), request, because=because, by=by)
    _said(f"the hold is ended; next: disgorge purge {request}", request, None, as_json=as_json)


def _require_words(because: str, by: str, *, does: str) -> None:
    """Raise :class:`WrongUse` unless it is said why, and who ``does`` it."""
    require_reason(because, option="--because")
    require_name(by, does)


def _print_lists(workspace: Any, names: list[str], *, as_json: bool) -> None:
    """Print, for each request, every path and entry that would go and what is kept."""
    from disgorge.removal.dry_run import preview

    found = {name: preview(workspace, name) for name in names}
    if as_json:
        told = {
            name: {"delete": list(each.entries), "kept": list(each.kept), "steps_before": each.ahead}
            for name, each in found.items()
        }
        show.write_json(told)
        return
    for name, each in found.items():
        before = f"; a preview, as of now, with {counted(each.ahead, 'step')} to be done before" if each.ahead else ""
        show.line(f"{name}: {len(each.entries)} to delete{before}")
        for words in (*each.entries, *each.kept):
            show.line_with_indent("  ", show.clean(words))
    if not found:
        show.line("no purge is next for any request")


def _said(words: str, request: str, until: Any, *, as_json: bool) -> None:
    if as_json:
        show.write_json({"request": request, "purge_held_until": until and until.isoformat()})
    else:
        show.line(words)
