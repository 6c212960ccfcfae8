"""Filing a request, and denying it without doing anything.

Personal particulars go to the private folder, from where they can be erased without touching the chain; the ledger
keeps a salted digest of them.
"""

import datetime as dt
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from disgorge.errors import DisgorgeError
from disgorge.facts import RequestClosedFact, RequestFact
from disgorge.request.case import open_case
from disgorge.request.holds.open import delete_private_lists
from disgorge.request.particulars import filing, kept_private
from disgorge.workspace_lock import turn
from lineage.records import Selector
from lineage.workspace import Workspace
from policies.packs.facts import regime_named, regimes_of, require_regimes, typed_facts
from policies.packs.load import load_packs
from policies.packs.rules import Pack
from policies.request import RemovalRequest, Standing
from policies.taxonomy import Defect


def file_request(
    workspace: Workspace,
    *,
    standing: Standing,
    ground: Defect,
    regime: str,
    selectors: Sequence[Selector],
    received: dt.date | None = None,
    identity_verified: bool = False,
    legal_hold: bool = False,
    facts: Mapping[str, Any] | None = None,
    particulars: Mapping[str, str] | None = None,
    request_id: str | None = None,
    packs: Sequence[Pack] | None = None,
) -> RemovalRequest:
    """Record a request and return it. A subject's selector must carry the pseudonym already.

    The values of :data:`HIDDEN` selectors go to the private file, and keyed marks of them into the ledger. ``packs``
    say which facts and regimes there are, and of what types; the shipped ones by default.

    ``received`` is today in the workspace's time zone by default, and may be any day that is today somewhere on earth.
    Raises :class:`~policies.errors.BadRequest` for a request that selects nothing, and for a fact or a regime that no
    pack knows, and :class:`DisgorgeError` for an id that is taken; nothing is written then.
    """
    today = workspace.today()
    received = received or today
    require_arrived(workspace, received)
    request = RemovalRequest(
        id=request_id or f"R-{today:%Y%m%d}-{secrets.token_hex(3)}",
        standing=standing,
        ground=ground,
        regime=regime,
        selectors=tuple(selectors),
        received=received,
        identity_verified=identity_verified,
        legal_hold=legal_hold,
        facts=dict(facts or {}),
    )
    request = understood(request, packs)
    with filing(workspace):
        if any(filed.request.id == request.id for _, filed in workspace.ledger.said(RequestFact)):
            raise DisgorgeError(
                f"request {request.id} exists, and its id stays taken however it ended; correct it with `disgorge "
                f"request amend {request.id}` while it is open, or leave the id out to get a new one"
            )
        request = kept_private(workspace, request, particulars or {})
        workspace.ledger.record(RequestFact(request))
    return request


def require_arrived(workspace: Workspace, received: dt.date) -> None:
    """Raise :class:`DisgorgeError` for a day of receipt that is still to come everywhere on earth."""
    if received > workspace.latest_today():
        raise DisgorgeError(f"received {received} lies after today, {workspace.today()}; give the day it arrived")


def understood(request: RemovalRequest, packs: Sequence[Pack] | None) -> RemovalRequest:
    """Return a request with its facts as the packs declare them; :class:`~policies.errors.BadRequest` for others."""
    packs = load_packs() if packs is None else packs
    facts = typed_facts(request.facts, packs)
    first, *others = (regime_named(name, packs) for name in regimes_of(request, facts))
    require_regimes([first, *others], packs, ground=request.ground)
    return replace(request, regime=first, facts=facts | ({"also_under": ", ".join(others)} if others else {}))


def deny_request(workspace: Workspace, request_id: str, *, reason: str) -> None:
    """Close a request without doing anything, with a reason from the fixed list."""
    with turn(workspace, then="deny it again"):
        case = open_case(workspace, request_id)
        if case.partly_done:
            raise DisgorgeError(
                f"request {request_id} is carried out but for what is held, it can no longer be denied; plan the rest "
                f"when the hold ends"
            )
        if case.steps:
            raise DisgorgeError(f"request {request_id} is being carried out; resume it, it can no longer be denied")
        workspace.ledger.record(RequestClosedFact(request_id, "denied", reason=reason))
        delete_private_lists(workspace, case)
