"""What a compliance officer does with a request before anything is removed: file, decide, plan, approve, hold.

Each verb reads the ledger, calls one pure function, and appends one fact. Personal particulars go to the private
folder, from where they can be erased without touching the chain; the ledger keeps a salted digest of them.
"""

import datetime as dt
import secrets
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from disgorge.errors import DataHeld, DisgorgeError, NotApproved, StalePlan
from disgorge.evidence.checks import REFERENCES, probes
from disgorge.layout import reference_release
from disgorge.method import methods
from disgorge.plan.estimate import expected
from disgorge.plan.plan import LeftOut, Plan, Share
from disgorge.plan.planner import make_plan
from disgorge.plan.remedies import Again, AgainHere
from disgorge.plan.repeatable import refusal, unrepeatable
from disgorge.request.case import Case, begun_plan, docket, open_case, plan_of
from disgorge.request.events import told_of_extension
from disgorge.request.forget_list import forgotten_own
from disgorge.request.held_items import Coverage, all_overlaps, held_out, items_of_all, require_all_unheld
from disgorge.request.hold import hold_request as hold_request
from disgorge.request.holds import open_holds
from disgorge.request.near.find import near_now, require_judged
from disgorge.request.near.review import included_items
from disgorge.request.particulars import filing, kept_private, selectors_of
from disgorge.request.private_lists import delete_private_lists
from disgorge.request.stored_records import kept_record
from disgorge.request.together import as_one, cases_of, owed_together, require_begun_together, require_together
from disgorge.workspace_lock import turn
from lineage.catalog.catalog import Catalog
from lineage.records import Component, Impact, Selector, canonical, plain
from lineage.shards.cut import refuse_lost_rows
from lineage.shards.files import check_manifests
from lineage.workspace import Workspace
from policies.decision import Decision
from policies.errors import BadRequest
from policies.judging.held import PACK as HOUSE
from policies.judging.held import holding_reasons, put_on_hold
from policies.judging.review import is_decided_on_review
from policies.packs.rules import Pack
from policies.request import RemovalRequest, Standing
from policies.taxonomy import Defect, Outcome


def file_request(
    workspace: Workspace,
    *,
    standing: Standing,
    ground: Defect,
    regime: str,
    selectors: Sequence[Selector],
    received: dt.date | None = None,
    identity_verified: bool = False,
    legal_hold: bool = False,
    facts: Mapping[str, Any] | None = None,
    particulars: Mapping[str, str] | None = None,
    request_id: str | None = None,
    packs: Sequence[Pack] | None = None,
) -> RemovalRequest:
    """Record a request and return it. A subject's selector must carry the pseudonym already.

    The values of :data:`HIDDEN` selectors go to the private file, and keyed marks of them into the ledger. ``packs``
    say which facts and regimes there are, and of what types; the shipped ones by default.

    ``received`` is today in the workspace's time zone by default, and may be any day that is today somewhere on earth.
    Raises :class:`~policies.errors.BadRequest` for a request that selects nothing, and for a fact or a regime that no
    pack knows, and :class:`DisgorgeError` for an id that is taken; nothing is written then.
    """
    today = workspace.today()
    received = received or today
    require_arrived(workspace, received)
    request = RemovalRequest(
        id=request_id or f"R-{today:%Y%m%d}-{secrets.token_hex(3)}",
        standing=standing,
        ground=ground,
        regime=regime,
        selectors=tuple(selectors),
        received=received,
        identity_verified=identity_verified,
        legal_hold=legal_hold,
        facts=dict(facts or {}),
    )
    request = understood(request, packs)
    with filing(workspace):
        if any(fact.body["request"]["id"] == request.id for fact in workspace.ledger.facts("request")):
            raise DisgorgeError(
                f"request {request.id} exists, and its id stays taken however it ended; correct it with `disgorge "
                f"request amend {request.id}` while it is open, or leave the id out to get a new one"
            )
        request = kept_private(workspace, request, particulars or {})
        workspace.ledger.append("request", {"request": plain(request)})
    return request


def require_arrived(workspace: Workspace, received: dt.date) -> None:
    """Raise :class:`DisgorgeError` for a day of receipt that is still to come everywhere on earth."""
    if received > workspace.latest_today():
        raise DisgorgeError(f"received {received} lies after today, {workspace.today()}; give the day it arrived")


def understood(request: RemovalRequest, packs: Sequence[Pack] | None) -> RemovalRequest:
    """Return a request with its facts as the packs declare them; :class:`~policies.errors.BadRequest` for others."""
    from policies.packs.facts import regime_named, regimes_of, require_regimes, typed_facts
    from policies.packs.load import load_packs

    packs = load_packs() if packs is None else packs
    facts = typed_facts(request.facts, packs)
    first, *others = (regime_named(name, packs) for name in regimes_of(request, facts))
    require_regimes([first, *others], packs, ground=request.ground)
    return replace(request, regime=first, facts=facts | ({"also_under": ", ".join(others)} if others else {}))


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


def decide_request(workspace: Workspace, request_id: str, packs: Sequence[Pack]) -> Decision:
    """Decide a request by the packs and record the decision with its reasons.

    While another request's open hold covers some of the items it would remove, it is on hold, and a reason names that
    request. One made again, because of an event or after a person decided, that says what the packs said before is
    confirmed, not repeated: what a person granted, planned and approved by it stands. An extension that was told in
    time stays with a deadline that moved.
    """
    from policies.judging.judge import decide

    case = open_case(workspace, request_id)
    if case.withdrawn and not case.new_events:
        raise DisgorgeError(
            f"request {request_id} is being carried out by the decision there is; put it on hold if it must stop"
        )
    _require_holding_packs(case, packs)
    impact = impact_of(workspace, case.request, whole=True, licenses=True)
    if not impact.items and case.overlaps:  # they were here when it was filed, and went for another request
        impact = replace(impact, items=sum(each["removed"] for each in case.overlaps))
    if case.withdrawn:  # what is decided about is what the plan that was begun was made for
        impact = impact_as_planned(workspace, begun_plan(workspace, list(case.steps)[-1]), of=request_id)
    today = workspace.today()
    found = all_overlaps(workspace, case)
    decision = decide(case.judged, impact, packs, today=today, latest=workspace.latest_today())
    decision = put_on_hold(decision, [each.words for each in found], today=today)
    if (standing := _standing(workspace, case, decision)) is not None:
        workspace.ledger.append("decision-confirmed", _confirmation(workspace, standing, decision))
        return standing
    facts = [("decision", {"request": request_id, "decision": plain(decision)})]
    workspace.ledger.append_all([*facts, *_extended_still(case, decision, packs)])
    return decision


def _require_holding_packs(case: Case, packs: Sequence[Pack]) -> None:
    """Raise :class:`~policies.errors.BadRequest` where a pack that put the request on hold is not asked again."""
    last = case.decision or case.superseded
    if last is None or last.outcome is not Outcome.ON_HOLD:
        return
    asked = {pack.pack for pack in packs} | {HOUSE}
    if gone := sorted({said.pack for said in holding_reasons(last)} - asked):
        name = case.request.id
        raise BadRequest(
            f"request {name} is on hold by the pack {', '.join(gone)}, which is not among those given, so nothing "
            f"would say whether that has ended: give it too (--packs), or deny {name}, lift its hold and file it anew"
        )


def _standing(workspace: Workspace, case: Case, decision: Decision) -> Decision | None:
    """Return the earlier decision that stands after one made again; None if the new one counts.

    That is the one that holds where the packs say the same again, after an event or after a person decided. It is also
    the one by which an execution was begun where that is still granted and asks for the same removal: what was begun is
    finished by the plan there is.
    """
    by_a_person = case.decision is not None and is_decided_on_review(case.decision)
    if case.rescoped or not (case.new_events or by_a_person):
        return None
    if case.by_packs is not None and decision.says_the_same(case.by_packs):
        return case.decision
    return begun_by(workspace, case, decision)


def begun_by(workspace: Workspace, case: Case, decision: Decision) -> Decision | None:
    """Return the decision by which an execution was begun, if another asks for the same removal; None if none was."""
    if not case.withdrawn or decision.outcome is not Outcome.GRANTED or decision.owed is None:
        return None
    plan = begun_plan(workspace, list(case.steps)[-1]).seen_by(case.request.id)
    begun = next((made for made in case.decisions if made.digest == plan.decision), None)
    same = begun is not None and begun.owed is not None and begun.owed.removes_the_same(decision.owed)
    return begun if same else None


def _confirmation(workspace: Workspace, standing: Decision, decision: Decision) -> dict[str, Any]:
    before, now = (each.owed.deadline if each.owed else None for each in (standing, decision))
    body = {"request": decision.request, "decision": standing.digest, "decided": workspace.today().isoformat()}
    return body | ({"deadline": now.isoformat()} if now is not None and now != before else {})


def record_decision(workspace: Workspace, case: Case, decision: Decision) -> Decision:
    """Record what a person decided; return the decision that holds then, as of :func:`begun_by` perhaps an earlier."""
    if (begun := begun_by(workspace, case, decision)) is not None:
        workspace.ledger.append("decision-confirmed", _confirmation(workspace, begun, decision))
        return begun
    workspace.ledger.append("decision", {"request": decision.request, "decision": plain(decision)})
    return decision


def _extended_still(case: Case, decision: Decision, packs: Sequence[Pack]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the fact that a deadline which moved stays extended, if the extension was told in time for it too."""
    from policies.judging.deadlines import extend

    moved = case.deadline is not None and case.until is not None and decision.owed is not None
    if not moved or not (case.extension or {}).get("told"):
        return
    told, reason = dt.date.fromisoformat(case.extension["told"]), case.extension["reason"]
    try:
        until = extend(decision, case.judged, packs, reason=reason, today=told)
    except BadRequest:
        return  # by the decision as it is now there is nothing to extend, or no more
    yield "deadline-extended", {**case.extension, "until": until.isoformat()}


def plan_request(
    workspace: Workspace,
    request_id: str,
    *,
    withdraw: Collection[str] = (),
    every_probe: bool = False,
    retrain_untouched: bool = False,
) -> Plan:
    """Plan one granted request; see :func:`plan_requests`."""
    asked = [request_id]
    return plan_requests(
        workspace, asked, withdraw=withdraw, every_probe=every_probe, retrain_untouched=retrain_untouched
    )


def plan_requests(
    workspace: Workspace,
    request_ids: Sequence[str],
    *,
    withdraw: Collection[str] = (),
    every_probe: bool = False,
    retrain_untouched: bool = False,
) -> Plan:
    """Plan granted requests, several of them together, against the lineage as it is now.

    The plan is stored and its digest recorded. ``withdraw`` are releases to destroy whatever else could be done: the
    way out where a check of one does not pass. ``every_probe`` adds statistical probes that nothing requires, and
    ``retrain_untouched`` trains again what the requests do not touch and what cannot be shown here by equal bits;
    without it such parts raise :class:`~disgorge.errors.EnvironmentDiffers`. Raises :class:`DisgorgeError`, and writes
    nothing, where one of the requests cannot be planned, or not with the others.
    """
    cases, decisions = _plannable(workspace, request_ids)
    case, named = as_one(cases), " ".join(request_ids)
    owed = owed_together(decisions)
    for each in cases:
        require_all_unheld(workspace, each, before="it is planned")
    impact = impact_of_all(workspace, cases)
    _require_work(workspace, cases, decisions, impact, anyway=bool(withdraw) or retrain_untouched)
    with Catalog.of(workspace) as catalog:
        shards = {shard.name: shard for shard in catalog.shards()}
        components = {component.digest: component for component in catalog.components(live=False)}
        references = _references_of(catalog, impact)
        elsewhere = _members_of_others(catalog, impact)
    for change in impact.shards:
        refuse_lost_rows(workspace, change)
    _require_all_judged(workspace, cases, impact)
    unfinished = tuple(begun_plan(workspace, digest) for digest in case.steps)
    together = _shares(workspace, cases, decisions)

    def planned(again: Again) -> Plan:
        return make_plan(
            decisions[0], impact, methods(), shards=shards, components=components, references=references,
            unfinished=unfinished, withdraw=withdraw, again=again, probes=probes(), every_probe=every_probe,
            owed=owed, together=together,
        )  # fmt: skip

    plan = planned({})
    left_alone = unrepeatable(workspace, plan, case, strictly=retrain_untouched)
    if case.withdrawn and retrain_untouched and not withdraw and not left_alone:
        _require_news(workspace, case, impact)
    if left_alone:
        if not retrain_untouched:
            raise refusal(named, left_alone)
        plan = planned({
            release: {
                name: AgainHere(part.component, "; ".join(part.why), (name, part.component.digest) in elsewhere)
                for name, part in parts.items()
            }
            for release, parts in left_alone.items()
        })  # fmt: skip
    left_out = together[0].left_out if together else _left_out(workspace, case)
    plan = replace(plan, expected=expected(workspace, plan, case, references=REFERENCES), left_out=left_out)
    workspace.objects.put(canonical(plan))
    kept = workspace.objects.put(canonical(impact))
    body = {"request": plan.request, "plan": plan.digest, "impact": kept}
    workspace.ledger.append("plan", body | (_of_each(workspace, cases) if together else {}))
    return plan


def _of_each(workspace: Workspace, cases: Sequence[Case]) -> dict[str, Any]:
    """Return what the fact of a joint plan says of its requests: who the others are, and what each touches by itself.

    The latter is what a request is judged by when it is decided again while the plan is carried out.
    """
    own = {case.request.id: workspace.objects.put(canonical(impact_of(workspace, case.request))) for case in cases}
    return {"with": [case.request.id for case in cases[1:]], "own": own}


def _plannable(workspace: Workspace, request_ids: Sequence[str]) -> tuple[tuple[Case, ...], tuple[Decision, ...]]:
    """Return the cases of these requests and the decisions that grant them; :class:`DisgorgeError` for any other."""
    twice = next((name for name in request_ids if request_ids.count(name) > 1), None)
    if twice is not None:
        raise DisgorgeError(f"request {twice} is named twice; name every request once")
    cases = tuple(open_case(workspace, name) for name in request_ids)
    decisions = tuple(_granted(case) for case in cases)
    require_begun_together(workspace, cases)
    return cases, decisions


def _granted(case: Case) -> Decision:
    """Return the decision by which a request is planned; :class:`DisgorgeError` says why it is not."""
    request_id = case.request.id
    if case.decision is None:
        raise DisgorgeError(f"request {request_id} is not decided; run `disgorge request decide {request_id}` first")
    require_current(case)
    if case.hold is not None:
        raise DisgorgeError(f"request {request_id} is on hold ({case.hold}); lift the hold first")
    if case.decision.outcome is Outcome.NEEDS_REVIEW:
        raise DisgorgeError(
            f"request {request_id} needs review; a person grants it with `disgorge request grant {request_id} --by "
            f"NAME --reason TEXT`, or denies it"
        )
    if case.decision.outcome is not Outcome.GRANTED:
        raise DisgorgeError(
            f"request {request_id} is {case.decision.outcome.value}; only a granted one is planned (`disgorge policy "
            f"explain {request_id}` says why)"
        )
    return case.decision


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
        if len(cases) == 1 and (impact.shards or impact.affected or impact.releases):
            continue
        if len(cases) > 1 and (case.withdrawn or items_of_all(workspace, [case])):
            continue
        _refuse_all_held(workspace, case)
        name = case.request.id
        what = "go on with `disgorge request resume`" if case.steps else "close it with `disgorge request deny`"
        if not case.withdrawn and (by := case.covered_by):
            what = f"{by} removed its items: close it with `disgorge request close {name} --fulfilled-by {by}`"
        raise DisgorgeError(f"request {name} matches nothing any more; {what}")
    if not impact.shards and not impact.affected and not impact.releases:
        names = ", ".join(case.request.id for case in cases)
        raise DisgorgeError(f"requests {names} match nothing any more; go on with `disgorge request resume`")


def _require_all_judged(workspace: Workspace, cases: Sequence[Case], impact: Impact) -> None:
    """Raise :class:`DisgorgeError` for near-duplicates that nobody has looked at and none of the requests removes."""
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


def require_current(case: Case) -> None:
    """Raise :class:`DisgorgeError` if something was recorded since the decision, which has to be made again."""
    if case.outdated:
        raise DisgorgeError(
            f"request {case.request.id}: {case.outdated}; run `disgorge request decide {case.request.id}` again"
        )


def _require_news(workspace: Workspace, case: Case, impact: Impact) -> None:
    """Raise :class:`DisgorgeError` where plans that were begun do all that a new one could, and say more of it."""
    begun = [impact_as_planned(workspace, begun_plan(workspace, digest)) for digest in case.steps]
    planned = {touched for each in begun for touched in _touched(each)}
    if set(_touched(impact)) <= planned:
        raise DisgorgeError(
            f"request {case.request.id} is being carried out and touches nothing that was not planned; go on with "
            f"`disgorge request resume {case.request.id}`, or have a release destroyed whose check does not pass with "
            f"`disgorge request plan {' '.join(case.requests)} --withdraw RELEASE`"
        )


def _refuse_all_held(workspace: Workspace, case: Case) -> None:
    """Raise :class:`DataHeld` where everything that a request would remove is under its own holds."""
    if not case.item_holds or not (items := impact_of(workspace, case.request, whole=True).items):
        return
    name, reasons = case.request.id, "; ".join(hold.words for hold in open_holds(case) if hold.terms.is_partial)
    raise DataHeld(
        f"request {name} removes nothing now: {'its one item is' if items == 1 else f'all its {items:,} items are'} "
        f"held ({reasons}); plan it again when that ends"
    )


def _left_out(workspace: Workspace, case: Case) -> tuple[LeftOut, ...]:
    """Return how many of the items that a request selects stay, by the hold they are under."""
    if not case.item_holds:
        return ()
    with Catalog.anew(workspace) as catalog:
        selected = catalog.selected(selectors_of(workspace, case.request), also=included_items(workspace, case))
    items, found = frozenset[str]().union(*selected.values()), []
    with Coverage(workspace) as coverage:
        for hold in open_holds(case):
            if hold.terms.is_partial and (under := coverage.items(hold, items)[0]):
                found.append(
                    LeftOut(len(under), hold.terms.held_by or case.request.id, hold.terms.reason, hold.terms.until)
                )
                items -= under
    return tuple(found)


def _touched(impact: Impact) -> Iterator[tuple[str, ...]]:
    """Yield every shard, component and release that an impact is about."""
    yield from (("shard", change.before.name, change.before.digest) for change in impact.shards)
    yield from (("component", each.component.name, each.component.digest) for each in impact.affected)
    yield from (("release", hit.release.name, hit.release.alias, hit.release.composition) for hit in impact.releases)


def _members_of_others(catalog: Catalog, impact: Impact) -> frozenset[tuple[str, str]]:
    """Return the names and digests of the parts of live releases that the request does not reach."""
    hit = {(found.release.name, found.release.alias) for found in impact.releases}
    others = [release for release in catalog.releases() if (release.name, release.alias) not in hit]
    return frozenset(
        (member.name, member.component)
        for release in others
        for member in catalog.composition(release.composition).members
    )


def _references_of(catalog: Catalog, impact: Impact) -> dict[str, list[Component]]:
    """Return the live references of each release that is hit under every alias it has."""
    hit = {(found.release.name, found.release.alias) for found in impact.releases}
    spared = {release.name for release in catalog.releases() if (release.name, release.alias) not in hit}
    live = catalog.components()
    return {
        name: [component for component in live if component.name.startswith(reference_release(name, ""))]
        for name in {name for name, _ in hit} - spared
    }


def impact_as_planned(workspace: Workspace, plan: Plan, *, of: str | None = None) -> Impact:
    """Return the impact a plan was made from; once items are withdrawn it can no longer be asked for.

    ``of`` a joint plan's request, the impact of that one by itself.
    """
    for fact in workspace.ledger.facts("plan", "fulfilled"):
        if fact.body["plan"] == plan.digest:
            return kept_record(workspace, Impact, fact.body.get("own", {}).get(of) or fact.body["impact"])
    raise DisgorgeError(f"the plan of {plan.request} is not recorded; plan the request again")


def approve_plan(
    workspace: Workspace, request_id: str, digest: str, *, approver: str, accept_utility_loss: bool = False
) -> Plan:
    """Record that ``approver`` (kept as a pseudonym) approves the plan with this digest, full or its first 12 digits.

    Raises :class:`StalePlan` when that is not the last plan made, or the lineage moved since.
    """
    case = open_case(workspace, request_id)
    require_current(case)
    plan = plan_of(workspace, case)
    cases = cases_of(workspace, plan)
    require_together(cases, plan)
    for other in cases:
        require_current(other)
    if len(digest) < 12 or not plan.digest.startswith(digest):
        raise StalePlan(
            f"{digest!r} is not the digest of the plan of {request_id}, which is {plan.digest[:12]}; read that plan, "
            f"then approve its digest"
        )
    require_fresh(workspace, plan, started=bool(case.steps.get(plan.digest)))
    for other in cases:
        require_all_unheld(workspace, other, before="its plan is approved")
    who = workspace.pseudonym(approver)
    if who in case.approvals.get(plan.digest, []) and not accept_utility_loss:
        raise DisgorgeError(f"{approver} approved this plan already; a second approval must come from someone else")
    workspace.ledger.append("approval", {"plan": plan.digest, "by": who, "accepts_utility_loss": accept_utility_loss})
    return plan


def require_fresh(workspace: Workspace, plan: Plan, *, started: bool) -> None:
    """Raise :class:`StalePlan` if lineage moved since the plan was made and its execution has not begun."""
    if not started and workspace.ledger.lineage_head() != plan.lineage_head:
        raise StalePlan(
            f"the lineage changed since the plan of {plan.request} was made; plan again with `disgorge request plan "
            f"{' '.join(plan.requests)}` and have that plan approved"
        )


def require_approved(case: Case, plan: Plan) -> None:
    """Raise :class:`NotApproved` unless enough different people approved exactly this plan and the loss it warns of."""
    who = set(case.approvals.get(plan.digest, []))
    needed = max(plan.approvals, 1)
    if len(who) < needed:
        lost = " since facts were lost, holds perhaps among them" if case.facts_lost else ""
        raise NotApproved(
            f"the plan of {plan.request} has {len(who)} of {needed} approvals{lost}; approve it with `disgorge request "
            f"approve {plan.request} {plan.digest[:12]} --by NAME`"
        )
    if plan.warnings and plan.digest not in case.accepts_loss:
        lost = next(step.subject for step in plan.steps if step.caveat in plan.warnings)
        raise NotApproved(
            f"{'; '.join(plan.warnings)}, and none does: accept it with `disgorge request approve {plan.request} "
            f"{plan.digest[:12]} --by NAME --accept-utility-loss`, or have the release destroyed with "
            f"`disgorge request plan {' '.join(plan.requests)} --withdraw {lost}`"
        )


def deny_request(workspace: Workspace, request_id: str, *, reason: str) -> None:
    """Close a request without doing anything, with a reason from the fixed list."""
    with turn(workspace, then="deny it again"):
        case = open_case(workspace, request_id)
        if case.partly_done:
            raise DisgorgeError(
                f"request {request_id} is carried out but for what is held, it can no longer be denied; plan the rest "
                f"when the hold ends"
            )
        if case.steps:
            raise DisgorgeError(f"request {request_id} is being carried out; resume it, it can no longer be denied")
        workspace.ledger.append("request-closed", {"request": request_id, "outcome": "denied", "reason": reason})
        delete_private_lists(workspace, case)


def extend_deadline(workspace: Workspace, request_id: str, packs: Sequence[Pack], *, reason: str) -> dt.date:
    """Extend a request's deadline as far as its regime allows, record why, and return the new one.

    Raises :class:`DisgorgeError` for one that is extended so far already.

    Whether the requester was told in time goes by the event ``extension-told``; without one they are told today.
    """
    from policies.judging.deadlines import extend

    case = open_case(workspace, request_id)
    if case.decision is None:
        raise DisgorgeError(f"request {request_id} is not decided; run `disgorge request decide {request_id}` first")
    require_current(case)
    told = told_of_extension(case, workspace.today())
    until = extend(case.decision, case.judged, packs, reason=reason, today=told)
    if case.until == until:
        raise DisgorgeError(f"request {request_id} is extended already, until {until}; no rule allows more")
    body = {"request": request_id, "until": until.isoformat(), "reason": reason, "told": told.isoformat()}
    workspace.ledger.append("deadline-extended", body)
    return until
