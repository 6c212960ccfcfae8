"""Looking for what was removed in MLflow: artifacts, logged models and registered versions.

Disgorge itself puts descriptions into MLflow and no weights, but whoever trains logs what they like: so every artifact
file on this file system is looked into, in the location of any experiment, deleted ones included, and wherever a
registered version points. A file is a trace if its bytes are purged weights, if it is safetensors with a tensor of
them, or Parquet with a withdrawn item. So is a logged model that holds such a file, and a registered version that
points there or describes a composition with a purged member. A version that no recorded composition explains
(:mod:`disgorge.tracking.registered`) is for a person to judge where it names what was removed, and else only told of.

Without a store in the workspace MLflow is not imported. Not reached, and named: artifact stores elsewhere, artifacts of
another workspace (a copied workspace points into the original), and files in a format of their own (pickles, zips).
"""

import contextlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from disgorge.errors import DisgorgeError
from disgorge.locations.fingerprints import tensor_digests
from disgorge.locations.location import Traces
from disgorge.tracking.client import (
    COMPOSITION,
    KIND,
    RELEASE,
    Store,
    has_records,
    installed,
    run_of_release,
    versions_of,
    without_secrets,
)
from disgorge.tracking.registered import Registered, Touched, from_client, unexplained
from lineage.dvc.storage import files
from lineage.storage.file_types import Reading, holds
from lineage.storage.objects import sha256_of

OURS = ("mlartifacts", "mlruns")
"""Folders of a workspace where MLflow keeps artifacts, whatever its store says."""
DESCRIBES = "describes what was purged"
"""Why such a version is a trace."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to go: weights by the SHA-256 of their bytes, items by digest, compositions that had such weights.

    ``tensors`` are single tensors of the weights, by the digest of their bytes. ``recorded`` are all compositions that
    the ledger knows, ``touched`` is what a registered model may name of what goes.
    """

    weights: frozenset[str] = frozenset()
    items: frozenset[str] = frozenset()
    compositions: frozenset[str] = frozenset()
    tensors: frozenset[str] = frozenset()
    recorded: frozenset[str] = frozenset()
    touched: Touched = field(default_factory=Touched)


@dataclass(slots=True)
class Found:
    """What a look found, and where nobody could look. ``models`` are logged models by id, ``versions`` (name, number).

    ``runs`` hold the description of a release and nothing else, ``unread`` are files that cannot be read as data.
    ``mixed`` are files with removed tensors and others: they may be somebody else's model with the same public part, so
    a person judges them, and they do not go.
    ``beyond`` is what belongs to another workspace and is left, ``blind`` what nobody could look into.
    ``unexplained`` are the other versions that no recorded composition explains, ``named`` those of them that name what
    goes, with what they name.
    """

    files: dict[Path, str] = field(default_factory=dict)
    mixed: list[Path] = field(default_factory=list)
    models: dict[str, Path] = field(default_factory=dict)
    versions: dict[tuple[str, str], str] = field(default_factory=dict)
    runs: dict[str, Path] = field(default_factory=dict)
    places: int = 0
    beyond: list[str] = field(default_factory=list)
    unread: list[Path] = field(default_factory=list)
    blind: list[str] = field(default_factory=list)
    unexplained: list[Registered] = field(default_factory=list)
    named: list[tuple[Registered, str]] = field(default_factory=list)

    def going(self) -> list[Path]:
        """Return every file that goes: those found, and all that belong to a logged model or run that goes whole."""
        whole = [path for root in (*self.models.values(), *self.runs.values()) for path in _files(root)]
        return list(dict.fromkeys((*self.files, *whole)))

    def records(self) -> list[str]:
        """Return every record that goes, in words."""
        return [
            *(f"MLflow model version {name}/{number}" for name, number in self.versions),
            *(f"MLflow logged model {model}" for model in self.models),
            *(f"MLflow run {run}, which described the release" for run in self.runs),
        ]

    def words(self) -> list[str]:
        """Return what was found, one line each."""
        return [
            *(f"MLflow artifact {path.name} {why}" for path, why in self.files.items()),
            *(f"MLflow logged model {model} holds it" for model in self.models),
            *(f"MLflow model version {name}/{number} {why}" for (name, number), why in self.versions.items()),
        ]

    def unjudged(self) -> list[str]:
        """Return what was found and is for a person to judge, one line each."""
        return [
            *(
                f"MLflow model version {model} names {what}, which was removed, and no recorded composition explains "
                f"it; stop what serves it and delete the version, or register it again from a run and a path that do "
                f"not name that"
                for model, what in self.named
            ),
            *(
                f"MLflow artifact {path} holds removed weights beside others and was left; delete it, or if they are "
                "nobody's (a public part) record a live component that holds them, and resume"
                for path in self.mixed
            ),
        ]


def has_store(workspace: Path) -> bool:
    """Whether there is anything of MLflow to look into; imports nothing."""
    return has_records(workspace) or any((workspace / name).is_dir() for name in OURS)


def traces(workspace: Path, wanted: Wanted) -> list[tuple[Store | None, Found]]:
    """Look for all of it and change nothing; return each store, None for folders without one, with what it holds.

    Raises :class:`DisgorgeError` if a store cannot be read.
    """
    if not has_store(workspace):
        return []
    if has_records(workspace) and installed() and (stores := Store.every(workspace)):
        return [(store, traces_in(store, workspace, wanted)) for store in stores]
    found = Found()
    if has_records(workspace):
        found.blind.append("MLflow is not installed, so its models and versions were not looked at")
    _look_into(found, _folders(workspace, ()), wanted)
    return [(None, found)]


def traces_in(store: Store, workspace: Path, wanted: Wanted) -> Found:
    """Look for all of it in one store, and in the folders of the workspace."""
    found = Found()
    with store.client() as client:
        places = [_local(uri, found) for uri in _locations(client)]
        versions = list(versions_of(client))
        places += _sources(versions, workspace, found)
        roots = _folders(workspace, [place for place in places if place is not None])
        _look_into(found, [root for root in roots if _is_ours(root, workspace, found)], wanted)
        _models(client, found)
        _releases(client, versions, found, wanted)
        found.runs = {run: where for run, where in found.runs.items() if _is_ours(where, workspace, found)}
        _unexplained(client, versions, found, wanted)
    return found


def search(workspace: Path, wanted: Wanted) -> Traces:
    """Return what is left of it, in words. A store that cannot be read is unreachable."""
    looked = Traces()
    try:
        for store, found in traces(workspace, wanted):
            looked += Traces(
                tuple(found.words()),
                tuple(found.unjudged()),
                tuple(found.unread),
                tuple(found.blind),
                unexplained=None if store is None else tuple(map(str, found.unexplained)),
                places=found.places,
            )
    except DisgorgeError as error:
        looked += Traces(unreachable=(str(error),))
    return looked


def unexplained_in(workspace: Path, recorded: Collection[str]) -> list[Registered] | None:
    """Return the registered versions that none of these compositions explains, None where there is no registry."""
    if not (has_records(workspace) and installed()):
        return None
    found: list[Registered] = []
    for store in Store.every(workspace):
        with store.client() as client:
            found += unexplained(from_client(client, list(versions_of(client))), recorded)
    return found


def _folders(workspace: Path, located: Collection[Path]) -> list[Path]:
    """Return the folders and single files to look into, none inside another."""
    every = {path.absolute() for path in (*(workspace / name for name in OURS), *located) if path.exists()}
    return sorted(path for path in every if not any(other in path.parents for other in every))


def _is_ours(root: Path, workspace: Path, found: Found) -> bool:
    """Whether a folder may be searched and cleared: in this workspace in truth, or in none."""
    real = root.resolve()
    inside = workspace.resolve()
    if real.is_relative_to(inside):
        return True
    other = next((folder for folder in (real, *real.parents) if (folder / ".disgorge").is_dir()), None)
    linked = root.is_relative_to(workspace.absolute())
    if other is None and not linked:
        return True
    left = found.beyond if other is not None else found.blind
    left.append(f"MLflow artifacts in {root} are outside this workspace and were left there")
    return False


def _look_into(found: Found, roots: Collection[Path], wanted: Wanted) -> None:
    for path in (path for root in roots for path in root.rglob("*") if path.is_symlink() and path.is_dir()):
        if not any(path.resolve().is_relative_to(root.resolve()) for root in roots):
            found.blind.append(f"MLflow artifacts in {path} are a link to {path.resolve()} and were not searched")
    for path in (path for root in roots for path in _files(root)):
        found.places += 1
        if path.is_symlink():
            if not any(path.resolve().is_relative_to(root.resolve()) for root in roots):
                found.blind.append(f"MLflow artifact {path} is a link to {path.resolve()}, which was not searched")
            continue
        if sha256_of(path) in wanted.weights:
            found.files[path] = "is one of the weights"
        elif (held := tensor_digests(path) if wanted.tensors else frozenset()) and held <= wanted.tensors:
            found.files[path] = "holds some of the weights"
        elif not held.isdisjoint(wanted.tensors):
            found.mixed.append(path)
        elif wanted.items and holds(path, wanted.items):
            found.files[path] = "holds withdrawn items"
        elif Reading.of(path) is Reading.UNREAD:
            found.unread.append(path)


def _models(client: Any, found: Found) -> None:
    """Find the logged models that hold the files found."""
    from mlflow.exceptions import MlflowException

    for path in found.files:
        for folder in path.parents:
            if folder.name.startswith("m-") and folder.parent.name == "models":
                with contextlib.suppress(MlflowException):  # deleted before: only the file is left of it
                    client.get_logged_model(folder.name)
                    found.models[folder.name] = folder


def _releases(client: Any, versions: Collection[Any], found: Found, wanted: Wanted) -> None:
    """Find versions that describe what is purged, or point at a file found."""
    for version in versions:
        found.places += 1
        key = (version.name, str(version.version))
        if version.tags.get(COMPOSITION, "") in wanted.compositions:
            found.versions[key] = DESCRIBES
            if version.run_id and (where := _release_run(client, version.run_id)) is not None:
                found.runs[version.run_id] = where
        elif (why := _points(client, version, found)) is not None:
            found.versions[key] = why


def _unexplained(client: Any, versions: Collection[Any], found: Found, wanted: Wanted) -> None:
    """Find versions that no recorded composition explains, and those among them that name what goes."""
    for model in unexplained(from_client(client, versions), wanted.recorded):
        if (model.name, model.version) in found.versions:
            continue
        if (what := wanted.touched.named_by(model)) is not None:
            found.named.append((model, what))
        else:
            found.unexplained.append(model)


def _points(client: Any, version: Any, found: Found) -> str | None:
    """Return in words that a version points at a logged model or folder with a file found, or None."""
    if any(version.source == f"models:/{model}" or version.model_id == model for model in found.models):
        return "is a logged model that holds it"
    source = str(version.source or "")
    if source.startswith("runs:/"):
        run, _, inner = source.removeprefix("runs:/").partition("/")
        source = f"{_artifacts_of(client, run)}/{inner}".rstrip("/")
    place = _path_of(source)
    if place is not None and not place.exists() and version.tags.get(KIND) != RELEASE:
        found.blind.append(
            f"MLflow model version {version.name}/{version.version} points at {place}, which is not there; mount it, "
            "or delete the version"
        )
    holds_one = place is not None and any(place == path or place in path.parents for path in found.files)
    return "points at a file that holds it" if holds_one else None


def _artifacts_of(client: Any, run: str) -> str:
    from mlflow.exceptions import MlflowException

    try:
        return str(client.get_run(run).info.artifact_uri)
    except MlflowException:
        return ""


def _release_run(client: Any, run_id: str) -> Path | None:
    """Return the artifacts' folder of a run that only describes a release."""
    run = run_of_release(client, run_id)
    return _path_of(run.info.artifact_uri) if run is not None else None


def _locations(client: Any) -> Iterator[str]:
    """Yield the artifact location of every experiment, deleted ones too."""
    from mlflow.entities import ViewType

    token = None
    while True:
        page = client.search_experiments(view_type=ViewType.ALL, page_token=token)
        yield from (str(experiment.artifact_location) for experiment in page)
        token = page.token
        if not token:
            return


def _sources(versions: Collection[Any], workspace: Path, found: Found) -> Iterator[Path]:
    """Yield the folder or file that each version points at by its path, wherever it is; none around the workspace."""
    for version in versions:
        place = _path_of(str(version.source or ""))
        if place is not None and workspace.resolve().is_relative_to(place.resolve()):
            found.blind.append(
                f"MLflow model version {version.name}/{version.version} points at {place}, all around this workspace, "
                "and that was not searched; delete the version, or point it at its model"
            )
        elif place is not None:
            yield place


def _local(uri: str, found: Found) -> Path | None:
    path = _path_of(uri)
    if path is None:
        place = f"{urlparse(uri).scheme}://{urlparse(without_secrets(uri)).netloc}"
        words = f"MLflow artifacts at {place} are out of reach and were not searched"
        found.blind += [words] * (words not in found.blind)
    return path


def _path_of(uri: str) -> Path | None:
    """Return the path of an artifact URI on this file system, or None."""
    parsed = urlparse(uri)
    if parsed.scheme == "file":
        return Path(unquote(parsed.path))
    return Path(uri) if not parsed.scheme and uri.startswith("/") else None


def _files(folder: Path) -> list[Path]:
    """Return the files below a folder, or the file itself; links to folders are not followed."""
    return [folder] if folder.is_file() else files(folder)
