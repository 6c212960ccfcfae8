"""Models as statistical probes see them: one job a model and its sets of items, and no code of a method here."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from disgorge.errors import ExecutionFailed
from disgorge.examination.asked_models import AskedModel, asked_models
from disgorge.method import Items
from disgorge.training.ask import question_about
from disgorge.training.recipe import Done, Job, OnProgress, unseen
from disgorge.training.stored import assemble, read_items
from lineage.workspace import Workspace
from tests.in_process import InProcessRunner
from tests.registered import register
from tests.toys import composition_of, live_shards, trained_toy


class Counting(InProcessRunner):
    """Carries jobs out in this process and counts them."""

    count = 0

    def run(self, jobs: Iterable[Job], *, on_progress: OnProgress = unseen, **how: Any) -> Iterator[Done]:
        """Count the jobs."""
        todo = list(jobs)
        self.count += len(todo)
        return super().run(todo, on_progress=on_progress, **how)


def asked(workspace: Workspace, release: str) -> tuple[AskedModel, Counting, tuple[Items, Items]]:
    """A release's model that was asked about two shards."""
    runner, shards = Counting(workspace), live_shards(workspace)
    first, second = (read_items(workspace, shards[name].digest) for name in ("shard-1", "held-out"))
    (model,) = asked_models(runner, [question_about(workspace, composition_of(workspace, release))], (first, second))
    return model, runner, (first, second)


def test_one_job_answers_about_all_sets_and_one_more_about_others(workspace: Workspace) -> None:
    model, runner, (first, second) = asked(workspace, "toy-averages")
    known = assemble(workspace, composition_of(workspace))
    for items in (first, second):
        assert np.array_equal(model.scores(items), known.scores(items))
        assert np.array_equal(model.predict(items), known.predict(items))
        assert model.utility(items) == known.utility(items)
    assert (model.task, runner.count) == ("classify", 1)
    other = read_items(workspace, live_shards(workspace)["shard-2"].digest)
    assert np.array_equal(model.scores(other), known.scores(other))
    assert runner.count == 2
    with pytest.raises(NotImplementedError):
        model.sample(1, seed=0)


def test_what_a_model_cannot_answer_is_said(workspace: Workspace) -> None:
    model, _, (first, _) = asked(workspace, "toy-averages")
    unlabeled = Items(first.digests, {"x": first.arrays["x"]})
    assert len(model.predict(unlabeled)) == len(first)
    with pytest.raises(ExecutionFailed, match="gives no scores: items have no field 'label'"):
        model.scores(unlabeled)


def test_a_generator_draws_by_a_job_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from replaying import METHOD

    register(monkeypatch, METHOD)
    workspace = trained_toy(tmp_path, method="replaying")
    model, runner, (first, _) = asked(workspace, "toy-replaying")
    known = assemble(workspace, composition_of(workspace, "toy-replaying"))
    assert np.array_equal(model.sample(4, seed=7), known.sample(4, seed=7))
    assert (model.task, runner.count) == ("generate", 2)
    with pytest.raises(ExecutionFailed, match="gives no predictions: it does not classify"):
        model.predict(first)
