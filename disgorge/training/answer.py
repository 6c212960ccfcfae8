"""What a model answers, in the process that is asked: about sets of items, and what it draws.

A question is plain data, like a recipe, and a process of its own carries it out as it carries out training. The items
come with the order, without their digests, and all who ask, ask alike: an examination, a statistical probe and
``disgorge release predict`` get of each set the scores, the predictions and the measures. So a model can tell no
examiner from a user, and knows nothing of another model: each is asked in a process that saw no other.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from disgorge.errors import DisgorgeError, ExecutionFailed
from disgorge.layout import layout_of
from disgorge.method import Classifies, Items, Measures, Method, Model, ModelSpec, Samples, Scores
from disgorge.training.assemble import put_together, spec_of
from disgorge.training.recipe import Inputs
from disgorge.training.torch_settings import torch_set
from lineage.activity import activity
from lineage.records import LEFT_OUT, Composition, Json, Shard, canonical, plain, restore
from lineage.storage.tensors import save_tensors

if TYPE_CHECKING:
    from disgorge.method import Array


@dataclass(frozen=True, slots=True)
class Draw:
    """How many samples a generator draws, and from which seed; a classifier draws none."""

    count: int
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Question:
    """Which composition is asked, and what it draws. ``kinds`` has the kind of each member by digest.

    ``title`` is the name that its components are recorded under, None for the release's.
    """

    composition: Composition
    kinds: dict[str, str]
    title: str | None = None
    draw: Draw | None = None
    artifacts: tuple[str, ...] = field(default=(), metadata={LEFT_OUT: True})
    """The digests of the artifacts that the composition's description names, in the order of their names."""


@dataclass(frozen=True, slots=True)
class LayoutQuestion:
    """Over which shards a model is laid out: their records, and nothing of what is in them."""

    spec: ModelSpec
    shards: tuple[Shard, ...]


def lay_out(question: Mapping[str, Json], *, method: Method) -> bytes:
    """Return the layout that this process makes of a question in plain form, as JSON."""
    asked = restore(LayoutQuestion, question)
    shards = {shard.name: shard for shard in asked.shards}
    return canonical([plain(each) for each in layout_of(method, asked.spec, shards)])


def answer(
    inputs: Inputs,
    question: Mapping[str, Json],
    given: Sequence[Items],
    *,
    method: Method,
    device: str = "cpu",
) -> bytes:
    """Return what this process answers to a question in plain form about the items given, as safetensors.

    ``device`` is where it computes: a model that was trained on another one answers on this.
    """
    asked = restore(Question, question)
    spec = spec_of(asked.composition)
    with torch_set(threads=spec.threads, device=device, deterministic=spec.deterministic):
        model = put_together(
            inputs, asked.composition, asked.kinds, title=asked.title, method=method, artifacts=asked.artifacts
        )
        return save_tensors(_answers(model, given, asked.draw))


def _answers(model: Model, given: Sequence[Items], draw: Draw | None) -> "dict[str, Array]":
    """Return arrays by name, and under ``told`` what is no array: the task, and of each set measures and what lacks."""
    import numpy as np

    arrays: dict[str, Any] = {}
    sets: list[dict[str, Any]] = []
    for place, items in enumerate(given):
        found: dict[str, Any] = {}
        lacking: dict[str, str] = {}
        failed: list[str] = []
        for name, asks in _asked_of(model).items():
            try:
                found[name] = asks(items) if len(items) else {}
            except KeyError as error:
                lacking[name] = f"items have no field {error}"
            except DisgorgeError as error:
                lacking[name] = str(error)
                failed += [name] if isinstance(error, ExecutionFailed) else []
        measures = {name: float(value) for name, value in found.pop("measures", {}).items()}
        arrays |= {f"{place} {name}": np.asarray(each, np.float64) for name, each in found.items() if len(items)}
        sets.append({"measures": measures, "lacking": lacking, "failed": failed})
    if draw is not None and model.task != "classify" and isinstance(model, Samples):
        arrays["drawn"] = np.asarray(model.sample(draw.count, seed=draw.seed))
    told = json.dumps({"task": model.task, "sets": sets}).encode()
    return arrays | {"told": np.frombuffer(told, np.uint8)}


@activity("asking a model")
def _asked_of(model: Model) -> dict[str, Callable[[Items], Any]]:
    """Return what every set of items is asked for, by name: what the model offers."""
    asked: dict[str, Callable[[Items], Any]] = {}
    if model.task != "generate" and isinstance(model, Classifies):
        asked["predictions"] = model.predict
    if isinstance(model, Scores):
        asked["scores"] = model.scores
    if isinstance(model, Measures):
        asked["measures"] = model.utility
    return asked
