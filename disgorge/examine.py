"""Examines one release after its removal and before its alias moves: the probe step.

Gathers what the checks look at - the model as it was, as it is, and never-trained references - and runs lineage
closure, never-trained re-execution, answers apart, every registered statistical probe, and utility. Looks, and records
nothing but the references, which are components like any other: one that learned from data withdrawn later is itself
removed.
"""

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from math import isfinite
from typing import TYPE_CHECKING

from disgorge.answers import Question, check_answers
from disgorge.canaries import canaries_among
from disgorge.closure import by_digest, influences, lineage_closure, members_of
from disgorge.evidence import Check, ProbeCase, ReexecutionCase, Utility, Verdict, check_from, probes
from disgorge.jobs import Job, OnProgress, Runner, read_items, unseen
from disgorge.method import Items, Model, ModelSpec, Part, method_named, seed_of
from disgorge.probes.never_trained import never_trained
from disgorge.training import assemble, blueprint_name, make, reference_release, spec_of
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
            utility = tuple(_utility(title, old, new, {"held-out": held_out.unnamed(), "retained": retained.unnamed()}))
            answered = check_answers(
                self.ledger, question, new, members, before=before, apart=apart, never_trained=reexecution
            )
        finally:
            apart.close()
        kept = utility_check(title, utility, utility_floor, accepted=loss_accepted)
        planted = canaries_among(self.ledger, withdrawn, removed)
        sets = (removed.unnamed(), retained.unnamed(), held_out.unnamed())
        looked_at = ProbeCase(title, old, new, (), *sets, seed_of(plan, title), planted)
        statistics = self._statistics(looked_at, spec, shards)
        return Examination((closure, reexecution, answered, kept, *statistics), utility, self._samples(old, new))

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


def join(parts: list[Items]) -> Items:
    """Return several sets of items as one; the fields must agree. No parts make no items."""
    import numpy as np

    parts = [part for part in parts if len(part)]
    if not parts:
        return Items((), {})
    arrays = {field: np.concatenate([part.arrays[field] for part in parts]) for field in parts[0].arrays}
    return Items(tuple(digest for part in parts for digest in part.digests), arrays)


def pick(items: Items, digests: frozenset[str]) -> Items:
    """Return those items whose digest is wanted, in their order."""
    import numpy as np

    rows = [row for row, digest in enumerate(items.digests) if digest in digests]
    index = np.array(rows, dtype=np.int64)
    return Items(tuple(items.digests[row] for row in rows), {name: a[index] for name, a in items.arrays.items()})


def _utility(release: str, old: Model, new: Model, sets: Mapping[str, Items]) -> list[Utility]:
    found = []
    for shard, items in sets.items():
        if len(items):
            before, after = old.utility(items), new.utility(items)
            found += [
                Utility(release, shard, metric, len(items), float(before[metric]), float(after[metric]))
                for metric in after
            ]
    return found


def utility_check(release: str, utility: tuple[Utility, ...], floor: float | None, *, accepted: bool) -> Check:
    """Return whether the headline on held-out data kept the least share a pack demands; measured in any case.

    Not measured is inconclusive, unless a person accepted whatever loss there is.
    """
    headline = next((u for u in utility if u.shard == "held-out"), utility[0] if utility else None)
    why = ""
    if headline is None or headline.before is None or headline.after is None:
        why = "there were no items to measure on"
    elif not (isfinite(headline.before) and isfinite(headline.after)):
        why = f"{headline.metric} on {headline.shard} data is not a finite number"
    if why or headline is None or headline.before is None or headline.after is None:
        accepts = accepted and floor is not None
        verdict = Verdict.PASS if accepts else Verdict.INCONCLUSIVE
        said = why + ("; the approver accepted the loss, whatever it is" if accepts else "")
        return Check(
            "utility", release, _UTILITY_QUESTION, said, None, floor, 0, verdict, detail={"accepted": accepted}
        )
    kept = share_kept(headline.before, headline.after)
    low = floor is not None and kept < floor
    answer = f"{headline.metric} on {headline.shard} data went from {headline.before:.4f} to {headline.after:.4f}"
    if low:
        answer += f", below the floor of {floor:.0%} of what it was"
        answer += "; the approver accepted the loss" if accepted else "; a person must accept the loss first"
    return Check(
        name="utility",
        subject=release,
        question=_UTILITY_QUESTION,
        answer=answer,
        value=round(kept, 6),
        threshold=floor,
        n=headline.n,
        verdict=Verdict.FAIL if low and not accepted else Verdict.PASS,
        detail={"metric": headline.metric, "accepted": accepted},
    )


_UTILITY_QUESTION = "How good is the release on data it never saw, before and after?"


def share_kept(before: float, after: float) -> float:
    """Return utility after as a share of before; for measures below zero (negative losses) the inverse ratio.

    >>> share_kept(0.9, 0.45), share_kept(-0.5, -1.0)
    (0.5, 0.5)
    """
    if before == after:
        return 1.0
    if before > 0:
        return after / before
    return before / after if after < 0 else 1.0


def _prefixed(words: str, on_progress: OnProgress) -> OnProgress:
    return lambda name, done, total: on_progress(words + name, done, total)
