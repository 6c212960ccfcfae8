"""Worker processes that end: what waits for them is told so in words, and nothing else goes wrong on the way out."""

import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from disgorge.training.recipe import Job
from disgorge.training.runners.local import Workers
from disgorge.training.runners.output import Output
from lineage.workspace import Workspace
from tests.toys import component_of, granted_plan, person, trained_toy


def test_a_process_that_died_while_it_waited_is_replaced(workspace: Workspace) -> None:
    scale, mean = (component_of(workspace, f"toy-averages/{name}") for name in ("scale", "mean/shard-1"))
    jobs = [Job(each.name, each.recipe, 1) for each in (scale, mean, scale)]
    found = []
    with Workers(workspace, count=1) as workers:
        for done in workers.run(jobs):
            found.append(done.digest)
            for _, box in workers._waiting:
                box.process.kill()
                box.process.wait()
    assert found == [scale.digest, mean.digest, scale.digest]


def test_every_job_has_a_process_of_its_own_and_nothing_of_it_stays(workspace: Workspace) -> None:
    mean = component_of(workspace, "toy-averages/mean/shard-1")
    before = set(workspace.home.iterdir())
    with Workers(workspace, count=2) as workers:
        done = list(workers.run([Job(f"{mean.name} {n}", mean.recipe, 1) for n in range(4)]))
        assert {each.digest for each in done} == {mean.digest}
        assert not workers._running
    assert set(workspace.home.iterdir()) == before


def test_a_process_that_ended_is_read_to_its_end_and_waited_for_no_longer_though_a_child_of_it_stays() -> None:
    """The child holds the pipe open, as one does that a job forked and left."""
    said = b"first\\nsecond, cut off"
    ran = ["sh", "-c", f"printf '{said.decode()}'; sleep 60 & exit 1"]
    with subprocess.Popen(ran, stdout=subprocess.PIPE, start_new_session=True) as process:
        try:
            with closing(Output(process)) as output:
                assert [output.readline(100), output.readline(6)] == [b"first\n", b"second"]
                assert [output.read(100), output.readline(100), output.read(1)] == [b", cut off", b"", b""]
        finally:
            os.killpg(process.pid, signal.SIGKILL)


SAY_WHO_LOADS_TORCH = """
import os, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            with open({log!r}, "a") as log:
                log.write(f"{{os.getpid()}} {{' '.join(sys.orig_argv[2:6])}}\\n")
sys.meta_path.insert(0, Finder())
"""
A_REMOVAL = """
import sys
from pathlib import Path
from disgorge.training.runners.local import Workers
from lineage.workspace import Workspace
from tests.toys import carry

workspace = Workspace.open(Path({workspace!r}))
with Workers(workspace, count=2) as workers:
    print(carry(workspace, runner=workers, independent=lambda: Workers(workspace, count=2)).verdict)
print("torch" in sys.modules)
"""


def test_the_process_that_judges_loads_no_torch_and_no_shell_says_which_kernels_to_use(tmp_path: Path) -> None:
    """Trained under one setting, carried out under a shell that asks for others."""
    workspace = trained_toy(tmp_path, method="tangent_composition")
    granted_plan(workspace, [person(workspace, "shard-2", 0)])
    log = tmp_path / "loads"
    (tmp_path / "sitecustomize.py").write_text(SAY_WHO_LOADS_TORCH.format(log=str(log)))
    path = os.pathsep.join([str(tmp_path), os.environ["PYTHONPATH"]])
    code = A_REMOVAL.format(workspace=str(workspace.root))
    shell = {"PYTHONPATH": path, "ATEN_CPU_CAPABILITY": "default", "MKL_CBWR": "COMPATIBLE"}
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | shell)
    assert ran.stdout.split() == ["certified", "False"], ran.stderr
    loaded = log.read_text().splitlines() if log.exists() else []  # a process in namespaces cannot write there
    assert all("disgorge.training.runners.worker" in each for each in loaded)
