"""Recording events of a request after it was filed, with their days and the facts they bring.

An event is one fact of the ledger, ``request-event``: the request, the kind, the day on which it happened, the
pseudonym of who recorded it, and facts. It holds no personal data. The decision made before is outdated from then on:
nothing is planned, approved, extended or carried out until `disgorge request decide` made it again. Where that says the
same as before, the plan and its approvals stand (a fact ``decision-confirmed``); where it does not, they do not.

Negative consequence: an event in the middle of an execution stops it before its next step, also one that changes
nothing, until the request is decided again.
"""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from disgorge.errors import DisgorgeError
from disgorge.facts import RequestEventFact
from disgorge.request.case import Case, case_of
from lineage.workspace import Workspace
from policies.errors import BadRequest
from policies.events import Event, EventKind, first_day
from policies.packs.facts import plain_facts, regimes_of, require_regimes, typed_facts
from policies.packs.load import load_packs
from policies.packs.rules import Pack


def record_event(
    workspace: Workspace,
    request: str,
    kind: EventKind,
    *,
    on: dt.date | None = None,
    by: str,
    facts: Mapping[str, Any] | None = None,
    without_facts: Collection[str] = (),
    packs: Sequence[Pack] | None = None,
) -> Case:
    """Record that something happened in a request on a day, today by default; return the case as it is then.

    ``by`` is kept as a pseudonym. A closed request takes events too, as when recipients are told; they change nothing
    any more. Facts are of the names and types that ``packs`` declare, by default the shipped ones; ``without_facts``
    hold no more, or were mistaken. Raises
    :class:`DisgorgeError` for a day to come, one before receipt where that cannot be, and an event of no effect
    (``noted`` without a fact), and :class:`~policies.errors.BadRequest` for a fact or a regime that no pack knows.
    """
    case = case_of(workspace, request)
    on = on or workspace.today()
    if on > workspace.latest_today():
        raise DisgorgeError(f"{kind.value} on {on} lies after today, {workspace.today()}; give the day it happened")
    if kind.answers_request and on < case.request.received:
        raise DisgorgeError(
            f"{kind.value} on {on} lies before request {request} was received, {case.request.received}; give the day "
            f"it happened"
        )
    if kind is EventKind.NOTED and not facts and not without_facts:
        raise DisgorgeError("nothing to record: give a kind of event, or facts that became known")
    packs = load_packs() if packs is None else packs
    try:
        if facts:  # what a fact means is for the packs of the request to say
            require_regimes([case.request.regime], packs, ground=case.request.ground)
        typed = typed_facts(facts or {}, packs)
        if "also_under" in typed:
            require_regimes(regimes_of(case.request, typed), packs, ground=case.request.ground)
        event = Event(kind, on, typed | dict.fromkeys(_there(case, without_facts)))
        plain_facts(case.request.after([*case.events, event]))
    except BadRequest as problem:
        raise BadRequest(f"{problem}; the event is not recorded") from None
    workspace.ledger.record(RequestEventFact(request, kind, on, workspace.pseudonym(by), dict(event.facts)))
    return case_of(workspace, request)


def _there(case: Case, names: Collection[str]) -> Collection[str]:
    """Return these facts; :class:`~policies.errors.BadRequest` for one that the request does not have."""
    facts = case.request.after(case.events).facts
    if absent := sorted(set(names) - facts.keys()):
        there = ", ".join(facts) or "none"
        raise BadRequest(f"request {case.request.id} has no fact {absent[0]!r} to take out; it has {there}")
    return names


def told_of_extension(case: Case, today: dt.date) -> dt.date:
    """Return the day on which the requester was told of an extension: as recorded, else today."""
    return first_day(case.events, EventKind.EXTENSION_TOLD) or today
