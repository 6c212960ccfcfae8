"""A location that a third party registers is searched, listed in the dry run and purged like the built-in ones."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from disgorge.audit.rules import audit
from disgorge.errors import DisgorgeError
from disgorge.evidence.checks import Verdict
from disgorge.locations.every import BUILT_IN, GROUP, locations, plan, purge, search
from disgorge.locations.fingerprints import tensor_digests
from disgorge.locations.folder import Folder
from disgorge.locations.location import Deletion, Location, Spare, Target, Traces
from lineage.errors import DigestMismatch
from lineage.ledger.fact_kinds import PurgedFact
from lineage.storage.objects import sha256_of
from lineage.storage.tensors import save_tensors
from lineage.workspace import Workspace
from tests.disgorge.test_purge import Removal


class Bucket(Location):
    """A folder outside the workspace, which stands for a store of a third party."""

    name = "bucket"

    @property
    def folder(self) -> Path:
        """The folder, beside the workspace."""
        return self.workspace.root.parent / "bucket"

    def search(self, target: Target, spare: Spare) -> Traces:
        """Look at every file; fails where the store cannot be reached."""
        return Traces(tuple(f"bucket: {path.name}" for path in self.copies(target)))

    def plan(self, target: Target, spare: Spare) -> Deletion:
        """List the copies."""
        return Deletion(records=tuple(f"bucket: {path.name}" for path in self.copies(target)))

    def delete(self, planned: Deletion) -> Deletion:
        """Delete the copies."""
        for path in self.copies(planned.target):
            path.unlink()
        return planned

    def copies(self, target: Target) -> list[Path]:
        """Return the files that are weights of the target."""
        return [path for path in sorted(self.folder.iterdir()) if sha256_of(path) in target.weights]


@pytest.fixture
def removal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Removal:
    """Return a removal in a workspace where a distribution registers a location, which holds a copy of old weights."""
    metadata = tmp_path / "site" / "bucket-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: bucket\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[{GROUP}]\nbucket = {__name__}:Bucket\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    made = Removal(Workspace.init(tmp_path / "workspace"))
    made.withdraw()
    (tmp_path / "bucket").mkdir()
    (tmp_path / "bucket" / "copy").write_bytes(made.workspace.objects.get(made.head.digest))
    return made


def test_a_copy_in_it_is_found_listed_and_deleted(removal: Removal) -> None:
    target = Target(items=removal.items, **removal.targets)
    before = removal.before()
    assert locations(removal.workspace)[-1].name == "bucket"
    assert "bucket: copy" in search(removal.workspace, target).found
    assert "bucket: copy" in plan(removal.workspace, target).records
    assert removal.check(before).verdict is Verdict.FAIL
    assert "bucket: copy" in purge(removal.workspace, target).records
    assert removal.check(before).verdict is Verdict.PASS
    assert "bucket: copy" not in purge(removal.workspace, target).records


def test_one_that_is_out_of_reach_stops_the_certificate(removal: Removal) -> None:
    target, before = Target(items=removal.items, **removal.targets), removal.before()
    folder = removal.workspace.root.parent / "bucket"
    folder.rename(folder.with_name("unplugged"))
    assert "bucket could not be searched" in " ".join(search(removal.workspace, target).unreachable)
    with pytest.raises(DisgorgeError, match=r"bucket: .* no old weights or items were deleted"):
        purge(removal.workspace, target)
    weights = removal.workspace.objects.get(removal.head.digest)
    folder.with_name("unplugged").rename(folder)
    purge(removal.workspace, target)
    folder.rename(folder.with_name("unplugged"))
    (folder.with_name("unplugged") / "copy").write_bytes(weights)
    assert removal.check(before).verdict is Verdict.INCONCLUSIVE
    folder.with_name("unplugged").rename(folder)
    assert removal.check(before).verdict is Verdict.FAIL


@pytest.mark.parametrize("kind", [*BUILT_IN, Bucket], ids=[kind.__name__ for kind in (*BUILT_IN, Bucket)])
def test_the_report_is_not_complete_while_a_location_is_not_enumerated(
    removal: Removal, monkeypatch: pytest.MonkeyPatch, kind: type[Location]
) -> None:
    before = removal.before()
    purge(removal.workspace, Target(items=removal.items, **removal.targets))
    assert removal.check(before).verdict is Verdict.PASS

    def fail(*_: object) -> Traces:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(kind, "search", fail)
    check = removal.check(before)
    assert check.verdict is Verdict.INCONCLUSIVE
    (words,) = check.detail["not enumerated"]["places"]
    assert words.startswith(f"{kind.name} could not be searched")


def test_a_damaged_file_of_the_workspace_itself_is_named_and_not_taken_for_out_of_reach(
    removal: Removal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Traces:
        raise DigestMismatch("object 12ab changed since it was stored")

    monkeypatch.setattr(BUILT_IN[2], "search", fail)
    with pytest.raises(DigestMismatch, match="object 12ab"):
        search(removal.workspace, Target(items=removal.items, **removal.targets))


def test_what_is_live_is_never_in_its_target(removal: Removal) -> None:
    target = replace(Target(**removal.targets), weights=(removal.other.digest,))
    copy = removal.workspace.root.parent / "bucket" / "live"
    copy.write_bytes(removal.workspace.objects.get(removal.other.digest))
    purge(removal.workspace, target)
    assert copy.is_file()


def test_one_that_cannot_be_loaded_is_refused(removal: Removal) -> None:
    entry = removal.workspace.root.parent / "site" / "bucket-1.0.dist-info" / "entry_points.txt"
    entry.write_text(f"[{GROUP}]\nbucket = {__name__}:missing\n")
    with pytest.raises(DisgorgeError, match=r"location 'bucket' .* cannot be loaded"):
        search(removal.workspace, Target())
    (finding,) = (each for each in audit(removal.workspace) if each.id == "DSG024")
    assert ("location 'bucket'" in finding.words, finding.next) == (True, "fix or uninstall its package")


def test_one_that_fails_when_it_is_asked_stops_no_other_rule_of_the_audit(
    removal: Removal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Bucket, target: Target) -> list[Path]:
        raise RuntimeError("bucket is gone")

    old = removal.workspace.objects.get(removal.head.digest)
    purge(removal.workspace, Target(**removal.targets))
    removal.workspace.ledger.record(PurgedFact("R-1", (), (removal.head.digest,)))
    removal.workspace.objects.put(old)
    monkeypatch.setattr(Bucket, "present", fail)
    found = {each.id: each.words for each in audit(removal.workspace)}
    assert "bucket is gone" in found["DSG024"]
    assert "DSG012" in found


ITEM = "ab" * 32


def table(path: Path, digests: Any) -> None:
    pq.write_table(pa.table({"digest": digests, "x": list(range(len(digests)))}), path)


def test_a_file_that_cannot_be_compared_is_named_and_stops_no_other(tmp_path: Path) -> None:
    """Cut or padded weights, damaged tables, digests in another form: none of them is taken for searched."""
    weights = save_tensors({"w": np.arange(40.0)})
    (tmp_path / "whole").write_bytes(weights)
    (tmp_path / "padded").write_bytes(weights + b"\0")
    (tmp_path / "cut").write_bytes(weights[:-1])
    table(tmp_path / "upper.parquet", [ITEM.upper()])
    table(tmp_path / "binary.parquet", pa.array([bytes.fromhex(ITEM)], pa.binary(32)))
    data = (tmp_path / "upper.parquet").read_bytes()
    (tmp_path / "damaged.parquet").write_bytes(data.replace(b"digest", b"\xea\xff\xfe\xfd\xfc\xfb"))
    target = Target(items=frozenset({ITEM}), tensors=tensor_digests(tmp_path / "whole"))
    matches, unread = target.look(sorted(tmp_path.iterdir()))
    assert {path.name for path in matches} == {"whole", "upper.parquet"}
    assert {path.name for path in unread} == {"padded", "cut", "binary.parquet", "damaged.parquet"}


def test_without_a_store_a_link_into_another_workspace_is_left(tmp_path: Path) -> None:
    other = tmp_path / "other"
    (other / ".disgorge").mkdir(parents=True)
    (other / "mlruns").mkdir()
    data = save_tensors({"w": np.arange(40.0)})
    (other / "mlruns" / "x.safetensors").write_bytes(data)
    workspace = Workspace.init(tmp_path / "workspace")
    (workspace.root / "mlruns").symlink_to(other / "mlruns")
    purge(workspace, Target(weights=(hashlib.sha256(data).hexdigest(),)))
    assert (other / "mlruns" / "x.safetensors").read_bytes() == data


def test_a_dvc_cache_that_was_moved_away_from_and_another_git_are_not_skipped(tmp_path: Path) -> None:
    workspace = Workspace.init(tmp_path / "workspace")
    data = save_tensors({"w": np.arange(40.0)})
    for place in (".dvc/cache/files/md5/aa/old", "sub/.git/lfs/objects/old"):
        (workspace.root / place).parent.mkdir(parents=True)
        (workspace.root / place).write_bytes(data)
    target, folder = Target(weights=(hashlib.sha256(data).hexdigest(),)), Folder(workspace)
    (workspace.root / ".dvc" / "config").write_text("")
    assert folder.look(workspace.root, target) == ({}, [workspace.root / "sub" / ".git"])
    (workspace.root / ".dvc" / "config").write_text("[cache]\n    dir = ../../elsewhere\n")
    assert [path.name for path in folder.look(workspace.root, target)[0]] == ["old"]
