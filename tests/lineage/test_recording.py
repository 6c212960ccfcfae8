"""Any training can be recorded; a block that fails, saves nothing or names nothing known leaves no trace."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from lineage.catalog.catalog import Catalog
from lineage.errors import BadInput, UnknownRecord
from lineage.recording import recording
from lineage.records import Component, Cost, Role, Use
from lineage.storage.tensors import load_tensors, save_tensors
from lineage.workspace import Workspace
from tests.disgorge.cli.conftest import fine
from tests.lineage.test_catalog import World, hexed, item

WEIGHTS = {"weight": np.arange(6, dtype=np.float32).reshape(2, 3)}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Two shards and a trunk; Bob's shard was cut."""
    world = World(tmp_path)
    world.shard("alice", [item(1)])
    bob = world.shard("bob", [item(2), item(3)])
    world.withdraw(bob, world.shard("bob", [item(2)], derived_from=bob.digest))
    world.component("trunk", [(bob.digest, Role.TRAIN)])
    return world.workspace()


def shard(workspace: Workspace, name: str) -> str:
    with Catalog.of(workspace) as catalog:
        return catalog.shard(name).digest


def test_what_was_used_is_recorded_with_weights_and_cost(workspace: Workspace) -> None:
    seconds = iter([10.0, 12.5])
    uses = [
        ("alice", "train"),
        (shard(workspace, "bob"), "select"),
        Use(hexed("trunk"), Role.INITIALIZE),
        ("alice", "train"),
    ]
    with recording(workspace, kind="head", name="mine", uses=uses, timer=lambda: next(seconds)) as part:
        assert part.component is None
        part.count(examples=10)
        part.count(examples=10, steps=1)
        part.save({"weight": np.zeros(1)})
        part.save(WEIGHTS)  # the last one counts
    with Catalog.of(workspace) as catalog:
        recorded = catalog.component("mine")
    assert recorded == part.component
    assert recorded.uses == (
        Use(shard(workspace, "alice"), Role.TRAIN),
        Use(shard(workspace, "bob"), Role.SELECT),
        Use(hexed("trunk"), Role.INITIALIZE),
    )
    assert (recorded.kind, recorded.cost, recorded.recipe) == ("head", Cost(20, 1, 2.5), {})
    assert np.array_equal(load_tensors(workspace.objects.get(recorded.digest))["weight"], WEIGHTS["weight"])
    with Catalog.of(workspace) as catalog:
        assert {row[3] for row in catalog.trace("alice", up=False, down=True).rows()} == {"mine"}


def test_a_name_is_what_is_live_and_a_digest_whatever_was(workspace: Workspace) -> None:
    with Catalog.of(workspace) as catalog:
        withdrawn, live = (found.digest for found in catalog.shards(live=False) if found.name == "bob")
    for named, expected in (("bob", live), (withdrawn, withdrawn)):
        with recording(workspace, kind="head", name="mine", uses=[(named, "train")], recipe={"seed": 1}) as part:
            part.save(WEIGHTS)
        assert isinstance(part.component, Component)
        assert part.component.uses == (Use(expected, Role.TRAIN),)
        assert part.component.recipe == {"seed": 1}


@pytest.mark.parametrize(
    ("name", "uses", "error", "words"),
    [
        ("mine", [("alcie", "train")], UnknownRecord, "no shard 'alcie' is recorded; did you mean 'alice'"),
        ("mine", [("truck", "train")], UnknownRecord, "no component 'truck' is recorded; did you mean 'trunk'"),
        ("mine", [("alice", "train"), ("f" * 64, "train")], UnknownRecord, "is recorded"),
        ("mine", [("alice", "trained")], BadInput, "unknown role 'trained'; use one of train, initialize"),
        ("mine", [], BadInput, "no uses"),
        ("", [("alice", "train")], BadInput, "a name and a kind"),
    ],
)
def test_bad_uses_are_refused_before_anything_is_trained(
    workspace: Workspace, name: str, uses: Sequence[tuple[str, str]], error: type[Exception], words: str
) -> None:
    before = workspace.ledger.head()
    with pytest.raises(error, match=words), recording(workspace, kind="head", name=name, uses=uses):
        pytest.fail("the block ran")
    assert workspace.ledger.head() == before


def raises() -> dict[str, np.ndarray]:
    raise RuntimeError("out of memory")


@pytest.mark.parametrize(
    ("train", "error", "words"),
    [
        (lambda: None, BadInput, r"'mine': the block ended without save\(tensors\)"),
        (raises, RuntimeError, "out of memory"),
        (lambda: {}, BadInput, "no tensor to save"),
        (lambda: {"w": np.array(["text"])}, BadInput, "tensor 'w' holds"),
    ],
)
def test_a_block_that_saves_nothing_or_fails_leaves_no_trace(
    workspace: Workspace, train: Callable[[], dict[str, np.ndarray] | None], error: type[Exception], words: str
) -> None:
    before = workspace.ledger.head()

    def run() -> None:
        with recording(workspace, kind="head", name="mine", uses=[("alice", "train")]) as part:
            if (tensors := train()) is not None:
                part.save(tensors)

    with pytest.raises(error, match=words):
        run()
    assert workspace.ledger.head() == before
    assert list(workspace.objects.digests()) == []


def test_torch_tensors_are_taken_as_they_are(workspace: Workspace) -> None:
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    layer = torch.nn.Linear(3, 2)
    before = workspace.ledger.head()
    with recording(workspace, kind="head", name="mine", uses=[("alice", "train")]) as part:
        part.save({**layer.state_dict(), "turned": layer.weight.T})  # with a gradient, and not contiguous
    assert part.component is not None
    saved = load_tensors(workspace.objects.get(part.component.digest))
    assert np.array_equal(saved["turned"], layer.weight.detach().numpy().T)
    assert workspace.ledger.head() != before


@pytest.mark.parametrize("name", ["bfloat16", "float16", "float8_e4m3fn", "float8_e5m2"])
def test_small_floats_of_torch_pass_bit_for_bit(workspace: Workspace, name: str) -> None:
    torch = pytest.importorskip("torch")
    saved = pytest.importorskip("safetensors.torch").load
    tensor = torch.linspace(-3, 3, 40).reshape(5, 8).to(getattr(torch, name))
    with recording(workspace, kind="head", name="mine", uses=[("alice", "train")]) as part:
        part.save({"w": tensor, "turned": tensor.T, "one": tensor[0, 0]})
    assert part.component is not None
    data = workspace.objects.get(part.component.digest)
    found = saved(data)
    assert found["w"].dtype == tensor.dtype
    assert torch.equal(found["w"].view(torch.uint8), tensor.view(torch.uint8))
    assert torch.equal(found["turned"].T.contiguous().view(torch.uint8), tensor.view(torch.uint8))
    again = load_tensors(data)
    assert (again["w"].dtype.name, again["one"].shape) == (name, ())
    assert save_tensors(again) == data


def test_the_example_runs_as_it_says_and_what_it_recorded_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("sklearn")
    script = Path(__file__).parents[2] / "examples" / "record_plain_torch.py"
    done = subprocess.run([sys.executable, str(script), str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.splitlines()) == ["alice shard train digits", "bob shard select digits"]
    monkeypatch.chdir(tmp_path)
    fine("trace digits")
    fine("audit")
