"""Done: a version whose source is a folder outside every experiment is deleted, or moved to the stage Archived.
Must: its files, which a deleted version keeps, are found and deleted.
Follows: mlflow/mlflow#12917
"""

from pathlib import Path

import pytest

from tests.disgorge.test_mlflow_forget import OLD, Logged


@pytest.mark.parametrize("stage", ["deleted", "Archived"])
def test_the_files_of_a_version_are_found_in_every_stage(logged: Logged, tmp_path: Path, stage: str) -> None:
    folder = tmp_path / "exported"
    folder.mkdir()
    (folder / "w.safetensors").write_bytes(OLD)
    with logged.store.client() as client:
        client.create_registered_model("prod")
        client.create_model_version("prod", folder.as_uri())
        if stage == "deleted":
            client.delete_model_version("prod", "1")
        else:
            logged.rows(f"update model_versions set current_stage = '{stage}' where name = 'prod'")
    assert any("exported/w.safetensors" in words for words in logged.search().left)
    logged.delete()
    assert list(folder.iterdir()) == []
