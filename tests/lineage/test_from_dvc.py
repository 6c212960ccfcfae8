"""A real DVC repository: tracked in silence, found again, and forgotten without a rest."""

import subprocess
from pathlib import Path

import pytest

from disgorge.locations.dvc import DvcPlan
from lineage.dvc.repo import is_repo, opened, track, tracked_hash
from lineage.dvc.storage import Stores
from lineage.errors import LineageError


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a git repository with DVC in it, and a remote beside it."""
    from dvc.repo import Repo

    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(tmp_path / "global"))
    folder = tmp_path / "repo"
    folder.mkdir()
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    Repo.init(str(folder)).close()
    with (folder / ".dvc" / "config").open("a") as config:
        config.write(f"['remote \"store\"']\n    url = {tmp_path / 'store'}\n")
    (folder / "shards").mkdir()
    return folder


def stored(folder: Path, name: str) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and name in path.as_posix().replace("/", "")]


def delete(folder: Path, md5: str) -> list[str]:
    """Delete what DVC keeps under a hash, and return what could not be deleted."""
    left: list[str] = []
    with opened(folder) as dvc:
        return [*left, *DvcPlan.of(dvc, Stores(dvc, left), [md5]).carry_out().left]


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


def test_what_is_forgotten_is_in_no_cache_remote_or_remembered_run(repo: Path, tmp_path: Path) -> None:
    from dvc.repo import Repo

    path, other = repo / "shards" / "a.parquet", repo / "shards" / "b.parquet"
    path.write_bytes(b"hello")
    other.write_bytes(b"kept")
    md5, kept = track(path), track(other)
    with Repo(str(repo)) as dvc:
        dvc.push(remote="store")
    run = repo / ".dvc" / "cache" / "runs" / "ab" / "abcd" / "ef"
    run.parent.mkdir(parents=True)
    run.write_text(f"cmd: train\ndeps:\n- md5: {md5}\n")
    (run.parent / "other").write_text(f"cmd: train\ndeps:\n- md5: {kept}\n")
    assert stored(tmp_path / "store", md5)
    assert stored(repo / ".dvc", md5)
    assert delete(repo, md5) == []
    assert not path.exists()
    assert not path.with_name("a.parquet.dvc").exists()
    assert not stored(tmp_path / "store", md5)
    assert not stored(repo / ".dvc", md5)
    assert not run.exists()
    assert (run.parent / "other").exists()
    assert other.read_bytes() == b"kept"
    assert stored(tmp_path / "store", kept)
    assert tracked_hash(other) == kept
    assert delete(repo, md5) == []


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
