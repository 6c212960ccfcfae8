"""A workspace as companies have it: DVC with a cache, a remote and a pipeline's past, and releases in MLflow."""

import shutil
import warnings
from contextlib import chdir
from pathlib import Path

from disgorge.method import Toy
from disgorge.tracking.client import Store
from disgorge.tracking.registry import Registry
from lineage.workspace import Workspace
from tests.toys import live_shards, populate, train

REMOTE = "[core]\n    no_scm = True\n    remote = store\n['remote \"store\"']\n    url = ../store\n"


def quiet_dvc() -> warnings.catch_warnings:
    """DVC's own libraries warn of deprecations."""
    return warnings.catch_warnings(action="ignore")


def with_stores(folder: Path, toy: Toy, *, learned: str, database: Path | None = None) -> Workspace:
    """Train a toy in ``folder / "workspace"``, with DVC and MLflow; a pipeline made ``model.bin`` of one shard.

    MLflow knows its artifacts by their absolute path, so a copy works only in the very place of the original.
    ``database`` is a database with its tables to begin with; to make one takes seconds.
    """
    workspace_folder = folder / "workspace"
    workspace_folder.mkdir(parents=True)
    with quiet_dvc():
        from dvc.repo import Repo

        Repo.init(str(workspace_folder), no_scm=True).close()
        (workspace_folder / ".dvc" / "config").write_text(REMOTE)
        workspace = Workspace.init(workspace_folder)
        populate(workspace, toy, folder / "sources", dvc=True)
        content = workspace.content_path(live_shards(workspace)[learned].digest)
        name = content.relative_to(workspace_folder).as_posix()
        (workspace_folder / "dvc.yaml").write_text(
            f"stages:\n  fit:\n    cmd: wc -c < {name} > model.bin\n    deps: [{name}]\n    outs: [model.bin]\n"
        )
        made = train(workspace, toy)
        (workspace_folder / "weights").mkdir()
        for number, member in enumerate(made.composition.members):
            shutil.copy(
                workspace.objects.path(member.component), workspace_folder / "weights" / f"{number}.safetensors"
            )
        with chdir(workspace_folder), Repo(str(workspace_folder)) as repo:
            repo.add(["weights"])
            repo.reproduce()
            repo.push(run_cache=True)
    if database:
        shutil.copy(database, workspace_folder / "mlflow.db")
    registry_of(workspace_folder).adopt(toy.spec.release, toy.spec.alias, made.composition)
    return workspace


def registry_of(workspace_folder: Path) -> Registry:
    """Return the MLflow registry of a workspace."""
    return Registry(Store(workspace_folder))
