"""Executions and trainings as MLflow runs.

An execution is a parent run with one nested run per step; a training of a release is one run. Shards are its inputs:
MLflow keeps 36 characters of a digest, so the full SHA-256 is an input tag beside it. Shards, never items: MLflow is no
place for what identifies a person's data, and takes at most 1,000 datasets at a time.

The ledger is the truth, MLflow a view of it. Every run is found again by its tags, so an execution that was killed and
resumed fills in its own runs and makes no second one. Negative consequences: an MLflow server that is down stops an
execution until it is back or ``MLFLOW_TRACKING_URI`` is unset, because a step that ran unseen would be worse; and two
executions of one plan at once would share a run, which the executor's lock prevents.
"""

import json
from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from disgorge.errors import DisgorgeError
from disgorge.evidence.checks import Check, Evidence, Utility, Verdict
from disgorge.evidence.utility import reading_of
from disgorge.method import ModelSpec
from disgorge.plan.plan import Plan, Step
from disgorge.plan.results import Result
from disgorge.tracking.client import Store, installed, metric_name
from disgorge.tracking.described import parameters_of, tags_of
from lineage.records import Cost, Json, Shard, canonical, plain
from lineage.workspace import Workspace
from policies.request import RemovalRequest

if TYPE_CHECKING:
    from disgorge.training.make import Made

Metrics = dict[str, float]
StepDone = tuple[Step, float, Result]
"""A step that is done, the seconds it took, and what came of it."""
RUNNING = "RUNNING"
"""MLflow's status of a run that is not over."""

_DIGEST_CHARACTERS = 36
"""What MLflow keeps of a dataset's digest."""
_TAG_CHARACTERS = 5000
"""What MLflow's databases keep of a run tag's value at the least."""
_NAME_CHARACTERS = 200
"""Of a run's or a dataset's name; MLflow keeps 250 and 500."""
_BATCH = 500
"""Metrics or datasets in one call; MLflow takes 1,000."""
_TAG_BATCH = 100
"""Tags, or parameters, in one call; MLflow takes no more."""


class Observer:
    """What an executor and a trainer tell of their work. This one keeps nothing, because MLflow is not installed."""

    note = "not tracked: MLflow is not installed (pip install disgorge[mlflow])"
    """Why nothing is tracked, in words, or an empty string."""

    def start(
        self, plan: Plan, request: RemovalRequest, shards: Sequence[Shard], done: Sequence[StepDone] = ()
    ) -> None:
        """Hear that a plan's execution begins, or goes on after the steps ``done``, and which shards it is about."""

    def step(self, step: Step, seconds: float, result: Result) -> None:
        """Hear that a step is done."""

    def finish(self, evidence: Evidence, bundle: Path, verdict: str) -> None:
        """Hear that the execution is over and its report written to the folder ``bundle``."""

    def left_open(self, plan: str) -> bool:
        """Whether a plan, by its digest, is being executed as far as was heard: a kill may have come before the end."""
        return False

    def training(
        self, spec: ModelSpec, made: "Made", shards: Sequence[Shard], *, model_file: Path | None = None
    ) -> None:
        """Hear that a model was trained from ``shards``, as ``model_file`` says, and what was made."""


def tracking_or_none(workspace: Workspace) -> Observer:
    """Return the tracking of a workspace, or an observer that keeps nothing and notes why."""
    return Tracking(Store(workspace.root)) if installed() else Observer()


class Tracking(Observer):
    """Executions and trainings as MLflow runs. Every method may be called again with the same arguments."""

    note = ""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._parent: str | None = None
        self._joint = False

    def start(
        self, plan: Plan, request: RemovalRequest, shards: Sequence[Shard], done: Sequence[StepDone] = ()
    ) -> None:
        """Open the parent run of this plan, the one there is if it was started before, and close what a kill left open.

        That is the run of a step that was done and not heard of, and runs of the request's earlier plans.
        """
        self._joint = bool(plan.together)
        with self.store.client() as client:
            there = self._execution(client, plan.digest)
            if there is not None:
                self._parent = str(there.info.run_id)
            else:
                tags = {
                    "disgorge.kind": "execution",
                    "disgorge.plan.plan": plan.digest,
                    "disgorge.request": request.id,
                    "disgorge.regime": request.regime,
                    "disgorge.guarantee": plan.guarantee.label,
                }
                if plan.together:
                    tags |= {"disgorge.requests": ", ".join(plan.requests)}
                self._parent = self._run(client, f"removal {', '.join(plan.requests)}", tags)
            client.update_run(self._parent, status=RUNNING)  # a run that ended in a refusal goes on
            _put(client, self._parent, _cost("expected", plan.cost) | _cost("full-retraining", plan.full_cost), {})
            _inputs(client, self._parent, shards, context="removal")
            for name in plan.requests:
                self._close_earlier_plans(client, name)
        for step, seconds, result in done:
            self.step(step, seconds, result)

    def step(self, step: Step, seconds: float, result: Result) -> None:
        """Record one step as a nested run: what it took, what it was expected to take, and what came of it."""
        with self.store.client() as client:
            known = self._step_run(client, step.id)
            if known is not None and known.info.status == "FINISHED":
                return
            run = known.info.run_id if known else self._run(client, step.words, self._step_tags(step))
            values = plain(result)
            numbers = _numbers(values)
            metrics = {"seconds": seconds, **numbers}
            metrics |= _cost("expected", step.cost)
            _put(client, run, metrics, {f"result.{key}": values[key] for key in values.keys() - numbers.keys()})
            client.set_terminated(run, status="FINISHED")

    def finish(self, evidence: Evidence, bundle: Path, verdict: str) -> None:
        """Record checks and utilities as metrics, the bundle as artifacts, and close the run with the verdict."""
        metrics: Metrics = {}
        tags: dict[str, Json] = {"disgorge.verdict": verdict}
        for check in evidence.checks:
            metrics |= _check(check)
            tags[f"check.{check.name}.{check.subject}"] = reading_of(check)
        for utility in evidence.utility:
            metrics |= _utility(utility)
        with self.store.client() as client:
            parent = self._started()
            _put(client, parent, metrics, tags)
            client.log_artifacts(parent, str(bundle), f"report/{evidence.request}" if self._joint else "report")
            client.set_terminated(parent, status="FINISHED" if verdict == "certified" else "FAILED")

    def left_open(self, plan: str) -> bool:
        """Whether there is a run of this plan, and it is not over."""
        if not self.store.exists():
            return False
        with self.store.client() as client:
            run = self._execution(client, plan)
            return run is not None and run.info.status == RUNNING

    def training(
        self, spec: ModelSpec, made: "Made", shards: Sequence[Shard], *, model_file: Path | None = None
    ) -> None:
        """Record one run for a release's training: the model file, its quality, and the cost of each component."""
        with self.store.client() as client:
            known = {"disgorge.composition": made.composition.digest, "disgorge.kind": "training"}
            there = next(self.store.runs(client, known), None)
            if there is not None and there.info.status == "FINISHED":
                return
            run = there.info.run_id if there else self._run(client, f"train {spec.release}", known)
            metrics: Metrics = {"components": len(made.components), "components-trained": len(made.trained)}
            total = Cost()
            for component in made.components:
                metrics |= _cost(f"component.{component.name}", component.cost)
                total += component.cost if component.name in made.trained else Cost()
            if made.quality is not None:
                metrics |= {"held-out.items": made.quality.items} | made.quality.reported
            _put(client, run, metrics | _cost("trained", total), tags_of(spec, made, model_file))
            _parameters(client, run, parameters_of(spec))
            if model_file is not None and model_file.is_file():
                client.log_artifact(run, str(model_file))
            _inputs(client, run, shards, context="training")
            client.set_terminated(run, status="FINISHED")

    def _execution(self, client: Any, plan: str) -> Any:
        return next(self.store.runs(client, {"disgorge.plan.plan": plan, "disgorge.kind": "execution"}), None)

    def _close_earlier_plans(self, client: Any, request: str) -> None:
        """Mark as killed the runs of earlier plans of a request, and of their steps, that nothing will go on with."""
        for parent in self._running(client, {"disgorge.kind": "execution", "disgorge.request": request}):
            if parent != self._parent:
                for child in (*self._running(client, {"mlflow.parentRunId": parent}), parent):
                    client.set_terminated(child, status="KILLED")

    def _running(self, client: Any, tags: Mapping[str, str]) -> list[str]:
        return [run.info.run_id for run in self.store.runs(client, tags) if run.info.status == RUNNING]

    def _run(self, client: Any, name: str, tags: Mapping[str, str]) -> str:
        run = client.create_run(self.store.experiment(client), run_name=name[:_NAME_CHARACTERS], tags=_texts(tags))
        return str(run.info.run_id)

    def _step_tags(self, step: Step) -> dict[str, str]:
        return {
            "mlflow.parentRunId": self._started(),
            "disgorge.kind": "step",
            "disgorge.step": step.id,
            "disgorge.action": step.action.value,
            "disgorge.subject": step.subject,
            "disgorge.guarantee": step.guarantee.label,
        }

    def _step_run(self, client: Any, step: str) -> Any:
        """Return this step's run or None, compared here because a step's id may hold any character."""
        runs = self.store.runs(client, {"mlflow.parentRunId": self._started()})
        return next((run for run in runs if run.data.tags.get("disgorge.step") == step), None)

    def _started(self) -> str:
        if self._parent is None:
            raise DisgorgeError("no execution is open in MLflow; Tracking.start comes before step and finish")
        return self._parent


def _put(client: Any, run: str, metrics: Metrics, tags: Mapping[str, Json]) -> None:
    """Log metrics and tags in batches; a value logged before under the same name and time is not doubled."""
    from mlflow.entities import Metric, RunTag

    start = client.get_run(run).info.start_time  # milliseconds; the same at every try, so that MLflow sees a repeat
    ours = [Metric(metric_name(name), float(value), start, 0) for name, value in sorted(metrics.items())]
    for at in range(0, len(ours), _BATCH):
        client.log_batch(run, metrics=ours[at : at + _BATCH])
    named = [RunTag(metric_name(name), text) for name, text in sorted(_texts(tags).items())]
    for at in range(0, len(named), _TAG_BATCH):
        client.log_batch(run, tags=named[at : at + _TAG_BATCH])


def _parameters(client: Any, run: str, parameters: Mapping[str, str]) -> None:
    from mlflow.entities import Param

    named = [Param(name, text) for name, text in parameters.items()]
    for at in range(0, len(named), _TAG_BATCH):
        client.log_batch(run, params=named[at : at + _TAG_BATCH])


def _inputs(client: Any, run: str, shards: Sequence[Shard], *, context: str) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    there = {entry.dataset.digest for entry in client.get_run(run).inputs.dataset_inputs}
    inputs = [
        DatasetInput(
            Dataset(
                name=shard.name[:_NAME_CHARACTERS],
                digest=shard.digest[:_DIGEST_CHARACTERS],
                source_type="disgorge",
                source=canonical({"shard": shard.digest, "dvc": shard.dvc}).decode(),
                profile=canonical({"items": shard.count, "core": shard.core}).decode(),
            ),
            [InputTag("disgorge.sha256", shard.digest), InputTag("mlflow.data.context", context)],
        )
        for shard in shards
        if shard.digest[:_DIGEST_CHARACTERS] not in there
    ]
    for at in range(0, len(inputs), _BATCH):
        client.log_inputs(run, datasets=inputs[at : at + _BATCH])


def _cost(name: str, cost: Cost) -> Metrics:
    return {f"{name}.examples": cost.examples, f"{name}.steps": cost.steps, f"{name}.seconds": cost.seconds}


def _numbers(values: Mapping[str, Json]) -> Metrics:
    """Return the values that are finite numbers, truth values as 0 and 1."""
    return {key: float(value) for key, value in values.items() if isinstance(value, int | float) and isfinite(value)}


def _check(check: Check) -> Metrics:
    name = f"check.{check.name}.{check.subject}"
    return _numbers({f"{name}.value": check.value, f"{name}.threshold": check.threshold, f"{name}.n": check.n}) | {
        f"{name}.passed": float(check.verdict is Verdict.PASS)
    }


def _utility(utility: Utility) -> Metrics:
    name = f"utility.{utility.release}.{utility.shard}.{utility.metric}"
    return _numbers({f"{name}.before": utility.before, f"{name}.after": utility.after})


def _texts(values: Mapping[str, Json]) -> dict[str, str]:
    """Return values as tags take them: text as it is, all else as JSON, cut to what MLflow keeps."""
    return {
        key: (value if isinstance(value, str) else json.dumps(value, sort_keys=True))[:_TAG_CHARACTERS]
        for key, value in values.items()
    }
