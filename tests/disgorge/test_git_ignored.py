"""What ``git add -A`` takes in of a workspace, with a real git and a real DVC: no item, no weight, nobody's name."""

import json
import subprocess
import sys
from contextlib import chdir
from pathlib import Path

import numpy as np
import pytest

from lineage.git_ignored import HOME, WORKSPACE, ignore_data
from lineage.storage.tensors import save_tensors
from lineage.workspace import Workspace
from tests.disgorge.cli.conftest import fine
from tests.toys import carry, granted_plan, live_shards, person, populate, toy_of, train

COMMITTED = {"config.toml", "head.json", "ledger.jsonl", "public.pem", ".gitignore"}


def git(folder: Path, *arguments: str) -> str:
    """Run git, which must be fine."""
    return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


def staged(folder: Path) -> set[str]:
    """Return what ``git add -A`` takes in."""
    git(folder, "add", "-A")
    return set(git(folder, "ls-files").split())


def repository(folder: Path, *, dvc: bool) -> Path:
    """Make a repository of git, and of DVC."""
    folder.mkdir()
    git(folder, "init", "-q")
    if dvc:
        subprocess.run([sys.executable, "-m", "dvc", "init", "-q"], cwd=folder, check=True)
    return folder


@pytest.mark.parametrize("dvc", [False, True], ids=["git", "git and DVC"])
def test_git_takes_in_nothing_that_a_removal_could_not_take_back(tmp_path: Path, dvc: bool) -> None:
    """A removal was carried out in it, and a store and a bundle lie there as MLflow and a report leave them."""
    workspace_folder = repository(tmp_path / "workspace", dvc=dvc)
    with chdir(workspace_folder):
        told = fine("init").out
    assert ("DVC: not used" in told) != dvc
    workspace, toy = Workspace.open(workspace_folder), toy_of("averages", 3)
    populate(workspace, toy, tmp_path / "sources", dvc=dvc)
    train(workspace, toy)
    granted_plan(workspace, [person(workspace, "shard-3", 0)])
    carry(workspace)
    for name in ("mlflow.db", "mlartifacts/1/model/w.safetensors", "mlruns/0/meta.yaml", "reports/R-1-with-inputs.zip"):
        (workspace_folder / name).parent.mkdir(parents=True, exist_ok=True)
        (workspace_folder / name).write_bytes(b"whatever was logged")
    (workspace.home / "mlflow.db").touch()
    (workspace_folder / ".disgorge-0123456789abcdef").mkdir()
    (workspace_folder / ".disgorge-0123456789abcdef" / "pseudonym.key").write_text("of an init that was killed")
    shards = {f"shards/{shard.digest}.parquet.dvc" for shard in live_shards(workspace).values()} if dvc else set()
    theirs = {".dvc/.gitignore", ".dvc/config", ".dvcignore", "shards/.gitignore"} if dvc else set()
    there = staged(workspace_folder) - theirs
    assert there == {".gitignore", *(f".disgorge/{name}" for name in COMMITTED), *shards}
    if dvc:
        status = [sys.executable, "-m", "dvc", "status", "-q"]
        assert subprocess.run(status, cwd=workspace_folder, check=False).returncode == 0, "DVC finds what it tracks"


def test_a_gitignore_of_somebody_keeps_what_it_says(tmp_path: Path) -> None:
    workspace_folder = repository(tmp_path / "workspace", dvc=False)
    theirs = "# mine\n*.tmp\n/reports/\n!keep.tmp"
    (workspace_folder / ".gitignore").write_text(theirs)
    with chdir(workspace_folder):
        fine("init")
    text = (workspace_folder / ".gitignore").read_text()
    assert text.startswith(f"{theirs}\n")
    assert text.count("/reports/") == 1
    assert set(text.splitlines()) >= set(WORKSPACE)
    assert ignore_data(workspace_folder, home=workspace_folder / ".disgorge") == ()
    assert (workspace_folder / ".gitignore").read_text() == text


def test_a_workspace_from_before_is_mended_and_it_is_said(tmp_path: Path) -> None:
    workspace_folder = repository(tmp_path / "workspace", dvc=False)
    workspace = Workspace.init(workspace_folder)
    (workspace_folder / ".gitignore").unlink()
    (workspace.home / ".gitignore").write_text("private/\napart-*\n*.lock\n")
    workspace.objects.put(save_tensors({"w": np.arange(3.0)}))
    np.savez(workspace_folder / "data.npz", x=np.arange(3.0))
    with chdir(workspace_folder):
        ran = fine("shard", "add", "data.npz", "--license", "MIT")
    lines = ran.err.splitlines()
    assert [line for line in lines if ".disgorge/.gitignore: lines were added" in line]
    assert [line for line in lines if "data.npz: git takes it in" in line]
    assert staged(workspace_folder) == {
        ".gitignore",
        "data.npz",
        *(f".disgorge/{n}" for n in COMMITTED - {"public.pem"}),
    }
    assert set((workspace.home / ".gitignore").read_text().splitlines()) >= set(HOME)


def test_init_says_why_dvc_is_not_used(tmp_path: Path) -> None:
    with chdir(tmp_path):
        told = json.loads(fine("init", "--json").out)
    assert told["dvc"] is False
    assert "is not the root of a DVC repository" in told["notes"][0]
