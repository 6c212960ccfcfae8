"""Examines one release after its removal and before its alias moves: the probe step.

Gathers what the checks look at - the model as it was, as it is, and never-trained references - and runs lineage
closure, never-trained re-execution, layout, utility, and the statistical probes that the plan has. Models are made,
laid out and asked in processes of their own. Records nothing but the references, which are components like any other:
one that learned from data withdrawn later is itself removed.
"""

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from disgorge.attestation.record import attest_done
from disgorge.attestation.standing import Attested
from disgorge.errors import NotOffered
from disgorge.evidence.checks import (
    ASKED_IN,
    REFERENCES,
    Check,
    Examination,
    Probe,
    ProbeCase,
    ReexecutionCase,
    Utility,
    Verdict,
    check_from,
    models_of,
    probes,
)
from disgorge.evidence.probes.never_trained import never_trained
from disgorge.evidence.utility import chance_level, headline_of, utility_check
from disgorge.examination.asked_models import AskedModel, asked_models
from disgorge.examination.attested_parts import Parts, proof_of, ran_confined, recordings_for_here
from disgorge.examination.confinement_control import ConfinementControl
from disgorge.examination.lineage_closure import lineage_closure
from disgorge.examination.same_model import asked_about, check_layout, compared
from disgorge.examination.samples import Samples, samples_of
from disgorge.examination.weights_changed import weights_changed
from disgorge.layout import is_emptied, reference_release
from disgorge.method import Items, seed_of
from disgorge.plan.plan import Plan
from disgorge.training.ask import question_about
from disgorge.training.assemble import spec_of
from disgorge.training.environment import differences
from disgorge.training.kernels import setting_of
from disgorge.training.make import make, recordings
from disgorge.training.recipe import Job, Runner
from disgorge.training.runners.declared import maker_of
from lineage.activity import activity
from lineage.catalog.catalog import Catalog
from lineage.catalog.influence import by_digest, influences, members_of
from lineage.records import Component, Composition, Json, Shard
from lineage.storage.components import delete_component, is_there, tensors_in
from lineage.storage.tensors import save_tensors
from lineage.workspace import Workspace
from policies.taxonomy import Confinement

if TYPE_CHECKING:
    from disgorge.method import Tensors

_SEED_STEP = 7919
"""How far apart the seeds of references lie; a prime, so that shifted seeds of a spec do not meet by accident."""


@dataclass(frozen=True, slots=True)
class Examiner:
    """Examines releases of one workspace.

    ``runner`` trains references; ``independent`` opens a runner of fresh processes for re-execution. ``references`` is
    how many never-trained models statistical probes compare with; one that wants more gets more. ``confinement`` is
    what trying it came to, None where jobs are not confined.
    """

    workspace: Workspace
    runner: Runner
    independent: Callable[[], "Runner"]
    references: int = REFERENCES
    confinement: ConfinementControl | None = None

    def examine(
        self,
        *,
        before: Composition,
        after: Composition,
        withdrawn: frozenset[str],
        removed: Sequence[Items],
        utility_floor: float | None,
        loss_accepted: bool,
        plan: Plan,
        subject: str | None = None,
        asked: Collection[str] = (),
        exact: Collection[str] | None = None,
    ) -> Examination:
        """Return every check of one release. ``removed`` are the items taken out, by shard; ``withdrawn`` their shards.

        ``subject`` is what the checks call the release, its name by default; ``asked`` are the plan's statistical
        probes, ``exact`` the parts that it retrains exactly, None for all: others must change.
        """
        spec = spec_of(after)
        title = subject or spec.release
        with Catalog.anew(self.workspace) as catalog:
            known = by_digest(catalog.components(live=False))
            shards = {shard.name: shard for shard in catalog.shards()}
            recorded = frozenset(each.digest for each in catalog.shards(live=False))
            recorded |= {each.digest for each in catalog.artifacts(live=False)}
        members = recordings_for_here(self.workspace, members_of(after, known), plan.confinement)
        were = members_of(before, known)
        ever = self._as_ever_recorded(were)
        closure = lineage_closure(title, before=ever, after=members, known=known, withdrawn=withdrawn, shards=recorded)
        reached = _learned(ever, known, withdrawn)
        learned = {each.name: each.digest for each in reached}
        apart = self.independent()
        try:
            reexecution = self._show(
                title, members, apart, were=were, learned=learned, plan=plan, withdrawn=withdrawn
            )  # fmt: skip
            same, layout = check_layout(self.workspace, apart, title, (after, members), learned=reached, shards=shards)
            # only now, because re-execution puts back the bytes of a part that was swapped
            samples, start = samples_of(self.workspace, spec, shards, removed), time.perf_counter()
            models = self._ask(apart, before, after, samples)
            seconds = round(time.perf_counter() - start, 3)
            said = asked_about(samples, *(model.answers for model in models))
            same = replace(same, answer=f"{same.answer} {said}", detail=same.detail | {ASKED_IN: seconds})
        finally:
            apart.close()
        utility = compared(title, samples, *(model.answers for model in models))
        emptied = is_emptied(spec, before.members, layout)
        kept = utility_check(
            title, utility, utility_floor, accepted=loss_accepted, emptied=emptied,
            chance=_chance(utility, samples, models[1].task),
        )  # fmt: skip
        statistics = self._statistics(
            title, models, after, shards, samples, seed=seed_of(plan.digest, title), asked=asked
        )
        changed = weights_changed(title, were, members, learned=learned, exact=exact)
        checks = (closure, reexecution, same, kept, *changed, *statistics)
        return Examination(checks, utility, self._drawn(models))

    def _ask(
        self, runner: Runner, before: Composition, after: Composition, samples: Samples
    ) -> tuple[AskedModel, AskedModel]:
        """Ask the model before and the one after, each in a process of its own."""
        questions = [question_about(self.workspace, each) for each in (before, after)]
        old, new = asked_models(runner, questions, samples.sets)
        return old, new

    def _drawn(self, models: tuple[AskedModel, AskedModel]) -> str | None:
        """Store what both models drew, from the same seed; None where they draw nothing."""
        import numpy as np

        before, after = (model.answers.drawn for model in models)
        if before is None or after is None:
            return None
        drawn = {"before": np.asarray(before, np.float32), "after": np.asarray(after, np.float32)}
        return self.workspace.objects.put(save_tensors(drawn))

    @activity("showing that parts come from the retained data")
    def _show(
        self,
        release: str,
        components: tuple[Component, ...],
        apart: Runner,
        *,
        were: Collection[Component],
        learned: Mapping[str, str],
        plan: Plan,
        withdrawn: frozenset[str],
    ) -> Check:
        """Run again what does not stand on an attestation, and what this removal made where bits must be equal.

        ``were`` is what the release was made of before, ``learned`` are those of them that learned from the removed
        data. Runs are attested; whether that is as close as the plan demands is looked at afterwards.
        """
        start, old = time.perf_counter(), {component.digest for component in were}
        new = {component.name for component in components if component.digest not in old}
        same = [each for each in components if learned.get(each.name) == each.digest]
        attested = Attested.of(self.workspace)
        unchanged = frozenset(each.name for each in same if ran_confined(attested, each))
        parts = Parts(components, plan, withdrawn, twice=new | unchanged if plan.equal_bits else ())
        unshown = parts.judge(self.workspace).unshown
        standing = {each.recipe_digest: each.digest for each in components if each.recipe and each.name not in unshown}
        again = [each for each in components if each.recipe and each.name in unshown]
        before = frozenset(each.name for each in again if proof_of(attested, each) is not None)
        reached, elsewhere = self._run_again(again, apart)

        def once_more(component: Component) -> str:
            (done,) = apart.run([_again(component)])
            return done.digest

        now = parts.judge(self.workspace)
        case = ReexecutionCase(
            release,
            components,
            lambda component: reached[component.name],
            standing,
            shown_by=now.shown_by,
            unshown=now.unshown,
            unchanged=unchanged,
            tensors=self._tensors,
            learned=learned,
            attested_before=before,
            again=once_more,
            confinement=self.confinement.control if self.confinement else None,
            demands=plan.confinement is not Confinement.PROCESS,
            elsewhere=elsewhere,
            request=plan.request,
        )
        check = never_trained(case)
        self._delete_others(set(reached.values()))
        about: dict[str, Json] = {"level": now.level, "gaps": list(now.gaps)}
        about |= {"confinement": self.confinement.detail} if self.confinement else {}
        return replace(check, seconds=time.perf_counter() - start, detail=check.detail | about)

    def _run_again(
        self, components: Iterable[Component], apart: Runner
    ) -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
        """Run the recipes of components again; return by name what they reached, and how the environment differs."""
        by_name = {component.name: component for component in components}
        reached: dict[str, str] = {}
        elsewhere: dict[str, tuple[str, ...]] = {}
        for done in apart.run([_again(component) for component in by_name.values()]):
            component = by_name[done.job.name]
            reached[component.name] = done.digest
            elsewhere[component.name] = differences(component.environment, done.environment)
            made = replace(component, digest=done.digest, environment=done.environment, files=done.files)
            self.workspace.ledger.record(*attest_done(self.workspace, made, done))
        return reached, elsewhere

    def _delete_others(self, reached: Collection[str]) -> None:
        """Delete what runs reached and no component is: the facts that name it would keep it from a purge."""
        recorded = {digest for _, digest in self.workspace.ledger.state().components}
        for digest in reached:
            if digest not in recorded:
                delete_component(self.workspace.objects, digest, keep=recorded)

    def _as_ever_recorded(self, components: Iterable[Component]) -> tuple[Component, ...]:
        """Return each component in every way it was recorded: bytes may come out again from another recipe."""
        recorded = recordings(self.workspace)
        return tuple(way for each in components for way in recorded.get((each.name, each.digest), [each]))

    def _tensors(self, digest: str) -> "Tensors | None":
        """Return what a digest names, None if it is not in the store."""
        objects = self.workspace.objects
        return tensors_in(objects, digest) if is_there(objects, digest) else None

    @activity("training models to compare with")
    def _statistics(
        self,
        title: str,
        models: tuple[AskedModel, AskedModel],
        after: Composition,
        shards: Mapping[str, Shard],
        samples: Samples,
        *,
        seed: int,
        asked: Collection[str],
    ) -> list[Check]:
        """Train the references, unless they are recorded already, and run the probes that were asked for.

        Where a probe wants several removed models, the others are numbered after the references: the same removal from
        a seed moved further, which trains what is retained, as a reference does.
        """
        chosen = [probe for name, probe in probes().items() if name in asked]
        if not chosen:
            return []
        spec = spec_of(after)
        start = time.perf_counter()
        several = models_of(probe.name for probe in chosen) if models[1].task == "classify" else 0
        count = max(self.references, several)
        method = maker_of(self.workspace, models[0].question.composition)
        trained, questions = 0, []
        shifts = [number * _SEED_STEP for number in range(1, 2 * count if several else count + 1)]
        for number, shift in enumerate(shifts, start=1):
            reference = reference_release(spec.release, number)
            made = make(
                self.workspace, spec, self.runner, method=method, shards=shards, shift=shift, recorded_as=reference
            )  # fmt: skip
            trained += len(made.trained)
            questions.append(question_about(self.workspace, made.composition, title=reference, draw=None))
        about = {
            "reference_seconds": round(time.perf_counter() - start, 3),
            "reference_seeds": [spec.seed + shift for shift in shifts[:count]],
            "removal_seeds": [spec.seed + shift for shift in shifts[count:]],
            "reference_components_trained": trained,
        }
        old, new = (replace(model, runner=self.runner) for model in models)
        others = asked_models(self.runner, questions, samples.sets)
        case = ProbeCase(title, old, new, others[:count], *samples.sets, seed, removals=others[count:])
        checks = []
        for probe in chosen:
            start = time.perf_counter()
            with activity(f"running probe {probe.name} on {case.release}"):
                check = _found(probe, case)
            seconds = time.perf_counter() - start
            if check is not None:
                detail = about | {"probe_version": probe.version, "probe_seconds": round(seconds, 3)}
                checks.append(replace(check, seconds=seconds, detail=check.detail | detail))
        return checks


def _found(probe: Probe, case: ProbeCase) -> Check | None:
    """Return what a probe finds; inconclusive where it asks for what the model does not offer."""
    try:
        return check_from(probe, case)
    except NotOffered as error:
        question = f"What does the probe {probe.name} find?"
        return Check(
            probe.name, case.release, question, f"Not measured: {error}.", None, None, n=0, verdict=Verdict.INCONCLUSIVE
        )


def _learned(
    recorded: Sequence[Component], known: Mapping[str, Sequence[Component]], withdrawn: frozenset[str]
) -> tuple[Component, ...]:
    """Return the parts that learned from withdrawn shards, in the ways they were recorded in which they did."""
    ways = by_digest((*recorded, *(each for several in known.values() for each in several)))
    return tuple(each for each in recorded if influences([each], ways) & withdrawn)


def _chance(utility: tuple[Utility, ...], samples: Samples, task: str) -> float | None:
    """Return what a model without use reaches on the items of the headline, None where that is not known."""
    if (headline := headline_of(utility)) is None:
        return None
    measured = samples.held_out if headline.shard == "held-out" else samples.retained
    return chance_level(task, headline.metric, measured.items)


def _again(component: Component) -> Job:
    """Return the job that makes a component again, its kernels steered as they were when it was made."""
    return Job(component.name, component.recipe, component.cost.steps, setting_of(component.environment))
