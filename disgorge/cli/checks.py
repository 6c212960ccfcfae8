"""``disgorge audit``, which CI gates on, and ``disgorge verify``, for the reader of a report."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from disgorge import api
from disgorge.cli.options import AsJson, Text, argument, option, parse_date
from disgorge.cli.output import tables as show
from disgorge.cli.output.errors import INCONCLUSIVE
from disgorge.cli.output.progress import shown
from disgorge.errors import WrongUse


class Level(StrEnum):
    """How far a report is verified; each level includes the first."""

    DIGESTS = "digests"
    ATTESTATIONS = "attestations"
    LEDGER = "ledger"
    REEXECUTE = "reexecute"


def audit(
    sarif: Annotated[Path | None, option("--sarif", "Also write the findings as SARIF 2.1.0.")] = None,
    junit: Annotated[Path | None, option("--junit", "Also write them as JUnit XML.")] = None,
    today: Annotated[Text, option("--today", "The day that decides what is overdue.")] = None,
    workspace_folder: Annotated[
        Path | None, option("--workspace", "Folder of the workspace.", show_default="the current folder")
    ] = None,
    strict: Annotated[bool, option("--strict", "Let warnings fail as errors do.")] = False,
    as_json: AsJson = False,
) -> None:
    """Look whether anything live still rests on withdrawn data, and whether reports are as they were signed.

    Exit 1 for an error; with --strict for a warning too.
    """
    day = parse_date(today, option="--today")
    if workspace_folder is not None and not workspace_folder.is_dir():
        raise WrongUse(f"{workspace_folder}: no such folder; give the workspace's folder")
    workspace = api.workspace.open_workspace(workspace_folder)
    audited = api.checks.audit(workspace, today=day, strict=strict, sarif=sarif, junit=junit)
    show.result(audited, as_json)
    raise typer.Exit(audited.exit_code)


def verify(
    bundle: Annotated[Path, argument("BUNDLE", "Zip of a report, or its folder.")],
    level: Annotated[
        Level,
        option(
            "--level",
            "How far: signatures and files; attestations too; the workspace's ledger too; training again too.",
        ),
    ] = Level.DIGESTS,
    key: Annotated[Path | None, option("--key", "Public key (PEM) to trust, not the bundle's own.")] = None,
    workspace_folder: Annotated[
        Path | None, option("--workspace", "Workspace whose ledger to compare, and to read retained data from.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check a report by its bytes, its attestations, its ledger, or by training again, which alone trusts no maker.

    Exit 1 if it does not hold or says that a certificate was refused, 2 if something to train from is missing, 4 if it
    holds only within the declared tolerance, because the environment here is not the recorded one.
    """
    with shown(quiet=as_json, bars=level is Level.REEXECUTE) as display:
        verified = api.checks.verify(
            bundle, level=level.value, key=key, workspace_folder=workspace_folder, progress=display
        )
    show.result(verified, as_json)
    if not verified.certified:
        raise typer.Exit(1)
    if verified.inconclusive:
        raise typer.Exit(INCONCLUSIVE)
