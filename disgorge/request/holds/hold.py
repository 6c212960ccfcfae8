"""Putting holds on, and lifting them: on a whole request, or on some of the items there are.

A hold is one fact, ``hold``: the request, why, who said so (a pseudonym), until which day, which items, and whether the
models that learned from them go on serving. Keys and item digests go to a private file, marks of them into the fact, as
with a request's selectors. Lifting appends another fact; nothing is taken out.

An execution that runs meanwhile stops before its next step that takes something away.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace

from disgorge.errors import DisgorgeError
from disgorge.facts import HoldFact
from disgorge.request.case import DECIDED, Case, HoldTerms, case_of, open_case
from disgorge.request.holds.held_items import Coverage
from disgorge.request.holds.open import Hold, forget_hidden, open_holds
from disgorge.request.particulars import HIDDEN, filing, marked
from lineage.catalog.catalog import Catalog
from lineage.private_files import HOLDS, HeldItems, name_of
from lineage.records import Selector
from lineage.workspace import Workspace

SERVING = ("keep", "stop")
"""What may be decided about models that learned from held items: they go on serving, or are taken out of service, which
:func:`~disgorge.release.serving.settle` does."""


def hold_request(
    workspace: Workspace,
    request_id: str,
    *,
    on: bool,
    reason: str,
    by: str | None = None,
    until: dt.date | None = None,
    serving: str | None = None,
    selectors: Sequence[Selector] = (),
    held_by: str | None = None,
    held_for: str | None = None,
) -> tuple[Hold, ...]:
    """Put a hold on, or lift it, and return the request's open holds as they are then.

    Without ``selectors`` and ``held_by`` it is on all that the request selects; ``held_by`` leaves out what another
    request holds. What was said of serving by a hold on the same items stays where ``serving`` says nothing. ``by`` is
    kept as a pseudonym; ``until`` is the first day on which it no longer holds. A closed
    request's hold can still be lifted. One put on for another reason stands beside those there are, and each ends by
    itself: ``held_for`` is the reason of the one to lift where there are several; for the same reason its terms are
    said anew. Raises :class:`DisgorgeError` for a hold on items that covers none, and where there is no such hold to
    lift.
    """
    case = open_case(workspace, request_id) if on else case_of(workspace, request_id)
    terms = HoldTerms(reason, None, until, serving, marked(workspace, selectors), held_by)
    who = None if by is None else workspace.pseudonym(by)
    said = HoldFact(request_id, on, reason, by=who, selectors=terms.selectors, held_by=held_by)
    if not on:
        _require_such(case, terms)
        _require_one(case, terms, held_for)
        workspace.ledger.record(replace(said, of=held_for))
        case = case_of(workspace, request_id)
        forget_hidden(workspace, case, over=bool(case.closed))
        return open_holds(case)
    if until is not None and until <= workspace.today():
        raise DisgorgeError(f"{until} is not after today; give the first day on which the hold no longer binds")
    said = replace(said, until=until, serving=serving or _said_before(case, terms))
    if held_by is not None:
        _require_holder(workspace, case, held_by)
    elif terms.is_partial:
        said = replace(said, items=_count(workspace, case, selectors))
    with filing(workspace):
        _keep(workspace, request_id, terms.selectors, selectors)
        workspace.ledger.record(said)
    return open_holds(case_of(workspace, request_id))


def count_held(workspace: Workspace, hold: Hold) -> int | None:
    """Return how many different items and artifacts a hold covers now, None where that is not known any more."""
    with Coverage(workspace) as coverage:
        items, unknown = coverage.covered(hold)
        return None if unknown else len(items)


def releases_that_learned(workspace: Workspace, hold: Hold) -> tuple[str, ...]:
    """Return the live releases with a component that learned from what a hold covers, by name and alias."""
    with Coverage(workspace) as coverage:
        items, _ = coverage.covered(hold)
    with Catalog.anew(workspace) as catalog:
        named = [Selector("item", item) for item in sorted(items)]
        hit = catalog.impact(named, artifacts=items).releases if items else ()
    return tuple(f"{each.release.name}@{each.release.alias}" for each in hit if not each.release.contained)


def _require_such(case: Case, terms: HoldTerms) -> None:
    """Raise :class:`DisgorgeError` where there is no hold to lift."""
    name = case.request.id
    if terms.is_partial:
        if not any(each.covers_the_same(terms) for each in case.item_holds):
            raise DisgorgeError(
                f"request {name} has no hold on just these items; `disgorge request show {name}` lists its holds"
            )
        return
    if any(not hold.terms.is_partial for hold in open_holds(case)):
        return
    if case.item_holds:
        raise DisgorgeError(
            f"request {name} is not on hold as a whole, some of its items are; lift that with the options it was put "
            f"on with (--key, --shard, --item, --artifact or --held-by), `disgorge request show {name}` lists them"
        )
    raise DisgorgeError(f"request {name} is not on hold, so there is nothing to lift; `disgorge request show {name}`")


def _require_one(case: Case, terms: HoldTerms, held_for: str | None) -> None:
    """Raise :class:`DisgorgeError` if it is ambiguous which hold is lifted, or none has that reason.

    What packs decided on hold ends when the request is decided anew, or is closed and lifted.
    """
    there = [
        hold
        for hold in open_holds(case)
        if hold.terms.covers_the_same(terms) and (case.closed or not hold.terms.reason.startswith(DECIDED))
    ]
    reasons = [hold.terms.reason for hold in there]
    if held_for is not None and held_for not in reasons:
        raise DisgorgeError(
            f"request {case.request.id} has no hold for {held_for!r} to lift; there are "
            f"{', '.join(map(repr, reasons)) or 'none'}"
        )
    if held_for is None and len(there) > 1:
        raise DisgorgeError(
            f"{len(there)} holds are on the same items of request {case.request.id} "
            f"({'; '.join(hold.words for hold in there)}), and each ends by itself: say which with --held-for REASON"
        )


def _said_before(case: Case, terms: HoldTerms) -> str | None:
    """Return what the open hold on the same items says of serving, None if nothing or there is none."""
    if not terms.is_partial:
        return case.terms.serving if case.terms is not None else None
    return next((each.serving for each in case.item_holds if each.covers_the_same(terms)), None)


def _require_holder(workspace: Workspace, case: Case, held_by: str) -> None:
    """Raise :class:`DisgorgeError` unless another request has an open hold whose items can be left out."""
    other = case_of(workspace, held_by)
    if held_by == case.request.id or not any(hold.terms.held_by is None for hold in open_holds(other)):
        raise DisgorgeError(
            f"request {held_by} holds nothing that {case.request.id} could leave out; `disgorge request show "
            f"{held_by}` lists its holds"
        )


def _count(workspace: Workspace, case: Case, selectors: Sequence[Selector]) -> int:
    """Return how many different items and artifacts a new hold covers; :class:`DisgorgeError` if it is none."""
    with Coverage(workspace) as coverage:
        count = len(coverage.selected(selectors))
    if not count:
        fields = ", ".join(sorted({selector.field for selector in selectors}))
        raise DisgorgeError(
            f"no item or artifact has all that the hold on {case.request.id} selects by ({fields}); correct it, "
            "nothing was put on hold"
        )
    return count


def _keep(workspace: Workspace, request_id: str, marked: Sequence[Selector], selectors: Sequence[Selector]) -> None:
    """Add hidden selectors of a hold to the request's private file of them."""
    hidden = {m.value: s.value for m, s in zip(marked, selectors, strict=True) if s.field in HIDDEN}
    if not hidden:
        return
    stored = HOLDS.read(workspace, name_of(request_id))
    HOLDS.write(workspace, HeldItems((stored.selectors if stored else {}) | hidden), name_of(request_id))
