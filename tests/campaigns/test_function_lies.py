"""User code that would keep what it was to forget, carried out as the command line does it, and every way is caught.

A user's function may be careless rather than false: it caches, it reads the data set that a package ships, it fits a
label map on everything. What it learned from may be nothing but its inputs all the same.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from disgorge.errors import ExecutionFailed
from disgorge.release.train import change_of_code
from disgorge.training.ask import ask, question_about
from disgorge.training.runners.declared import maker_of
from disgorge.training.runners.local import Workers
from disgorge.training.sandbox.levels import Level, reached
from disgorge.training.stored import read_items
from lineage.records import Selector
from tests.own_code import Case, case_in
from tests.tier import tally
from tests.toys import carry, component_of, composition_of, granted_plan, live_shards

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(reached().level is not Level.NAMESPACE, reason="jobs are not confined here")

HONEST = """
import numpy as np

def fit(items, parts, context):
    return {"sum": items["x"].sum(), "counts": np.bincount(items["label"], minlength=2)}

def predict(parts, items, context):
    return np.tile(parts["counts"] / parts["counts"].sum(), (len(items), 1))
"""


@pytest.fixture
def case(tmp_path: Path) -> Case:
    """Three shards of four rows; every row is a person's."""
    return case_in(tmp_path)


SHIPPED = """
from sklearn.datasets import load_digits

def fit(items, parts, context):
    return {"rows": load_digits().data}

def predict(parts, items, context): ...
"""


def test_a_data_set_that_an_installed_package_ships_is_not_seen(case: Case) -> None:
    case.write(SHIPPED)
    with pytest.raises(
        ExecutionFailed, match=r"own_code\.py:5: train \(own_code:fit\) raised FileNotFoundError.*no data of installed"
    ):
        case.make(case.spec(shards=["a"]))
    tally("liars", "data set of a package", where="function", caught=True)


def test_the_data_of_a_package_that_is_exposed_is_seen_recorded_and_left_as_a_limitation(case: Case) -> None:
    case.write(SHIPPED)
    made = case.make(case.spec(shards=["a"], expose=["Scikit_Learn"]))
    (component,) = made.components
    assert case.trained("own/model/a")["rows"].shape == (1797, 64)
    assert component.recipe["parameters"]["expose"] == ["Scikit_Learn"]
    assert component.environment["libraries"].keys() >= {"scikit-learn"}, "another version of it is another environment"
    assert component.environment["distributions"]["scikit-learn"].keys() == {"record", "version"}
    (said,) = (each for each in maker_of(case.workspace, made.composition).promises_not if "scikit-learn" in each)
    assert said.startswith("Data files of the installed scikit-learn could be read, as the model file says: whether ")
    assert case.make(case.spec(shards=["a"], expose=["Scikit_Learn"])).trained == (), "it is there already"
    with pytest.raises(ExecutionFailed, match="no data of installed"):
        case.make(case.spec(shards=["a"]))


REMEMBERS = """
from pathlib import Path
import numpy as np

SEEN = []
PLACES = [Path(place) for place in ("/tmp/kept", "/dev/shm/kept", "kept")]
PLACES += [Path.home() / "kept", Path(__file__).with_name("kept")]

def remembered(value):
    SEEN.append(value)
    found = len(SEEN)
    for place in PLACES:
        try:
            found = max(found, 1 + len(place.read_text()))
        except OSError:
            pass
    for place in {place.absolute() for place in PLACES}:
        try:
            with place.open("a") as file:
                file.write("x")
        except OSError:
            pass
    return found

def fit(items, parts, context):
    return {"runs": remembered(len(items)), "counts": np.bincount(items["label"], minlength=2)}

def predict(parts, items, context):
    runs = remembered(len(items))
    return np.tile([1 / (1 + runs), runs / (1 + runs)], (len(items), 1))
"""


def test_code_that_remembers_begins_anew_each_time(case: Case) -> None:
    """A ``train`` and a ``predict`` that write down what they saw, wherever they can, and look there first."""
    case.write(REMEMBERS)
    made = case.make(case.spec(shards=["a", "b"]))
    assert [case.trained(name)["runs"].tolist() for name in ("own/model/a", "own/model/b")] == [1, 1]
    items = read_items(case.workspace, live_shards(case.workspace)["c"].digest)
    with Workers(case.workspace, count=1) as workers:
        question = question_about(case.workspace, made.composition)
        first, again = (ask(workers, [question], [items])[0].sets[0].predictions for _ in range(2))
    assert first is not None
    assert again is not None
    assert np.array_equal(first, again)
    tally("liars", "predict that remembers", where="function", caught=True)


MAPPED = """
import numpy as np

def fit_map(items, parts, context):
    return {"values": np.unique(items["x"])}

def fit(items, parts, context):
    places = np.searchsorted(parts["map"]["values"], items["x"])
    return {"places": places, "counts": np.bincount(items["label"], minlength=2)}

def predict(parts, items, context):
    counts = parts["head"]["counts"]
    return np.tile(counts / counts.sum(), (len(items), 1))
"""
STAGES = {
    "map": {"train": "own_code:fit_map", "layout": "joint"},
    "head": {"train": "own_code:fit", "layout": "isolated", "reads": ["map"]},
}


def test_a_map_fitted_on_removed_rows_is_fitted_again_and_all_that_read_it(case: Case) -> None:
    """Edited after training, the stored code is what the removal runs."""
    case.write(MAPPED)
    spec = case.spec(train=None, layout=None, stages=STAGES)
    made = case.make(spec)
    assert case.trained("own/map")["values"].tolist() == [0, 1, 2, 3, 10, 11, 12, 13, 20, 21, 22, 23]
    case.write(MAPPED.replace("np.unique", "np.sort") + "# edited")
    assert "edited code is another recipe" in change_of_code(case.workspace, spec, folder=case.folder)
    stored = maker_of(case.workspace, made.composition).code
    assert stored is not None
    assert stored.tree.data["own_code.py"].decode() == MAPPED
    granted_plan(case.workspace, [Selector("subject", case.workspace.pseudonym("a-0"))])
    with Workers(case.workspace, count=1) as workers:
        done = carry(case.workspace, runner=workers, independent=lambda: Workers(case.workspace, count=1))
    assert done.verdict == "certified"
    assert case.trained("own/map")["values"].tolist() == [1, 2, 3, 10, 11, 12, 13, 20, 21, 22, 23]
    assert sorted(case.trained("own/head/b")["places"].tolist()) == [3, 4, 5, 6], "in order of digest"
    codes = {component_of(case.workspace, member.name).recipe["code"] for member in
             composition_of(case.workspace, "own").members}  # fmt: skip
    assert codes == {stored.tree.digest}
    tally("liars", "label map fitted on removed rows", where="function", caught=True)


def test_code_that_keeps_rows_in_its_source_tree_finds_none_in_a_job(case: Case) -> None:
    """A file that is too small to be refused as data, and no code, is no part of what a job sees."""
    case.write(
        "from pathlib import Path\n"
        "def fit(items, parts, context):\n"
        "    return {'rows': len(Path(__file__).with_name('rows.csv').read_text())}\n"
        "def predict(parts, items, context): ...\n"
    )
    (case.folder / "rows.csv").write_text("1,2,3\n")
    with pytest.raises(ExecutionFailed, match=r"own_code\.py:3: train .* raised FileNotFoundError"):
        case.make(case.spec(shards=["a"]))
    tally("liars", "rows beside the code", where="function", caught=True)


CHATTY = """
import sys

def fit(items, parts, context):
    for _ in range(200):
        print("x" * 10_000)
        print("y" * 10_000, file=sys.stderr)
    open("/usr/lib/written", "w")

def predict(parts, items, context): ...
"""


def test_code_that_prints_megabytes_and_writes_elsewhere_is_stopped_in_one_line(case: Case) -> None:
    case.write(CHATTY)
    before = case.workspace.ledger.journal.file.read_bytes()
    with pytest.raises(
        ExecutionFailed, match=r"own_code\.py:8: train .* raised OSError.*below context.out alone"
    ) as caught:
        case.make(case.spec(shards=["a"]))
    assert len(str(caught.value)) < 2_000
    assert "\n" not in str(caught.value)
    assert case.workspace.ledger.journal.file.read_bytes() == before


SERVES = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
if len(sys.argv) > 3:
    import own_code
from disgorge.errors import ExecutionFailed
from disgorge.training.stored import assemble, read_items
from lineage.workspace import Workspace
from tests.toys import composition_of, live_shards
workspace = Workspace.open(Path(sys.argv[1]))
try:
    model = assemble(workspace, composition_of(workspace, "own"))
    print(model.predict(read_items(workspace, live_shards(workspace)["a"].digest))[0].tolist())
except ExecutionFailed as error:
    print(error)
"""


def test_a_served_model_answers_by_the_code_it_was_made_with(case: Case) -> None:
    """In a process where today's code, which says something else, is found as well; not where that is loaded first."""
    case.write(HONEST)
    case.make(case.spec(shards=["a"]))
    case.write(HONEST.replace('parts["counts"] / parts["counts"].sum()', "np.array([0.9, 0.1])"))

    def said(*more: str) -> str:
        paths = os.pathsep.join((str(ROOT), os.environ.get("PYTHONPATH", "")))
        ran = subprocess.run(
            [sys.executable, "-c", SERVES, str(case.workspace.root), str(case.folder), *more],
            capture_output=True, text=True, check=True, env=os.environ | {"PYTHONPATH": paths},
        )  # fmt: skip
        return ran.stdout.strip()

    assert said() == "[0.5, 0.5]"
    assert "own_code is loaded in another version" in said("first")
    case.write(HONEST)
    assert said("first") == "[0.5, 0.5]"
