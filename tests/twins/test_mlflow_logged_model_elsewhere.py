"""Done: a logged model lies in a place of its own, apart from its experiment; it may be deleted, which keeps its files.
Must: its files are found and deleted, whatever else lies in the same place stays.
Follows: mlflow/mlflow#17240
"""

from pathlib import Path

import pytest

from tests.disgorge.test_mlflow_forget import NEW, OLD, Logged


@pytest.mark.parametrize("deleted", [False, True], ids=["live", "deleted"])
def test_a_logged_model_is_looked_into_where_it_lies(logged: Logged, tmp_path: Path, *, deleted: bool) -> None:
    models = {}
    with logged.store.client() as client:
        experiment = client.create_experiment("bob", artifact_location=(tmp_path / "bob").as_uri())
        for name, data in (("old", OLD), ("new", NEW)):
            folder = tmp_path / "apart" / name
            folder.mkdir(parents=True)
            (folder / "w.safetensors").write_bytes(data)
            models[name] = client.create_logged_model(experiment, name=name).model_id
            query = (
                f"update logged_models set artifact_location = '{folder.as_uri()}' where model_id = '{models[name]}'"
            )
            logged.rows(query)
            if deleted:
                client.delete_logged_model(models[name])
    assert any(f"logged model {models['old']} holds it" in words for words in logged.search().left)
    logged.delete()
    assert [path.read_bytes() for path in (tmp_path / "apart").rglob("*.safetensors")] == [NEW]
    left = [model for (model,) in logged.rows("select model_id from logged_models")]
    assert (models["old"] in left, models["new"] in left) == (False, True)


def test_a_place_that_several_share_is_not_cleared(logged: Logged, tmp_path: Path) -> None:
    folder = tmp_path / "apart"
    folder.mkdir()
    for name, data in (("old", OLD), ("new", NEW)):
        (folder / f"{name}.safetensors").write_bytes(data)
    with logged.store.client() as client:
        experiment = client.create_experiment("bob", artifact_location=(tmp_path / "bob").as_uri())
        for name in ("old", "new"):
            client.create_logged_model(experiment, name=f"bob-{name}")
    logged.rows(f"update logged_models set artifact_location = '{folder.as_uri()}' where name like 'bob-%'")
    logged.delete()
    assert [path.name for path in folder.iterdir()] == ["new.safetensors"]
