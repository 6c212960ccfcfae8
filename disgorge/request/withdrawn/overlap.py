"""Overlaps of withdrawals: items that one request's withdrawal takes of other open requests, noted while it runs.

Afterwards it cannot: manifests are rewritten, and the list of withdrawn items is erased with the report. So the step
that withdraws appends one fact for each other open request that selects some of the same items, ``overlap``: how many
of its live items went, of how many. The digests of those items lie in ``private/executions`` until that other request
is closed; the list is sealed, so a line forged into the ledger alone shows nothing.

Not noted: requests that were filed later, those whose private file is gone, and withdrawals before this was recorded.
A request of these cannot be closed as fulfilled by another.
"""

from collections.abc import Collection, Iterator, Mapping

from disgorge.errors import DisgorgeError
from disgorge.facts import OverlapFact
from disgorge.request.case import Case, docket
from disgorge.request.included import included_items
from disgorge.request.particulars import selectors_of
from disgorge.request.withdrawn.forget_list import ForgetList, overlap_list
from lineage.catalog.catalog import Catalog
from lineage.errors import LineageError
from lineage.shards.files import recorded_likenesses
from lineage.workspace import Workspace


def note_overlaps(
    workspace: Workspace, case: Case, selected: Mapping[str, Collection[str]], *, together: Collection[str] = ()
) -> Iterator[OverlapFact]:
    """Keep what this withdrawal takes of other open requests' items, and yield a fact for each of them.

    ``selected`` maps the shards withdrawn to the items that go, ``together`` are the requests that they go for. Doing
    it twice is doing it once.
    """
    asked = {case.request.id, *together}
    others = [each for each in docket(workspace).values() if not each.closed and each.request.id not in asked]
    if not others:
        return
    with Catalog.anew(workspace) as catalog:
        for other in others:
            try:
                theirs = catalog.selected(selectors_of(workspace, other.request), also=included_items(workspace, other))
                fact = _noted(workspace, case, other, selected, frozenset[str]().union(*theirs.values()))
            except (DisgorgeError, LineageError):
                continue  # what it selects is unknown; that must not stop this removal
            if fact is not None:
                yield fact


def _noted(
    workspace: Workspace, case: Case, other: Case, selected: Mapping[str, Collection[str]], theirs: frozenset[str]
) -> OverlapFact | None:
    shared = {shard: theirs.intersection(items) for shard, items in selected.items()}
    items = frozenset[str]().union(*shared.values())
    if not items:
        return None
    listed, likenesses = (
        overlap_list(workspace, other.request.id, case.request.id),
        recorded_likenesses(workspace, shared),
    )
    all_items = items
    if any(each.by_request == case.request.id for each in other.overlaps):  # by an earlier plan of the same request
        all_items, likenesses = items | listed.items, listed.likenesses | likenesses
    fact = OverlapFact(other.request.id, case.request.id, removed=len(items), of=len(theirs), items=len(all_items))
    listed.remember(all_items, likenesses)
    listed.note_overlap(fact)
    return fact


def lists_shared(workspace: Workspace, case: Case) -> Iterator[ForgetList]:
    """Yield the lists of items that a request withdrew and other open requests select as well."""
    for other in docket(workspace).values():
        if not other.closed and any(each.by_request == case.request.id for each in other.overlaps):
            yield overlap_list(workspace, other.request.id, case.request.id)
