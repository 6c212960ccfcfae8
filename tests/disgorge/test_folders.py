"""Components that are folders, from the job that makes them to the purge: what is shared stays, lies are refused."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from disgorge.errors import BundleBroken, CertificateRefused
from disgorge.locations.every import search
from disgorge.locations.location import SAME_TEXT, Target
from disgorge.locations.references import files_that_go, spare_of
from disgorge.training.recipe import Job
from disgorge.training.runners.local import Workers
from disgorge.training.runners.output import Output
from disgorge.training.runners.received import receive
from disgorge.verify.bundle import _weights
from lineage.errors import LineageError
from lineage.recording import recording
from lineage.records import Component, Json
from lineage.storage.components import files_of, is_whole, keep_listing
from lineage.storage.objects import Objects
from lineage.storage.tensors import save_tensors
from lineage.storage.tree import Tree, TreeFile
from lineage.workspace import Workspace
from tests import toys

VOCABULARY = b"".join(b"word %d\n" % number for number in range(40))


class Said:
    """What a job says of its result, as bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self, size: int) -> bytes:
        """Return the next so many bytes, or fewer."""
        taken, self._data = self._data[:size], self._data[size:]
        return taken


def sent(objects: Objects, files: list[Any], data: bytes) -> str:
    """Store a folder that a job sends: its listing, and the bytes of its files."""
    listing = json.dumps(files).encode()
    message = {"result": True, "files": True, "size": len(listing)}
    received = receive(cast(Output, Said(listing + data)), message, objects)
    try:
        return received.keep()
    finally:
        received.discard()


def folder_of(tmp_path: Path, name: str, weights: float, **texts: bytes) -> Path:
    """A folder with weights of its own and a vocabulary that others have as well."""
    folder = tmp_path / name
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(save_tensors({"w": np.full(64, weights) + np.arange(64)}))
    for file, data in {"vocabulary.txt": VOCABULARY, "small.json": b"{}", **texts}.items():
        (folder / file).write_bytes(data)
    return folder


def record(workspace: Workspace, folder: Path, *uses: tuple[str, str], name: str = "", **recipe: Json) -> Component:
    """Record a folder by hand."""
    with recording(workspace, kind="adapter", name=name or folder.name, uses=uses, recipe=recipe) as component:
        component.save_files(folder)
    assert component.component is not None
    return component.component


def by_path(workspace: Workspace, component: Component) -> Mapping[str, str]:
    """The digests of a component's files."""
    return {file.path: file.sha256 for file in files_of(workspace.objects, component.digest)}


def test_a_folder_that_a_job_sends_is_stored_as_the_tree_of_its_files(tmp_path: Path) -> None:
    objects = Objects(tmp_path / "objects")
    digest = sent(objects, [["b/c", 2], ["a", 3]], b"ccaaa")
    assert digest == Tree.of({"a": b"aaa", "b/c": b"cc"}).digest
    assert is_whole(objects, digest)


@pytest.mark.parametrize(
    ("files", "data"),
    [
        ([["../a", 1]], b"a"),
        ([["a", 1], ["a", 1]], b"ab"),
        ([["a", -1]], b""),
        ([["a", 2]], b"a"),
        ([["a"]], b"a"),
        ([[".a", 1]], b"a"),
        ([["a", 1 << 62]], b"a"),
        ([], b""),
        (["a"], b""),
    ],
    ids=["upwards", "twice", "negative", "cut off", "no size", "hidden", "larger than the disk", "empty", "no pair"],
)
def test_nothing_is_stored_of_a_folder_that_is_not_sent_as_one(tmp_path: Path, files: list[Any], data: bytes) -> None:
    objects = Objects(tmp_path / "objects")
    with pytest.raises(LineageError):
        sent(objects, files, data)
    assert not [path for path in objects.folder.rglob("*") if path.is_file()]


def test_a_job_that_sends_a_listing_for_tensors_refers_to_nothing(tmp_path: Path) -> None:
    """Old weights by reference: their object is there, and a listing that names it would be a component that has it."""
    objects = Objects(tmp_path / "objects")
    old = objects.put(save_tensors({"w": np.arange(9.0)}))
    listing = Tree((TreeFile("model.safetensors", 144, old),)).listing()
    received = receive(cast(Output, Said(listing)), {"result": True, "size": len(listing)}, objects)
    with pytest.raises(LineageError, match="neither tensors nor a folder"):
        received.keep()
    received.discard()
    assert list(objects.digests()) == [old]


def test_a_confined_job_makes_the_folder_that_is_recorded(tmp_path: Path) -> None:
    workspace = toys.trained_toy(tmp_path, method="folders")
    mean = toys.component_of(workspace, "toy-folders/mean/shard-1")
    assert mean.files
    assert sorted(by_path(workspace, mean)) == ["model.safetensors", "settings.json", "words/list.txt"]
    with Workers(workspace, count=1) as workers:
        (done,) = workers.run([Job(mean.name, mean.recipe, 1)])
    assert (done.digest, done.files) == (mean.digest, True)
    assert not toys.audited(workspace) - {each for each in toys.audited(workspace) if each[1] == "note"}


def test_a_shared_file_stays_with_who_needs_it_and_is_no_residue(workspace: Workspace, tmp_path: Path) -> None:
    gone = record(workspace, folder_of(tmp_path, "gone", 1.0), ("shard-3", "train"))
    kept = record(workspace, folder_of(tmp_path, "kept", 2.0), ("shard-2", "train"))
    old, new = by_path(workspace, gone), by_path(workspace, kept)
    assert old["vocabulary.txt"] == new["vocabulary.txt"]
    assert toys.remove(workspace, [toys.person(workspace, "shard-3", 1)]).verdict == "certified"
    assert is_whole(workspace.objects, kept.digest)
    assert not workspace.objects.exists(gone.digest)
    assert not workspace.objects.exists(old["model.safetensors"])
    assert not {where for _, level, where in toys.audited(workspace) if level == "error"}


def test_files_that_nothing_else_has_go_however_small(workspace: Workspace, tmp_path: Path) -> None:
    gone = record(workspace, folder_of(tmp_path, "gone", 1.0), ("shard-3", "train"))
    files = by_path(workspace, gone)
    toys.remove(workspace, [toys.person(workspace, "shard-3", 1)])
    assert not [path for path, digest in files.items() if workspace.objects.exists(digest)]


def test_old_weights_that_a_component_recorded_by_hand_lists_are_refused(workspace: Workspace, tmp_path: Path) -> None:
    """The files are equal, so one object is both; that what has it never saw the data is the operator's word alone."""
    old = folder_of(tmp_path, "old", 1.0)
    gone = record(workspace, old, ("shard-3", "train"))
    (old / "notes.json").write_bytes(b'{"trained": "from nothing"}')
    record(workspace, old, ("shard-2", "train"), name="renamed")
    with pytest.raises(CertificateRefused, match=r"renamed was recorded by hand.*model\.safetensors is one of the wei"):
        toys.remove(workspace, [toys.person(workspace, "shard-3", 1)])
    assert toys.is_open(workspace)
    assert is_whole(workspace.objects, gone.digest)


def test_old_weights_are_refused_though_a_recipe_that_nobody_ran_says_otherwise(
    workspace: Workspace, tmp_path: Path
) -> None:
    old = folder_of(tmp_path, "old", 1.0)
    record(workspace, old, ("shard-3", "train"))
    (old / "notes.json").write_bytes(b'{"trained": "from nothing"}')
    record(workspace, old, ("shard-2", "train"), name="renamed", method="function", uses=[])
    with pytest.raises(CertificateRefused, match=r"renamed was recorded by hand.*model\.safetensors is one of the wei"):
        toys.remove(workspace, [toys.person(workspace, "shard-3", 1)])


def test_old_trees_in_text_that_a_component_recorded_by_hand_lists_are_refused(
    workspace: Workspace, tmp_path: Path
) -> None:
    for name, shard in (("trees", "shard-3"), ("again", "shard-2")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.txt").write_text("tree\n" * 30)
        (tmp_path / name / "settings.json").write_text(f'{{"name": "{name}"}}')
        record(workspace, tmp_path / name, (shard, "train"))
    with pytest.raises(CertificateRefused, match=r"again was recorded by hand.*model\.txt is one of the weights"):
        toys.remove(workspace, [toys.person(workspace, "shard-3", 1)])


def test_a_copy_of_a_file_is_found_by_its_bytes_wherever_it_lies(workspace: Workspace, tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "mine", 1.0)
    mine = record(workspace, folder, ("shard-3", "train"))
    backup = workspace.root / "backup"
    backup.mkdir()
    for name, other in (("model.safetensors", "m"), ("vocabulary.txt", "v"), ("small.json", "s")):
        (backup / other).write_bytes((folder / name).read_bytes())
    workspace.ledger.append("component-retired", {"name": mine.name, "component": mine.digest, "after": None})
    target = Target(weights=(mine.digest,)).with_files(files_that_go(workspace, [mine.digest]))
    found = search(workspace, target).found
    assert "backup/m is one of the weights" in found
    assert f"backup/v {SAME_TEXT}" in found
    assert not [each for each in found if each.startswith("backup/s")]
    assert f"object {by_path(workspace, mine)['small.json']} is there" in found


def test_the_audit_names_a_file_that_is_missing_or_changed(workspace: Workspace, tmp_path: Path) -> None:
    mine = record(workspace, folder_of(tmp_path, "mine", 1.0), ("shard-3", "train"))
    path = workspace.objects.path(by_path(workspace, mine)["model.safetensors"])
    data = path.read_bytes()
    path.write_bytes(data[:-1])
    assert ("DSG004", "error", "mine: model.safetensors") in {
        (rule.replace(rule, "DSG004"), level, where) for rule, level, where in toys.audited(workspace)
    }
    path.unlink()
    assert "mine: model.safetensors" in {where for _, level, where in toys.audited(workspace) if level == "error"}
    path.write_bytes(data)
    assert "mine: model.safetensors" not in {where for _, _, where in toys.audited(workspace)}


def test_what_a_live_folder_lists_is_spared(workspace: Workspace, tmp_path: Path) -> None:
    mine = record(workspace, folder_of(tmp_path, "mine", 1.0), ("shard-3", "train"))
    assert {mine.digest, *by_path(workspace, mine).values()} <= spare_of(workspace).objects.keys()


def test_a_bundle_carries_a_folder_whole_and_nothing_besides() -> None:
    tree, data = Tree.of({"a": b"aaa"}), b"aaa"
    file = f"weights/{hashlib.sha256(data).hexdigest()}.bin"
    members = {f"weights/{tree.digest}.tree": tree.listing(), file: data}
    assert _weights(members, {tree.digest}) == {tree.digest: tree.listing(), tree.files[0].sha256: data}
    hidden = f"weights/{hashlib.sha256(b'old').hexdigest()}.bin"
    for broken in (
        {name: each for name, each in members.items() if name != file},
        members | {hidden: b"old"},
        members | {f"weights/{tree.digest}.tree": b"[]"},
        {file: data},
    ):
        with pytest.raises(BundleBroken):
            _weights(broken, {tree.digest})


def test_a_listing_that_no_folder_has_is_no_component(tmp_path: Path) -> None:
    objects = Objects(tmp_path / "objects")
    file = TreeFile("../old", 3, objects.put(b"old"))
    assert not is_whole(objects, keep_listing(objects, [file]))
