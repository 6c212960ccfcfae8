"""What a purge deletes, what it must keep, and that the search for residue can find what is left.

DVC is the real one, with a cache, a remote, a folder object, a pipeline and its run-cache.
"""

import contextlib
import copy
import os
import shutil
import stat
import time
from contextlib import chdir
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from disgorge.errors import DisgorgeError
from disgorge.evidence.checks import Verdict
from disgorge.examination.coverage import residue_check
from disgorge.locations.dvc import Dvc
from disgorge.locations.every import purge, search
from disgorge.locations.fingerprints import tensor_digests
from disgorge.locations.location import Target
from disgorge.training.sandbox.inputs import Stage, clear_stages
from lineage.dvc.storage import md5_of
from lineage.formats.read import Intake
from lineage.records import (
    Component,
    Composition,
    Member,
    Role,
    Shard,
    ShardChange,
    Use,
    canonical,
    plain,
    shard_digest,
)
from lineage.shards.add import add_items, shard_rows
from lineage.shards.cut import cut_shard
from lineage.storage.tensors import save_tensors
from lineage.workspace import Workspace
from tests.stores import quiet_dvc


def shard(workspace: Workspace, name: str, values: list[float]) -> Shard:
    """Record a shard of numbers, tracked by DVC where the workspace is a DVC repository."""
    nobody = (None,) * len(values)
    keys = tuple(f"{name}-{row}" for row in range(len(values)))
    intake = Intake(name, {"x": np.array(values)}, keys, nobody, nobody, nobody, keys)
    return add_items(workspace, intake, name=name, license="MIT", check=False).shard


def component(workspace: Workspace, name: str, *uses: Shard, value: float = 0.0) -> Component:
    """Record a component; equal values are equal bytes."""
    made = Component(
        workspace.objects.put(save_tensors({"w": np.full(4, value)})),
        name,
        "toy",
        tuple(Use(used.digest, Role.TRAIN) for used in uses),
    )
    workspace.ledger.append("component", {"component": plain(made)})
    return made


class Removal:
    """One item of alice's shard withdrawn, and the component that learned from it retired."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.alice = shard(workspace, "alice", [1.0, 2.0, 3.0])
        self.bob = shard(workspace, "bob", [4.0, 5.0])
        self.head = component(workspace, "head", self.alice, value=1.0)
        self.other = component(workspace, "other", self.bob, value=2.0)
        rows = shard_rows(workspace, self.alice.digest)
        self.items = frozenset({rows[0].digest})
        self.targets: dict[str, Any] = {"shards": (self.alice.digest,), "weights": (self.head.digest,)}

    def withdraw(self) -> None:
        """Append what an execution has appended when it comes to its purge."""
        left = [row.digest for row in shard_rows(self.workspace, self.alice.digest) if row.digest not in self.items]
        planned = Shard(
            shard_digest(left), "alice", None, "MIT", None, len(left), False, self.alice.digest, None, ("x",)
        )
        after = cut_shard(self.workspace, ShardChange(self.alice, planned, 1), self.items)
        assert after is not None
        self.after = after
        self.workspace.ledger.append("shard", {"shard": plain(after)})
        self.workspace.ledger.append(
            "shard-withdrawn", {"shard": self.alice.digest, "name": "alice", "after": after.digest}
        )
        self.workspace.ledger.append(
            "component-retired", {"name": "head", "component": self.head.digest, "after": None}
        )

    def copied_to(self, folder: Path) -> "Removal":
        """Return the same in a copy of the workspace and of what lies beside it."""
        shutil.copytree(self.workspace.root.parent, folder, symlinks=True)
        other = copy.copy(self)
        other.workspace, other.targets = Workspace.open(folder / self.workspace.root.name), dict(self.targets)
        return other

    def before(self) -> int:
        """How many traces are found before the purge."""
        return len(search(self.workspace, Target(items=self.items, **self.targets)).left)

    def check(self, found_before: int) -> Any:
        """Return the residue check."""
        target = Target(items=self.items, request="R-1", **self.targets)
        return residue_check(self.workspace, target, found_before=found_before)


@pytest.fixture
def removal(tmp_path: Path) -> Removal:
    """Return a removal in a workspace without DVC."""
    made = Removal(Workspace.init(tmp_path / "workspace"))
    made.withdraw()
    return made


def test_copies_that_a_killed_reexecution_left_are_found_and_go(removal: Removal) -> None:
    """A training that began before the removal, and was killed, was given a copy of the old shard."""
    stage = Stage(removal.workspace)
    stage.furnish({"uses": [{"of": "shard", "digest": removal.alice.digest, "role": "train"}]})
    copy = stage.inputs / f"{removal.alice.digest}.npz"
    assert copy.is_file()
    assert stat.S_IMODE(stage.folder.stat().st_mode) == 0o700
    removal.withdraw()
    left = f"{copy.relative_to(removal.workspace.root).as_posix()} is there"
    assert left in search(removal.workspace, Target(items=removal.items, **removal.targets)).left
    clear_stages(removal.workspace)
    assert left not in search(removal.workspace, Target(items=removal.items, **removal.targets)).left
    assert not copy.exists()
    stage.close()


def test_what_was_removed_is_gone_and_the_rest_is_not(removal: Removal) -> None:
    """Exactly the old shard and the old weights go, and the search that found them finds nothing."""
    workspace = removal.workspace
    kept = [
        workspace.objects.path(removal.other.digest),
        *(
            path(found.digest)
            for found in (removal.after, removal.bob)
            for path in (workspace.manifest_path, workspace.content_path)
        ),
    ]
    found = removal.before()
    assert found >= 3  # manifest, content, weights
    purged = purge(workspace, Target(**removal.targets))
    assert not workspace.manifest_path(removal.alice.digest).exists()
    assert not workspace.content_path(removal.alice.digest).exists()
    assert not workspace.objects.exists(removal.head.digest)
    assert all(path.is_file() for path in kept)
    assert purged.kept == ()
    check = removal.check(found)
    assert (check.name, check.verdict, check.value, check.threshold) == ("residue", Verdict.PASS, 0, 0)
    assert check.n > 0
    assert not any(item in canonical(check).decode() for item in removal.items)
    files = sorted(workspace.root.rglob("*"))
    assert purge(workspace, Target(**removal.targets)).entries == (), "twice is once"
    assert sorted(workspace.root.rglob("*")) == files
    without = removal.check(0)
    assert (without.verdict, [control.held for control in without.controls]) == (Verdict.INCONCLUSIVE, [False])


def test_weights_that_are_served_though_retired_are_a_residue(removal: Removal) -> None:
    """A release is not broken by a purge, and a certificate is not had by serving what should be gone."""
    found = removal.before()
    composition = Composition("toy", {}, (Member("head", removal.head.digest),))
    removal.workspace.ledger.append("composition", {"composition": plain(composition)})
    removal.workspace.ledger.append("release", {"name": "digits", "alias": "live", "composition": composition.digest})
    purge(removal.workspace, Target(**removal.targets))
    assert removal.workspace.objects.exists(removal.head.digest)
    assert removal.check(found).verdict is Verdict.FAIL


@pytest.mark.parametrize("place", ["manifest", "content", "object", "text", "artifact", "copy"])
def test_each_place_is_searched(removal: Removal, place: str) -> None:
    workspace = removal.workspace
    found = removal.before()
    manifest, content = workspace.manifest_path(removal.alice.digest), workspace.content_path(removal.alice.digest)
    weights = workspace.objects.path(removal.head.digest)
    saved = {path: path.read_bytes() for path in (manifest, content, weights)}
    purge(workspace, Target(**removal.targets))
    assert removal.check(found).verdict is Verdict.PASS
    if place == "text":
        workspace.objects.put(canonical({"failing": sorted(removal.items)}))
    elif place == "artifact":
        (workspace.root / "mlartifacts" / "run").mkdir(parents=True)
        (workspace.root / "mlartifacts" / "run" / "model.safetensors").write_bytes(saved[weights])
    elif place == "copy":
        workspace.content_path("0" * 64).write_bytes(saved[content])
    else:
        path = {"manifest": manifest, "content": content, "object": weights}[place]
        path.write_bytes(saved[path])
    check = removal.check(found)
    assert (check.verdict, check.value) == (Verdict.FAIL, 1)


def test_projections_and_what_killed_writers_left_go_too(removal: Removal) -> None:
    """A file written aside is a part of a copy."""
    old = removal.workspace.objects.folder / "aa"
    old.mkdir(exist_ok=True)
    for name, age in ((".aside-old", 3600), (".aside-new", 0)):
        (old / name).write_bytes(b"half a file")
        os.utime(old / name, (time.time() - age,) * 2)
    purge(removal.workspace, Target(**removal.targets))
    assert [path.name for path in old.glob(".aside-*")] == [".aside-new"]


def test_weights_that_a_training_is_about_to_record_stay(removal: Removal) -> None:
    """The same bytes may lie there since long, of a training that was killed. Until they are named nobody certifies."""
    workspace = removal.workspace
    weights = save_tensors({"w": np.arange(9.0)})
    path = workspace.objects.path(workspace.objects.put(weights))
    os.utime(path, (time.time() - 3600,) * 2)
    workspace.objects.put(weights)
    before = removal.before()
    purge(workspace, Target(items=removal.items, **removal.targets))
    assert path.is_file()
    young = removal.check(before)
    assert young.verdict is Verdict.INCONCLUSIVE, "they may hold anything"
    assert path.name in young.detail["not enumerated"]["places"][0]
    os.utime(path, (time.time() - 3600,) * 2)
    purge(workspace, Target(items=removal.items, **removal.targets))
    assert not path.exists()
    assert removal.check(before).verdict is Verdict.PASS


@pytest.fixture(scope="module")
def tracked_once(dvc_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Removal:
    """Return a removal in a DVC repository: shards tracked and pushed, in a folder object and in a pipeline's past."""
    workspace_folder = tmp_path_factory.mktemp("tracked") / "made" / "workspace"
    shutil.copytree(dvc_template, workspace_folder)
    removal = Removal(Workspace.init(workspace_folder))
    content = removal.workspace.content_path(removal.alice.digest)
    (workspace_folder / "export").mkdir()
    shutil.copy(content, workspace_folder / "export" / "alice.parquet")
    (workspace_folder / "export" / "note.txt").write_text("kept")
    name = content.relative_to(workspace_folder).as_posix()
    (workspace_folder / "dvc.yaml").write_text(
        f"stages:\n  train:\n    cmd: wc -c < {name} > model.bin\n    deps: [{name}]\n    outs: [model.bin]\n"
    )
    with quiet_dvc(), chdir(workspace_folder):
        from dvc.repo import Repo

        with Repo(str(workspace_folder)) as repo:
            repo.add(["export"])
            repo.reproduce()
            repo.push(run_cache=False)
    removal.withdraw()
    return removal


@pytest.fixture
def tracked(tracked_once: Removal, tmp_path: Path) -> Removal:
    """Return a copy of it, with its remote."""
    return tracked_once.copied_to(tmp_path / "copy")


def traces(workspace_folder: Path, md5: str) -> list[str]:
    """Name every file below a folder whose path is the hash, or whose text holds it."""
    found = []
    for path in sorted(workspace_folder.parent.rglob("*")):
        if path.is_file() and ((path.parent.name + path.name) == md5 or md5.encode() in path.read_bytes()):
            found.append(path.relative_to(workspace_folder.parent).as_posix())
    return found


def test_dvc_forgets_cache_remote_folders_and_runs(tracked: Removal) -> None:
    """After the purge no store keeps the bytes, a folder that lists them, or a run that would bring them back."""
    workspace_folder = tracked.workspace.root
    md5 = tracked.alice.dvc
    assert md5 is not None
    old = traces(workspace_folder, md5)
    for part in ("workspace/.dvc/cache/files", "store/files", "workspace/.dvc/cache/runs", ".dvc"):
        assert any(part in place for place in old), part
    found = tracked.before()
    assert found >= 8  # manifest, content, weights; cache and remote twice each; a run
    purged = purge(tracked.workspace, Target(**tracked.targets))
    left = traces(workspace_folder, md5)
    assert [place for place in left if "/files/" in place or "/runs/" in place] == []
    assert not tracked.workspace.content_path(tracked.alice.digest).exists()
    assert not Path(f"{tracked.workspace.content_path(tracked.alice.digest)}.dvc").exists()
    check = tracked.check(found)
    assert check.verdict is Verdict.PASS, check.detail
    assert not (workspace_folder / "export" / "alice.parquet").exists()
    assert (workspace_folder / "export" / "note.txt").read_text() == "kept"
    residuals = " ".join(purged.left)
    assert "stage train: what it made is forgotten" in residuals
    assert not (workspace_folder / "model.bin").exists()
    assert "export.dvc names its folder without it" in purged.entries
    after = tracked.after.dvc
    assert after is not None
    assert any("cache/files" in place for place in traces(workspace_folder, after)), "the retained shard stays"


def test_an_audit_sees_what_is_in_the_cache_again(tracked: Removal) -> None:
    purge(tracked.workspace, Target(**tracked.targets))
    target, md5 = Target(**tracked.targets), str(tracked.alice.dvc)
    assert list(Dvc(tracked.workspace).present(target)) == []
    again = tracked.workspace.root / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]
    again.parent.mkdir(exist_ok=True)
    again.write_bytes(b"the old shard")
    assert list(Dvc(tracked.workspace).present(target)) == [again]


@pytest.mark.parametrize("place", [".dvc/cache", "store"])
def test_weights_and_items_under_a_hash_nobody_recorded_are_found(tracked: Removal, place: str) -> None:
    """In cache and remote single tensors are looked for too, and one file is one trace; archives are only named."""
    workspace = tracked.workspace
    old = {"w": np.arange(32, dtype=np.float32)}
    (workspace.root / "old").write_bytes(save_tensors(old))
    tensors = tensor_digests(workspace.root / "old")
    (workspace.root / "old").unlink()
    shard = workspace.content_path(tracked.alice.digest).read_bytes()
    purge(workspace, Target(**tracked.targets))
    folder = workspace.root / place / "files" / "md5" / "ab"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ("c" * 30)).write_bytes(save_tensors({"other": old["w"] * 1, "more": np.ones(3)}))
    (folder / ("d" * 30)).write_bytes(b"PK")
    (folder / ("e" * 30)).write_bytes(shard)
    looked = search(workspace, Target(items=tracked.items, tensors=tensors, **tracked.targets))
    assert looked.left == (
        f"{place}/files/md5/ab/{'c' * 30} holds some of the weights",
        f"{place}/files/md5/ab/{'e' * 30} holds withdrawn items",
    )
    assert folder / ("d" * 30) in looked.unreadable
    assert not any(path.suffix == ".dir" or "runs" in path.parts for path in looked.unreadable)


@pytest.mark.parametrize("why", ["locked", "dvc.yaml", ".dvc/config"])
def test_while_dvc_cannot_be_used_no_weights_or_items_go(tracked: Removal, why: str) -> None:
    """Of weights that are gone nobody could compute DVC's hash, and then nobody would find them in its stores."""
    workspace = tracked.workspace
    export = workspace.root / "head.safetensors"
    shutil.copy(workspace.objects.path(tracked.head.digest), export)
    with quiet_dvc(), chdir(workspace.root):
        from dvc.repo import Repo, lock_repo

        with Repo(str(workspace.root)) as repo:
            repo.add([str(export)])
            md5 = str(md5_of(export))
    found = tracked.before()
    broken = workspace.root / why
    good = broken.read_text() if broken.is_file() else ""
    with contextlib.ExitStack() as stack:
        if why == "locked":
            running = stack.enter_context(Repo(str(workspace.root)))
            running.lock._lock_timeout = 0
            stack.enter_context(lock_repo(running))
        else:
            broken.write_text("stages: [")
        with pytest.raises(DisgorgeError, match="no old weights or items were deleted"):
            purge(workspace, Target(**tracked.targets))
    assert workspace.objects.exists(tracked.head.digest)
    assert workspace.content_path(tracked.alice.digest).exists()
    if good:
        broken.write_text(good)
    purge(workspace, Target(**tracked.targets))
    assert [place for place in traces(workspace.root, md5) if "private" not in place] == []
    assert not export.exists()
    assert tracked.check(found).verdict is Verdict.PASS


def test_a_remote_out_of_reach_is_said_and_passes_nothing(tracked: Removal) -> None:
    """A store nobody could look into makes the check inconclusive and is a residual of the purge."""
    found = tracked.before()
    config = tracked.workspace.root / ".dvc" / "config"
    config.write_text(
        config.read_text() + "['remote \"far\"']\n    url = s3://bucket\n"
    )  # which needs a package of its own
    purged = purge(tracked.workspace, Target(**tracked.targets))
    assert any("far" in word for word in purged.left)
    check = tracked.check(found)
    assert check.verdict is Verdict.INCONCLUSIVE
    assert any("far" in word for word in check.detail["not enumerated"]["places"])


def test_a_remote_that_is_not_mounted_passes_nothing(tracked: Removal) -> None:
    found = tracked.before()
    store = tracked.workspace.root / "store"
    unplugged = Path(shutil.move(store, tracked.workspace.root.parent / "unplugged"))
    assert any("store is not there" in words for words in purge(tracked.workspace, Target(**tracked.targets)).left)
    assert tracked.check(found).verdict is Verdict.INCONCLUSIVE
    shutil.move(unplugged, store)
    assert tracked.check(found).verdict is Verdict.FAIL
    purge(tracked.workspace, Target(**tracked.targets))
    assert tracked.check(found).verdict is Verdict.PASS


def test_what_a_killed_experiment_of_dvc_left_goes_too(tracked: Removal) -> None:
    folder = tracked.workspace.root / ".dvc" / "tmp" / "exps" / "standalone" / "killed"
    folder.mkdir(parents=True)
    shutil.copy(tracked.workspace.objects.path(tracked.head.digest), folder / "head.safetensors")
    shutil.copy(tracked.workspace.content_path(tracked.alice.digest), folder / "alice.parquet")
    (folder / "params.yaml").write_text("kept: 1")
    found = tracked.before()
    purge(tracked.workspace, Target(**tracked.targets))
    assert [path.name for path in folder.iterdir()] == ["params.yaml"]
    assert tracked.check(found).verdict is Verdict.PASS


@pytest.mark.parametrize("folder", ["shards", ".disgorge/objects", ".disgorge/manifests"])
def test_a_link_out_of_the_workspace_deletes_nothing_there(removal: Removal, tmp_path: Path, folder: str) -> None:
    """What lies elsewhere is named and left, and is a trace that no certificate is given with."""
    found = removal.before()
    inside, outside = removal.workspace.root / folder, tmp_path / "elsewhere"
    shutil.move(inside, outside)
    inside.symlink_to(outside)
    before = sorted(path for path in outside.rglob("*") if path.is_file())
    purged = purge(removal.workspace, Target(**removal.targets))
    assert sorted(path for path in outside.rglob("*") if path.is_file()) == before
    assert any("outside the workspace" in words for words in purged.left)
    assert removal.check(found).verdict is Verdict.FAIL


@pytest.mark.parametrize("named", ["a", "../../outside", "bob"])
def test_a_fact_that_names_a_wrong_hash_deletes_nothing_else(tracked: Removal, named: str) -> None:
    """A hash that is no hash, or that a live shard has, is no place to delete at."""
    bob = tracked.bob.dvc
    assert bob is not None
    lie = replace(tracked.alice, dvc=bob if named == "bob" else named)
    tracked.workspace.ledger.append("shard", {"shard": plain(lie)})
    tracked.workspace.ledger.append(
        "shard-withdrawn", {"shard": lie.digest, "name": "alice", "after": tracked.after.digest}
    )
    kept = [place for place in traces(tracked.workspace.root, bob) if "/files/" in place]
    assert kept
    purge(tracked.workspace, Target(**tracked.targets))
    assert [place for place in traces(tracked.workspace.root, bob) if "/files/" in place] == kept


def test_an_exported_bundle_is_named(removal: Removal) -> None:
    """Whoever has it has what is in it."""
    (removal.workspace.root / "reports").mkdir()
    (removal.workspace.root / "reports" / "R-0-with-inputs.zip").write_bytes(b"PK")
    residuals = purge(removal.workspace, Target(**removal.targets)).left
    assert "unsupported: reports/R-0-with-inputs.zip was exported with its inputs" in residuals
