"""A real DVC repository: files are tracked in silence and found again."""

import subprocess
from pathlib import Path

import pytest

from lineage.dvc.repo import is_repo, track, tracked_hash
from lineage.errors import LineageError


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a git repository with DVC in it."""
    from dvc.repo import Repo

    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(tmp_path / "global"))
    folder = tmp_path / "repo"
    folder.mkdir()
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    Repo.init(str(folder)).close()
    (folder / "shards").mkdir()
    return folder


def test_only_the_root_of_a_repository_is_one(repo: Path, tmp_path: Path) -> None:
    assert is_repo(repo)
    assert not is_repo(repo / "shards")
    assert not is_repo(tmp_path)


def test_a_file_is_tracked_in_silence(repo: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = repo / "shards" / "a.parquet"
    path.write_bytes(b"hello")
    assert tracked_hash(path) is None
    md5 = track(path)
    assert md5 == "5d41402abc4b2a76b9719d911017c592"
    assert tracked_hash(path) == md5
    assert track(path) == md5
    assert path.read_bytes() == b"hello"
    assert capfd.readouterr() == ("", "")
    path.write_bytes(b"other")
    assert tracked_hash(path) == md5
    assert track(path) == tracked_hash(path) != md5


def test_a_hash_is_found_in_a_lock_file(tmp_path: Path) -> None:
    lock = "stages:\n  make:\n    cmd: x\n    outs:\n    - path: data/a.parquet\n      hash: md5\n      md5: abc\n"
    (tmp_path / "dvc.lock").write_text(lock)
    (tmp_path / "data").mkdir()
    assert tracked_hash(tmp_path / "data" / "a.parquet") == "abc"
    assert tracked_hash(tmp_path / "data" / "b.parquet") is None
    (tmp_path / "dvc.lock").write_text("{")
    with pytest.raises(LineageError, match="restore it from git"):
        tracked_hash(tmp_path / "data" / "a.parquet")


def test_outside_a_repository_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    with pytest.raises(LineageError, match="lies in no DVC repository"):
        track(tmp_path / "a")


def test_a_missing_file_cannot_be_tracked(repo: Path) -> None:
    with pytest.raises(LineageError, match="DVC cannot track it"):
        track(repo / "shards" / "nowhere")


@pytest.mark.parametrize("stages", ["x", "[1]", "{make: [1]}", "{make: {outs: x}}", "{make: {outs: [{path: 1}]}}"])
def test_a_lock_of_another_form_names_no_hash(tmp_path: Path, stages: str) -> None:
    (tmp_path / "dvc.lock").write_text(f"stages: {stages}\n")
    assert tracked_hash(tmp_path / "data.csv") is None
