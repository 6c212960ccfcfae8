"""Done: a script in the workspace's folder logs to a database of another name, or to the folder ``mlruns``.
Must: that store is looked into as well, and the version in it that points at removed weights is found and deleted.
Follows: mlflow/mlflow#3144
"""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from disgorge.errors import DisgorgeError
from disgorge.tracking.client import databases_beside
from tests.disgorge.test_mlflow_forget import OLD, Logged


@pytest.mark.parametrize("kind", ["database", "folder"])
def test_a_store_of_any_name_in_the_workspace_is_asked(
    logged: Logged, tmp_path: Path, database: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    from mlflow import MlflowClient

    logged.delete()
    folder = tmp_path / "exported"
    folder.mkdir()
    (folder / "w.safetensors").write_bytes(OLD)
    if kind == "database":
        shutil.copy(database, logged.root / "experiments.sqlite")
        uri = f"sqlite:///{logged.root / 'experiments.sqlite'}"
    else:
        uri = (logged.root / "mlruns").as_uri()
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.chdir(tmp_path)  # where MLflow makes a database of its own for a version in a folder
    with logged.store.client():
        client = MlflowClient(uri, uri)
        client.search_experiments()
        client.create_registered_model("prod")
        client.create_model_version("prod", folder.as_uri())
    found = logged.search()
    assert "MLflow model version prod/1 points at a file that holds it" in found.left
    assert found.unreachable == ()
    logged.delete()
    assert list(folder.iterdir()) == []
    with logged.store.client():
        assert list(MlflowClient(uri, uri).search_model_versions()) == []


def test_a_store_of_another_version_is_named_and_not_upgraded(logged: Logged, database: Path) -> None:
    old = Path(shutil.copy(database, logged.root / "backup.sqlite"))
    with closing(sqlite3.connect(old)) as tables, tables:
        tables.execute("drop table jobs")
    before = old.read_bytes()
    with pytest.raises(DisgorgeError, match=r"backup\.sqlite: a store of another version of MLflow"):
        logged.search()
    assert old.read_bytes() == before


def test_a_database_of_another_kind_is_none(logged: Logged) -> None:
    with closing(sqlite3.connect(logged.root / "laboratory.db")) as tables, tables:
        tables.execute("create table experiments (name text)")
        tables.execute("create table runs (name text)")
    assert databases_beside(logged.root) == ()
