"""Whole files among the inputs of a job: copied one by one, checked as copies, and read when their turn comes."""

import subprocess
import sys
from pathlib import Path

import pytest

from disgorge import api
from disgorge.methods.function.items import View
from disgorge.training.sandbox.inputs import Stage
from disgorge.training.sandbox.levels import Level, reached
from disgorge.training.sandbox.staged import Staged, items_as_bytes, items_from
from disgorge.training.stored import read_items
from lineage.errors import DigestMismatch
from lineage.shards.add import add_shard
from lineage.shards.files import shard_items
from lineage.workspace import Workspace
from tests.own_code import case_in

NAMES = ("a/one.wav", "a/two.bin", "b/three.txt")


def recorded(place: Path, *, in_place: bool) -> tuple[Workspace, str]:
    """A workspace with a shard of three whole files, in two folders, one of them empty."""
    for number, name in enumerate(NAMES):
        path = place / "files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes([number]) * 1000 * number)
    workspace = Workspace.init(place / "workspace")
    return workspace, add_shard(
        workspace, place / "files", name="files", whole=True, in_place=in_place, check=False
    ).shard.digest  # fmt: skip


@pytest.mark.parametrize("in_place", [False, True])
def test_each_is_a_file_that_says_nothing_but_its_bytes(in_place: bool, tmp_path: Path) -> None:
    workspace, shard = recorded(tmp_path, in_place=in_place)
    stage = Stage(workspace)
    stage.furnish({"uses": [{"of": "shard", "digest": shard, "role": "train"}]})
    items, whole = Staged(stage.inputs).items(shard), read_items(workspace, shard)
    assert items.digests == whole.digests
    assert items.arrays["label"].tolist() == whole.arrays["label"].tolist()
    paths = list(items.arrays["file"])
    assert [path.read_bytes() for path in paths] == whole.arrays["file"].tolist()
    assert {path.name for path in paths} == {"0", "1", "2"}
    for path in paths:
        about = path.stat()
        assert (about.st_mode & 0o777, about.st_mtime, about.st_nlink, path.is_symlink()) == (0o444, 1, 1, False)
    stage.close()


def test_a_column_is_read_batch_by_batch(tmp_path: Path) -> None:
    workspace, shard = recorded(tmp_path, in_place=True)
    digests, arrays = shard_items(workspace, shard)
    (staged := Staged(tmp_path)).write_items(shard, digests, arrays)
    items = staged.items(shard)
    view = View([items], {}, None)
    items.arrays["file"][2].unlink()
    first, *_ = view.batches(2)
    assert first["file"].tolist() == arrays["file"].tolist()[:2]
    assert first.pandas()["suffix"].tolist() == arrays["suffix"].tolist()[:2]
    with pytest.raises(FileNotFoundError):
        view["file"]


def test_a_file_that_changes_while_it_is_copied_is_refused(tmp_path: Path) -> None:
    workspace, shard = recorded(tmp_path, in_place=True)
    digests, arrays = shard_items(workspace, shard, as_paths=True)
    (tmp_path / "files" / "b" / "three.txt").write_bytes(b"another")
    with pytest.raises(DigestMismatch, match="a file changed while a job was given its items; repeat"):
        Staged(tmp_path).write_items(shard, digests, arrays)


def test_a_question_carries_the_bytes(tmp_path: Path) -> None:
    workspace, shard = recorded(tmp_path, in_place=True)
    sent = items_as_bytes(read_items(workspace, shard, as_paths=True))
    (tmp_path / "sent").write_bytes(sent)
    assert items_from(tmp_path / "sent").arrays["file"].tolist() == read_items(workspace, shard).arrays["file"].tolist()


MEASURED = """
import re, sys
from pathlib import Path
from disgorge.training.sandbox.inputs import Stage
from disgorge.training.sandbox.staged import Staged
from lineage.workspace import Workspace
workspace = Workspace.open(Path(sys.argv[1]))
stage = Stage(workspace)
stage.furnish({"uses": [{"of": "shard", "digest": sys.argv[2], "role": "train"}]})
items = Staged(stage.inputs).items(sys.argv[2])
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]  # getrusage has the parent's, too
print(len(items), int(peak) * 1024)
stage.close()
"""


def test_many_files_in_place_take_no_memory_for_a_job(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    for number in range(100):
        with (tmp_path / "files" / f"{number}.bin").open("wb") as file:
            file.write(bytes([number]))
            file.truncate(5_000_000)
    workspace = Workspace.init(tmp_path / "workspace")
    shard = add_shard(workspace, tmp_path / "files", name="files", whole=True, in_place=True, check=False).shard
    told = subprocess.check_output([sys.executable, "-c", MEASURED, str(workspace.root), shard.digest], text=True)
    count, peak = map(int, told.split())
    assert count == 100
    assert peak < 300_000_000, "of 500 MB"


CODE = """
import numpy as np

def fit(items, parts, context):
    return {"bytes": np.array([len(few["file"][0]) for few in items.batches(1)])}

def predict(parts, items, context):
    return np.array([[1.0, 0.0] if len(file) in parts["bytes"] else [0.0, 1.0] for file in items["file"]])
"""


@pytest.mark.skipif(reached().level is not Level.NAMESPACE, reason="jobs are not confined here")
def test_user_code_reads_them_in_a_confined_job(tmp_path: Path) -> None:
    case = case_in(tmp_path)
    for number, name in enumerate(("one.bin", "two.bin")):
        path = tmp_path / "files" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x" * (number + 1))
    add_shard(case.workspace, tmp_path / "files", name="files", whole=True, in_place=True, check=False)
    case.write(CODE)
    case.make(case.spec(shards=["files"]))
    assert sorted(case.trained("own/model/files")["bytes"].tolist()) == [1, 2]
    assert [each.best for each in api.releases.predict(case.workspace, "own", "files").predictions] == [0, 0]
