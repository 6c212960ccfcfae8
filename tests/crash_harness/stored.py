"""Removals in a workspace with DVC and MLflow, to be killed: what must hold of both, under way and at the end."""

import json
import shutil
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from hashlib import md5
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from disgorge.request.case import docket
from lineage.records import Selector
from lineage.storage.objects import sha256_of
from lineage.workspace import Workspace
from tests.crash_harness.nursery import Ended, nursery_with_stores
from tests.crash_harness.removals import Removal
from tests.toys import CONTRACT, ORDER, granted_plan, items_of, person, served

RELEASE = "toy-averages"
SERVED = """
select t.value from registered_model_aliases a
join model_version_tags t on t.name = a.name and t.version = a.version
where a.name = ? and t.key = 'disgorge.composition'
"""
DESCRIBED = """
select distinct value from model_version_tags where name = ? and key = 'disgorge.composition'
"""
RUNS = """
select distinct value from tags where key = 'disgorge.composition'
and run_uuid in (select run_uuid from tags where key = 'disgorge.release' and value = ?)
"""


@dataclass(frozen=True)
class Stored(Removal):
    """An approved removal in such a workspace, always in the same place: MLflow knows artifacts by absolute path.

    ``old`` is the composition before, ``hashes`` are MD5s: of the old shard, of old weights, of what a stage made.
    """

    references: int
    old: str
    hashes: frozenset[str]

    def copy(self, name: str) -> Path:
        """Return the workspace in which the removal is approved and not begun, in place of the one before."""
        shutil.rmtree(self.folder / "workspace", ignore_errors=True)
        return Path(shutil.copytree(self.folder / "approved", self.folder / "workspace", symlinks=True))

    def carry(self, workspace_folder: Path, **order: Any) -> Ended:
        """Carry it out with the registry and the tracking of MLflow, and with references."""
        told = {"request": "R-1", "mlflow": True, "references": self.references, **order}
        return nursery_with_stores().run("carry", workspace_folder, **told)

    def kill(self, workspace_folder: Path, **order: Any) -> bool:
        """As in other workspaces; and at no moment is anything served that is not to be."""
        died = super().kill(workspace_folder, **order)
        steps = docket(Workspace.open(workspace_folder))["R-1"].steps.get(self.plan.digest, {})
        alias = self.asked(workspace_folder, SERVED)
        if any("adopt" in step for step in steps):
            assert alias == self.adopted()
        elif any("probe" in step for step in steps):
            assert alias in ([], self.adopted()), "moved already, perhaps, and not to anything else"
        elif any("contain" in step for step in steps):
            assert alias == []
        else:
            assert alias in ([], [self.old])
        return died

    def check(self, workspace_folder: Path) -> None:
        """As in other workspaces; the alias serves what was adopted, and no store has anything of what was removed."""
        assert self.asked(workspace_folder, SERVED) == self.adopted()
        assert self.asked(workspace_folder, DESCRIBED) == self.adopted(), "the old version is gone"
        assert self.asked(workspace_folder, RUNS) == self.asked(self.folder / "undisturbed", RUNS), "so is its run"
        descriptions = {sha256_of(path) for path in (workspace_folder / "mlartifacts").rglob("composition.json")}
        assert descriptions == set(self.adopted()), "and its description: canonical JSON, as the digest is of"
        ours, others = kept_by_dvc(workspace_folder), kept_by_dvc(self.folder / "undisturbed")
        assert ours.keys() == others.keys()
        assert not self.hashes & set(ours.values())
        named = [path for path in workspace_folder.rglob("*") if path.suffix in (".dvc", ".lock") and path.is_file()]
        assert not [path for path in named for each in self.hashes if each.encode() in path.read_bytes()]
        assert not self.hashes & {
            md5(path.read_bytes()).hexdigest() for path in workspace_folder.rglob("*") if path.is_file()
        }
        super().check(workspace_folder)

    def adopted(self) -> list[str]:
        """Return the composition that undisturbed is served in the end, or none."""
        return self.asked(self.folder / "undisturbed", SERVED)

    def asked(self, workspace_folder: Path, query: str) -> list[str]:
        """Ask MLflow's database itself."""
        with closing(sqlite3.connect(workspace_folder / "mlflow.db")) as database:
            return [value for (value,) in database.execute(query, (RELEASE,))]


def kept_by_dvc(workspace_folder: Path) -> dict[str, str]:
    """Return the MD5 of every file in DVC's cache, run-cache and remote, by its path."""
    found = [
        path for name in (".dvc/cache", "store") for path in (workspace_folder / name).rglob("*") if path.is_file()
    ]
    return {path.relative_to(workspace_folder).as_posix(): md5(path.read_bytes()).hexdigest() for path in found}


@cache
def stored(kind: str, references: int) -> Stored:
    """Train, have a removal approved, and carry it out once: of a person, or of everything built on a shard."""
    nursery = nursery_with_stores()
    folder = Path(mkdtemp(prefix=f"{kind}-in-stores-", dir=nursery.folder))
    shard = "shard-3" if kind == "retrain" else "shard-2"
    parameters = {"joint": True} if kind == "retrain" else {}
    built = nursery.run("store", folder / "workspace", learned=shard, parameters=parameters)
    assert built.code == 0, built
    workspace = Workspace.open(folder / "workspace")
    old = served(workspace, RELEASE)
    selectors = [person(workspace, shard, 1) if kind == "retrain" else Selector("shard", shard)]
    forgotten = frozenset(items_of(workspace, selectors))
    plan = granted_plan(workspace, selectors, ORDER if kind == "withdraw" else CONTRACT)
    gone = [workspace.content_path(change.before.digest) for change in plan.shard_changes]
    gone += [workspace.objects.path(part.component) for step in plan.steps for part in step.parts]
    hashes = frozenset(md5(path.read_bytes()).hexdigest() for path in (*gone, workspace.root / "model.bin"))
    assert hashes <= set(kept_by_dvc(workspace.root).values()), "DVC had all of it"
    shutil.copytree(folder / "workspace", folder / "approved", symlinks=True)
    record, start = folder / "changes.json", time.perf_counter()
    told = {"request": "R-1", "mlflow": True, "references": references, "record": str(record)}
    ended = nursery.run("carry", folder / "workspace", **told)
    seconds = time.perf_counter() - start
    assert (ended.code, ended.out) == (0, "certified"), ended
    (folder / "workspace").rename(folder / "undisturbed")
    changes = [(step, event, path) for step, event, path in json.loads(record.read_text())]
    return Stored(folder, plan, forgotten, changes, seconds, references, old, hashes)
