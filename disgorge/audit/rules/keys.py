"""The workspace's signing key: whether its two halves fit, and whether it signed the last report."""

from collections.abc import Iterator
from pathlib import Path

from disgorge.audit.findings import PRIVATE_LOST, SIGNING_KEY_CHANGED, Finding, Level
from disgorge.audit.snapshot import Snapshot
from disgorge.errors import BundleBroken, DisgorgeError
from disgorge.facts import ReportFact
from disgorge.statement.signing import key_id, public_pem, read_key
from lineage.ledger.chain import Fact

PUBLIC = "public.pem"
_RESTORE = "restore it from a backup of the private folder; docs/RECOVERY.md says what to do if it is lost for good"


def public_key(snapshot: Snapshot) -> bytes | None:
    """Return the workspace's public key; None where there is none, or what lies there is no key."""
    path = snapshot.workspace.home / PUBLIC
    try:
        public = path.read_bytes()
        key_id(public)
    except (OSError, BundleBroken):
        return None
    return public


def signing_keys(snapshot: Snapshot) -> Iterator[Finding]:
    """Yield what is the matter with the signing key, and a note for each time that it was replaced."""
    reports = list(snapshot.workspace.ledger.said(ReportFact))
    last = reports[-1][1] if reports else None
    path, public = snapshot.workspace.home / PUBLIC, public_key(snapshot)
    private = snapshot.workspace.private.folder / "signing.pem"
    if public is None and path.exists():
        yield _of_key(
            "cannot be read as a public key", f"restore {PUBLIC}, or delete it: the next report writes it again"
        )
    elif public is None and any(case.report for case in snapshot.cases.values()):
        yield _of_key(
            "is missing, so reports were checked with the keys that they name themselves",
            "restore it, so that readers have a key to verify reports with",
            Level.WARNING,
        )
    lost = _private_half(private, public) if snapshot.workspace.private.folder.is_dir() else None
    if lost is not None:
        yield lost
    elif public is not None and last is not None and last.key != key_id(public):
        yield _of_key(
            f"is key {key_id(public)[:16]}, and the last report was signed with {_key(last)}: no report records "
            "the change",
            f"restore {PUBLIC} and private/signing.pem as they were",
            fact=reports[-1][0].seq,
        )
    yield from _replaced(reports)


def _private_half(private: Path, public: bytes | None) -> Finding | None:
    """Return what is the matter with the private half beside a public key, where the private folder is here."""
    if not private.exists():
        if public is None:
            return None
        words = f"is missing, and {PUBLIC} says there was one: no report can be signed by the key people trust"
        return Finding(PRIVATE_LOST, "private/signing.pem", words, _RESTORE)
    try:
        signs = public_pem(read_key(private))
    except DisgorgeError:
        words = "cannot be read, so no report can be signed by the key people trust"
        return Finding(PRIVATE_LOST, "private/signing.pem", words, _RESTORE)
    if public is None or public == signs:
        return None
    return _of_key(
        "is not the public half of private/signing.pem",
        f"restore the one of the two that was replaced; or delete {PUBLIC}, and the next report writes it again",
    )


def _replaced(reports: list[tuple[Fact, ReportFact]]) -> Iterator[Finding]:
    """Yield a note per report that was the first one under a new key, a warning where it replaced a signed report."""
    signed: dict[str, str] = {}
    before: ReportFact | None = None
    for fact, report in reports:
        request, key = report.request, report.key
        if before is not None and key != before.key:
            again = signed.get(request, key) != key
            yield _of_key(
                f"the report of {request} was {'written again and ' if again else ''}signed with {_key(report)}, the "
                f"one before it with {_key(before)}",
                "keep both public keys for those who verify; if you did not replace the key, find out who did",
                Level.WARNING if again else Level.NOTE,
                fact=fact.seq,
            )
        signed[request], before = key, report


def _key(report: ReportFact) -> str:
    return f"key {report.key[:16]}"


def _of_key(words: str, remedy: str, level: Level | None = None, *, fact: int | None = None) -> Finding:
    return Finding(SIGNING_KEY_CHANGED, PUBLIC, words, remedy, level, fact=fact)
