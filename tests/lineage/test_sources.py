"""Where a shard was read from is remembered in private, and told as long as the bytes are there."""

import gzip
import shutil
import stat
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lineage.dvc.storage import Stores, md5_of
from lineage.errors import BadInput, LineageError
from lineage.private_files import SourceFile
from lineage.records import Shard, ShardChange, plain, shard_digest
from lineage.shards.add import Added, add_shard, shard_items, shard_rows
from lineage.shards.cut import cut_shard
from lineage.shards.source_files import is_tracked, sources_of, unchanged_files
from lineage.shards.source_versions import versions_of
from lineage.workspace import Workspace
from tests.stores import quiet_dvc


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """An empty workspace."""
    return Workspace.init(tmp_path / "work")


def written(path: Path, values: list[float]) -> Path:
    """A file of numbers."""
    np.savez(path, key=np.array([str(value) for value in values]), x=np.array(values))
    return path


def add(workspace: Workspace, path: Path, name: str = "ada") -> Added:
    """Record a file as a shard."""
    return add_shard(workspace, path, name=name, key="key", license="MIT", check=False)


def known(workspace: Workspace, added: Added) -> list[SourceFile]:
    """Return what is remembered of a shard."""
    return [source for _, source in sources_of(workspace, [added.shard.digest])]


def test_a_file_is_told_as_long_as_it_is_what_was_read(workspace: Workspace, tmp_path: Path) -> None:
    path = written(tmp_path / "ada.npz", [1.0, 2.0])
    (source,) = known(workspace, add(workspace, path))
    assert (source.path, unchanged_files(source), is_tracked(source)) == (path, 1, False)
    data = path.read_bytes()
    for other in (data[:-1] + b"?", data + b"?"):
        path.write_bytes(other)
        assert unchanged_files(source) == 0
    path.unlink()
    assert unchanged_files(source) == 0


def test_it_is_in_private_and_closed(workspace: Workspace, tmp_path: Path) -> None:
    add(workspace, written(tmp_path / "ada.npz", [1.0]))
    private = workspace.home / "private"
    for path in (private / "sources", *(private / "sources").iterdir()):
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077
    assert "ada.npz" not in (workspace.home / "ledger.jsonl").read_text()


def test_the_same_shard_from_two_places_has_both(workspace: Workspace, tmp_path: Path) -> None:
    first = written(tmp_path / "a.npz", [1.0])
    second = Path(shutil.copy(first, tmp_path / "b.npz"))
    for path in (first, second, first):
        added = add(workspace, path)
    assert sorted(source.path.name for source in known(workspace, added)) == ["a.npz", "b.npz"]


def test_a_shard_that_is_not_recorded_is_remembered_nowhere(workspace: Workspace, tmp_path: Path) -> None:
    add(workspace, written(tmp_path / "a.npz", [1.0]))
    files = sorted((workspace.home / "private").rglob("*"))
    with pytest.raises(BadInput):
        add(workspace, written(tmp_path / "b.npz", [1.0, 2.0]))
    (workspace.home / "ledger.jsonl").chmod(0o444)
    (workspace.home / "head.json").unlink()
    with pytest.raises(LineageError):
        add(workspace, written(tmp_path / "c.npz", [3.0]), name="bob")
    assert sorted((workspace.home / "private").rglob("*")) == files


def test_a_shard_that_was_cut_is_told_with_what_it_was_cut_from(workspace: Workspace, tmp_path: Path) -> None:
    """A second person is removed later, and the file still holds both."""
    path = written(tmp_path / "ada.npz", [1.0, 2.0, 3.0])
    before = add(workspace, path).shard
    gone, *left = [row.digest for row in shard_rows(workspace, before.digest)]
    planned = Shard(shard_digest(left), "ada", None, "MIT", None, 2, False, before.digest, None, ("x",))
    after = cut_shard(workspace, ShardChange(before, planned, 1), [gone])
    assert after is not None
    workspace.ledger.append("shard", {"shard": plain(after)})
    workspace.ledger.append("shard-withdrawn", {"shard": before.digest, "name": "ada", "after": after.digest})
    ((name, source),) = sources_of(workspace, [after.digest, before.digest])
    assert (name, source.path) == ("ada", path)


def test_a_folder_is_told_by_its_files(workspace: Workspace, tmp_path: Path) -> None:
    folder = tmp_path / "arrays"
    (folder / ".hidden").mkdir(parents=True)
    for number in range(3):
        np.save(folder / f"{number}.npy", np.full(2, float(number)))
    (source,) = known(workspace, add_shard(workspace, folder, name="ada", check=False))
    assert (len(source.files), unchanged_files(source)) == (3, 3)
    (folder / "1.npy").unlink()
    assert unchanged_files(source) == 2


def test_what_dvc_tracks_is_told_though_the_file_is_gone(workspace: Workspace, tmp_path: Path) -> None:
    path = written(tmp_path / "ada.npz", [1.0, 2.0])
    (source,) = known(workspace, add(workspace, path))
    tracked = path.with_name("ada.npz.dvc")
    tracked.write_text(f"outs:\n- md5: {md5_of(path)}\n  hash: md5\n  path: ada.npz\n")
    path.unlink()
    assert (unchanged_files(source), is_tracked(source)) == (0, True)
    tracked.write_text(f"outs:\n- md5: {'0' * 32}\n  hash: md5\n  path: ada.npz\n")
    assert not is_tracked(source)


def test_a_memory_that_cannot_be_read_is_said(workspace: Workspace, tmp_path: Path) -> None:
    added = add(workspace, written(tmp_path / "ada.npz", [1.0]))
    (file,) = (workspace.home / "private" / "sources").iterdir()
    file.write_text("{")
    with pytest.raises(LineageError, match="where a shard was read from is not known"):
        known(workspace, added)


def test_versions_of_tables_are_read_as_the_table_was(tmp_path: Path) -> None:
    """As a compressed table with decimal commas, and as a file of a partitioned folder."""
    workspace, root = Workspace.init(tmp_path / "work"), tmp_path / "data"
    (root / "parts").mkdir(parents=True)
    (root / "a.csv.gz").write_bytes(gzip.compress(b"key;x\na;1,5\nb;2,5\n"))
    for who in ("ann", "bob"):
        (root / "parts" / f"who={who}").mkdir()
        pq.write_table(pa.table({"x": [len(who) + (who == "bob"), 7]}), root / "parts" / f"who={who}" / "a.parquet")
    with quiet_dvc():
        from dvc.repo import Repo

        with Repo.init(str(tmp_path / "work"), no_scm=True) as repo:
            stores = Stores(repo, [])
    table = add_shard(workspace, root / "a.csv.gz", name="a", delimiter=";", decimal=",", check=False, dvc=False).shard
    parts = add_shard(workspace, root / "parts", name="p", check=False, dvc=False).shard
    (root / "a.csv.gz").write_bytes(gzip.compress(b"key;x\na;1,5\n"))
    for shard, file in ((table, root / "a.csv.gz"), (parts, root / "parts" / "who=ann" / "a.parquet")):
        digests, arrays = shard_items(workspace, shard.digest)
        gone = [x in (1.5, len("ann")) for x in arrays["x"].tolist()]
        hers = {digest for digest, goes in zip(digests, gone, strict=True) if goes}
        versions = versions_of(workspace, [shard.digest], hers, named={}, stores=stores)
        assert (list(versions.lying), versions.unread, versions.unknown) == ([file], {}, {})
