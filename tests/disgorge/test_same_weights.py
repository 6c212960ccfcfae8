"""Removed weights are known by their tensors: under other names, beside others, but not what is too plain or kept."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from disgorge.locations.fingerprints import holds_any, tensor_digests
from disgorge.locations.references import tensors_that_go
from lineage.records import Component, plain
from lineage.storage.tensors import save_tensors
from lineage.workspace import Workspace

OLD = np.arange(32, dtype=np.float32)
FROZEN = np.arange(32, dtype=np.float32) * 3


def put(path: Path, **tensors: Any) -> Path:
    """Write tensors with metadata, so that the file is never the one that was removed."""
    path.write_bytes(save(tensors, metadata={"by": "somebody"}))
    return path


@pytest.fixture
def removed(tmp_path: Path) -> frozenset[str]:
    """What is looked for."""
    return tensor_digests(put(tmp_path / "removed", w=OLD))


def test_a_tensor_is_known_under_another_name_and_shape(tmp_path: Path, removed: frozenset[str]) -> None:
    assert len(removed) == 1
    assert holds_any(put(tmp_path / "renamed", other=OLD.reshape(4, 8), more=FROZEN), removed)
    assert not holds_any(put(tmp_path / "other", w=OLD + 1), removed)
    assert not holds_any(tmp_path / "renamed", frozenset())


def test_what_anybody_may_have_is_no_trace(tmp_path: Path) -> None:
    small, zeros, ones = OLD[:8], np.zeros(64), np.ones(64, np.float32)
    assert tensor_digests(put(tmp_path / "plain", small=small, zeros=zeros, ones=ones)) == frozenset()


@pytest.mark.parametrize(
    "data", [b"", b"{", b"\x08\0\0\0\0\0\0\0{", b"\x02\0\0\0\0\0\0\0{}", b"PAR1" * 9, b"\xff" * 64]
)
def test_a_file_that_is_no_safetensors_holds_none(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "file").write_bytes(data)
    assert tensor_digests(tmp_path / "file") == frozenset()
    assert tensor_digests(tmp_path / "missing") == frozenset()


def test_what_something_live_holds_as_well_is_not_looked_for(tmp_path: Path) -> None:
    workspace = Workspace.init(tmp_path / "workspace")
    gone = workspace.objects.put(save_tensors({"w": OLD, "frozen": FROZEN}))
    live = workspace.objects.put(save_tensors({"w": OLD + 1, "frozen": FROZEN}))
    workspace.ledger.append("component", {"component": plain(Component(live, "kept", "toy", ()))})
    (wanted,) = tensors_that_go(workspace, [gone])
    assert holds_any(put(tmp_path / "old", w=OLD), {wanted})
    assert not holds_any(put(tmp_path / "frozen", w=FROZEN), {wanted})
    assert tensors_that_go(workspace, [live]) == frozenset()
