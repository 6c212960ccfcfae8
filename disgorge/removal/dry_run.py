"""What a purge would delete, every path and store entry of it, said before it happens. Reads only.

Of a request that was not begun, or has not come to its purge, it is said by its plan and its selectors as if all the
steps before were done: to the facts there are come those that they would still append. That holds as of now: what the
execution itself writes, such as the shards that it cuts, is not in it, and other work in the workspace can change it.
Negative consequence: should weights that are yet to be trained come out equal to old ones, byte for byte, the purge
spares what the dry run listed.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from disgorge.locations.every import plan as plan_purge
from disgorge.locations.location import Deletion, Target
from disgorge.locations.references import files_that_go, samples_that_go, tensors_that_go
from disgorge.locations.source_files import files_for_a_person
from disgorge.plan.details import RenewalDetail, WithdrawalDetail
from disgorge.plan.plan import Action, Plan, Step
from disgorge.request.case import Case, case_of, plan_of
from disgorge.request.holds.held_items import items_of_all, overlaps
from disgorge.request.together import as_one, cases_of
from disgorge.request.withdrawn.forget_list import ForgetList, forgotten
from disgorge.request.workflow.approval import require_fresh
from disgorge.training.sandbox.inputs import stages_of
from lineage.ledger.chain import Fact
from lineage.ledger.fact_kinds import (
    ArtifactWithdrawnFact,
    ComponentRetiredFact,
    CompositionFact,
    FactBody,
    ReleaseFact,
    ReleaseWithdrawnFact,
    ShardFact,
    ShardWithdrawnFact,
)
from lineage.ledger.state import State
from lineage.records import plain
from lineage.workspace import Workspace

_REMEDIES = (Action.DROP, Action.SUBTRACT, Action.RETRAIN)
Names = set[tuple[str, str]]
"""Names and digests of components."""


def preview(workspace: Workspace, request: str) -> Deletion:
    """Return what the purge of a request's last plan would do if it came to it at this moment.

    Raises :class:`~lineage.errors.UnknownRecord` if there is no plan, and :class:`~disgorge.errors.StalePlan` for one
    that would not be carried out any more.
    """
    case = case_of(workspace, request)
    plan = plan_of(workspace, case)
    done = case.steps.get(plan.digest, {})
    require_fresh(workspace, plan, started=bool(done))
    ahead = [step for step in plan.steps if step.id not in done]
    shards, objects = plan.purges.shards, plan.purges.objects
    cases = cases_of(workspace, plan)
    items = _items(workspace, as_one(cases), ahead, cases)
    found = dict.fromkeys(each.words for name in plan.requests for each in overlaps(workspace, name, items))
    coming = tuple(coming_facts(plan, ahead, workspace.ledger.state()))
    noted = ForgetList(workspace, plan.digest)  # of a purge that was killed
    tensors = noted.tensors if noted.found_before is not None else tensors_that_go(workspace, objects, coming)
    files = noted.files if noted.found_before is not None else files_that_go(workspace, objects)
    samples = noted.samples if noted.found_before is not None else samples_that_go(workspace, objects, tensors)
    target = Target(shards, objects, items, tensors, request=request, samples=samples).with_files(files)
    planned = plan_purge(workspace, target, coming)
    stages = stages_of(workspace)  # cleared on the way
    copies = (path for stage in stages for path in stage.rglob("*") if path.is_file())
    return replace(
        planned,
        paths=tuple(dict.fromkeys((*planned.paths, *copies))),
        left=(*planned.left, *files_for_a_person(workspace, target)),
        kept=(*planned.kept, *(f"nothing of it goes while a hold lasts: {words}" for words in found)),
        ahead=sum(step.action not in (Action.PURGE, Action.REPORT) for step in ahead),
    )


def coming_facts(plan: Plan, ahead: Sequence[Step], state: State) -> Iterator[Fact]:
    """Yield what these steps append, as far as it decides what is needed when the plan comes to its purge."""
    gone = [step.detail for step in ahead if isinstance(step.detail, WithdrawalDetail)]
    down = {(detail.name, detail.alias) for detail in gone}
    staying = {
        (member.name, member.component)
        for place, release in state.releases.items()
        if release.live and place not in down and release.record.composition in state.compositions
        for member in state.compositions[release.record.composition].members
    }
    live = {key for key, component in state.components.items() if component.live}
    retired = {each for step in ahead if step.action in _REMEDIES for each in _components(step)}
    if any(step.action is Action.WITHDRAW_ITEMS for step in ahead):
        for change in plan.shard_changes:
            if change.after is not None:
                yield _fact(ShardFact(change.after))
            yield _fact(ShardWithdrawnFact(change.before.digest, change.before.name, request=plan.request))
        for artifact in plan.artifacts:
            yield _fact(ArtifactWithdrawnFact(artifact.digest, artifact.name, request=plan.request))
    for step in ahead:
        if isinstance(step.detail, WithdrawalDetail):
            retired |= _components(step) - staying
            yield _fact(ReleaseWithdrawnFact(step.detail.name, step.detail.alias))
        elif step.action is Action.ADOPT:
            detail = step.detail_as(RenewalDetail)
            old = state.compositions[detail.before]
            kept = tuple(member for member in old.members if (member.name, member.component) in live - retired)
            new = replace(old, members=kept)
            yield _fact(CompositionFact(new))
            yield _fact(ReleaseFact(detail.name, detail.alias, new.digest))
    for name, digest in sorted(retired):
        yield _fact(ComponentRetiredFact(name, digest))


def _items(workspace: Workspace, case: Case, ahead: Iterable[Step], cases: Sequence[Case]) -> frozenset[str]:
    """Return the items that are withdrawn, and those that the plan will withdraw; the report erases what lists them."""
    listed = any(ForgetList(workspace, digest).path.exists() for digest in case.steps)
    items = forgotten(workspace, case) if listed else frozenset[str]()
    if any(step.action is Action.WITHDRAW_ITEMS for step in ahead):
        items |= items_of_all(workspace, cases)
    return items


def _components(step: Step) -> Names:
    return {(part.name, part.component) for part in step.parts}


def _fact(said: FactBody) -> Fact:
    return Fact(0, "", said.kind_of_fact, plain(said), "", "")
