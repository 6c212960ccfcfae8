"""``disgorge init`` and ``disgorge trace``: make a workspace, and ask what learned from what."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from disgorge.cli.output import tables as show
from disgorge.cli.output.errors import WrongUse
from disgorge.cli.output.tables import AsJson

if TYPE_CHECKING:
    from lineage.catalog.trace import Trace


def init(
    folder: Annotated[
        Path, typer.Argument(help="The folder that becomes a workspace.", show_default="here", metavar="FOLDER")
    ] = Path(),
    as_json: AsJson = False,
) -> None:
    """Make a workspace: the ledger, the keys that keep people's names out of it, and what git is to ignore."""
    from lineage.workspace import Workspace

    workspace = Workspace.init(folder)
    without_dvc, elsewhere = _without_dvc(workspace.root), _mlflow_elsewhere(workspace.root)
    if as_json:
        value = {"workspace": str(workspace.root), "head": workspace.ledger.head(), "dvc": not without_dvc}
        show.write_json(value | {"notes": [words for words in (without_dvc, elsewhere) if words]})
        return
    show.line(f"workspace {workspace.root} is ready; record data with `disgorge shard add PATH --name NAME`")
    show.line(f"git: {workspace.root / '.gitignore'} ignores data, models and reports; commit .disgorge/ as it is")
    for words in (without_dvc, elsewhere):
        if words:
            show.line(words)


def _without_dvc(workspace_folder: Path) -> str:
    """Return why DVC will not keep the shards, and what that means, "" if it will."""
    from importlib.util import find_spec

    from lineage.dvc.repo import is_repo

    if find_spec("dvc") is None:
        why = "it is not installed (pip install 'disgorge[dvc]')"
    elif not is_repo(workspace_folder):
        why = "this folder is not the root of a DVC repository (`dvc init`, with --subdir inside a repository)"
    else:
        return ""
    return f"DVC: not used, for {why}; nothing but this folder keeps what is in shards/, so back that up"


def _mlflow_elsewhere(workspace_folder: Path) -> str:
    """Return where runs and releases go, where the database in the folder is somebody else's, else ""."""
    from disgorge.tracking.client import database_beside, tracking_uri, without_secrets

    if database_beside(workspace_folder) is None:
        return ""
    place = without_secrets(tracking_uri(workspace_folder))
    return (
        f"MLflow: mlflow.db in this folder is not the workspace's, so runs and releases go to {place}; a removal looks "
        f"into both"
    )


def trace(
    start: Annotated[
        str,
        typer.Argument(
            help="An item (digest or key), shard, component or release; a person with --subject.", metavar="START"
        ),
    ],
    up: Annotated[bool, typer.Option("--up", help="Only what it learned from.")] = False,
    down: Annotated[bool, typer.Option("--down", help="Only what learned from it.")] = False,
    subject: Annotated[bool, typer.Option("--subject", help="START is the name of a person.")] = False,
    every: Annotated[bool, typer.Option("--all", help="List references of probes too; JSON always has them.")] = False,
    svg: Annotated[Path | None, typer.Option("--svg", help="Also draw it into this file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what learned from something, and what that learned from, with roles. Both ways unless one is chosen."""
    from disgorge.cli.output.lineage import apart, print_trace
    from lineage.catalog.catalog import Catalog
    from lineage.errors import UnknownRecord
    from lineage.workspace import Workspace

    workspace = Workspace.open()
    named = workspace.pseudonym(start) if subject else start
    both = up == down
    try:
        with Catalog.of(workspace) as catalog:
            found = catalog.trace(named, up=up or both, down=down or both)
    except UnknownRecord as unknown:
        raise WrongUse(_unknown(str(unknown), start, subject=subject)) from None
    seen, left_out = (found, 0) if every else apart(found)
    if svg is not None:
        _draw(seen, svg)
    if as_json:
        show.write_json(found.json())
        return
    print_trace(seen, left_out=left_out, empty=_nothing(up=up, down=down))


def _unknown(words: str, start: str, *, subject: bool) -> str:
    """Return what to say of a start that nobody recorded: a person by the name that was typed, never by a pseudonym."""
    if subject:
        return f"no item of a live shard is recorded as one of {start!r}; check the name as it stands in the data"
    lists = "" if "did you mean" in words else "`disgorge shard list` and `disgorge release list` show names, "
    return f"{words.removesuffix('?')}; {lists}--subject takes the name of a person"


def _nothing(*, up: bool, down: bool) -> str:
    if up == down:
        return "nothing live is recorded that learned from it, or that it learned from"
    return "it learned from nothing that is recorded" if up else "nothing recorded learned from it"


def _draw(trace: "Trace", file: Path) -> None:
    from lineage.catalog.svg import draw

    file.write_text(draw(trace), encoding="utf-8")
