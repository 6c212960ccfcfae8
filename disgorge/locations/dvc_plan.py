"""What goes from DVC for some hashes: objects, runs, files and entries, and folders that are written again.

It is worked out as a value, which can be looked at, listed for a dry run, or carried out. See
:mod:`disgorge.locations.dvc` for what is looked for and why.
"""

import os
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from disgorge.locations.location import Copy, Deletion, delete_files
from lineage.dvc.derived_outputs import Run, files_listed, made_of, named, run_of
from lineage.dvc.history import PastFile
from lineage.dvc.repo import reason
from lineage.dvc.storage import (
    Place,
    RunFile,
    Stores,
    delete_abandoned,
    experiments,
    files_of,
    hash_of,
    lies_within,
    md5_of,
    read_yaml,
    relative,
)
from lineage.shards.source_versions import Versions


class _Folder(NamedTuple):
    """A folder object that is written again: its new name and bytes, and how many files are left in it."""

    oid: str
    data: bytes
    files: int


class _Entry(NamedTuple):
    """What a stage's entry in a ``dvc.lock``, or a ``.dvc`` file as a whole, says."""

    path: Path
    stage: str
    """Empty for a ``.dvc`` file."""
    body: dict[str, Any]

    def names(self, lost: Collection[str]) -> list[dict[str, Any]]:
        """Return its outputs in which one of these hashes stands."""
        outs = self.body.get("outs")
        listed = [out for out in outs if isinstance(out, dict)] if isinstance(outs, list) else []
        return [out for out in listed if any(md5 in lost for _, md5 in named([out]))]


@dataclass(frozen=True, slots=True)
class DvcPlan:
    """Everything that goes from DVC, and everything that is written again.

    ``gone`` are the hashes of files and folders, ``made`` those of them that stages made of the others. ``folders`` are
    folder objects that list what goes, by their old name; None is one of which nothing is left. ``dropped`` entries
    read or make what goes, ``renamed`` ones name a folder that is written again.
    """

    repo: Any
    made: frozenset[str]
    gone: frozenset[str]
    folders: dict[str, _Folder | None]
    files: tuple[Path, ...]
    objects: tuple[tuple[Place, str], ...]
    dropped: tuple[_Entry, ...]
    renamed: tuple[_Entry, ...]
    runs: tuple[RunFile, ...]
    stores: Stores
    sources: Versions

    @classmethod
    def of(
        cls,
        repo: Any,
        stores: Stores,
        hashes: Collection[str],
        before: Collection[str] = (),
        *,
        live: Callable[[], Collection[str]] = tuple,
        past: Collection[PastFile] = (),
        sources: Versions | None = None,
    ) -> "DvcPlan":
        """Work out what goes with these hashes and ``sources``, and with those found ``before``; reads only.

        ``past`` is what DVC's files said in earlier commits.
        """
        entries, sources = [*_entries(repo)], sources or Versions()
        wdirs = {Path(repo.root_dir), *(Path(stage.wdir) for stage in repo.index.stages)}
        at = {Path(out.fs_path): hash_of(out) for out in repo.index.outs if hash_of(out) in hashes} | sources.lying
        stages = [(each.body, [each.path.parent, *wdirs] if each.stage else []) for each in entries]
        stages += [(run.body, list(wdirs)) for run in stores.runs]
        runs = [run_of(body, stores, erased_at=at, folders=folders) for body, folders in stages]
        known = [run for run, (_, folders) in zip(runs, stages, strict=True) if folders]
        roots = frozenset(hashes) | sources.holding
        made = _made_ever(known, past, stores, at, roots, before, live)
        tracked = {md5 for out in repo.index.outs for md5 in (hash_of(out), *stores.listing(hash_of(out)))}
        gone = frozenset(hashes) | made | (sources.holding - tracked)
        folders = {oid: _without(stores, oid, gone) for oid in sorted(stores.folders_with(gone) - gone)}
        lost = gone | folders.keys()
        hit = [
            (each, run)
            for each, run in zip(entries, runs, strict=False)
            if each.names(lost) or (each.stage and _read_it(run, gone, roots))
        ]
        dropped = [
            each
            for each, run in hit
            if (each.stage and _read_it(run, gone, roots))
            or not all(_leaves(out, folders, gone) for out in each.names(lost))
        ]
        outputs = (path for out in repo.index.outs for path in files_of(out))
        there = (*outputs, *experiments(repo)) if gone else ()
        remembered = zip(stores.runs, runs[len(entries) :], strict=True)
        return cls(
            repo,
            made,
            gone,
            folders,
            files=tuple(dict.fromkeys(path for path in there if md5_of(path) in gone)),
            objects=tuple((place, oid) for place in stores.places for oid in place.holding(lost)),
            dropped=tuple(dropped),
            renamed=tuple(each for each, _ in hit if each not in dropped),
            runs=tuple(file for file, run in remembered if (run.read | run.made) & lost or file.names(lost)),
            stores=stores,
            sources=sources,
        )

    def unknown(self) -> Iterator[str]:
        """Yield in words which copies of the shards' sources are tracked and stay, and which versions are unknown."""
        for out in self.repo.index.outs:
            path = Path(out.fs_path)
            if hash_of(out) in self.sources.holding - self.gone and path not in self.sources.lying:
                yield f"{relative(path, self.repo)} equals a file that a shard was read from; DVC tracks it, it stays"
        for md5, path in self.sources.unknown.items():
            name = relative(path, self.repo)
            yield (
                f"DVC or git names a version {md5} of {name} that no store on this machine has, so whether it held "
                f"what was removed is not known; neither it nor what stages made of it was looked for"
            )
        for md5, path in self.sources.unread.items():
            yield (
                f"DVC or git names a version {md5} of {relative(path, self.repo)} that cannot be read as the shard "
                f"was, so whether it held what was removed is not known; neither it nor what stages made of it goes"
            )

    def traces(self) -> list[str]:
        """Return in words what is still there, kept or named, of what is to go."""
        traces = [f"{relative(path, self.repo)} is there" for path in self.files]
        traces += [f"{place.name}: {self._object(oid)}" for place, oid in self.objects]
        traces += [f"DVC run-cache: {run.name} names it" for run in self.runs]
        return [*traces, *(f"{self._name(each)} names it" for each in (*self.dropped, *self.renamed))]

    def _object(self, oid: str) -> str:
        if oid in self.folders:
            return f"folder {oid} lists it"
        return f"{oid}, which a stage made of it" if oid in self.made else oid

    def deletion(self) -> Deletion:
        """Return every file on this machine that goes, and in words what goes elsewhere or names less afterwards."""
        root = Path(self.repo.root_dir)
        paths = [path for path in self._files() if lies_within(path, root)]
        paths += [Path(place.path(oid)) for place, oid in self.objects if place.is_local]
        paths += [Path(run.path) for run in self.runs if run.place.is_local]
        paths += self.stores.temporaries
        records = [place.path(oid) for place, oid in self.objects if not place.is_local]
        records += [f"{run.place.name}: run {run.name}" for run in self.runs if not run.place.is_local]
        rewritten = [f"{self._name(each)} names its folder without it" for each in self.renamed]
        rewritten += [f"{self._name(each)} is forgotten" for each in self.dropped if each.stage]
        return Deletion(
            paths=tuple(dict.fromkeys(paths)),
            records=(*dict.fromkeys(records), *self._shared()),
            rewritten=tuple(rewritten),
        )

    def carry_out(self) -> Deletion:
        """Do it, and return what went and what could not be done."""
        planned, left = self.deletion(), list[str]()
        left += filter(None, (_delete(place, oid, self.folders.get(oid)) for place, oid in self.objects))
        files = delete_files(Deletion(paths=self._files()), Path(self.repo.root_dir))
        left += (f"{path} is still being written" for path in delete_abandoned(self.stores.temporaries))
        stages = [each for each in self.dropped if each.stage]
        for path in {each.path for each in (*stages, *self.renamed)}:
            self._rewrite(path)
        for run in self.runs:
            try:
                run.delete()
            except Exception as problem:  # each kind of remote has errors of its own
                left.append(f"{run.place.name}: run {run.name} could not be deleted ({reason(problem)})")
        again = (f"{self._name(each)}: what it made is forgotten; run `dvc repro` to make it again" for each in stages)
        gone = tuple(path for path in planned.paths if not os.path.lexists(path))
        return replace(planned, paths=gone, left=(*files.left, *Copy.RESIDUAL.words(left), *self._shared(), *again))

    def _files(self) -> tuple[Path, ...]:
        return (*self.files, *(each.path for each in self.dropped if not each.stage))

    def _name(self, entry: _Entry) -> str:
        return relative(entry.path, self.repo) + (f": stage {entry.stage}" if entry.stage else "")

    def _rewrite(self, path: Path) -> None:
        """Take dropped stages out of a file, and let the rest name the folder that is left of one that listed more."""
        from dvc.utils.serialize import modify_yaml

        with modify_yaml(str(path)) as document:
            for entry in self.dropped:
                if entry.path == path:
                    document["stages"].pop(entry.stage, None)
            for body in (document, *(document.get("stages") or {}).values()):
                for out in body.get("outs") or ():
                    if files_listed(out):
                        out["files"] = [file for file in out["files"] if file.get("md5") not in self.gone]
                    if (new := self.folders.get(out.get("md5"))) is not None:
                        out["md5"], out["nfiles"] = new.oid, new.files
                        out.pop("size", None)

    def _shared(self) -> list[str]:
        """Say that a cache which something goes from lies where other projects may use it too."""
        root = Path(self.repo.root_dir)
        shared = any(
            place.name.startswith("DVC cache") and not lies_within(Path(place.path(oid)), root)
            for place, oid in self.objects
        )
        return ["DVC cache lies outside the repository: other projects may rest on what goes there"] if shared else []


def _entries(repo: Any) -> Iterator[_Entry]:
    """Yield every entry of every lock file, those of stages that are no more too, and every ``.dvc`` file."""
    files = {Path(stage.path) for stage in repo.index.stages if stage.is_data_source}
    folders = {Path(repo.root_dir), *(Path(stage.path).parent for stage in repo.index.stages)}
    for path in sorted(files | {folder / "dvc.lock" for folder in folders}):
        document = read_yaml(path.read_bytes()) if path.is_file() else {}
        stages = {"": document} if path in files else document.get("stages") or {}
        yield from (_Entry(path, str(name), body) for name, body in stages.items() if isinstance(body, dict))


def _read_it(run: Run, gone: frozenset[str], roots: frozenset[str]) -> bool:
    """Whether a stage read what goes, or made what goes of what stays."""
    return bool(run.read & gone or (run.read & roots and run.made & gone))


def named_at(repo: Any, past: Collection[PastFile]) -> dict[Path, set[str]]:
    """Return the hashes that DVC's files give, or gave in an earlier commit, for what lies at a path."""
    here = [(entry.path, entry.body) for entry in _entries(repo)]
    wdirs = {Path(stage.wdir) for stage in repo.index.stages}
    found: dict[Path, set[str]] = {}
    for file, body in (*here, *((each.path, body) for each in past for body in each.entries)):
        listed = [*named(body.get("outs")), *named(body.get("deps"))]
        for folder in {file.parent, *(wdirs if file.name == "dvc.lock" else ())}:
            for path, md5 in listed:
                found.setdefault(Path(os.path.normpath(folder / path)), set()).add(md5)
    return {path: hashes - {""} for path, hashes in found.items()}


def _made_ever(
    known: list[Run],
    past: Collection[PastFile],
    stores: Stores,
    at: dict[Path, str],
    roots: frozenset[str],
    before: Collection[str],
    live: Callable[[], Collection[str]],
) -> frozenset[str]:
    """Return what was made of the roots, by the runs that are known now and by those of earlier commits."""
    runs = list(known)
    for file in (each for each in past if each.is_lock):
        runs += (run_of(body, stores, erased_at=at, folders=[file.path.parent]) for body in file.entries)
    return made_of(runs, roots, before=before, live=live)


def _leaves(out: dict[str, Any], folders: dict[str, _Folder | None], gone: Collection[str]) -> bool:
    """Whether something is left of a folder of which something goes; of a file that goes nothing is."""
    listed = [file["md5"] for file in files_listed(out)]
    return any(md5 not in gone for md5 in listed) if listed else folders.get(str(out.get("md5"))) is not None


def _without(stores: Stores, oid: str, gone: frozenset[str]) -> _Folder | None:
    """Return a folder object without the files that go."""
    from dvc_data.hashfile.tree import Tree

    remaining = [entry for entry in stores.folders[oid] if entry.get("md5") not in gone]
    tree = Tree.from_list(remaining, hash_name="md5")
    tree.digest()
    return _Folder(str(tree.oid), tree.as_bytes(), len(remaining)) if remaining else None


def _delete(place: Place, oid: str, instead: _Folder | None) -> str | None:
    """Delete an object, having written what there is ``instead``; return in words why it is still there."""
    store = place.store
    try:
        if instead is not None and not store.exists(instead.oid):
            store.add_bytes(instead.oid, instead.data)
        store.delete(oid)
        return f"{place.name}: {oid} is still there after it was deleted" if store.exists(oid) else None
    except Exception as problem:  # each kind of remote has errors of its own
        return f"{place.name}: {oid} could not be deleted ({reason(problem)})"
