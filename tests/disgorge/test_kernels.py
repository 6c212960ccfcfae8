"""Kernels are set for every job and read back; what a shell or a bundle says of them steers nothing else."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from disgorge.errors import ExecutionFailed
from disgorge.method import methods
from disgorge.training.environment import can_be_reused, cannot_repeat, differences
from disgorge.training.kernels import PORTABLE, STEERING, chosen, has_avx2, not_as_asked, setting_of, steered
from disgorge.training.recipe import Job
from disgorge.training.runners.local import TRIES, Workers
from lineage.records import Component
from lineage.workspace import Workspace
from tests.tier import amount, tally
from tests.toys import component_of, trained_toy

AVX2 = pytest.mark.skipif(not has_avx2(), reason="this processor has no AVX2, so no setting is portable here")


@pytest.fixture(scope="module")
def tangents(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace with a trained tangent composition."""
    return trained_toy(tmp_path_factory.mktemp("kernels"), method="tangent_composition", seed=5)


def again(workspace: Workspace, count: int) -> list[str]:
    """Make one part again so often, each in a worker of its own, and return the digests that differ."""
    part = component_of(workspace, "toy-tangent/tangent/shard-1")
    other = []
    for _ in range(count):
        with Workers(workspace, count=1) as workers:
            (done,) = workers.run([Job(part.name, part.recipe, 1, setting_of(part.environment))])
        if done.digest != part.digest:
            other.append(done.digest)
    return other


def again_elsewhere(workspace: Workspace, count: int, *before: str, **variables: str) -> str:
    """Do the same in a program started by ``before`` under a shell that says these variables."""
    code = (
        "from pathlib import Path; from lineage.workspace import Workspace;"
        "from tests.disgorge.test_kernels import again;"
        f"print(again(Workspace.open(Path({str(workspace.root)!r})), {count}))"
    )
    ran = subprocess.run(
        [*before, sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | variables
    )
    return ran.stdout.strip() or ran.stderr


@AVX2
def test_what_is_trained_says_which_kernels_it_took(tangents: Workspace) -> None:
    environment = component_of(tangents, "toy-tangent/tangent/shard-1").environment
    assert environment["kernels"] == {"aten": "AVX2"}
    assert environment["variables"].items() >= PORTABLE.items()
    assert set(environment["libraries"]) == {"numpy", "torch"}


def test_every_method_names_the_libraries_that_it_loads() -> None:
    """Trained in a process that had none of them; the toy's items are made there too."""
    for name in ("averages", "compartmental_diffusion", "tangent_composition", "shard_graph")[: amount(2, 4)]:
        code = (
            "import sys, tempfile; from pathlib import Path;"
            f"from tests.toys import trained_toy; trained_toy(Path(tempfile.mkdtemp()), method={name!r}, seed=1);"
            "print({'torch', 'diffusers', 'transformers', 'scipy', 'numpy'} & set(sys.modules) - {'scipy'})"
        )
        ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        used = {module.partition(".")[0] for module in methods()[name].libraries}
        loaded = set(eval(ran.stdout.splitlines()[-1])) - {"transformers"}
        assert loaded - {"numpy"} == used - {"numpy"}, name


@AVX2
@pytest.mark.parametrize("capability", ["default", "avx512"])
def test_no_shell_changes_what_comes_out(tangents: Workspace, capability: str) -> None:
    assert again_elsewhere(tangents, 1, ATEN_CPU_CAPABILITY=capability, MKL_CBWR="COMPATIBLE") == "[]"


def test_a_bundle_can_name_no_other_variable() -> None:
    asked = {"LD_PRELOAD": "/tmp/x.so", "ATEN_CPU_CAPABILITY": "avx2", "MKL_CBWR": "AVX2\nX=1"}
    assert steered({"PATH": "/bin", "MKL_CBWR": "AUTO"}, asked) == {"PATH": "/bin", "ATEN_CPU_CAPABILITY": "avx2"}
    assert setting_of({"libraries": {"torch": "1"}, "variables": ["no", "mapping"]}) == {}
    assert steered({}, setting_of({"libraries": {"torch": "1"}, "variables": {"MKL_CBWR": 7}})) == {}


def test_kernels_that_were_not_asked_for_are_named() -> None:
    assert not_as_asked(PORTABLE, {"aten": "DEFAULT"}) == "aten uses DEFAULT kernels where AVX2 was set"
    assert not_as_asked(PORTABLE, {"aten": "AVX2"}) == ""
    assert not_as_asked({}, {"aten": "DEFAULT"}) == "", "where nothing was asked for, everything is as asked"
    assert not_as_asked(PORTABLE, {}) == "", "numpy alone has no such kernels"


@AVX2
@pytest.mark.parametrize(("wrong", "ends"), [(1, "well"), (TRIES, "badly")])
def test_a_job_that_got_other_kernels_is_tried_again_and_never_judged(
    tangents: Workspace, monkeypatch: pytest.MonkeyPatch, wrong: int, ends: str
) -> None:
    """The first processes are started under a setting that is not the one asked for, as where a system loses it."""
    begun: list[Mapping[str, str]] = []

    def lost(environ: Mapping[str, str], variables: Mapping[str, str]) -> dict[str, str]:
        begun.append(variables)
        return steered(environ, {**variables, "ATEN_CPU_CAPABILITY": "default"} if len(begun) <= wrong else variables)

    monkeypatch.setattr("disgorge.training.runners.box.steered", lost)
    part = component_of(tangents, "toy-tangent/tangent/shard-1")
    job = Job(part.name, part.recipe, 1, setting_of(part.environment))
    with Workers(tangents, count=1) as workers:
        if ends == "well":
            (done,) = workers.run([job])
            assert done.digest == part.digest
        else:
            with pytest.raises(ExecutionFailed, match="aten uses DEFAULT kernels where AVX2 was set") as failed:
                list(workers.run([job]))
            assert isinstance(failed.value.__cause__, OSError), "the machine failed, and no removal did"
    assert len(begun) == wrong + (ends == "well")


@AVX2
@pytest.mark.timeout(1800)
def test_re_executions_on_a_busy_machine_never_differ(tangents: Workspace) -> None:
    """Each in a worker of its own, beside programs that burn the processors, and without the kernel's caches."""
    count = amount(3, 200)
    burners = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    try:
        other = []
        for _ in range(count):
            _forget_entries_of_proc()
            other += again(tangents, 1)
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()
    tally("re-executions", "tangent, busy machine", repeated=count, differ=len(other))
    assert other == []


def _forget_entries_of_proc() -> None:
    """Have the kernel drop cached entries, after which a confined process finds no /proc/cpuinfo; root only."""
    try:
        Path("/proc/sys/vm/drop_caches").write_text("2\n")
    except OSError:
        return


HIDING = "mount -t tmpfs none /sys && mount --bind /dev/null /proc/cpuinfo && exec "


@AVX2
@pytest.mark.timeout(1800)
def test_re_executions_without_proc_and_sys_never_differ(tangents: Workspace) -> None:
    hidden = ["unshare", "-m", "sh", "-c", HIDING + '"$0" "$@"']
    if subprocess.run([*hidden, "true"], capture_output=True).returncode:
        pytest.skip("this system lets nobody hide /proc and /sys (unshare -m needs root)")
    count = amount(2, 200)
    came = again_elsewhere(tangents, count, *hidden)
    tally("re-executions", "tangent, /proc/cpuinfo and /sys hidden", repeated=count, differ=came.count("'") // 2)
    assert came == "[]"


def test_what_is_installed_and_not_used_stands_in_no_environment() -> None:
    recorded = {"libraries": {"numpy": "0.0.1"}, "machine": os.uname().machine, "system": "Linux"}
    (why,) = cannot_repeat(recorded, ["numpy"])
    assert why.startswith("numpy was 0.0.1 and is ")
    assert cannot_repeat({**recorded, "libraries": {"torch": "0.0.1"}}, ["torch"])
    assert differences({"libraries": {"diffusers": "0"}, "machine": "m"}, {"libraries": {}, "machine": "m"}) == ()


def test_a_part_is_reused_in_its_own_environment_only(tangents: Workspace) -> None:
    part = component_of(tangents, "toy-tangent/tangent/shard-1")
    libraries = methods()["tangent_composition"].libraries
    assert can_be_reused(part, libraries)
    for name, value in (("processor", "another"), ("python", "2.7"), ("variables", {}), ("libraries", {})):
        from dataclasses import replace

        assert not can_be_reused(replace(part, environment={**part.environment, name: value}), libraries), name
    assert not can_be_reused(Component("0" * 64, "x", "y", ()), libraries)


def test_numpys_own_variables_are_kept_as_the_shell_has_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    monkeypatch.setenv("MKL_DEBUG_CPU_TYPE", "5")
    assert chosen()["OPENBLAS_CORETYPE"] == "Haswell"
    assert "MKL_DEBUG_CPU_TYPE" not in steered(os.environ, chosen())
    assert {*chosen()} <= {*STEERING}
