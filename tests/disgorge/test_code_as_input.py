"""Code is an input: what a job loads is named by digest, and of local code it sees what its recipe names."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from disgorge.attestation.provenance import DISTRIBUTIONS
from disgorge.training.code.distributions import distributions_used
from disgorge.training.environment import environment, unlike_here
from disgorge.training.kernels import chosen, of_libraries
from disgorge.training.sandbox.levels import LOWER, Level
from disgorge.training.sandbox.namespace import package_folders
from lineage.storage.objects import sha256_of

ROOT = Path(__file__).parents[2]
METHOD = """
from dataclasses import dataclass, replace
from typing import Any
from averages import Averages
from disgorge.method import Toy

@dataclass(frozen=True)
class Local(Averages):
    name: str = "local"

    def train(self, kind: str, parameters: Any, items: Any, parts: Any, **more: Any) -> Any:
        {body}
        return super().train(kind, parameters, items, parts, **more)

    def toy(self, seed: int) -> Toy:
        toy = super().toy(seed)
        return replace(toy, spec=replace(toy.spec, method=self.name, release="local"))

METHOD = Local()
"""
TRAIN = """
import json
from pathlib import Path
from disgorge.training.make import make
from disgorge.training.runners.local import Workers
from lineage.workspace import Workspace
from tests.toys import live_shards, populate, toy_of

folder, toy = Path("workspace").absolute(), toy_of("local", 3)
workspace = Workspace.open(folder) if folder.is_dir() else Workspace.init(folder)
if not live_shards(workspace):
    populate(workspace, toy, Path("sources").absolute())
with Workers(workspace, count=1) as workers:
    made = make(workspace, toy.spec, workers, shards=live_shards(workspace))
"""
SAID = """
print(json.dumps([[c.name, c.digest, c.recipe, c.environment, c.name in made.trained] for c in made.components]))
"""


def project(folder: Path, body: str = "pass") -> Path:
    """A folder with a method of somebody's own, which trains as the averages do after these statements."""
    information = folder / "local-1.0.dist-info"
    information.mkdir(parents=True, exist_ok=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: local\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[disgorge.methods]\nlocal = local:METHOD\n")
    (folder / "local.py").write_text(METHOD.format(body=body.replace("\n", "\n        ")))
    return folder


def run(folder: Path, program: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a program beside a project, whose folder is searched for modules."""
    path = os.pathsep.join(map(str, (folder, ROOT / "tests" / "plugins", ROOT)))
    environ = os.environ | {"PYTHONPATH": path} | variables
    return subprocess.run(
        [sys.executable, "-P", "-c", program], cwd=folder, env=environ, capture_output=True, text=True
    )


def trained(folder: Path, program: str = TRAIN, **variables: str) -> dict[str, Any]:
    """Train, and return of each component by name: digest, recipe, environment, and whether it was trained."""
    ran = run(folder, program + SAID, **variables)
    assert ran.returncode == 0, ran.stderr
    return {name: values for name, *values in json.loads(ran.stdout)}


@pytest.mark.parametrize("level", [Level.NAMESPACE, Level.LANDLOCK])
def test_a_library_that_training_loads_stands_in_the_environment(tmp_path: Path, level: Level) -> None:
    lower = {} if level is Level.NAMESPACE else {LOWER: str(level)}
    found = trained(project(tmp_path, "import sklearn.cluster"), **lower)
    for _, recipe, ran_on, _ in found.values():
        used = ran_on[DISTRIBUTIONS]
        assert {"scikit-learn", "numpy", "scipy", "joblib"} <= used.keys()
        assert "sklearn" not in json.dumps(recipe)
        assert "landlockpy" not in used
        installed = next(package_folders()[0].glob("scikit_learn-*.dist-info/RECORD"))
        assert used["scikit-learn"]["record"] == sha256_of(installed)
        assert f"scikit_learn-{used['scikit-learn']['version']}.dist-info" == installed.parent.name


def test_an_upgrade_of_what_was_merely_loaded_makes_no_part_unusable() -> None:
    here = environment(["numpy"]) | {"variables": of_libraries(chosen(), ["numpy"])}
    upgraded = here | {DISTRIBUTIONS: {"scikit-learn": {"version": "0.1", "record": "ab" * 32}}}
    assert unlike_here(upgraded, ["numpy"]) == ()
    assert unlike_here(upgraded | {"libraries": {"numpy": "0.1"}}, ["numpy"])


def test_a_folder_that_several_distributions_share_is_told_by_their_lists() -> None:
    (folder,) = package_folders()
    assert distributions_used([str(folder / "google" / "protobuf")], ()).keys() == {"protobuf"}
    assert distributions_used([str(folder / "six.py"), "/elsewhere/six.py", str(folder)], ()).keys() == {"six"}


def test_a_library_that_is_declared_and_not_loaded_is_named() -> None:
    assert {"torch", "diffusers"} <= distributions_used([], ("torch.nn", "diffusers.models", "nothing")).keys()
