"""Earlier requests for the same data: named when another one is filed, decided, shown or explained.

Selectors are compared as the ledger has them: a person is a pseudonym, a key or an item a keyed mark, the same each
time. So nothing private is read, the comparison outlives the erasure of particulars, and what is said names requests
and days only. Of open requests the live items are compared as well, where the selectors differ.

Nothing is refused because of it. Not found: a closed request that reached the same items by other selectors, for what
it removed is listed nowhere any more.
"""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from disgorge.errors import DisgorgeError
from disgorge.request.case import Case, docket
from disgorge.request.included import included_items
from disgorge.request.particulars import marked, selectors_of
from lineage.catalog.catalog import Catalog
from lineage.errors import LineageError
from lineage.plural import counted
from lineage.records import Selector
from lineage.workspace import Workspace


class Asks(StrEnum):
    """What an earlier request asks for, beside a later one."""

    SAME = "same"
    MORE = "more"
    PART = "part"
    ITEMS = "items"


@dataclass(frozen=True, slots=True)
class Earlier:
    """An earlier request for the same data, seen from a later one.

    ``state`` is where it stands, ``on`` the day it ended, None while it is open; ``why`` the reason of a refusal, or
    the request whose removal fulfilled it. ``items`` are those live items of the later one, ``of`` them all, that the
    earlier one selects too, where that was counted (:attr:`Asks.ITEMS`). ``live`` is how many items the later one
    selects now, None where that is not known or not asked.
    """

    request: str
    received: dt.date
    asks: Asks
    state: str
    on: dt.date | None = None
    why: str = ""
    items: int | None = None
    of: int | None = None
    live: int | None = None

    @property
    def contains(self) -> bool:
        """Whether it asks for all that the later one does."""
        return self.asks in (Asks.SAME, Asks.MORE) or (self.items is not None and self.items == self.of)

    @property
    def removed(self) -> bool:
        """Whether it is over and its data was removed."""
        return self.state in ("done", "fulfilled")

    @property
    def words(self) -> str:
        """What is known of it, in words."""
        what = {
            Asks.SAME: "the same data",
            Asks.MORE: "this data and more",
            Asks.PART: "a part of this data",
            Asks.ITEMS: self._items,
        }[self.asks]
        if self.on is None:
            return f"{self.request} of {self.received} asks for {what} and is open ({self.state})"
        ended = {
            "done": f"was carried out on {self.on}",
            "fulfilled": f"was fulfilled on {self.on} by the removal for {self.why}",
            "denied": f"was denied on {self.on} ({self.why})",
            "taken-back": f"was taken back on {self.on}",
        }.get(self.state, f"was closed on {self.on} ({self.state})")
        return f"{self.request} of {self.received} asked for {what} and {ended}{self._here}"

    @property
    def _items(self) -> str:
        if self.items is None or self.of is None:
            return ""
        if self.items < self.of:
            return f"{self.items:,} of the {counted(self.of, 'item')} too"
        return "this item too" if self.of == 1 else f"all {self.of:,} items too"

    @property
    def _here(self) -> str:
        if not self.removed or not self.contains or self.live is None:
            return ""
        if not self.live:
            return "; nothing that this request selects is live here now"
        return (
            "; 1 item that fits is live here now"
            if self.live == 1
            else f"; {self.live:,} items that fit are live here now"
        )


def earlier_requests(workspace: Workspace, request: str) -> tuple[Earlier, ...]:
    """Return the requests that were filed before this one and ask, or asked, for some of the same data.

    Items are counted while the request is open only.
    """
    cases = docket(workspace)
    mine = cases[request]
    others = list(cases.values())[: list(cases).index(request)]
    asked = {
        other.request.id: asks
        for other in others
        if (asks := _relation(mine.request.selectors, other.request.selectors)) is not None
    }
    unrelated = [other for other in others if other.request.id not in asked and not other.closed]
    if mine.closed or not (asked or unrelated):
        return tuple(_earlier(workspace, cases[name], asks) for name, asks in asked.items())
    shared: dict[str, int] = {}
    live: int | None = None
    try:
        with Catalog.of(workspace) as catalog:
            items = _live(workspace, catalog, mine)
            live = len(items)
            for other in unrelated if items else ():
                shared[other.request.id] = len(items & _live_if_known(workspace, catalog, other))
    except (DisgorgeError, LineageError):
        pass  # which items it means is not known any more: nothing is said of them
    return tuple(
        _earlier(workspace, other, asked[name], live=live)
        if name in asked
        else _earlier(workspace, other, Asks.ITEMS, items=shared[name], of=live, live=live)
        for other in others
        if (name := other.request.id) in asked or shared.get(name)
    )


def asked_before(workspace: Workspace, selectors: Sequence[Selector]) -> tuple[Earlier, ...]:
    """Return the requests, open or carried out, that ask for all that these selectors, not marked yet, select."""
    mine = marked(workspace, selectors)
    return tuple(
        _earlier(workspace, case, asks)
        for case in docket(workspace).values()
        if (asks := _relation(mine, case.request.selectors)) in (Asks.SAME, Asks.MORE)
        and case.closed not in ("denied", "taken-back")
    )


def _relation(mine: Sequence[Selector], theirs: Sequence[Selector]) -> Asks | None:
    """Return what other selectors ask for, None if they surely have no item in common or that is unknown.

    >>> ada, bob, scans = Selector("subject", "a"), Selector("subject", "b"), Selector("shard", "scans")
    >>> [str(_relation([ada], theirs)) for theirs in ([ada], [ada, bob], [ada, scans], [bob])]
    ['same', 'more', 'part', 'None']
    """
    if set(mine) == set(theirs):
        return Asks.SAME
    if _within(mine, theirs):
        return Asks.MORE
    return Asks.PART if _within(theirs, mine) else None


def _within(inner: Sequence[Selector], outer: Sequence[Selector]) -> bool:
    """Whether all that the inner selectors select is selected by the outer ones: fewer fields, or more values.

    A pseudonym alone, as requests were recorded that did not tell ids apart, selects every id that folds to it.
    """
    narrow, wide = _by_field(inner), _by_field(outer)
    whole = {field: {value for value in values if ":" not in value} for field, values in wide.items()}
    return bool(wide) and all(
        field in narrow
        and all(
            value in values or (field == "subject" and value.partition(":")[0] in whole[field])
            for value in narrow[field]
        )
        for field, values in wide.items()
    )


def _by_field(selectors: Sequence[Selector]) -> dict[str, set[str]]:
    fields: dict[str, set[str]] = {}
    for selector in selectors:
        fields.setdefault(selector.field, set()).add(selector.value)
    return fields


def _live(workspace: Workspace, catalog: Catalog, case: Case) -> frozenset[str]:
    selected = catalog.selected(selectors_of(workspace, case.request), also=included_items(workspace, case))
    return frozenset[str]().union(*selected.values())


def _live_if_known(workspace: Workspace, catalog: Catalog, case: Case) -> frozenset[str]:
    try:
        return _live(workspace, catalog, case)
    except (DisgorgeError, LineageError):
        return frozenset()


def _earlier(
    workspace: Workspace,
    case: Case,
    asks: Asks,
    *,
    items: int | None = None,
    of: int | None = None,
    live: int | None = None,
) -> Earlier:
    on = next((workspace.day_of(fact) for fact in reversed(case.facts) if fact.kind == "request-closed"), None)
    why = case.ending.reason or case.ending.by_request if case.ending else ""
    return Earlier(case.request.id, case.request.received, asks, case.state, on, why, items, of, live)


def said(earlier: Sequence[Earlier], case: Case) -> Iterator[str]:
    """Yield what earlier requests mean for a later one, in words, one line each; last the way on, while it is open."""
    yield from (each.words for each in earlier)
    way = "" if case.closed else _way_on(earlier, case)
    if way:
        yield way


def _way_on(earlier: Sequence[Earlier], case: Case) -> str:
    """Return what is to be done about a request that asks again, "" if it is a request as any other."""
    name, all_of_it = case.request.id, [each for each in earlier if each.contains]
    removed = next((each for each in all_of_it if each.removed), None)
    waiting = next((each for each in all_of_it if each.on is None), None)
    if by := case.covered_by:
        return f"once {by}, which removed it, is certified, `disgorge request close {name} --fulfilled-by {by}`"
    if removed is not None and removed.live == 0:
        undecided = case.decision is None and case.superseded is None
        first = f", once `disgorge request decide {name}` said what is owed with that, and by when" if undecided else ""
        return (
            f"answer with what was done for {removed.request}, and close this one with `disgorge request deny {name} "
            f"--reason no-match`{first}"
        )
    if waiting is not None and waiting.live != 0:
        return (
            f"once {waiting.request} has removed it and is certified, close this one with `disgorge request close "
            f"{name} --fulfilled-by {waiting.request}`"
        )
    return ""
