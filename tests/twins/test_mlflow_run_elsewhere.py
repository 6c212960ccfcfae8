"""Done: an experiment's artifact location is changed in the database; runs of before keep the old one.
Must: the artifacts of such a run, a deleted one too, are found and deleted.
Follows: mlflow/mlflow#2729
"""

from pathlib import Path

import pytest

from tests.disgorge.test_mlflow_forget import NEW, OLD, Logged


@pytest.mark.parametrize("deleted", [False, True], ids=["live", "deleted"])
def test_a_run_need_not_lie_below_its_experiment(logged: Logged, tmp_path: Path, *, deleted: bool) -> None:
    (tmp_path / "weights.safetensors").write_bytes(OLD)
    with logged.store.client() as client:
        experiment = client.create_experiment("bob", artifact_location=(tmp_path / "first").as_uri())
        run = client.create_run(experiment).info.run_id
        client.log_artifact(run, str(tmp_path / "weights.safetensors"))
        if deleted:
            client.delete_run(run)
    second = (tmp_path / "second").as_uri()
    logged.rows(f"update experiments set artifact_location = '{second}' where name = 'bob'")
    assert any("first" in words for words in logged.search().left)
    logged.delete()
    assert list((tmp_path / "first").rglob("*.safetensors")) == []
    assert logged.bytes() == [NEW, NEW]
    assert (logged.search().left, logged.search().unreachable) == ((), ())
