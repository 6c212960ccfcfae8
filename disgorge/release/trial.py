"""Asks a new composition once before it is released: one that cannot answer is not, and one that can is measured.

A confined process is asked, as in an examination: about a sample of the shards under ``evaluate``, or, where the model
file names none, about a handful of training items, which shows that the model answers and not how well. A generator
draws a few samples. It costs one process for each new composition, side by side.

Measuring is no use of a shard: no component reads the answers, and no recipe names the items. A person who changes a
model because of the number chose it on those shards, which ``chosen_on`` in the model file says.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isfinite

from disgorge.errors import BadModel, ExecutionFailed
from disgorge.evidence.quality import Quality
from disgorge.examination.samples import HELD_OUT, Sample, sample
from disgorge.method import ModelSpec
from disgorge.training.answer import Draw, Question
from disgorge.training.ask import Answered, ask_each
from disgorge.training.recipe import Runner
from disgorge.training.stored import read_items
from lineage.records import Shard
from lineage.workspace import Workspace

_HANDFUL, _DRAWN = 16, 4
"""Training items asked about where nothing is held out, and samples that a generator draws."""


def try_out(
    workspace: Workspace,
    new: Sequence[tuple[ModelSpec, Question]],
    shards: Mapping[str, Shard],
    runner: Runner,
    *,
    again: str = "run `disgorge train` again (what was trained stays recorded)",
    must_measure: bool = True,
) -> list[Quality]:
    """Return how good each new composition is on its held-out items; they are asked side by side.

    ``again`` says what to do when what an error names is mended. Unless it ``must_measure``, one whose measure fails is
    told of as not measured.

    Raises :class:`ExecutionFailed`, with the place in the user's code, where one raises or answers in a wrong shape,
    and :class:`BadModel` for evaluation shards that differ in their fields.
    """
    asked = [_items(workspace, spec, shards) for spec, _ in new]
    questions = [replace(question, draw=Draw(_DRAWN)) for _, question in new]
    try:
        answers = ask_each(runner, [(each, [of.items]) for each, (_, of) in zip(questions, asked, strict=True)])
    except ExecutionFailed as error:
        raise _not_released([spec for spec, _ in new], error, again) from error.__cause__
    for (spec, _), each in zip(new, answers, strict=True):
        if failed := _failure(each.sets[0], must_measure=must_measure):
            raise _not_released([spec], ExecutionFailed(failed), again)
    return [_quality(each.sets[0], *items) for each, items in zip(answers, asked, strict=True)]


def _not_released(specs: Sequence[ModelSpec], error: ExecutionFailed, again: str) -> ExecutionFailed:
    names = ", ".join(f"{spec.release}@{spec.alias}" for spec in specs)
    which = "is not released: the new model was" if len(specs) == 1 else "are not released: each new model was"
    return type(error)(f"{names} {which} asked once, and {error}; then {again}")


def _quality(answered: Answered, held_out: bool, asked: Sample) -> Quality:
    measures = {name: value for name, value in answered.measures.items() if isfinite(value)} if held_out else {}
    return Quality(measures, len(asked.items), asked.of, "" if measures else _unmeasured(answered, held_out=held_out))


def _items(workspace: Workspace, spec: ModelSpec, shards: Mapping[str, Shard]) -> tuple[bool, Sample]:
    """Return whether items are held out, and a sample of them, or of the smallest shard that was trained on."""
    try:
        held_out = sample(
            [read_items(workspace, shards[name].digest, as_paths=True) for name in spec.evaluate], HELD_OUT
        )
    except (KeyError, ValueError):
        raise BadModel(
            f"evaluate: the shards {', '.join(spec.evaluate)} differ in their fields, or in the shapes of them; name "
            "shards that are alike"
        ) from None
    if len(held_out.items):
        return True, held_out
    trained = [shards[name] for name in (*spec.shards, *spec.core) if shards[name].count]
    least = min(trained, key=lambda shard: shard.count, default=None)
    return False, sample([read_items(workspace, least.digest, as_paths=True)] if least else [], _HANDFUL)


def _failure(answered: Answered, *, must_measure: bool) -> str:
    """Return what went wrong, "" for a model that answered; a measure for which the items have no label is no fault."""
    wrong = (name for name in answered.lacking if name == "predictions" or (must_measure and name in answered.failed))
    return next((answered.lacking[name] for name in wrong), "")


def _unmeasured(answered: Answered, *, held_out: bool) -> str:
    if not held_out:
        return "the model file names no `evaluate` shards"
    if answered.measures:
        return f"{', '.join(answered.measures)} is not a finite number"
    return answered.lacking.get("measures", "the model gives no measure")
