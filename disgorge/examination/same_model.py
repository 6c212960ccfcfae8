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
from typing import TYPE_CHECKING

from disgorge.evidence.checks import Check, Utility, Verdict
from disgorge.examination.compare_outputs import CALIBRATED, TOLERANCE, compare, judge
from disgorge.layout import component_name
from disgorge.method import Blueprint, determining, method_named, recipe_for
from disgorge.training.answer import Measures, Question
from disgorge.training.assemble import spec_of
from disgorge.training.make import recordings
from disgorge.training.recipe import Job, Runner
from lineage.activity import activity
from lineage.records import (
    Component,
    Json,
    Member,
    in_member_order,
    plain,
    restore,
)
from lineage.storage.objects import load_tensors
from lineage.workspace import Workspace

if TYPE_CHECKING:
    from disgorge.method import Array

    Answers = Mapping[str, Array]

NAME = "answers"
QUESTION = (
    "Does a process that knows only the retained data and the recorded parts lay out the same model, and does that "
    "model give the same answers as the one to be released?"
)
_NOT_COMPARED = ("layout", "measures", "shown")


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


def measures_in(answers: "Answers") -> dict[str, Measures]:
    """Return the measures that a process answered, by set of items."""
    found = answers.get("measures")
    return {} if found is None else {name: Measures(**each) for name, each in json.loads(found.tobytes()).items()}


def compared(release: str, before: Mapping[str, Measures], after: Mapping[str, Measures]) -> list[Utility]:
    """Return every measure of two models on sets of items by name, the headline of each set first."""
    return [
        Utility(release, shard, metric, found.n, before[shard].values[metric], value)
        for shard, found in after.items()
        for metric, value in found.values.items()
    ]


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
