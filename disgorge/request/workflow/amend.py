"""Amendments: a request's facts, regime or day of receipt are corrected before it is carried out.

An amendment is one fact of the ledger, ``request-amended``, with the whole request as it is now; what it was before
stays where it was recorded. The decision and the plan rested on the old words, so both are made anew. Once execution
has begun nothing can be amended: items are withdrawn by then, under the words that were approved.

The id stays that of the request, so a mistake costs no new one, and who asked keeps the day of receipt.
"""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from disgorge.errors import DisgorgeError
from disgorge.facts import RequestAmendedFact, RequestFact
from disgorge.request.case import Case, open_case
from disgorge.request.holds.open import terms_on_all
from disgorge.request.included import forget_included
from disgorge.request.particulars import filing, kept_private_anew
from disgorge.request.workflow.filing import require_arrived, understood
from disgorge.workspace_lock import turn
from lineage.records import Json, Selector, plain
from lineage.workspace import Workspace
from policies.errors import BadRequest
from policies.events import fact_given_by
from policies.packs.facts import known_facts
from policies.packs.load import load_packs
from policies.packs.rules import Pack
from policies.request import RemovalRequest, Standing
from policies.taxonomy import Defect

KIND = "request-amended"


@dataclass(frozen=True, slots=True)
class Change:
    """One value that an amendment changed: on which day, what it was and is, and why if that was said."""

    on: str
    name: str
    before: Json
    after: Json
    because: str


def amend_request(
    workspace: Workspace,
    request_id: str,
    *,
    standing: Standing | None = None,
    ground: Defect | None = None,
    regime: str | None = None,
    selectors: Sequence[Selector] = (),
    received: dt.date | None = None,
    identity_verified: bool | None = None,
    facts: Mapping[str, Any] | None = None,
    without_facts: Collection[str] = (),
    because: str = "",
    packs: Sequence[Pack] | None = None,
) -> RemovalRequest:
    """Record what a request should have said, and return it as it is now; what is None or empty stays.

    ``selectors`` replace all there were. ``facts`` are set, ``without_facts`` taken out. Raises :class:`DisgorgeError`
    for a request that is closed or being carried out, and :class:`~policies.errors.BadRequest` for what filing would
    refuse, and for an amendment that changes nothing.
    """
    with turn(workspace, then="amend it again"), filing(workspace):
        case = open_case(workspace, request_id)
        _require_amendable(case, selectors)
        now = case.request
        given: dict[str, Any] = {
            "standing": standing, "ground": ground, "regime": regime, "received": received,
            "identity_verified": identity_verified,
        }  # fmt: skip
        if received is not None:
            require_arrived(workspace, received)
        _require_counts([*(facts or {}), *without_facts], case, received=received or now.received, given=facts or {})
        amended = replace(
            now,
            **{name: value for name, value in given.items() if value is not None},
            facts=_facts(now, facts or {}, without_facts),
        )
        _require_asked_for(amended, now, packs)
        amended = understood(amended, packs)
        if selectors:
            amended = kept_private_anew(workspace, replace(amended, selectors=tuple(selectors)))
        changed = sorted(each.name for each in fields(now) if getattr(now, each.name) != getattr(amended, each.name))
        if not set(changed) - {"particulars"}:
            raise BadRequest(f"request {request_id} says all that already; give what is to change")
        workspace.ledger.record(RequestAmendedFact(request_id, amended, tuple(changed), because))
        if "selectors" in changed:
            forget_included(workspace, case)
    return amended


def changes_of(case: Case) -> tuple[Change, ...]:
    """Return every value that amendments of a case changed, oldest first, each fact by its own name."""
    changes: list[Change] = []
    before: RemovalRequest | None = None
    for fact in case.facts:
        if fact.kind == RequestFact.kind_of_fact:
            before = RequestFact.read(fact).request
        elif fact.kind == RequestAmendedFact.kind_of_fact and before is not None:
            amendment = RequestAmendedFact.read(fact)
            after = amendment.amended
            old, new = _values(before), _values(after)
            changes += [
                Change(fact.at, name, old.get(name), new.get(name), amendment.because)
                for name in dict.fromkeys([*old, *new])
                if old.get(name) != new.get(name)
            ]
            before = after
    return tuple(changes)


def _require_amendable(case: Case, selectors: Sequence[Selector]) -> None:
    name = case.request.id
    if case.steps or case.withdrawn:
        raise DisgorgeError(
            f"request {name} is being carried out as it was approved and can no longer be amended; go on with "
            f"`disgorge request resume {name}`, and file a new request for what else must go"
        )
    if selectors and (held := "; ".join(terms.reason for terms in terms_on_all(case))):
        raise DisgorgeError(
            f"request {name} is on hold ({held}), and its selectors say which data that covers; end the hold first "
            f"(`disgorge request hold {name} --lift --reason TEXT`, or as `disgorge request show {name}` says), or "
            f"file a new request for the other data"
        )
    if selectors and case.overlaps:
        raise DisgorgeError(
            f"{case.overlaps[-1].by_request} removed items that request {name} selects, which is recorded with its "
            f"selectors; close it with `disgorge request deny {name} --reason filed-in-error`, and file a new one"
        )


def _require_asked_for(amended: RemovalRequest, now: RemovalRequest, packs: Sequence[Pack] | None) -> None:
    """Raise :class:`~policies.errors.BadRequest` for facts of before that no pack asks for, and say how they go."""
    declared = known_facts(load_packs() if packs is None else packs)
    stale = [name for name in now.facts if name in amended.facts and name not in declared]
    if stale:
        options = " ".join(f"--without-fact {name}" for name in stale)
        raise BadRequest(
            f"request {now.id} has the fact {', '.join(stale)}, which no pack given here asks for; take it out with "
            f"{options}, or give the packs that do (--packs)"
        )


def _require_counts(names: Collection[str], case: Case, *, received: dt.date, given: Collection[str]) -> None:
    """Raise :class:`~policies.errors.BadRequest` for facts that an event gives, whatever the request as filed says."""
    asked = case.request.id
    for name in names:
        said = fact_given_by(name, received, case.events, filed=name in given)
        if said is not None and said.facts[name] is not None:
            raise BadRequest(
                f"request {asked} has the fact {name} from the event {said.kind.value} of {said.on}, which counts over "
                f"what was filed; correct it with `disgorge request event {asked} --fact {name}=VALUE --by NAME`, or "
                f"take it out there with --without-fact {name}"
            )


def _facts(now: RemovalRequest, given: Mapping[str, Any], without: Collection[str]) -> dict[str, Any]:
    absent = sorted(name for name in without if name not in now.facts)
    if absent:
        there = ", ".join(now.facts) or "none"
        raise BadRequest(f"request {now.id} has no fact {absent[0]!r} to take out; it has {there}")
    return {name: value for name, value in {**now.facts, **given}.items() if name not in without}


def _values(request: RemovalRequest) -> dict[str, Json]:
    """Return a request's values by name, facts one by one; without the digest of its private file."""
    values = {name: value for name, value in plain(request).items() if name not in ("facts", "particulars", "id")}
    return values | {f"fact {name}": value for name, value in request.facts.items()}
