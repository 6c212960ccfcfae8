"""The device that a model file names: in the recipe, around a method's code, in the environment, before a removal.

No test here has a GPU. What must hold on one is tried as far as it goes without: on torch's device without memory, and
by what a machine says that has none. The rest ``benchmarks/gpu.py`` tries.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.gpu import measure, rows
from disgorge.api.plans import plan as plan_of
from disgorge.api.workspace import doctor
from disgorge.errors import BadModel, EnvironmentDiffers, ExecutionFailed
from disgorge.layout import layout_of
from disgorge.method import method_named, recipe_for
from disgorge.methods.shared.tensors import generator_of
from disgorge.release.attest import attest_releases
from disgorge.request.workflow.approval import approve_plan
from disgorge.request.workflow.plan_request import plan_request
from disgorge.training import environment as environments
from disgorge.training.ask import ask, question_about
from disgorge.training.environment import UNREPEATED, can_be_reused, cannot_repeat, differences, environment_in_use
from disgorge.training.model_file import model_spec
from disgorge.training.recipe import Job, device_of
from disgorge.training.runners.local import Workers
from disgorge.training.sandbox.levels import Level, Reached
from disgorge.training.sandbox.nvidia import SHARED, Gpu, lacking
from disgorge.training.torch_settings import torch_set
from lineage.records import Component, Selector, digest_of, plain
from lineage.storage.tensors import as_array
from lineage.workspace import Workspace
from tests import toys
from tests.disgorge.methods.taught import assembled, train
from tests.in_process import InProcessRunner

pytestmark = pytest.mark.skipif(
    not lacking(), reason="this machine has a GPU; benchmarks/gpu.py tries what is tried on one"
)

LEAST = {"release": "r", "method": "averages", "core": ["core"], "shards": ["shard-1"]}
H100 = {"model": "NVIDIA H100 80GB HBM3", "driver": "550.54.15", "cuda": "12.4", "cudnn": "90100", "capability": "9.0"}


def test_device_and_determinism_stand_in_the_recipe_and_nowhere_where_they_say_nothing() -> None:
    toy = toys.toy_of("averages", 3)
    spec = model_spec({**LEAST, "device": "cuda", "deterministic": False}, name="m")
    assert (spec.device, spec.deterministic) == ("cuda", False)
    assert plain(spec).items() >= {"device": "cuda", "deterministic": False}.items()
    assert not plain(toy.spec).keys() & {"device", "deterministic"}, "compositions of before keep their digests"
    assert (
        digest_of(replace(toy.spec, device="cpu")) == digest_of(toy.spec) != digest_of(replace(toy.spec, device="cuda"))
    )


def test_a_recipe_names_the_device_of_its_model(workspace: Workspace) -> None:
    method, spec = method_named("averages"), toys.toy_of("averages", 3).spec
    shards = toys.live_shards(workspace)
    digests = {("shard", name): each.digest for name, each in shards.items()}
    scale = layout_of(method, spec, shards)[0]
    usual = recipe_for(method, scale, digests, spec)
    other = recipe_for(method, scale, digests, replace(spec, device="cuda", deterministic=False))
    assert usual | {"device": "cuda", "deterministic": False} == other
    assert (device_of(usual), device_of(other)) == ("cpu", "cuda")
    question = {"composition": {"spec": plain(replace(spec, device="cuda"))}}
    assert device_of({"question": question}) == "cuda"
    assert device_of({"layout": {"spec": plain(replace(spec, device="cuda"))}}) == "cpu"


@pytest.mark.parametrize("said", ["gpu", "cuda:0", "", 0, None])
def test_another_device_is_refused(said: Any) -> None:
    with pytest.raises(BadModel, match=r"m: device: Input should be 'cpu' or 'cuda'"):
        model_spec({**LEAST, "device": said}, name="m")
    with (
        pytest.raises(ExecutionFailed, match=r"unknown device .*; a recipe names cpu or cuda"),
        torch_set(threads=1, device=said),
    ):
        pass


def test_a_method_that_cannot_says_so_in_a_line(workspace: Workspace) -> None:
    toy = toys.toy_of("compartmental_diffusion", 3)
    with pytest.raises(
        BadModel, match=r"device: compartmental_diffusion trains on the cpu alone; take `device: cuda` out"
    ):
        layout_of(method_named(toy.spec.method), replace(toy.spec, device="cuda"), {})


def test_torch_is_set_inside_and_as_it_was_afterwards() -> None:
    before = (torch.get_num_threads(), torch.get_deterministic_debug_mode())
    with torch_set(threads=3):
        assert (torch.get_num_threads(), torch.get_deterministic_debug_mode()) == (3, 2)
    with torch_set(threads=1, deterministic=False):
        assert torch.get_deterministic_debug_mode() == 0
    with pytest.raises(ZeroDivisionError), torch_set(threads=2):
        raise ZeroDivisionError
    assert (torch.get_num_threads(), torch.get_deterministic_debug_mode()) == before


def scattered() -> None:
    """Do what torch has no deterministic kernel for, on any device."""
    torch.zeros(4).put_(torch.tensor([0, 0]), torch.tensor([1.0, 2.0]))


def test_an_operation_that_does_not_repeat_is_named_with_the_way_on() -> None:
    with pytest.raises(
        ExecutionFailed, match=r"deterministic implementation.*write `deterministic: false` in the model file"
    ):
        with torch_set(threads=1):
            scattered()
    with torch_set(threads=1, deterministic=False):
        scattered()
    with pytest.raises(RuntimeError, match=r"^other$"), torch_set(threads=1):
        raise RuntimeError("other")


@pytest.mark.skipif(torch.version.cuda is not None, reason="this torch is built with CUDA, and finds no GPU otherwise")
def test_a_torch_that_can_use_no_gpu_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    with pytest.raises(
        ExecutionFailed, match=r"trains on device cuda, and torch .* is built without CUDA; install a build"
    ):
        with torch_set(threads=1, device="cuda"):
            pass
    assert os.environ.pop("CUBLAS_WORKSPACE_CONFIG") == ":4096:8"


def test_tensors_become_arrays_wherever_they_lie() -> None:
    learned = torch.ones(2, requires_grad=True)
    found = as_array(learned)
    assert isinstance(found, np.ndarray)
    assert (found.tolist(), as_array(np.zeros(1)).tolist()) == ([1.0, 1.0], [0.0])


@pytest.mark.parametrize("name", ["tangent_composition", "shard_graph"])
def test_a_method_makes_every_tensor_on_the_device_that_is_set(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On torch's device without memory, which refuses operands of another one as CUDA does; values are made up."""
    toy, method = toys.toy_of(name, 3), method_named(name)
    spec = replace(toy.spec, parameters=dict(toy.spec.parameters) | {"core_epochs": 1, "epochs": 1})
    fetched = list[torch.device]()

    def cpu(tensor: torch.Tensor) -> torch.Tensor:
        fetched.append(tensor.device)
        return torch.zeros(tensor.shape, dtype=tensor.dtype, device="cpu")

    def tolist(tensor: torch.Tensor) -> list[int]:
        return [1, 6, 6] if tensor.shape == (3,) else [0] * len(tensor)  # an image's shape, or labels

    monkeypatch.setattr(torch.Tensor, "cpu", cpu)
    monkeypatch.setattr(torch.Tensor, "tolist", tolist)
    monkeypatch.setattr(torch, "bincount", lambda labels, minlength: torch.zeros(minlength, dtype=torch.int64))
    monkeypatch.setattr(f"disgorge.methods.{name}.train.generator_of", lambda seed: None)  # it has none
    with torch.device("meta"):
        parts = train(method, spec, toy.items)
        model = assembled(method, spec, parts)
        assert model.scores(toy.items["shard-1"].unnamed()).shape == (len(toy.items["shard-1"]),)
    assert len(parts) > 5
    assert {device.type for device in fetched} == {"meta"}


def test_a_generator_is_on_the_device_that_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    assert generator_of(7).device.type == "cpu"
    assert torch.equal(
        torch.randn(3, generator=generator_of(7)), torch.randn(3, generator=torch.Generator().manual_seed(7))
    )
    with torch.device("meta"), pytest.raises(RuntimeError, match=r"(?i)meta"):
        generator_of(7)


def test_training_that_a_machine_cannot_do_is_not_started(workspace: Workspace) -> None:
    scale = toys.component_of(workspace, "toy-averages/scale")
    jobs = [Job(scale.name, scale.recipe, 1), Job("other", scale.recipe | {"device": "cuda"}, 1)]
    with Workers(workspace, count=1) as workers:
        with pytest.raises(
            ExecutionFailed, match="training other was not started: its recipe trains on device cuda, and this"
        ):
            next(workers.run(jobs))
        assert not workers._running, "not the first one either"


def test_a_gpu_stands_in_the_environment_and_another_one_is_another_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(environments, "gpu_in_use", lambda: {**H100, "model": "as torch calls it"})
    given = {"model": H100["model"], "driver": H100["driver"]}
    made = environment_in_use(["numpy"], given=given)
    assert made["gpu"] == H100
    assert "gpu" not in environment_in_use(["numpy"])
    component = Component("ab" * 32, "c", "mean", (), {}, environment=made)
    for here, why in (
        (Gpu(H100["model"], H100["driver"]), ()),
        (Gpu("", H100["driver"]), ()),
        (Gpu(H100["model"], "570.86.15"), ("GPU driver was 550.54.15 and is 570.86.15",)),
        (Gpu("NVIDIA L4", H100["driver"]), ("GPU model was NVIDIA H100 80GB HBM3 and is NVIDIA L4",)),
        (None, ("GPU model was NVIDIA H100 80GB HBM3 and is not there",)),
    ):
        monkeypatch.setattr(environments, "gpu", lambda here=here: here)
        assert can_be_reused(component, ["numpy"]) == (not why)
        assert cannot_repeat(made, ["numpy"]) == why
    other = made | {"gpu": H100 | {"cudnn": "91000"}}
    assert differences(made, other) == ("GPU cudnn was 90100 and is 91000",)
    unlike = environment_in_use(["numpy"])
    assert cannot_repeat(unlike, ["numpy"]) == (), "what was made without one does not ask for it"


def on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let jobs of this process train on whatever device, on the CPU."""

    @contextmanager
    def set_nothing(**settings: Any) -> Iterator[None]:
        yield

    monkeypatch.setattr("disgorge.training.carry_out.torch_set", set_nothing)


def test_a_removal_that_trains_on_a_gpu_is_not_begun_without_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_a_gpu(monkeypatch)
    workspace = toys.trained_toy(tmp_path, device="cuda")
    assert toys.component_of(workspace, "toy-averages/scale").recipe["device"] == "cuda"
    toys.filed_and_decided(workspace, [toys.person(workspace, "shard-2", 0)])
    planned = plan_of(workspace, "R-1")
    assert any(isinstance(line, str) and SHARED in line for line in planned.shown), (
        "the plan says what that leaves open"
    )
    approve_plan(workspace, "R-1", planned.plan.digest, approver="ann")
    before = workspace.ledger.head()
    with pytest.raises(
        EnvironmentDiffers, match="request R-1 trains parts of toy-averages on device cuda, and this machine"
    ):
        toys.carry(workspace)
    assert workspace.ledger.head() == before
    assert not toys.is_contained(workspace, toys.RELEASE)


def test_a_removal_that_trains_nothing_needs_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_a_gpu(monkeypatch)
    workspace = toys.trained_toy(tmp_path, device="cuda")
    toys.granted_plan(workspace, [Selector("shard", "shard-2")])
    assert toys.carry(workspace).verdict == "certified"


def test_a_model_of_a_gpu_answers_on_the_cpu_where_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_a_gpu(monkeypatch)
    workspace = toys.trained_toy(tmp_path, device="cuda")
    question = question_about(workspace, toys.composition_of(workspace))
    items = toys.toy_of("averages", 3).items["shard-1"]
    with Workers(workspace, count=1) as workers:
        (answers,) = ask(workers, [question], [items])
    assert answers.sets[0].predictions is not None
    assert len(answers.sets[0].predictions) == len(items)


def test_the_doctor_names_the_gpu_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor().gpu is None
    monkeypatch.setattr("disgorge.api.workspace.gpu", lambda: Gpu(H100["model"], H100["driver"]))
    found = doctor()
    assert found.plain()["gpu"] == {"model": H100["model"], "driver": H100["driver"]}
    assert f"{H100['model']}, driver {H100['driver']}" in str(found.shown)


def test_equal_bits_are_not_demanded_of_what_promises_none(tmp_path: Path) -> None:
    workspace = toys.trained_toy(tmp_path, deterministic=False)
    before = workspace.ledger.head()
    toys.filed_and_decided(workspace, [toys.person(workspace, "shard-2", 0)])
    with pytest.raises(
        EnvironmentDiffers, match=r"must be shown by equal bits, and toy-averages .*promises none.*--withdraw"
    ):
        plan_request(workspace, "R-1")
    assert not toys.is_contained(workspace, toys.RELEASE)
    assert workspace.ledger.head() != before, "filed and decided, and no more"
    plan = plan_request(workspace, "R-1", withdraw=[toys.RELEASE])
    assert plan.steps


@pytest.mark.parametrize("level", [Level.NAMESPACE, Level.LANDLOCK])
def test_a_law_needs_them_only_where_jobs_are_confined_less_than_by_namespaces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, level: Level
) -> None:
    workspace = toys.trained_toy(tmp_path, deterministic=False)
    monkeypatch.setattr("disgorge.request.workflow.repeatable.reached", lambda: Reached(level))
    law = toys.GDPR | {"identity_verified": True, "facts": {"gdpr_ground": "d"}}
    toys.filed_and_decided(workspace, [toys.person(workspace, "shard-2", 0)], law)
    if level is Level.NAMESPACE:
        assert not plan_request(workspace, "R-1", retrain_untouched=True).equal_bits
    else:
        with pytest.raises(EnvironmentDiffers, match="must be shown by equal bits, and toy-averages"):
            plan_request(workspace, "R-1", retrain_untouched=True)


def test_other_bits_of_what_promises_none_are_no_finding(tmp_path: Path) -> None:
    workspace = toys.trained_toy(tmp_path, deterministic=False)

    class Other(InProcessRunner):
        """A runner whose training never repeats."""

        def run(self, jobs: Any, **how: Any) -> Iterator[Any]:
            for done in super().run(jobs, **how):
                yield replace(done, digest=self.workspace.objects.put(os.urandom(8)))

    outcome = attest_releases(workspace, Other(workspace, claims=Level.NAMESPACE), level=Level.NAMESPACE)
    said = [part.problem for part in outcome.parts]
    assert all(problem is not None and problem.elsewhere[-1] == UNREPEATED for problem in said)


def test_the_benchmark_measures_what_it_says(tmp_path: Path) -> None:
    """On the CPU, with a toy: all but the device is what runs on a GPU."""
    found = measure("cpu", toys.toy_of("averages", 3), device="cpu", deterministic=True)
    assert (found.failed, found.equal, found.standing) == ("", found.parts, found.parts)
    assert found.parts == 5
    refused = measure("GPU", toys.toy_of("averages", 3), device="cuda", deterministic=True)
    assert "was not started" in refused.failed
    header, first, second = rows([found, refused])
    assert "equal bits" in header
    assert first.split()[:4] == ["cpu", "5", "of", "5"]
    assert "not measured: training" in second
    json.dumps([found.__dict__, refused.__dict__])
