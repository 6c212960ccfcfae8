"""Models are asked in processes of their own: what they are told, and what is taken for an answer."""

import json
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from disgorge.api.releases import predict
from disgorge.errors import ExecutionFailed, WrongUse
from disgorge.method import UNRECORDED, Items
from disgorge.training.answer import Draw
from disgorge.training.ask import ask, laid_out, question_about
from disgorge.training.assemble import spec_of
from disgorge.training.recipe import Done, Job, OnProgress, unseen
from disgorge.training.runners.local import Workers
from disgorge.training.sandbox.inputs import stages_of
from disgorge.training.stored import assemble, read_items
from lineage.storage.tensors import save_tensors
from lineage.workspace import Workspace
from tests.in_process import InProcessRunner
from tests.registered import register
from tests.toys import RELEASE, carry, composition_of, granted_plan, live_shards, person, trained_toy


class Listening(InProcessRunner):
    """Carries jobs out in this process and keeps them."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(workspace)
        self.jobs: list[Job] = []

    def run(self, jobs: Iterable[Job], *, on_progress: OnProgress = unseen, **how: Any) -> Iterator[Done]:
        """Keep the jobs."""
        todo = list(jobs)
        self.jobs += todo
        return super().run(todo, on_progress=on_progress, **how)


class Saying(InProcessRunner):
    """Answers every question with the same bytes."""

    def __init__(self, workspace: Workspace, answer: bytes) -> None:
        super().__init__(workspace)
        self.answer = answer

    def run(self, jobs: Iterable[Job], *, on_progress: OnProgress = unseen, **how: Any) -> Iterator[Done]:
        """Say it."""
        for done in super().run(jobs, on_progress=on_progress, **how):
            yield Done(done.job, "", done.started, done.ended, answer=self.answer)


def said(task: Any = "classify", sets: int = 1, **arrays: Any) -> bytes:
    """What a process might say about one set of two items."""
    told = {"task": task, "sets": [{"measures": {}, "lacking": {}}] * sets}
    return save_tensors({"told": np.frombuffer(json.dumps(told).encode(), np.uint8), **arrays})


UNREADABLE = {
    "no safetensors": b"weights",
    "nothing told": save_tensors({"0 scores": np.zeros(2)}),
    "another task": said("a dance,\nor a song"),
    "a set too few": said(sets=0),
    "scores of another length": said(**{"0 scores": np.zeros(3)}),
    "predictions without classes": said(**{"0 predictions": np.zeros(2)}),
}


@pytest.mark.parametrize("answer", UNREADABLE.values(), ids=list(UNREADABLE))
def test_answers_that_cannot_be_read_are_refused(workspace: Workspace, answer: bytes) -> None:
    items = Items(("a", "b"), {"x": np.zeros((2, 4)), "label": np.zeros(2, np.int64)})
    question = question_about(workspace, composition_of(workspace))
    with pytest.raises(ExecutionFailed, match="cannot be read"):
        ask(Saying(workspace, answer), [question], [items])
    assert ask(Saying(workspace, said(**{"0 scores": np.zeros(2)})), [question], [items])[0].sets[0].scores is not None


@pytest.mark.parametrize("answer", [b"", b"[{}]", b"{}", b"[1]"])
def test_a_layout_that_cannot_be_read_is_refused(workspace: Workspace, answer: bytes) -> None:
    spec = spec_of(composition_of(workspace))
    if answer == b"{}":
        assert laid_out(Saying(workspace, answer), spec, live_shards(workspace)) == ()
        return
    with pytest.raises(ExecutionFailed, match=r"for its layout.*cannot be read"):
        laid_out(Saying(workspace, answer), spec, live_shards(workspace))


def test_a_process_of_its_own_answers_as_the_model_does_and_leaves_nothing_behind(workspace: Workspace) -> None:
    composition, items = composition_of(workspace), read_items(workspace, live_shards(workspace)["shard-1"].digest)
    model, before = assemble(workspace, composition), sorted(workspace.objects.digests())
    with Workers(workspace, count=1) as workers:
        answers, _ = ask(workers, [question_about(workspace, composition)] * 2, [items, Items((), {})])
    first, nothing = answers.sets
    assert first.scores is not None
    assert first.predictions is not None
    assert np.array_equal(first.scores, model.scores(items))
    assert np.array_equal(first.predictions, model.predict(items))
    assert (first.measures, first.lacking) == (model.utility(items), {})
    assert (nothing.scores, nothing.measures, nothing.lacking) == (None, {}, {})
    assert sorted(workspace.objects.digests()) == before
    assert stages_of(workspace) == []


def test_texts_are_asked_about_as_they_are(workspace: Workspace) -> None:
    texts = np.array(["grün", "", "a\n"], dtype=np.dtypes.StringDType())
    items = Items(("a", "b", "c"), {"text": texts})
    with Workers(workspace, count=1) as workers:
        (answers,) = ask(workers, [question_about(workspace, composition_of(workspace))], [items])
    assert set(answers.sets[0].lacking) == {"scores", "predictions", "measures"}
    assert answers.sets[0].lacking["predictions"] == "items have no field 'x'"


def test_an_examiner_and_a_user_ask_alike_and_name_no_item(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = trained_toy(tmp_path)
    heard = Listening(workspace)
    monkeypatch.setattr("disgorge.api.releases.Workers", lambda *_, **__: nullcontext(heard))
    predict(workspace, RELEASE, "shard-1")
    (user,) = heard.jobs
    granted_plan(workspace, [person(workspace, "shard-2", 0)])
    apart = Listening(workspace)
    carry(workspace, independent=lambda: apart)
    asked = [job for job in apart.jobs if "question" in job.recipe]
    assert [len(job.given) for job in asked] == [3, 3]
    for job in (user, *asked):
        assert job.recipe.keys() == {"question"}
        assert job.recipe["question"]["draw"] == {"count": 32, "seed": 0}
        assert job.recipe["question"].keys() == user.recipe["question"].keys()
        assert {digest for items in job.given for digest in items.digests} == {UNRECORDED}
    (layout,) = (job for job in apart.jobs if "layout" in job.recipe)
    assert layout.given == ()
    assert {shard["derived_from"] for shard in layout.recipe["layout"]["shards"]} == {None}


def test_items_of_another_kind_are_named(workspace: Workspace, tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", y=np.zeros((2, 4)))
    with pytest.raises(WrongUse, match=r"cannot answer: items have no field 'x'; the items have y"):
        predict(workspace, RELEASE, str(tmp_path / "other.npz"))


def test_a_generator_draws_what_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from replaying import METHOD

    register(monkeypatch, METHOD)
    workspace = trained_toy(tmp_path, method="replaying")
    composition = composition_of(workspace, "toy-replaying")
    with Workers(workspace, count=1) as workers:
        (answers,) = ask(workers, [question_about(workspace, composition, draw=Draw(5, 3))])
    assert answers.task == "generate"
    assert answers.drawn is not None
    assert np.array_equal(answers.drawn, assemble(workspace, composition).sample(5, seed=3))
