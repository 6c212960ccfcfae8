"""Code is an input: what a job loads is named by digest, and of local code it sees what its recipe names."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from disgorge.attestation.provenance import DISTRIBUTIONS
from disgorge.errors import ExecutionFailed, InputsMissing
from disgorge.method import methods
from disgorge.release.train import change_of_code
from disgorge.statement.bundle_zip import pack, read_members
from disgorge.statement.signing import read_key
from disgorge.training.code.distributions import distributions_used
from disgorge.training.code.local import LocalCode
from disgorge.training.environment import environment, unlike_here
from disgorge.training.kernels import chosen, of_libraries
from disgorge.training.recipe import Job
from disgorge.training.runners.declared import declared
from disgorge.training.runners.local import Workers
from disgorge.training.sandbox.levels import LOWER, Level, Reached, reached
from disgorge.training.sandbox.namespace import package_folders
from disgorge.verify.verify import verify_bundle
from lineage.storage.objects import sha256_of
from lineage.storage.tree import Tree, listed
from lineage.workspace import Workspace
from tests.disgorge.report_cases import sign_again
from tests.toys import component_of, toy_of

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
from disgorge.training.runners.declared import declared
from disgorge.training.runners.local import Workers
from lineage.workspace import Workspace
from tests.toys import live_shards, populate, toy_of

folder, toy = Path("workspace").absolute(), toy_of("local", 3)
workspace = Workspace.open(folder) if folder.is_dir() else Workspace.init(folder)
if not live_shards(workspace):
    populate(workspace, toy, Path("sources").absolute())
with Workers(workspace, count=1) as workers:
    made = make(workspace, toy.spec, workers, method=declared(toy.spec.method), shards=live_shards(workspace))
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


CHANGED = "return {name: array + 1 for name, array in super().train(kind, parameters, items, parts, **more).items()}"
STORED_RUNS = """
from disgorge.training.recipe import Job
from lineage.records import plain
from tests.toys import granted_plan, person

workspace.ledger.append("composition", {"composition": plain(made.composition)})
workspace.ledger.append("release", {"name": "local", "alias": "live", "composition": made.composition.digest})
granted_plan(workspace, [person(workspace, "shard-2", 0)])
part = made.components[1]
source = Path("local.py")
edited = source.read_text().replace("pass", CHANGED)

def again():
    with Workers(workspace, count=1) as workers:
        (done,) = workers.run([Job(part.name, part.recipe, 1)])
    assert done.digest == part.digest

source.write_text(edited)
again()
source.unlink()
again()
source.write_text(edited)
"""
REMOVE = """
import json
from pathlib import Path
from disgorge.training.runners.local import Workers
from lineage.catalog.catalog import Catalog
from lineage.storage.tree import kept_tree
from lineage.workspace import Workspace
from tests.toys import carry

workspace = Workspace.open(Path("workspace").absolute())
with Workers(workspace, count=1) as workers:
    done = carry(workspace, runner=workers, independent=lambda: Workers(workspace, count=1))
with Catalog.of(workspace) as catalog:
    live = {component.name: component for component in catalog.components()}
trees = {component.recipe["code"] for component in live.values()}
files = [path for tree in trees for path in kept_tree(workspace.objects, tree).data]
print(json.dumps([done.verdict, sorted(trees), sorted(files), {name: each.digest for name, each in live.items()}]))
"""


def test_edited_code_is_another_recipe_and_a_removal_runs_the_stored_code(tmp_path: Path) -> None:
    """Edited after training, and deleted; then a person is removed by a process that sees the edited file alone."""
    (tmp_path / "unrelated.py").write_text("raise RuntimeError('nobody imports this')")
    before = trained(project(tmp_path), TRAIN + f"CHANGED = {CHANGED!r}" + STORED_RUNS)
    (tree,) = {recipe["code"] for _, recipe, _, _ in before.values()}
    assert {recipe["entry"] for _, recipe, _, _ in before.values()} == {"local:METHOD"}
    ran = run(tmp_path, REMOVE)
    assert ran.returncode == 0, ran.stderr
    *removed, digests = json.loads(ran.stdout)
    assert removed == ["certified", [tree], ["averages.py", "local.py"]]
    assert {name for name in before if digests[name] != before[name][0]} == {"local/mean/shard-2"}
    after = trained(tmp_path)
    assert all(was_trained for *_, was_trained in after.values())
    (other,) = {recipe["code"] for _, recipe, _, _ in after.values()}
    assert other != tree
    assert {**after["local/scale"][1], "code": tree} == before["local/scale"][1]
    assert after["local/scale"][0] != before["local/scale"][0]


HANDED = """
import json
from pathlib import Path
from disgorge.report.compile import write_with_inputs
from disgorge.request.case import case_of, plan_of
from disgorge.training.runners.local import Workers
from lineage.records import plain
from lineage.workspace import Workspace
from tests.toys import carry, granted_plan, person

workspace.ledger.append("composition", {"composition": plain(made.composition)})
workspace.ledger.append("release", {"name": "local", "alias": "live", "composition": made.composition.digest})
granted_plan(workspace, [person(workspace, "shard-2", 0)])
with Workers(workspace, count=1) as workers:
    carry(workspace, runner=workers, independent=lambda: Workers(workspace, count=1))
case = case_of(workspace, "R-1")
plan = plan_of(workspace, case)
print(write_with_inputs(workspace, plan, case))
"""


def test_an_outsider_runs_the_code_that_comes_with_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever verifies has the bundle and the key: no workspace, and no such method, installed or local."""
    folder, mine = tmp_path / "operator", tmp_path / "outsider"
    ran = run(project(folder), TRAIN + HANDED)
    assert ran.returncode == 0, ran.stderr
    mine.mkdir()
    workspace = folder / "workspace"
    handed, key = mine / "R-1-with-inputs.zip", mine / "public.pem"
    shutil.copy(ran.stdout.strip(), handed)
    shutil.copy(workspace / ".disgorge" / "public.pem", key)
    plain = workspace / "reports" / "R-1.zip"
    without_code(handed, tmp_path / "R-2.zip", workspace)
    with pytest.raises(InputsMissing, match=r"the local code of local with the digest .*--with-inputs"):
        verify_bundle(tmp_path / "R-2.zip", public_key=key, level="reexecute")
    assert not [name for name in read_members(plain) if name.startswith("code/")]
    shutil.rmtree(folder)
    assert "local" not in methods()
    members = read_members(handed)
    assert {b"from averages import Averages" in data for name, data in members.items() if name.startswith("code/")} == {
        True, False,
    }  # fmt: skip
    if reached().level is not Level.PROCESS:
        again = verify_bundle(handed, public_key=key, level="reexecute").reexecution
        assert again is not None
        assert (again.outcome, again.equal) == ("re-executed", again.components)
    monkeypatch.setattr("disgorge.verify.inputs.reached", lambda: Reached(Level.PROCESS, (), "bwrap was refused"))
    with pytest.raises(
        InputsMissing, match=r"came with the report, and jobs are not confined here \(bwrap was refused\)"
    ):
        verify_bundle(handed, public_key=key, level="reexecute")


def without_code(handed: Path, path: Path, workspace: Path) -> None:
    """The same bundle, signed again by its maker, without the code."""

    def leave_out(predicate: dict[str, Any], members: dict[str, bytes]) -> None:
        for name in [name for name in members if name.startswith("code/")]:
            del members[name]

    key = read_key(workspace / ".disgorge" / "private" / "signing.pem")
    path.write_bytes(pack(sign_again(read_members(handed), key, leave_out)))


LOOKS = """
import six
from pathlib import Path
places = [Path(PROJECT, "weights.bin"), Path(PROJECT, "unrelated.py"), Path(__file__).with_name("weights.bin")]
for place in places:
    try:
        place.read_bytes()
    except OSError:
        continue
    raise RuntimeError(f"read {place.name}")
assert six.MINE, "an installed module of the same name was taken"
"""


@pytest.mark.parametrize("level", list(Level))
def test_what_lies_beside_the_code_is_not_seen(tmp_path: Path, level: Level) -> None:
    """The control: where nothing confines, the same method reads it, and says so."""
    if not reached().level.at_least(level):
        pytest.skip(f"{reached().level} is what is reached: {reached().why}")
    for name in ("weights.bin", "unrelated.py"):
        (tmp_path / name).write_bytes(b"old weights")
    (tmp_path / "six.py").write_text("MINE = True\n")
    project(tmp_path, LOOKS.replace("PROJECT", repr(str(tmp_path))))
    ran = run(tmp_path, TRAIN + SAID, **({} if level is Level.NAMESPACE else {LOWER: str(level)}))
    if level is Level.PROCESS:
        assert "RuntimeError: read weights.bin" in ran.stderr
    else:
        assert ran.returncode == 0, ran.stderr


def test_a_recipe_of_local_code_that_names_none_is_not_carried_out(workspace: Workspace) -> None:
    """What was recorded before code was an input: which code made it, nobody can say."""
    scale = component_of(workspace, "toy-averages/scale")
    assert scale.recipe["entry"] == "averages:METHOD"
    older = {name: value for name, value in scale.recipe.items() if name not in ("code", "entry")}
    with Workers(workspace, count=1) as workers, pytest.raises(ExecutionFailed, match="its recipe names no code, and"):
        list(workers.run([Job(scale.name, older, 1)]))


def test_code_that_was_changed_where_it_is_stored_is_not_run(workspace: Workspace) -> None:
    scale = component_of(workspace, "toy-averages/scale")
    (file,) = listed(workspace.objects, scale.recipe["code"])
    workspace.objects.path(file.sha256).write_text("METHOD = None\n")
    with Workers(workspace, count=1) as workers, pytest.raises(ExecutionFailed, match="its bytes changed"):
        list(workers.run([Job(scale.name, scale.recipe, 1)]))


def test_training_says_that_code_was_edited(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = toy_of("averages", 3).spec
    assert change_of_code(workspace, spec) == ""
    edited = LocalCode("averages:METHOD", Tree.of({"averages.py": b"METHOD = None\n"}))
    today = declared(spec.method)
    monkeypatch.setattr("disgorge.release.train.method_of_model", lambda spec, folder: replace(today, code=edited))
    before = component_of(workspace, "toy-averages/scale").recipe["code"]
    words = change_of_code(workspace, spec)
    assert f"is {edited.tree.digest[:12]} and was {before[:12]} when toy-averages@live was trained" in words
