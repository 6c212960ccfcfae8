"""Done: other teams' runs and versions point at folders that are not there: deleted, or on a disk not mounted.
Must: a folder deleted from one that holds other things stops nothing; what may be a disk stops the certificate.
Follows: mlflow/mlflow#19467
"""

from pathlib import Path

import pytest

from disgorge.tracking.addresses import may_be_unmounted
from tests.disgorge.test_mlflow_forget import Logged


def point_at(logged: Logged, place: Path) -> None:
    """Let a run and a version of another team say that their files are there."""
    with logged.store.client() as client:
        experiment = client.create_experiment("bob", artifact_location=place.as_uri())
        client.create_run(experiment)
        client.create_registered_model("bob")
        client.create_model_version("bob", (place / "model").as_uri())


def test_what_other_teams_deleted_stops_nothing(logged: Logged, tmp_path: Path) -> None:
    team = tmp_path / "team"
    team.mkdir()
    (team / "notes.txt").write_text("what is left of it")
    point_at(logged, team / "mlruns" / "3")
    assert logged.search().unreachable == ()


@pytest.mark.parametrize("place", ["disk/mlruns/3", "/mnt/never-there/mlruns/3", "/never-there/mlruns/3"])
def test_what_may_be_a_disk_stops_the_certificate(logged: Logged, tmp_path: Path, place: str) -> None:
    (tmp_path / "disk").mkdir()
    point_at(logged, tmp_path / place)
    (words,) = logged.search().unreachable
    assert f"{tmp_path / place}, which is not there; mount it, or if nothing is in it, make it" in words
    if place.startswith("disk"):
        (tmp_path / place / "model").mkdir(parents=True)
        assert logged.search().unreachable == ()


def test_an_experiment_in_which_nothing_was_logged_stops_nothing(logged: Logged) -> None:
    with logged.store.client() as client:
        client.create_experiment("empty", artifact_location="file:///never-there/mlruns/0")
    assert logged.search().unreachable == ()


def test_the_rule(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert not may_be_unmounted(tmp_path / "gone" / "model")
    assert may_be_unmounted(tmp_path / "file" / "model")
