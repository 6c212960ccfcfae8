"""DVC's cache, remotes and run-cache, and the files that name a hash: what of a target they keep, and deleting it.

DVC has no command for this: ``gc`` drops whatever the workspace does not name, and keeps what we want gone. So each
hash is deleted from every store by itself, and so is what stages made of it (:mod:`lineage.dvc.derived_outputs`): ``dvc
checkout`` would bring an old model back by the hash in ``dvc.lock``, and ``dvc repro`` by the run-cache, without
training. A folder object that lists an erased file among others is written again without it; files that named it name
the new one.

What stages made of the files that shards were read from is made of the data as well, and so is what they made of any
of that in an earlier commit (:mod:`lineage.dvc.history`): all of it goes. The version of such a file that DVC tracks
now is the user's and stays (:mod:`disgorge.locations.source_files`); one that only an old commit names goes, so that no
``git checkout`` and ``dvc checkout`` brings it back. What git has committed itself is not rewritten.

The search does not stop at hashes. It opens every Parquet file in stores on this machine, or tracked by DVC here, and
looks for the items themselves, because the same item may lie there under an unrecorded hash.

DVC names bytes by MD5, the ledger by SHA-256. The MD5 of weights can only be computed while they are there, and what
DVC's stages made of a shard can only be found while DVC remembers it. So a purge keeps both in ``private/dvc.json``
before it deletes: MD5s of weights, of old shards and of stages' outputs, no item's. Negative consequence: without that
file a later search finds old weights in DVC only if an entry of a stage still names them.

A DVC that was killed leaves its half of a copy in the store, under a name of its own: such files go too, whatever is in
them, once they no longer change.

The order matters where a purge is killed half-way: files and objects go first, and last the entries and the runs, from
which the next call works out the same again.

Not reached: git history, clones and backups, versions that a cloud store keeps of its own accord, queued experiments.
"""

import os
import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from disgorge.locations.location import Copy, Deletion, Location, Spare, Target, Traces, delete_files
from lineage.dvc.derived_outputs import Run, files_listed, made_of, named, run_of
from lineage.dvc.history import PastFile, past_files
from lineage.dvc.repo import opened, reason, root_of
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
from lineage.errors import LineageError
from lineage.ledger.state import State
from lineage.private_files import DVC_KEPT
from lineage.shards.source_versions import Versions, live_sources, versions_of
from lineage.storage.file_types import is_text
from lineage.workspace import Workspace

_MD5 = re.compile(r"[0-9a-f]{32}")
"""The form of a DVC hash: nothing is deleted under any other name that a fact gives."""
_EMPTY = "d41d8cd98f00b204e9800998ecf8427e"
"""The hash of a file without bytes, which anything makes."""
_MADE = re.compile(r"[0-9a-f]{32}(\.dir)?")


class Dvc(Location):
    """The location of DVC's cache, remotes and run-cache, and of the files it tracks."""

    name = "DVC"

    def search(self, target: Target, spare: Spare) -> Traces:
        """Look for hashes and what was made of them in every store, and into every file on this machine."""
        root, unreachable = root_of(self.workspace.root), list[str]()
        if root is None:
            return Traces()
        with opened(root) as repo:
            stores = Stores(repo, unreachable)
            planned = self._plan_of(repo, stores, target, spare, unreachable)
            tracked = (path for out in repo.index.outs for path in files_of(out))
            every = (*stores.local_files(), *tracked, *experiments(repo))
            traces, unread = target.look(every, stored=True)
            texts = {Path(run.path) for run in stores.runs}
            words = (f"{relative(path, repo)} {words}" for path, words in traces.items())
            return Traces(
                (*planned.traces(), *words),
                unreadable=tuple(path for path in unread if path.suffix != ".dir" and path not in texts),
                unreachable=tuple(unreachable),
                unsupported=tuple(planned.unknown()),
            )

    def present(self, target: Target) -> Iterator[Path]:
        """Yield what is in the cache under hashes that a purge noted."""
        root = root_of(self.workspace.root)
        with suppress(LineageError):  # a damaged private file is a finding of its own
            noted = DVC_KEPT.read(self.workspace) if root else None
            for digest in (*target.shards, *target.weights):
                for md5 in (noted or {}).get(digest, {}).get("erased", ()):
                    path = Path(str(root), ".dvc", "cache", "files", "md5", md5[:2], md5[2:])
                    yield from [path] if path.is_file() else ()

    def plan(self, target: Target, spare: Spare) -> Deletion:
        """List every path that goes, or in a store elsewhere the place and hash."""
        with self._planned(target, spare) as planned:
            return Deletion() if planned is None else planned.deletion()

    def delete(self, planned: Deletion) -> Deletion:
        """Delete what the target's hashes find now, under DVC's lock, having noted the hashes."""
        done, unreachable = Deletion(), list[str]()
        with self._planned(planned.target, planned.spare, unreachable, locked=True) as plan:
            if plan is not None:
                self._remember(planned.target, plan.made)
                done = plan.carry_out()
        left = [*Copy.NOT_ENUMERATED.words(unreachable), *done.left]
        if root_of(self.workspace.root) is not None:
            left.append("DVC's own index outside the workspace may keep hashes, not bytes, of what it tracked")
        return replace(done, left=tuple(left))

    def made(self, target: Target, spare: Spare) -> frozenset[str]:
        """Return the hashes of what stages made of the target, which goes too; reads only."""
        with self._planned(target, spare) as planned:
            return frozenset() if planned is None else planned.made

    @contextmanager
    def _planned(
        self, target: Target, spare: Spare, unreachable: list[str] | None = None, *, locked: bool = False
    ) -> "Iterator[DvcPlan | None]":
        """Open DVC and work out what goes; None where there is no DVC, or nothing that it could keep."""
        root, unreachable = root_of(self.workspace.root), [] if unreachable is None else unreachable
        if root is None or not (target.shards or target.weights):
            yield None
            return
        with opened(root) as repo, _lock_of(repo) if locked else nullcontext():
            yield self._plan_of(repo, Stores(repo, unreachable), target, spare, unreachable)

    def _plan_of(self, repo: Any, stores: Stores, target: Target, spare: Spare, out_of_reach: list[str]) -> "DvcPlan":
        """Work out what goes, with the hashes that history and the shards' sources add."""
        hashes, made = self._hashes(target, spare)
        if not (target.shards or target.weights):
            return DvcPlan.of(repo, stores, hashes, made)
        past = list(past_files(Path(repo.root_dir), out_of_reach))
        read_from = (*target.shards, *target.weights)
        sources = versions_of(self.workspace, read_from, target.items, named=_named_at(repo, past), stores=stores)
        sources.holding.difference_update(_live_shards(spare.state))
        return DvcPlan.of(repo, stores, hashes, made, live=lambda: self._live(spare), past=past, sources=sources)

    def _hashes(self, target: Target, spare: Spare) -> tuple[tuple[str, ...], frozenset[str]]:
        """Return the MD5s of shards and weights, and of what an earlier purge found that stages had made of them.

        Those of shards and weights are as recorded, as they lie there, and as an earlier purge kept; one that a live
        shard has as well is left out.
        """
        asked = (*target.shards, *self._known(target))
        if root_of(self.workspace.root) is None:
            return (), frozenset()
        entries = spare.state.shards.values()
        recorded = [e.record.dvc for e in entries if e.record.digest in target.shards and e.record.dvc]
        notes = [note for digest, note in (DVC_KEPT.read(self.workspace) or {}).items() if digest in asked]
        here = [md5 for digest in asked for md5 in _md5s(self.workspace, digest)]
        gone = [md5 for each in notes for md5 in each.get("erased", [])]
        needed = _live_shards(spare.state)  # equal bytes that something live rests on
        hashes = (md5 for md5 in dict.fromkeys([*recorded, *here, *gone]) if _MD5.fullmatch(md5) and md5 not in needed)
        return tuple(hashes), frozenset(md5 for each in notes for md5 in each.get("made", []) if _MADE.fullmatch(md5))

    def _known(self, target: Target) -> list[str]:
        """Return the weights that DVC's stores are rid of; text of a folder may be others' as well, and is only named.

        One that is gone already was noted when it was there.
        """
        paths = {digest: self.workspace.objects.path(digest) for digest in target.known}
        texts = {each for each in target.files if each in paths and paths[each].is_file() and is_text(paths[each])}
        return [each for each in paths if each not in texts]

    def _live(self, spare: Spare) -> frozenset[str]:
        """Return the MD5s of every live shard's content and of every object that something live needs."""
        needed = (*spare.shards, *spare.served, *spare.objects)
        known = _live_shards(spare.state) | live_sources(self.workspace) | {_EMPTY}
        return known.union(*(_md5s(self.workspace, digest) for digest in needed))

    def _remember(self, target: Target, made: Collection[str]) -> None:
        """Keep these hashes until the same digests are asked for again: they cannot be computed afterwards."""
        notes = DVC_KEPT.read(self.workspace) or {}
        for digest in (*target.shards, *self._known(target)):
            note = notes.setdefault(digest, {})
            note["made"] = sorted({*note.get("made", []), *made})
            note["erased"] = sorted({*note.get("erased", []), *_md5s(self.workspace, digest)})
        DVC_KEPT.write(self.workspace, notes)


def _md5s(workspace: Workspace, digest: str) -> list[str]:
    paths = (workspace.objects.path(digest), workspace.content_path(digest))
    return [md5_of(path) for path in paths if path.is_file()]


def _live_shards(state: State) -> frozenset[str]:
    return frozenset(entry.record.dvc for entry in state.shards.values() if entry.live and entry.record.dvc)


def _lock_of(repo: Any) -> Any:
    from dvc.repo import lock_repo

    return lock_repo(repo)  # no stage runs meanwhile


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


def _named_at(repo: Any, past: Collection[PastFile]) -> dict[Path, set[str]]:
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
