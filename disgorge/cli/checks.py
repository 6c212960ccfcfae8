"""``disgorge audit`` and ``disgorge verify``: what CI gates on, and what an outsider checks."""

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from disgorge.cli.output import tables as show
from disgorge.cli.output.errors import INCONCLUSIVE, WrongUse
from disgorge.cli.output.tables import AsJson

if TYPE_CHECKING:
    from disgorge.verify.verify import Verified


class Level(StrEnum):
    """How far a report is verified; each level includes the one before."""

    DIGESTS = "digests"
    LEDGER = "ledger"
    REEXECUTE = "reexecute"


_NOT_CHECKED = {
    Level.DIGESTS: "that the facts are in the ledger (--level ledger --workspace DIR), and the training itself "
    "(--level reexecute)",
    Level.LEDGER: "the training itself (--level reexecute)",
}
"""What a level leaves out."""


def audit(
    sarif: Annotated[Path | None, typer.Option("--sarif", help="Also write the findings as SARIF 2.1.0.")] = None,
    junit: Annotated[Path | None, typer.Option("--junit", help="Also write them as JUnit XML.")] = None,
    today: Annotated[str | None, typer.Option("--today", help="The day that decides what is overdue.")] = None,
    workspace_folder: Annotated[
        Path | None, typer.Option("--workspace", help="Folder of the workspace.", show_default="the current folder")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Let warnings fail as errors do.")] = False,
    as_json: AsJson = False,
) -> None:
    """Look whether anything live still rests on withdrawn data, and whether reports are as they were signed.

    Exit 1 for an error; with --strict for a warning too.
    """
    import sys

    from disgorge.audit import findings
    from disgorge.audit.rules import audit as look
    from disgorge.audit.rules import not_looked_at
    from disgorge.cli.request.filing import parse_date
    from lineage.workspace import Workspace

    day = parse_date(today, option="--today")
    if workspace_folder is not None and not workspace_folder.is_dir():
        raise WrongUse(f"{workspace_folder}: no such folder; give the workspace's folder")
    workspace = Workspace.open(workspace_folder)
    found, unseen = look(workspace, today=day), not_looked_at(workspace)
    if sarif is not None:
        from disgorge.audit.sarif import ledger_uri
        from disgorge.audit.sarif import sarif as as_sarif

        log = as_sarif(found, workspace=ledger_uri(workspace.root))
        sarif.write_text(json.dumps(log, indent=2) + "\n", encoding="utf-8")
    if junit is not None:
        from disgorge.audit.junit import junit as as_junit

        junit.write_text(as_junit(found, strict=strict), encoding="utf-8")
    if as_json:
        show.write_json({**findings.to_json(found, strict=strict), "not_looked_at": unseen})
    else:
        if found and sys.stdout.isatty():
            from rich.console import Console

            Console().print(findings.table(found))
        elif found:
            show.table(findings.COLUMNS, findings.rows(found))
        show.line(findings.summary(found))
        for words in unseen:
            show.line(f"not looked at: {words}")
    raise typer.Exit(findings.exit_code(found, strict=strict))


def verify(
    bundle: Annotated[Path, typer.Argument(help="Zip of a report, or its folder.", metavar="BUNDLE")],
    level: Annotated[
        Level,
        typer.Option("--level", help="How far: signatures and files; the workspace's ledger too; training again too."),
    ] = Level.DIGESTS,
    key: Annotated[Path | None, typer.Option("--key", help="Public key (PEM) to trust, not the bundle's own.")] = None,
    workspace_folder: Annotated[
        Path | None,
        typer.Option("--workspace", help="Workspace whose ledger to compare, and to read retained data from."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check a report by its bytes, its ledger, or by training again, which alone trusts its maker in nothing.

    Exit 1 if it does not hold or says that a certificate was refused, 2 if something to train from is missing, 4 if it
    holds only within the declared tolerance, because the environment here is not the recorded one.
    """
    from disgorge.cli.output.progress import shown
    from disgorge.verify.verify import verify_bundle

    if workspace_folder is None and level is Level.LEDGER:
        raise WrongUse("--level ledger compares a workspace's ledger; give --workspace with its folder")
    if workspace_folder is not None and level is Level.DIGESTS:
        raise WrongUse("--workspace is compared from --level ledger on; give --level ledger or --level reexecute")
    asked = (
        (bundle, "zip or folder of a report"),
        (key, "file with the public key"),
        (workspace_folder, "workspace's folder"),
    )
    for path, what in asked:
        if path is not None and not path.exists():
            raise WrongUse(f"{path}: no such file or folder; give the {what}")
    with shown(quiet=as_json, bars=level is Level.REEXECUTE) as display:
        display.whole("verifying", done=0, total=None)
        found = verify_bundle(
            bundle, public_key=key, level=level.value, workspace_folder=workspace_folder, on_progress=display.job
        )
    if found.warning:
        show.warn(found.warning)
    if as_json:
        show.write_json(found_as_json(found))
    else:
        show.line(f"{found.verdict}: {found.words}")
        reached = found.reexecution.outcome if found.reexecution else found.level
        show.pairs(
            [
                ("verified", f"{reached}, not bit for bit" if reached == "within tolerance" else reached),
                ("request", found.request),
                ("plan", found.plan),
                ("guarantee", found.guarantee),
                ("signed by key", found.key_id),
            ]
        )
        show.table(("stated about", "sha256"), found.subjects.items())
        show.utility(found.utility)
        for words in found.checked:
            show.line(f"checked: {words}")
        if not_checked := _NOT_CHECKED.get(level):
            show.line(f"not checked: {not_checked}")
    if found.verdict != "certified":
        raise typer.Exit(1)
    if found.reexecution is not None and found.reexecution.outcome == "within tolerance":
        raise typer.Exit(INCONCLUSIVE)


def found_as_json(found: "Verified") -> dict[str, Any]:
    """Return what a bundle says as plain values."""
    from lineage.records import plain

    return {**plain(found), "bundle": str(found.bundle), "warning": found.warning}
