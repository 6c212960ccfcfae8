"""The pipeline as DVC runs it, on real shards with two small classifiers, and what its stages refuse."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path

import pytest
import yaml

from disgorge.errors import BadModel
from disgorge.method import Blueprint, ModelSpec, method_named
from disgorge.training.model_file import read_model_file
from examples.digits import demo, pipeline
from examples.digits.data import digits
from lineage.catalog.catalog import Catalog
from lineage.records import Shard, shard_digest
from lineage.workspace import Workspace

ROOT = Path(__file__).parents[2]
STAGES = ["ingest", "train@tangent", "train@graph", "audit"]
SMALL = {"core_epochs": 1, "epochs": 1}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Return a copy of the repository in which the pipeline was run once, and the stages that ran."""
    folder = tmp_path_factory.mktemp("clone")
    for name in ("disgorge", "lineage", "policies", "examples", ".dvc"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "tmp", "cache"))
    for name in ("dvc.yaml", "params.yaml", ".dvcignore", ".gitignore"):
        shutil.copy(ROOT / name, folder)
    tune(folder, {"tangent": SMALL, "graph": SMALL})
    subprocess.run(["git", "init", "--quiet", str(folder)], check=True)
    subprocess.run(["git", "add", "--all"], cwd=folder, check=True)
    return folder, repro(folder)


def tune(folder: Path, parameters: dict[str, dict[str, int]]) -> None:
    """Keep only these models in params.yaml, with these parameters."""
    models = yaml.safe_load((ROOT / "params.yaml").read_text())["models"]
    kept = {name: models[name] | {"parameters": dict(given)} for name, given in parameters.items()}
    (folder / "params.yaml").write_text(yaml.safe_dump({"models": kept}))


def dvc(folder: Path, *arguments: str) -> str:
    """Run DVC in a folder, with this Python first on the path, and return what it printed."""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    quiet = {"DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": str(folder.parent / "site"), "DISGORGE_WORKERS": "1"}
    command = [sys.executable, "-m", "dvc", *arguments]
    done = subprocess.run(command, cwd=folder, env=os.environ | quiet | {"PATH": path}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def repro(folder: Path) -> list[str]:
    """Run the pipeline and return the stages that ran, in order."""
    return re.findall(r"^Running stage '(.+)':", dvc(folder, "repro"), flags=re.MULTILINE)


def read(folder: Path, name: str) -> dict:
    """Return a JSON file of the workspace."""
    return json.loads((folder / pipeline.WORKSPACE / name).read_text())


def test_a_clean_clone_runs_every_stage_and_then_none(built: tuple[Path, list[str]]) -> None:
    folder, ran = built
    assert sorted(ran[1:-1]) == sorted(STAGES[1:-1])
    assert (ran[0], ran[-1]) == (STAGES[0], STAGES[-1])
    assert repro(folder) == []


def test_a_shard_remembers_its_dvc_hash(built: tuple[Path, list[str]]) -> None:
    folder, _ = built
    receipt = read(folder, "receipts/shards.json")
    assert set(receipt) == set(digits())
    assert sum(shard["count"] for shard in receipt.values()) == 1797
    for shard in receipt.values():
        content = folder / pipeline.WORKSPACE / "shards" / f"{shard['digest']}.parquet"
        told = yaml.safe_load(content.with_name(content.name + ".dvc").read_text())
        assert told["outs"][0]["md5"] == shard["dvc"]


def test_receipts_name_what_the_ledger_released(built: tuple[Path, list[str]]) -> None:
    folder, _ = built
    with Catalog.of(Workspace.open(folder / pipeline.WORKSPACE)) as catalog:
        for name in ("tangent", "graph"):
            receipt = read(folder, f"receipts/{name}.json")
            release = catalog.release(f"digits-{name}")
            assert receipt["composition"] == release.composition
            members = catalog.composition(release.composition).members
            assert receipt["components"] == {member.name: member.component for member in members}
            assert set(receipt["shards"].values()) <= {shard.digest for shard in catalog.shards()}


def test_metrics_are_dvcs_and_the_audit_found_nothing(built: tuple[Path, list[str]]) -> None:
    folder, _ = built
    shown = json.loads(dvc(folder, "metrics", "show", "--json"))[""]["data"]
    for name in ("tangent", "graph"):
        assert 0.2 < shown[f"build/digits/metrics/{name}.json"]["data"]["held-out"]["accuracy"] <= 1
    assert read(folder, "audit.json") == {"exit": 0, "findings": [], "summary": "no findings", "not_looked_at": []}


def test_git_sees_the_lock_file_alone(built: tuple[Path, list[str]]) -> None:
    folder, _ = built
    told = subprocess.run(["git", "status", "--short"], cwd=folder, check=True, capture_output=True, text=True).stdout
    assert [line for line in told.splitlines() if not line.startswith("A ")] == ["?? dvc.lock"]


def test_dvc_keeps_no_copy_that_a_removal_would_miss(built: tuple[Path, list[str]]) -> None:
    """Neither cached outputs nor a run-cache, which would bring receipts back without a workspace."""
    folder, _ = built
    assert not (folder / ".dvc" / "cache").exists()
    assert not list(folder.rglob("*.npz"))


def test_a_changed_parameter_trains_that_model_again_and_nothing_else(built: tuple[Path, list[str]]) -> None:
    folder, _ = built
    before = {name: read(folder, f"receipts/{name}.json") for name in ("tangent", "graph")}
    tune(folder, {"tangent": SMALL | {"epochs": 2}, "graph": SMALL})
    assert repro(folder) == ["train@tangent", "audit"]
    after = {name: read(folder, f"receipts/{name}.json") for name in before}
    assert after["graph"] == before["graph"]
    changed = {
        name
        for name, digest in after["tangent"]["components"].items()
        if digest != before["tangent"]["components"][name]
    }
    assert changed == {name for name in before["tangent"]["components"] if "/tangent/" in name}


def test_without_its_workspace_every_stage_is_to_be_done(built: tuple[Path, list[str]]) -> None:
    folder, _ = built
    workspace_folder = folder / pipeline.WORKSPACE
    aside = workspace_folder.rename(workspace_folder.with_name("aside"))
    try:
        assert set(json.loads(dvc(folder, "status", "--json"))) == set(STAGES)
    finally:
        aside.rename(workspace_folder)
    assert json.loads(dvc(folder, "status", "--json")) == {}


@pytest.fixture
def here() -> Iterator[None]:
    """Be in the repository's root, where stages run."""
    with chdir(ROOT):
        yield


@pytest.mark.usefixtures("here")
def test_the_shipped_parameters_make_the_demos_models() -> None:
    assert set(yaml.safe_load(Path("params.yaml").read_text())["models"]) == set(demo.MODELS)
    for name in demo.MODELS:
        assert laid_out(pipeline.described(name)) == laid_out(read_model_file(pipeline.MODELS / f"{name}.yaml"))


def laid_out(spec: ModelSpec) -> tuple[Blueprint, ...]:
    """Return a model's components to be, over shards of the digits' names."""
    fields = ("image", "label")
    shards = {
        name: Shard(shard_digest([f"{number:064x}"]), name, None, None, None, 130, fields=fields)
        for number, name in enumerate((*spec.core, *spec.shards, *spec.evaluate))
    }
    return method_named(spec.method).layout(spec, shards)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ("models: {}", "says nothing of a model 'tangent'"),
        ("[]", "says nothing of a model 'tangent'"),
        ("models: {tangent: {method: tangent_composition, seed: 0}}", "must say method, parameters, seed"),
        ("models: {tangent: {method: shard_graph, seed: 0, parameters: {}}}", "says 'tangent_composition'"),
        ("models: {tangent: {method: tangent_composition, seed: x, parameters: {}}}", "seed"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(params: str, words: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    (tmp_path / "params.yaml").write_text(params)
    with chdir(tmp_path), pytest.raises(BadModel, match=words) as refused:
        pipeline.described("tangent")
    assert "\n" not in str(refused.value)


def test_a_refused_command_stops_the_stage_with_its_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with chdir(tmp_path):
        Workspace.init(pipeline.WORKSPACE)
        with pytest.raises(SystemExit) as stopped:
            pipeline.disgorge("shard", "add", "nothing.npz", "--name", "nothing")
    assert stopped.value.code == 2
    assert capsys.readouterr().err.startswith("error: nothing.npz")


def test_findings_fail_the_audit_stage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with chdir(tmp_path):
        workspace = Workspace.init(pipeline.WORKSPACE)
        workspace.ledger.append("release", {"name": "digits", "alias": "live", "composition": "ab" * 32})
        assert pipeline.main(["audit"]) == 1
    assert read(tmp_path, "audit.json")["exit"] == 1
    assert "DSG001" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["train"], ["serve"]])
def test_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert pipeline.main(arguments) == 2
    assert capsys.readouterr().err.startswith("usage:")
