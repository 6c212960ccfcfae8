"""What MLflow forgets and what it keeps, against a real MLflow on sqlite."""

import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from disgorge.audit.rules import audit
from disgorge.locations.every import search
from disgorge.locations.fingerprints import tensor_digests
from disgorge.locations.location import Deletion, Spare, Target, Traces
from disgorge.locations.mlflow import Mlflow, unexplained_in
from disgorge.tracking.client import Store, database_beside, own_database, tracking_uri
from disgorge.tracking.registry import Registry
from lineage.records import Composition, Member, plain
from lineage.storage.objects import sha256_of
from lineage.storage.tensors import save_tensors
from lineage.workspace import Workspace

OLD, NEW = save_tensors({"w": np.arange(4.0)}), save_tensors({"w": np.arange(4.0) * 2})


class Logged:
    """A workspace whose user logged old and new weights to a run and as logged models, and registered all of it."""

    def __init__(self, folder: Path, database: Path) -> None:
        import mlflow

        self.workspace = Workspace.init(folder / "workspace")
        self.root = self.workspace.root
        shutil.copy(database, self.root / "mlflow.db")
        self.store = Store(self.root)
        files = {"old": folder / "old.safetensors", "new": folder / "new.safetensors"}
        for name, data in (("old", OLD), ("new", NEW)):
            files[name].write_bytes(data)
        self.target = Target(weights=(sha256_of(files["old"]),), compositions=frozenset({self.composition("1").digest}))
        mlflow.set_tracking_uri(f"sqlite:///{self.root / 'mlflow.db'}")  # as a user's own script does
        with self.store.client() as client:
            where = (self.root / "models of ada").as_uri()
            experiment = client.create_experiment("ada", artifact_location=where)
            self.run = client.create_run(experiment).info.run_id
            client.log_metric(self.run, "accuracy", 0.75)
            self.models = {}
            client.create_registered_model("ada")
            for name, path in files.items():
                client.log_artifact(self.run, str(path), name)
                self.models[name] = client.create_logged_model(experiment, name=name, source_run_id=self.run).model_id
                client.log_model_artifact(self.models[name], str(path))
                client.create_model_version("ada", f"models:/{self.models[name]}", run_id=self.run, tags={"of": name})
                client.create_model_version("ada", f"runs:/{self.run}/{name}", run_id=self.run, tags={"of": name})
        mlflow.set_tracking_uri(None)
        registry = Registry(self.store)
        registry.register("digits", self.composition("1"))
        registry.adopt("digits", "live", self.composition("2"))

    def search(self, target: Target | None = None) -> Traces:
        """Return what MLflow holds of a target, by default of the old weights."""
        return Mlflow(self.workspace).search(target or self.target, Spare())

    def delete(self, target: Target | None = None) -> Deletion:
        """Delete it from MLflow."""
        return Mlflow(self.workspace).delete(Deletion(target or self.target))

    @staticmethod
    def composition(which: str) -> Composition:
        """Return the old composition, 1, or the new one, 2."""
        return Composition("toy", {}, (Member("head", which * 64),))

    def rows(self, query: str) -> list[Any]:
        """Ask the database itself."""
        with sqlite3.connect(self.root / "mlflow.db") as database:
            return database.execute(query).fetchall()

    def bytes(self) -> list[bytes]:
        """Return the contents of every safetensors file below the workspace, sorted."""
        return sorted(path.read_bytes() for path in self.root.rglob("*.safetensors"))


@pytest.fixture
def logged(tmp_path: Path, database: Path) -> Logged:
    """Return a workspace with old and new weights in MLflow."""
    return Logged(tmp_path, database)


def test_old_weights_leave_disk_and_database_and_new_ones_stay(logged: Logged) -> None:
    """Files, logged model and versions go; the run keeps its metrics, and whatever holds the new weights stays."""
    found = logged.search()
    assert len(found.left) == 6, found.left  # two files, a logged model, two versions of ada, one of digits
    done = logged.delete()
    assert done.left == ()
    assert logged.bytes() == [NEW, NEW]
    assert logged.rows("select model_id from logged_models") == [(logged.models["new"],)]
    assert logged.rows("select value from metrics") == [(0.75,)]
    assert logged.rows("select count(*) from model_version_tags where value = 'old'") == [(0,)]
    living = logged.rows("select name, version from model_versions where current_stage != 'Deleted_Internal'")
    assert sorted(living) == [("ada", 3), ("ada", 4), ("digits", 2)]
    assert Registry(logged.store).served("digits") == {"live": logged.composition("2").digest}
    again = logged.search()
    assert (again.left, again.unreachable) == ((), ())
    assert logged.delete().entries == ()


def test_old_weights_that_were_saved_again_are_known_by_their_tensors(logged: Logged, tmp_path: Path) -> None:
    """The digest of the file is one that nobody knows; that of a tensor in it is the removed one's."""
    kept, gone = np.arange(40.0) * 7, np.arange(40.0)
    (tmp_path / "again.safetensors").write_bytes(save_tensors({"mine": gone}))
    (tmp_path / "kept.safetensors").write_bytes(save_tensors({"more": kept}))
    with logged.store.client() as client:
        for name in ("again", "kept"):
            client.log_artifact(logged.run, str(tmp_path / f"{name}.safetensors"), name)
    (tmp_path / "removed").write_bytes(save_tensors({"w": gone}))
    target = replace(logged.target, tensors=tensor_digests(tmp_path / "removed"))
    (words,) = [words for words in logged.search(target).left if "again.safetensors" in words]
    assert words.endswith("again.safetensors holds some of the weights")
    logged.delete(target)
    left = {path.name for path in logged.root.rglob("*.safetensors")}
    assert "kept.safetensors" in left
    assert "again.safetensors" not in left


@pytest.mark.parametrize("source", ["exported", "exported/model.safetensors"])
def test_a_version_that_points_at_a_path_of_its_own_is_followed(logged: Logged, source: str) -> None:
    """What is served need not lie where an experiment keeps its artifacts."""
    for name, data in (("model", OLD), ("other", NEW)):
        path = logged.root / "exported" / f"{name}.safetensors"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    with logged.store.client() as client:
        client.create_registered_model("prod")
        client.create_model_version("prod", (logged.root / source).as_uri())
    assert len(logged.search().left) == 8
    assert logged.delete().left == ()
    assert logged.bytes() == [NEW, NEW, NEW]
    assert logged.rows("select current_stage from model_versions where name = 'prod'") == [("Deleted_Internal",)]


def test_a_model_that_shares_a_tensor_is_somebodys_and_stays(logged: Logged, tmp_path: Path) -> None:
    """A public part may be in the removed weights and in anybody's: a person judges, and nothing passes before."""
    public, own = np.arange(40.0), np.arange(40.0) * 7
    (tmp_path / "theirs.safetensors").write_bytes(save_tensors({"encoder": public, "head": own}))
    (tmp_path / "removed").write_bytes(save_tensors({"encoder": public, "head": own + 1}))
    target = replace(logged.target, tensors=tensor_digests(tmp_path / "removed"))
    with logged.store.client() as client:
        experiment = client.create_experiment("bob", artifact_location=(tmp_path / "bob").as_uri())
        model = client.create_logged_model(experiment, name="theirs").model_id
        client.log_model_artifact(model, str(tmp_path / "theirs.safetensors"))
    logged.delete(target)
    assert list((tmp_path / "bob").rglob("theirs.safetensors"))
    assert (model,) in logged.rows("select model_id from logged_models")
    (words,) = logged.search(target).left
    assert "theirs.safetensors holds removed weights beside others" in words


def test_a_version_whose_run_is_gone_is_not_taken_for_searched(logged: Logged, tmp_path: Path) -> None:
    """Where its files lie is not known any more: no certificate, until the version is deleted."""
    with logged.store.client() as client:
        client.create_registered_model("prod")
        experiment = client.create_experiment("prod", artifact_location=(tmp_path / "prod").as_uri())
        run = client.create_run(experiment).info.run_id
        client.log_dict(run, {}, "model/x.json")
        client.create_model_version("prod", f"runs:/{run}/model")
        client._tracking_client.store.delete_run(run)
        client._tracking_client.store._hard_delete_run(run)
    (words,) = logged.search().unreachable
    assert f"MLflow model version prod/1 points at runs:/{run}/model, which cannot be read" in words


def test_a_link_among_the_artifacts_is_said_and_passes_nothing(logged: Logged, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "old.safetensors").write_bytes(OLD)
    folder = logged.root / "models of ada"
    (folder / "link.safetensors").symlink_to(tmp_path / "data" / "old.safetensors")
    (folder / "linked").symlink_to(tmp_path / "data")
    assert len([words for words in logged.search().unreachable if "link to" in words]) == 2
    logged.delete()
    assert (tmp_path / "data" / "old.safetensors").read_bytes() == OLD


def test_withdrawing_a_release_leaves_a_run_that_somebody_else_registered_there(logged: Logged) -> None:
    with logged.store.client() as client:
        client.create_model_version("digits", f"runs:/{logged.run}/new", run_id=logged.run)
    assert Registry(logged.store).withdraw("digits") == ()
    assert NEW in logged.bytes()
    with logged.store.client() as client:
        assert client.get_run(logged.run).info.lifecycle_stage == "active"


def test_a_deleted_run_still_has_its_file_on_disk(logged: Logged) -> None:
    """What is in MLflow's bin is not gone, and is found there."""
    with logged.store.client() as client:
        client.delete_run(logged.run)
    logged.delete()
    assert logged.bytes() == [NEW, NEW]


def test_a_linked_folder_is_not_cleared(logged: Logged, tmp_path: Path) -> None:
    """A link that leads out of the workspace is named, and what it leads to stays."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "old.safetensors").write_bytes(OLD)
    (logged.root / "mlruns").symlink_to(outside)
    done = logged.delete()
    assert (outside / "old.safetensors").read_bytes() == OLD
    assert any("outside this workspace" in words for words in done.left)


def test_an_artifact_store_elsewhere_is_named(logged: Logged) -> None:
    """What cannot be searched is a residual, without the password in its address."""
    with logged.store.client() as client:
        client.create_experiment("far", artifact_location="s3://me:secret@bucket/models")
    assert logged.search().unreachable, "as a remote of DVC out of reach"
    left = logged.delete().left
    assert left == ("not enumerated: MLflow artifacts at s3://bucket are out of reach and were not searched",)


# The store itself


MADE = Composition("toy", {}, (Member("head", "1" * 64),))


@pytest.fixture(scope="module")
def theirs(database: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a database in which somebody has an experiment and a registered model."""
    folder = tmp_path_factory.mktemp("theirs")
    shutil.copy(database, folder / "mlflow.db")
    with Store(folder).client() as client:
        experiment = client.create_experiment("churn", artifact_location=(folder / "churn").as_uri())
        run = client.create_run(experiment).info.run_id
        client.log_text(run, "weights", "model/model.txt")
        client.create_registered_model("churn")
        client.create_model_version("churn", f"runs:/{run}/model", run_id=run)
    return folder / "mlflow.db"


def test_a_database_of_somebody_in_the_folder_is_read_and_not_written(
    tmp_path: Path, database: Path, theirs: Path
) -> None:
    workspace = Workspace.init(tmp_path / "workspace")
    beside = Path(shutil.copy(theirs, workspace.root / "mlflow.db"))
    before = beside.read_bytes()
    own = own_database(workspace.root)
    assert (own, database_beside(workspace.root)) == (workspace.home / "mlflow.db", beside)
    shutil.copy(database, own)  # a fresh one takes MLflow seconds
    Registry(Store(workspace.root)).adopt("digits", "live", MADE)
    assert Registry(Store(workspace.root)).served("digits") == {"live": MADE.digest}
    assert beside.read_bytes() == before
    assert sorted(finding.where for finding in audit(workspace)) == ["churn", "digits"]  # nothing records digits yet
    workspace.ledger.append("composition", {"composition": plain(MADE)})
    assert list(map(str, unexplained_in(workspace) or ())) == ["churn/1"]
    assert search(workspace, Target()).unexplained == ("churn/1",)
    beside.unlink()
    assert tracking_uri(workspace.root) == f"sqlite:///{own}", "it stays where it is"


def test_the_workspaces_own_database_may_hold_what_others_log(tmp_path: Path, database: Path) -> None:
    workspace = Workspace.init(tmp_path / "workspace")
    own = workspace.root / "mlflow.db"
    assert own_database(workspace.root) == own
    shutil.copy(database, own)
    Registry(Store(workspace.root)).adopt("digits", "live", MADE)
    with Store(workspace.root).client() as client:
        client.create_experiment("churn", artifact_location=(tmp_path / "churn").as_uri())
    assert (own_database(workspace.root), database_beside(workspace.root)) == (own, None)


@pytest.mark.parametrize("named", ["", "sqlite"])
def test_nothing_is_written_where_one_happens_to_be(
    tmp_path: Path, database: Path, theirs: Path, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The current folder holds what MLflow uses by default; a database that is named keeps no artifacts."""
    workspace = Workspace.init(tmp_path / "workspace")
    here = tmp_path / "here"
    (here / "mlruns").mkdir(parents=True)
    shutil.copy(theirs, here / "mlflow.db")
    before = (here / "mlflow.db").read_bytes()
    store = Path(shutil.copy(database, (tmp_path if named else workspace.root) / "mlflow.db"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store}" if named else "")
    monkeypatch.chdir(here)
    Registry(Store(workspace.root)).adopt("digits", "live", MADE)
    assert Registry(Store(workspace.root)).served("digits") == {"live": MADE.digest}
    assert sorted(path.name for path in here.rglob("*")) == ["mlflow.db", "mlruns"]
    assert (here / "mlflow.db").read_bytes() == before
    assert [path.name for path in (workspace.root / "mlartifacts").rglob("composition.json")]
