"""Executions as MLflow runs and releases as registry versions, against a real MLflow on sqlite.

A fresh database takes MLflow seconds, so the tests share the migrations of one template.
"""

import datetime as dt
import json
import platform
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from disgorge.errors import DisgorgeError, PurgeHeld, TrackingFailed
from disgorge.evidence.checks import Check, Evidence, Utility, Verdict
from disgorge.plan.plan import Action, Plan, Step
from disgorge.plan.results import Result, Retired, Retrained
from disgorge.request.case import case_of, plan_of
from disgorge.request.holds.purge_hold import hold_purge, release_purge
from disgorge.tracking.client import Store, quiet, tracking_uri
from disgorge.tracking.pyfunc import items_from, workspace_of
from disgorge.tracking.registry import Registrar, Registry, registry_or_none
from disgorge.tracking.runs import Observer, Tracking, tracking_or_none
from disgorge.training.stored import assemble
from lineage.errors import BadInput, LineageError
from lineage.records import Composition, Cost, Member, Selector, Shard
from lineage.workspace import Workspace
from policies.request import RemovalRequest, Standing
from policies.taxonomy import Defect, Guarantee
from tests.disgorge.cli.conftest import fine
from tests.toys import RELEASE, StoppedError, carry, composition_of, granted_plan, live_shards, toy_of, train


@pytest.fixture
def workspace(workspace: Workspace, database: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A trained toy, released in the ledger alone, with a migrated MLflow database."""
    monkeypatch.delenv("DISGORGE_WORKSPACE", raising=False)
    shutil.copy(database, workspace.root / "mlflow.db")
    return workspace


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail a test in which anything, telemetry first of all, tries to reach another machine.

    The control of confinement serves an item on this very machine and looks for it there; nothing else may.
    """
    tried: list[Any] = []
    connect = socket.socket.connect

    def refuse(self: socket.socket, address: Any) -> None:
        if address[0] == "127.0.0.1" or str(address).startswith("\x00.disgorge-control-"):
            return connect(self, address)
        tried.append(address)
        raise OSError(f"no network in tests: {address}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    yield
    assert tried == []


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Return a report's folder."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "statement.json").write_text("{}")
    return folder


def runs(workspace: Workspace, **tags: str) -> list[Any]:
    """Return the runs with these ``disgorge.`` tags, oldest first."""
    store = Store(workspace.root)
    with store.client() as client:
        found = client.search_runs([store.experiment(client)], order_by=["attributes.start_time"])
    return [run for run in found if all(run.data.tags.get(f"disgorge.{k}") == v for k, v in tags.items())]


SHARDS = (Shard("ab" * 32, "alice", "web", "MIT", None, 3), Shard("cd" * 32, "bob", None, None, None, 2, dvc="12" * 16))
REQUEST = RemovalRequest(
    "R-1", Standing.CONTRIBUTOR, Defect.CONTRACT, "contract", (Selector("shard", "alice"),), dt.date(2026, 11, 2)
)
STEP = Step(
    '03-retrain-it\'s "quoted"',
    Action.RETRAIN,
    "toy/head",
    "toy",
    Guarantee.EXACT,
    Cost(30, 3, 0.5),
    "Train head again.",
)
PLAN = Plan("R-1", "", "", Guarantee.EXACT, (STEP,), (), 1, None, Cost(300, 30, 5.0))
EVIDENCE = Evidence(
    "R-1", PLAN.digest, ("toy",), ("residue",),
    (
        Check("residue", "toy", "?", "!", 0, 0, 12, Verdict.PASS),
        Check("membership", "toy", "?", "!", None, [0, 1], 5, Verdict.FAIL),
    ),
    (Utility("toy", "held-out", "accuracy", 40, 0.9, 0.85), Utility("toy", "held-out", "loss", 40, None, float("nan"))),
    {}, {}, {},
)  # fmt: skip


def test_an_execution_is_a_parent_with_a_run_per_step(workspace: Workspace, bundle: Path) -> None:
    """Costs, checks and utilities are metrics, datasets inputs with their full digest, the bundle an artifact."""
    observer = tracking_or_none(workspace)
    assert isinstance(observer, Tracking)
    observer.start(PLAN, REQUEST, SHARDS)
    observer.step(STEP, 1.5, Retrained("cd" * 32, "ef" * 32, Cost(steps=4, seconds=float("inf"))))
    observer.finish(EVIDENCE, bundle, "certified")
    (parent,) = runs(workspace, kind="execution")
    (step,) = runs(workspace, kind="step")
    assert parent.info.status == step.info.status == "FINISHED"
    assert parent.data.tags["disgorge.plan.plan"] == PLAN.digest
    assert parent.data.tags["disgorge.verdict"] == "certified"
    assert step.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert step.data.tags["result.after"] == "ef" * 32
    assert step.data.metrics["seconds"] == 1.5
    assert step.data.metrics["expected.steps"] == 3
    assert step.data.tags["result.cost"] == '{"examples": 0, "seconds": Infinity, "steps": 4}'
    assert parent.data.metrics["full-retraining.steps"] == 30
    assert parent.data.metrics["check.residue.toy.passed"] == 1
    assert parent.data.metrics["check.membership.toy.passed"] == 0
    assert parent.data.metrics["utility.toy.held-out.accuracy.after"] == 0.85
    inputs = {entry.dataset.name: entry for entry in parent.inputs.dataset_inputs}
    assert {name: entry.dataset.digest for name, entry in inputs.items()} == {"alice": "ab" * 18, "bob": "cd" * 18}
    tags = {tag.key: tag.value for tag in inputs["alice"].tags}
    assert tags == {"disgorge.sha256": "ab" * 32, "mlflow.data.context": "removal"}
    with Store(workspace.root).client() as client:
        assert [entry.path for entry in client.list_artifacts(parent.info.run_id, "report")] == [
            "report/statement.json"
        ]
    assert (workspace.root / "mlartifacts").is_dir()


def test_an_execution_that_goes_on_doubles_nothing(workspace: Workspace) -> None:
    """Another process finds the parent by its plan, a finished step is left alone, an unfinished one completed."""
    tracking_or_none(workspace).start(PLAN, REQUEST, SHARDS)
    first = tracking_or_none(workspace)
    first.start(PLAN, REQUEST, SHARDS)
    first.step(STEP, 1.5, Retired(7))
    with Store(workspace.root).client() as client:
        client.update_run(runs(workspace, kind="step")[0].info.run_id, status="RUNNING")  # as if killed before the end
    second = tracking_or_none(workspace)
    second.start(PLAN, REQUEST, SHARDS)
    second.step(STEP, 2.5, Retired(7))
    second.step(STEP, 9.5, Retired(9))
    (parent,) = runs(workspace, kind="execution")
    (step,) = runs(workspace, kind="step")
    assert len(parent.inputs.dataset_inputs) == 2
    assert step.info.status == "FINISHED"
    assert step.data.metrics["seconds"] == 2.5


def test_a_refusal_is_a_failed_run(workspace: Workspace, bundle: Path) -> None:
    observer = tracking_or_none(workspace)
    observer.start(PLAN, REQUEST, SHARDS)
    observer.finish(EVIDENCE, bundle, "refused")
    (parent,) = runs(workspace, kind="execution")
    assert (parent.info.status, parent.data.tags["disgorge.verdict"]) == ("FAILED", "refused")


def test_names_mlflow_would_not_take_are_taken(workspace: Workspace, bundle: Path) -> None:
    odd = "a'b\"; drop: [x] \u202e\u00fc" + "x" * 400
    evidence = Evidence("R-1", "", (), (), (Check("residue", odd, "?", "!", 0, 0, 1, Verdict.PASS),), (), {}, {}, {})
    observer = tracking_or_none(workspace)
    observer.start(PLAN, REQUEST, [Shard("ee" * 32, odd, None, None, None, 1)])
    observer.step(Step(odd, Action.DROP, odd, None, Guarantee.EXACT, Cost(), odd), 0.1, Result(residuals=(odd * 30,)))
    observer.finish(evidence, bundle, "certified")
    assert len(runs(workspace, kind="step")) == 1


def test_a_training_is_one_run_with_the_cost_of_each_component(workspace: Workspace) -> None:
    toy = toy_of("averages", 3)
    made = train(workspace, toy)
    for _ in range(2):
        tracking_or_none(workspace).training(toy.spec, made, list(live_shards(workspace).values()))
    (run,) = runs(workspace, kind="training")
    assert run.data.tags["release"] == RELEASE
    assert run.data.metrics["components"] == 5
    assert run.data.metrics[f"component.{RELEASE}/scale.steps"] == 1
    assert len(run.inputs.dataset_inputs) == len(live_shards(workspace))


def test_a_registered_release_answers_as_the_assembled_model(workspace: Workspace) -> None:
    """``models:/name@alias`` loads from the object store and predicts the same, in another process and folder."""
    composition = composition_of(workspace)
    assert registry_or_none(workspace).adopt(RELEASE, "live", composition) == "1"
    items = toy_of("averages", 3).items["shard-1"]
    expected = assemble(workspace, composition).predict(items)
    code = (
        "import sys, json, mlflow\n"
        "mlflow.set_tracking_uri(sys.argv[1])\n"
        "model = mlflow.pyfunc.load_model('models:/toy-averages@live')\n"
        "print('answer:' + json.dumps(model.predict({'x': json.loads(sys.argv[2])}).tolist()))"
    )
    x = json.dumps(items.arrays["x"].tolist())
    done = subprocess.run(
        [sys.executable, "-c", code, tracking_uri(workspace.root), x],
        cwd=workspace.root.parent, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert np.allclose(json.loads(done.stdout.rpartition("answer:")[2]), expected, atol=0)


def test_the_artifact_is_a_description_and_no_weights(workspace: Workspace) -> None:
    """MLflow gets digests and code; there is no pickle, and no file with the bytes of a component."""
    registry_or_none(workspace).adopt(RELEASE, "live", composition_of(workspace))
    files = {path.name: path for path in (workspace.root / "mlartifacts").rglob("*") if path.is_file()}
    assert {"MLmodel", "composition.json", "pyfunc.py"} <= files.keys()
    assert not [name for name in files if name.endswith((".pkl", ".pth", ".safetensors", ".bin"))]
    assert max(path.stat().st_size for path in files.values()) < 20_000


def test_a_version_names_what_it_needs_as_mlflow_reads_it(workspace: Workspace) -> None:
    registry_or_none(workspace).adopt(RELEASE, "live", composition_of(workspace))
    with quiet():
        import mlflow
        from mlflow.utils.environment import _PythonEnv

        mlflow.set_tracking_uri(tracking_uri(workspace.root))
        pip = Path(mlflow.pyfunc.get_model_dependencies(f"models:/{RELEASE}@live"))
        conda = Path(mlflow.pyfunc.get_model_dependencies(f"models:/{RELEASE}@live", format="conda"))
        python = _PythonEnv.from_yaml(str(pip.with_name("python_env.yaml"))).python
    needed = [f"mlflow=={mlflow.__version__}", "disgorge"]
    assert pip.read_text().split() == needed
    assert yaml.safe_load(conda.read_text())["dependencies"][-1] == {"pip": needed}
    assert python == platform.python_version()


def test_a_purged_component_stops_an_old_version(workspace: Workspace) -> None:
    composition = composition_of(workspace)
    registry_or_none(workspace).adopt(RELEASE, "live", composition)
    workspace.objects.delete(composition.members[0].component)
    with quiet():
        import mlflow

        mlflow.set_tracking_uri(tracking_uri(workspace.root))
        with pytest.raises(LineageError, match="purged"):
            mlflow.pyfunc.load_model(f"models:/{RELEASE}@live")


def test_the_life_of_an_alias(workspace: Workspace) -> None:
    """Contain takes it away, adopt moves it, withdraw destroys everything; each twice does no more than once."""
    registry = Registry(Store(workspace.root))
    old = composition_of(workspace)
    new = Composition(old.method, old.spec, old.members[:-1])
    assert registry.served(RELEASE) == {}
    registry.contain(RELEASE, "live")
    assert {registry.register(RELEASE, old) for _ in range(2)} == {registry.adopt(RELEASE, "live", old)} == {"1"}
    assert registry.served(RELEASE) == {"live": old.digest}
    for _ in range(2):
        registry.contain(RELEASE, "live")
        assert registry.served(RELEASE) == {}
    for _ in range(2):
        assert registry.adopt(RELEASE, "live", new) == "2"
        assert registry.served(RELEASE) == {"live": new.digest}
    for _ in range(2):
        assert registry.withdraw(RELEASE) == ()
        assert registry.served(RELEASE) == {}
    assert [path for path in (workspace.root / "mlartifacts").rglob("*") if path.is_file()] == []
    assert runs(workspace, kind="release") == []


def test_every_alias_that_serves_the_old_release_goes(workspace: Workspace) -> None:
    """One that somebody set by hand, and one of a copy in another model; before and while the removal runs."""
    registry = Registry(Store(workspace.root))
    old = composition_of(workspace)
    version = registry.adopt(RELEASE, "live", old)
    registry.adopt("another", "live", Composition(old.method, old.spec, old.members[:-1]))
    with registry.store.client() as client:
        client.set_registered_model_alias(RELEASE, "champion", version)
        copy = client.copy_model_version(f"models:/{RELEASE}/{version}", "a copy")
        client.set_registered_model_alias("a copy", "best", copy.version)
    granted_plan(workspace, [Selector("shard", "shard-2")])
    hold_purge(workspace, "R-1", until=dt.date(2999, 1, 1), because="trial", by="Ann")
    with pytest.raises(PurgeHeld):
        carry(workspace, registrar=registry)
    assert registry.served("a copy") == {}
    assert registry.served(RELEASE) == {"live": composition_of(workspace).digest}
    assert registry.served("another").keys() == {"live"}, "it never served what is removed"
    release_purge(workspace, "R-1", because="settled", by="Ann")
    page = (carry(workspace, registrar=registry).bundle / "report.html").read_text()
    for alias in (f"{RELEASE}@champion", "a copy@best"):
        assert f"MLflow's alias {alias} served the old release as well and was taken away" in unescape(page)


def test_what_mlflow_refuses_is_one_line(workspace: Workspace) -> None:
    composition = Composition("averages", {}, (Member("a", "ab" * 32),))
    with pytest.raises(DisgorgeError, match=r"MLflow at sqlite:.*run the same command again") as raised:
        registry_or_none(workspace).adopt("a/b:c", "live", composition)
    assert "\n" not in str(raised.value)


def test_another_tracking_server_is_honored(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database: Path
) -> None:
    shutil.copy(database, tmp_path / "other.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'other.db'}")
    monkeypatch.setenv("MLFLOW_ARTIFACT_ROOT", str(tmp_path))
    before = (workspace.root / "mlflow.db").read_bytes()
    tracking_or_none(workspace).start(PLAN, REQUEST, ())
    assert len(runs(workspace, kind="execution")) == 1
    assert (workspace.root / "mlflow.db").read_bytes() == before


def test_without_mlflow_everything_goes_on(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("disgorge.tracking.runs.installed", lambda: False)
    monkeypatch.setattr("disgorge.tracking.registry.installed", lambda: False)
    observer, registry = tracking_or_none(workspace), registry_or_none(workspace)
    assert isinstance(observer, Observer)
    assert isinstance(registry, Registrar)
    assert "pip install" in observer.note
    assert "pip install" in registry.note
    observer.start(PLAN, REQUEST, SHARDS)
    observer.step(STEP, 1.0, Result())
    observer.finish(EVIDENCE, tmp_path, "certified")
    registry.contain(RELEASE, "live")
    assert registry.withdraw(RELEASE) == ()


def test_a_whole_removal_is_tracked_and_its_alias_moves(workspace: Workspace) -> None:
    """The executor's own calls: one parent, a run per step of the plan, the alias on the new composition."""
    registry = Registry(Store(workspace.root))
    old = composition_of(workspace)
    registry.adopt(RELEASE, "live", old)
    granted_plan(workspace, [Selector("shard", "shard-2")])
    plan = plan_of(workspace, case_of(workspace, "R-1"))
    assert carry(workspace, registrar=registry, observer=tracking_or_none(workspace)).verdict == "certified"
    (parent,) = runs(workspace, kind="execution")
    steps = runs(workspace, kind="step")
    assert [run.data.tags["disgorge.step"] for run in steps] == [step.id for step in plan.steps]
    assert {run.data.tags["mlflow.parentRunId"] for run in steps} == {parent.info.run_id}
    assert registry.served(RELEASE) == {"live": composition_of(workspace).digest}
    assert composition_of(workspace).digest != old.digest


def test_items_for_a_served_model() -> None:
    """Arrays, lists and data frames become items; fields of unequal length and no field at all are refused."""
    import pandas as pd

    frame = pd.DataFrame({"image": [np.zeros((2, 2)), np.ones((2, 2))], "label": [1, 2]})
    for given in (frame, {"image": [np.zeros((2, 2)), np.ones((2, 2))], "label": [1, 2]}):
        items = items_from(given)
        assert len(items) == 2
        assert items.arrays["image"].shape == (2, 2, 2)
    with pytest.raises(BadInput, match="same number"):
        items_from({"a": [1, 2], "b": [1]})
    with pytest.raises(BadInput, match="mapping"):
        items_from([1, 2])


def test_where_a_served_model_looks_for_its_workspace(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable wins, then the place of registration if it is still there, then the current folder."""
    config = {"workspace": str(workspace.root)}
    assert workspace_of(config) == workspace.root
    monkeypatch.chdir(tmp_path)
    assert workspace_of({"workspace": str(tmp_path / "gone")}) == workspace_of(None) == tmp_path
    monkeypatch.setenv("DISGORGE_WORKSPACE", str(tmp_path / "named"))
    assert workspace_of(config) == tmp_path / "named"


def test_a_copied_workspace_leaves_the_originals_artifacts_alone(workspace: Workspace, tmp_path: Path) -> None:
    """MLflow keeps absolute places; a removal tried in a copy must not reach through them into the original."""
    old = composition_of(workspace)
    Registry(Store(workspace.root)).register(RELEASE, old)
    artifacts = workspace.root / "mlartifacts"
    before = sorted(artifacts.rglob("*"))
    copy = tmp_path / "copy"
    shutil.copytree(workspace.root, copy)
    registry = Registry(Store(copy))
    registry.adopt(RELEASE, "live", Composition(old.method, old.spec, old.members[:-1]))
    assert len([path for path in (copy / "mlartifacts").glob("*") if path.is_dir()]) == 2
    left = registry.withdraw(RELEASE)
    assert len(left) == 1
    assert "in another workspace" in left[0]
    assert sorted(artifacts.rglob("*")) == before
    assert Registry(Store(workspace.root)).withdraw(RELEASE) == ()


def test_a_store_that_fails_is_one_line_and_the_machines_failure(
    workspace: Workspace, capfd: pytest.CaptureFixture[str]
) -> None:
    """A full disk, a damaged file: MLflow logs a traceback of its own, which must not reach anybody."""
    (workspace.root / "mlflow.db").write_bytes(b"no database at all, " * 100)
    with pytest.raises(TrackingFailed, match=r"MLflow at sqlite:.*run the same command again") as raised:
        tracking_or_none(workspace).start(PLAN, REQUEST, ())
    assert "\n" not in str(raised.value)
    assert "Traceback" not in "".join(capfd.readouterr())


def statuses(workspace: Workspace) -> set[str]:
    """Return the statuses of all runs of executions and steps."""
    return {run.info.status for kind in ("execution", "step") for run in runs(workspace, kind=kind)}


def test_runs_that_a_kill_left_open_are_closed_on_resume(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between the fact of a step and the end of its run: of one in the middle, then of the last."""
    plan = granted_plan(workspace, [Selector("shard", "shard-2")])

    class Dying(Tracking):
        at = Action.RECOMPOSE

        def step(self, step: Step, seconds: float, result: Any) -> None:
            if step.action is self.at and not step_of(step):
                with self.store.client() as client:
                    self._run(client, step.words, self._step_tags(step))
                raise StoppedError
            super().step(step, seconds, result)

    def step_of(step: Step) -> list[Any]:
        return runs(workspace, kind="step", step=step.id)

    for Dying.at in (Action.RECOMPOSE, Action.REPORT):
        with pytest.raises(StoppedError):
            carry(workspace, observer=Dying(Store(workspace.root)))
        assert statuses(workspace) == {"RUNNING", "FINISHED"}
    case = case_of(workspace, "R-1")
    assert case.closed == "done"
    monkeypatch.chdir(workspace.root)
    assert "there is nothing to resume" in fine("request", "resume", "R-1").out
    assert statuses(workspace) == {"FINISHED"}
    (parent,) = runs(workspace, kind="execution")
    assert parent.data.tags["disgorge.verdict"] == "certified"
    assert [run.data.tags["disgorge.step"] for run in runs(workspace, kind="step")] == [step.id for step in plan.steps]


def test_the_runs_of_a_plan_that_was_made_again_are_killed(workspace: Workspace) -> None:
    """Nothing goes on with them; what another request left open is its own matter."""
    for plan, request in ((PLAN, REQUEST), (replace(PLAN, request="R-2"), replace(REQUEST, id="R-2"))):
        tracking_or_none(workspace).start(plan, request, SHARDS)
    second = tracking_or_none(workspace)
    second.start(replace(PLAN, lineage_head="ab"), REQUEST, SHARDS)
    told = {
        (run.data.tags["disgorge.plan.plan"] == PLAN.digest, run.info.status) for run in runs(workspace, request="R-1")
    }
    assert told == {(True, "KILLED"), (False, "RUNNING")}
    assert [run.info.status for run in runs(workspace, request="R-2")] == ["RUNNING"]


def test_a_finished_request_makes_no_store(tmp_path: Path) -> None:
    """Resuming where MLflow was never used must not begin to use it."""
    workspace = Workspace.init(tmp_path / "workspace")
    assert not tracking_or_none(workspace).left_open(PLAN.digest)
    assert not (workspace.root / "mlflow.db").exists()
