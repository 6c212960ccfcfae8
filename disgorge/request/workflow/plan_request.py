"""Planning granted requests: one, or several together.

Reads the ledger, calls the pure planner, stores the plan and appends one fact.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

from disgorge.errors import DataHeld, DisgorgeError, UnknownMethod
from disgorge.evidence.checks import models_of, models_trained, probes, probes_named
from disgorge.facts import PlanFact
from disgorge.layout import reference_release
from disgorge.method import Declared
from disgorge.plan.plan import LeftOut, Plan, Share
from disgorge.plan.planner import make_plan
from disgorge.plan.remedies import Again, AgainHere
from disgorge.request.case import Case, begun_plan, open_case, plan_of
from disgorge.request.holds.held_items import Coverage, items_of_all, require_all_unheld
from disgorge.request.holds.open import open_holds
from disgorge.request.included import included_items
from disgorge.request.near.find import near_now, require_judged
from disgorge.request.particulars import selectors_of
from disgorge.request.together import as_one, owed_together, require_begun_together
from disgorge.request.withdrawn.forget_list import forgotten_own
from disgorge.request.workflow.choices import choices
from disgorge.request.workflow.code import code_of_today
from disgorge.request.workflow.decide import granted_decision
from disgorge.request.workflow.estimate import expected
from disgorge.request.workflow.impact import impact_as_planned, impact_of, impact_of_all
from disgorge.request.workflow.repeatable import refusal, require_promised_bits, unrepeatable
from disgorge.training.runners.declared import maker_of
from lineage.artifacts.files import objects_of
from lineage.catalog.catalog import Catalog
from lineage.catalog.selection import selected_artifacts
from lineage.records import Component, Impact, canonical
from lineage.shards.cut import refuse_lost_rows
from lineage.workspace import Workspace
from policies.decision import Decision


def plan_request(
    workspace: Workspace,
    request_id: str,
    *,
    withdraw: Collection[str] = (),
    named: Collection[str] = (),
    retrain_untouched: bool = False,
) -> Plan:
    """Plan one granted request; see :func:`plan_requests`."""
    asked = [request_id]
    return plan_requests(workspace, asked, withdraw=withdraw, named=named, retrain_untouched=retrain_untouched)


def plan_requests(
    workspace: Workspace,
    request_ids: Sequence[str],
    *,
    withdraw: Collection[str] = (),
    named: Collection[str] = (),
    retrain_untouched: bool = False,
    current_code: bool = False,
) -> Plan:
    """Plan granted requests, several of them together, against the lineage as it is now.

    The plan is stored and its digest recorded. ``withdraw`` are releases to destroy whatever else could be done: the
    way out where a check of one does not pass. ``named`` are statistical probes to run besides, and
    ``retrain_untouched`` trains again what the requests do not touch and what cannot be shown here by equal bits;
    without it such parts raise :class:`~disgorge.errors.EnvironmentDiffers`. ``current_code`` trains again with the
    user's code as it lies below the working folder, and not as it was stored. Raises :class:`DisgorgeError`, and writes
    nothing, where one of the requests cannot be planned, or not with the others.
    """
    # Long: every refusal comes before the first write, in the order in which a person can act on them.
    named = probes_named(named)
    costly = [name for name in probes() if models_of([name])]
    cases, decisions = _plannable(workspace, request_ids)
    case = as_one(cases)
    owed = owed_together(decisions)
    for each in cases:
        require_all_unheld(workspace, each, before="it is planned")
    impact = impact_of_all(workspace, cases)
    _require_work(workspace, cases, decisions, impact, anyway=bool(withdraw) or retrain_untouched or current_code)
    with Catalog.of(workspace) as catalog:
        shards = {shard.name: shard for shard in catalog.shards()}
        components = {component.digest: component for component in catalog.components(live=False)}
        references = _references_of(catalog, impact)
        elsewhere = _members_of_others(catalog, impact)
        chosen = choices(catalog, [change.before.name for change in impact.shards])
    for change in impact.shards:
        refuse_lost_rows(workspace, change)
    _require_all_judged(workspace, cases, impact)
    unfinished = tuple(begun_plan(workspace, digest) for digest in case.steps)
    together = _shares(workspace, cases, decisions)
    makers = _makers(workspace, impact)
    trees = {artifact.digest: objects_of(workspace, artifact) for artifact in impact.artifacts}

    def planned(again: Again) -> Plan:
        return make_plan(
            decisions[0], impact, makers, shards=shards, components=components, references=references,
            unfinished=unfinished, withdraw=withdraw, again=again, probes=probes(), named=named,
            costly=costly, owed=owed, together=together, trees=trees,
        )  # fmt: skip

    plan = planned({})
    require_promised_bits(workspace, plan)
    left_alone = unrepeatable(workspace, plan, case, strictly=retrain_untouched)
    if case.withdrawn and retrain_untouched and not withdraw and not left_alone:
        _require_news(workspace, case, impact)
    if left_alone:
        if not retrain_untouched:
            raise refusal(" ".join(request_ids), left_alone)
        plan = planned({
            release: {
                name: AgainHere(part.component, "; ".join(part.why), (name, part.component.digest) in elsewhere)
                for name, part in parts.items()
            }
            for release, parts in left_alone.items()
        })  # fmt: skip
        require_promised_bits(workspace, plan)
    left_out = together[0].left_out if together else _left_out(workspace, case)
    plan = replace(
        plan,
        expected=expected(workspace, plan, case, models=models_trained(plan.probes)),
        left_out=left_out,
        choices=chosen,
        code=code_of_today(workspace, plan, impact) if current_code else {},
    )
    workspace.objects.put(canonical(plan))
    impact_digest = workspace.objects.put(canonical(impact))
    others = plan.requests[1:]
    workspace.ledger.record(
        PlanFact(plan.request, plan.digest, impact_digest, others, _impact_of_each(workspace, cases) if others else {})
    )
    return plan


def _makers(workspace: Workspace, impact: Impact) -> dict[str, Declared]:
    """Return, by composition, the methods that made the releases hit; what came from elsewhere has none.

    Raises :class:`~disgorge.errors.BadModel` where one may be a method that cannot be asked: without it, all that a
    plan could do about its release is to destroy it.
    """
    found: dict[str, Declared] = {}
    for composition in (hit.composition for hit in impact.releases if hit.composition.spec):
        with suppress(UnknownMethod):
            found[composition.digest] = maker_of(workspace, composition)
    return found


def _impact_of_each(workspace: Workspace, cases: Sequence[Case]) -> dict[str, str]:
    """Return what each request of a joint plan touches by itself, kept under its digest.

    That is what a request is judged by when it is decided again while the plan is carried out.
    """
    return {case.request.id: workspace.objects.put(canonical(impact_of(workspace, case.request))) for case in cases}


def _plannable(workspace: Workspace, request_ids: Sequence[str]) -> tuple[tuple[Case, ...], tuple[Decision, ...]]:
    """Return the cases of these requests and the decisions that grant them; :class:`DisgorgeError` for any other."""
    twice = next((name for name in request_ids if request_ids.count(name) > 1), None)
    if twice is not None:
        raise DisgorgeError(f"request {twice} is named twice; name every request once")
    cases = tuple(open_case(workspace, name) for name in request_ids)
    decisions = tuple(granted_decision(case) for case in cases)
    require_begun_together(workspace, cases)
    return cases, decisions


def _require_work(
    workspace: Workspace, cases: Sequence[Case], decisions: Sequence[Decision], impact: Impact, *, anyway: bool
) -> None:
    """Raise :class:`DisgorgeError` unless each request has something to be removed that no plan of it was begun for.

    ``anyway`` lets plans pass that were begun for all of it.
    """
    for case in cases:
        _refuse_rest_gone(workspace, case, impact.items if len(cases) == 1 else len(items_of_all(workspace, [case])))
    begun = any(case.withdrawn for case in cases)
    if begun and not anyway and not _planned_otherwise(workspace, cases, decisions):
        _require_news(workspace, as_one(cases), impact)
    _refuse_no_match(workspace, cases, impact)


def _planned_otherwise(workspace: Workspace, cases: Sequence[Case], decisions: Sequence[Decision]) -> bool:
    """Whether the last plan of one of these requests was made for another decision, or with other requests."""
    names = {case.request.id for case in cases}
    return any(
        plan.decision != decision.digest or set(plan.requests) != names
        for case, decision in zip(cases, decisions, strict=True)
        if case.plan is not None and (plan := plan_of(workspace, case))
    )


def _refuse_rest_gone(workspace: Workspace, case: Case, items: int) -> None:
    """Raise :class:`DisgorgeError` for a request that is done but for what was held, and of which nothing is left."""
    if case.partly_done and not items:
        _refuse_all_held(workspace, case)
        if by := case.covered_by:
            raise DisgorgeError(
                f"{by} removed what was left of request {case.request.id}: close it with `disgorge request close "
                f"{case.request.id} --fulfilled-by {by}`"
            )


def _refuse_no_match(workspace: Workspace, cases: Sequence[Case], impact: Impact) -> None:
    """Raise :class:`DisgorgeError` for a request that matches nothing any more, alone or among others."""
    for case in cases:
        if len(cases) == 1 and (impact.selected or impact.affected or impact.releases):
            continue
        if len(cases) > 1 and (case.withdrawn or impact_of(workspace, case.request).selected):
            continue
        _refuse_all_held(workspace, case)
        name = case.request.id
        deny = f"close it with `disgorge request deny {name} --reason REASON`"
        what = f"go on with `disgorge request resume {name}`" if case.steps else deny
        if not case.withdrawn and (by := case.covered_by):
            what = f"{by} removed its items: close it with `disgorge request close {name} --fulfilled-by {by}`"
        raise DisgorgeError(f"request {name} matches nothing any more; {what}")
    if not impact.selected and not impact.affected and not impact.releases:
        names = ", ".join(case.request.id for case in cases)
        raise DisgorgeError(
            f"requests {names} match nothing any more; go on with `disgorge request resume {cases[0].request.id}`"
        )


def _require_all_judged(workspace: Workspace, cases: Sequence[Case], impact: Impact) -> None:
    """Raise :class:`DisgorgeError` for unjudged near-duplicates that none of the requests removes."""
    going = items_of_all(workspace, cases) if len(cases) > 1 else frozenset[str]()
    for case in cases:
        require_judged(near_now(workspace, case, [change.before for change in impact.shards], besides=going), case)


def _shares(workspace: Workspace, cases: Sequence[Case], decisions: Sequence[Decision]) -> tuple[Share, ...]:
    """Return the shares of several requests in their joint plan; nothing for one request."""
    if len(cases) == 1:
        return ()
    return tuple(
        Share(
            request=case.request.id,
            decision=decision.digest,
            items=len(items_of_all(workspace, [case]) | forgotten_own(workspace, case)),
            left_out=tuple(replace(each, reason="") for each in _left_out(workspace, case)),
        )
        for case, decision in zip(cases, decisions, strict=True)
    )


def _require_news(workspace: Workspace, case: Case, impact: Impact) -> None:
    """Raise :class:`DisgorgeError` if a new plan would do no more than those that were begun."""
    begun = [impact_as_planned(workspace, begun_plan(workspace, digest)) for digest in case.steps]
    planned = {touched for each in begun for touched in _touched(each)}
    if set(_touched(impact)) <= planned:
        raise DisgorgeError(
            f"request {case.request.id} is being carried out and touches nothing that was not planned; go on with "
            f"`disgorge request resume {case.request.id}`, or have a release destroyed whose check does not pass with "
            f"`disgorge request plan {' '.join(case.requests)} --withdraw RELEASE`, or train with code that you mended "
            "with --code current"
        )


def _refuse_all_held(workspace: Workspace, case: Case) -> None:
    """Raise :class:`DataHeld` where everything that a request would remove is under its own holds."""
    whole = impact_of(workspace, case.request, whole=True) if case.item_holds else None
    if whole is None or not (items := whole.items + len(whole.artifacts)):
        return
    name, reasons = case.request.id, "; ".join(hold.words for hold in open_holds(case) if hold.terms.is_partial)
    raise DataHeld(
        f"request {name} removes nothing now: {'its one item is' if items == 1 else f'all its {items:,} items are'} "
        f"held ({reasons}); plan it again when that ends"
    )


def _left_out(workspace: Workspace, case: Case) -> tuple[LeftOut, ...]:
    """Return how many of the items and artifacts that a request selects stay, by the hold they are under."""
    if not case.item_holds:
        return ()
    with Catalog.anew(workspace) as catalog:
        selectors = selectors_of(workspace, case.request)
        selected = catalog.selected(selectors, also=included_items(workspace, case))
        artifacts = {each.digest for each in selected_artifacts(catalog.artifacts(), selectors)}
    items, left_out = frozenset(artifacts).union(*selected.values()), []
    with Coverage(workspace) as coverage:
        for hold in open_holds(case):
            if hold.terms.is_partial and (under := coverage.items(hold, items)[0]):
                left_out.append(
                    LeftOut(len(under), hold.terms.held_by or case.request.id, hold.terms.reason, hold.terms.until)
                )
                items -= under
    return tuple(left_out)


def _touched(impact: Impact) -> Iterator[tuple[str, ...]]:
    """Yield every shard, component and release that an impact is about."""
    yield from (("shard", change.before.name, change.before.digest) for change in impact.shards)
    yield from (("artifact", artifact.name, artifact.digest) for artifact in impact.artifacts)
    yield from (("component", each.component.name, each.component.digest) for each in impact.affected)
    yield from (("release", hit.release.name, hit.release.alias, hit.release.composition) for hit in impact.releases)


def _members_of_others(catalog: Catalog, impact: Impact) -> frozenset[tuple[str, str]]:
    """Return the names and digests of the parts of live releases that the request does not reach."""
    hit = {(each.release.name, each.release.alias) for each in impact.releases}
    others = [release for release in catalog.releases() if (release.name, release.alias) not in hit]
    return frozenset(
        (member.name, member.component)
        for release in others
        for member in catalog.composition(release.composition).members
    )


def _references_of(catalog: Catalog, impact: Impact) -> dict[str, list[Component]]:
    """Return the live references of each release that is hit under every alias it has."""
    hit = {(each.release.name, each.release.alias) for each in impact.releases}
    spared = {release.name for release in catalog.releases() if (release.name, release.alias) not in hit}
    live = catalog.components()
    return {
        name: [component for component in live if component.name.startswith(reference_release(name, ""))]
        for name in {name for name, _ in hit} - spared
    }
