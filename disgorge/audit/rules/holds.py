"""Holds whose items were destroyed, and requests that wait for a hold.

What can be seen after items are gone: a withdrawal notes how many items of other open requests it took (``overlap``),
so a purge that came while such a request was on hold destroyed them; and a hold put on by a person counts what it
covers, so a smaller count now says that something went. What cannot be seen: items that were filed under a hold, were
never counted, and went without a removal.
"""

from collections.abc import Iterator

from disgorge.audit.findings import HELD_DESTROYED, ON_HOLD, Finding, Level
from disgorge.audit.snapshot import Snapshot, is_late
from disgorge.errors import DisgorgeError
from disgorge.facts import OverlapFact
from disgorge.request.case import Case, case_before
from disgorge.request.holds.open import Hold, is_held, open_holds, reach_of, terms_on_all, with_cuts
from disgorge.request.particulars import selectors_of
from lineage.catalog.selection import selected_artifacts, selected_items
from lineage.errors import LineageError
from lineage.ledger.chain import Fact
from lineage.ledger.fact_kinds import PurgedFact, said
from lineage.plural import counted
from lineage.records import Item, Selector, Shard
from policies.judging.held import waits_for_others


def holds(snapshot: Snapshot) -> Iterator[Finding]:
    """Yield an error per hold whose items were destroyed, and a note per request that waits for a hold to end."""
    sight = Sight(snapshot)
    for case in snapshot.cases.values():
        lost = [*_destroyed(snapshot, case), *sight.missing(case)][:1]
        yield from lost
        yield from _waiting(case, sight, lost=bool(lost))


def _destroyed(snapshot: Snapshot, case: Case) -> Iterator[Finding]:
    """Yield what withdrawals for other requests took of this one's items while it was on hold."""
    for fact, took in said(case.facts, OverlapFact):
        by = took.by_request
        told = snapshot.workspace.ledger.said(PurgedFact)
        purges = [each for each, purged in told if purged.request == by and each.seq > fact.seq]
        deleted = next((each for each in purges if _was_held(snapshot, case, each)), None)
        if deleted is None and (purges or not _was_held(snapshot, case, fact)):
            continue
        how = "deleted" if deleted else "withdrawn, and not deleted yet,"
        then = (
            f"find out whether a copy is left elsewhere, and tell who relies on the hold; `disgorge request show "
            f"{case.request.id}` says who put it on"
            if deleted
            else f"stop {by} with `disgorge request hold {by}`, and keep a copy of the old shard"
        )
        yield Finding(
            HELD_DESTROYED,
            case.request.id,
            f"{took.removed:,} of {counted(took.of, 'item')} that it selects were {how} for request "
            f"{by} while it was on hold",
            then,
            None if open_holds(case) else Level.WARNING,
            fact=(deleted or fact).seq,
        )


def _was_held(snapshot: Snapshot, case: Case, then: Fact) -> bool:
    """Whether all that a request selects was on hold when a fact was recorded."""
    day = snapshot.workspace.day_of(then)
    before = case_before(case, then.seq)
    return before is not None and any(not terms.is_over(day) for terms in terms_on_all(before))


class Sight:
    """Which items holds cover, by the manifests there are."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self._tables: list[tuple[Shard, tuple[Item, ...]]] | None = None

    @property
    def tables(self) -> list[tuple[Shard, tuple[Item, ...]]]:
        """Every shard, withdrawn ones too, whose manifest can be read."""
        if self._tables is None:
            there = [entry.record for entry in self.snapshot.state.shards.values()]
            manifests = ((shard, self.snapshot.items(shard.digest)) for shard in there)
            self._tables = [(shard, items) for shard, items in manifests if not isinstance(items, LineageError)]
        return self._tables

    def covered(self, hold: Hold) -> frozenset[str] | None:
        """Return the items, and artifacts by digest, that a hold covers, None where that is not known."""
        items: frozenset[str] = frozenset()
        for reach in reach_of(self.snapshot.workspace, self.snapshot.cases, hold):
            if reach.unknown or reach.selectors is None:
                return None
            items |= reach.also | self.selected(reach.selectors)
        return items

    def selected(self, selectors: tuple[Selector, ...]) -> frozenset[str]:
        """Return the items, and the artifacts by digest, that selectors pick and that are here."""
        recorded = (entry.record for entry in self.snapshot.state.artifacts.values())
        there = (each for each in recorded if self.snapshot.workspace.objects.path(each.digest).is_file())
        artifacts = {artifact.digest for artifact in selected_artifacts(there, selectors)}
        return selected_items(self.tables, with_cuts(selectors, [shard for shard, _ in self.tables])) | artifacts

    def missing(self, case: Case) -> Iterator[Finding]:
        """Yield an open hold that covered more items when it was put on than are here now."""
        for hold in open_holds(case):
            if hold.terms.items is None or (there := self.covered(hold)) is None or len(there) >= hold.terms.items:
                continue
            yield Finding(
                HELD_DESTROYED,
                case.request.id,
                f"its hold ({hold.words}) covered {counted(hold.terms.items, 'item')} when it was put on, and "
                f"{len(there):,} of them are here",
                "find out which removal took them (`disgorge request list --all`), and whether a copy is left",
                fact=hold.terms.fact,
            )

    def stopped_by(self, case: Case) -> str | None:
        """Return the request whose hold stops another one, None if none does."""
        try:
            items = self.selected(selectors_of(self.snapshot.workspace, case.request))
        except (DisgorgeError, LineageError):
            return None  # what it selects is not known; that is a finding of its own
        own = [self.covered(hold) for hold in open_holds(case)]
        items -= frozenset[str]().union(*(each for each in own if each is not None))
        for other in self.snapshot.cases.values() if items else ():
            for hold in open_holds(other) if other is not case else ():
                covered = self.covered(hold)
                if covered is None or items & covered:
                    return other.request.id
        return None

    def excuses(self, case: Case) -> bool:
        """Whether a hold is why a request is not carried out, as far as it is not."""
        if is_held(case) or self.stopped_by(case) is not None:
            return True
        if not case.item_holds or case.partly_done:
            return bool(case.item_holds)
        try:
            items = self.selected(selectors_of(self.snapshot.workspace, case.request))
        except (DisgorgeError, LineageError):
            return False
        own = [self.covered(hold) for hold in open_holds(case)]
        return bool(items) and items <= frozenset[str]().union(*(items if each is None else each for each in own))


def _waiting(case: Case, sight: Sight, *, lost: bool) -> Iterator[Finding]:
    """Yield a note for a request under a hold of its own, or that waits for another's."""
    name = case.request.id
    held = open_holds(case)
    if case.closed and not held:
        return
    if held:
        where = "is closed, and its hold lasts" if case.closed else "waits for a hold to end"
        stays = "what it held is not whole any more" if lost else "its data stays meanwhile, kept apart and unused"
        if sight.snapshot.workspace.private.folder.is_dir() and any(sight.covered(hold) is None for hold in held):
            stays += "; which items it covers is not known any more, so it stops every removal that it may cover"
        partly = all(hold.terms.is_partial for hold in held)
        serving = "" if any(hold.terms.serving for hold in held) else (
            f"decide whether models that learned from it go on serving (`disgorge request hold {name} --serving`, with "
            f"the reason it has); "
        )  # fmt: skip
        yield Finding(
            ON_HOLD,
            name,
            f"has items on hold ({'; '.join(hold.words for hold in held)}), and they stay meanwhile"
            if partly and stays.endswith("unused")
            else f"{where} ({'; '.join(hold.words for hold in held)}), and {stays}",
            f"{serving}lift the hold, or decide again, when its reason has gone",
            fact=case.facts[0].seq,
        )
    elif (case.decision is not None and waits_for_others(case.decision)) or is_late(case, sight.snapshot.today):
        if by := sight.stopped_by(case):
            yield Finding(
                ON_HOLD,
                name,
                f"waits for the hold of request {by} to end, which covers some of its items",
                f"tell who asked; leave the held items out with `disgorge request hold {name} --held-by {by}`, or "
                "decide again when that hold has ended",
                fact=case.facts[0].seq,
            )
        elif case.decision is not None and waits_for_others(case.decision):
            yield Finding(
                ON_HOLD,
                name,
                "waited for a hold that has ended, and was not decided since: what it asks for may be owed now",
                f"decide it again: `disgorge request decide {name}`",
                Level.WARNING,
                fact=case.facts[0].seq,
            )
