"""Worker processes that end: what waits for them is told so in words, and nothing else goes wrong on the way out."""

import os
import subprocess
import sys
from pathlib import Path

from disgorge.training.recipe import Job
from disgorge.training.runners.local import Workers, _spawners
from lineage.workspace import Workspace
from tests.toys import component_of, granted_plan, person, trained_toy


def test_a_process_that_died_between_two_jobs_is_started_again(workspace: Workspace) -> None:
    scale = component_of(workspace, "toy-averages/scale")
    job = Job(scale.name, scale.recipe, 1)
    with Workers(workspace, count=1) as workers:
        (first,) = workers.run([job])
        for spawner in _spawners.values():
            spawner.process.kill()
            spawner.process.wait()
        (second,) = workers.run([job])
    assert first.digest == second.digest == scale.digest


SAY_WHO_LOADS_TORCH = """
import os, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            with open({log!r}, "a") as log:
                log.write(f"{{os.getpid()}} {{' '.join(sys.orig_argv[2:4])}}\\n")
sys.meta_path.insert(0, Finder())
"""
A_REMOVAL = """
from pathlib import Path
from disgorge.training.runners.local import Workers
from lineage.workspace import Workspace
from tests.toys import carry

workspace = Workspace.open(Path({workspace!r}))
with Workers(workspace, count=2) as workers:
    print(carry(workspace, runner=workers, independent=lambda: Workers(workspace, count=2)).verdict)
"""


def test_a_removal_loads_libraries_once_and_asks_no_shell_which_kernels_to_use(tmp_path: Path) -> None:
    """Trained under one setting, carried out under a shell that asks for others; the process that judges loads none."""
    workspace = trained_toy(tmp_path, method="tangent_composition")
    granted_plan(workspace, [person(workspace, "shard-2", 0)])
    log = tmp_path / "loads"
    (tmp_path / "sitecustomize.py").write_text(SAY_WHO_LOADS_TORCH.format(log=str(log)))
    path = os.pathsep.join([str(tmp_path), os.environ["PYTHONPATH"]])
    code = A_REMOVAL.format(workspace=str(workspace.root))
    shell = {"PYTHONPATH": path, "ATEN_CPU_CAPABILITY": "default", "MKL_CBWR": "COMPATIBLE"}
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | shell)
    assert ran.stdout.strip() == "certified", ran.stderr
    (loaded,) = log.read_text().splitlines()
    assert loaded.endswith("-m disgorge.training.runners.worker")
