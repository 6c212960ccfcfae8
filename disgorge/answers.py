"""Whether a process that starts from nothing makes the same model of the same parts: its layout and its answers.

Equal bytes of every component (:mod:`disgorge.probes.never_trained`) say nothing about two other places where a method
may keep what it was to forget: in a recipe - a seed, a threshold, a list of numbers chosen when the removed data was
still there - and in the code that lays the parts out and puts them together, as a filter, a cache or an older model
that a process remembers. So the process set apart is asked two questions about the release as it will be served:

(1)  which parts, by which recipes and with which weights, does the method lay out over the shards there are?
(2)  what does the model of these parts answer on the removed items, on held-out and on retained ones?

and both must be what this process, which saw everything, recorded and answers. A third model is asked (2) as well, the
one from before removal, made of its parts in yet another process: what cannot be told from it proves nothing
(:mod:`disgorge.same_answers` has the rule). That process knows no answer of the new model, so it cannot pick its own by
it. Sound for what is remembered in memory or in folders a process is given; a method that hides things at a place of
its own choosing, or lies only where it is served, is beyond all of it, and the report says on whose honesty that rests.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from disgorge.evidence import Check, Verdict
from disgorge.jobs import Job, Runner, read_items, threads
from disgorge.laying_out import layout_of
from disgorge.method import Blueprint, Items, Model, ModelSpec, method_named, recipe_for
from disgorge.same_answers import CALIBRATED, TOLERANCE, compare, judge
from disgorge.training import assemble, component_name, spec_of
from lineage.activity import activity
from lineage.ledger import Ledger
from lineage.objects import load_tensors, save_tensors
from lineage.records import (
    Component,
    Composition,
    Json,
    Member,
    Shard,
    canonical,
    digest_of,
    in_member_order,
    plain,
    restore,
)

if TYPE_CHECKING:
    from disgorge.method import Array

NAME = "answers"
QUESTION = (
    "Does a process that knows only the retained data and the recorded parts lay out the same model, and does that "
    "model give the same answers as the one to be released?"
)
MOST_ROWS = 256
"""Items asked about per shard, removed ones aside: all of the removed items are asked about."""
SAMPLES = 8
"""Samples drawn from a generator, each process from the same seed."""


@dataclass(frozen=True, slots=True)
class Question:
    """What both processes are asked: about which composition, over which shards, on which rows of which of them.

    Rows are places in digest order, so that no item's digest is written anywhere.
    """

    composition: Composition
    shards: tuple[Shard, ...]
    rows: dict[str, tuple[int, ...]]

    @classmethod
    def about(
        cls, ledger: Ledger, composition: Composition, shards: Mapping[str, Shard], old: Sequence[str], removed: Items
    ) -> "Question":
        """Return the question about a composition; ``old`` are the withdrawn shards that held the removed items."""
        spec, gone = spec_of(composition), frozenset(removed.digests)
        rows: dict[str, tuple[int, ...]] = {}
        for digest in old:
            if gone and ledger.content_path(digest).exists():
                held = read_items(ledger, digest).digests
                rows[digest] = tuple(row for row, item in enumerate(held) if item in gone)
        for name in (*spec.shards, *spec.evaluate):
            if name in shards:
                rows[shards[name].digest] = tuple(range(min(shards[name].count, MOST_ROWS)))
        return cls(composition, tuple(shards.values()), {digest: found for digest, found in rows.items() if found})

    def job(self) -> Job:
        """Return the job that has a runner answer."""
        return Job("answers", {"question": plain(self)}, 0)


def answer(ledger: Ledger, question: Mapping[str, Json]) -> bytes:
    """Return what this process answers to a question in plain form, as safetensors."""
    asked = restore(Question, question)
    return save_tensors(answers_of(ledger, asked, assemble(ledger, asked.composition)))


def answers_of(ledger: Ledger, question: Question, model: Model) -> "dict[str, Array]":
    """Return the layout as bytes, and the model's scores, predictions or samples, by name."""
    import numpy as np

    spec = spec_of(question.composition)
    laid_out = layout_of(method_named(spec.method), spec, {shard.name: shard for shard in question.shards})
    found: dict[str, Any] = {"layout": np.frombuffer(canonical([plain(b) for b in laid_out]), np.uint8)}
    with threads(spec.threads):
        for digest, rows in question.rows.items():
            items = _rows(read_items(ledger, digest), rows).unnamed()
            found[f"scores of {digest}"] = np.asarray(model.scores(items), np.float64)
            if model.task == "classify":
                found[f"predictions of {digest}"] = np.asarray(model.predict(items), np.float64)
        if model.task == "generate":
            found["samples"] = np.asarray(model.sample(SAMPLES, seed=0), np.float64)
    return found


@activity("comparing answers with those of processes set apart")
def check_answers(
    ledger: Ledger,
    question: Question,
    model: Model,
    components: Sequence[Component],
    *,
    before: Composition,
    apart: Runner,
    never_trained: Check,
) -> Check:
    """Return whether ``apart`` lays out and answers as this process, whose model is ``model``, does.

    ``components`` are the recorded members of the composition, ``before`` what the release was made of;
    ``apart`` gives each job a process of its own, and ``never_trained`` is what re-executing the parts came to.
    """
    start = time.perf_counter()
    served = answers_of(ledger, question, model)
    there = _asked(ledger, question, apart)
    old = _asked(ledger, replace(question, composition=before), apart)
    laid_out = _read(there.get("layout"))
    strange = _not_laid_out(spec_of(question.composition), laid_out, question, components)
    found = compare(*({name: of[name] for name in of if name != "layout"} for of in (served, there, old)))
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


def _asked(ledger: Ledger, question: Question, runner: Runner) -> "dict[str, Array]":
    """Return what a runner answers to a question."""
    (done,) = runner.run([question.job()])
    answers = load_tensors(ledger.objects.get(done.digest))
    ledger.objects.delete(done.digest)  # it was only handed over
    return dict(answers)


def _not_laid_out(
    spec: ModelSpec, laid_out: Sequence[Blueprint], question: Question, components: Sequence[Component]
) -> list[str]:
    """Return, in words, what a composition has or lacks that the layout from the retained data says otherwise."""
    recorded = {component.name: component for component in components}
    digests = {("shard", shard.name): shard.digest for shard in question.shards}
    strange, members = [], []
    for blueprint in laid_out:
        name = component_name(spec.release, blueprint.name)
        component = recorded.get(name)
        if component is None:
            strange.append(f"the model without {name}")
            continue
        recipe = recipe_for(method_named(spec.method), blueprint, digests, spec)
        if digest_of(recipe) != component.recipe_digest:
            strange.append(f"{name} by the recipe recorded")
        digests["component", blueprint.name] = component.digest
        members.append(Member(name, component.digest, blueprint.weight))
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
