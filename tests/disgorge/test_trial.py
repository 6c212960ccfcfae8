"""A new model is asked once before it is released: what cannot answer is not, and what can is measured."""

import shutil
from dataclasses import replace
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pytest
import yaml

from disgorge.api.training import train, train_all
from disgorge.errors import BadModel, ExecutionFailed
from disgorge.release.train import train_release
from disgorge.tracking.registry import Registrar
from disgorge.tracking.runs import Observer
from disgorge.training.ask import ask, question_about
from disgorge.training.make import Made
from disgorge.training.runners.local import Workers
from disgorge.training.stored import read_items
from lineage.catalog.catalog import Catalog
from lineage.shards.add import add_shard
from lineage.workspace import Workspace
from tests.in_process import InProcessRunner
from tests.toys import populate, toy_of

CODE = """
import numpy as np

def fit(items, parts, context):
    return {"sum": np.asarray(items["x"].sum())}

def predict(parts, items, context):
    return np.tile([0.25, 0.75], (len(items), 1))

def measure(answers, items, context):
    return {"f1": answers[:, 1].mean()}

def draw(parts, count, context):
    return np.zeros((count, 2))
"""


@pytest.fixture
def workspace(tmp_path: Path, database: Path) -> Workspace:
    """Two shards that are trained on, and one that is held out, of eight items each; one in four has label 1."""
    workspace = Workspace.init(tmp_path / "workspace")
    shutil.copy(database, workspace.root / "mlflow.db")
    for place, name in enumerate(("a", "b", "held-out")):
        path = tmp_path / f"{name}.csv"
        rows = "".join(f"{name}-{row},{10 * place + row},{row % 4 // 3}\n" for row in range(8))
        path.write_text(f"subject,x,label\n{rows}")
        add_shard(workspace, path, name=name, subject="subject", legal_basis="consent", check=False)
    return workspace


def model(workspace: Workspace, code: str = CODE, **keys: Any) -> Path:
    """Write a model file with its code, and return it; a key that is None is left out."""
    file = {
        "release": "own", "method": "function", "train": "own_code:fit", "predict": "own_code:predict",
        "classes": [0, 1], "shards": ["a", "b"], "evaluate": ["held-out"],
    } | keys  # fmt: skip
    (workspace.root / "own_code.py").write_text(dedent(code))
    path = workspace.root / "own.yaml"
    path.write_text(yaml.safe_dump({name: value for name, value in file.items() if value is not None}))
    return path


def kinds(workspace: Workspace) -> set[str]:
    """The kinds of facts that training makes."""
    return {fact.kind for fact in workspace.ledger.facts()} & {"component", "composition", "release"}


def raising(function: str, code: str = CODE) -> str:
    """The code with a function that raises."""
    at = code.index(f"def {function}(")
    end = code.index("\n", at) + 1
    return f"{code[:end]}    raise ValueError('boom')\n{code[end:]}"


BROKEN: dict[str, tuple[str, dict[str, Any], str]] = {
    "predict raises": (raising("predict"), {}, r"own_code\.py:8: predict \(own_code:predict\) raised ValueError: boom"),
    "and nothing is held out": (raising("predict"), {"evaluate": None}, r"own_code\.py:8: predict .* boom"),
    "a wrong shape": (
        CODE.replace("return np.tile([0.25, 0.75], (len(items), 1))", "return items['x']"), {},
        r"returned shape \(8,\); it must be \(8, classes\)",
    ),
    "measure raises": (raising("measure"), {"measure": "own_code:measure"}, r"own_code\.py:11: measure .* boom"),
    "sample raises": (
        raising("draw"), {"task": "generate", "sample": "own_code:draw", "predict": None, "classes": None},
        r"own_code\.py:14: sample .* boom",
    ),
    "the process ends": (
        CODE.replace("return np.tile", "import os; os._exit(3)\n    return np.tile"), {}, "model was asked once, and",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_a_model_that_cannot_answer_is_not_released(workspace: Workspace, case: str) -> None:
    """Its component stays recorded; one line says where the fault is, and what to do."""
    code, keys, words = BROKEN[case]
    with pytest.raises(ExecutionFailed, match=words) as raised:
        train(workspace, model(workspace, code, **keys), workers=1)
    said = str(raised.value)
    assert said.startswith("own@live is not released: the new model was asked once")
    assert "run `disgorge train` again" in said
    assert "\n" not in said
    assert kinds(workspace) == {"component"}


def test_the_release_there_is_stays_until_a_model_answers(workspace: Workspace) -> None:
    first = train(workspace, model(workspace), workers=1)
    head = workspace.ledger.head()
    again = train(workspace, model(workspace), workers=1)
    assert (again.made.quality, again.plain()["quality"]) == (None, None)
    assert workspace.ledger.head() == head
    with pytest.raises(ExecutionFailed, match="boom"):
        train(workspace, model(workspace, raising("predict"), seed=1), workers=1)
    with Catalog.of(workspace) as catalog:
        assert catalog.release("own").composition == first.made.composition.digest


def test_edited_code_that_trains_the_same_is_asked_before_it_answers(workspace: Workspace) -> None:
    """The weights come out as they were, and with them the composition; only what answers is another."""
    train(workspace, model(workspace), workers=1)
    before = answered(workspace)
    worse = raising("predict")
    mended = CODE.replace("[0.25, 0.75]", "[0.75, 0.25]")
    for _ in range(2):  # what was trained stays recorded, and is refused again
        with pytest.raises(ExecutionFailed, match="own@live is not released"):
            train(workspace, model(workspace, worse), workers=1)
        assert answered(workspace) == before
    again = train(workspace, model(workspace, mended), workers=1)
    assert again.made.quality is not None
    assert answered(workspace) == [row[::-1] for row in before]


def answered(workspace: Workspace) -> list[list[float]]:
    """What the release predicts for two items."""
    with Catalog.of(workspace) as catalog:
        composition = catalog.composition(catalog.release("own").composition)
        shard = next(shard for shard in catalog.shards())
    items = read_items(workspace, shard.digest)
    with Workers(workspace, count=1) as workers:
        (answers,) = ask(workers, [question_about(workspace, composition)], [items])
    assert answers.sets[0].predictions is not None
    return answers.sets[0].predictions[:2].tolist()


def test_of_several_models_none_is_released_where_one_cannot_answer(workspace: Workspace) -> None:
    good = model(workspace).rename(workspace.root / "good.yaml")
    bad = model(workspace, release="bad", predict="own_code:fit")
    with pytest.raises(ExecutionFailed, match=r"^bad@live is not released: .*own_code\.py:5: predict \(own_code:fit\)"):
        train_all(workspace, [good, bad], workers=1)
    assert kinds(workspace) == {"component"}
    bad.unlink()
    assert train(workspace, good, workers=1).made.trained == ()


def test_the_quality_is_printed_and_stands_in_json(workspace: Workspace) -> None:
    words = "accuracy 0.2500 on held-out (8 items)"
    done = train(workspace, model(workspace), workers=1)
    assert done.shown[-1] == words
    told = done.plain()["quality"]
    assert told["words"] == words
    assert (told["measures"]["accuracy"], told["items"]) == (0.25, 8)
    own = train(workspace, model(workspace, measure="own_code:measure", release="other"), workers=1)
    assert own.shown[-1] == "f1 0.7500 on held-out (8 items)"
    numbers = CODE.replace("np.tile([0.25, 0.75], (len(items), 1))", "items['x'] + 2")
    regress = model(workspace, numbers, task="regress", classes=None, columns={"x": "x", "label": "x"}, release="more")
    assert train(workspace, regress, workers=1).shown[-1] == "rmse 2.0000 on held-out (8 items)"


def test_what_is_not_measured_is_released_and_said(workspace: Workspace, tmp_path: Path) -> None:
    done = train(workspace, model(workspace, evaluate=None), workers=1)
    assert done.shown[-1] == "not measured: the model file names no `evaluate` shards"
    (tmp_path / "bare.csv").write_text("subject,x\nann,1\nbob,2\n")
    add_shard(workspace, tmp_path / "bare.csv", name="bare", subject="subject", legal_basis="consent", check=False)
    done = train(workspace, model(workspace, evaluate=["bare"]), workers=1)
    assert done.shown[-1] == "not measured: items have no field 'label'"
    nan = CODE.replace("answers[:, 1].mean()", "float('nan')")
    done = train(workspace, model(workspace, nan, measure="own_code:measure"), workers=1)
    assert done.shown[-1] == "not measured: f1 is not a finite number"
    assert kinds(workspace) == {"component", "composition", "release"}
    with pytest.raises(BadModel, match=r"^evaluate: the shards held-out, bare differ in their fields"):
        train(workspace, model(workspace, evaluate=["held-out", "bare"]), workers=1)


def trained(folder: Path, method: str, **spec: Any) -> Made:
    """Train a method's toy in this process, and release it."""
    workspace, toy = Workspace.init(folder / "workspace"), toy_of(method, 3)
    populate(workspace, toy, folder / "sources")
    runner = InProcessRunner(workspace)
    return train_release(workspace, replace(toy.spec, **spec), runner, registrar=Registrar(), observer=Observer())


@pytest.mark.parametrize(
    ("method", "headline"),
    [
        ("averages", "accuracy"),
        ("function", "accuracy"),
        ("shard_graph", "accuracy"),
        ("tangent_composition", "accuracy"),
        ("compartmental_diffusion", "neg_denoising_loss"),
    ],
)
def test_every_method_is_asked_its_own_questions(method: str, headline: str, tmp_path: Path) -> None:
    quality = trained(tmp_path, method).quality
    assert quality is not None
    assert next(iter(quality.measures)) == headline
    assert np.isfinite(quality.measures[headline])
    held_out = toy_of(method, 3).items["held-out"]
    assert (quality.items, quality.of) == (len(held_out), len(held_out))
