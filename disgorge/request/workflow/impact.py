"""Impact of a request: now, together with others, or as it was when a plan was made."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from disgorge.errors import DisgorgeError
from disgorge.facts import FulfilledFact, PlanFact
from disgorge.layout import of_reference
from disgorge.plan.plan import Plan
from disgorge.request.case import Case, docket
from disgorge.request.holds.held_items import held_out, items_of_all, removable_artifacts
from disgorge.request.included import included_items
from disgorge.request.particulars import selectors_of
from disgorge.request.stored_records import kept_record
from lineage.catalog.catalog import Catalog
from lineage.catalog.selection import selected_artifacts
from lineage.plural import counted
from lineage.records import Impact, Path
from lineage.shards.files import check_manifests
from lineage.shown import Attention, Table, short, table
from lineage.workspace import Workspace
from policies.request import RemovalRequest


def impact_of(workspace: Workspace, request: RemovalRequest, *, whole: bool = False, licenses: bool = False) -> Impact:
    """Return what a request touches now, and what is left of what its executions so far were about. Read-only.

    Items that the request's own holds cover are left out, unless it is asked of the ``whole``; ``licenses`` adds those
    of the items themselves, for a decision. Raises ``DigestMismatch`` if a manifest it rests on was edited.
    """
    case = docket(workspace).get(request.id)
    withdrawn = case.withdrawn if case else ()
    also = included_items(workspace, case) if case else ()
    with Catalog.anew(workspace) as catalog:
        check_manifests(workspace, catalog.shards())
        selectors = selectors_of(workspace, request)
        spare: frozenset[str] = frozenset()
        if case is not None and case.item_holds and not whole:
            artifacts = {each.digest for each in selected_artifacts(catalog.artifacts(), selectors)}
            selected = catalog.selected(selectors, also=also)
            spare = held_out(workspace, case, frozenset(artifacts).union(*selected.values()))
        impact = catalog.impact(selectors, withdrawn=withdrawn, also=also, spare=spare)
        return replace(impact, licenses=catalog.licenses(selectors, also=also)) if licenses else impact


def impact_of_all(workspace: Workspace, cases: Sequence[Case]) -> Impact:
    """Return what several requests touch together; errors as of :func:`impact_of`."""
    first, *others = cases
    if not others:
        return impact_of(workspace, first.request)
    items = items_of_all(workspace, cases)
    withdrawn = {shard for case in cases for shard in case.withdrawn}
    with Catalog.anew(workspace) as catalog:
        check_manifests(workspace, catalog.shards())
        selectors = selectors_of(workspace, first.request)
        left_out = frozenset[str]().union(*catalog.selected(selectors).values()) - items
        artifacts = frozenset[str]().union(*(removable_artifacts(workspace, case) for case in cases))
        left_out |= {each.digest for each in catalog.artifacts()} - artifacts
        joint = catalog.impact(selectors, withdrawn=withdrawn, also=items, spare=left_out, artifacts=artifacts)
    each = [impact_of(workspace, case.request) for case in cases]  # persons of two requests count for both
    return replace(joint, others=sum(one.others for one in each), other_rows=sum(one.other_rows for one in each))


def impact_as_planned(workspace: Workspace, plan: Plan, *, of: str | None = None) -> Impact:
    """Return the impact a plan was made from; once items are withdrawn it can no longer be asked for.

    ``of`` a joint plan's request, the impact of that one by itself.
    """
    for _, planned in workspace.ledger.said(PlanFact):
        if planned.plan == plan.digest:
            return kept_record(workspace, Impact, planned.own.get(of or "") or planned.impact)
    for _, confirmed in workspace.ledger.said(FulfilledFact):
        if confirmed.plan == plan.digest:
            return kept_record(workspace, Impact, confirmed.impact)
    raise DisgorgeError(f"the plan of {plan.request} is not recorded; plan the request again")


def impact_shown(found: Impact, *, references: bool) -> Iterator[str | Table]:
    """Yield what a request touches; components of ``references`` are counted, or listed."""
    yield (
        counted(found.items, "item")
        + (f" of {counted(found.subjects, 'person')}" if found.subjects else "")
        + (f", written in {found.spellings} ways" if found.spellings else "")
        + (f", {counted(found.duplicates, 'more row')} with the same bytes" if found.duplicates else "")
        + ("; some are declared not removable" if found.hits_core else "")
    )
    if found.twins:
        yield Attention(found.twins)
    shards = [
        (change.before.name, f"{change.removed} of {change.before.count}", "core" if change.before.core else "")
        for change in found.shards
    ]
    if shards or not found.artifacts:
        yield table("shard", "removed", "", rows=shards, empty="no shard holds such items")
    if mixed := sum(change.after is not None for change in found.shards):
        they = "holds other items too and is" if mixed == 1 else "hold other items too and are"
        yield f"{counted(mixed, 'shard')} {they} cut first: a part that learned from it is trained again without them"
    if found.artifacts:
        yield table(
            "artifact", "files", "source", rows=[(each.name, each.files, each.source) for each in found.artifacts]
        )
    names = {each.digest: each.name for each in found.selected}
    for affected in sorted(found.affected, key=lambda affected: not of_reference(affected.component.name)):
        names[affected.component.digest] = affected.component.name  # one digest may have several; a model's own wins
    listed = [affected for affected in found.affected if references or not of_reference(affected.component.name)]
    components = [
        (number, affected.component.name, affected.component.kind, _way(affected.paths[0], names), len(affected.paths))
        for number, affected in enumerate(listed, start=1)
    ]
    columns = ("", "component", "kind", "by way of", "paths")
    yield table(*columns, rows=components, empty="no recorded model learned from them")
    yield from left_out_lines(len(found.affected) - len(listed))
    releases = [
        (f"{hit.release.name}@{hit.release.alias}", len(hit.composition.members), hit.release.contained)
        for hit in found.releases
    ]
    yield table("release", "components", "contained", rows=releases, empty="no live release is touched")
    yield f"kept as they are: {counted(len(found.retained), 'component')}"


def _way(path: Path, names: dict[str, str]) -> str:
    """Return a path in words, up to what it leads to: shard -train-> component -calibrate->."""
    steps = zip(path.nodes[:-1], path.roles, strict=True)
    return " ".join(f"{names.get(node, short(node))} -{role.value}->" for node, role in steps)


def left_out_lines(number: int) -> Iterator[str]:
    """Yield how many components were left out, if any were."""
    if number:
        yield f"and {counted(number, 'component')} of references that probes compare with (--all lists them)"
