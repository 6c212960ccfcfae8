"""MLflow's artifacts, logged models and registered versions: what of a target they hold, and deleting it.

Disgorge itself puts descriptions into MLflow and no weights, but users' trainings log anything: so every artifact file
on this file system is looked into, wherever any experiment, run, logged model or registered version keeps its files
(:mod:`disgorge.tracking.addresses`), deleted ones included. A file is a trace if it is safetensors that are purged
weights or have a tensor of them, or Parquet with a withdrawn item. So is a logged model that holds such a file, and a
registered version that points there or describes a composition with a purged member. A version that no recorded
composition explains (:mod:`disgorge.tracking.registered`) is for a person to judge where it names what was removed, and
else only told of. So is a file with removed tensors beside others: it may be another model with the same public part.

Rows of withdrawn items are looked for too, by marks of their values (:mod:`lineage.shards.row_marks`): in texts and
tables among the artifacts, and in every text of the store itself (:mod:`disgorge.tracking.stored_texts`). What holds
one may hold much else, so it is named, with the way to delete it, and stops a certificate.

Records stay where they can: a run keeps its metrics, parameters and tags, only the file goes. A logged model that holds
such a file goes whole. It, and the run that holds nothing but the description of a release, are deleted for good, as
``mlflow gc`` would: that command itself would also delete all else that is in the user's bin. The order matters where
a purge is killed half-way: what the rest is found by goes last. A logged model and what points at it are found by the
file, so that file outlives them; a release's run and its description are found by the version.

Without a store in the workspace MLflow is not imported. Not reached, and named: artifact stores elsewhere, artifacts of
another workspace (a copied workspace points into the original), and files in a format of their own (pickles, zips). A
place that is not there stops a certificate if it may be a disk that is not mounted; one that is gone from a folder
which is there and holds other things was deleted, as other teams' runs are, and stops nothing.
Negative consequence: MLflow keeps of a deleted version that there was one, and its number.
"""

import contextlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from disgorge.locations.fingerprints import tensor_digests
from disgorge.locations.location import (
    OTHER_FORM,
    SAME_TEXT,
    Copy,
    Deletion,
    Location,
    Seen,
    Spare,
    Target,
    Traces,
    delete_files,
    shown,
)
from disgorge.tracking.addresses import Address, addresses, download_uri, local_path, may_be_unmounted, outermost
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
from disgorge.tracking.registered import Registered, Touched, from_client, touched, unexplained
from disgorge.tracking.stored_texts import stored_texts
from lineage.dvc.storage import files
from lineage.shards.row_marks import RowMarks
from lineage.texts.read import FileTexts, is_too_large
from lineage.workspace import Workspace

FOLDERS = ("mlartifacts", "mlruns")
"""Folders of a workspace that are searched for MLflow artifacts even if its store names none."""
_DESCRIBES = "describes what was purged"
"""Why such a version is a trace."""


class Mlflow(Location):
    """The location of MLflow's artifacts, logged models and registered versions."""

    name = "MLflow"

    def search(self, target: Target, spare: Spare) -> Traces:
        """Look into every store, and into the folders of the workspace where MLflow keeps artifacts."""
        return sum((store.traces() for store in self._look(target, spare)), Traces())

    def plan(self, target: Target, spare: Spare) -> Deletion:
        """List the files and records that go."""
        return sum((store.deletion() for store in self._look(target, spare)), Deletion())

    def delete(self, planned: Deletion) -> Deletion:
        """Delete what the target finds now."""
        found = self._look(planned.target, planned.spare)
        return sum((each.delete(self.workspace.root) for each in found), Deletion())

    def _look(self, target: Target, spare: Spare) -> "list[_Found]":
        """Return what each store holds of the target, and the folders where there is no store."""
        root, largest = self.workspace.root, self.workspace.largest_searched
        marks = RowMarks(self.workspace.private.keyed, target.marks)
        if not has_records(root) or not installed():
            found = _Found(root, target, marks, largest)
            if has_records(root):
                found.blind("MLflow is not installed, so its models and versions were not looked at")
            found.look_into([folder for folder in _folders(root, ()) if found._is_ours(folder)])
            return [found]
        names = touched(spare.state, spare.facts, components=frozenset(target.weights), shards=target.shards)
        several = [_Found(root, target, marks, largest, store) for store in Store.every(root)]
        for found in several:
            found.look(spare.state.compositions, names)
        return several


def unexplained_in(workspace: Workspace) -> list[Registered] | None:
    """Return the registered versions that no recorded composition explains, None where there is no registry."""
    if not (has_records(workspace.root) and installed()):
        return None
    models: list[Registered] = []
    for store in Store.every(workspace.root):
        with store.client() as client:
            versions = from_client(client, list(versions_of(client)))
            models += unexplained(versions, workspace.ledger.state().compositions)
    return models


@dataclass(slots=True)
class _Found:
    """What one store, or the folders without one, hold of a target, and in words what is not to be deleted.

    ``models`` are logged models by id, ``versions`` name and number with why each is a trace, ``runs`` hold the
    description of a release and nothing else. ``places`` are where all logged models lie, by id, ``located`` where all
    of the store lies. ``beyond`` belongs to another workspace and is left.
    """

    root: Path
    target: Target
    marks: RowMarks
    largest: int
    store: Store | None = None
    files: dict[Path, str] = field(default_factory=dict)
    models: dict[str, Path] = field(default_factory=dict)
    places: dict[str, Path] = field(default_factory=dict)
    located: list[Path] = field(default_factory=list)
    versions: dict[tuple[str, str], str] = field(default_factory=dict)
    runs: dict[str, Path] = field(default_factory=dict)
    beyond: list[str] = field(default_factory=list)
    others: Traces = field(default_factory=Traces)

    def traces(self) -> Traces:
        """Return what was found, in words."""
        traces = [f"MLflow artifact {shown(path, self.root)} {why}" for path, why in self.files.items()]
        traces += [f"MLflow logged model {model} holds it" for model in self.models]
        traces += [f"MLflow model version {name}/{number} {why}" for (name, number), why in self.versions.items()]
        return Traces(tuple(traces)) + self.others

    def blind(self, words: str) -> None:
        """Note in words what could not be looked into."""
        self.others += Traces(unreachable=(words,))

    def deletion(self) -> Deletion:
        """Return every file and record that goes: a logged model, or the run of a release, with all its files.

        Of a place that it shares with others only the files found go.
        """
        roots = [root for root in (*self.models.values(), *self.runs.values()) if self._is_alone(root)]
        whole = [path for root in roots for path in _files(root)]
        records = [f"MLflow model version {name}/{number}" for name, number in self.versions]
        records += [f"MLflow logged model {model}" for model in self.models]
        records += [f"MLflow run {run}, which described the release" for run in self.runs]
        left = (*Copy.UNSUPPORTED.words(self.beyond), *Copy.NOT_ENUMERATED.words(self.others.unreachable))
        return Deletion(paths=tuple(dict.fromkeys((*self.files, *whole))), records=tuple(records), left=left)

    def _is_alone(self, root: Path) -> bool:
        return sum(path == root or root in path.parents for path in self.located) < 2

    def delete(self, workspace: Path) -> Deletion:
        """Delete all of it and return what went, and what is left and why."""
        planned, left = self.deletion(), list[str]()
        first = Deletion(paths=tuple(path for path in planned.paths if path not in self.files))
        last = Deletion(paths=tuple(self.files))
        if self.store is not None and (self.versions or self.models or self.runs):
            with self.store.client() as client:
                described = [key for key, why in self.versions.items() if why == _DESCRIBES]
                _delete_versions(client, [key for key in self.versions if key not in described])
                first = delete_files(first, workspace, anywhere=True)
                left += [words for model in self.models for words in _delete_for_good(client, "logged model", model)]
                left += [words for run in self.runs for words in _delete_for_good(client, "run", run)]
                last = delete_files(last, workspace, anywhere=True)
                _delete_versions(client, described)
        else:
            last = delete_files(last, workspace, anywhere=True)
        left += [*planned.left, *first.left, *last.left]
        return replace(planned, paths=(*first.paths, *last.paths), left=tuple(left))

    def look(self, recorded: Collection[str], names: Touched) -> None:
        """Look for all of it in the store, and for versions that no recorded composition explains."""
        assert self.store is not None
        with self.store.client() as client:
            versions = list(versions_of(client))
            every = list(addresses(client))
            runs = {each.run: each.uri for each in every if each.run}
            where = {id(version): self._place_of(client, version, runs) for version in versions}
            self.located = [path for each in every if (path := self._local(each)) is not None]
            located = [*self.located, *(path for path in where.values() if path is not None)]
            self._missing(located)
            self.look_into([root for root in _folders(self.root, located) if self._is_ours(root)])
            for path in self.files:
                found = {path, *path.parents}
                self.models |= {model: place for model, place in self.places.items() if place in found}
            for version in versions:
                self._version(client, version, where[id(version)])
            self._texts(client)
            self.runs = {run: where for run, where in self.runs.items() if self._is_ours(where)}
            unrecorded = unexplained(from_client(client, versions), recorded)
        self.others += Traces(unexplained=())
        for model in unrecorded:
            if (model.name, model.version) in self.versions:
                continue
            if (what := names.named_by(model)) is None:
                self.others += Traces(unexplained=(str(model),))
                continue
            words = (
                f"MLflow model version {model} names {what}, which was removed, and no recorded composition explains "
                f"it; stop what serves it and delete the version, or register it again from a run and a path that do "
                f"not name that"
            )
            self.others += Traces(needs_a_person=(words,))

    def look_into(self, roots: Collection[Path]) -> None:
        """Look into every file of these folders; links are not followed, and those that lead out are named."""
        for path in (path for root in roots for path in root.rglob("*") if path.is_symlink() and path.exists()):
            if not any(path.resolve().is_relative_to(root.resolve()) for root in roots):
                what = "artifacts in" if path.is_dir() else "artifact"
                self.blind(f"MLflow {what} {path} is a link to {path.resolve()}, which was not searched")
        inside = [path for root in roots for path in _files(root) if path == root or not path.is_symlink()]
        seen = Seen()
        matches, unread = self.target.look(inside, seen=seen)
        self.others += seen.traces() + Traces(unreadable=tuple(unread))
        for path in inside if self.marks else ():
            if path not in matches:
                self._rows(path)
        for path, words in matches.items():
            if words == SAME_TEXT or words.startswith(OTHER_FORM):
                self.others += Traces(needs_a_person=(f"MLflow artifact {path} {words}",))
                continue
            if words != "holds some of the weights" or tensor_digests(path) <= self.target.tensors:
                self.files[path] = words
                continue
            words = (
                f"MLflow artifact {path} holds removed weights beside others and was left; delete it, or if they are "
                f"a public part, record a live component that holds them, and resume"
            )
            self.others += Traces(needs_a_person=(words,))

    def _rows(self, path: Path) -> None:
        """Note whether rows of withdrawn items stand in a file."""
        texts = FileTexts(path, self.largest)
        if not any(map(self.marks.stand_in, texts)):
            if "" in texts.unread and is_too_large(path, self.largest):
                self.others += Traces(unreadable=(path,))
            return
        words = f"removed rows stand in MLflow's artifact {path}; delete it, or take them out, and resume"
        self.others += Traces(needs_a_person=(words,))

    def _texts(self, client: Any) -> None:
        """Note where in the store rows of withdrawn items stand."""
        blind, named = list[str](), dict[str, None]()
        for each in stored_texts(client, blind) if self.marks else ():
            if self.marks.stand_in(each.text):
                named[f"removed rows stand in MLflow's {each.what}; {each.remedy}, and resume"] = None
        self.others += Traces(needs_a_person=tuple(named), unreachable=tuple(blind))

    def _is_ours(self, root: Path) -> bool:
        """Whether a folder may be searched and cleared: in this workspace in truth, or in none."""
        real = root.resolve()
        if real.is_relative_to(self.root.resolve()):
            return True
        words = f"MLflow artifacts in {root} are outside this workspace and were left there"
        if any((folder / ".disgorge").is_dir() for folder in (real, *real.parents)):
            self.beyond.append(words)
        elif root.is_relative_to(self.root.absolute()):  # by way of a link
            self.blind(words)
        else:
            return True
        return False

    def _version(self, client: Any, version: Any, place: Path | None) -> None:
        """Find whether a version describes what is purged, or points at a file or logged model found."""
        key = (version.name, str(version.version))
        if version.tags.get(COMPOSITION, "") in self.target.compositions:
            self.versions[key] = _DESCRIBES
            run = run_of_release(client, version.run_id) if version.run_id else None
            if run is not None and (where := local_path(run.info.artifact_uri)) is not None:
                self.runs[version.run_id] = where
        elif any(version.source == f"models:/{model}" or version.model_id == model for model in self.models):
            self.versions[key] = "is a logged model that holds it"
        elif place is not None and any(place == path or place in path.parents for path in self.files):
            self.versions[key] = "points at a file that holds it"

    def _place_of(self, client: Any, version: Any, runs: Mapping[str, str]) -> Path | None:
        """Return the folder or file on this machine where a version's files lie; none for one of ours that is gone."""
        from mlflow.exceptions import MlflowException

        name = f"model version {version.name}/{version.version}"
        try:
            return self._local(Address(name, download_uri(client, version, runs)))
        except MlflowException:
            if version.tags.get(KIND) != RELEASE:
                words = (
                    f"MLflow {name} points at {version.source}, which cannot be read; delete the version, or restore it"
                )
                self.blind(words)
            return None

    def _local(self, address: Address) -> Path | None:
        """Return the path of an address; what is on another machine, or all around this workspace, is not searched."""
        path, uri = local_path(address.uri), without_secrets(address.uri)
        if path is None:
            place = f"{urlparse(uri).scheme}://{urlparse(uri).netloc}" if "://" in uri else uri
            self.blind(f"MLflow artifacts at {place} are out of reach and were not searched")
            return None
        if not address.what.startswith("experiment") and self.root.resolve().is_relative_to(path.resolve()):
            self.blind(
                f"MLflow {address.what} points at {path}, all around this workspace, and that was not searched; delete "
                f"it, or point it at its files"
            )
            return None
        if address.model:
            self.places[address.model] = path
        return path if address.used or path.exists() else None

    def _missing(self, located: Collection[Path]) -> None:
        """Note what is not there and may come back: a folder of the workspace may not, unless it is a link."""
        there = {path.absolute() for path in located if path.exists()}
        for path in outermost(path for path in located if not path.exists() and there.isdisjoint(path.parents)):
            inside = path.is_relative_to(self.root.absolute()) or path.is_relative_to(self.root.resolve())
            if any(_is_dead_link(each) for each in (path, *path.parents)) or (not inside and may_be_unmounted(path)):
                words = (
                    f"MLflow keeps artifacts in {path}, which is not there; mount it, or if nothing is in it, make it"
                )
                self.blind(words)


def _is_dead_link(path: Path) -> bool:
    return path.is_symlink() and not path.exists()


def _delete_versions(client: Any, versions: Iterable[tuple[str, str]]) -> None:
    """Delete versions with their tags, which MLflow would keep; the tag by which one is found goes last."""
    for name, number in versions:
        for tag in sorted(client.get_model_version(name, number).tags, key=lambda tag: tag == COMPOSITION):
            client.delete_model_version_tag(name, number, tag)
        client.delete_model_version(name, number)


def _delete_for_good(client: Any, kind: str, identity: str) -> Iterator[str]:
    """Delete a logged model or a run, where the store can do so for good; yield in words where it cannot."""
    from mlflow.exceptions import MlflowException

    method = f"delete_{kind.replace(' ', '_')}"
    with contextlib.suppress(MlflowException):  # marked deleted before
        getattr(client, method)(identity)
    store = client._tracking_client.store
    if hasattr(store, f"_hard_{method}"):
        getattr(store, f"_hard_{method}")(identity)
    else:
        words = f"MLflow {kind} {identity} is only marked deleted; run `mlflow gc` where its server runs"
        yield from Copy.UNSUPPORTED.words([words])


def _folders(workspace: Path, located: Collection[Path]) -> list[Path]:
    """Return the folders and single files to look into, none inside another."""
    return outermost(path for path in (*(workspace / name for name in FOLDERS), *located) if path.exists())


def _files(folder: Path) -> list[Path]:
    """Return the files below a folder, or the file itself; links to folders are not followed."""
    return [folder] if folder.is_file() else files(folder)
