"""The report: one bundle that an outsider checks with nothing but itself and a public key.

    statement.json        DSSE envelope around an in-toto statement; names the files below by SHA-256
    report.html           the page for people
    certificate.pdf       one or two sheets of it, PDF/A-3, statement.json attached (where it can be drawn)
    certificate.pdf.sig   its Ed25519 signature: the PDF carries the statement, which therefore cannot name it
    request.json  decision.json  plan.json  evidence.json  impact.json     the records, as canonical JSON
    compositions.json  recipes.json  inputs.json     what was made, how, and from which retained shards
    ledger-slice.jsonl    the ledger's facts about this request, each with its place in the chain
    public.pem            the key, for convenience; whose it is has to be known from elsewhere
    attestations/         the signed attestations of the components, and of what they were made from
    inputs/  weights/  code/     on demand: the retained shards, the components' weights and local code, by digest

``reports/<request>/`` is for people to open, ``reports/<request>.zip`` beside it holds the same members to hand over. A
record's file holds exactly its canonical JSON, so ``sha256sum plan.json`` prints the digest that people approved.
:mod:`disgorge.verify.verify` checks either.
"""

import contextlib
import dataclasses
import os
import shutil
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from disgorge.errors import BundleBroken, DisgorgeError
from disgorge.report.page import render
from disgorge.report.pdf import can_draw, render_pdf
from disgorge.statement.bundle_zip import pack
from disgorge.statement.signing import key_id, public_pem, sign, sign_bytes
from disgorge.statement.statement import ReportCase, statement_of
from disgorge.verify.bundle import PDF, PDF_SIGNATURE, STATEMENT
from disgorge.verify.verify import Verified, verify_bundle
from lineage.activity import activity
from lineage.storage.objects import sync_folder, write_atomically

if TYPE_CHECKING:
    from disgorge.statement.signing import Key

__all__ = ["BundleBroken", "ReportCase", "Verified", "verify_bundle", "write_bundle", "zip_of"]


def zip_of(folder: Path) -> Path:
    """Return where the zip with the members of a report's folder lies."""
    return folder.with_name(f"{folder.name}.zip")


def write_bundle(folder: Path, case: ReportCase, *, key: "Key") -> Path:
    """Write, sign and verify the bundle, and put folder and zip in place of those there may be. Returns ``folder``.

    Each is put in place whole or not at all. Raises :class:`DisgorgeError` or :class:`BundleBroken`, with nothing left
    behind.
    """
    members = bundle_members(case, key=key)
    folder.parent.mkdir(parents=True, exist_ok=True)
    for stale in folder.parent.glob(f".{folder.name}.partial-*"):  # left by a process that was killed
        shutil.rmtree(stale)
    partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}.partial-", dir=folder.parent))
    inside, packed = partial / folder.name, partial / zip_of(folder).name  # all that a kill leaves lies in one folder
    try:
        inside.mkdir()
        for name, data in members.items():
            _write(inside / name, data)
        _write(packed, pack(members))
        os.chmod(inside, 0o755)
        sync_folder(inside)
        os.replace(packed, zip_of(folder))
        _put(inside, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    sync_folder(folder.parent)
    return folder


def write_zip(path: Path, case: ReportCase, *, key: "Key") -> Path:
    """Write a bundle as a zip alone, in place of the one there may be: what is handed over with inputs and weights."""
    write_atomically(path, pack(bundle_members(case, key=key)))
    return path


@activity("writing and signing the report")
def bundle_members(case: ReportCase, *, key: "Key") -> dict[str, bytes]:
    """Return every member of the bundle, signed, and verified as an outsider would; sorted by name."""
    public = public_pem(key)
    case = dataclasses.replace(case, signed_by=key_id(public), pdf=can_draw())
    files = {**_files(case, public=public), **case.attestations, **case.attached}
    statement = statement_of(case, {name: sha256(data).hexdigest() for name, data in files.items()})
    files[STATEMENT] = sign(statement, key=key)
    if case.pdf:
        files[PDF] = render_pdf(case, files[STATEMENT])
        files[PDF_SIGNATURE] = sign_bytes(files[PDF], key=key)
    members = dict(sorted(files.items()))
    verify_bundle(Path(f"report on {case.request.id}"), public_key=public, members=members)
    return members


def _files(case: ReportCase, *, public: bytes) -> dict[str, bytes]:
    """Return every file of the bundle that the statement covers, but what is attached."""
    try:
        records = case.files()
    except ValueError as error:
        raise DisgorgeError(
            f"the report on {case.request.id} cannot be written: a value is not a finite number or too large for JSON "
            f"({error}); measure again"
        ) from error
    return records | {"public.pem": public, "report.html": render(case).encode()}


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
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
