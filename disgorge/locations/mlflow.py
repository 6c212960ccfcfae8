"""Making MLflow forget what :mod:`disgorge.locations.mlflow_search` finds, and looking whether it did.

Records stay where they can: a run keeps its metrics, parameters and tags, only the file goes. A logged model that holds
such a file goes whole. It, and the run that holds nothing but the description of a release, are deleted for good, as
``mlflow gc`` would: that command itself would take along whatever else waits in the user's bin.

The order matters to who is killed half-way: what the rest is found by goes last. A logged model and what points at it
are found by the file, so that file outlives them; a release's run and its description are found by the version.
A file with removed tensors beside others is left and named: it may be somebody else's model with the same public part.
So is a version that no recorded composition explains and that names what goes.

Negative consequence: MLflow keeps of a deleted version that there was one, and its number.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from disgorge.errors import DisgorgeError
from disgorge.locations.location import Deletion, Spare, Target, Traces
from disgorge.locations.mlflow_search import DESCRIBES, Found, Wanted, search, traces
from disgorge.tracking.client import COMPOSITION, Store
from disgorge.tracking.registered import touched
from lineage.workspace import Workspace


@dataclass(slots=True)
class Forgotten:
    """What was deleted, and what was not and why, in words."""

    deleted: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Mlflow:
    """The location of MLflow's artifacts, logged models and registered versions."""

    workspace: Workspace
    name: str = "MLflow"

    def search(self, target: Target, spare: Spare) -> Traces:
        """Look into every store, and into the folders of the workspace where MLflow keeps artifacts."""
        return search(self.workspace.root, self._wanted(target))

    def plan(self, target: Target, spare: Spare) -> Deletion:
        """List the files and records that go."""
        found = [found for _, found in traces(self.workspace.root, self._wanted(target))]
        paths = tuple(path for each in found for path in each.going())
        return Deletion(target, spare, paths, tuple(words for each in found for words in each.records()))

    def delete(self, planned: Deletion) -> Deletion:
        """Delete what the target finds now, look again, and say what is left."""
        done = forget(self.workspace.root, self._wanted(planned.target))
        return Deletion(records=tuple(done.deleted), left=tuple(done.left))

    def _wanted(self, target: Target) -> Wanted:
        """Add to a target what a registered model may name of it, and which compositions are recorded."""
        state, weights = self.workspace.ledger.state(), frozenset(target.weights)
        named = touched(state, self.workspace.ledger.facts(), components=weights, shards=target.shards)
        recorded = frozenset(state.compositions)
        return Wanted(weights, target.items, target.compositions, target.tensors, recorded, named)


def forget(workspace: Path, wanted: Wanted) -> Forgotten:
    """Delete all of it, look again, and return what went and what is left. Doing it twice does no harm."""
    done = Forgotten()
    try:
        for store, found in traces(workspace, wanted):
            done.left += [words for words in (*found.beyond, *found.blind) if words not in done.left]
            _forget_found(store, found, workspace, done)
        for _, again in traces(workspace, wanted):
            left = [*(f"{words}, and could not be deleted" for words in again.words()), *again.unjudged()]
            done.left += [words for words in left if words not in done.left]
    except (DisgorgeError, OSError) as error:
        done.left.append(f"MLflow: {error}")
    return done


def _forget_found(store: Store | None, found: Found, workspace: Path, done: Forgotten) -> None:
    described = [key for key, why in found.versions.items() if why == DESCRIBES]
    if store is not None and (found.versions or found.models or found.runs):
        with store.client() as client:
            _forget_versions(client, [key for key in found.versions if key not in described], done)
            _unlink([path for path in found.going() if path not in found.files], workspace, done)
            for model in found.models:
                _forget_model(client, model, done)
            for run in found.runs:
                _forget_run(client, run, done)
            _unlink(found.files, workspace, done)
            _forget_versions(client, described, done)
    _unlink(found.files, workspace, done)


def _unlink(paths: Iterable[Path], workspace: Path, done: Forgotten) -> None:
    for path in paths:
        if path.is_file() or path.is_symlink():
            path.unlink()
            done.deleted.append(f"MLflow artifact {_name(path, workspace)}")


def _forget_versions(client: Any, versions: Iterable[tuple[str, str]], done: Forgotten) -> None:
    """Delete versions with their tags, which MLflow would keep; the tag by which one is found goes last."""
    for name, number in versions:
        for tag in sorted(client.get_model_version(name, number).tags, key=lambda tag: tag == COMPOSITION):
            client.delete_model_version_tag(name, number, tag)
        client.delete_model_version(name, number)
        done.deleted.append(f"MLflow model version {name}/{number}")


def _forget_model(client: Any, model: str, done: Forgotten) -> None:
    client.delete_logged_model(model)
    store = client._tracking_client.store
    if hasattr(store, "_hard_delete_logged_model"):
        store._hard_delete_logged_model(model)
        done.deleted.append(f"MLflow logged model {model}")
    else:
        done.left.append(f"MLflow logged model {model} is only marked deleted; run `mlflow gc` where its server runs")


def _forget_run(client: Any, run: str, done: Forgotten) -> None:
    client.delete_run(run)
    store = client._tracking_client.store
    if hasattr(store, "_hard_delete_run"):
        store._hard_delete_run(run)
        done.deleted.append(f"MLflow run {run}, which described the release")
    else:
        done.left.append(f"MLflow run {run} is only marked deleted; run `mlflow gc` where its server runs")


def _name(path: Path, workspace: Path) -> str:
    real = workspace.absolute()
    return path.relative_to(real).as_posix() if path.is_relative_to(real) else str(path)
