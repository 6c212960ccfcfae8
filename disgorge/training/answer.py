"""What a model answers: the questions a process is asked, and the arrays it answers with.

A question is plain data, like a recipe, so a process of its own can carry it out as it carries out training.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from disgorge.layout import layout_of
from disgorge.method import Items, Method, Model, method_named
from disgorge.training.assemble import put_together, spec_of
from disgorge.training.inputs import Inputs
from disgorge.training.items import join, rows_of, threads
from lineage.activity import activity
from lineage.records import Component, Composition, Json, Shard, canonical, plain, restore
from lineage.storage.objects import save_tensors

if TYPE_CHECKING:
    from disgorge.method import Array

SHOWN = 32
"""Samples of a generator that a report shows, before and after."""
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
        composition: Composition,
        components: Sequence[Component],
        shards: Mapping[str, Shard],
        removed: Mapping[str, tuple[int, ...]],
    ) -> "Question":
        """Return the question about a composition of these members; ``removed`` has the removed rows by old shard."""
        spec, rows = spec_of(composition), dict(removed)
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


def answer(inputs: Inputs, questions: Sequence[Mapping[str, Json]], *, method: Method | None = None) -> bytes:
    """Return what this process answers to questions in plain form, in their order, as safetensors.

    ``method`` is that of the compositions, where it is loaded already.
    """
    found: dict[str, Array] = {}
    for place, question in enumerate(questions):
        asked = restore(Question, question)
        model = put_together(inputs, asked.composition, asked.kinds, method=method)
        answers = answers_of(inputs, asked, model, method=method)
        found |= {f"{place} {name}": array for name, array in answers.items()}
    return save_tensors(found)


def answers_of(inputs: Inputs, question: Question, model: Model, *, method: Method | None = None) -> "dict[str, Array]":
    """Return the layout as bytes, and the model's scores, predictions or samples, by name."""
    import numpy as np

    spec = spec_of(question.composition)
    method = method or method_named(spec.method)
    laid_out = layout_of(method, spec, {shard.name: shard for shard in question.shards})
    found: dict[str, Any] = {"layout": np.frombuffer(canonical([plain(b) for b in laid_out]), np.uint8)}
    with threads(spec.threads):
        for digest, rows in question.rows.items():
            items = rows_of(inputs.items(digest), rows).unnamed()
            found[f"scores of {digest}"] = np.asarray(model.scores(items), np.float64)
            if model.task == "classify":
                found[f"predictions of {digest}"] = np.asarray(model.predict(items), np.float64)
        if question.measure:
            sets = {name: join([inputs.items(each) for each in shards]) for name, shards in question.measure.items()}
            measured = {name: measures_of(model, items.unnamed()) for name, items in sets.items() if len(items)}
            found["measures"] = np.frombuffer(json.dumps(measured).encode(), np.uint8)
        if model.task == "generate" and question.rows:
            found["samples"] = np.asarray(model.sample(SAMPLES, seed=0), np.float64)
        if model.task == "generate" and question.measure:
            found["shown"] = np.asarray(model.sample(SHOWN, seed=0), np.float32)
    return found


@dataclass(frozen=True, slots=True)
class Measures:
    """What a model came to on a set of ``n`` items: values by name, the headline first, and what chance reaches of it.

    ``chance`` is None where that is no question.
    """

    n: int
    values: dict[str, float]
    chance: float | None = None


@activity("measuring utility")
def measures_of(model: Model, items: Items) -> dict[str, Json]:
    """Return the measures of a model on items, in plain form."""
    values = {name: float(value) for name, value in model.utility(items).items()}
    return {"n": len(items), "values": values, "chance": chance_level(model, next(iter(values), ""), items)}


def chance_level(model: Model, metric: str, items: Items | None) -> float | None:
    """Return the accuracy of always answering the most frequent label, None where that is no question.

    >>> from types import SimpleNamespace as Of
    >>> items = Items(("a", "b", "c"), {"label": Of(ndim=1, tolist=lambda: [1, 1, 2])})
    >>> round(chance_level(Of(task="classify"), "accuracy", items), 3), chance_level(Of(task="generate"), "loss", items)
    (0.667, None)
    """
    labels = items.arrays.get("label") if items is not None else None
    if model.task != "classify" or metric != "accuracy" or labels is None or labels.ndim != 1 or not items:
        return None
    ((_, most),) = Counter(labels.tolist()).most_common(1)
    return float(most / len(items))
