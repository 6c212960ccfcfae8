"""The private part of a request: particulars, and selectors that identify content.

They go to one private file per request, from where they can be erased without touching the chain of facts; the ledger
keeps a salted digest of the file and keyed marks of the selectors. The cost: erasing the file of an open request
that selects by item or key loses what was asked for, so it has to be filed again.
"""

import secrets
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

from disgorge.errors import DisgorgeError
from lineage.lock import locked
from lineage.private_files import REQUESTS, RequestParticulars, name_of
from lineage.records import Selector
from lineage.storage.objects import remove_asides
from lineage.workspace import Workspace
from policies.request import RemovalRequest

HIDDEN = ("item", "key")
"""Selectors whose value identifies content or may name a person: the ledger gets a keyed mark, the rest is private."""


_PATIENCE = 60.0
"""Seconds to wait for others who file: each takes milliseconds, and a thousand may be at it."""


def filing(workspace: Workspace) -> AbstractContextManager[None]:
    """Exclusive lock for filing and erasing, so that an id that was free stays free."""
    busy = "others are filing requests in this workspace; do it again in a moment"
    return locked(workspace.home / "filing.lock", seconds=_PATIENCE, busy=busy)


def marked(workspace: Workspace, selectors: Sequence[Selector]) -> tuple[Selector, ...]:
    """Return selectors as the ledger keeps them: hidden values by their keyed marks."""
    return tuple(Selector(s.field, workspace.private.keyed(s.value)) if s.field in HIDDEN else s for s in selectors)


def kept_private(workspace: Workspace, request: RemovalRequest, particulars: Mapping[str, str]) -> RemovalRequest:
    """Put particulars and hidden selectors into the private file, and return the request with what refers to it.

    The caller holds :func:`filing`.
    """
    hidden = {workspace.private.keyed(s.value): s.value for s in request.selectors if s.field in HIDDEN}
    if not particulars and not hidden:
        return request
    digest = _keep_private(workspace, request.id, hidden, particulars)
    return replace(request, selectors=marked(workspace, request.selectors), particulars=digest)


def kept_private_anew(workspace: Workspace, request: RemovalRequest) -> RemovalRequest:
    """Return an amended request with its selectors marked, hidden ones put beside what its private file holds.

    The selectors of before stay in the file, so that what was asked first can be read as long as the file is there.
    The caller holds :func:`filing`.
    """
    if not any(selector.field in HIDDEN for selector in request.selectors):
        return request
    before = REQUESTS.read(workspace, name_of(request.id))
    hidden = {workspace.private.keyed(s.value): s.value for s in request.selectors if s.field in HIDDEN}
    if before is not None:
        hidden = before.selectors | hidden
    digest = _keep_private(workspace, request.id, hidden, before.particulars if before is not None else {})
    return replace(request, selectors=marked(workspace, request.selectors), particulars=digest)


def selectors_of(workspace: Workspace, request: RemovalRequest) -> tuple[Selector, ...]:
    """Return a request's selectors as the catalog takes them, hidden values read from the private file.

    Raises :class:`DisgorgeError` if that file was erased, for then what was asked for is unknown, if it is
    damaged, or if it names others than the request's marks do.
    """
    if not any(selector.field in HIDDEN for selector in request.selectors):
        return request.selectors
    stored = REQUESTS.read(workspace, name_of(request.id))
    if stored is None:
        raise DisgorgeError(
            f"the private file of request {request.id} was erased, and with it which items were meant; close it with "
            f"`disgorge request deny {request.id} --reason other`, and file it again"
        )
    values = stored.selectors
    hidden = [selector.value for selector in request.selectors if selector.field in HIDDEN]
    if any(mark not in values or workspace.private.keyed(values[mark]) != mark for mark in hidden):
        raise DisgorgeError(
            f"{REQUESTS.path(workspace, name_of(request.id))}: is not the private file of request {request.id}; "
            f"restore it from a backup of the private folder"
        )
    return tuple(Selector(s.field, values[s.value]) if s.field in HIDDEN else s for s in request.selectors)


def is_erased(workspace: Workspace, request: RemovalRequest) -> bool:
    """Whether a request's hidden selectors are gone with its private file."""
    hidden = any(selector.field in HIDDEN for selector in request.selectors)
    return hidden and not REQUESTS.path(workspace, name_of(request.id)).exists()


def erase_particulars(workspace: Workspace, request_id: str) -> bool:
    """Delete the private file of a request; the chain of facts does not notice. Returns whether there was one."""
    with filing(workspace):
        return REQUESTS.erase(workspace, name_of(request_id))


def _keep_private(
    workspace: Workspace, request_id: str, hidden: Mapping[str, str], particulars: Mapping[str, str]
) -> str:
    """Write a request's private file, over what a filing that was killed before its fact may have left."""
    remove_asides(REQUESTS.path(workspace).parent)
    stored = RequestParticulars(request_id, secrets.token_hex(16), dict(hidden), dict(particulars))
    return REQUESTS.write(workspace, stored, name_of(request_id))
