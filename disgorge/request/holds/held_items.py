"""Which items open holds cover, and which removals that stops.

What is asked before a request is decided, granted, planned and approved, before its execution begins, and again before
each step that takes something away. Where no request is on hold, nothing is read.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from disgorge.errors import DataHeld
from disgorge.request.case import Case, docket
from disgorge.request.holds.open import Hold, Reach, open_holds, reach_of, with_cuts
from disgorge.request.included import included_items
from disgorge.request.particulars import is_erased, selectors_of
from disgorge.request.withdrawn.forget_list import forgotten
from lineage.catalog.catalog import Catalog
from lineage.catalog.selection import selected_artifacts, selected_items
from lineage.ledger.fact_kinds import WITHDRAWALS
from lineage.plural import counted
from lineage.records import Selector
from lineage.shards.files import shard_rows
from lineage.workspace import Workspace


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


class Coverage:
    """Finds what holds cover: shards and manifests are read once. Close it, or use it in a ``with`` block."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.cases = docket(workspace)
        self._shards = list(workspace.ledger.state().shards.values())
        self._catalog: Catalog | None = None

    def __enter__(self) -> "Coverage":
        return self

    def __exit__(self, *_: object) -> None:
        if self._catalog is not None:
            self._catalog.close()

    def items(self, hold: Hold, among: Collection[str]) -> tuple[frozenset[str], str]:
        """Return which of these items, and artifacts by digest, a hold covers, and why that is not known, or ""."""
        items: frozenset[str] = frozenset()
        unknown = ""
        for reach in reach_of(self.workspace, self.cases, hold):
            covered = self._covered(reach) if reach.selectors is not None else frozenset(among)
            items |= covered.intersection(among)
            unknown = unknown or reach.unknown
        return items, unknown

    def covered(self, hold: Hold) -> tuple[frozenset[str], str]:
        """Return what a hold covers and is here, items and artifacts by digest, and why that is not known, or ""."""
        items: frozenset[str] = frozenset()
        unknown = ""
        for reach in reach_of(self.workspace, self.cases, hold):
            items |= self._covered(reach) if reach.selectors is not None else frozenset()
            unknown = unknown or reach.unknown
        return items, unknown

    def selected(self, selectors: Sequence[Selector]) -> frozenset[str]:
        """Return what these selectors pick: items in live shards and in those not purged yet, and artifacts."""
        return self._covered(Reach(tuple(selectors)))

    def own(self, case: Case, among: Collection[str]) -> frozenset[str]:
        """Return which of these items and artifacts a request's own holds on some of what it selects cover."""
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

    def _artifacts(self, reach: Reach) -> frozenset[str]:
        """Return the digests of the artifacts that selectors pick, live ones and those not purged yet."""
        recorded = (entry.record for entry in self.workspace.ledger.state().artifacts.values())
        there = (each for each in recorded if self.workspace.objects.path(each.digest).is_file())
        return frozenset(artifact.digest for artifact in selected_artifacts(there, reach.selectors or ()))

    def _covered(self, reach: Reach) -> frozenset[str]:
        selectors = with_cuts(reach.selectors or (), [entry.record for entry in self._shards])
        if self._catalog is None:
            self._catalog = Catalog.anew(self.workspace)
        live = self._catalog.selected(selectors, also=reach.also)
        old = [entry.record for entry in self._shards if not entry.live]
        there = [shard for shard in old if self.workspace.manifest_path(shard.digest).is_file()]
        rows = [(shard, shard_rows(self.workspace, shard.digest)) for shard in there]
        return reach.also.union(*live.values(), selected_items(rows, selectors), self._artifacts(reach))


def held_out(workspace: Workspace, case: Case, among: Collection[str]) -> frozenset[str]:
    """Return which of these items, and artifacts by digest, a request leaves out because its own holds cover them."""
    if not case.item_holds or not among:
        return frozenset()
    with Coverage(workspace) as coverage:
        return coverage.own(case, among)


def overlaps(workspace: Workspace, request: str, among: Collection[str]) -> tuple[Overlap, ...]:
    """Return which open holds of other requests cover some of these items."""
    if not among or not any(open_holds(each) for each in docket(workspace).values() if each.request.id != request):
        return ()
    with Coverage(workspace) as coverage:
        return coverage.overlaps(request, among)


def require_unheld(workspace: Workspace, case: Case, among: Collection[str], *, before: str) -> None:
    """Raise :class:`DataHeld` if an open hold of another request, or one of its own, covers some of these items.

    ``among`` are the items that would be destroyed; ``before`` says what is not done.
    """
    name = case.request.id
    if blocking := overlaps(workspace, name, among):
        raise DataHeld(
            f"request {name} stops before {before}, and nothing is deleted: "
            f"{'; '.join(each.words for each in blocking)}; "
            f"{_way_on_once_withdrawn(name, blocking) if _is_unpurged(case) else way_on(name, blocking)}"
        )
    if own := held_out(workspace, case, among):
        raise DataHeld(
            f"request {name} stops before {before}, and nothing is deleted: its own hold on items "
            f"({', '.join(terms.reason for terms in case.item_holds)}) covers {counted(len(own), 'item')} that "
            f"{'was' if len(own) == 1 else 'were'} withdrawn before it was put on; wait until it ends, then run "
            f"`disgorge request resume {name}`"
        )


def require_all_unheld(workspace: Workspace, case: Case, *, before: str) -> None:
    """Raise :class:`DataHeld` if an open hold covers something that a request has yet to destroy."""
    if _any_holds(workspace):
        require_unheld(workspace, case, doomed(workspace, case), before=before)


def require_purge_unheld(
    workspace: Workspace, case: Case, shards: Collection[str], withdrawn: frozenset[str], *, before: str
) -> None:
    """Raise :class:`DataHeld` if an open hold covers something that is nowhere any more once these shards are gone."""
    if _any_holds(workspace):
        lost = lost_with(workspace, shards, withdrawn) | _withdrawn_artifacts(workspace, case)
        require_unheld(workspace, case, lost, before=before)


def all_overlaps(workspace: Workspace, case: Case) -> tuple[Overlap, ...]:
    """Return which open holds of other requests cover something that a request has yet to destroy."""
    return overlaps(workspace, case.request.id, doomed(workspace, case)) if _any_holds(workspace) else ()


def _any_holds(workspace: Workspace) -> bool:
    return any(open_holds(case) for case in docket(workspace).values())


def way_on(request: str, blocking: Sequence[Overlap]) -> str:
    """Say what to do about holds that stop a request."""
    by = blocking[0].hold.request
    return (
        f"wait until {'that hold ends' if len(blocking) == 1 else 'those holds end'}, or leave the held items out with "
        f"`disgorge request hold {request} --held-by {by} --by NAME --reason TEXT`, then decide and plan again"
    )


def _way_on_once_withdrawn(request: str, blocking: Sequence[Overlap]) -> str:
    """Say what to do where the items are withdrawn already, so that a plan can leave out none of them any more."""
    return (
        f"its items are withdrawn and kept, and others go on meanwhile: wait until "
        f"{'that hold ends' if len(blocking) == 1 else 'those holds end'}, then run `disgorge request resume {request}`"
    )


def _is_unpurged(case: Case) -> bool:
    """Whether items were withdrawn for a request and not purged since."""
    withdrawn = [fact.seq for fact in case.facts if fact.kind in WITHDRAWALS]
    return max(withdrawn, default=0) > max((fact.seq for fact in case.facts if fact.kind == "purged"), default=0)


def doomed(workspace: Workspace, case: Case) -> frozenset[str]:
    """Return the items that a request has yet to destroy: withdrawn and not purged, or selected and not withdrawn.

    With them the artifacts, by digest.
    """
    items = forgotten(workspace, case) | _withdrawn_artifacts(workspace, case) if _is_unpurged(case) else frozenset()
    if is_erased(workspace, case.request):
        return items
    return items.union(*removable(workspace, case).values(), removable_artifacts(workspace, case))


def removable_artifacts(workspace: Workspace, case: Case) -> frozenset[str]:
    """Return the live artifacts, by digest, that a request removes: what it selects but what it must leave out."""
    with Catalog.of(workspace) as catalog:
        picked = selected_artifacts(catalog.artifacts(), selectors_of(workspace, case.request))
    selected = frozenset(artifact.digest for artifact in picked)
    return selected - held_out(workspace, case, selected)


def _withdrawn_artifacts(workspace: Workspace, case: Case) -> frozenset[str]:
    return frozenset(digest for _, digest in workspace.ledger.state().artifacts if digest in case.withdrawn)


def removable(workspace: Workspace, case: Case) -> dict[str, tuple[str, ...]]:
    """Return the items of live shards that a request removes, by shard: what it selects but what it must leave out."""
    with Catalog.anew(workspace) as catalog:
        selected = catalog.selected(selectors_of(workspace, case.request), also=included_items(workspace, case))
    spared = held_out(workspace, case, frozenset[str]().union(*selected.values()))
    left = {shard: tuple(item for item in items if item not in spared) for shard, items in selected.items()}
    return {shard: items for shard, items in left.items() if items}


def removable_by_all(workspace: Workspace, cases: Sequence[Case]) -> dict[str, tuple[str, ...]]:
    """Return the items of live shards that requests remove together, by shard: one entry a row, sorted."""
    by_shard: dict[str, tuple[str, ...]] = {}
    for case in cases:
        for shard, items in removable(workspace, case).items():
            there = frozenset(by_shard.get(shard, ()))
            by_shard[shard] = tuple(sorted((*by_shard.get(shard, ()), *(item for item in items if item not in there))))
    return by_shard


def items_of_all(workspace: Workspace, cases: Sequence[Case]) -> frozenset[str]:
    """Return the digests of the items of live shards that requests remove, those of any of them."""
    return frozenset(item for case in cases for items in removable(workspace, case).values() for item in items)


def lost_with(workspace: Workspace, shards: Collection[str], withdrawn: frozenset[str]) -> frozenset[str]:
    """Return the items that are nowhere any more once a purge has deleted these shards and the ``withdrawn`` items.

    With those goes every old shard that holds one of the items, whichever request it was withdrawn for.
    """
    entries = workspace.ledger.state().shards.values()
    live = {entry.record.digest for entry in entries if entry.live}
    digests = {entry.record.digest for entry in entries}
    going, staying = set[str](), set[str]()
    for shard in (each for each in digests if workspace.manifest_path(each).is_file()):
        items = {row.digest for row in shard_rows(workspace, shard)}
        goes = shard in shards or (shard not in live and not withdrawn.isdisjoint(items))
        (going if goes else staying).update(items)
    return withdrawn | (going - staying)
