"""Removals from models of user functions that leave a class, a shard, a stage or the whole model without data."""

from pathlib import Path

import pytest

from disgorge.errors import DisgorgeError, ExecutionFailed
from disgorge.request.workflow.plan_request import plan_requests
from disgorge.training.runners.local import Workers
from lineage.errors import UnknownRecord
from lineage.records import Selector
from tests.own_code import Case, case_in
from tests.toys import approved, carry, composition_of, granted_plan


@pytest.fixture
def case(tmp_path: Path) -> Case:
    """Three shards of four rows; every row is a person's."""
    return case_in(tmp_path)


CODE = """
import numpy as np

def fit_scale(items, parts, context):
    return {"mean": np.array(items["x"].mean())}

def fit(items, parts, context):
    counts = np.bincount(items["label"], minlength=2)
    if context.parameters.get("both") and not counts.all():
        raise ValueError("there must be items of both classes")
    return {"counts": counts}

def predict(parts, items, context):
    counts = parts["head"]["counts"] if "head" in parts else parts["counts"]
    return np.tile(counts / counts.sum(), (len(items), 1))
"""
STAGES = {
    "scale": {"train": "own_code:fit_scale", "layout": "isolated"},
    "head": {"train": "own_code:fit", "layout": "isolated", "reads": ["scale"]},
}


def removed(case: Case, *selectors: Selector) -> str:
    """Carry a removal out and return its verdict."""
    granted_plan(case.workspace, selectors)
    return go_on(case)


def go_on(case: Case) -> str:
    """Carry the approved plan out."""
    with Workers(case.workspace, count=1) as workers:
        done = carry(case.workspace, runner=workers, independent=lambda: Workers(case.workspace, count=1))
    return str(done.verdict)


def people(case: Case, *names: str) -> list[Selector]:
    """Selectors of persons."""
    return [Selector("subject", case.workspace.pseudonym(name)) for name in names]


def test_a_class_without_items_is_a_class_all_the_same(case: Case) -> None:
    case.write(CODE)
    case.make(case.spec(shards=["a", "b"]))
    assert removed(case, *people(case, "a-1", "a-3")) == "certified"
    assert case.trained("own/model/a")["counts"].tolist() == [2, 0]


def test_a_shard_without_items_takes_its_parts_of_every_stage(case: Case) -> None:
    case.write(CODE)
    case.make(case.spec(train=None, layout=None, stages=STAGES, shards=["a", "b"]))
    assert removed(case, *people(case, "a-0", "a-1", "a-2", "a-3")) == "certified"
    assert {member.name for member in composition_of(case.workspace, "own").members} == {"own/scale/b", "own/head/b"}


def test_a_model_without_items_is_withdrawn(case: Case) -> None:
    case.write(CODE)
    case.make(case.spec(shards=["a"]))
    assert removed(case, *people(case, "a-0", "a-1", "a-2", "a-3")) == "certified"
    with pytest.raises(UnknownRecord):
        composition_of(case.workspace, "own")


def test_code_that_cannot_do_without_a_class_is_mended_and_the_removal_goes_on(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stored code raises, and the plan with the code of today says so."""
    monkeypatch.chdir(case.folder)
    case.write(CODE)
    case.make(case.spec(shards=["a", "b"], parameters={"both": True}))
    granted_plan(case.workspace, people(case, "a-1", "a-3"))
    with pytest.raises(ExecutionFailed, match=r"own_code\.py:10: train .* ValueError: there must be items of both"):
        go_on(case)
    with pytest.raises(DisgorgeError, match="with the very code that is stored; leave --code current out"):
        plan_requests(case.workspace, ["R-1"], current_code=True)
    with pytest.raises(DisgorgeError, match="or train with code that you mended with --code current"):
        plan_requests(case.workspace, ["R-1"])
    case.write(CODE.replace('raise ValueError("there must be items of both classes")', "pass"))
    (words,) = approved(case.workspace, current_code=True).other_code
    assert words.startswith("Parts of own are trained again with code ")
    assert go_on(case) == "certified"
    assert case.trained("own/model/a")["counts"].tolist() == [2, 0]
