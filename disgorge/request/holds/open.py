"""Open holds: where each comes from, and by which selectors it covers items.

A hold binds data. A request is under one because a person put it there (``disgorge request hold``), because it was
filed so or its fact ``legal_hold`` says so, or because its packs decided *on hold*; some of a request's items can be
held alone. Closing a request ends none of these: only lifting, the hold's own day, or a decision made anew does.

What a hold covers is found anew each time it is asked: the items that its selectors pick, in live shards and in
withdrawn ones that are not purged yet, by digest, so that copies with the same bytes count. A selector that names a
shard by its digest also means the shards cut from it since.

Which items those are, and which removals that stops: :mod:`disgorge.request.holds.held_items`. Where it cannot be
found any more, because a private file is erased or damaged, the hold counts as covering all that its other selectors
allow, everything if it has no others. Negative consequence: such a hold stops removals that it was never meant to stop,
until the file is restored or the hold is lifted.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from disgorge.errors import DisgorgeError
from disgorge.request.case import DECIDED, LEGAL_HOLD, Case, HoldTerms, docket, is_legal_hold
from disgorge.request.included import forget_included, included_items
from disgorge.request.particulars import HIDDEN, is_erased, selectors_of
from disgorge.request.withdrawn.forget_list import ForgetList, overlap_list
from lineage.errors import LineageError
from lineage.private_files import HOLDS, name_of
from lineage.records import Selector, Shard
from lineage.workspace import Workspace
from policies.judging import held
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


def open_holds(case: Case) -> tuple[Hold, ...]:
    """Return the holds that a request's data is under, as of the day the docket was read."""
    name = case.request.id
    return tuple(Hold(name, terms) for terms in (*terms_on_all(case), *case.item_holds))


def is_held(case: Case) -> bool:
    """Whether all that a request selects is under a hold."""
    return any(True for _ in terms_on_all(case))


def terms_on_all(case: Case) -> Iterator[HoldTerms]:
    """Yield the holds on all that a request selects; one that only waits for others' holds has none."""
    if case.closed in ("done", "fulfilled"):
        return
    yield from case.whole_holds
    judged = case.judged
    if judged.legal_hold or is_legal_hold(judged.facts):
        yield HoldTerms(LEGAL_HOLD, fact=case.facts[0].seq if case.facts else 0)
    decision = case.decision or case.superseded  # a request that was amended is on hold until it is decided again
    if decision is None or decision.outcome is not Outcome.ON_HOLD or (case.closed and case.released):
        return
    own = held.holding_reasons(decision)
    decided = [said for said in own if (said.pack, said.rule) != (held.PACK, held.LEGAL_HOLD)]
    if decided:
        yield HoldTerms(f"{DECIDED} by {', '.join(f'{said.pack}/{said.rule}' for said in decided)}")
    elif not own and not held.waits_for_others(decision):
        yield HoldTerms(f"{DECIDED} as {decision.category}")


def reach_of(workspace: Workspace, cases: Mapping[str, Case], hold: Hold) -> tuple[Reach, ...]:
    """Return what a hold covers; several where it covers what another request holds."""
    case = cases[hold.request]
    if hold.terms.held_by is not None:
        other = cases.get(hold.terms.held_by)
        holds = [each for each in open_holds(other) if each.terms.held_by is None] if other is not None else []
        return tuple(reach for each in holds for reach in reach_of(workspace, cases, each))
    recorded = hold.terms.selectors or case.request.selectors
    try:
        if hold.terms.selectors:
            return (Reach(_named_selectors(workspace, hold)),)
        return (Reach(selectors_of(workspace, case.request), frozenset(included_items(workspace, case))),)
    except (DisgorgeError, LineageError) as problem:
        left = tuple(selector for selector in recorded if selector.field not in HIDDEN)
        erased = not hold.terms.selectors and is_erased(workspace, case.request)
        why = "its private file was erased" if erased else str(problem).partition(",")[0]
        return (Reach(None if case.included else left or None, unknown=why),)


def _named_selectors(workspace: Workspace, hold: Hold) -> tuple[Selector, ...]:
    """Return the selectors of a hold on some items, hidden values read from the private file."""
    marked = hold.terms.selectors
    if not any(selector.field in HIDDEN for selector in marked):
        return marked
    path = HOLDS.path(workspace, name_of(hold.request))
    values = HOLDS.read_at(workspace, path).selectors
    if any(
        s.field in HIDDEN and (s.value not in values or workspace.private.keyed(values[s.value]) != s.value)
        for s in marked
    ):
        raise DisgorgeError(f"{path}: does not hold what was held, restore it from a backup of the private folder")
    return tuple(Selector(s.field, values[s.value]) if s.field in HIDDEN else s for s in marked)


def forget_hidden(workspace: Workspace, case: Case, *, over: bool) -> None:
    """Delete what says in private which items a request's holds cover, as far as no open hold needs it.

    ``over`` says that the request is, so that near-duplicates that were added to it are needed for its holds only. The
    caller holds the turn, or the request is closed.
    """
    holds = open_holds(case)
    if not any(selector.field in HIDDEN for hold in holds for selector in hold.terms.selectors):
        HOLDS.erase(workspace, name_of(case.request.id))
    if over and all(hold.terms.is_partial for hold in holds):
        forget_included(workspace, case)


def delete_private_lists(workspace: Workspace, case: Case) -> None:
    """Delete the lists of a request that is over, but those that an open hold or another open request needs.

    The caller holds the workspace's lock.
    """
    open_cases = [each for name, each in docket(workspace).items() if not each.closed and name != case.request.id]
    for plan in case.steps.keys() - {plan for each in open_cases for plan in each.steps}:
        ForgetList(workspace, plan).erase()
    for by_request in {each.by_request for each in case.overlaps}:
        overlap_list(workspace, case.request.id, by_request).erase()
    forget_hidden(workspace, case, over=True)


def with_cuts(selectors: Sequence[Selector], shards: Collection[Shard]) -> tuple[Selector, ...]:
    """Return selectors with those that name a shard by its digest meaning the shards cut from it, too."""
    extended = list(selectors)
    for selector in extended:
        if selector.field == "shard":
            cut = (Selector("shard", shard.digest) for shard in shards if shard.derived_from == selector.value)
            extended += [each for each in cut if each not in extended]
    return tuple(extended)
