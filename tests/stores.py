"""A workspace as companies have it: DVC with a cache, a remote and a pipeline's past, and releases in MLflow."""

import shutil
import warnings
from contextlib import chdir
from pathlib import Path

from disgorge.method import Toy
from disgorge.tracking.client import Store
from disgorge.tracking.registry import Registry
from lineage.workspace import Ledger
from tests.toys import live_shards, populate, train

REMOTE = "[core]\n    no_scm = True\n    remote = store\n['remote \"store\"']\n    url = ../store\n"


def with_stores(folder: Path, toy: Toy, *, learned: str) -> Ledger:
    """Train a toy in ``folder / "workspace"``, with DVC and MLflow; a pipeline made ``model.bin`` of one shard.

    MLflow knows its artifacts by their absolute path, so a copy works only in the very place of the original.
    """
    workspace = folder / "workspace"
    workspace.mkdir(parents=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # DVC's own libraries warn of deprecations
        from dvc.repo import Repo

        Repo.init(str(workspace), no_scm=True).close()
        (workspace / ".dvc" / "config").write_text(REMOTE)
        ledger = Ledger.init(workspace)
        populate(ledger, toy, folder / "sources", dvc=True)
        content = ledger.content_path(live_shards(ledger)[learned].digest)
        name = content.relative_to(workspace).as_posix()
        (workspace / "dvc.yaml").write_text(
            f"stages:\n  fit:\n    cmd: wc -c < {name} > model.bin\n    deps: [{name}]\n    outs: [model.bin]\n"
        )
        made = train(ledger, toy)
        (workspace / "weights").mkdir()
        for number, member in enumerate(made.composition.members):
            shutil.copy(ledger.objects.path(member.component), workspace / "weights" / f"{number}.safetensors")
        with chdir(workspace), Repo(str(workspace)) as repo:
            repo.add(["weights"])
            repo.reproduce()
            repo.push(run_cache=True)
    registry_of(workspace).adopt(toy.spec.release, toy.spec.alias, made.composition)
    return ledger


def registry_of(workspace: Path) -> Registry:
    """Return the MLflow registry of a workspace."""
    return Registry(Store(workspace))
