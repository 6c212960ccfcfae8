"""What a request touches: now, together with others, or as it was when a plan was made."""

from collections.abc import Sequence
from dataclasses import replace

from disgorge.errors import DisgorgeError
from disgorge.plan.plan import Plan
from disgorge.request.case import Case, docket
from disgorge.request.holds.held_items import held_out, items_of_all
from disgorge.request.included import included_items
from disgorge.request.particulars import selectors_of
from disgorge.request.stored_records import kept_record
from lineage.catalog.catalog import Catalog
from lineage.records import Impact
from lineage.shards.files import check_manifests
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
            selected = catalog.selected(selectors, also=also)
            spare = held_out(workspace, case, frozenset[str]().union(*selected.values()))
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
        kept = frozenset[str]().union(*catalog.selected(selectors).values()) - items
        return catalog.impact(selectors, withdrawn=withdrawn, also=items, spare=kept)


def impact_as_planned(workspace: Workspace, plan: Plan, *, of: str | None = None) -> Impact:
    """Return the impact a plan was made from; once items are withdrawn it can no longer be asked for.

    ``of`` a joint plan's request, the impact of that one by itself.
    """
    for fact in workspace.ledger.facts("plan", "fulfilled"):
        if fact.body["plan"] == plan.digest:
            return kept_record(workspace, Impact, fact.body.get("own", {}).get(of) or fact.body["impact"])
    raise DisgorgeError(f"the plan of {plan.request} is not recorded; plan the request again")
