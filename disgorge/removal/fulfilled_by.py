"""Closing a request whose items another request's removal took: a report of its own that points to that removal's.

Nothing is removed here. What is shown: that the other request is done and certified; that its withdrawals, and no
other's, took every item that this one selected (:mod:`disgorge.request.withdrawn.overlap`); that it gave at least what
this one is owed; that nothing live fits this one's selectors, nothing live learned from the items, and nothing of them
is found now by the search that a purge ends with. Where one of these cannot be shown it is refused and says which.

Controls of the search, after the fact: what it found of these very items before they were purged, noted then; and that
it finds an item that is live now.
"""

from collections.abc import Iterator
from dataclasses import replace

from disgorge.attestation.standing import EQUAL_BITS
from disgorge.errors import CertificateRefused, DisgorgeError
from disgorge.evidence.checks import Check, Evidence, Verdict
from disgorge.evidence.probes.never_trained import NAME as NEVER_TRAINED
from disgorge.examination.confinement_control import NAME as CONTROL
from disgorge.examination.coverage import nameless, nobody_named, require_gone, residue_check
from disgorge.facts import FulfilledFact, OverlapFact, RequestClosedFact
from disgorge.locations.every import search
from disgorge.locations.exports import bundles_with, pages_with
from disgorge.locations.location import Copy, Target
from disgorge.locations.references import of_tensors, still_gone
from disgorge.plan.details import ConfirmationDetail
from disgorge.plan.plan import Action, Plan, Step
from disgorge.plan.results import Searched
from disgorge.removal.conflicts import keepers, purges_of
from disgorge.removal.containment import serve_again
from disgorge.removal.preconditions import is_begun
from disgorge.removal.purge import closures_of
from disgorge.report.compile import Written, evidence_of, report_fact, residuals_of, write_up
from disgorge.request.case import Case, begun_plan, case_of, open_case
from disgorge.request.holds.open import delete_private_lists
from disgorge.request.included import included_items
from disgorge.request.near.find import look
from disgorge.request.particulars import is_erased, selectors_of
from disgorge.request.withdrawn.forget_list import ForgetList, whole_list
from disgorge.request.workflow.decide import granted_decision
from disgorge.request.workflow.impact import impact_of
from disgorge.tracking.registry import Registrar
from disgorge.training.sandbox.inputs import clear_stages
from disgorge.verify.verify import Verified, verify_bundle
from disgorge.workspace_lock import turn
from lineage.catalog.catalog import Catalog
from lineage.plural import counted
from lineage.records import Cost, canonical, plain
from lineage.shards.files import shard_rows
from lineage.workspace import Workspace
from policies.decision import Decision, Owed
from policies.taxonomy import Confinement, Guarantee, Scope, shown_by


def close_fulfilled(workspace: Workspace, request: str, *, by_request: str, registrar: Registrar) -> Written:
    """Close a granted request because another one's removal took all its items, and return the signed report.

    Raises :class:`DisgorgeError` saying what stands against it; then nothing was recorded, unless the certificate
    itself was refused. Killed in between, it is run again.
    """
    with turn(workspace, then=f"run `disgorge request close {request} --fulfilled-by {by_request}`"):
        clear_stages(workspace)
        case, other = open_case(workspace, request), case_of(workspace, by_request)
        decision = _require_open_to_it(workspace, case)
        theirs = _require_certified(workspace, other)
        listed = _require_all_taken(workspace, case, other)
        _require_nothing_live(workspace, case)
        done = begun_plan(workspace, theirs.plan)
        owed = _require_owed(workspace, decision, other, done)
        plan = _plan_for(workspace, decision, owed, other, theirs, done, case.overlaps[-1])
        workspace.ledger.record(_confirmed(workspace, plan, case, other, done, listed))
        written = write_up(workspace, plan, case_of(workspace, request))
        report = report_fact(workspace, written)
        if written.refusal is not None:
            workspace.ledger.record(report)
            raise CertificateRefused(
                f"{written.refusal}; the request stays open, the signed refusal is {written.bundle}"
            )
        served = serve_again(workspace, case, registrar)
        workspace.ledger.record(report, *served.facts, RequestClosedFact(request, "fulfilled", by_request=by_request))
        delete_private_lists(workspace, case)
        return written


def _require_open_to_it(workspace: Workspace, case: Case) -> Decision:
    """Return the decision that grants the request; refuse one that is on hold, not granted, or carried out itself."""
    name = case.request.id
    if is_begun(workspace, case) and not case.partly_done:
        raise DisgorgeError(
            f"request {name} is being carried out by a plan of its own; finish it with `disgorge request resume {name}`"
        )
    decision = granted_decision(case, to_be="closed as fulfilled")
    if is_erased(workspace, case.request):
        raise DisgorgeError(
            f"the private file of request {name} was erased, and with it which items were meant, so that they were "
            f"removed cannot be shown: close it with `disgorge request deny {name} --reason REASON`"
        )
    return decision


def _require_certified(workspace: Workspace, other: Case) -> Verified:
    """Return what the report on the other removal says, verified now with the workspace's key."""
    name = other.request.id
    if other.closed != "done" or not other.report or other.last_report.verdict != "certified":
        state = "not finished" if not other.closed else f"closed as {other.closed}"
        way_on = f"`disgorge request show {name}` says where it stands"
        if other.closed == "denied":
            way_on = "close the other one with `disgorge request deny`, and tell its requester what was withdrawn"
        raise DisgorgeError(
            f"request {name} is {state}, so it has no certificate that another request could rest on; {way_on}"
        )
    found = verify_bundle(workspace.root / other.last_report.bundle, public_key=workspace.home / "public.pem")
    if found.request != name or found.plan != other.last_report.plan or found.verdict != "certified":
        raise DisgorgeError(
            f"{found.bundle} is not the report on {name} that the ledger records; put that one back and repeat"
        )
    return found


def _require_all_taken(workspace: Workspace, case: Case, other: Case) -> ForgetList:
    """Return the list of the items, once ledger and list agree that the other request took every one of them."""
    name, by = case.request.id, other.request.id
    took = [each for each in case.overlaps if each.by_request == by]
    if not took:
        rest = f"; {found} took them: name that one" if (found := case.covered_by) else (
            f": {by} withdrew none, or {name} was filed after that; if it matches nothing, close it with `disgorge "
            f"request deny {name} --reason no-match`"
        )  # fmt: skip
        raise DisgorgeError(f"nothing recorded shows that {by} removed items that {name} selects{rest}")
    if strangers := sorted({each.by_request for each in case.overlaps} - {by}):
        raise DisgorgeError(
            f"{by} removed only a part of what {name} selects, {', '.join(strangers)} removed others; carry out {name} "
            f"itself, or close it with `disgorge request deny {name} --reason no-match`"
        )
    if took[-1].removed != took[-1].of:
        raise DisgorgeError(
            f"{by} removed {took[-1].removed:,} of {counted(took[-1].of, 'item')} that {name} selected, and not "
            f"the rest; plan {name} with `disgorge request plan {name}`"
        )
    return whole_list(workspace, case, by)


def _require_nothing_live(workspace: Workspace, case: Case) -> None:
    """Refuse while something live fits what the request selects, or another open request still keeps some of it."""
    name, selectors = case.request.id, selectors_of(workspace, case.request)
    with Catalog.anew(workspace) as catalog:
        found = catalog.selected(selectors, also=included_items(workspace, case))
        names = {shard.digest: shard.name for shard in catalog.shards()}
    if items := {item for each in found.values() for item in each}:
        raise DisgorgeError(
            f"{counted(len(items), 'item')} of {', '.join(sorted(names[digest] for digest in found))} still "
            f"{'fits' if len(items) == 1 else 'fit'} what {name} selects; plan it with `disgorge request plan {name}`"
        )
    if kept := keepers(workspace, selectors):
        raise DisgorgeError(f"request {name} cannot be closed yet: {kept[0]}")


def _require_owed(workspace: Workspace, decision: Decision, other: Case, done: Plan) -> Owed:
    """Return what this request is owed; refuse where the other removal gave less."""
    name, by = decision.request, other.request.id
    owed, given = decision.owed, other.decision.owed if other.decision else None
    if owed is None or given is None:
        raise DisgorgeError(f"what {name if owed is None else by} is owed is not recorded; decide it again")
    if less := [*_less(owed, given, done, evidence_of(workspace, other.last_report.evidence))]:
        raise DisgorgeError(
            f"the removal for {by} gave less than {name} is owed: {'; '.join(less)}; the items are gone, so close it "
            f"with `disgorge request deny {name} --reason no-match` and tell the requester what was done for {by}"
        )
    return owed


def _less(owed: Owed, given: Owed, done: Plan, evidence: Evidence) -> Iterator[str]:
    """Yield in words what is owed that the other plan and its evidence do not give."""
    if done.guarantee < owed.guarantee:
        yield f"its guarantee is {done.guarantee.label}, owed is {owed.guarantee.label}"
    if owed.scope is Scope.WHOLE_LINEAGE and given.scope is not Scope.WHOLE_LINEAGE:
        yield "everything built on the items had to be destroyed, and it removed their influence"
    if done.approvals < owed.approvals:
        yield f"{counted(max(done.approvals, 1), 'person', 'people')} approved it, and {owed.approvals} must"
    if not evidence.after:
        return  # every release was destroyed: no method and no check of a model is left to ask for
    level, equal_bits = _shown(done, evidence)
    if not level.at_least(owed.confinement) or equal_bits < owed.equal_bits:
        yield f"it was shown by {shown_by(level, equal_bits=equal_bits)}, and owed is {owed.shown_by}"
    if missing := sorted(set(owed.evidence) - set(evidence.required)):
        yield f"it required no check {', '.join(missing)}"
    if (owed.utility_floor or 0.0) > (done.utility_floor or 0.0):
        yield f"it demanded no utility of {owed.utility_floor:.0%} of what it was"
    if strange := sorted(family.value for family in set(given.families) - set(owed.families)):
        yield f"it may have used {', '.join(strange)}, which this decision does not admit"


def _shown(done: Plan, evidence: Evidence) -> tuple[Confinement, bool]:
    """Return in which confinement at least the other removal was shown, and whether by equal bits of every part.

    That is what its plan demanded, or more where its evidence says so of every release: that the least confined of the
    runs that made it was at a closer level, and confinement was tried and held; that second runs reached the same bytes
    of each part and of all it was made from.
    """
    told = [check for check in evidence.checks if check.name == NEVER_TRAINED and check.verdict is Verdict.PASS]
    if not evidence.after.keys() <= {check.subject for check in told}:
        return done.confinement, done.equal_bits
    level = min((_level_of(check) for check in told), key=lambda each: each.rank)
    parts = [part.get("shown by") or "" for check in told for part in check.detail.get("components", ())]
    return max(done.confinement, level, key=lambda each: each.rank), done.equal_bits or (
        bool(parts) and all(EQUAL_BITS in words for words in parts)
    )


def _level_of(check: Check) -> Confinement:
    """Return the level that a passed check of never-trained parts found, if trying confinement bore it out."""
    held = any(control.name == CONTROL and control.held for control in check.controls)
    told = check.detail.get("level")
    return Confinement(told) if held and told in list(Confinement) else Confinement.PROCESS


def _plan_for(
    workspace: Workspace,
    decision: Decision,
    owed: Owed,
    other: Case,
    theirs: Verified,
    done: Plan,
    took: OverlapFact,
) -> Plan:
    """Return the plan that removes nothing: look that the other removal covered this request, and report."""
    name, by = decision.request, other.request.id
    words = f"Confirm that request {by} removed every item that {name} selects, and search for them."
    detail = ConfirmationDetail(by, theirs.plan, theirs.statement, took.removed, took.of)
    guarantee, nothing = done.guarantee, Guarantee.NONE
    return Plan(
        request=name,
        decision=decision.digest,
        lineage_head=workspace.ledger.lineage_head(),
        guarantee=guarantee,
        steps=(
            Step(f"01-confirm-{by}", Action.CONFIRM, by, None, guarantee, Cost(), words, detail=detail),
            Step("02-report", Action.REPORT, name, None, nothing, Cost(), "Write the report and sign it."),
        ),
        required=("residue",),
        approvals=0,
        utility_floor=None,
        full_cost=Cost(),
        choices=done.choices,
        confinement=owed.confinement,
        equal_bits=owed.equal_bits,
    )


def _confirmed(
    workspace: Workspace, plan: Plan, case: Case, other: Case, done: Plan, listed: ForgetList
) -> FulfilledFact:
    """Search for the items and for what learned from them, and return the fact that says what was found."""
    gone = purges_of(workspace, other)
    tensors = still_gone(workspace, listed.tensors)
    residue = residue_check(  # as a purge searches: for the items, and for the old shards and weights
        workspace,
        Target(
            gone.shards,
            gone.objects,
            listed.items,
            tensors,
            request=case.request.id,
            marks=listed.marks,
            samples=of_tensors(listed.samples, tensors),
        ).with_files(listed.files),
        found_before=listed.found_before or 0,
        near=lambda: look(workspace, case, listed.likenesses),
        recognized=len(listed.recognized),
        live=_found_live(workspace),
    )
    require_gone(residue, [case.request.id], then="repeat")
    closures = [each for each in closures_of(workspace, done, other) if each.subject == done.request]
    residuals = [
        *residuals_of(done, other.done(done.digest), drawn=False),
        *Copy.UNSUPPORTED.words([*bundles_with(workspace, gone.shards), *pages_with(workspace, listed.items)]),
        *nobody_named(workspace, case.request),
    ]
    result = Searched(
        nameless(workspace, residue),
        tuple(replace(each, subject=case.request.id, answer=_CLOSED) for each in closures),
        residuals=tuple(dict.fromkeys(residuals)),
    )
    impact = workspace.objects.put(canonical(impact_of(workspace, case.request)))
    workspace.objects.put(canonical(plan))
    return FulfilledFact(
        request=case.request.id,
        by_request=other.request.id,
        plan=plan.digest,
        impact=impact,
        step=plan.steps[0].id,
        result=plain(result),
    )


_CLOSED = "no recorded path leads from what the other removal withdrew to anything live"


def _found_live(workspace: Workspace) -> int | None:
    """Return how many traces the search finds now of an item that is live; None where nothing is."""
    with Catalog.of(workspace) as catalog:
        shards = catalog.shards()
    item = next((row.digest for shard in shards for row in shard_rows(workspace, shard.digest)[:1]), None)
    return None if item is None else len(search(workspace, Target(items=frozenset({item}))).left)
