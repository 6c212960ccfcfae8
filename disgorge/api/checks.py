"""The audit, which gates a merge or a deploy, and the verification of a report."""

import datetime as dt
import json
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from disgorge.audit import findings
from disgorge.audit.findings import Finding, to_json
from disgorge.audit.junit import junit as as_junit
from disgorge.audit.rules import audit as look
from disgorge.audit.rules import not_looked_at
from disgorge.audit.sarif import ledger_uri
from disgorge.audit.sarif import sarif as as_sarif
from disgorge.errors import WrongUse
from disgorge.evidence.utility import change_words
from disgorge.result import Result
from disgorge.training.progress import Progress
from disgorge.verify.verify import Level, Verified, verify_bundle
from lineage.records import Json, plain
from lineage.shown import Attention, table
from lineage.workspace import Workspace

_NOT_CHECKED = {
    "digests": "what runs made the components (--level attestations), that the facts are in the ledger "
    "(--level ledger --workspace DIR), and the training itself (--level reexecute)",
    "attestations": "that the facts are in the ledger (--level ledger --workspace DIR), and the training itself "
    "(--level reexecute)",
    "ledger": "the training itself (--level reexecute)",
}
"""What a level leaves out."""


@dataclass(frozen=True, slots=True)
class Audited(Result):
    """What an audit found, what it could not look at, and the exit code that calls for."""

    findings: tuple[Finding, ...]
    not_looked_at: tuple[str, ...]
    exit_code: int
    strict: bool

    def plain(self) -> Json:
        """Return the findings with their summary and the exit code."""
        return {**to_json(self.findings, strict=self.strict), "not_looked_at": self.not_looked_at}


def audit(
    workspace: Workspace,
    *,
    today: dt.date | None = None,
    strict: bool = False,
    sarif: Path | None = None,
    junit: Path | None = None,
) -> Audited:
    """Look whether anything live still rests on withdrawn data, and whether reports are as they were signed.

    ``today`` decides what is overdue, ``strict`` lets warnings fail as errors do. ``sarif`` and ``junit`` are files to
    write the findings into as well.
    """
    found, unseen = look(workspace, today=today), tuple(not_looked_at(workspace))
    if sarif is not None:
        log = as_sarif(found, workspace=ledger_uri(workspace.root))
        sarif.write_text(json.dumps(log, indent=2) + "\n", encoding="utf-8")
    if junit is not None:
        junit.write_text(as_junit(found, strict=strict), encoding="utf-8")
    rows = (table(*findings.COLUMNS, rows=findings.rows(found)),) if found else ()
    shown = (*rows, findings.summary(found), *(f"not looked at: {words}" for words in unseen))
    return Audited(found, unseen, findings.exit_code(found, strict=strict), strict, shown=shown)


@dataclass(frozen=True, slots=True)
class ReportVerified(Result):
    """What a report says, and how far it was checked."""

    verified: Verified

    @property
    def certified(self) -> bool:
        """Whether it is certified that the data is gone."""
        return self.verified.verdict == "certified"

    @property
    def inconclusive(self) -> bool:
        """Whether training again held within the declared tolerance only, in another environment."""
        again = self.verified.reexecution
        return again is not None and again.outcome == "within tolerance"

    def plain(self) -> Json:
        """Return what the bundle says."""
        verified = self.verified
        return {**plain(verified), "bundle": str(verified.bundle), "warning": verified.warning}


def verify(
    bundle: Path | str,
    *,
    level: Level = "digests",
    key: Path | None = None,
    workspace_folder: Path | None = None,
    progress: Progress | None = None,
) -> ReportVerified:
    """Check a report by its bytes, its attestations, its ledger, or by training again, which alone trusts no maker.

    ``bundle`` is the zip of a report, or its folder. ``key`` is the public key (PEM) to trust, not the bundle's own.
    ``workspace_folder`` is the workspace whose ledger to compare, and to read retained data from.
    """
    if level not in get_args(Level):
        raise WrongUse(f"unknown level {level!r}: use {', '.join(get_args(Level))}")
    if workspace_folder is None and level == "ledger":
        raise WrongUse("--level ledger compares a workspace's ledger; give --workspace with its folder")
    if workspace_folder is not None and level in ("digests", "attestations"):
        raise WrongUse("--workspace is compared from --level ledger on; give --level ledger or --level reexecute")
    bundle = Path(bundle)
    asked = (
        (bundle, "zip or folder of a report"),
        (key, "file with the public key"),
        (workspace_folder, "workspace's folder"),
    )
    for path, what in asked:
        if path is not None and not path.exists():
            raise WrongUse(f"{path}: no such file or folder; give the {what}")
    progress = progress or Progress()
    progress.whole("verifying", done=0, total=None)
    verified = verify_bundle(
        bundle, public_key=key, level=level, workspace_folder=workspace_folder, on_progress=progress.job
    )
    reached = verified.reexecution.outcome if verified.reexecution else verified.level
    said = [
        ("verified", f"{reached}, not bit for bit" if reached == "within tolerance" else reached),
        ("request", verified.request),
        ("plan", verified.plan),
        ("guarantee", verified.guarantee),
        ("signed by key", verified.key_id),
    ]
    shown = (
        *((Attention(verified.warning),) if verified.warning else ()),
        f"{verified.verdict}: {verified.words}",
        table(rows=said),
        table("stated about", "sha256", rows=verified.subjects.items()),
        *(f"utility of {measure.release}: {change_words(measure)}" for measure in verified.utility),
        *(f"checked: {words}" for words in verified.checked),
        *((f"not checked: {_NOT_CHECKED[level]}",) if level in _NOT_CHECKED else ()),
    )
    return ReportVerified(verified, shown=shown)
