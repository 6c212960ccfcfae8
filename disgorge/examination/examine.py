"""Examines one release after its removal and before its alias moves: the probe step.

Gathers what the checks look at - the model as it was, as it is, and never-trained references - and runs lineage
closure, never-trained re-execution, answers apart, utility, and the statistical probes that the plan has. Models are
made and asked in processes of their own, but for those probes. Records nothing but the references, which are components
like any other: one that learned from data withdrawn later is itself removed.
"""

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from disgorge.evidence.checks import (
    ASKED_IN,
    REFERENCES,
    Check,
    Examination,
    ProbeCase,
    ReexecutionCase,
    Utility,
    check_from,
    models_of,
    probes,
)
from disgorge.evidence.probes.never_trained import never_trained
from disgorge.evidence.utility import headline_of, utility_check
from disgorge.examination.lineage_closure import lineage_closure
from disgorge.examination.reexecuted import earlier_reexecutions, is_proved, recording_for_here, reexecuted
from disgorge.examination.same_model import ask, check_answers, compared, measures_in
from disgorge.examination.weights_changed import weights_changed
from disgorge.layout import is_emptied, layout_of, reference_release
from disgorge.method import Items, method_named, seed_of
from disgorge.training.answer import Question
from disgorge.training.assemble import assemble, spec_of
from disgorge.training.environment import differences
from disgorge.training.items import join, read_items
from disgorge.training.kernels import setting_of
from disgorge.training.make import make, recordings
from disgorge.training.recipe import Job, Runner
from lineage.activity import activity
from lineage.catalog.catalog import Catalog
from lineage.catalog.influence import by_digest, influences, members_of
from lineage.records import Component, Composition, Shard
from lineage.storage.objects import load_tensors, save_tensors
from lineage.workspace import Workspace

if TYPE_CHECKING:
    from disgorge.examination.same_model import Answers
    from disgorge.method import Tensors

_SEED_STEP = 7919
"""How far apart the seeds of references lie; a prime, so that shifted seeds of a spec do not meet by accident."""


@dataclass(frozen=True, slots=True)
class Examiner:
    """Examines releases of one workspace.

    ``runner`` trains references; ``independent`` opens a runner of fresh processes for re-execution. ``references`` is
    how many never-trained models statistical probes compare with; one that wants more gets more.
    """

    workspace: Workspace
    runner: Runner
    independent: Callable[[], "Runner"]
    references: int = REFERENCES

    def examine(
        self,
        *,
        before: Composition,
        after: Composition,
        withdrawn: frozenset[str],
        removed: Items,
        utility_floor: float | None,
        loss_accepted: bool,
        plan: str,
        request: str,
        subject: str | None = None,
        asked: Collection[str] = (),
        exact: Collection[str] | None = None,
    ) -> Examination:
        """Return every check of one release. ``removed`` are the items taken out, ``withdrawn`` their old shards.

        ``subject`` is what the checks call the release, its name by default; ``asked`` are the plan's statistical
        probes, ``exact`` the parts that it retrains exactly, None for all: others must change.
        """
        spec = spec_of(after)
        title = subject or spec.release
        with Catalog.anew(self.workspace) as catalog:
            known = by_digest(catalog.components(live=False))
            shards = {shard.name: shard for shard in catalog.shards()}
            recorded = frozenset(shard.digest for shard in catalog.shards(live=False))
        recorded_as, earlier = recordings(self.workspace), earlier_reexecutions(self.workspace)
        members = tuple(recording_for_here(member, recorded_as, earlier) for member in members_of(after, known))
        were = members_of(before, known)
        closure = lineage_closure(title, before=were, after=members, known=known, withdrawn=withdrawn, shards=recorded)
        question = Question.about(
            self.workspace, after, members, shards, sorted(withdrawn), frozenset(removed.digests)
        )  # fmt: skip
        learned = {each.name: each.digest for each in were if influences([each], known) & withdrawn}
        apart = self.independent()
        try:
            reexecution = self._reexecute(title, members, apart, were=were, learned=learned, request=request)
            # only now, because re-execution puts back the bytes of a part that was swapped; and one process is
            # asked about both, the old model first: what a method remembers of that must be there for the new one
            asked_first, start = question.of(before, were), time.perf_counter()
            asked_now = replace(question, measure=question.measures().measure)
            old, served = ask(self.workspace, self.runner, asked_first.measures(), asked_now)
            answered = check_answers(
                self.workspace, question, served, members, before=asked_first, apart=apart,
                never_trained=reexecution,
            )  # fmt: skip
            answered = replace(answered, detail=answered.detail | {ASKED_IN: round(time.perf_counter() - start, 3)})
        finally:
            apart.close()
        utility = tuple(compared(title, measures_in(old), measures_in(served)))
        emptied = is_emptied(spec, before.members, layout_of(method_named(spec.method), spec, shards))
        kept = utility_check(
            title, utility, utility_floor, accepted=loss_accepted, emptied=emptied, chance=_chance(utility, served)
        )
        statistics = self._statistics(
            title, before, after, shards, withdrawn=withdrawn, removed=removed, seed=seed_of(plan, title), asked=asked
        )  # fmt: skip
        changed = weights_changed(title, were, members, learned=learned, exact=exact)
        checks = (closure, reexecution, answered, kept, *changed, *statistics)
        return Examination(checks, utility, self._samples(old, served))

    def _samples(self, before: "Answers", after: "Answers") -> str | None:
        """Store what both models drew, from the same seeds, None where they draw nothing."""
        if "shown" not in after:
            return None
        return self.workspace.objects.put(save_tensors({"before": before["shown"], "after": after["shown"]}))

    @activity("training parts again without the removed data, to compare")
    def _reexecute(
        self,
        release: str,
        components: tuple[Component, ...],
        apart: Runner,
        *,
        were: Collection[Component],
        learned: Mapping[str, str],
        request: str,
    ) -> Check:
        """Re-execute what was not re-executed before, in fresh processes, and record what was reached.

        An earlier re-execution is believed only of what the release was made of before, ``were``: what this removal
        made is executed again in any case, whatever a fact says of it. ``learned`` are those of
        ``were`` that learned from the removed data.
        """
        old = {component.digest for component in were}
        earlier = earlier_reexecutions(self.workspace)
        proved, confined = {}, {}
        for component in components:
            recipe = component.recipe_digest
            if component.digest in old and is_proved(component, earlier):
                proved[recipe], confined[recipe] = component.digest, earlier[recipe, component.digest]
        jobs = [
            _again(component) for component in components if component.recipe and component.recipe_digest not in proved
        ]
        start = time.perf_counter()
        reached: dict[str, str] = {}
        elsewhere: dict[str, tuple[str, ...]] = {}
        by_name = {component.name: component for component in components}
        for done in apart.run(jobs):
            component = by_name[done.job.name]
            reached[component.name] = done.digest
            confined[component.recipe_digest] = done.confined
            elsewhere[component.name] = differences(component.environment, done.environment)
            if done.digest == component.digest:
                self.workspace.ledger.record(reexecuted(self.workspace, component, confined=done.confined))

        def once_more(component: Component) -> str:
            (done,) = apart.run([_again(component)])
            return done.digest

        case = ReexecutionCase(
            release,
            components,
            lambda component: reached[component.name],
            proved,
            tensors=self._tensors,
            learned=learned,
            again=once_more,
            elsewhere=elsewhere,
            request=request,
        )
        check = never_trained(case)
        seconds = time.perf_counter() - start
        all_of_it = all(confined.get(component.recipe_digest, False) for component in components)
        return replace(check, seconds=seconds, detail=check.detail | {"confined": all_of_it})

    def _tensors(self, digest: str) -> "Tensors | None":
        """Return what a digest names, None if it is not in the store."""
        return load_tensors(self.workspace.objects.get(digest)) if self.workspace.objects.exists(digest) else None

    @activity("training models to compare with")
    def _statistics(
        self,
        title: str,
        before: Composition,
        after: Composition,
        shards: Mapping[str, Shard],
        *,
        withdrawn: frozenset[str],
        removed: Items,
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
        retained = self._together([shards[name] for name in spec.shards if name in shards])
        held_out = self._together([shards[name] for name in spec.evaluate if name in shards])
        sets = (removed.unnamed(), retained.unnamed(), held_out.unnamed())
        judged = assemble(self.workspace, before), assemble(self.workspace, after)
        case = ProbeCase(title, *judged, (), *sets, seed)
        start = time.perf_counter()
        several = models_of(probe.name for probe in chosen) if case.after.task == "classify" else 0
        count = max(self.references, several)
        trained, models = 0, []
        shifts = [number * _SEED_STEP for number in range(1, 2 * count if several else count + 1)]
        for number, shift in enumerate(shifts, start=1):
            reference = reference_release(spec.release, number)
            made = make(self.workspace, spec, self.runner, shards=shards, shift=shift, recorded_as=reference)
            trained += len(made.trained)
            models.append(assemble(self.workspace, made.composition, title=reference))
        about = {
            "reference_seconds": round(time.perf_counter() - start, 3),
            "reference_seeds": [spec.seed + shift for shift in shifts[:count]],
            "removal_seeds": [spec.seed + shift for shift in shifts[count:]],
            "reference_components_trained": trained,
        }
        case = replace(case, references=tuple(models[:count]), removals=tuple(models[count:]))
        checks = []
        for probe in chosen:
            start = time.perf_counter()
            with activity(f"running probe {probe.name} on {case.release}"):
                check = check_from(probe, case)
            seconds = time.perf_counter() - start
            if check is not None:
                detail = about | {"probe_version": probe.version, "probe_seconds": round(seconds, 3)}
                checks.append(replace(check, seconds=seconds, detail=check.detail | detail))
        return checks

    def _together(self, shards: list[Shard]) -> Items:
        """Return the items of several shards as one, in the shards' order."""
        return join([read_items(self.workspace, shard.digest) for shard in shards])


def _chance(utility: tuple[Utility, ...], served: "Answers") -> float | None:
    """Return what a model without use reaches on the items of the headline, None where that is not known."""
    headline = headline_of(utility)
    return measures_in(served)[headline.shard].chance if headline else None


def _again(component: Component) -> Job:
    """Return the job that makes a component again, its kernels steered as they were when it was made."""
    return Job(component.name, component.recipe, component.cost.steps, setting_of(component.environment))
