"""What MLflow's addresses mean: where every experiment, run, logged model and registered version keeps its files.

A store is asked for each of them, whatever its life-cycle stage: ``copy_model_version`` makes a version whose source is
another version, a run need not lie below its experiment, and what was deleted keeps its files until ``mlflow gc``.
Deleted versions and logged models are in no answer of MLflow's client, so a store in a database is asked by its tables.
Negative consequence: a server's deleted versions and logged models are not listed; the files of the latter lie below
their experiment, unless somebody moved them.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlparse

_HOPS = 10
"""Versions that may be copies of one another, before it is taken for a circle."""
_MOUNTED = ("/", "/mnt", "/media", "/run/media", "/net", "/Volumes")
"""Folders in which disks of other machines appear."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where something keeps its files; ``run`` and ``model`` are the id of a run or a logged model.

    ``uri`` is empty where nothing says where that is, and ``used`` is false where nothing was ever logged there.
    """

    what: str
    uri: str
    run: str = ""
    model: str = ""
    used: bool = True


def addresses(client: Any) -> Iterator[Address]:
    """Yield the address of every experiment, run and logged model, and of deleted versions."""
    from mlflow.entities import ViewType

    every = ViewType.ALL
    experiments = list(pages(lambda token: client.search_experiments(view_type=every, page_token=token)))
    ids = [str(experiment.experiment_id) for experiment in experiments]
    runs = list(pages(lambda token: client.search_runs(ids, run_view_type=every, page_token=token))) if ids else []
    models = list(pages(lambda token: client.search_logged_models(ids, page_token=token))) if ids else []
    used = {str(run.info.experiment_id) for run in runs} | {str(model.experiment_id) for model in models}
    for each in experiments:
        yield Address(f"experiment {each.name}", each.artifact_location or "", used=str(each.experiment_id) in used)
    for each in runs:
        yield Address(f"run {each.info.run_id}", each.info.artifact_uri or "", run=each.info.run_id)
    for model in models:
        yield Address(f"logged model {model.model_id}", model.artifact_location or "", model=model.model_id)
    yield from _from_tables(client)


def _from_tables(client: Any) -> Iterator[Address]:
    """Yield what only the tables of a store in a database tell: deleted logged models and versions, and traces."""
    runs, registry = client._tracking_client.store, client._get_registry_client().store
    if hasattr(runs, "engine"):
        from mlflow.store.tracking.dbmodels.models import SqlLoggedModel, SqlTraceTag

        with runs.ManagedSessionMaker() as session:
            models = session.query(SqlLoggedModel.model_id, SqlLoggedModel.artifact_location)
            deleted = models.filter(SqlLoggedModel.lifecycle_stage == "deleted").all()
            traces = session.query(SqlTraceTag.value).filter(SqlTraceTag.key == "mlflow.artifactLocation")
            traced = traces.distinct().all()
        yield from (Address(f"deleted logged model {model}", location, model=model) for model, location in deleted)
        yield from (Address("traces", location, used=False) for (location,) in traced if location)
    if hasattr(registry, "engine"):
        from mlflow.store.model_registry.dbmodels.models import SqlModelVersion as Version

        with registry.ManagedSessionMaker() as session:
            versions = session.query(Version.name, Version.version, Version.storage_location)
            deleted = versions.filter(Version.current_stage == "Deleted_Internal").all()
        for name, number, location in deleted:
            if location and (uri := _resolved(client, location, strict=False)):
                yield Address(f"deleted model version {name}/{number}", uri, used=False)


def download_uri(client: Any, version: Any, runs: Mapping[str, str]) -> str:
    """Return where a registered version's files lie in the end; raises ``MlflowException`` where nothing says.

    ``runs`` are the locations of those runs that are known.
    """
    uri = str(client.get_model_version_download_uri(version.name, version.version) or "")
    return _resolved(client, uri, runs) or ""


def _resolved(
    client: Any, uri: str, runs: Mapping[str, str] = MappingProxyType({}), *, strict: bool = True
) -> str | None:
    """Follow an address to one that names a place; None, unless ``strict``, where what it leads to is gone."""
    from mlflow.exceptions import MlflowException
    from mlflow.store.artifact.runs_artifact_repo import RunsArtifactRepository
    from mlflow.store.artifact.utils import models as model_uris
    from mlflow.utils import uri as uris

    repository: Any = RunsArtifactRepository
    models: Any = model_uris
    paths: Any = uris
    try:
        for _ in range(_HOPS):
            match urlparse(uri).scheme:
                case "runs":
                    run, inner = repository.parse_runs_uri(uri)
                    location = runs.get(run) or client.get_run(run).info.artifact_uri
                    uri = paths.append_to_uri_path(location, inner) if inner else location
                case "models":
                    named = models.get_model_name_and_version(client, uri)
                    if len(named) == 1:
                        uri = client.get_logged_model(*named).artifact_location
                    else:
                        uri = client.get_model_version_download_uri(*named)
                case _:
                    return uri
    except MlflowException:
        if strict:
            raise
        return None
    raise MlflowException(f"{uri}: leads to itself")


def local_path(uri: str) -> Path | None:
    """Return the path that MLflow means by an address, None for one that is relative or on another machine."""
    from mlflow.utils import file_utils

    files: Any = file_utils
    parsed = urlparse(uri)
    if parsed.scheme not in ("", "file") or (parsed.scheme and parsed.netloc not in ("", "localhost")):
        return None
    path = Path(files.local_file_uri_to_path(uri))
    return path if path.is_absolute() else None


def may_be_unmounted(path: Path) -> bool:
    """Whether a path that is not there may come back: nothing but an empty folder, or a place of disks, is above it.

    A folder that is gone from one that holds other things was deleted or never made, and nothing can be read by its
    address.
    """
    above = next(folder for folder in path.absolute().parents if os.path.lexists(folder))
    try:
        return str(above) in _MOUNTED or above.is_mount() or not any(above.iterdir())
    except OSError:  # a file, a link to nowhere, or closed to us
        return True


def outermost(paths: Iterable[Path]) -> list[Path]:
    """Return the paths, sorted, that lie in none of the others."""
    every = {path.absolute() for path in paths}
    return sorted(path for path in every if every.isdisjoint(path.parents))


def pages(search: Callable[[str | None], Any]) -> Iterator[Any]:
    """Yield what a search of MLflow finds, page by page."""
    token = None
    while True:
        page = search(token)
        yield from page
        token = page.token
        if not token:
            return
