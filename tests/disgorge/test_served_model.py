"""A model of the user's own in MLflow, against a real store: what its run and versions say, and that it answers."""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from disgorge.method import ModelSpec
from disgorge.tracking.client import Store, tracking_uri, versions_of
from disgorge.tracking.described import flat, parameters_of
from disgorge.tracking.pyfunc import items_from
from disgorge.training.model_file import columns_seen
from lineage.errors import BadInput
from lineage.records import Json
from lineage.workspace import Workspace
from tests.disgorge.cli.conftest import executed, filed, fine

CODE = """
import numpy as np

def fit(items, parts, context):
    return {"long": np.array([len(text) for text in items["text"]]).mean(), "x": items["x"].mean()}

def predict(parts, items, context):
    hour = items["at"].astype("datetime64[h]").astype(int) % 24
    score = np.array([len(text) for text in items["text"]]) - parts["long"] + items["x"] - parts["x"] + hour
    share = 1 / (1 + np.exp(-score))
    return np.stack([1 - share, share], axis=1)
"""
MODEL = """
release: reviews
method: function
train: reviews_code:fit
predict: reviews_code:predict
layout: isolated
columns: {text: text, x: stars, at: written, label: verdict}
classes: [bad, good]
shards: [web, shop]
evaluate: [held-out]
parameters: {C: 0.5, tuned: {depth: 3}}
"""


@dataclass
class Project:
    """A folder with a model that was trained and released in MLflow."""

    folder: Path
    trained: Json

    def frame(self, name: str) -> pd.DataFrame:
        """A file as a user reads it."""
        return pd.read_parquet(self.folder / f"{name}.parquet")

    def versions(self) -> dict[int, Any]:
        """The versions by number."""
        with Store(self.folder).client() as client:
            return {int(version.version): version for version in versions_of(client)}

    def run(self) -> Any:
        """The run of the training, and the names of its artifacts."""
        with Store(self.folder).client() as client:
            (run,) = client.search_runs(
                [client.get_experiment_by_name("disgorge").experiment_id], "tags.`disgorge.kind` = 'training'"
            )
            return run, [each.path for each in client.list_artifacts(run.info.run_id)]

    def asked(self, frame: pd.DataFrame | None = None) -> Json:
        """What a process of the user's learns: what the model answers to a frame, or to its own example."""
        given = self.folder / "given.parquet"
        if frame is not None:
            frame.to_parquet(given)
        code = (
            "import json, sys, warnings; import mlflow, pandas as pd\n"
            "mlflow.set_tracking_uri(sys.argv[1])\n"
            "model = mlflow.pyfunc.load_model('models:/reviews@live')\n"
            "frame = pd.read_parquet(sys.argv[2]) if sys.argv[2] else model.input_example\n"
            "types = {each.name: each.type.name for each in model.metadata.signature.inputs}\n"
            "answers = model.predict(frame).tolist()\n"
            "rows = frame.astype(str).values.tolist()\n"
            "print('told:' + json.dumps({'types': types, 'answers': answers, 'rows': rows}))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, tracking_uri(self.folder), str(given) if frame is not None else ""],
            cwd=self.folder.parent, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.rpartition("told:")[2])


@pytest.fixture
def project(tmp_path: Path, database: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A model of texts, stars and times, in the folder of a git repository."""
    folder = tmp_path / "project"
    Workspace.init(folder)
    monkeypatch.chdir(folder)
    shutil.copy(database, "mlflow.db")
    Path("reviews_code.py").write_text(CODE)
    Path("reviews.yaml").write_text(MODEL)
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.example", "-c", "commit.gpgsign=false"]
    for command in (["init", "-q"], ["add", "reviews.yaml"], ["commit", "-qm", "model"]):
        subprocess.run([*git, *command], check=True)
    for place, name in enumerate(("web", "shop", "held-out")):
        rows = range(100 * place, 100 * place + 6)
        pd.DataFrame({
            "key": [f"{name}-{row}" for row in rows], "subject": [f"{name}-person-{row}" for row in rows],
            "text": [f"secret-of-{name}-{row}" * (row % 3 + 1) for row in rows], "stars": [row * 0.25 for row in rows],
            "written": pd.date_range("2024-05-01", periods=6, freq="h").astype("datetime64[ms]"),
            "verdict": ["good" if row % 2 else "bad" for row in rows], "unseen": [float(row) for row in rows],
        }).to_parquet(f"{name}.parquet")  # fmt: skip
    fine("shard add web.parquet shop.parquet held-out.parquet --key key --subject subject --basis consent --no-check")
    return Project(folder, fine("train reviews.yaml --json").json)


def test_a_release_answers_a_data_frame_by_its_column_names(project: Project) -> None:
    """Columns that the model was not trained on are dropped; the label need not be there."""
    predictions = fine("release predict reviews held-out.parquet --json").json["predictions"]
    told = project.asked(project.frame("held-out"))
    assert np.allclose(told["answers"], [each["probabilities"] for each in predictions], atol=0)
    assert told["types"] == {"stars": "double", "text": "string", "written": "datetime"}
    bare = project.frame("held-out")[["written", "stars", "text"]]
    assert project.asked(bare)["answers"] == told["answers"]
    example = project.asked()
    assert np.shape(example["answers"]) == (1, 2)
    assert example["rows"] == [["0.0", "text", "2000-01-01"]], "made up, and of nobody"


def test_a_training_says_what_it_was_of_and_how_good_it_is(project: Project) -> None:
    run, artifacts = project.run()
    parameters, tags, metrics = run.data.params, run.data.tags, run.data.metrics
    expected = {
        "method": "function", "layout": "isolated", "columns.label": "verdict", "parameters.C": "0.5",
        "parameters.tuned.depth": "3", "shards": '["web", "shop"]', "evaluate": '["held-out"]', "seed": "0",
        "device": "cpu", "train": "reviews_code:fit",
    }  # fmt: skip
    assert {name: parameters[name] for name in expected} == expected
    quality = project.trained["quality"]
    assert metrics["accuracy"] == quality["measures"]["accuracy"]
    assert metrics["log_loss"] == -quality["measures"]["neg_log_loss"]
    assert metrics["held-out.items"] == 6
    assert tags["disgorge.quality"] == quality["words"]
    assert {"component.reviews/model/web.seconds", "trained.seconds"} <= metrics.keys()
    assert artifacts == ["reviews.yaml"]
    assert tags["disgorge.model_file"] == sha256(MODEL.encode()).hexdigest()
    (code,) = {
        component["details"]["recipe"]["code"] for component in fine("release show reviews --json").json["members"]
    }
    assert tags["disgorge.code"] == code
    said = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    assert tags["mlflow.source.git.commit"] == said.stdout.strip()


def in_mlflow(folder: Path, text: str) -> list[str]:
    """The files of MLflow, its database among them, that hold a text."""
    files = [folder / "mlflow.db", *(path for path in (folder / "mlartifacts").rglob("*") if path.is_file())]
    return [path.name for path in files if text.encode() in path.read_bytes()]


def test_a_removal_leaves_one_example_and_one_description(project: Project) -> None:
    """Nothing of an item was ever there; what described the old version goes, and the new one is described alike."""
    assert in_mlflow(project.folder, "secret-of-") == []
    assert in_mlflow(project.folder, "reviews_code:predict") != [], "the search would find it"
    (old,) = project.versions().values()
    assert "2 components" in old.description
    assert "Learned from 2 shards: shop, web." in old.description
    filed("R-1", "--subject", "web-person-1")
    fine("request decide R-1")
    assert "certified" in executed().out
    versions = project.versions()
    assert {*versions} == {2}
    assert "Learned from 2 shards: shop, web." in versions[2].description
    assert project.asked(project.frame("held-out"))["types"]["stars"] == "double"
    examples = list((project.folder / "mlartifacts").rglob("input_example.json"))
    assert len(examples) == 1
    assert in_mlflow(project.folder, "secret-of-") == []
    _, artifacts = project.run()
    assert artifacts == ["reviews.yaml"], "a run keeps what it says of how it trained"


def test_a_withdrawn_shard_is_in_no_description(project: Project) -> None:
    filed("R-1", "--shard", "web")
    fine("request decide R-1")
    assert "certified" in executed().out
    (version,) = project.versions().values()
    assert "1 component." in version.description
    assert "Learned from 1 shard: shop." in version.description


def test_without_mlflow_a_training_is_measured_all_the_same(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("runs", "registry"):
        monkeypatch.setattr(f"disgorge.tracking.{module}.installed", lambda: False)
    Path("reviews.yaml").write_text(MODEL.replace("C: 0.5", "C: 2.0"))
    assert "accuracy" in fine("train reviews.yaml --json").json["quality"]["words"]
    assert len(project.versions()) == 1


def spec(method: str = "function", **parameters: Any) -> ModelSpec:
    """A model with these parameters."""
    functions = {"train": "m:fit", "predict": "m:predict"} if method == "function" else {}
    return ModelSpec("mine", method, ("core",), ("a",), parameters=functions | parameters)


def test_parameters_are_what_mlflow_takes() -> None:
    many = flat({f"p{number}": "x" * 9_000 for number in range(3_000)})
    assert (len(many), {len(text) for text in many.values()}) == (1_000, {500})
    assert all(len(name) <= 250 for name in flat({"a" * 400: {"b": 1}}))
    assert parameters_of(spec(parameters={"C": 1.0}))["parameters.C"] == "1.0"
    assert parameters_of(spec("averages", joint=True))["parameters.joint"] == "true"
    assert parameters_of(spec())["device"] == "cpu"


def test_the_columns_that_a_model_sees() -> None:
    fields = ("age", "label", "name", "y")
    assert columns_seen(spec(), fields) == ("age", "name", "y")
    assert columns_seen(spec(columns={"label": "y", "*": "*"}), fields) == ("age", "label", "name")
    assert columns_seen(spec(columns={"label": {"field": "y", "map": {"a": 0}}, "years": "age"}), fields) == ("age",)
    assert columns_seen(spec("shard_graph"), fields) == ()
    assert columns_seen(spec(sample="m:draw"), fields) == ()


def test_a_frames_columns_become_what_shards_hold() -> None:
    frame = pd.DataFrame({
        "text": ["a", "bcd"], "n": pd.Series([1, 2], dtype=object), "at": pd.to_datetime(["2024-01-01", "2024-01-02"]),
        "file": [b"ab\0", b"c"], "key": ["k-1", "k-2"],
    })  # fmt: skip
    arrays = items_from(frame).arrays
    assert {name: array.dtype.kind for name, array in arrays.items()} == {"text": "T", "n": "i", "at": "M", "file": "O"}
    assert arrays["file"].tolist() == [b"ab\0", b"c"]
    assert items_from(pd.DataFrame([{"text": ["a", "b"]}])).arrays["text"].tolist() == ["a", "b"]
    assert items_from({"text": ["a", "b"]}).arrays["text"].tolist() == ["a", "b"]
    with pytest.raises(BadInput, match="field 'x'"):
        items_from(pd.DataFrame({"x": [1, None, "a"]}))
