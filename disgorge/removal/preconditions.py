"""What must hold, beyond approval, before an execution begins, takes anything away, adopts a release or is reported.

A plan is a statement about lineage and about a decision. Between the approval and the step that cannot be undone both
may have moved: an execution is killed or held, and meanwhile a model is trained, the request is decided again, or
another one is carried out. Between purge and report old weights may come back, or an alias may serve the old release
again. So what was approved, and what the evidence found, is looked at again each time. Each function here raises what
to do then; none of them changes anything.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from disgorge.errors import CertificateRefused, ExecutionFailed, StalePlan
from disgorge.evidence.checks import Examination
from disgorge.evidence.probes.never_trained import NAME as NEVER_TRAINED
from disgorge.locations.every import search
from disgorge.locations.location import Target
from disgorge.plan.details import ReleaseDetail, RenewalDetail
from disgorge.plan.plan import Action, Plan
from disgorge.plan.results import Adopted
from disgorge.request.case import Case, begun_plan, docket
from disgorge.request.holds.held_items import all_overlaps, removable
from disgorge.request.holds.open import open_holds
from disgorge.request.holds.purge_hold import is_kept, is_unpurged
from disgorge.request.near.find import look
from disgorge.request.particulars import is_erased
from disgorge.request.withdrawn.forget_list import ForgetList, forgotten, forgotten_likenesses
from disgorge.request.workflow.impact import impact_as_planned, impact_of_all
from disgorge.tracking.registry import Registrar
from lineage.catalog.catalog import Catalog
from lineage.errors import LineageError
from lineage.records import Composition, Impact
from lineage.storage.components import require_whole
from lineage.workspace import Workspace
from policies.taxonomy import Outcome


def require_decided(case: Case, plan: Plan) -> None:
    """Raise :class:`StalePlan` unless the plan was made for the decision that holds, and that one is current."""
    plan = plan.seen_by(case.request.id)
    if case.outdated:
        raise StalePlan(
            f"request {plan.request}: {case.outdated}; what was done stands, run `disgorge request decide "
            f"{plan.request}` again"
        )
    if case.decision is not None and case.decision.outcome is not Outcome.GRANTED:
        rest = f"; plan the others again with `disgorge request plan {' '.join(plan.others)}`" if plan.together else ""
        raise StalePlan(
            f"request {plan.request} was decided again and is {case.decision.outcome.value} "
            f"({case.decision.category}); nothing more is carried out, and `disgorge policy explain {plan.request}` "
            f"says why{rest}"
        )
    if case.decision is None or case.decision.digest != plan.decision:
        raise StalePlan(
            f"request {plan.request} was decided again after its plan was made; plan again with `disgorge request plan "
            f"{' '.join(plan.requests)}` and have that plan approved"
        )


def require_unchanged(workspace: Workspace, cases: Sequence[Case], plan: Plan) -> None:
    """Raise :class:`StalePlan` unless its requests touch, at this moment, exactly what the plan was made for.

    Asked before items are withdrawn, because a release may have been contained long before: what was trained or added
    in between is in no plan. Afterwards the old shards are no longer there to be used.
    """
    if _substance(impact_of_all(workspace, cases)) != _substance(impact_as_planned(workspace, plan)):
        raise StalePlan(
            f"the request {', '.join(plan.requests)} touches other shards, components or releases than when its plan "
            f"was made; nothing was withdrawn yet: plan again with `disgorge request plan {' '.join(plan.requests)}` "
            f"and have that approved"
        )


def require_alone(workspace: Workspace, case: Case, plan: Plan) -> None:
    """Raise :class:`ExecutionFailed` while another request is half carried out on the same shards or releases.

    What that one composed before this one's removal it would adopt after it. One whose purge waits for a day, or for a
    hold to end, has adopted what it composed, and blocks no other; so has one that is done but for items that are
    held.
    """
    shards, releases = _touched([plan])
    for other in docket(workspace).values():
        if other.closed or other.partly_done or other.request.id in plan.requests:
            continue
        if other.steps.keys() <= case.steps.keys():
            continue  # it was begun together with this one, whose plan now is another
        if not is_begun(workspace, other) or is_kept(workspace, other) or _waits_for_a_hold(workspace, other):
            continue
        others = _touched(begun_plan(workspace, digest) for digest in other.steps)
        shared = sorted((shards & others[0]) | (releases & others[1]))
        if shared:
            raise ExecutionFailed(
                f"request {other.request.id} is being carried out and touches {shared[0]} as well; finish it first "
                f"with `disgorge request resume {other.request.id}`, then plan {case.request.id} again"
            )


def _waits_for_a_hold(workspace: Workspace, case: Case) -> bool:
    """Whether a request comes to its purge next, and a hold, its own or another request's, keeps what that deletes."""
    return is_unpurged(workspace, case) and bool(open_holds(case) or all_overlaps(workspace, case))


def is_begun(workspace: Workspace, case: Case) -> bool:
    """Whether more than containment was done for a request, by any of its plans."""
    return any(
        step.action is not Action.CONTAIN
        for digest, done in case.steps.items()
        for step in begun_plan(workspace, digest).steps
        if step.id in done
    )


def _touched(plans: Iterable[Plan]) -> tuple[set[str], set[str]]:
    """Return the names of the shards and artifacts, and of the releases, that plans are about."""
    shards: set[str] = set()
    releases: set[str] = set()
    for plan in plans:
        shards.update(change.before.name for change in plan.shard_changes)
        shards.update(artifact.name for artifact in plan.artifacts)
        releases.update(step.detail.name for step in plan.steps if isinstance(step.detail, ReleaseDetail))
    return shards, releases


def _substance(impact: Impact) -> Any:
    """Return what an impact is about: all but the ledger's head, costs, and whether a release is contained."""
    return (
        {(change.before.digest, change.before.name, change.after and change.after.digest) for change in impact.shards},
        {(artifact.digest, artifact.name) for artifact in impact.artifacts},
        {(affected.component.name, affected.component.digest) for affected in impact.affected},
        {(hit.release.name, hit.release.alias, hit.release.composition) for hit in impact.releases},
    )


def refuse_borrowed(subject: str, examination: Examination, composition: Composition) -> None:
    """Raise :class:`CertificateRefused` if an examination is not about the parts that are to be served."""
    members = {(member.name, member.component) for member in composition.members}
    for check in examination.checks:
        if check.name == NEVER_TRAINED:
            about = {(part["name"], part["recorded"]) for part in check.detail["components"]}
            if about != members:
                raise CertificateRefused(
                    f"release {subject} is not adopted: its examination is about other parts than those composed; plan "
                    f"the request again"
                )


def require_still_so(workspace: Workspace, plan: Plan, case: Case, *, registrar: Registrar) -> None:
    """Raise :class:`CertificateRefused` if what the evidence found is no longer so when the report is signed.

    An alias, in the ledger and in MLflow, is not where it was moved to, what was purged is there again, or items came
    that the request selects, as they may while a purge is held. A release that has moved on to what was trained later
    is no objection, as long as it is not what it was before the removal. Negative consequence: the evidence in the
    report is still that of the purge; this is one look more.
    """
    _require_nothing_came(workspace, case)
    against = [*_aliases(workspace, plan, case, registrar), *_back_again(workspace, plan, case)]
    if against:
        raise CertificateRefused(
            f"no certificate for request {plan.request}: since it was carried out, {'; '.join(against)}; put that "
            f"right, then run `disgorge request resume {plan.request}`"
        )


def _require_nothing_came(workspace: Workspace, case: Case) -> None:
    """Refuse while something live fits the request's selectors: it came after the items were withdrawn.

    Where the private file of the request is erased, what was selected is unknown, and nothing is searched for.
    A damaged one stops: what it says is not what was asked for.
    """
    if is_erased(workspace, case.request):
        return
    found = removable(workspace, case)
    with Catalog.of(workspace) as catalog:
        names = {shard.digest: shard.name for shard in catalog.shards()}
    if count := len({item for items in found.values() for item in items}):
        where = ", ".join(sorted(names.get(digest, digest[:12]) for digest in found))
        items, fit = ("item", "fits") if count == 1 else ("items", "fit")
        raise CertificateRefused(
            f"no certificate for request {case.request.id}: {count:,} {items} of {where} {fit} what it selects and "
            f"came since it was planned; plan it again with `disgorge request plan {case.request.id}`"
        )


def _aliases(workspace: Workspace, plan: Plan, case: Case, registrar: Registrar) -> list[str]:
    releases = workspace.ledger.state().releases
    done, against = case.steps.get(plan.digest, {}), []
    for step in plan.steps:
        if step.action is not Action.ADOPT or step.id not in done:
            continue
        detail, adopted = step.detail_as(RenewalDetail), case.result(plan.digest, step, Adopted).composition
        name, alias = detail.name, detail.alias
        entry = releases.get((name, alias))
        live = entry.record.composition if entry is not None and entry.live else None
        if live == detail.before:
            against.append(f"{name}@{alias} serves the old release again")
        if live is not None and live == adopted:
            against += _changed(workspace, name, live)
        served = registrar.served(name).get(alias)
        if served is not None and served not in (live, adopted):
            against.append(f"{name}@{alias} in MLflow is not what was adopted")
    return against


def _changed(workspace: Workspace, release: str, composition: str) -> list[str]:
    """Return what is the matter with the bytes that a release serves."""
    try:
        for member in workspace.ledger.state().compositions[composition].members:
            require_whole(workspace.objects, member.component)
    except LineageError as error:
        return [f"release {release} lost what was adopted: {error}"]
    return []


def _back_again(workspace: Workspace, plan: Plan, case: Case) -> list[str]:
    """Return the first trace of what was purged, searched for as the purge did.

    The list of items is erased with the report, so a report that was killed after that is written by digests alone.
    """
    listed = any(ForgetList(workspace, digest).path.exists() for digest in case.steps)
    if not listed and not (workspace.root / "reports" / plan.request).exists():
        forgotten(workspace, case)  # raises: without a report no command of ours has erased the list
    items = forgotten(workspace, case) if listed else frozenset()
    noted = ForgetList(workspace, plan.digest)
    near = look(workspace, case, forgotten_likenesses(workspace, case) if listed else {})
    if near.unjudged:
        return [f"{near.words}, which was not reviewed (`disgorge request near {plan.request}`)"]
    if not any(step.action is Action.PURGE for step in plan.steps):
        return []
    target = Target(
        plan.purges.shards, plan.purges.objects, items, noted.tensors, marks=noted.marks, samples=noted.samples
    ).with_files(noted.files)
    traces = search(workspace, target)
    return [f"what was purged is back: {traces.left[0]}"] if traces.left else [*traces.unreachable[:1]]
