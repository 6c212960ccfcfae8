"""``disgorge request close``: requests that end without a removal of their own."""

from typing import Annotated

import typer

from disgorge.cli.output import tables as show
from disgorge.cli.output.errors import WrongUse
from disgorge.cli.output.tables import AsJson
from disgorge.cli.request.options import Id, require_name, said


def close(
    request: Id,
    fulfilled_by: Annotated[
        str | None,
        typer.Option("--fulfilled-by", help="Another request, done and certified, that removed all its items."),
    ] = None,
    taken_back: Annotated[bool, typer.Option("--taken-back", help="The requester took the request back.")] = False,
    by: Annotated[str | None, typer.Option("--by", help="Who records that, as typed; kept as a pseudonym.")] = None,
    as_json: AsJson = False,
) -> None:
    """Close a request that another one fulfilled, with a report of its own, or that its requester took back."""
    from disgorge.tracking.registry import registry_or_none
    from lineage.workspace import Workspace

    if (fulfilled_by is None) != taken_back:
        raise WrongUse("give either --fulfilled-by REQUEST or --taken-back --by NAME; to refuse it, use request deny")
    workspace = Workspace.open()
    if fulfilled_by is None:
        from disgorge.removal.containment import take_back

        require_name(by or "", "records that it was taken back")
        notes = take_back(workspace, request, by=str(by).strip(), registrar=registry_or_none(workspace))
        said(as_json, f"{request} is taken back", request=request, state="taken-back", notes=notes)
        for words in notes if not as_json else ():
            show.line(f"note: {words}")
        return
    if by is not None:
        raise WrongUse("--by goes with --taken-back; what --fulfilled-by rests on is shown, and not said by a person")
    from disgorge.removal.fulfilled_by import close_fulfilled

    written = close_fulfilled(workspace, request, by_request=fulfilled_by, registrar=registry_or_none(workspace))
    words = (
        f"{request} is fulfilled by {fulfilled_by}; the report is {written.bundle}, to hand over: {written.bundle}.zip"
    )
    told = {"state": "fulfilled", "by_request": fulfilled_by, "verdict": written.verdict, "bundle": str(written.bundle)}
    said(as_json, words, request=request, **told)
