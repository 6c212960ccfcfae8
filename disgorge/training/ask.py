"""Asks models, each in a process of its own, and reads what they answer.

What such a process says is data that is read and checked, never code that runs here. Items leave without their digests
(:meth:`~disgorge.method.Items.unnamed`) and go with the order, so that no copy of them lies anywhere after a kill.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from disgorge.errors import ExecutionFailed
from disgorge.layout import as_shown
from disgorge.method import Blueprint, Items, ModelSpec
from disgorge.training.answer import Draw, LayoutQuestion, Question
from disgorge.training.assemble import spec_of
from disgorge.training.recipe import Job, Runner
from lineage.activity import activity
from lineage.artifacts.named import artifact_digests
from lineage.catalog.catalog import Catalog
from lineage.errors import LineageError
from lineage.records import Composition, Json, Shard, plain, restore
from lineage.storage.tensors import load_tensors
from lineage.workspace import Workspace

if TYPE_CHECKING:
    from disgorge.method import Array

_TASK = re.compile(r"[a-z][a-z0-9_-]{0,49}")
SHOWN = Draw(32)
"""What a generator draws unless it is asked for other samples: as many as a report shows."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What a model answered about one set of items; ``lacking`` says by name what it could not, and why.

    ``failed`` names what is lacking because the code raised or answered in a wrong shape; the rest the items lack.
    Shapes: scores (items,), predictions (items, classes) of a classifier, (items,) or (items, ...) of others.
    """

    scores: "Array | None"
    predictions: "Array | None"
    measures: dict[str, float]
    lacking: dict[str, str]
    failed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answers:
    """What a model answered about sets of items, in their order, and what it drew, shape (count, ...)."""

    task: str
    sets: tuple[Answered, ...]
    drawn: "Array | None"


@dataclass(frozen=True, slots=True)
class _AboutSet:
    """What a process says of one set beside the arrays."""

    measures: dict[str, float]
    lacking: dict[str, str]
    failed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _About:
    """What a process says beside the arrays."""

    task: str
    sets: tuple[_AboutSet, ...]


def question_about(
    workspace: Workspace, composition: Composition, *, title: str | None = None, draw: Draw | None = SHOWN
) -> Question:
    """Return the question about a recorded composition; ``title`` is the name its components are recorded under."""
    members = {member.component for member in composition.members}
    with Catalog.of(workspace) as catalog:
        kinds = {each.digest: each.kind for each in catalog.components(live=False) if each.digest in members}
        spec = spec_of(composition)
        artifacts = artifact_digests(catalog, spec.artifact_names, of=spec.release)
    return Question(composition, kinds, title, draw, tuple(artifacts.values()))


@activity("asking models in processes of their own")
def ask(
    runner: Runner,
    questions: Sequence[Question],
    given: Sequence[Items] = (),
    *,
    code: Mapping[str, str] | None = None,
) -> tuple[Answers, ...]:
    """Return what each model answers about the same sets of items: see :func:`ask_each`."""
    return ask_each(runner, [(question, given) for question in questions], code=code)


def ask_each(
    runner: Runner, asked: Sequence[tuple[Question, Sequence[Items]]], *, code: Mapping[str, str] | None = None
) -> tuple[Answers, ...]:
    """Return what each model answers about sets of items of its own, each in a process of its own, side by side.

    ``code`` is what a recipe says of local code, by which all of them answer: that of their parts by default.
    Raises :class:`~disgorge.errors.ExecutionFailed` for a process that fails, or answers what cannot be read.
    """
    jobs = {
        _name(question): Job(
            _name(question),
            {"question": plain(question)} | dict(code or {}),
            0,
            given=tuple(items.unnamed() for items in given),
        )
        for question, given in asked
    }
    found = {done.job.name: _read(done.job.name, done.answer, done.job.given) for done in runner.run(jobs.values())}
    return tuple(found[_name(question)] for question, _ in asked)


def laid_out(
    runner: Runner, spec: ModelSpec, shards: Mapping[str, Shard], *, code: Mapping[str, str] | None = None
) -> tuple[Blueprint, ...]:
    """Return the layout that a process makes which is told the shards' records, and nothing else.

    ``code`` is what recipes say of local code, by which the model was made.
    """
    job = Job(f"{spec.release} for its layout", layout_recipe(spec, shards) | dict(code or {}), 0)
    (done,) = runner.run([job])
    return read_layout(job.name, done.answer)


def layout_recipe(spec: ModelSpec, shards: Mapping[str, Shard]) -> dict[str, Json]:
    """Return the question after a layout: a model's description, and the records of the shards that it names."""
    named = sorted({*spec.core, *spec.shards, *spec.evaluate})
    return {"layout": plain(LayoutQuestion(spec, tuple(as_shown(shards[name]) for name in named if name in shards)))}


def read_layout(name: str, answer: bytes) -> tuple[Blueprint, ...]:
    """Return the layout in an answer; :class:`~disgorge.errors.ExecutionFailed` where it holds something else."""
    try:
        return tuple(restore(Blueprint, each) for each in json.loads(answer))
    except (ValueError, TypeError) as error:
        raise _unreadable(name) from error


def _read(name: str, result: bytes, given: Sequence[Items]) -> Answers:
    """Return the answers in a result; :class:`~disgorge.errors.ExecutionFailed` where it holds something else."""
    try:
        arrays = dict(load_tensors(result))
        about = restore(_About, json.loads(arrays.pop("told").tobytes()))
        if not _TASK.fullmatch(about.task):
            raise ValueError("a task that is no word")
        sets = []
        for place, (items, said) in enumerate(zip(given, about.sets, strict=True)):
            scores, predictions = (arrays.get(f"{place} {what}") for what in ("scores", "predictions"))
            if scores is not None and scores.shape != (len(items),):
                raise ValueError(f"scores of shape {scores.shape}")
            if predictions is not None and not _fits(about.task, predictions.shape, len(items)):
                raise ValueError(f"predictions of shape {predictions.shape}")
            sets.append(Answered(scores, predictions, said.measures, said.lacking, said.failed))
    except (KeyError, ValueError, TypeError, AttributeError, LineageError) as error:
        raise _unreadable(name) from error
    return Answers(about.task, tuple(sets), arrays.get("drawn"))


def _fits(task: str, shape: tuple[int, ...], items: int) -> bool:
    """Whether predictions of this shape are about so many items."""
    return bool(shape) and shape[0] == items and (task != "classify" or len(shape) == 2)


def _name(question: Question) -> str:
    """Return what a job is called that asks a question: one composition gives one answer."""
    release = question.title or spec_of(question.composition).release
    return f"{release} {question.composition.digest[:12]}"


def _unreadable(name: str) -> ExecutionFailed:
    return ExecutionFailed(
        f"{name}: what the process that was asked answered cannot be read; look at what the method's model returns"
    )
