"""How each step of a plan is done. One function per action; :func:`act` picks it.

An action changes the world only in ways that may be repeated, and returns the facts to append. See
:mod:`disgorge.removal.execute` for why that is enough to survive being killed.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from disgorge.attestation.standing import Attested
from disgorge.errors import CertificateRefused, ExecutionFailed
from disgorge.evidence.checks import Examination
from disgorge.examination.attested_parts import ran_confined
from disgorge.examination.confinement_control import ConfinementControl, confinement_control
from disgorge.examination.examine import Examiner
from disgorge.facts import ExaminationFact, RequestClosedFact
from disgorge.plan.details import PartsDetail, ReleaseDetail, RenewalDetail, WithdrawalDetail
from disgorge.plan.plan import Action, Plan, Step
from disgorge.plan.results import Adopted, ItemsWithdrawn, Probed, Recomposed, Reported, Result, Retired, Retrained
from disgorge.release.places import served_besides, unexplained_besides
from disgorge.release.serving import refuse_what_went_since, release_it
from disgorge.removal.preconditions import refuse_borrowed, require_still_so, require_unchanged
from disgorge.removal.purge import purge_and_look
from disgorge.report.compile import report_fact, write_up
from disgorge.request.case import Case
from disgorge.request.holds.held_items import removable, removable_by_all, require_all_unheld
from disgorge.request.holds.open import delete_private_lists
from disgorge.request.near.find import look, require_judged
from disgorge.request.particulars import selectors_of
from disgorge.request.stored_records import kept_record
from disgorge.request.together import as_one
from disgorge.request.withdrawn.forget_list import ForgetList, forgotten, forgotten_likenesses, forgotten_own
from disgorge.request.withdrawn.overlap import note_overlaps
from disgorge.request.workflow.repeatable import CHANGED, trained_models
from disgorge.statement.certificate import refuse_adoption
from disgorge.tracking.registry import Registrar
from disgorge.training.assemble import spec_of
from disgorge.training.items import pick
from disgorge.training.make import Made, make
from disgorge.training.recipe import Runner
from disgorge.training.runners.declared import maker_of
from disgorge.training.stored import read_items
from lineage.catalog.catalog import Catalog
from lineage.catalog.influence import by_digest, influences
from lineage.ledger.fact_kinds import (
    ArtifactWithdrawnFact,
    ComponentFact,
    ComponentRetiredFact,
    CompositionFact,
    FactBody,
    ReleaseContainedFact,
    ReleaseWithdrawnFact,
    ShardFact,
    ShardWithdrawnFact,
)
from lineage.records import Component, Composition, canonical
from lineage.shards.cut import cut_shard
from lineage.shards.files import recorded_likenesses, shard_rows
from lineage.shards.let_in import end_let_in
from lineage.shards.returning import remember_erased
from lineage.shards.values import mark_withdrawn
from lineage.storage.components import require_whole
from lineage.workspace import Workspace
from policies.taxonomy import Guarantee


@dataclass(frozen=True, slots=True)
class Workshop:
    """What actions work with: the workspace, the runners that train and re-execute, and the registrar."""

    workspace: Workspace
    runner: Runner
    independent: Callable[[], Runner]
    references: int
    registrar: Registrar
    _tried: dict[str, ConfinementControl | None] = field(default_factory=dict)

    def confinement(self, plan: Plan) -> ConfinementControl | None:
        """Return what trying the confinement of jobs came to, tried once a plan."""
        if plan.digest not in self._tried:
            runner = self.independent()
            try:
                devices = sorted({spec.device for spec in trained_models(self.workspace, plan)})
                device = devices[-1] if devices else "cpu"  # the one that a job is given more for
                self._tried[plan.digest] = confinement_control(self.workspace, runner, device=device)
            finally:
                runner.close()
        return self._tried[plan.digest]


@dataclass(frozen=True, slots=True)
class StepResult:
    """What a step came to: its result, the facts to append before its own, and those after it."""

    result: Result = field(default_factory=Result)
    facts: list[FactBody] = field(default_factory=list)
    closing: list[FactBody] = field(default_factory=list)
    notes: tuple[str, ...] = ()
    """What to say to the operator; it is not recorded."""


def act(workshop: Workshop, plan: Plan, step: Step, cases: Sequence[Case]) -> StepResult:
    """Do one step for the requests of a plan, a report for one of them, and return what it came to."""
    if step.action in _FOR_EACH:
        return _FOR_EACH[step.action](workshop, plan, step, cases)
    return _ACTIONS[step.action](workshop, plan, step, as_one(cases))


def _contain(workshop: Workshop, plan: Plan, step: Step, case: Case) -> StepResult:
    detail = step.detail_as(ReleaseDetail)
    name, alias = detail.name, detail.alias
    entry = workshop.workspace.ledger.state().releases[name, alias]
    workshop.registrar.contain(name, alias)
    stopped = _stopped(workshop, entry.record.composition)
    served = served_besides(workshop.workspace, name, alias)
    facts: list[FactBody] = [ReleaseContainedFact(name, alias, request) for request in plan.requests]
    notes = (*stopped, *served, *unexplained_besides(workshop.workspace))
    return StepResult(Result(residuals=(*stopped, *served)), facts, notes=notes)


def _stopped(workshop: Workshop, composition: str) -> list[str]:
    """Take away what else serves a composition in MLflow, and name it: the operator may set these aliases again."""
    return [
        f"MLflow's alias {alias} served the old release as well and was taken away; set it on the new one if it is "
        f"needed"
        for alias in workshop.registrar.stop(composition)
    ]


def _withdraw_items(workshop: Workshop, plan: Plan, step: Step, cases: Sequence[Case]) -> StepResult:
    """Write the shards as they will be, remember what goes for the probes, and record all of it at once."""
    workspace = workshop.workspace
    changes = plan.shard_changes
    require_unchanged(workspace, cases, plan)
    case, selected = as_one(cases), removable_by_all(workspace, cases)
    for each in cases:
        require_all_unheld(workspace, each, before=f"step {step.id}")
    forget = sorted(forgotten(workspace, case).union(*selected.values()))
    own, likenesses = dict[str, frozenset[str]](), dict[str, str]()
    for each in cases:
        theirs = removable(workspace, each)
        known = forgotten_likenesses(workspace, each) | recorded_likenesses(workspace, theirs)
        require_judged(look(workspace, each, known, besides=forget), each)
        own[each.request.id] = forgotten_own(workspace, each).union(*theirs.values())
        likenesses |= known
    ForgetList(workspace, plan.digest).remember(forget, likenesses, own if plan.together else None)
    marks = mark_withdrawn(workspace, selected, forget)
    _remember_erased(workspace, cases, selected)
    end_let_in(workspace, forget)
    facts: list[FactBody] = []
    for change in changes:
        after = cut_shard(workspace, change, selected[change.before.digest])
        if after is not None:
            facts.append(ShardFact(after, {"within": 0, "across": 0}))
        facts.append(
            ShardWithdrawnFact(
                change.before.digest,
                change.before.name,
                after=after.digest if after else None,
                removed=change.removed,
                marks=marks,
                request=plan.request,
                plan=plan.digest,
            )
        )
    facts += [
        ArtifactWithdrawnFact(artifact.digest, artifact.name, request=plan.request, plan=plan.digest)
        for artifact in plan.artifacts
    ]
    facts += note_overlaps(workspace, case, selected, together=plan.requests)
    rows = sum(change.removed for change in changes)
    return StepResult(ItemsWithdrawn(len(changes), rows, len(forget)), facts)


def _remember_erased(workspace: Workspace, cases: Sequence[Case], selected: Mapping[str, Collection[str]]) -> None:
    """Remember what goes, and the persons who asked for it or were named, by whom it could come back."""
    selectors = [each for case in cases for each in selectors_of(workspace, case.request)]
    persons = {each.value.partition(":")[0] for each in selectors if each.field == "subject"}
    wanted = {shard: frozenset(items) for shard, items in selected.items()}
    rows = [row for shard, items in wanted.items() for row in shard_rows(workspace, shard) if row.digest in items]
    remember_erased(workspace, rows, persons=persons)


def _drop(workshop: Workshop, plan: Plan, step: Step, case: Case) -> StepResult:
    """Retire components: ``recompose`` leaves them out and ``purge`` deletes their bytes."""
    facts: list[FactBody] = [_retired(plan, part.name, part.component, None, step.action.value) for part in step.parts]
    return StepResult(Retired(len(facts)), facts)


def _retrain(workshop: Workshop, plan: Plan, step: Step, case: Case) -> StepResult:
    """Train a part again, and beside it the release's other parts that are to be; their steps find what was made."""
    done = case.done(plan.digest)
    left = [each for each in _trained_again(plan, step.release) if each.id not in done]
    made = _make(workshop, plan, step, case, only=[each.subject for each in left])
    component = next(each for each in made.components if each.name == step.subject)
    untouched_part = step.detail_as(PartsDetail).untouched
    before = untouched_part or step.parts[0].component
    result = Retrained(before, component.digest, component.cost)
    if untouched_part and (component.digest == before or not step.parts):
        return StepResult(result)  # the old one is what came out, or stays where another release has it
    retired = _retired(plan, step.subject, before, component.digest, "retrain")
    if component.digest != before:
        return StepResult(result, [retired])
    if not ran_confined(Attested.of(workshop.workspace), component):
        raise ExecutionFailed(
            f"training {step.subject} again without the items gave the very same weights, in a run that was not "
            f"confined; either they never trained it, or the method does not train: the removal cannot be shown"
        )
    unchanged = f"{step.subject} came out unchanged: the removed items did not influence it"
    return StepResult(result, [retired, ComponentFact(component)], notes=(unchanged,))  # one life ends, another begins


def _trained_again(plan: Plan, release: str | None) -> list[Step]:
    """Return the steps that train parts of a release again."""
    return [step for step in plan.remedies if step.action is Action.RETRAIN and step.release == release]


def _make(workshop: Workshop, plan: Plan, step: Step, case: Case, *, only: Collection[str] = ()) -> Made:
    """Make a release from what the removal leaves; parts of the names in ``only`` may be trained."""
    workspace = workshop.workspace
    with Catalog.of(workspace) as catalog:
        shards = {shard.name: shard for shard in catalog.shards()}
    before = _composition(workspace, _before(plan, step.release))
    code = plan.code.get(before.digest)
    return make(
        workspace,
        spec_of(before),
        workshop.runner,
        method=maker_of(workspace, before, code=code),
        shards=shards,
        only=only,
        untouched=_untouched(workspace, plan, step.release, case),
    )


def _untouched(workspace: Workspace, plan: Plan, release: str | None, case: Case) -> dict[str, Component]:
    """Return, by name, the parts of a release as it was that nothing of this removal is about: they stay as they are.

    What its steps retire or train again is left out, what the withdrawn items shaped, and what is no longer live.
    """
    composition = _composition(workspace, _before(plan, release))
    steps = [step for step in plan.steps if step.action in CHANGED]
    retired = {(part.name, part.component) for step in steps for part in step.parts}
    trained = {each.subject for each in _trained_again(plan, release)}
    members = {(member.name, member.component) for member in composition.members}
    with Catalog.of(workspace) as catalog:
        live = {(each.name, each.digest): each for each in catalog.components()}
        known = by_digest(catalog.components(live=False))
    return {
        name: component
        for (name, digest), component in live.items()
        if (name, digest) in members - retired
        and name not in trained
        and not influences([component], known) & set(case.withdrawn)
    }


def _recompose(workshop: Workshop, plan: Plan, step: Step, case: Case) -> StepResult:
    composition = _make(workshop, plan, step, case).composition
    return StepResult(Recomposed(_before(plan, step.release), composition.digest), [CompositionFact(composition)])


def _probe(workshop: Workshop, plan: Plan, step: Step, case: Case) -> StepResult:
    """Examine the release; a check that does not pass refuses adoption, and its evidence is kept."""
    workspace = workshop.workspace
    spec = spec_of(_composition(workspace, step.detail_as(RenewalDetail).before))
    used = [digest for digest, name in case.withdrawn.items() if name in (*spec.shards, *spec.core)]
    there = [read_items(workspace, digest, as_paths=True) for digest in used if workspace.content_path(digest).exists()]
    gone = forgotten(workspace, case)
    recomposed = case.result(plan.digest, plan.step_for(Action.RECOMPOSE, step.subject), Recomposed)
    confinement = workshop.confinement(plan)
    examiner = Examiner(workspace, workshop.runner, workshop.independent, workshop.references, confinement)
    found = examiner.examine(
        before=_composition(workspace, recomposed.before),
        after=_composition(workspace, recomposed.after),
        withdrawn=frozenset(case.withdrawn),
        removed=[pick(items, gone) for items in there],
        utility_floor=plan.utility_floor,
        loss_accepted=plan.digest in case.accepts_loss,
        plan=plan,
        subject=step.subject,
        asked=plan.probes,
        exact=_exactly_retrained(plan, step.release),
    )
    try:
        record = canonical(found)
    except ValueError as error:  # NaN or infinity: broken weights answer so
        refuse_adoption(plan, step.subject, found.checks)
        raise CertificateRefused(
            f"release {step.subject} of request {plan.request} is not adopted: a value that was measured is no number "
            f"({error}); look at the weights that were trained, then plan the request again"
        ) from error
    kept = workspace.objects.put(record)
    workspace.ledger.record(ExaminationFact(plan.digest, step.subject, kept))
    refuse_adoption(plan, step.subject, found.checks)
    return StepResult(Probed(kept, recomposed.after))


def _exactly_retrained(plan: Plan, release: str | None) -> frozenset[str] | None:
    """Return the parts of a release that a plan retrains exactly; None where all that it does is exact."""
    if plan.guarantee is Guarantee.EXACT:
        return None
    return frozenset(each.subject for each in _trained_again(plan, release) if each.guarantee is Guarantee.EXACT)


def _adopt(workshop: Workshop, plan: Plan, step: Step, case: Case) -> StepResult:
    """Move the alias; all it rests on is looked at again, because this is the step that must not be fooled."""
    workspace = workshop.workspace
    probed = case.result(plan.digest, plan.step_for(Action.PROBE, step.subject), Probed)
    examination = kept_record(workspace, Examination, probed.examination)
    refuse_adoption(plan, step.subject, examination.checks)
    detail = step.detail_as(RenewalDetail)
    composition = _composition(workspace, probed.after)
    refuse_borrowed(step.subject, examination, composition)
    refuse_what_went_since(workspace, step.subject, composition)
    for member in composition.members:
        require_whole(workspace.objects, member.component)  # raises for bytes that changed since they were probed
    facts, unserved = release_it(workspace, workshop.registrar, (detail.name, detail.alias), composition)
    moved = detail.before != composition.digest
    stopped = _stopped(workshop, detail.before) if moved else []  # set by hand since it was contained
    result = Adopted(composition.digest, residuals=(*stopped, *unserved))
    return StepResult(result, facts, notes=tuple(unserved))


def _withdraw(workshop: Workshop, plan: Plan, step: Step, cases: Sequence[Case]) -> StepResult:
    """Take a release down for good and retire every member that no other live release uses."""
    workspace = workshop.workspace
    for each in cases:
        require_all_unheld(workspace, each, before=f"step {step.id}")
    detail = step.detail_as(WithdrawalDetail)
    name, alias = detail.name, detail.alias
    with Catalog.of(workspace) as catalog:
        staying = [release for release in catalog.releases() if (release.name, release.alias) != (name, alias)]
        others = {
            (member.name, member.component)
            for release in staying
            for member in catalog.composition(release.composition).members
        }
        live = {(component.name, component.digest) for component in catalog.components()}
    kept = {release.composition for release in staying if release.name == name}
    left = workshop.registrar.withdraw(name, keep=kept)
    facts: list[FactBody] = [ReleaseWithdrawnFact(name, alias, detail.before, plan.request)]
    retired = [part for part in detail.parts if (part.name, part.component) in live - others]
    facts += [_retired(plan, part.name, part.component, None, "withdraw") for part in retired]
    return StepResult(Retired(len(retired), residuals=tuple(left)), facts)


def _purge(workshop: Workshop, plan: Plan, step: Step, cases: Sequence[Case]) -> StepResult:
    fact, result = purge_and_look(workshop.workspace, plan, step, cases)
    return StepResult(result, [fact])


def _report(workshop: Workshop, plan: Plan, step: Step, case: Case) -> StepResult:
    workspace, plan = workshop.workspace, plan.seen_by(case.request.id)
    require_still_so(workspace, plan, case, registrar=workshop.registrar)
    written = write_up(workspace, plan, case)
    if written.refusal is not None:
        raise CertificateRefused(written.refusal)
    report = report_fact(workspace, written, left_out=sum(each.items for each in plan.left_out))
    closing: list[FactBody] = [report]
    if not plan.left_out:  # otherwise it stays open: what holds keep is planned when they end, and needs the lists
        delete_private_lists(workspace, case)
        closing.append(RequestClosedFact(plan.request, "done"))
    return StepResult(Reported(report.bundle, written.verdict), [], closing)


_ACTIONS: dict[Action, Callable[[Workshop, Plan, Step, Case], StepResult]] = {
    Action.CONTAIN: _contain,
    Action.DROP: _drop,
    Action.SUBTRACT: _drop,
    Action.RETRAIN: _retrain,
    Action.RECOMPOSE: _recompose,
    Action.PROBE: _probe,
    Action.ADOPT: _adopt,
    Action.REPORT: _report,
}
_FOR_EACH: dict[Action, Callable[[Workshop, Plan, Step, Sequence[Case]], StepResult]] = {
    Action.WITHDRAW_ITEMS: _withdraw_items,
    Action.WITHDRAW: _withdraw,
    Action.PURGE: _purge,
}
"""What asks something of each request by itself: which items it selects, and which holds they are under."""


def _composition(workspace: Workspace, digest: str) -> Composition:
    with Catalog.of(workspace) as catalog:
        return catalog.composition(digest)


def _before(plan: Plan, release: str | None) -> str:
    return plan.step_for(Action.RECOMPOSE, release).detail_as(RenewalDetail).before


def _retired(plan: Plan, name: str, before: str, after: str | None, remedy: str) -> ComponentRetiredFact:
    return ComponentRetiredFact(name, before, after, remedy, plan.digest)
