"""The report: one directory that an outsider checks with nothing but itself and a public key.

    statement.json        DSSE envelope around an in-toto statement; names every other file by SHA-256
    report.html           the page for people
    request.json  decision.json  plan.json  evidence.json  impact.json     the records, as canonical JSON
    ledger-slice.jsonl    the ledger's facts about this request, each with its place in the chain
    public.pem            the key, for convenience; who it belongs to has to be known from elsewhere

A record's file holds exactly its canonical JSON, so ``sha256sum plan.json`` prints the digest that people approved.

Verifying trusts nothing that can be derived again: the records are parsed and written back, digests that link them
recomputed, facts hashed, approvals counted, and the certificate *issued again* from the evidence by the function that
issued it. What it cannot see: whether the facts are all there were, and whether the measurements were made.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from disgorge.bundle_check import check_bundle
from disgorge.errors import BundleBroken, DisgorgeError
from disgorge.signing import open_envelope, public_pem, sign
from disgorge.statement import MethodNote, ReportCase, statement_of
from lineage.records import canonical, plain

if TYPE_CHECKING:
    from disgorge.signing import Key

__all__ = ["BundleBroken", "MethodNote", "ReportCase", "Verified", "verify_bundle", "write_bundle"]

STATEMENT = "statement.json"

GIVEN = "given"
SELF_ASSERTED = "self-asserted key"


@dataclass(frozen=True, slots=True)
class Verified:
    """A bundle that holds together.

    ``key_source`` is ``given`` when the caller brought the public key, else ``self-asserted key``: then the bundle is
    only consistent with itself, and anybody could have signed it. ``warning`` says so in words, "" otherwise.
    """

    folder: Path
    verdict: str
    request: str
    plan: str
    guarantee: str | None
    words: str
    subjects: Mapping[str, str]
    statement: str
    key_id: str
    key_source: str
    checked: tuple[str, ...]

    @property
    def warning(self) -> str:
        """What a reader must be told before the verdict."""
        if self.key_source == GIVEN:
            return ""
        return (
            "SELF-ASSERTED KEY: the signature was checked with the key that lies in the bundle, which proves nothing "
            "about who signed it; get the public key from whoever vouches for the report and verify again with it"
        )


def write_bundle(folder: Path, case: ReportCase, *, key: "Key", replace: bool = False) -> Path:
    """Write, sign and verify the bundle, and put it in place whole or not at all. Returns ``folder``.

    Writing the same execution's report again leaves the one there is. A folder that holds anything else is refused
    unless ``replace``. Raises :class:`DisgorgeError` or :class:`BundleBroken`, with nothing left behind.
    """
    public = public_pem(key)
    if folder.exists() and not replace:
        _same_report(folder, case, public=public)
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    for stale in folder.parent.glob(f".{folder.name}.partial-*"):  # left by a process that was killed
        shutil.rmtree(stale)
    partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}.partial-", dir=folder.parent))
    try:
        files = _files(case, public=public)
        digests = {name: sha256(data).hexdigest() for name, data in files.items()}
        for name, data in {**files, STATEMENT: sign(statement_of(case, digests), key=key)}.items():
            _write(partial / name, data)
        verify_bundle(partial, public_key=public)
        os.chmod(partial, 0o755)
        _sync(partial)
        _put(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    _sync(folder.parent)
    return folder


def verify_bundle(folder: Path, *, public_key: Path | bytes | None = None) -> Verified:
    """Check a bundle and return what it says; :class:`BundleBroken` names the file and what is the matter with it.

    Without ``public_key`` the bundle's own is taken, and the result says so.
    """
    if not folder.is_dir():
        raise BundleBroken(f"{folder} is not a directory; give the report's directory")
    try:
        files = {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if _is_plain(path)}
        public = public_key.read_bytes() if isinstance(public_key, Path) else public_key
    except OSError as error:
        raise BundleBroken(
            f"{error.filename} cannot be read ({error.strerror}); check the file and try again"
        ) from error
    for name in (STATEMENT, "public.pem"):
        if name not in files:
            raise BundleBroken(f"{name} is missing from {folder}; ask for the whole report")
    opened = open_envelope(files[STATEMENT], public=files["public.pem"] if public is None else public)
    found = check_bundle(opened, {name: data for name, data in files.items() if name != STATEMENT})
    return Verified(
        folder=folder,
        verdict=found.verdict,
        request=found.request,
        plan=found.plan,
        guarantee=found.guarantee,
        words=found.words,
        subjects=found.subjects,
        statement=sha256(files[STATEMENT]).hexdigest(),
        key_id=opened.key_id,
        key_source=SELF_ASSERTED if public is None else GIVEN,
        checked=found.checked,
    )


def _is_plain(path: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        raise BundleBroken(f"{path.name} is not a file of the report; remove it, or ask for the report again")
    return True


def _files(case: ReportCase, *, public: bytes) -> dict[str, bytes]:
    """Return every file of the bundle but the statement."""
    from disgorge.page import render  # jinja2 loads when a page is written

    records = {
        "request": case.request,
        "decision": case.decision,
        "plan": case.plan,
        "evidence": case.evidence,
        "impact": case.impact,
    }
    files = {"public.pem": public}
    try:
        for name, record in records.items():
            files[f"{name}.json"] = canonical(record)
        files["ledger-slice.jsonl"] = b"".join(canonical(plain(fact)) + b"\n" for fact in case.facts)
    except ValueError as error:
        raise DisgorgeError(
            f"the report on {case.request.id} cannot be written: a value is not a finite number or too large for JSON "
            f"({error}); measure again"
        ) from error
    files["report.html"] = render(case).encode()
    return files


def _same_report(folder: Path, case: ReportCase, *, public: bytes) -> None:
    """Return if ``folder`` holds a whole report of this very execution, else :class:`BundleBroken`."""
    found = verify_bundle(folder, public_key=public)
    same = {
        "plan.json": canonical(case.plan),
        "evidence.json": canonical(case.evidence),
        "decision.json": canonical(case.decision),
    }
    if found.verdict != case.verdict or any((folder / name).read_bytes() != data for name, data in same.items()):
        raise BundleBroken(f"{folder} holds another report; move it away or write to another folder")


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _put(partial: Path, folder: Path) -> None:
    """Rename the finished directory into place, setting an older one aside for the instant in between."""
    aside = partial.with_name(partial.name + "-replaced")
    if folder.exists():
        folder.rename(aside)
    try:
        partial.rename(folder)
    except OSError:
        with contextlib.suppress(OSError):
            aside.rename(folder)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _sync(folder: Path) -> None:
    """Make a directory's entries durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
