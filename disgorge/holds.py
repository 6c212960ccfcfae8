"""Open holds, which items each covers, and which removals they stop.

A hold binds data. A request is under one because a person put it there (``disgorge request hold``), because it was
filed so or its fact ``legal_hold`` says so, or because its packs decided *on hold*; some of a request's items can be
held alone. Closing a request ends none of these: only lifting, the hold's own day, or a decision made anew does.

What a hold covers is found anew each time it is asked: the items that its selectors pick, in live shards and in
withdrawn ones that are not purged yet, by digest, so that copies with the same bytes count. A selector that names a
shard by its digest also means the shards cut from it since.

Where that cannot be found any more, because a private file is erased or damaged, the hold counts as covering all that
its other selectors allow, everything if it has no others. Negative consequence: such a hold stops removals that it was
never meant to stop, until the file is restored or the hold is lifted.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from disgorge.docket import Case, HoldTerms, docket
from disgorge.errors import DataHeld, DisgorgeError
from disgorge.forget_list import forgotten
from disgorge.near_review import included_items
from disgorge.particulars import HIDDEN, is_erased, private_file, selectors_of
from disgorge.private_json import HeldItems, read_private
from disgorge.selecting import selected_items
from lineage.catalog import Catalog
from lineage.counted import counted
from lineage.errors import LineageError
from lineage.ledger import Ledger
from lineage.records import Selector, Shard
from lineage.shards import shard_rows
from lineage.state import state_of
from policies import held
from policies.taxonomy import Outcome


@dataclass(frozen=True, slots=True)
class Hold:
    """One open hold of a request; ``terms.is_partial`` if it covers items that were named for it."""

    request: str
    terms: HoldTerms

    @property
    def words(self) -> str:
        """Why it is there, and until when."""
        return f"{self.terms.reason}{f', until {self.terms.until}' if self.terms.until else ''}"


@dataclass(frozen=True, slots=True)
class Reach:
    """What a hold covers: by selectors, None for everything, and by digest; ``unknown`` says why it is not known."""

    selectors: tuple[Selector, ...] | None
    also: frozenset[str] = frozenset()
    unknown: str = ""


@dataclass(frozen=True, slots=True)
class Overlap:
    """That a hold covers ``items`` of ``of`` items; ``unknown`` says why they are only counted as covered."""

    hold: Hold
    items: int
    of: int
    unknown: str = ""

    @property
    def words(self) -> str:
        """The overlap in words."""
        if self.unknown:
            return (
                f"request {self.hold.request} is under a hold ({self.hold.words}), and which items that covers is not "
                f"known ({self.unknown}): {self.items:,} of {counted(self.of, 'item')} count as held"
            )
        return f"request {self.hold.request} holds {self.items:,} of {counted(self.of, 'item')} ({self.hold.words})"


def open_holds(case: Case) -> tuple[Hold, ...]:
    """Return the holds that a request's data is under, as of the day the docket was read."""
    name = case.request.id
    return tuple(Hold(name, terms) for terms in (*_of_all(case), *case.item_holds))


def holds_all(case: Case) -> str | None:
    """Return why all that a request selects is held, None if it is not; what waits for others alone does not hold."""
    return next((terms.reason for terms in _of_all(case)), None)


def _of_all(case: Case) -> Iterator[HoldTerms]:
    if case.closed in ("done", "fulfilled"):
        return
    if case.hold is not None:
        yield case.terms or HoldTerms(case.hold)
    if case.judged.legal_hold or case.judged.facts.get("legal_hold") is True:
        yield HoldTerms("filed under a legal hold", fact=case.facts[0].seq if case.facts else 0)
    decision = case.decision
    if decision is None or decision.outcome is not Outcome.ON_HOLD or (case.closed and case.lifted):
        return
    own = held.holding_reasons(decision)
    decided = [said for said in own if (said.pack, said.rule) != (held.PACK, held.LEGAL_HOLD)]
    if decided:
        yield HoldTerms(f"decided on hold by {', '.join(f'{said.pack}/{said.rule}' for said in decided)}")
    elif not own and not held.waits_for_others(decision):
        yield HoldTerms(f"decided on hold as {decision.category}")


def reach_of(ledger: Ledger, cases: Mapping[str, Case], hold: Hold) -> tuple[Reach, ...]:
    """Return what a hold covers; several where it covers what another request holds."""
    case = cases[hold.request]
    if hold.terms.held_by is not None:
        other = cases.get(hold.terms.held_by)
        found = [each for each in open_holds(other) if each.terms.held_by is None] if other is not None else []
        return tuple(reach for each in found for reach in reach_of(ledger, cases, each))
    recorded = hold.terms.selectors or case.request.selectors
    try:
        if hold.terms.selectors:
            return (Reach(_named_selectors(ledger, hold)),)
        return (Reach(selectors_of(ledger, case.request), frozenset(included_items(ledger, case))),)
    except (DisgorgeError, LineageError) as problem:
        left = tuple(selector for selector in recorded if selector.field not in HIDDEN)
        erased = not hold.terms.selectors and is_erased(ledger, case.request)
        why = "its private file was erased" if erased else str(problem).partition(",")[0]
        return (Reach(None if case.included else left or None, unknown=why),)


def _named_selectors(ledger: Ledger, hold: Hold) -> tuple[Selector, ...]:
    """Return the selectors of a hold on some items, hidden values read from the private file."""
    marked = hold.terms.selectors
    if not any(selector.field in HIDDEN for selector in marked):
        return marked
    path = hold_file(ledger, hold.request)
    values = read_private(path, HeldItems).selectors
    if any(s.field in HIDDEN and (s.value not in values or ledger.keyed(values[s.value]) != s.value) for s in marked):
        raise DisgorgeError(f"{path}: does not hold what was held, restore it from a backup of the private folder")
    return tuple(Selector(s.field, values[s.value]) if s.field in HIDDEN else s for s in marked)


def hold_file(ledger: Ledger, request: str) -> Path:
    """Return where the hidden selectors of a request's holds on items lie."""
    return private_file(ledger, "holds", request)


class Coverage:
    """Finds what holds cover: shards and manifests are read once. Close it, or use it in a ``with`` block."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.cases = docket(ledger)
        self._shards = list(state_of(ledger.facts()).shards.values())
        self._catalog: Catalog | None = None

    def __enter__(self) -> "Coverage":
        return self

    def __exit__(self, *_: object) -> None:
        if self._catalog is not None:
            self._catalog.close()

    def items(self, hold: Hold, among: Collection[str]) -> tuple[frozenset[str], str]:
        """Return which of these items a hold covers, and why that is not known, "" where it is."""
        found: frozenset[str] = frozenset()
        unknown = ""
        for reach in reach_of(self.ledger, self.cases, hold):
            found |= self._covered(reach).intersection(among) if reach.selectors is not None else frozenset(among)
            unknown = unknown or reach.unknown
        return found, unknown

    def covered(self, hold: Hold) -> tuple[frozenset[str], str]:
        """Return every item that a hold covers and is here, and why that is not known, "" where it is."""
        found: frozenset[str] = frozenset()
        unknown = ""
        for reach in reach_of(self.ledger, self.cases, hold):
            found |= self._covered(reach) if reach.selectors is not None else frozenset()
            unknown = unknown or reach.unknown
        return found, unknown

    def selected(self, selectors: Sequence[Selector]) -> frozenset[str]:
        """Return the items that these selectors pick, in live shards and in those not purged yet."""
        return self._covered(Reach(tuple(selectors)))

    def own(self, case: Case, among: Collection[str]) -> frozenset[str]:
        """Return which of these items a request's own holds on items cover."""
        holds = [hold for hold in open_holds(self.cases.get(case.request.id, case)) if hold.terms.is_partial]
        return frozenset(item for hold in holds for item in self.items(hold, among)[0])

    def overlaps(self, request: str, among: Collection[str]) -> tuple[Overlap, ...]:
        """Return which holds of other requests cover some of these items."""
        found = []
        for case in self.cases.values():
            for hold in open_holds(case) if case.request.id != request else ():
                if hold.terms.held_by is not None:
                    continue  # that other request's own holds say the same
                items, unknown = self.items(hold, among)
                if items:
                    found.append(Overlap(hold, len(items), len(frozenset(among)), unknown))
        return tuple(found)

    def _covered(self, reach: Reach) -> frozenset[str]:
        selectors = with_cuts(reach.selectors or (), [entry.record for entry in self._shards])
        if self._catalog is None:
            self._catalog = Catalog.anew(self.ledger)
        live = self._catalog.selected(selectors, also=reach.also)
        found = reach.also.union(*live.values())
        for entry in self._shards:
            if not entry.live and self.ledger.manifest_path(entry.record.digest).is_file():
                found |= selected_items([(entry.record, shard_rows(self.ledger, entry.record.digest))], selectors)
        return found


def with_cuts(selectors: Sequence[Selector], shards: Collection[Shard]) -> tuple[Selector, ...]:
    """Return selectors with those that name a shard by its digest meaning the shards cut from it, too."""
    found = list(selectors)
    for selector in found:
        if selector.field == "shard":
            cut = (Selector("shard", shard.digest) for shard in shards if shard.derived_from == selector.value)
            found += [each for each in cut if each not in found]
    return tuple(found)


def held_out(ledger: Ledger, case: Case, among: Collection[str]) -> frozenset[str]:
    """Return which of these items a request leaves out because its own holds cover them."""
    if not case.item_holds or not among:
        return frozenset()
    with Coverage(ledger) as coverage:
        return coverage.own(case, among)


def overlaps(ledger: Ledger, request: str, among: Collection[str]) -> tuple[Overlap, ...]:
    """Return which open holds of other requests cover some of these items."""
    if not among or not any(open_holds(each) for each in docket(ledger).values() if each.request.id != request):
        return ()
    with Coverage(ledger) as coverage:
        return coverage.overlaps(request, among)


def require_unheld(ledger: Ledger, case: Case, among: Collection[str], *, before: str) -> None:
    """Raise :class:`DataHeld` if an open hold of another request, or one of its own, covers some of these items.

    ``among`` are the items that would be destroyed; ``before`` says what is not done.
    """
    name = case.request.id
    if found := overlaps(ledger, name, among):
        raise DataHeld(
            f"request {name} stops before {before}, and nothing is deleted: "
            f"{'; '.join(each.words for each in found)}; {way_on(name, found)}"
        )
    if own := held_out(ledger, case, among):
        raise DataHeld(
            f"request {name} stops before {before}, and nothing is deleted: its own hold on items "
            f"({', '.join(terms.reason for terms in case.item_holds)}) covers {counted(len(own), 'item')} that "
            f"{'was' if len(own) == 1 else 'were'} withdrawn before it was put on; wait until it ends, then run "
            f"`disgorge request resume {name}`"
        )


def way_on(request: str, found: Sequence[Overlap]) -> str:
    """Say what to do about holds that stop a request."""
    by = found[0].hold.request
    return (
        f"wait until {'that hold ends' if len(found) == 1 else 'those holds end'}, or leave the held items out with "
        f"`disgorge request hold {request} --held-by {by} --by NAME --reason TEXT`, then decide and plan again"
    )


def doomed(ledger: Ledger, case: Case) -> frozenset[str]:
    """Return the items that a request removes: those withdrawn for it so far, and those it would withdraw now."""
    items = forgotten(ledger, case) if case.withdrawn else frozenset[str]()
    if is_erased(ledger, case.request):
        return items
    return items.union(*removable(ledger, case).values())


def removable(ledger: Ledger, case: Case) -> dict[str, tuple[str, ...]]:
    """Return the items of live shards that a request removes, by shard: what it selects but what it must leave out."""
    with Catalog.anew(ledger) as catalog:
        selected = catalog.selected(selectors_of(ledger, case.request), also=included_items(ledger, case))
    spared = held_out(ledger, case, frozenset[str]().union(*selected.values()))
    left = {shard: tuple(item for item in items if item not in spared) for shard, items in selected.items()}
    return {shard: items for shard, items in left.items() if items}


def lost_with(ledger: Ledger, shards: Collection[str], withdrawn: frozenset[str]) -> frozenset[str]:
    """Return the items that are nowhere any more once a purge has deleted these shards and the ``withdrawn`` items."""
    known = {entry.record.digest for entry in state_of(ledger.facts()).shards.values()}
    there = [shard for shard in known if ledger.manifest_path(shard).is_file()]
    going, staying = set[str](), set[str]()
    for shard in there:
        rows = going if shard in shards else staying
        rows.update(row.digest for row in shard_rows(ledger, shard))
    return withdrawn | (going - staying)
