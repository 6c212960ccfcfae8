"""What DVC is to forget, worked out first and as a whole, so that what is said before is what happens.

The order matters to who is killed half-way: files and objects go first, and last the runs and the entries of
``dvc.lock``, from which the next call works out the same again.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lineage.dvc.derived_outputs import files_listed, made_of, named, run_of
from lineage.dvc.repo import reason
from lineage.dvc.storage import (
    Place,
    RunFile,
    Stores,
    experiments,
    files_of,
    hash_of,
    lies_within,
    md5_of,
    read_yaml,
    relative,
)


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder object that is written again: its new name and bytes, and how many files are left in it."""

    oid: str
    data: bytes
    count: int


@dataclass(frozen=True, slots=True)
class Forgetting:
    """Everything that goes, and everything that is written again.

    ``gone`` are the hashes of files and folders, ``made`` those of them that stages made of the others. ``folders`` are
    folder objects that list what goes, by their old name; None is one of which nothing is left.
    """

    repo: Any
    made: frozenset[str]
    gone: frozenset[str]
    folders: dict[str, Folder | None]
    files: tuple[Path, ...]
    objects: tuple[tuple[Place, str], ...]
    named: tuple[Path, ...]
    """``.dvc`` files that name what goes, whole."""
    renamed: tuple[Path, ...]
    """``.dvc`` files that name a folder which is written again."""
    entries: tuple[tuple[Path, str], ...]
    """Lock file and stage whose entry reads or makes what goes."""
    runs: tuple[RunFile, ...]

    @classmethod
    def of(
        cls,
        repo: Any,
        stores: Stores,
        hashes: Collection[str],
        *,
        before: Collection[str],
        live: Callable[[], Collection[str]],
    ) -> "Forgetting":
        """Work out what goes with these hashes; reads only."""
        locks = _locks(repo)
        wdirs = {Path(repo.root_dir), *(Path(stage.wdir) for stage in repo.index.stages)}
        at = {Path(out.fs_path): hash_of(out) for out in repo.index.outs if hash_of(out) in hashes}
        told = [(entry, [lock.parent, *wdirs]) for lock, _, entry in locks]
        told += [(run.body, list(wdirs)) for run in stores.runs]
        runs = [run_of(entry, stores, erased_at=at, folders=folders) for entry, folders in told]
        made = made_of(runs, hashes, before=before, live=live)
        gone = frozenset(hashes) | made
        folders = {oid: _without(stores, oid, gone) for oid in sorted(stores.folders_with(gone) - gone)}
        lost = gone | folders.keys()
        sources = [out for out in repo.index.outs if out.stage.is_data_source and _names(_item(out), lost)]
        going = {Path(out.stage.path) for out in sources if not _leaves(_item(out), folders, gone)}
        outputs = (path for out in repo.index.outs for path in files_of(out))
        there = (*outputs, *experiments(repo)) if gone else ()
        entries = (
            (lock, name)
            for (lock, name, entry), run in zip(locks, runs, strict=False)
            if not run.read.isdisjoint(gone)
            or any(_names(out, lost) and not _leaves(out, folders, gone) for out in _outs(entry))
        )
        past = zip(stores.runs, runs[len(locks) :], strict=True)
        return cls(
            repo,
            made,
            gone,
            folders,
            files=tuple(dict.fromkeys(path for path in there if md5_of(path) in gone)),
            objects=tuple((place, oid) for place in stores.places for oid in place.holding(lost)),
            named=tuple(sorted(going)),
            renamed=tuple(sorted({Path(out.stage.path) for out in sources} - going)),
            entries=tuple(entries),
            runs=tuple(file for file, run in past if not (run.read | run.made).isdisjoint(lost) or file.names(lost)),
        )

    def paths(self) -> list[Path]:
        """Return every file on this machine that goes."""
        root = Path(self.repo.root_dir)
        listed = [path for path in (*self.files, *self.named) if lies_within(path, root)]
        listed += [Path(place.path(oid)) for place, oid in self.objects if place.is_local]
        return [*dict.fromkeys([*listed, *(Path(run.path) for run in self.runs if run.place.is_local)])]

    def records(self) -> list[str]:
        """Return in words what goes in stores elsewhere, and that other projects may use the cache."""
        listed = [place.path(oid) for place, oid in self.objects if not place.is_local]
        listed += [f"{run.place.name}: run {run.name}" for run in self.runs if not run.place.is_local]
        return [*dict.fromkeys(listed), *self._shared()]

    def traces(self) -> list[str]:
        """Return in words what is still there, kept or named, of what is to go."""
        found = [f"{relative(path, self.repo)} is there" for path in self.files]
        found += [
            f"{place.name}: {f'folder {oid} lists it' if oid in self.folders else oid}" for place, oid in self.objects
        ]
        found += [f"DVC run-cache: {run.name} names it" for run in self.runs]
        found += [f"{relative(path, self.repo)} names it" for path in (*self.named, *self.renamed)]
        return [*found, *(f"{relative(lock, self.repo)}: stage {name} names it" for lock, name in self.entries)]

    def carry_out(self, deleted: list[str], left: list[str]) -> None:
        """Do it; what could not be done is said in ``left``."""
        links = {path: path.resolve() for path in (*self.files, *self.named) if path.is_symlink()}
        for path in self.files:
            self._unlink(path, deleted, left)
        for place, oid in self.objects:
            _delete(place, oid, self.folders.get(oid), deleted, left)
        left += self._shared()
        for path, target in links.items():
            if target.exists() and not lies_within(target, Path(self.repo.root_dir)):
                name = relative(path, self.repo)
                left.append(f"{name} was a link out of the repository; what it pointed at was left, delete it there")
        for path in self.named:
            self._unlink(path, deleted, left)
        for path in self.renamed:
            self._rename(path)
        for lock in {path for path, _, _ in _locks(self.repo)}:
            self._rewrite_lock(lock)
        for run in self.runs:
            try:
                run.delete()
                deleted.append(f"remembered run {run.name}")
            except Exception as problem:  # each kind of remote has errors of its own
                left.append(f"{run.place.name}: run {run.name} could not be deleted ({reason(problem)})")
        deleted += self.rewritten()
        left += [f"{name}: what it made is forgotten; run `dvc repro` to make it again" for name in self._stages()]

    def _unlink(self, path: Path, deleted: list[str], left: list[str]) -> None:
        name = relative(path, self.repo)
        if not lies_within(path, Path(self.repo.root_dir)):
            left.append(f"{name} lies outside the repository by way of a link and was left; delete it there")
            return
        try:
            path.unlink(missing_ok=True)
            deleted.append(name)
        except OSError as problem:
            left.append(f"{name} could not be deleted ({problem.strerror}); check its permissions and repeat")

    def _rewrite_lock(self, lock: Path) -> None:
        from dvc.utils.serialize import modify_yaml

        names = {name for path, name in self.entries if path == lock}
        if names:
            with modify_yaml(str(lock)) as told:
                for name in names:
                    told["stages"].pop(name, None)
        lost = self.gone | self.folders.keys()
        if any(_names(out, lost) for _, _, entry in _entries(lock) for out in _outs(entry)):
            self._rename(lock)

    def _rename(self, path: Path) -> None:
        """Let a lock file or a ``.dvc`` file name the folder that is left instead of the one that listed what went."""
        from dvc.utils.serialize import modify_yaml

        with modify_yaml(str(path)) as told:
            for entry in (told, *(told.get("stages") or {}).values()):
                for out in entry.get("outs") or ():
                    if files_listed(out):
                        out["files"] = [file for file in out["files"] if file.get("md5") not in self.gone]
                    if (new := self.folders.get(out.get("md5"))) is not None:
                        out["md5"], out["nfiles"] = new.oid, new.count
                        out.pop("size", None)

    def _shared(self) -> list[str]:
        """Say that a cache which something goes from lies where other projects may use it too."""
        root = Path(self.repo.root_dir)
        shared = any(
            place.name.startswith("DVC cache") and not lies_within(Path(place.path(oid)), root)
            for place, oid in self.objects
        )
        return ["DVC cache lies outside the repository: other projects may rest on what goes there"] if shared else []

    def rewritten(self) -> list[str]:
        """Return in words what names less afterwards."""
        words = [f"{relative(path, self.repo)} names its folder without it" for path in self.renamed]
        return [*words, *(f"{name} is forgotten" for name in self._stages())]

    def _stages(self) -> list[str]:
        return [f"{relative(lock, self.repo)}: stage {name}" for lock, name in self.entries]


def _locks(repo: Any) -> list[tuple[Path, str, dict[str, Any]]]:
    """Return every entry of every lock file: file, stage, what it says. Entries of stages that are no more count."""
    folders = {Path(repo.root_dir), *(Path(stage.path).parent for stage in repo.index.stages)}
    return [found for folder in sorted(folders) for found in _entries(folder / "dvc.lock")]


def _outs(entry: dict[str, Any]) -> list[dict[str, Any]]:
    outs = entry.get("outs")
    return [out for out in outs if isinstance(out, dict)] if isinstance(outs, list) else []


def _item(out: Any) -> dict[str, Any]:
    """Return what a ``.dvc`` file says of an output."""
    return {"md5": hash_of(out), "files": out.files}


def _names(item: dict[str, Any], lost: Collection[str]) -> bool:
    return any(md5 in lost for _, md5 in named([item]))


def _leaves(item: dict[str, Any], folders: Mapping[str, Folder | None], gone: Collection[str]) -> bool:
    """Whether something is left of a folder of which something goes; of a file that goes nothing is."""
    listed = [file["md5"] for file in files_listed(item)]
    return any(md5 not in gone for md5 in listed) if listed else folders.get(str(item.get("md5"))) is not None


def _entries(lock: Path) -> list[tuple[Path, str, dict[str, Any]]]:
    stages = read_yaml(lock.read_bytes()).get("stages") if lock.is_file() else None
    return [(lock, str(name), entry) for name, entry in (stages or {}).items() if isinstance(entry, dict)]


def _without(stores: Stores, oid: str, gone: frozenset[str]) -> Folder | None:
    """Return a folder object without the files that go."""
    from dvc_data.hashfile.tree import Tree

    kept = [entry for entry in stores.folders[oid] if entry.get("md5") not in gone]
    tree = Tree.from_list(kept, hash_name="md5")
    tree.digest()
    return Folder(str(tree.oid), tree.as_bytes(), len(kept)) if kept else None


def _delete(place: Place, oid: str, instead: Folder | None, deleted: list[str], left: list[str]) -> None:
    store = place.store
    try:
        if instead is not None and not store.exists(instead.oid):
            store.add_bytes(instead.oid, instead.data)
        store.delete(oid)
        if store.exists(oid):
            left.append(f"{place.name}: {oid} is still there after it was deleted")
        else:
            deleted.append(f"{place.name}: {oid}")
    except Exception as problem:  # each kind of remote has errors of its own
        left.append(f"{place.name}: {oid} could not be deleted ({reason(problem)})")
