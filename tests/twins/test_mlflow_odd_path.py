"""Done: a workspace lies in a folder whose name holds ``?``, ``#`` or ``%``, which mean something in an address.
Must: MLflow's database and artifacts lie in that workspace, and what is logged there is found and deleted.
Follows: sqlalchemy/sqlalchemy#11234
"""

import shutil
from pathlib import Path

import pytest

from disgorge.locations.location import Spare, Target
from disgorge.locations.mlflow import Mlflow
from disgorge.tracking.client import Store, database_of, own_database, tracking_uri
from disgorge.tracking.registry import Registry
from lineage.workspace import Workspace
from tests.disgorge.test_mlflow_forget import Logged


@pytest.mark.parametrize("name", ["what?", "no#1", "100%25", "a?b#c%3F d"])
def test_the_store_lies_in_the_workspace_and_is_searched(tmp_path: Path, database: Path, name: str) -> None:
    workspace = Workspace.init(tmp_path / name / "workspace")
    shutil.copy(database, workspace.root / "mlflow.db")
    Registry(Store(workspace.root)).adopt("digits", "live", Logged.composition("1"))
    assert list(tmp_path.rglob("mlflow.db")) == [own_database(workspace.root)]
    assert database_of(tracking_uri(workspace.root)) == own_database(workspace.root)
    (described,) = tmp_path.rglob("composition.json")
    assert described.is_relative_to(workspace.root / "mlartifacts")
    target = Target(compositions=frozenset({Logged.composition("1").digest}))
    found = Mlflow(workspace).search(target, Spare())
    assert found.left == ("MLflow model version digits/1 describes what was purged",)
    assert found.unreachable == ()
    Registry(Store(workspace.root)).withdraw("digits")
    assert list(tmp_path.rglob("composition.json")) == []


def test_a_store_that_an_older_version_put_elsewhere_is_looked_into(tmp_path: Path, database: Path) -> None:
    workspace = Workspace.init(tmp_path / "what?" / "workspace")
    shutil.copy(database, tmp_path / "what")
    before = Store(workspace.root, f"sqlite:///{tmp_path / 'what'}")
    Registry(before).adopt("digits", "live", Logged.composition("1"))
    target = Target(compositions=frozenset({Logged.composition("1").digest}))
    assert Mlflow(workspace).search(target, Spare()).left == (
        "MLflow model version digits/1 describes what was purged",
    )
