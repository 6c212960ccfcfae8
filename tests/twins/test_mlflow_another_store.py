"""Done: a script in the workspace's folder logs to a database of another name, or to the folder ``mlruns``.
Must: that store is looked into as well, and the version in it that points at removed weights is found and deleted.
Follows: mlflow/mlflow#3144
"""

import shutil
from pathlib import Path

import pytest

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
