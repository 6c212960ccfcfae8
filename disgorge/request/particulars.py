"""What a request holds that is nobody's business: particulars, and selectors that identify content.

They go to one private file per request, from where they can be erased without touching the chain of facts; the ledger
keeps a salted digest of the file and keyed marks of the selectors. The cost: whoever erases the file of an open request
that selects by item or key erases what was asked for, and has to file it again.
"""

import hashlib
import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from disgorge.errors import DisgorgeError
from lineage.errors import WorkspaceBusy
from lineage.ledger.journal import acquire_in_turn
from lineage.private_files import AskedFor, read_private
from lineage.records import Selector
from lineage.storage.objects import remove_asides, write_atomically
from lineage.workspace import Workspace
from policies.request import RemovalRequest

HIDDEN = ("item", "key")
"""Selectors whose value identifies content or may name a person: the ledger gets a keyed mark, the rest is private."""


_PATIENCE = 60.0
"""Seconds to wait for others who file: each takes milliseconds, and a thousand may be at it."""


@contextmanager
def filing(workspace: Workspace) -> Iterator[None]:
    """Let one at a time file or erase: an id that was free stays free, and what lies half-written is nobody's."""
    try:
        acquire_in_turn(lock := FileLock(workspace.home / "filing.lock"), _PATIENCE)
    except Timeout as error:
        raise WorkspaceBusy("others are filing requests in this workspace; do it again in a moment") from error
    try:
        yield
    finally:
        lock.release()


def marked(workspace: Workspace, selectors: Sequence[Selector]) -> tuple[Selector, ...]:
    """Return selectors as the ledger keeps them: hidden values by their keyed marks."""
    return tuple(Selector(s.field, workspace.keyed(s.value)) if s.field in HIDDEN else s for s in selectors)


def kept_private(workspace: Workspace, request: RemovalRequest, particulars: Mapping[str, str]) -> RemovalRequest:
    """Put particulars and hidden selectors into the private file, and return the request with what refers to it.

    The caller holds :func:`filing`.
    """
    hidden = {workspace.keyed(s.value): s.value for s in request.selectors if s.field in HIDDEN}
    if not particulars and not hidden:
        return request
    kept = _keep_private(workspace, request.id, {**particulars, "selectors": hidden})
    return replace(request, selectors=marked(workspace, request.selectors), particulars=kept)


def kept_private_anew(workspace: Workspace, request: RemovalRequest) -> RemovalRequest:
    """Return an amended request with its selectors marked, hidden ones put beside what its private file holds.

    The selectors of before stay in the file, so that what was asked first can be read as long as the file is there.
    The caller holds :func:`filing`.
    """
    if not any(selector.field in HIDDEN for selector in request.selectors):
        return request
    path = _private_file(workspace, request.id)
    before = read_private(path, AskedFor).selectors if path.exists() else {}
    beside = json.loads(path.read_bytes()) if path.exists() else {}
    hidden = before | {workspace.keyed(s.value): s.value for s in request.selectors if s.field in HIDDEN}
    particulars = {name: value for name, value in beside.items() if name not in ("salt", "request", "selectors")}
    kept = _keep_private(workspace, request.id, {**particulars, "selectors": hidden})
    return replace(request, selectors=marked(workspace, request.selectors), particulars=kept)


def selectors_of(workspace: Workspace, request: RemovalRequest) -> tuple[Selector, ...]:
    """Return a request's selectors as the catalog takes them, hidden values read from the private file.

    Raises :class:`DisgorgeError` if that file was erased, for then nobody can say any more what was asked for, if it is
    damaged, or if it names others than the request's marks do.
    """
    if not any(selector.field in HIDDEN for selector in request.selectors):
        return request.selectors
    path = _private_file(workspace, request.id)
    if is_erased(workspace, request):
        raise DisgorgeError(
            f"the private file of request {request.id} was erased, and with it which items were meant; close it with "
            f"`disgorge request deny {request.id} --reason other`, and file it again"
        )
    values = read_private(path, AskedFor).selectors
    hidden = [selector.value for selector in request.selectors if selector.field in HIDDEN]
    if any(mark not in values or workspace.keyed(values[mark]) != mark for mark in hidden):
        raise DisgorgeError(
            f"{path}: is not the private file of request {request.id}; restore it from a backup of the private folder"
        )
    return tuple(Selector(s.field, values[s.value]) if s.field in HIDDEN else s for s in request.selectors)


def is_erased(workspace: Workspace, request: RemovalRequest) -> bool:
    """Whether a request's hidden selectors are gone with its private file."""
    hidden = any(selector.field in HIDDEN for selector in request.selectors)
    return hidden and not _private_file(workspace, request.id).exists()


def erase_particulars(workspace: Workspace, request_id: str) -> bool:
    """Delete the private file of a request; the chain of facts does not notice. Returns whether there was one."""
    path = _private_file(workspace, request_id)
    with filing(workspace):
        remove_asides(path.parent)
        if not path.exists():
            return False
        path.unlink()
    return True


def private_file(workspace: Workspace, folder: str, request_id: str) -> Path:
    """Return where something private about a request lies, in a folder of ``private``; the name says no id."""
    return workspace.home / "private" / folder / f"{hashlib.sha256(request_id.encode()).hexdigest()[:32]}.json"


def _private_file(workspace: Workspace, request_id: str) -> Path:
    return private_file(workspace, "requests", request_id)


def _keep_private(workspace: Workspace, request_id: str, particulars: Mapping[str, Any]) -> str:
    salt = secrets.token_hex(16)
    body = json.dumps({"salt": salt, "request": request_id, **particulars}, ensure_ascii=False).encode()
    path = _private_file(workspace, request_id)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    remove_asides(path.parent)
    write_atomically(path, body, mode=0o600)  # over what a filing that was killed before its fact may have left
    return hashlib.sha256(body).hexdigest()
