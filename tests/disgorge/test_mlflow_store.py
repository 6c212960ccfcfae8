"""Into which store a workspace writes: one that the user named, or its own, whatever lies in or around the folder."""

import shutil
from pathlib import Path

import pytest

from disgorge.audit.rules import audit
from disgorge.locations.every import search
from disgorge.locations.location import Target
from disgorge.locations.mlflow import unexplained_in
from disgorge.tracking.client import Store, database_beside, own_database, tracking_uri
from disgorge.tracking.registry import Registry
from lineage.records import Composition, Member, plain
from lineage.workspace import Workspace

MADE = Composition("toy", {}, (Member("head", "1" * 64),))


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an MLflow database with its tables and nothing in it."""
    folder = tmp_path_factory.mktemp("mlflow")
    with Store(folder).client() as client:
        client.search_experiments()
    return folder / "mlflow.db"


@pytest.fixture(scope="module")
def theirs(empty: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a database in which somebody has an experiment and a registered model."""
    folder = tmp_path_factory.mktemp("theirs")
    shutil.copy(empty, folder / "mlflow.db")
    with Store(folder).client() as client:
        experiment = client.create_experiment("churn", artifact_location=(folder / "churn").as_uri())
        run = client.create_run(experiment).info.run_id
        client.log_text(run, "weights", "model/model.txt")
        client.create_registered_model("churn")
        client.create_model_version("churn", f"runs:/{run}/model", run_id=run)
    return folder / "mlflow.db"


def test_a_database_of_somebody_in_the_folder_is_read_and_not_written(
    tmp_path: Path, empty: Path, theirs: Path
) -> None:
    workspace = Workspace.init(tmp_path / "workspace")
    beside = Path(shutil.copy(theirs, workspace.root / "mlflow.db"))
    before = beside.read_bytes()
    own = own_database(workspace.root)
    assert (own, database_beside(workspace.root)) == (workspace.home / "mlflow.db", beside)
    shutil.copy(empty, own)  # a fresh one takes MLflow seconds
    Registry(Store(workspace.root)).adopt("digits", "live", MADE)
    assert Registry(Store(workspace.root)).served("digits") == {"live": MADE.digest}
    assert beside.read_bytes() == before
    assert sorted(finding.where for finding in audit(workspace)) == ["churn", "digits"]  # nothing records digits yet
    workspace.ledger.append("composition", {"composition": plain(MADE)})
    assert list(map(str, unexplained_in(workspace) or ())) == ["churn/1"]
    assert search(workspace, Target()).unexplained == ("churn/1",)
    beside.unlink()
    assert tracking_uri(workspace.root) == f"sqlite:///{own}", "it stays where it is"


def test_the_workspaces_own_database_may_hold_what_others_log(tmp_path: Path, empty: Path) -> None:
    workspace = Workspace.init(tmp_path / "workspace")
    own = workspace.root / "mlflow.db"
    assert own_database(workspace.root) == own
    shutil.copy(empty, own)
    Registry(Store(workspace.root)).adopt("digits", "live", MADE)
    with Store(workspace.root).client() as client:
        client.create_experiment("churn", artifact_location=(tmp_path / "churn").as_uri())
    assert (own_database(workspace.root), database_beside(workspace.root)) == (own, None)


@pytest.mark.parametrize("named", ["", "sqlite"])
def test_nothing_is_written_where_one_happens_to_be(
    tmp_path: Path, empty: Path, theirs: Path, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The current folder holds what MLflow uses by default; a database that is named keeps no artifacts."""
    workspace = Workspace.init(tmp_path / "workspace")
    here = tmp_path / "here"
    (here / "mlruns").mkdir(parents=True)
    shutil.copy(theirs, here / "mlflow.db")
    before = (here / "mlflow.db").read_bytes()
    store = Path(shutil.copy(empty, (tmp_path if named else workspace.root) / "mlflow.db"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store}" if named else "")
    monkeypatch.chdir(here)
    Registry(Store(workspace.root)).adopt("digits", "live", MADE)
    assert Registry(Store(workspace.root)).served("digits") == {"live": MADE.digest}
    assert sorted(path.name for path in here.rglob("*")) == ["mlflow.db", "mlruns"]
    assert (here / "mlflow.db").read_bytes() == before
    assert [path.name for path in (workspace.root / "mlartifacts").rglob("composition.json")]
