"""What one request keeps of another's items until its own purge: old shards, old weights, what DVC made of both.

Other removals from the same releases go on meanwhile. Only where what is kept still holds their items, or learned from
them, does their purge wait too: an old shard with the items of both, an old part that saw both.
"""

from collections.abc import Collection, Sequence
from math import inf

from disgorge.errors import PurgeHeld
from disgorge.locations.dvc import Dvc
from disgorge.locations.location import Target
from disgorge.locations.references import spare_of
from disgorge.plan.details import PurgeDetail
from disgorge.request.case import Case, begun_plan, docket
from disgorge.request.holds.purge_hold import is_kept, is_unpurged
from disgorge.request.particulars import is_erased, selectors_of
from disgorge.request.together import as_one
from lineage.catalog.catalog import Catalog
from lineage.catalog.influence import by_digest, influences
from lineage.catalog.selection import selected_items
from lineage.ledger.fact_kinds import WITHDRAWALS
from lineage.records import Selector
from lineage.shards.files import shard_rows
from lineage.storage.file_types import holds
from lineage.workspace import Workspace


def require_nothing_kept(workspace: Workspace, cases: Sequence[Case], items: frozenset[str]) -> None:
    """Raise :class:`PurgeHeld` while another request than these has yet to purge these items, or old weights of them.

    Items that these requests select as well, and the other withdrew before, count as these.
    """
    case = as_one(cases)
    with Catalog.of(workspace) as catalog:
        known = by_digest(catalog.components(live=False))
    for other in docket(workspace).values():
        if other.request.id in case.requests or not is_unpurged(workspace, other):
            continue
        gone = purges_of(workspace, other)
        tables = [place(shard) for shard in gone.shards for place in (workspace.manifest_path, workspace.content_path)]
        retired = [component for digest in gone.objects for component in known.get(digest, ())]
        learned = influences(retired, known) & case.withdrawn.keys()
        if learned or any(path.is_file() and holds(path, items) for path in tables):
            what = "old weights that learned from its items" if learned else "old shards that hold its items"
        elif any(is_erased(workspace, each.request) for each in cases) and _began(other) < _began(case):
            what = "old shards, and what it selected is erased, so whether they hold it cannot be checked"
        elif any(  # what went from them later was live when one that is erased looked for it
            _select_any(workspace, selectors_of(workspace, each.request), gone.shards)
            for each in cases
            if not is_erased(workspace, each.request)
        ):
            what = "old shards that hold its items"
        else:
            continue
        raise PurgeHeld(
            f"request {case.request.id}: everything is done but the purge; {other.request.id} keeps {what}"
            f"{_until(other)}; nothing is certified before, go on with `disgorge purge run {other.request.id}` and "
            f"then `disgorge purge run {case.request.id}`"
        )


def keepers(workspace: Workspace, selectors: Sequence[Selector]) -> tuple[str, ...]:
    """Return in words which requests keep old shards that hold items that these select: open ones, and denied ones.

    Such items are live nowhere any more, so a new request for them finds nothing; they are here all the same. What a
    request left that was denied after its items were withdrawn is deleted by no command.
    """
    found: list[str] = []
    for other in docket(workspace).values():
        name = other.request.id
        if is_unpurged(workspace, other) and _select_any(workspace, selectors, purges_of(workspace, other).shards):
            found.append(
                f"old shards that request {name} keeps{_until(other)} hold items that it selects; `disgorge purge run "
                f"{name}` deletes them"
            )
        elif other.closed == "denied":
            left = [shard for shard in other.withdrawn if _select_any(workspace, selectors, [shard])]
            paths = [place(shard) for shard in left for place in (workspace.content_path, workspace.manifest_path)]
            if paths:
                found.append(
                    f"an old shard that request {name}, denied in the middle, left holds items that it selects: "
                    f"{', '.join(path.relative_to(workspace.root).as_posix() for path in paths)}; no command deletes "
                    f"these files: delete them unless they must be kept"
                )
    return tuple(found)


def require_nothing_made_kept(workspace: Workspace, case: Case, target: Target) -> None:
    """Raise :class:`PurgeHeld` while another request's hold keeps what a stage of DVC made of these and of its own."""
    held = [
        other
        for other in docket(workspace).values()
        if other.request.id not in case.requests and is_kept(workspace, other)
    ]
    mine = _made(workspace, target) if held else frozenset()
    for other in held if mine else ():
        if mine & _made(workspace, _target(workspace, other)):
            raise PurgeHeld(
                f"request {case.request.id}: everything is done but the purge; {other.request.id} keeps what DVC made "
                f"of the items of both{_until(other)}; nothing is certified before, go on with `disgorge purge run "
                f"{other.request.id}` and then `disgorge purge run {case.request.id}`"
            )


def purges_of(workspace: Workspace, case: Case) -> PurgeDetail:
    """Return what a case's last plan purges."""
    return begun_plan(workspace, str(case.plan)).purges


def _began(case: Case) -> float:
    """Return the place in the ledger from which on a request withdrew items; beyond all of it if it withdrew none."""
    return min((fact.seq for fact in case.facts if fact.kind in WITHDRAWALS), default=inf)


def _until(case: Case) -> str:
    return f" until {case.purge_held} ({case.purge_reason})" if case.purge_held else ""


def _target(workspace: Workspace, case: Case) -> Target:
    gone = purges_of(workspace, case)
    return Target(gone.shards, gone.objects)


def _made(workspace: Workspace, target: Target) -> frozenset[str]:
    return Dvc(workspace).made(target, spare_of(workspace))


def _select_any(workspace: Workspace, selectors: Sequence[Selector], shards: Collection[str]) -> bool:
    """Whether an old shard still has items that these select, though they may be live nowhere any more."""
    records = {entry.record.digest: entry.record for entry in workspace.ledger.state().shards.values()}
    there = [shard for shard in shards if workspace.manifest_path(shard).is_file()]
    return bool(selected_items([(records[shard], shard_rows(workspace, shard)) for shard in there], selectors))
