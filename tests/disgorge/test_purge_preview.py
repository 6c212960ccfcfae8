"""What a dry run lists before anything is done is what the removal deletes, in every store."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from disgorge.cli.app import app
from disgorge.errors import StalePlan
from disgorge.plan.plan import Plan
from disgorge.removal.dry_run import coming_facts, preview
from disgorge.request.case import case_of
from lineage.records import Selector
from lineage.workspace import Workspace
from tests.stores import registry_of, with_stores
from tests.tier import amount
from tests.toys import ORDER, carry, filed_and_decided, granted_plan, person, stopped, toy_of, train


@pytest.fixture(scope="module")
def stored(database: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a folder with a trained workspace that has DVC and MLflow, and in ``kept`` a copy of it."""
    folder = tmp_path_factory.mktemp("stored")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
            patch.delenv(name, raising=False)
        with_stores(folder, toy_of("averages", 3), learned="shard-3", database=database)
        shutil.copytree(folder / "workspace", folder / "kept", symlinks=True)
        yield folder


def again(folder: Path) -> Workspace:
    """Return the workspace as it was when it was trained; MLflow holds its database open and finds the same file."""
    for path in (folder / "workspace").iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != "mlflow.db":
            path.unlink()
    shutil.copytree(folder / "kept", folder / "workspace", symlinks=True, dirs_exist_ok=True)
    return Workspace.open(folder / "workspace")


def planned(workspace: Workspace, kind: str) -> Plan:
    """Have a person's items, a whole shard, or everything built on one removed."""
    if kind == "order":
        return granted_plan(workspace, [Selector("shard", "shard-3")], ORDER)
    return granted_plan(
        workspace, [person(workspace, "shard-3", 1) if kind == "person" else Selector("shard", "shard-3")]
    )


def files(workspace: Workspace) -> set[Path]:
    """Return every file but locks and what DVC keeps for itself while it works."""
    found = (path for path in workspace.root.rglob("*") if path.is_file() or path.is_symlink())
    return {path for path in found if path.suffix != ".lock" and ".dvc/tmp" not in path.as_posix()}


@pytest.mark.parametrize("kind", ["person", "shard", "order"])
def test_what_is_said_before_the_execution_is_what_it_deletes(stored: Path, kind: str) -> None:
    workspace = again(stored)
    plan = planned(workspace, kind)
    before = files(workspace)
    said = preview(workspace, "R-1")
    assert files(workspace) == before, "it only reads"
    assert said.ahead == len(plan.steps) - 2
    carry(workspace, registrar=registry_of(workspace.root))
    gone = before - files(workspace)
    assert set(said.paths) == gone
    places = {path.relative_to(workspace.root).parts[0] for path in gone}
    assert {".disgorge", "shards", ".dvc", "store", "mlartifacts", "model.bin", "weights"} <= places
    made = {path.relative_to(workspace.root).parts for path in files(workspace) - before}
    cut = [parts for parts in made if parts[0] == "shards" and parts[1].endswith(".parquet")]
    assert len(cut) == (1 if kind == "person" else 0), "what came to be is the shard that was cut, and it stays"


@pytest.mark.parametrize("steps", range(1, 7, amount(3, 1)))
def test_it_is_the_same_whatever_was_done_by_then(workspace: Workspace, steps: int) -> None:
    """Stopped before each step: what goes is what was said at first, but for the projection of the catalog."""
    plan = granted_plan(workspace, [person(workspace, "shard-3", 1)])
    first = preview(workspace, "R-1")

    step = plan.steps[steps]
    stopped(workspace, step.action, subject=step.subject)
    then = preview(workspace, "R-1")
    assert set(then.paths) == set(first.paths)
    assert (then.ahead, then.kept) == (6 - steps, first.kept)


def test_the_command_lists_it_before_anything_is_done(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = again(stored)
    monkeypatch.chdir(workspace.root)
    runner = CliRunner()
    filed_and_decided(workspace, [person(workspace, "shard-3", 1)])
    assert runner.invoke(app, ["purge", "--dry-run", "R-1"]).exit_code == 2, "there is no plan yet"
    assert runner.invoke(app, ["request", "plan", "R-1"]).exit_code == 0
    listed = runner.invoke(app, ["purge", "--dry-run", "R-1"])
    assert listed.exit_code == 0, listed.output
    assert "to delete; a preview, as of now, with 6 steps to be done before" in listed.output
    assert all(str(path) in listed.output for path in preview(workspace, "R-1").paths)
    assert runner.invoke(app, ["purge", "R-1"]).exit_code == 2, "a purge itself is not carried out before its time"
    assert not case_of(workspace, "R-1").steps


def test_a_plan_that_went_stale_is_not_foretold(stored: Path) -> None:
    workspace = again(stored)
    planned(workspace, "person")
    train(workspace, toy_of("averages", 3))
    with pytest.raises(StalePlan, match="plan again"):
        preview(workspace, "R-1")


def test_what_is_foreseen_is_not_recorded(stored: Path) -> None:
    workspace = again(stored)
    plan = planned(workspace, "person")
    coming = coming_facts(plan, plan.steps, workspace.ledger.state())
    assert [fact.kind for fact in coming].count("shard-withdrawn") == 1
    assert not list(workspace.ledger.facts("shard-withdrawn"))
