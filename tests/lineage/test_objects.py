"""Objects come back as they were, or not at all; equal tensors make equal bytes."""

import hashlib
import json
import os
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lineage.errors import BadInput, DigestMismatch, LineageError, UnknownRecord
from lineage.storage.objects import Objects, cached_sha256
from lineage.storage.tensors import load_tensors, save_tensors
from tests.toys import no_file_larger_than

ARRAYS = hnp.arrays(
    st.sampled_from(["<f4", "<f8", "<f2", "<i4", "<i8", "u1", "?", ">f4", ">i8"]),
    hnp.array_shapes(min_dims=0, max_side=4),
)
"""Scalars, big-endian numbers and NaN included: a checkpoint may hold them."""


@pytest.fixture
def objects(tmp_path: Path) -> Objects:
    return Objects(tmp_path / "objects")


@settings(max_examples=200, deadline=None)
@given(tensors=st.dictionaries(st.text(min_size=1, max_size=8), ARRAYS, min_size=1, max_size=4), data=st.data())
def test_tensors_round_trip_and_their_bytes_do_not_depend_on_order_or_layout(
    tensors: dict[str, np.ndarray], data: st.DataObject
) -> None:
    if "__metadata__" in tensors:
        return
    saved = save_tensors(tensors)
    back = load_tensors(saved)
    assert set(back) == set(tensors)
    for name, tensor in tensors.items():
        assert back[name].dtype == tensor.dtype.newbyteorder("<")
        assert back[name].tobytes() == tensor.astype(tensor.dtype.newbyteorder("<")).tobytes()
        assert back[name].shape == tensor.shape
    shuffled = {name: np.array(tensors[name], order="F") for name in data.draw(st.permutations(sorted(tensors)))}
    assert save_tensors(shuffled) == saved


def test_tensors_carry_no_metadata() -> None:
    saved = save_tensors({"w": np.ones(2, np.float32)})
    header = json.loads(saved[8 : 8 + int.from_bytes(saved[:8], "little")])
    assert list(header) == ["w"]


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        ({}, "no tensor to save"),
        ({"w": np.array([object()])}, "tensor 'w' holds object"),
        ({"w": np.array(["text"])}, "tensor 'w' holds <U4"),
        ({"w": np.ones(2, np.complex128)}, "cannot hold"),
    ],
)
def test_what_safetensors_cannot_hold_is_refused(tensors: dict[str, np.ndarray], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        save_tensors(tensors)


@pytest.mark.parametrize("data", [b"", b"\x80\x04pickle", b"\xff" * 64])
def test_other_bytes_are_no_tensors(data: bytes) -> None:
    with pytest.raises(BadInput, match="not a safetensors file"):
        load_tensors(data)


def test_put_and_get(objects: Objects) -> None:
    assert list(objects.digests()) == []
    digest = objects.put(b"weights")
    assert digest == hashlib.sha256(b"weights").hexdigest()
    assert objects.put(b"weights") == digest
    assert objects.path(digest) == objects.folder / digest[:2] / digest
    assert (objects.get(digest), objects.exists(digest)) == (b"weights", True)
    other = objects.put(b"report")
    assert list(objects.digests()) == sorted([digest, other])
    assert objects.check() == []
    assert (objects.delete(digest), objects.delete(digest), objects.exists(digest)) == (True, False, False)
    with pytest.raises(UnknownRecord, match=f"no object {digest}"):
        objects.get(digest)


def test_bytes_changed_on_disk_are_never_handed_out(objects: Objects) -> None:
    digest, other = objects.put(b"weights"), objects.put(b"other")
    objects.path(digest).write_bytes(b"w3ights")
    with pytest.raises(DigestMismatch, match="changed since they were stored"):
        objects.get(digest)
    assert objects.check() == [digest]
    assert objects.put(b"weights") == digest  # storing again mends it
    assert objects.get(digest) == b"weights"
    assert objects.check() == []
    assert objects.get(other) == b"other"


@pytest.mark.parametrize("name", ["", "abc", "../" * 22, "A" * 64, "g" * 64])
def test_a_name_that_is_no_digest_reaches_no_file(objects: Objects, name: str) -> None:
    for use in (objects.get, objects.exists, objects.delete):
        with pytest.raises(UnknownRecord, match="not a digest"):
            use(name)


def test_a_full_disk_leaves_nothing_behind(objects: Objects) -> None:
    kept = objects.put(b"kept")
    with pytest.raises(LineageError, match="cannot be written") as raised, no_file_larger_than(100):
        objects.put(b"x" * 1000)
    assert "\n" not in str(raised.value)
    assert list(objects.digests()) == [kept]
    assert [path.name for path in objects.folder.rglob("*") if path.is_file()] == [kept]


@pytest.mark.parametrize("age", [0, 1, 2])
def test_a_file_with_times_in_whole_seconds_is_hashed_again_while_a_change_may_not_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, age: int
) -> None:
    """A network file system ticks once a second: inode, size and times stay the same, the bytes do not."""
    file = tmp_path / "file"
    now = time.time_ns() // 10**9 * 10**9
    stamp = (1, 3, now, now)
    monkeypatch.setattr("lineage.storage.objects.file_stamp", lambda path: stamp)
    monkeypatch.setattr("lineage.storage.objects.time.time_ns", lambda: now + age * 10**9 + 999_999_999)
    file.write_bytes(b"one")
    before = cached_sha256(file)
    file.write_bytes(b"two")
    assert cached_sha256(file) == hashlib.sha256(b"two").hexdigest() != before


def test_a_file_that_stays_as_it_is_is_hashed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"one")
    monkeypatch.setattr("lineage.storage.objects.time.time_ns", lambda: os.stat(file).st_ctime_ns + 10**10)
    digest = cached_sha256(file)
    monkeypatch.setattr("lineage.storage.objects.sha256_of", lambda path: pytest.fail("hashed again"))
    assert cached_sha256(file) == digest
