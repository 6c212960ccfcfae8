"""Where DVC keeps things: cache and remotes, in today's layout and in that of before DVC 3, and remembered runs.

Everything is read once, when a :class:`Stores` is made, and looked up after that: a remote far away is listed once.
A remote that cannot be reached, or whose folder is not there (it may be on a disk that is not mounted), is named in
``out_of_reach``, which a search has to say. Negative consequence: a remote is listed whole, because a folder
object does not say in its name what it lists.
"""

import contextlib
import hashlib
import json
import os
import re
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from lineage.dvc.repo import opened, reason, root_of, tracked_hash
from lineage.storage.objects import file_stamp

_TEMPORARY = re.compile(r"\.[A-Za-z0-9_-]{22}\.tmp")
"""How DVC names a file that it is copying into a store."""
_SECONDS_OF_REST = 2.0
"""Seconds without a change after which a copy is taken for one that was killed."""

Entries = list[dict[str, Any]]
"""What a folder object lists: ``md5`` and ``relpath`` of each file."""


@dataclass(slots=True)
class Place:
    """One store: its name in words, DVC's object for it, and the folder objects in it."""

    name: str
    store: Any
    folders: set[str] = field(default_factory=set)

    @property
    def is_local(self) -> bool:
        """Whether the store is a folder of this machine."""
        return str(getattr(self.store.fs, "protocol", "")) in ("local", "file")

    def path(self, oid: str) -> str:
        """Return the path of an object here, or where the store is elsewhere its place and hash."""
        return str(self.store.oid_to_path(oid)) if self.is_local else f"{self.name}: {oid}"

    def holding(self, hashes: Collection[str]) -> list[str]:
        """Return those of these hashes that are in the store."""
        return [oid for oid in sorted(hashes) if self.store.exists(oid)]


@dataclass(frozen=True, slots=True)
class RunFile:
    """A remembered run: which store it lies in, under which path, its bytes, and what it says if that can be read."""

    place: Place
    path: str
    text: bytes
    body: dict[str, Any]

    @property
    def name(self) -> str:
        """The first letters of its hash."""
        return self.path.replace("\\", "/").rsplit("/", 1)[-1][:12]

    def names(self, hashes: Collection[str]) -> bool:
        """Whether one of these hashes stands in it."""
        return any(md5.encode() in self.text for md5 in hashes)

    def delete(self) -> None:
        """Delete it, and its folder if nothing is left there: DVC fails on an empty one."""
        with contextlib.suppress(FileNotFoundError):  # two remotes of one folder: gone by the other's name
            self.place.store.fs.remove(self.path)
        if self.place.is_local and Path(self.path).parent.is_dir() and not any(Path(self.path).parent.iterdir()):
            Path(self.path).parent.rmdir()


class Stores:
    """The stores of an opened repository."""

    def __init__(self, repo: Any, out_of_reach: list[str]) -> None:
        self.places = list(_places(repo, out_of_reach))
        self.folders: dict[str, Entries] = {}
        self.runs: list[RunFile] = []
        for place in self.places:
            try:
                self._read(place)
            except Exception as problem:  # each kind of remote has errors of its own
                out_of_reach.append(f"{place.name}: could not be listed ({reason(problem)})")

    def listing(self, oid: str) -> set[str]:
        """Return the files of a folder object, none if it is not known or no folder."""
        return {str(entry["md5"]) for entry in self.folders.get(oid, []) if entry.get("md5")}

    def local_path(self, oid: str) -> Path | None:
        """Return where a store on this machine keeps an object, None where none does."""
        places = (Path(place.path(oid)) for place in self.places if place.is_local and len(oid) > 2)
        return next((path for path in places if path.is_file()), None)

    def folders_with(self, hashes: Collection[str]) -> set[str]:
        """Return the folder objects that list one of these hashes."""
        return {oid for oid in self.folders if not self.listing(oid).isdisjoint(hashes)}

    def local_files(self) -> Iterator[Path]:
        """Yield every file of the stores on this machine, once each."""
        seen: set[Path] = set()
        for place in self.places:
            for path in files(Path(place.store.path)) if place.is_local else ():
                if path not in seen:
                    seen.add(path)
                    yield path

    @cached_property
    def temporaries(self) -> list[Path]:
        """Return the files on this machine that DVC began to copy into a store, or is copying now."""
        return [path for path in self.local_files() if _TEMPORARY.fullmatch(path.name)]

    def _read(self, place: Place) -> None:
        store = place.store
        if not store.fs.exists(store.path):
            return
        for oid in store.all():
            if oid.endswith(".dir"):
                place.folders.add(oid)
                self.folders[oid] = _entries(store.fs.cat_file(store.oid_to_path(oid)))
        runs = store.fs.join(store.path, "runs")
        if store.fs.exists(runs):  # only in the old layout's root
            for path in store.fs.find(runs):
                text = store.fs.cat_file(path)
                self.runs.append(RunFile(place, str(path), text, read_yaml(text)))


def read_yaml(text: bytes) -> dict[str, Any]:
    """Return what DVC wrote as YAML; nothing if it is damaged, for then DVC cannot use it either."""
    from dvc.utils.serialize import parse_yaml

    try:
        told = parse_yaml(text.decode(), "run")
    except Exception:  # of the YAML library, or no text at all
        return {}
    return told if isinstance(told, dict) else {}


def files(folder: Path) -> list[Path]:
    """Return the files below a folder, in order."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def delete_abandoned(temporaries: Collection[Path]) -> list[Path]:
    """Delete those that do not change for two seconds, which a killed DVC left, and return the others."""
    before = {path: _stamp(path) for path in temporaries}
    if temporaries:
        time.sleep(_SECONDS_OF_REST)
    for path, stamp in before.items():
        if stamp is not None and _stamp(path) == stamp:
            with contextlib.suppress(OSError):
                path.unlink()
    return [path for path in temporaries if path.exists()]


def _stamp(path: Path) -> tuple[int, ...] | None:
    """Return a file's stamp, None where it is gone."""
    try:
        return file_stamp(path)
    except FileNotFoundError:
        return None


def files_of(out: Any) -> list[Path]:
    """Return the files of an output that are on disk: it may be one, or a folder."""
    path = Path(out.fs_path)
    return [path] if path.is_file() else files(path)


def experiments(repo: Any) -> list[Path]:
    """Return the files of experiments that ran in folders of their own and were killed, which DVC keeps in ``tmp``."""
    return files(Path(repo.tmp_dir) / "exps") if repo.tmp_dir else []


def md5_of(path: Path) -> str:
    """Return a file's MD5, the name DVC keeps it under; identity is always the SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def lies_within(path: Path, root: Path) -> bool:
    """Whether what is deleted at a path is in a folder, and not elsewhere by way of a link on the path to it."""
    return path.parent.resolve().is_relative_to(root.resolve())


def hash_of(item: Any) -> str:
    """Return the hash DVC has of a dependency or output; empty if it has none."""
    return str(item.hash_info.value) if item.hash_info and item.hash_info.value else ""


def relative(path: Path | str, repo: Any) -> str:
    """Return a path as seen from the repository's root."""
    return os.path.relpath(path, repo.root_dir)


def _places(repo: Any, out_of_reach: list[str]) -> Iterator[Place]:
    yield Place("DVC cache", repo.cache.local)
    yield Place("DVC cache in the old layout", repo.cache.legacy)
    for name in repo.config.get("remote") or {}:
        place = f"DVC remote {name}"
        try:
            store, old = (repo.cloud.get_remote_odb(name, hash_name=kind) for kind in ("md5", "md5-dos2unix"))
            store.exists("0" * 32)
            if Place(place, old).is_local and not Path(old.path).is_dir():
                raise FileNotFoundError(f"{old.path} is not there: mount it, make it, or take it out of .dvc/config")
        except Exception as problem:  # as above
            out_of_reach.append(f"{place}: could not be reached ({reason(problem)})")
            continue
        yield Place(place, store)
        yield Place(f"{place} in the old layout", old)


def _entries(text: bytes) -> Entries:
    try:
        listed = json.loads(text)
    except ValueError:
        return []  # damaged: DVC cannot use it either
    return [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []


def untrack(path: Path) -> None:
    """Undo the tracking of a file just added: its ``.dvc`` file and its bytes in the cache, unless others name them.

    Raises ``LineageError`` where DVC cannot be opened.
    """
    root, md5 = root_of(path), tracked_hash(path)
    if root is None or md5 is None:
        return
    with opened(root) as repo:
        others = [out for out in repo.index.outs if hash_of(out) == md5 and Path(out.fs_path) != path.absolute()]
        if not others and repo.cache.local.exists(md5):
            repo.cache.local.delete(md5)
    path.with_name(path.name + ".dvc").unlink(missing_ok=True)
