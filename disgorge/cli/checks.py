"""``disgorge audit`` and ``disgorge verify``: what CI gates on, and what an outsider checks."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from disgorge.cli import show
from disgorge.cli.failures import WrongUse
from disgorge.cli.show import AsJson

if TYPE_CHECKING:
    from disgorge.report import Verified


def audit(
    sarif: Annotated[Path | None, typer.Option("--sarif", help="Also write the findings as SARIF 2.1.0.")] = None,
    junit: Annotated[Path | None, typer.Option("--junit", help="Also write them as JUnit XML.")] = None,
    today: Annotated[str | None, typer.Option("--today", help="The day that decides what is overdue.")] = None,
    as_json: AsJson = False,
) -> None:
    """Look whether anything live still rests on withdrawn data, or on data nobody recorded. Exit 1 for an error."""
    import sys

    from disgorge import findings
    from disgorge.audit import audit as look
    from disgorge.cli.filing import parse_date
    from lineage.ledger import Ledger

    day = parse_date(today, option="--today")
    ledger = Ledger.open()
    found = look(ledger, today=day)
    if sarif is not None:
        from disgorge.sarif import sarif as as_sarif

        sarif.write_text(json.dumps(as_sarif(found), indent=2) + "\n", encoding="utf-8")
    if junit is not None:
        from disgorge.junit import junit as as_junit

        junit.write_text(as_junit(found), encoding="utf-8")
    if as_json:
        show.write_json(findings.to_json(found))
    else:
        if found and sys.stdout.isatty():
            from rich.console import Console

            Console().print(findings.table(found))
        elif found:
            show.table(findings.COLUMNS, findings.rows(found))
        show.line(findings.summary(found))
    raise typer.Exit(findings.exit_code(found))


def verify(
    bundle: Annotated[Path, typer.Argument(help="Folder of a report.", metavar="BUNDLE")],
    key: Annotated[Path | None, typer.Option("--key", help="Public key (PEM) to trust, not the bundle's own.")] = None,
    as_json: AsJson = False,
) -> None:
    """Check a report without trusting its maker. Exit 1 if it does not hold, or says that a certificate was refused."""
    from disgorge.report import verify_bundle

    for path, what in ((bundle, "folder of a report"), (key, "file with the public key")):
        if path is not None and not path.exists():
            raise WrongUse(f"{path}: no such file or folder; give the {what}")
    found = verify_bundle(bundle, public_key=key)
    if found.warning:
        show.warn(found.warning)
    if as_json:
        show.write_json(found_as_json(found))
    else:
        show.line(f"{found.verdict}: {found.words}")
        show.pairs([("request", found.request), ("plan", found.plan), ("guarantee", found.guarantee)])
        show.table(("stated about", "sha256"), found.subjects.items())
        for words in found.checked:
            show.line(f"checked: {words}")
    if found.verdict != "certified":
        raise typer.Exit(1)


def found_as_json(found: "Verified") -> dict[str, Any]:
    """Return what a bundle says as plain values."""
    from lineage.records import plain

    return {**plain(found), "folder": str(found.folder), "warning": found.warning}
