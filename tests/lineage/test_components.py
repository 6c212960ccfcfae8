"""Components that are folders: taken whole or refused, by digest, piece by piece; no file stands for another."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from disgorge.locations.fingerprints import tensor_digests
from lineage.errors import BadInput, LineageError
from lineage.records import Component, digest_of, plain
from lineage.storage.components import (
    delete_component,
    files_in,
    files_of,
    is_there,
    is_whole,
    keep_folder,
    keep_listing,
    lay_out,
    refuse_names,
    require_whole,
    tensors_in,
    tree_of,
)
from lineage.storage.objects import Objects
from lineage.storage.tensors import load_tensors, map_tensors, save_tensors, write_tensors
from lineage.storage.tree import Tree, TreeFile
from tests.tier import amount

FILES = {"adapter/weights.bin": b"\1\2" * 50, "settings.json": b'{"rank": 8}', "words.txt": b"one\ntwo\n"}


def write(folder: Path, files: dict[str, bytes] = FILES) -> Path:
    """Write files into a folder."""
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture
def objects(tmp_path: Path) -> Objects:
    """An empty store."""
    return Objects(tmp_path / "objects")


def test_a_folder_is_the_tree_of_its_files_and_comes_out_as_it_went_in(tmp_path: Path, objects: Objects) -> None:
    digest = keep_folder(objects, write(tmp_path / "made"))
    assert digest == Tree.of(FILES).digest
    assert files_of(objects, digest) == Tree.of(FILES).files
    assert is_whole(objects, digest)
    for _ in lay_out(objects, files_of(objects, digest), tmp_path / "again"):
        pass
    assert {path: (tmp_path / "again" / path).read_bytes() for path, _ in files_in(tmp_path / "again")} == FILES
    assert len(list(objects.digests())) == len(FILES) + 1
    assert not list(objects.folder.rglob(".aside-*"))


def test_a_component_of_tensors_is_no_folder(objects: Objects) -> None:
    digest = objects.put(save_tensors({"w": np.ones(3)}))
    assert tree_of(objects, digest) is None
    assert is_whole(objects, digest)


LIES: dict[str, Callable[[Path], object]] = {
    "a link": lambda folder: (folder / "old.bin").symlink_to("/etc/hostname"),
    "a link to a folder": lambda folder: (folder / "old").symlink_to("/etc"),
    "a pipe": lambda folder: os.mkfifo(folder / "pipe"),
    "a hidden file": lambda folder: (folder / ".old").write_bytes(b"old"),
    "a hidden folder, far inside": lambda folder: write(folder, {"a/b/.cache/old.bin": b"old"}),
    "compiled Python": lambda folder: write(folder, {"code.pyc": b"old"}),
    "a folder of compiled Python": lambda folder: write(folder, {"__pycache__/code.txt": b"old"}),
    "a name with a line break": lambda folder: write(folder, {"we\nights": b"old"}),
    "a name that turns its direction": lambda folder: write(folder, {"we\u202eights": b"old"}),
    "a name that ends with a space": lambda folder: write(folder, {"weights ": b"old"}),
    "a name with a backslash": lambda folder: write(folder, {"we\\ights": b"old"}),
    "half a character": lambda folder: Path(os.fsdecode(bytes(folder) + b"/\xff")).write_bytes(b"old"),
}


@pytest.mark.parametrize("lie", LIES)
def test_what_a_person_who_looks_would_not_see_is_refused(tmp_path: Path, objects: Objects, lie: str) -> None:
    folder = write(tmp_path / "made")
    files_in(folder)
    LIES[lie](folder)
    with pytest.raises(BadInput, match=r"; (rename it|leave it out|put the file itself there)"):
        keep_folder(objects, folder)
    assert not list(objects.digests())


@pytest.mark.parametrize("paths", [["../old"], ["a/../old"], ["/old"], ["a", "a"], ["a", "a/b"], ["a//b"], [""], []])
def test_paths_that_no_folder_has_are_refused(paths: list[str], objects: Objects) -> None:
    with pytest.raises(BadInput):
        refuse_names(paths)
    digest = keep_listing(objects, [TreeFile(path, 3, digest_of(path)) for path in paths])
    assert not is_whole(objects, digest)
    assert files_of(objects, digest) == ()


def test_an_empty_folder_and_a_file_are_no_component(tmp_path: Path, objects: Objects) -> None:
    (tmp_path / "empty" / "inside").mkdir(parents=True)
    for place in (tmp_path / "empty", write(tmp_path / "made") / "words.txt", tmp_path / "missing"):
        with pytest.raises(BadInput, match=r"at least one file|is not a folder"):
            keep_folder(objects, place)


def test_a_file_that_is_missing_or_changed_makes_the_component_broken(tmp_path: Path, objects: Objects) -> None:
    digest = keep_folder(objects, write(tmp_path / "made"))
    weights = objects.path(files_of(objects, digest)[0].sha256)
    data = weights.read_bytes()
    weights.write_bytes(data[::-1])
    assert is_there(objects, digest)
    assert not is_whole(objects, digest)
    weights.unlink()
    assert not is_there(objects, digest)
    with pytest.raises(LineageError, match="purged, or never copied"):
        require_whole(objects, digest)
    objects.put(data)
    require_whole(objects, digest)


def test_what_another_component_has_as_well_stays(tmp_path: Path, objects: Objects) -> None:
    one, other = (
        keep_folder(objects, write(tmp_path / name, FILES | {"adapter/weights.bin": name.encode()}))
        for name in ("one", "other")
    )
    delete_component(objects, one, keep=[other])
    assert is_whole(objects, other)
    assert len(list(objects.digests())) == len(FILES) + 1


def test_tensors_in_a_folder_are_compared_as_tensors(tmp_path: Path, objects: Objects) -> None:
    tensors = {"w": np.arange(6, dtype=ml_dtypes.bfloat16).reshape(2, 3), "h": np.ones(2, np.float16)}
    folder = write(tmp_path / "made")
    write_tensors(folder / "model.safetensors", tensors)
    found = tensors_in(objects, keep_folder(objects, folder))
    assert set(found) == {*FILES, "model.safetensors: w", "model.safetensors: h"}
    assert found["model.safetensors: w"].tobytes() == tensors["w"].tobytes()
    assert bytes(found["words.txt"]) == FILES["words.txt"]


def test_tensors_are_the_same_bytes_however_they_are_written_and_read(tmp_path: Path) -> None:
    names = ["bool", "int8", "uint16", "float16", "float32", "float64", "int64", "complex64"]
    arrays = {name: np.arange(4).astype(name) for name in names} | {"empty": np.zeros((0, 3)), "one": np.array(2.5)}
    arrays |= {name: np.arange(4).astype(getattr(ml_dtypes, name)) for name in ("bfloat16", "float8_e5m2")}
    data = save_tensors(arrays)
    write_tensors(tmp_path / "written", arrays)
    assert (tmp_path / "written").read_bytes() == data
    for found in (load_tensors(data), map_tensors(tmp_path / "written")):
        assert {name: (each.dtype, each.shape, each.tobytes()) for name, each in found.items()} == {
            name: (each.dtype, each.shape, each.tobytes()) for name, each in arrays.items()
        }
    mapped = map_tensors(tmp_path / "written")
    mapped["float32"][0] = 7
    assert (tmp_path / "written").read_bytes() == data


def test_records_of_components_without_files_have_the_digests_they_had() -> None:
    component = Component("ab" * 32, "mine", "head", ())
    assert "files" not in plain(component)
    assert plain(replace(component, files=True)) == {**plain(component), "files": True}


@contextmanager
def anonymous_memory(most: int) -> Iterator[None]:
    """Fail where this process takes more anonymous memory inside the block, in bytes, than so much."""
    peak, start, done = 0, _anonymous(), threading.Event()

    def look() -> None:
        nonlocal peak
        while not done.wait(0.005):
            peak = max(peak, _anonymous())

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
    assert peak - start < most, f"{(peak - start) >> 20} MiB"


def _anonymous() -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssAnon"))
    return int(line.split()[1]) << 10


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="anonymous memory is read from /proc")
def test_a_large_component_takes_little_memory(tmp_path: Path, objects: Objects) -> None:
    """2 GB in the second tier, at most 300 MB of anonymous memory; a share of both in the first."""
    size, most = amount(192 << 20, 2 << 30), amount(48 << 20, 300 << 20)
    folder = tmp_path / "made"
    folder.mkdir()
    whole = np.memmap(tmp_path / "w", np.float32, "w+", shape=(size // 4,))
    whole[:] = 1
    whole[4096] = 2
    with anonymous_memory(most):
        write_tensors(folder / "model.safetensors", {"w": whole})
        digest = keep_folder(objects, folder)
        assert is_whole(Objects(objects.folder), digest)
        (weights,) = files_of(objects, digest)
        assert len(tensor_digests(objects.path(weights.sha256))) == 1
        (mapped,) = tensors_in(objects, digest).values()
        assert mapped[4096] == 2
        delete_component(objects, digest, keep=[])
    assert not list(objects.digests())
