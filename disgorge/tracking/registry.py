"""Releases as versions of registered models, served by MLflow without leaving our object store.

A version's artifact is *only the description* of a composition: JSON with digests, the code that loads it, and the
signature with an example of made-up values. The
weights stay in the workspace's object store, so that there is one place to purge; MLflow never holds a copy that
outlives a removal. The negative consequence: a version answers only where the workspace is, and once its components
are purged an old version no longer loads, which is the point.

An alias is what people serve. Containing a release takes the alias away, with those that people set by hand on the same
version or on copies of it; adopting sets it on the new version, and withdrawing destroys versions, model and artifacts.
Each does nothing when it was done before. A version loaded by its number is served until the purge.
"""

import json
import platform
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from disgorge.tracking import pyfunc
from disgorge.tracking.addresses import local_path
from disgorge.tracking.client import COMPOSITION, KIND, RELEASE, Store, installed, run_of_release, versions_of
from disgorge.tracking.described import description_of
from disgorge.tracking.signature import EXAMPLE, SERVED_EXAMPLE, columns_of, example_of, signature_of
from lineage.records import Composition, canonical
from lineage.workspace import Workspace

_FOLDER = "release"
"""Where in its run a version's artifact is."""


class Registrar:
    """What an executor tells a registry. This one registers nothing, because MLflow is not installed."""

    note = "not registered: MLflow is not installed (pip install disgorge[mlflow])"
    """Why nothing is registered, in words, or an empty string."""

    def register(self, release: str, composition: Composition) -> str:
        """Return the version of this composition, made if there is none; sets no alias."""
        return ""

    def adopt(self, release: str, alias: str, composition: Composition) -> str:
        """Set the alias to the version of this composition, made if there is none, and return that version."""
        return ""

    def contain(self, release: str, alias: str) -> None:
        """Take the alias away, so that nothing is served under it: its readers get an error, not the old model."""

    def stop(self, composition: str) -> tuple[str, ...]:
        """Take every alias away that serves this composition, by digest, of copies too; return them as model@alias."""
        return ()

    def served(self, release: str) -> dict[str, str]:
        """Return the digest of the composition served under each alias; empty for a model that is not registered."""
        return {}

    def withdraw(self, release: str, *, keep: Collection[str] = ()) -> tuple[str, ...]:
        """Destroy a model with all versions; return what could not be destroyed, in words.

        Versions of the compositions to ``keep``, by digest, stay: other aliases serve them.
        """
        return ()


def registry_or_none(workspace: Workspace) -> Registrar:
    """Return the registry of a workspace, or one that registers nothing and notes why."""
    return Registry(Store(workspace.root), workspace) if installed() else Registrar()


class Registry(Registrar):
    """Releases in MLflow's model registry. See :class:`Registrar` for what each method does.

    Versions have a description and a signature where the ``workspace`` is given that recorded the compositions.
    """

    note = ""

    def __init__(self, store: Store, workspace: Workspace | None = None) -> None:
        self.store = store
        self.workspace = workspace

    def register(self, release: str, composition: Composition) -> str:
        """Return the version, registered if there is none."""
        with self.store.client() as client:
            return self._version(client, release, composition)

    def adopt(self, release: str, alias: str, composition: Composition) -> str:
        """Set the alias in one step, after registering the version."""
        with self.store.client() as client:
            version = self._version(client, release, composition)
            client.set_registered_model_alias(release, alias, version)
            return version

    def contain(self, release: str, alias: str) -> None:
        """Take the alias away."""
        with self.store.client() as client:
            if alias in self._aliases(client, release):
                client.delete_registered_model_alias(release, alias)

    def stop(self, composition: str) -> tuple[str, ...]:
        """Take away the aliases that people set themselves, and those of versions copied to other models."""
        with self.store.client() as client:
            copies = {(v.name, str(v.version)) for v in versions_of(client, f"tags.`{COMPOSITION}` = '{composition}'")}
            stopped = [
                (name, alias)
                for name in sorted({name for name, _ in copies})
                for alias, number in self._aliases(client, name).items()
                if (name, number) in copies
            ]
            for name, alias in stopped:
                client.delete_registered_model_alias(name, alias)
            return tuple(f"{name}@{alias}" for name, alias in stopped)

    def served(self, release: str) -> dict[str, str]:
        """Return the digest of the composition under each alias."""
        with self.store.client() as client:
            return {
                alias: str(client.get_model_version(release, version).tags.get(COMPOSITION, ""))
                for alias, version in self._aliases(client, release).items()
            }

    def withdraw(self, release: str, *, keep: Collection[str] = ()) -> tuple[str, ...]:
        """Delete versions, each one's own run with its artifacts, and with the last the model.

        The run of a version that was registered by hand stays.
        """
        left: list[str] = []
        with self.store.client() as client:
            kept = 0
            for version in list(self._versions(client, release)):
                if version.tags.get(COMPOSITION) in keep:
                    kept += 1
                    continue
                if version.run_id and run_of_release(client, version.run_id) is not None:
                    left += _destroy(self.store, client, version.run_id)
                client.delete_model_version(release, version.version)
            if not kept and self._model(client, release) is not None:
                client.delete_registered_model(release)
        return tuple(left)

    def _version(self, client: Any, release: str, composition: Composition) -> str:
        for version in self._versions(client, release):
            if version.tags.get(COMPOSITION) == composition.digest:
                return str(version.version)
        if self._model(client, release) is None:
            client.create_registered_model(release)
        tags = {COMPOSITION: composition.digest, KIND: RELEASE, "disgorge.release": release}
        run = client.create_run(self.store.experiment(client), run_name=f"release {release}"[:200], tags=tags)
        run_id = run.info.run_id
        columns = columns_of(self.workspace, composition) if self.workspace else None
        words = description_of(self.workspace, composition) if self.workspace else None
        with tempfile.TemporaryDirectory() as folder:
            _write_artifact(Path(folder), composition, self.store.root, columns)
            client.log_artifacts(run_id, folder, _FOLDER)
        client.set_terminated(run_id, status="FINISHED")
        source = f"runs:/{run_id}/{_FOLDER}"
        made = client.create_model_version(release, source, run_id=run_id, tags=tags, description=words)
        return str(made.version)

    def _versions(self, client: Any, release: str) -> Iterator[Any]:
        if self._model(client, release) is None:
            return
        quote = '"' if "'" in release else "'"
        yield from versions_of(client, f"name = {quote}{release}{quote}")

    def _aliases(self, client: Any, release: str) -> dict[str, str]:
        model = self._model(client, release)
        return {} if model is None else {alias: str(version) for alias, version in model.aliases.items()}

    def _model(self, client: Any, release: str) -> Any:
        from mlflow.exceptions import MlflowException

        try:
            return client.get_registered_model(release)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise


def _write_artifact(
    folder: Path, composition: Composition, workspace_folder: Path, columns: Mapping[str, str] | None
) -> None:
    """Write the artifact of a version to ``folder``: the composition, the code to load it, and its signature.

    The files are those of ``mlflow.pyfunc.save_model``, which would first look through every installed distribution,
    and load what it needs for chat models: half of a removal's time in MLflow.
    """
    from mlflow.models import Model
    from mlflow.version import VERSION

    model, python, needed = Model(), platform.python_version(), [f"mlflow=={VERSION}", "disgorge"]
    (folder / "artifacts").mkdir()
    (folder / "artifacts" / "composition.json").write_bytes(canonical(composition))
    shutil.copy(pyfunc.__file__, folder / "pyfunc.py")
    (folder / "requirements.txt").write_text("\n".join(needed))
    conda = {
        "name": "mlflow-env",
        "channels": ["conda-forge"],
        "dependencies": [f"python={python}", "pip", {"pip": needed}],
    }
    (folder / "conda.yaml").write_text(json.dumps(conda))  # JSON is YAML
    local = {
        "python": python,
        "build_dependencies": ["pip", "setuptools", "wheel"],
        "dependencies": ["-r requirements.txt"],
    }
    (folder / "python_env.yaml").write_text(json.dumps(local))
    model.add_flavor(
        "python_function",
        loader_module="mlflow.pyfunc.loaders.code_model",
        model_code_path="pyfunc.py",
        artifacts={"composition": {"path": "artifacts/composition.json"}},
        config={"workspace": str(workspace_folder.resolve())},
        env={"conda": "conda.yaml", "virtualenv": "python_env.yaml"},
        python_version=python,
        streamable=False,
    )
    if columns:
        model.signature, example = signature_of(columns), example_of(columns)
        (folder / EXAMPLE).write_text(json.dumps(example))
        (folder / SERVED_EXAMPLE).write_text(json.dumps({"dataframe_split": example}))
        files = {"artifact_path": EXAMPLE, "serving_input_path": SERVED_EXAMPLE}
        model.saved_input_example_info = {"type": "dataframe", "pandas_orient": "split", **files}
    model.save(str(folder / "MLmodel"))


def _destroy(store: Store, client: Any, run_id: str) -> list[str]:
    """Delete a run and its artifacts physically; return what is left. ``delete_run`` alone only hides it.

    A copy of a workspace deletes nothing in the original, where its old runs point.
    """
    from mlflow.exceptions import MlflowException
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    uri = client.get_run(run_id).info.artifact_uri
    if not store.owns(uri):
        client.delete_run(run_id)
        return [f"MLflow run {run_id}: its artifacts are in another workspace ({uri}) and were left there"]
    repository: Any = get_artifact_repository(uri)
    try:
        if (folder := local_path(uri)) is None:
            repository.delete_artifacts()
        elif folder.exists():
            shutil.rmtree(folder)  # MLflow itself takes a path with % for another one
        left = [entry.path for entry in repository.list_artifacts()]
    except (MlflowException, NotImplementedError, OSError) as error:
        left = [str(error).splitlines()[0]]
    client.delete_run(run_id)
    return [f"MLflow run {run_id}: {what} was not deleted; run `mlflow gc --run-ids {run_id}`" for what in left]
