"""A walk over the whole folder finds what was removed under any name, and names what nobody can read."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from disgorge.evidence.checks import Verdict
from disgorge.locations.every import plan, purge, search
from disgorge.locations.fingerprints import tensor_digests
from disgorge.locations.folder import Folder
from disgorge.locations.location import Spare, Target, shown
from lineage.workspace import Workspace
from tests.disgorge.test_purge import Removal, removal

__all__ = ["removal"]  # a fixture

OLD = np.arange(32, dtype=np.float32)


def copied(removal: Removal, what: str, place: str) -> Path:
    """Put a copy of the old weights, or of the old shard, somewhere in the workspace."""
    workspace = removal.workspace
    source = (
        workspace.content_path(removal.alice.digest) if what == "shard" else workspace.objects.path(removal.head.digest)
    )
    return put(workspace, place, source.read_bytes())


def put(workspace: Workspace, place: str, data: bytes) -> Path:
    """Write a file somewhere in the workspace."""
    path = workspace.root / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


AMONG_OURS = [
    ("weights", f".disgorge/objects/ab/{'c' * 64}.bak"),
    ("weights", ".disgorge/objects/old"),
    ("weights", "shards/old"),
    ("shard", "shards/x.parquet.old"),
    ("shard", "shards/pyvenv.cfg"),
    ("shard", "shards/deep/er/x.parquet"),
    ("shard", ".disgorge/manifests/x"),
]
ELSEWHERE = [
    ("shard", "backup/x.parquet"),
    ("weights", "old.safetensors"),
    ("weights", "notes/readme.md"),
    ("weights", ".disgorge/private/old"),
    ("weights", "reports/R-1/x"),
    ("shard", ".hidden/.x"),
]


@pytest.mark.parametrize(("what", "place"), AMONG_OURS)
def test_a_copy_among_our_own_files_goes_and_is_said_before(removal: Removal, what: str, place: str) -> None:
    """It is what the dry run says, the search knows it without the purge, and a copy of what is retained stays."""
    workspace = removal.workspace
    kept = put(workspace, f"{place}-kept", workspace.content_path(removal.bob.digest).read_bytes())
    path, data = copied(removal, what, place), copied(removal, what, place).read_bytes()
    found = removal.before()
    listed = plan(workspace, Target(items=removal.items, **removal.targets)).paths
    assert path in listed
    deleted = purge(workspace, Target(items=removal.items, **removal.targets)).entries
    assert set(deleted) == set(map(str, listed))
    assert (path.exists(), kept.exists()) == (False, True)
    assert removal.check(found).verdict is Verdict.PASS
    put(workspace, place, data)
    check = removal.check(found)
    assert (check.verdict, check.value) == (Verdict.FAIL, 1)
    assert check.detail["residual"][0].startswith(place)


@pytest.mark.parametrize(("what", "place"), ELSEWHERE)
def test_a_copy_among_the_users_files_is_named_and_left(removal: Removal, what: str, place: str) -> None:
    workspace, found = removal.workspace, removal.before()
    path = copied(removal, what, place)
    purge(workspace, Target(items=removal.items, **removal.targets))
    assert path.exists()
    check = removal.check(found)
    words = "holds withdrawn items" if what == "shard" else "is one of the weights"
    assert (check.verdict, check.detail["residual"]) == (Verdict.FAIL, [f"{place} {words}"])
    path.unlink()
    assert removal.check(found).verdict is Verdict.PASS


def test_single_tensors_are_known_whatever_the_file_is_called(removal: Removal) -> None:
    workspace = removal.workspace
    sought = Target(tensors=tensor_digests(put(workspace, "old.bin", save({"w": OLD}))))
    stray = put(workspace, "shards/new.tmp", save({"other": OLD.reshape(4, 8), "more": OLD + 1}))
    put(workspace, "shards/unlike", save({"w": OLD + 1}))
    assert list(Folder(workspace).plan(sought, Spare()).paths) == [stray]
    holds = "holds some of the weights"
    assert Folder(workspace).look(workspace.root, sought)[0] == {workspace.root / "old.bin": holds, stray: holds}


@pytest.mark.parametrize("place", [".git/objects/x", "mlartifacts/x", "env/lib/x"])
def test_what_others_look_into_is_left_to_them(removal: Removal, place: str) -> None:
    """An environment is named, since nobody looks into it."""
    path = copied(removal, "weights", place)
    (removal.workspace.root / "env").mkdir(exist_ok=True)
    (removal.workspace.root / "env" / "pyvenv.cfg").write_text("")
    target = Target(weights=(removal.head.digest,), items=removal.items)
    found, unread = Folder(removal.workspace).look(removal.workspace.root, target)
    assert found == {}
    assert path not in unread
    assert unread == [removal.workspace.root / "env"]


@pytest.mark.parametrize("linked", ["file", "folder", "circle", "nowhere"])
def test_links_are_not_followed_and_those_that_lead_out_are_named(
    removal: Removal, tmp_path: Path, linked: str
) -> None:
    workspace_folder = removal.workspace.root
    inside = copied(removal, "weights", "inside/old")
    outside = tmp_path / "outside" / "old"
    outside.parent.mkdir()
    outside.write_bytes(inside.read_bytes())
    targets: dict[str, Path | str] = {"file": outside, "folder": outside.parent, "circle": "link", "nowhere": "/nil"}
    (workspace_folder / "link").symlink_to(targets[linked])
    (workspace_folder / "within").symlink_to(inside.parent)
    target = Target(weights=(removal.head.digest,))
    found, unread = Folder(removal.workspace).look(workspace_folder, target)
    assert list(found) == [inside]
    assert unread == [workspace_folder / "link"]
    removal.withdraw()
    purge(removal.workspace, Target(items=removal.items, **removal.targets))
    assert outside.exists()


def test_files_nobody_can_read_are_named_in_order_and_decide_nothing(removal: Removal) -> None:
    workspace, found = removal.workspace, removal.before()
    names = [f"data/{number:02}.npz" for number in range(25)]
    for name in (*reversed(names), "mlartifacts/run/model.pt", "table.csv"):
        put(workspace, name, b"PK\3\4\0")
    for name in ("README.md", "train.py", ".disgorge/config.toml"):
        put(workspace, name, b"words")
    purge(workspace, Target(items=removal.items, **removal.targets))
    check = removal.check(found)
    assert check.verdict is Verdict.PASS
    assert check.detail["not enumerated"] == {"places": [], "files": 27, "named": ["table.csv", *names[:19]]}
    for number in range(20):
        (workspace.root / names[number]).unlink()
    named = removal.check(found).detail["not enumerated"]["named"]
    assert named == ["table.csv", *names[20:], "mlartifacts/run/model.pt"]


def test_a_report_that_was_logged_is_no_data(removal: Removal) -> None:
    for name in ("statement.json", "certificate.pdf", "ledger-slice.jsonl", "data.npz"):
        put(removal.workspace, f"mlartifacts/run/report/{name}", b"\0")
    unread = search(removal.workspace, Target(items=removal.items, **removal.targets)).unreadable
    assert [path.name for path in unread] == ["data.npz"]


def test_hostile_names_are_written_harmlessly(removal: Removal) -> None:
    workspace = removal.workspace
    name = os.fsdecode(b"ada\xff\n\x1b[31m.npz")
    path = put(workspace, name, b"PK\3\4\0")
    assert Folder(workspace).search(Target(), Spare()).unreadable == (path,)
    assert shown(path, workspace.root) == "ada\ufffd\ufffd\ufffd[31m.npz"
    assert shown(Path("/elsewhere/x"), workspace.root) == "/elsewhere/x"


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
@pytest.mark.parametrize("close", [lambda path: path.chmod(0), lambda path: path.parent.chmod(0)], ids=["file", "dir"])
def test_what_is_closed_to_us_is_named(removal: Removal, close: Callable[[Path], None]) -> None:
    path = put(removal.workspace, "closed/x", b"words")
    close(path)
    unread = list(Folder(removal.workspace).search(Target(), Spare()).unreadable)
    path.parent.chmod(0o700)
    assert unread in ([path], [path.parent])
