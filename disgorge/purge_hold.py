"""Keeping old weights and withdrawn items for a while after the release moved, until a day and for a reason.

A hold is one fact, ``purge-held``: the request, the day, the reason, and the pseudonym of who set it; a later one
replaces it, and one without a day releases it. While it holds, an execution stops before its purge, so there is no
certificate either: what is kept is not gone. The day itself is the first on which the purge may be carried out.

Other removals from the same releases go on meanwhile. Only where what is kept still holds their items, or learned from
them, does their purge wait too: an old shard with the items of both, an old part that saw both.

Negative consequence: a request on such a hold, or kept by one, stays open and can miss its deadline, which the audit
says.
"""

import datetime as dt
from collections.abc import Collection, Sequence
from math import inf

from disgorge.closure import by_digest, influences
from disgorge.docket import Case, begun_plan, case_of, docket
from disgorge.dvc_hashes import dvc_hashes
from disgorge.errors import AlreadyExecuted, DisgorgeError, PurgeHeld
from disgorge.particulars import is_erased, selectors_of
from disgorge.plan import Action
from disgorge.turn import turn
from lineage.catalog import Catalog
from lineage.forget_dvc import holds, made
from lineage.ledger import Ledger
from lineage.records import Selector
from lineage.shards import shard_rows
from lineage.state import state_of


def hold_purge(ledger: Ledger, request: str, *, until: dt.date, because: str, by: str) -> Case:
    """Record that the purge of a request waits until a day; returns the case as it is then.

    Raises :class:`DisgorgeError` for a day that is not to come, and :class:`AlreadyExecuted` once the purge is done.
    """
    if until <= ledger.now().date():
        raise DisgorgeError(f"{until} is not after today; give the first day on which {request} may be purged")
    return _record(ledger, request, until=until.isoformat(), because=because, by=by)


def release_purge(ledger: Ledger, request: str, *, because: str, by: str) -> Case:
    """End the hold on a request's purge at once; :class:`DisgorgeError` if there is none."""
    if case_of(ledger, request).purge_held is None:
        raise DisgorgeError(f"the purge of {request} is not on hold; carry it out with `disgorge purge run {request}`")
    return _record(ledger, request, until=None, because=because, by=by)


def _record(ledger: Ledger, request: str, *, until: str | None, because: str, by: str) -> Case:
    with turn(ledger, then="say it again"):
        case = case_of(ledger, request)
        if case.closed or is_purged(ledger, case):
            raise AlreadyExecuted(f"the old weights and items of {request} are gone already, or its request is closed")
        body = {"request": request, "until": until, "because": because, "by": ledger.pseudonym(by)}
        ledger.append("purge-held", body)
    return case_of(ledger, request)


def require_purge_due(case: Case, today: dt.date) -> None:
    """Raise :class:`PurgeHeld` while the purge of a request waits for a day to come."""
    if case.purge_held is not None and today < case.purge_held:
        raise PurgeHeld(
            f"request {case.request.id}: everything is done but the purge, which is on hold until {case.purge_held} "
            f"({case.purge_reason}); the old weights and items are kept until then, nothing is certified before, go on "
            f"with `disgorge purge run {case.request.id}`"
        )


def is_kept(ledger: Ledger, case: Case) -> bool:
    """Whether all but the purge of a request is done, and the purge waits for a day to come."""
    return case.purge_held is not None and ledger.now().date() < case.purge_held and is_unpurged(ledger, case)


def is_unpurged(ledger: Ledger, case: Case) -> bool:
    """Whether a request is open and comes to its purge next, on hold or not."""
    return not case.closed and bool(case.steps.get(case.plan or "")) and _next(ledger, case) is Action.PURGE


def require_nothing_kept(ledger: Ledger, case: Case, items: frozenset[str]) -> None:
    """Raise :class:`PurgeHeld` while another request has yet to purge these items, or old weights of them.

    Items that this request selects as well, and the other withdrew before, count as these.
    """
    for other in docket(ledger).values():
        if other.request.id == case.request.id or not is_unpurged(ledger, other):
            continue
        shards, objects = _targets(ledger, other)
        tables = [place(shard) for shard in shards for place in (ledger.manifest_path, ledger.content_path)]
        with Catalog.of(ledger) as catalog:
            known = by_digest(catalog.components(live=False))
        retired = [component for digest in objects for component in known.get(digest, ())]
        learned = influences(retired, known) & case.withdrawn.keys()
        if learned or any(path.is_file() and holds(path, items) for path in tables):
            what = "old weights that learned from its items" if learned else "old shards that hold its items"
        elif is_erased(ledger, case.request):
            if not _began(other) < _began(case):
                continue  # what went from them later was live when this one looked for it
            what = "old shards, and what it selected is erased, so nobody can say whether they hold it"
        elif _select_any(ledger, selectors_of(ledger, case.request), shards):
            what = "old shards that hold its items"
        else:
            continue
        raise PurgeHeld(
            f"request {case.request.id}: everything is done but the purge; {other.request.id} keeps {what}"
            f"{_until(other)}; nothing is certified before, go on with `disgorge purge run {other.request.id}` and "
            f"then `disgorge purge run {case.request.id}`"
        )


def keepers(ledger: Ledger, selectors: Sequence[Selector]) -> tuple[str, ...]:
    """Return in words which open requests have yet to purge old shards that hold items that these select.

    Such items are live nowhere any more, so a new request for them finds nothing; they are here all the same.
    """
    others = [other for other in docket(ledger).values() if is_unpurged(ledger, other)]
    return tuple(
        f"old shards that request {other.request.id} keeps{_until(other)} hold items that it selects; "
        f"`disgorge purge run {other.request.id}` deletes them"
        for other in others
        if _select_any(ledger, selectors, _targets(ledger, other)[0])
    )


def require_nothing_made_kept(ledger: Ledger, case: Case, *, shards: Collection[str], objects: Collection[str]) -> None:
    """Raise :class:`PurgeHeld` while another request's hold keeps what a stage of DVC made of these and of its own."""
    held = [
        other for other in docket(ledger).values() if other.request.id != case.request.id and is_kept(ledger, other)
    ]
    mine = _made(ledger, shards, objects) if held else frozenset()
    for other in held if mine else ():
        if mine & _made(ledger, *_targets(ledger, other)):
            raise PurgeHeld(
                f"request {case.request.id}: everything is done but the purge; {other.request.id} keeps what DVC made "
                f"of the items of both{_until(other)}; nothing is certified before, go on with `disgorge purge run "
                f"{other.request.id}` and then `disgorge purge run {case.request.id}`"
            )


def _targets(ledger: Ledger, case: Case) -> tuple[list[str], list[str]]:
    """Return the shards and the objects, by digest, that a case's last plan purges."""
    purges = [step.detail for step in begun_plan(ledger, str(case.plan)).steps if step.action is Action.PURGE]
    shards, objects = ([digest for detail in purges for digest in detail[kind]] for kind in ("shards", "objects"))
    return shards, objects


def _began(case: Case) -> float:
    """Return the place in the ledger from which on a request withdrew items; beyond all of it if it withdrew none."""
    return min((fact.seq for fact in case.facts if fact.kind == "shard-withdrawn"), default=inf)


def _until(case: Case) -> str:
    return f" until {case.purge_held} ({case.purge_reason})" if case.purge_held else ""


def _made(ledger: Ledger, shards: Collection[str], objects: Collection[str]) -> frozenset[str]:
    hashes = dvc_hashes(ledger, shards=shards, objects=objects)
    return made(ledger.workspace, hashes.erased, made=hashes.made, live=hashes.live)


def _select_any(ledger: Ledger, selectors: Sequence[Selector], shards: Collection[str]) -> bool:
    return any(_selects(ledger, selectors, shard) for shard in shards)


def _selects(ledger: Ledger, selectors: Sequence[Selector], shard: str) -> bool:
    """Whether an old shard still has items that these select, though they may be live nowhere any more."""
    if not ledger.manifest_path(shard).is_file():
        return False
    record = next(e.record for e in state_of(ledger.facts()).shards.values() if e.record.digest == shard)
    wanted: dict[str, set[str]] = {}
    for selector in selectors:
        wanted.setdefault(selector.field, set()).add(selector.value)
    if "shard" in wanted and wanted.pop("shard").isdisjoint({record.name, record.digest}):
        return False
    return any(
        all(found[field] in values for field, values in wanted.items())
        for found in (
            {
                "item": row.digest,
                "key": row.key,
                "subject": row.subject,
                "source": row.source or record.source,
                "license": row.license or record.license,
            }
            for row in shard_rows(ledger, shard)
        )
    )


def is_purged(ledger: Ledger, case: Case) -> bool:
    """Whether the purge of the last plan is done."""
    return bool(case.plan) and _next(ledger, case) in (Action.REPORT, None)


def waiting(ledger: Ledger) -> dict[str, Case]:
    """Return the open requests that come to their purge, or their report, next; on hold or not."""
    open_cases = {name: case for name, case in docket(ledger).items() if not case.closed and case.hold is None}
    return {name: case for name, case in open_cases.items() if _waits(ledger, case)}


def due(ledger: Ledger) -> dict[str, Case]:
    """Return those of :func:`waiting` that are on no hold, or whose day has come."""
    today = ledger.now().date()
    return {n: case for n, case in waiting(ledger).items() if case.purge_held is None or case.purge_held <= today}


def is_ahead(ledger: Ledger, request: str) -> bool:
    """Whether a request is open and planned, and its purge is still to come. Errors as of ``case_of``."""
    case = case_of(ledger, request)
    return not case.closed and bool(case.plan) and not is_purged(ledger, case)


def _waits(ledger: Ledger, case: Case) -> bool:
    return bool(case.steps.get(case.plan or "")) and _next(ledger, case) in (Action.PURGE, Action.REPORT)


def _next(ledger: Ledger, case: Case) -> Action | None:
    """Return the first action of the last plan that is not done."""
    done = case.steps.get(case.plan or "", {})
    steps = begun_plan(ledger, str(case.plan)).steps if case.plan else ()
    return next((step.action for step in steps if step.id not in done), None)
