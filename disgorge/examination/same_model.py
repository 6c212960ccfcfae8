"""Whether a process that starts from nothing makes the same model of the same parts: its layout and its answers.

Equal bytes of every component (:mod:`disgorge.evidence.probes.never_trained`) say nothing about two other places where
a method may keep what it was to forget: in a recipe - a seed, a threshold, a list of numbers chosen when the removed
data was still there - and in the code that lays the parts out and puts them together, as a filter, a cache or an older
model that a process remembers. So the process set apart is asked two questions about the release as it will be served:

(1)  which parts, by which recipes and with which weights, does the method lay out over the shards there are?
(2)  what does the model of these parts answer on the removed items, on held-out and on retained ones?

and both must be what was recorded, and what a process answers that sees the whole workspace. A third model is asked (2)
as well, the one from before removal, made of its parts in yet another process: what cannot be told from it proves
nothing (:mod:`disgorge.examination.compare_outputs` has the rule). That process knows no answer of the new model, so it
cannot pick its own by it. Sound for what is remembered in memory or in folders a process is given; a method that hides
things at a place of its own choosing, or lies only where it is served, is beyond all of it, and the report says on
whose honesty that rests.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from disgorge.evidence.checks import Check, Verdict
from disgorge.examination.compare_outputs import CALIBRATED, TOLERANCE, compare, judge
from disgorge.examination.utility import Measures, measures_of
from disgorge.layout import layout_of
from disgorge.method import Blueprint, Items, Model, determining, method_named, recipe_for
from disgorge.training.items import join
from disgorge.training.make import assemble, component_name, recordings, spec_of
from disgorge.training.recipe import Job, Runner, read_items, threads
from lineage.activity import activity
from lineage.records import (
    Component,
    Composition,
    Json,
    Member,
    Shard,
    canonical,
    in_member_order,
    plain,
    restore,
)
from lineage.storage.objects import load_tensors, save_tensors
from lineage.workspace import Workspace

if TYPE_CHECKING:
    from disgorge.method import Array

    Answers = Mapping[str, Array]

NAME = "answers"
QUESTION = (
    "Does a process that knows only the retained data and the recorded parts lay out the same model, and does that "
    "model give the same answers as the one to be released?"
)
SHOWN = 32
"""Samples of a generator that a report shows, before and after."""
_NOT_COMPARED = ("layout", "measures", "shown")
MOST_ROWS = 256
"""Items asked about per shard, removed ones aside: all of the removed items are asked about."""
SAMPLES = 8
"""Samples drawn from a generator, each process from the same seed."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a process is asked: about which composition, over which shards, on which rows of which of them.

    Rows are places in digest order, so that no item's digest is written anywhere. ``kinds`` has the kind of each
    member by digest. ``measure`` names sets of shards to measure utility on, and has a generator draw what is shown.
    """

    composition: Composition
    kinds: dict[str, str]
    shards: tuple[Shard, ...]
    rows: dict[str, tuple[int, ...]]
    measure: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def about(
        cls,
        workspace: Workspace,
        composition: Composition,
        components: Sequence[Component],
        shards: Mapping[str, Shard],
        old: Sequence[str],
        removed: frozenset[str],
    ) -> "Question":
        """Return the question about a composition of these members; ``old`` are the shards that held what is removed.

        ``removed`` are the digests of the removed items.
        """
        spec, gone = spec_of(composition), removed
        rows: dict[str, tuple[int, ...]] = {}
        for digest in old:
            if gone and workspace.content_path(digest).exists():
                held = read_items(workspace, digest).digests
                rows[digest] = tuple(row for row, item in enumerate(held) if item in gone)
        for name in (*spec.shards, *spec.evaluate):
            if name in shards:
                rows[shards[name].digest] = tuple(range(min(shards[name].count, MOST_ROWS)))
        asked = {digest: found for digest, found in rows.items() if found}
        return cls(composition, kinds_of(components), tuple(shards.values()), asked)

    def of(self, composition: Composition, components: Sequence[Component]) -> "Question":
        """Return the same question about another composition."""
        return replace(self, composition=composition, kinds=kinds_of(components))

    def measures(self) -> "Question":
        """Return the question how good the model is on held-out and on retained items, and nothing else."""
        spec, named = spec_of(self.composition), {shard.name: shard.digest for shard in self.shards}
        sets = {"held-out": spec.evaluate, "retained": spec.shards}
        measure = {each: tuple(named[name] for name in names if name in named) for each, names in sets.items()}
        return replace(self, rows={}, measure=measure)


def kinds_of(components: Sequence[Component]) -> dict[str, str]:
    """Return the kind of each component by its digest."""
    return {component.digest: component.kind for component in components}


@activity("asking models in processes of their own")
def ask(workspace: Workspace, runner: Runner, *questions: Question) -> "tuple[Answers, ...]":
    """Return what one process of a runner answers to each question, asked one after the other."""
    (done,) = runner.run([Job("answers", {"questions": [plain(question) for question in questions]}, 0)])
    found = load_tensors(workspace.objects.get(done.digest))
    workspace.objects.delete(done.digest)  # it was only handed over
    answers: list[dict[str, Array]] = [{} for _ in questions]
    for name, array in found.items():
        place, _, what = name.partition(" ")
        answers[int(place)][what] = array
    return tuple(answers)


def answer(workspace: Workspace, questions: Sequence[Mapping[str, Json]]) -> bytes:
    """Return what this process answers to questions in plain form, in their order, as safetensors."""
    found: dict[str, Array] = {}
    for place, question in enumerate(questions):
        asked = restore(Question, question)
        answers = answers_of(workspace, asked, assemble(workspace, asked.composition, kinds=asked.kinds))
        found |= {f"{place} {name}": array for name, array in answers.items()}
    return save_tensors(found)


def answers_of(workspace: Workspace, question: Question, model: Model) -> "dict[str, Array]":
    """Return the layout as bytes, and the model's scores, predictions or samples, by name."""
    import numpy as np

    spec = spec_of(question.composition)
    laid_out = layout_of(method_named(spec.method), spec, {shard.name: shard for shard in question.shards})
    found: dict[str, Any] = {"layout": np.frombuffer(canonical([plain(b) for b in laid_out]), np.uint8)}
    with threads(spec.threads):
        for digest, rows in question.rows.items():
            items = _rows(read_items(workspace, digest), rows).unnamed()
            found[f"scores of {digest}"] = np.asarray(model.scores(items), np.float64)
            if model.task == "classify":
                found[f"predictions of {digest}"] = np.asarray(model.predict(items), np.float64)
        if question.measure:
            sets = {
                name: join([read_items(workspace, each) for each in shards])
                for name, shards in question.measure.items()
            }
            measured = {name: measures_of(model, items.unnamed()) for name, items in sets.items() if len(items)}
            found["measures"] = np.frombuffer(json.dumps(measured).encode(), np.uint8)
        if model.task == "generate" and question.rows:
            found["samples"] = np.asarray(model.sample(SAMPLES, seed=0), np.float64)
        if model.task == "generate" and question.measure:
            found["shown"] = np.asarray(model.sample(SHOWN, seed=0), np.float32)
    return found


def measures_in(answers: "Answers") -> dict[str, Measures]:
    """Return the measures that a process answered, by set of items."""
    found = answers.get("measures")
    return {} if found is None else {name: Measures(**each) for name, each in json.loads(found.tobytes()).items()}


@activity("comparing answers with those of processes set apart")
def check_answers(
    workspace: Workspace,
    question: Question,
    served: "Answers",
    components: Sequence[Component],
    *,
    before: Question,
    apart: Runner,
    never_trained: Check,
) -> Check:
    """Return whether ``apart`` lays out and answers as the process did that sees the workspace, with ``served``.

    ``components`` are the recorded members of the composition, ``before`` is the question about what the release was
    made of; ``apart`` gives each job a process of its own, and ``never_trained`` is what re-executing the parts came
    to.
    """
    start = time.perf_counter()
    (there,) = ask(workspace, apart, question)
    (old,) = ask(workspace, apart, before)
    laid_out = _read(there.get("layout"))
    strange = _not_laid_out(laid_out, question, _recipes(workspace, components))
    found = compare(*({name: of[name] for name in of if name not in _NOT_COMPARED} for of in (served, there, old)))
    verdict, answer, control = judge(found, never_trained.verdict)
    if strange:
        verdict = Verdict.FAIL
        answer = f"No: from the retained data alone the method does not lay out {'; '.join(strange)}."
    return Check(
        name=NAME,
        subject=never_trained.subject,
        question=QUESTION,
        answer=answer,
        value=min(found.worst, 1e300),
        threshold=TOLERANCE,
        n=sum(len(rows) for rows in question.rows.values()),
        verdict=verdict,
        controls=(control,),
        seconds=time.perf_counter() - start,
        detail={
            "parts": len(laid_out),
            "not laid out": strange,
            "differ": found.differing,
            "asked": len(found.apart),
            "equal bit for bit": found.bits_equal,
            "old model differs by": min(found.old, 1e300),
            "old model equal bit for bit": found.old_bits_equal,
            "calibrated": CALIBRATED,
        },
    )


def _recipes(workspace: Workspace, components: Sequence[Component]) -> dict[str, tuple[str, list[Json]]]:
    """Return, by name, the digest of each component and what determines it, of all recipes it was recorded with."""
    recorded = recordings(workspace)
    return {
        each.name: (each.digest, [determining(one.recipe) for one in recorded.get((each.name, each.digest), [each])])
        for each in components
    }


def _not_laid_out(
    laid_out: Sequence[Blueprint], question: Question, recorded: Mapping[str, tuple[str, list[Json]]]
) -> list[str]:
    """Return, in words, what a composition has or lacks that the layout from the retained data says otherwise."""
    spec = spec_of(question.composition)
    digests = {("shard", shard.name): shard.digest for shard in question.shards}
    strange, members = [], []
    for blueprint in laid_out:
        name = component_name(spec.release, blueprint.name)
        if name not in recorded:
            strange.append(f"the model without {name}")
            continue
        digest, recipes = recorded[name]
        if determining(recipe_for(method_named(spec.method), blueprint, digests, spec)) not in recipes:
            strange.append(f"{name} by the recipe recorded")
        digests["component", blueprint.name] = digest
        members.append(Member(name, digest, blueprint.weight))
    if not strange and in_member_order(members) != question.composition.members:
        there = {member.name for member in members}
        extra = sorted({member.name for member in question.composition.members} - there)
        strange.append(f"{', '.join(extra)}" if extra else "its parts with the weights recorded")
    return strange


def _read(layout: "Array | None") -> tuple[Blueprint, ...]:
    """Return a layout from its bytes; nothing where a process gave something else."""
    try:
        return tuple(restore(Blueprint, each) for each in json.loads(b"[]" if layout is None else layout.tobytes()))
    except ValueError:
        return ()


def _rows(items: Items, rows: Sequence[int]) -> Items:
    index = list(rows)
    return Items(tuple(items.digests[row] for row in index), {name: a[index] for name, a in items.arrays.items()})
