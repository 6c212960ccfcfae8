"""``disgorge train`` as it is typed: what ``--check`` says and leaves alone, and what ``--twice`` finds."""

import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from lineage.shards.add import add_shard
from lineage.workspace import Workspace
from tests.disgorge.cli.conftest import fine, refused, run, untouched

CODE = """
import numpy as np

def fit(items, parts, context):
    return {"counts": np.bincount(items["label"], minlength=2), "sum": items["x"].sum()}

def predict(parts, items, context):
    return np.tile(parts["counts"] / parts["counts"].sum(), (len(items), 1))
"""
MODEL = """
release: own
method: function
train: own_checked:fit
predict: own_checked:predict
layout: isolated
columns: {label: {field: rating, map: {bad: 0, good: 1}}, x: x}
classes: [0, 1]
shards: [a, b]
"""
STAGES = """
stages: {scale: {train: own_checked:fit}, head: {train: own_checked:fit, layout: isolated, reads: [scale]}}
"""


@pytest.fixture
def folder(empty: Path, no_mlflow: None) -> Path:
    """A workspace of two shards with a person in both, and a model file with its code beside them."""
    for name, people in {"a": range(4), "b": range(3, 9)}.items():
        rows = "".join(f"p-{person},{name}{person},{person},{('bad', 'good')[person % 2]}\n" for person in people)
        (empty / f"{name}.csv").write_text(f"subject,key,x,rating\n{rows}")
        add_shard(
            Workspace.open(), empty / f"{name}.csv", name=name, subject="subject", key="key", legal_basis="consent",
            check=False,
        )  # fmt: skip
    (empty / "own_checked.py").write_text(CODE)
    (empty / "model.yaml").write_text(MODEL)
    return empty


def test_what_would_be_trained_is_told_and_nothing_is_changed(folder: Path) -> None:
    with untouched(folder):
        shown = fine("train --check model.yaml").out
        told = fine("train --check model.yaml --json").json
        assert not [path for path in (folder / ".disgorge" / "objects").rglob("*") if path.is_file()]
    assert "own_checked" not in sys.modules
    assert re.search(r"own/model/a +fitted +train a +4 +to train\n", shown)
    assert re.search(r"columns +label \(rating\), x\nclasses +0, 1\ncode +own_checked\.py\n", shown)
    components = {each["name"]: (each["items"], each["there"]) for each in told["components"]}
    assert components == {"own/model/a": (4, False), "own/model/b": (6, False)}
    assert (told["code"], told["columns"]) == (["own_checked.py"], {"label": "rating", "x": "x"})
    fine("train model.yaml")
    assert fine("train --check model.yaml").out.count("there already") == 2
    (folder / "own_checked.py").write_text(f"{CODE}# edited\n")
    edited = fine("train --check model.yaml").out
    assert edited.count("to train") == 2
    assert "edited code is another recipe" in edited


def test_a_check_takes_about_a_second_and_loads_neither_torch_nor_the_users_code(folder: Path) -> None:
    code = (
        "import sys; from disgorge.cli.app import app\ntry:\n    app(['train', '--check', 'model.yaml'])\n"
        "except SystemExit as ended: assert ended.code == 0\n"
        "print('loaded:', *sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    took = []
    for _ in range(2):  # the first warms the disk's cache
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=folder)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    heavy = {"torch", "diffusers", "mlflow", "great_expectations", "dvc", "sklearn", "own_checked"}
    assert not set(ran.stdout.rpartition("loaded:")[2].split()) & heavy
    assert min(took) < 2.5


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (("[a, b]", "[a, nope]"), ["names 'nope', which no live shard is called"]),
        (("x: x}", "x: nothing}"), [" items have no 'nothing' for column x"]),
        (("bad: 0, ", ""), ["shard a: the value 'bad' of 'rating' is not in columns.label.map", "shard b: the value"]),
        (("[0, 1]", "[0]"), ["columns.label.map: '1' is none of the classes"]),
        (("[0, 1]", "[0, 1]\nexpose: [gone]"), ["expose: no package 'gone' is installed"]),
        (("[0, 1]", "[0, 1]\nartifacts: {w: gone}\nring: 1"), ["names the artifact 'gone'", "neighbors: belongs"]),
        (("own_checked:fit", "nowhere_checked:fit"), ["no module 'nowhere_checked' in"]),
        (("[0, 1]", "[0, 1]\ncode: [rows.pkl]"), ["rows.pkl: is data among the code"]),
        (("{field: rating, map: {bad: 0, good: 1}}", "rating"), ["'bad' of 'rating' is not in `classes`"] * 2),
    ],
    ids=lambda value: value[1][-30:] if isinstance(value, tuple) else "",
)  # fmt: skip
def test_what_would_be_refused_is_told_all_of_it(folder: Path, edit: tuple[str, str], words: list[str]) -> None:
    (folder / "rows.pkl").touch()
    (folder / "model.yaml").write_text(MODEL.replace(*edit))
    with untouched(folder):
        ran = run("train --check model.yaml")
    lines = ran.err.splitlines()
    assert (ran.code, len(lines)) == (2, len(words)), ran
    assert all(line.startswith("warning: would be refused: ") for line in lines)
    assert all(each in line for line, each in zip(lines, words, strict=True))
    assert run("train --check model.yaml --json").json["problems"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def fit(): ...\n", "predict: own_checked:predict: own_checked.py has no function 'predict'"),
        ("def fit() ...\n", "own_checked.py:1: train (own_checked:fit) cannot be imported: SyntaxError"),
        ("import no_such_library\n", "own_checked.py:1: train (own_checked:fit) cannot be imported: ModuleNotFound"),
    ],
)
def test_code_that_cannot_be_imported_is_told_with_file_and_line(folder: Path, text: str, words: str) -> None:
    (folder / "own_checked.py").write_text(text)
    fine("train --check model.yaml")
    with untouched(folder):
        ran = run("train --check --import model.yaml")
    assert ran.code == 2
    assert words in ran.err


def test_code_that_can_be_imported_is_told(folder: Path) -> None:
    assert fine("train --check --import model.yaml --json").json["functions"] == {"train": "", "predict": ""}


def test_what_removals_will_cost_is_told_beside_other_layouts(folder: Path) -> None:
    """Of nine people one lies in both shards, three in a (4 items) and five in b (6 items)."""
    told = fine("train --check --expect 10/year model.yaml --json").json
    assert (told["people"], told["removals"]) == (9, 10)
    costs = {each["layout"]: (each["is_given"], each["cost"]) for each in told["costs"]}
    assert list(costs) == ["isolated", "joint"]
    assert costs["isolated"][0]
    assert costs["isolated"][1]["retrained"] == pytest.approx(10 * 10 / 9)
    assert costs["isolated"][1]["items"] == pytest.approx(10 * (3 * 4 + 5 * 6 + 10) / 9)
    assert costs["joint"][1] == {"components": 1, "retrained": 10, "items": 100, "seconds": None, "share": 1}
    shown = fine("train --check --expect 100%/year model.yaml").out
    assert re.search(r"isolated \(this file\) +2 +10\.0 +52 +57\.8%\njoint +1 +9\.0 +90 +100\.0%\n", shown)
    assert "9.0 removals a year, spread evenly over 9 people" in shown
    fine("train model.yaml")
    timed = fine("train --check --expect 10/year model.yaml --json").json["costs"]
    assert all(each["cost"]["seconds"] > 0 for each in timed)
    (folder / "model.yaml").write_text(
        MODEL.replace("train: own_checked:fit\n", STAGES).replace("layout: isolated\n", "")
    )
    staged = fine("train --check --expect 10/year model.yaml --json").json["costs"]
    assert [each["layout"] for each in staged] == ["stages as in the file", "all stages joint", "all stages isolated"]
    assert [each["cost"]["components"] for each in staged] == [3, 2, 4]


def test_options_that_do_not_go_together_are_refused(folder: Path) -> None:
    with untouched(folder):
        assert "go with --check" in refused("train --import model.yaml")
        assert "go with --check" in refused("train --expect 2%/year model.yaml")
        assert "leave --twice and other files out" in refused("train --check --twice model.yaml")
        assert "'2%' is no rate of removals" in refused("train --check --expect 2% model.yaml")
        assert "cannot be read" in refused("train --check nowhere.yaml")


@pytest.mark.parametrize(
    ("returns", "differs"),
    [
        ("{'a': np.ones(2), 'noise': np.frombuffer(os.urandom(64), np.uint8)}", "tensor 'noise'"),
        ("{'a': np.ones(1 + os.urandom(1)[0] + 256 * os.urandom(1)[0])}", "tensor 'a', in shape or type"),
        ("(context.out / 'w.bin').write_bytes(os.urandom(64)) and context.out", "file 'w.bin'"),
    ],
    ids=["tensor", "shape", "file"],
)
def test_trained_twice_what_does_not_repeat_is_named(folder: Path, returns: str, differs: str) -> None:
    answers = "def predict(parts, items, context):\n    return np.full((len(items), 2), 0.5)\n"
    (folder / "own_checked.py").write_text(
        f"import os\nimport numpy as np\ndef fit(items, parts, context):\n    return {returns}\n{answers}"
    )
    ran = run("train --twice model.yaml")
    assert ran.code == 1
    assert re.search(
        rf"warning: own/model/[ab]: the recorded bytes are not what its .*; what differs first is {differs}", ran.err
    )
    told = run("train --twice model.yaml --json")
    assert (told.code, told.json["twice"]["repeats"], told.json["twice"]["problem"]["differs"][:6]) == (
        1,
        False,
        differs[:6],
    )


def test_trained_twice_what_repeats_is_told(folder: Path) -> None:
    ran = fine("train --twice model.yaml")
    assert re.search(r"repeats: two trainings of own/model/[ab] made the same bytes\n", ran.out)
    with untouched(folder):
        assert fine("train --twice model.yaml --json").json["twice"]["repeats"], "which two runs showed"
