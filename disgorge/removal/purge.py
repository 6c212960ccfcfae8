"""The step that deletes: old weights and withdrawn items go, and then they are looked for, everywhere.

Nothing is deleted while anything live still learned from what was withdrawn: that is planned again first.
"""

from collections.abc import Sequence
from dataclasses import replace

from disgorge.errors import CertificateRefused, ExecutionFailed
from disgorge.evidence.checks import Check
from disgorge.examination.coverage import nameless, nobody_named, require_gone, residue_check
from disgorge.examination.lineage_closure import lineage_closure
from disgorge.locations.every import purge, search
from disgorge.locations.location import Target
from disgorge.locations.references import files_that_go, of_tensors, samples_that_go, still_gone, tensors_that_go
from disgorge.plan.details import PurgeDetail, WithdrawalDetail
from disgorge.plan.plan import Plan, Step
from disgorge.plan.results import Purged
from disgorge.removal.borrowed_files import refuse_borrowed_files
from disgorge.removal.conflicts import require_nothing_kept, require_nothing_made_kept
from disgorge.request.case import Case
from disgorge.request.holds.held_items import require_purge_unheld
from disgorge.request.near.find import look_for_all, recognized
from disgorge.request.particulars import is_erased, selectors_of
from disgorge.request.together import as_one
from disgorge.request.withdrawn.forget_list import ForgetList, forgotten, forgotten_likenesses, lists_of
from disgorge.request.withdrawn.overlap import lists_shared
from disgorge.request.workflow.impact import impact_as_planned
from lineage.catalog.catalog import Catalog
from lineage.catalog.influence import by_digest, influences, members_of
from lineage.ledger.fact_kinds import PurgedFact
from lineage.shards.row_marks import marks_of
from lineage.workspace import Workspace


def purge_and_look(workspace: Workspace, plan: Plan, step: Step, cases: Sequence[Case]) -> tuple[PurgedFact, Purged]:
    """Delete what a purge step names, search for it, and return the fact of it and the step's result.

    The searches are run before as well, to show that they can find. Raises :class:`CertificateRefused` where something
    live learned from it, or something of it is left, :class:`~disgorge.errors.PurgeHeld` where another request's hold
    keeps some of it, and :class:`~disgorge.errors.DataHeld` while an open hold covers an item that would be lost.
    """
    case = as_one(cases)
    forget = forgotten(workspace, case)
    likenesses = {item: likeness for each in cases for item, likeness in forgotten_likenesses(workspace, each).items()}
    gone = step.detail_as(PurgeDetail)
    require_nothing_kept(workspace, cases, forget)
    for each in cases:
        require_purge_unheld(workspace, each, gone.shards, forget, before=f"step {step.id}")
    target = Target(gone.shards, gone.objects, frozenset(forget), request=plan.request)
    require_nothing_made_kept(workspace, case, target)
    closures = closures_of(workspace, plan, case)
    listed = ForgetList(workspace, plan.digest)
    found_before = listed.found_before
    files = listed.files if found_before is not None else files_that_go(workspace, target.weights)
    refuse_borrowed_files(workspace, case, target.weights)
    target = target.with_files(files)
    if found_before is None:
        marks = marks_to_look_for(workspace, target, cases)
        tensors = tensors_that_go(workspace, target.weights)
        samples = samples_that_go(workspace, target.weights, tensors)
        listed.note_tensors(tensors, files, marks, samples)
        before = search(workspace, replace(target, tensors=tensors, marks=marks, samples=samples))
        if before.unreachable and not before.left:  # noted once, it would show for ever that the search finds nothing
            raise CertificateRefused(f"{before.unreachable[0]}; nothing was deleted, put that right and resume")
        found_before = len(before.left)
        listed.note_found(found_before, recognized(workspace, case.withdrawn, likenesses))
    target = replace(target, marks=listed.marks)
    _note_controls(workspace, case, listed, target)
    for each in cases:
        require_purge_unheld(workspace, each, target.shards, forget, before=f"step {step.id}")
    target = replace(target, tensors=still_gone(workspace, listed.tensors))
    target = replace(target, samples=of_tensors(listed.samples, target.tensors))
    purged = purge(workspace, target)
    residue = residue_check(
        workspace,
        target,
        found_before=found_before,
        erased=len(purged.paths),
        near=lambda: look_for_all(workspace, cases),
        recognized=len(frozenset[str]().union(*(each.recognized for each in lists_of(workspace, case)))),
    )
    require_gone(residue, plan.requests, then="resume")
    unnamed = {each.request.id: tuple(nobody_named(workspace, each.request)) for each in cases}
    result = Purged(
        nameless(workspace, residue),
        tuple(closures),
        deleted=len(purged.entries),
        kept=tuple(purged.kept),
        residuals=tuple(purged.left) if plan.together else (*purged.left, *unnamed[plan.request]),
        residuals_of=unnamed if plan.together else {},  # each report says what concerns its own request
    )
    return PurgedFact(plan.request, target.shards, target.weights, plan.digest), result


def marks_to_look_for(workspace: Workspace, target: Target, cases: Sequence[Case]) -> dict[str, list[str]]:
    """Return marks of the target's rows, by which they are known wherever they stand.

    Persons' names are among them as long as the private file of the request that names them is there.
    """
    names = dict[str, str]()
    for request in (case.request for case in cases):
        if not is_erased(workspace, request):
            names |= {
                workspace.private.pseudonym(each.value): each.value
                for each in selectors_of(workspace, request)
                if each.field == "subject"
            }
    return marks_of(workspace, target.shards, target.items, names)


def _note_controls(workspace: Workspace, case: Case, listed: ForgetList, target: Target) -> None:
    """Note, before the purge, what the search finds of the items that other open requests select as well.

    Those may be closed because of this removal (:mod:`disgorge.removal.fulfilled_by`), when nothing is left to control
    a search by.
    """
    for other in lists_shared(workspace, case):
        try:
            if other.found_before is None:
                marks = {item: marks for item, marks in listed.marks.items() if item in other.items}
                other.note_tensors(listed.tensors, listed.files, marks, listed.samples)
                theirs = replace(target, items=other.items, tensors=other.tensors, marks=marks)
                found = search(workspace, theirs).left
                other.note_found(len(found), recognized(workspace, case.withdrawn, other.likenesses))
        except ExecutionFailed:
            continue  # a list that is damaged stops its own request from being closed so, not this removal


def closures_of(workspace: Workspace, plan: Plan, case: Case) -> list[Check]:
    """Return whether anything live still learned from what was withdrawn: for the request, and each release destroyed.

    Everything that is live counts, in the plan or not: a training that names its uses and takes no turn may have ended
    only now. Raises :class:`CertificateRefused` if something did.
    """
    with Catalog.anew(workspace) as catalog:
        known = by_digest(catalog.components(live=False))
        live = list(catalog.components())
        for release in catalog.releases():
            live += members_of(catalog.composition(release.composition), known)
        about = {
            step.subject: members_of(catalog.composition(step.detail.before), known)
            for step in plan.steps
            if isinstance(step.detail, WithdrawalDetail)
        }
    affected = tuple(each.component for each in impact_as_planned(workspace, plan).affected)
    if affected:
        about[plan.request] = affected
    withdrawn = frozenset(case.withdrawn)
    left = sorted({component.name for component in live if influences([component], known) & withdrawn})
    if left:
        raise CertificateRefused(
            f"{', '.join(left)} learned from the withdrawn data and is live, and no step of the plan takes it away; "
            f"plan the request again with `disgorge request plan {' '.join(plan.requests)}`"
        )
    return [
        lineage_closure(subject, before=before, after=live, known=known, withdrawn=withdrawn)
        for subject, before in about.items()
    ]
