"""Examines one release after its removal and before its alias moves: the probe step.

Gathers what the checks look at - the model as it was, as it is, and never-trained references - and runs lineage
closure, never-trained re-execution, answers apart, every registered statistical probe, and utility. Looks, and records
nothing but the references, which are components like any other: one that learned from data withdrawn later is itself
removed.
"""

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from disgorge.answers import Question, check_answers
from disgorge.canaries import canaries_among
from disgorge.closure import by_digest, influences, lineage_closure, members_of
from disgorge.evidence import Check, ProbeCase, ReexecutionCase, Utility, check_from, probes
from disgorge.item_sets import join
from disgorge.jobs import Job, OnProgress, Runner, read_items, unseen
from disgorge.laying_out import is_emptied, layout_of
from disgorge.method import Items, Model, ModelSpec, Part, method_named, seed_of
from disgorge.probes.never_trained import never_trained
from disgorge.training import assemble, blueprint_name, make, reference_release, spec_of
from disgorge.utility import chance_level, headline_of, measured, utility_check
from lineage.activity import activity
from lineage.catalog import Catalog
from lineage.ledger import Ledger
from lineage.objects import load_tensors, save_tensors
from lineage.records import Component, Composition, Shard

if TYPE_CHECKING:
    from disgorge.method import Array, Tensors

_SEED_STEP = 7919
"""How far apart the seeds of references lie; a prime, so that shifted seeds of a spec do not meet by accident."""

REFERENCES = 3
"""Never-trained models a statistical probe needs at the least: two make the band, the third is the negative control."""

SAMPLES_SHOWN = 32
"""How many samples of a generator a report shows, before and after."""


@dataclass(frozen=True, slots=True)
class Examination:
    """What was found about one release. ``samples`` is an object with arrays ``before`` and ``after``, or None."""

    checks: tuple[Check, ...]
    utility: tuple[Utility, ...]
    samples: str | None


@dataclass(frozen=True, slots=True)
class Examiner:
    """Examines releases of one workspace.

    ``runner`` trains references; ``independent`` opens a runner of fresh processes for re-execution. ``references`` is
    how many never-trained models statistical probes compare with.
    """

    ledger: Ledger
    runner: Runner
    independent: Callable[[], "Runner"]
    references: int = REFERENCES
    on_progress: OnProgress = unseen

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
        subject: str | None = None,
    ) -> Examination:
        """Return every check of one release. ``removed`` are the items taken out, ``withdrawn`` their old shards.

        ``subject`` is what the checks call the release, its name by default.
        """
        spec = spec_of(after)
        title = subject or spec.release
        with Catalog.anew(self.ledger) as catalog:
            known = by_digest(catalog.components(live=False))
            shards = {shard.name: shard for shard in catalog.shards()}
            recorded = frozenset(shard.digest for shard in catalog.shards(live=False))
        members = members_of(after, known)
        were = members_of(before, known)
        closure = lineage_closure(title, before=were, after=members, known=known, withdrawn=withdrawn, shards=recorded)
        retained = self._together([shards[name] for name in spec.shards if name in shards])
        held_out = self._together([shards[name] for name in spec.evaluate if name in shards])
        question = Question.about(self.ledger, after, shards, sorted(withdrawn), removed)
        learned = {each.name: each.digest for each in were if influences([each], known) & withdrawn}
        apart = self.independent()
        try:
            reexecution = self._reexecute(title, after, members, held_out, apart, were=were, learned=learned)
            # only now, because re-execution puts back the bytes of a part that somebody swapped
            old, new = assemble(self.ledger, before), assemble(self.ledger, after)
            # the old model answers first: what a method remembers of that must be there when the new one is asked
            sets = {"held-out": held_out.unnamed(), "retained": retained.unnamed()}
            utility = tuple(measured(title, old, new, sets))
            answered = check_answers(
                self.ledger, question, new, members, before=before, apart=apart, never_trained=reexecution
            )
        finally:
            apart.close()
        headline = headline_of(utility)
        kept = utility_check(
            title,
            utility,
            utility_floor,
            accepted=loss_accepted,
            emptied=is_emptied(spec, before.members, layout_of(method_named(spec.method), spec, shards)),
            chance=chance_level(new, headline.metric, sets.get(headline.shard)) if headline else None,
        )
        planted = canaries_among(self.ledger, withdrawn, removed)
        asked = (removed.unnamed(), sets["retained"], sets["held-out"])
        looked_at = ProbeCase(title, old, new, (), *asked, seed_of(plan, title), planted)
        statistics = self._statistics(looked_at, spec, shards)
        return Examination((closure, reexecution, answered, kept, *statistics), utility, self._samples(old, new))

    @activity("training parts again without the removed data, to compare")
    def _reexecute(
        self,
        release: str,
        composition: Composition,
        components: tuple[Component, ...],
        held_out: Items,
        apart: Runner,
        *,
        were: Collection[Component],
        learned: Mapping[str, str],
    ) -> Check:
        """Re-execute what was not re-executed before, in fresh processes, and record what was reached.

        An earlier re-execution is believed only of what the release was made of before, ``were``: what this removal
        made is executed again in any case, whatever a fact says of it. ``learned`` are those of
        ``were`` that learned from the removed data.
        """
        old = {component.digest for component in were}
        facts = [
            fact.body
            for fact in self.ledger.facts("reexecuted")
            if fact.body["component"] in old and fact.body.get("alone")  # older jobs shared a process and inputs
        ]
        proved = {body["recipe"]: body["component"] for body in facts}
        confined = {body["recipe"]: bool(body.get("confined")) for body in facts}
        jobs = [
            Job(component.name, component.recipe, component.cost.steps)
            for component in components
            if component.recipe and component.recipe_digest not in proved
        ]
        start = time.perf_counter()
        reached: dict[str, str] = {}
        by_name = {component.name: component for component in components}
        for done in apart.run(jobs, on_progress=_prefixed("re-executing ", self.on_progress)):
            reached[done.job.name] = done.digest
            confined[by_name[done.job.name].recipe_digest] = done.confined
        kinds = {component.name: component.kind for component in components}

        def once_more(component: Component) -> str:
            (done,) = apart.run([Job(component.name, component.recipe, component.cost.steps)])
            return done.digest

        case = ReexecutionCase(
            release,
            components,
            lambda component: reached[component.name],
            proved,
            tensors=self._tensors,
            outputs=lambda digests: self._scores_of(composition, kinds, digests, held_out),
            learned=learned,
            again=once_more,
        )
        check = never_trained(case)
        for name, digest in reached.items():
            if digest == by_name[name].digest:
                recipe = by_name[name].recipe_digest
                body = {"recipe": recipe, "component": digest, "confined": confined[recipe], "alone": True}
                self.ledger.append("reexecuted", body)
        seconds = time.perf_counter() - start
        all_of_it = all(confined.get(component.recipe_digest, False) for component in components)
        return replace(check, seconds=seconds, detail=check.detail | {"confined": all_of_it})

    def _tensors(self, digest: str) -> "Tensors | None":
        """Return what a digest names, None if it is not in the store."""
        return load_tensors(self.ledger.objects.get(digest)) if self.ledger.objects.exists(digest) else None

    def _scores_of(
        self, composition: Composition, kinds: Mapping[str, str], digests: Mapping[str, str], items: Items
    ) -> "Array | None":
        """Return the scores of a composition whose members are those digests instead, None if it cannot be made."""
        tensors = {name: self._tensors(digest) for name, digest in digests.items()}
        if not len(items):
            return None
        spec, parts = spec_of(composition), []
        for member in composition.members:
            found = tensors[member.name]
            if found is None:
                return None
            name = blueprint_name(spec.release, member.name)
            parts.append(Part(name, kinds[member.name], member.weight, found))
        return method_named(composition.method).assemble(spec, tuple(parts)).scores(items.unnamed())

    @activity("training models to compare with")
    def _statistics(self, case: ProbeCase, spec: ModelSpec, shards: Mapping[str, Shard]) -> list[Check]:
        """Train the references, unless they are recorded already, and run every registered probe that applies."""
        start = time.perf_counter()
        references, shifts = [], [number * _SEED_STEP for number in range(1, self.references + 1)]
        trained = 0
        for number, shift in enumerate(shifts, start=1):
            reference = reference_release(spec.release, number)
            made = make(
                self.ledger,
                spec,
                self.runner,
                shards=shards,
                shift=shift,
                recorded_as=reference,
                on_progress=self.on_progress,
            )
            trained += len(made.trained)
            references.append(assemble(self.ledger, made.composition, title=reference))
        about = {
            "reference_seconds": round(time.perf_counter() - start, 3),
            "reference_seeds": [spec.seed + shift for shift in shifts],
            "reference_components_trained": trained,
        }
        case = replace(case, references=tuple(references))
        checks = []
        for probe in probes().values():
            start = time.perf_counter()
            with activity(f"running probe {probe.name} on {case.release}"):
                check = check_from(probe, case)
            seconds = time.perf_counter() - start
            if check is not None:
                told = about | {"probe_version": probe.version, "probe_seconds": round(seconds, 3)}
                checks.append(replace(check, seconds=seconds, detail=check.detail | told))
        return checks

    def _together(self, shards: list[Shard]) -> Items:
        """Return the items of several shards as one, in the shards' order."""
        return join([read_items(self.ledger, shard.digest) for shard in shards])

    def _samples(self, old: Model, new: Model) -> str | None:
        """Draw the same seeds from a generator before and after, and return the object that holds the pictures."""
        if new.task != "generate":
            return None
        pictures = {
            "before": old.sample(SAMPLES_SHOWN, seed=0).astype("float32"),
            "after": new.sample(SAMPLES_SHOWN, seed=0).astype("float32"),
        }
        return self.ledger.objects.put(save_tensors(pictures))


def _prefixed(words: str, on_progress: OnProgress) -> OnProgress:
    return lambda name, done, total: on_progress(words + name, done, total)
