"""Making DVC forget, and looking whether it did: cache, remotes, run-cache, and the files that name a hash.

DVC has no command for this: ``gc`` drops whatever the workspace does not name, and keeps what we want gone. So each
hash is deleted from every store by itself, with each folder object that lists it, and each remembered run that read or
wrote it: the run-cache would bring an erased output back without training. A store is then asked again.

The search does not stop at hashes. It opens every Parquet file in the local cache, or tracked by DVC here, and
looks for the items themselves, because the same item may lie there under a hash that nobody recorded.

Not reached: git history, clones and backups, versions that a cloud store keeps of its own accord.
"""

import hashlib
import json
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lineage.errors import LineageError
from lineage.from_dvc import opened, reason, root_of


@dataclass(slots=True)
class Looked:
    """What a search came to: what was found, how many places were looked at, and where nobody could look."""

    found: list[str] = field(default_factory=list)
    places: int = 0
    blind: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Forgotten:
    """What was deleted, and what was not and why, in words."""

    deleted: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


def forget(workspace: Path, hashes: Collection[str]) -> Forgotten:
    """Delete these MD5 hashes wherever DVC keeps or names them. Doing it twice does no harm."""
    done = Forgotten()
    root = root_of(workspace)
    if root is None or not hashes:
        return done
    try:
        with opened(root) as repo:
            _forget_files(repo, hashes, done)
            for place, store in _stores(repo, done.left):
                _forget_in(place, store, hashes, done)
            for run in _runs(repo, hashes):
                run.unlink()
                done.deleted.append(f"remembered run {run.name[:12]}")
    except LineageError as error:
        done.left.append(str(error))
    return done


def listing(workspace: Path, hashes: Collection[str]) -> list[str]:
    """Return every path that :func:`forget` would delete, or in a store elsewhere the place and hash. Reads only."""
    root = root_of(workspace)
    if root is None or not hashes:
        return []
    with opened(root) as repo:
        listed = [str(path) for path in _tracked_with(repo, hashes)]
        for place, store in _stores(repo, []):
            there = [oid for oid in (*hashes, *_folders(store, hashes)) if store.exists(oid)]
            listed += [store.oid_to_path(oid) if _is_local(store) else f"{place}: {oid}" for oid in there]
        return [*listed, *(str(run) for run in _runs(repo, hashes))]


def search(workspace: Path, hashes: Collection[str], items: Collection[str]) -> Looked:
    """Look for hashes in every store and for items in every Parquet file cached or tracked here. Changes nothing."""
    looked = Looked()
    root = root_of(workspace)
    if root is None:
        return looked
    try:
        with opened(root) as repo:
            for place, store in _stores(repo, looked.blind):
                looked.places += len(hashes)
                looked.found += [f"{place}: {md5}" for md5 in hashes if store.exists(md5)]
                looked.found += [f"{place}: folder {oid} lists it" for oid in _folders(store, hashes)]
            looked.places += 1
            looked.found += [f"DVC run-cache: {run.name[:12]} names it" for run in _runs(repo, hashes)]
            cached = _files(Path(repo.cache.local.path))
            for path in (*cached, *(path for out in repo.index.outs for path in _files_of(out))):
                looked.places += 1
                if holds(path, items):
                    looked.found.append(f"{_relative(path, repo)} holds withdrawn items")
    except LineageError as error:
        looked.blind.append(str(error))
    return looked


def holds(path: Path, items: Collection[str]) -> bool:
    """Whether a file is Parquet with a ``digest`` column in which one of these item digests stands."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    with path.open("rb") as file:
        if file.read(4) != b"PAR1":
            return False
    try:
        with pq.ParquetFile(path) as table:
            if "digest" not in table.schema_arrow.names:
                return False
            wanted = pa.array(sorted(items), pa.string())
            for batch in table.iter_batches(columns=["digest"]):
                if pc.any(pc.is_in(batch.column(0).cast(pa.string()), value_set=wanted)).as_py():
                    return True
    except (pa.ArrowException, OSError):
        return False  # damaged: whoever checks digests reports it
    return False


def _forget_files(repo: Any, hashes: Collection[str], done: Forgotten) -> None:
    """Remove the ``.dvc`` files that name a hash, and every file DVC tracks here that has these very bytes."""
    folders = _folders(repo.cache.local, hashes)
    for stage in list(repo.index.stages):
        name = _relative(stage.path, repo) if stage.is_data_source else f"stage {stage.name}"
        if any(_hash_of(dep) in hashes for dep in stage.deps):
            done.left.append(f"{name} read it, so its outputs rest on it; run `dvc repro --force`")
        for out in stage.outs:
            if _hash_of(out) in hashes and stage.is_data_source:
                repo.remove(stage.path, outs=True)
                done.deleted.append(name)
            elif _hash_of(out) in (*hashes, *folders):
                for path in _files_of(out):
                    if md5_of(path) in hashes:
                        path.unlink()
                        done.deleted.append(_relative(path, repo))
                done.left.append(
                    f"{name} still names {_hash_of(out)}; commit {_relative(out.fs_path, repo)} to DVC again"
                )


def _tracked_with(repo: Any, hashes: Collection[str]) -> Iterator[Path]:
    """Yield what :func:`_forget_files` deletes: ``.dvc`` files with their output, and tracked files of these bytes."""
    folders = _folders(repo.cache.local, hashes)
    for stage in repo.index.stages:
        for out in stage.outs:
            if _hash_of(out) in hashes and stage.is_data_source:
                yield from (Path(stage.path), *_files_of(out))
            elif _hash_of(out) in (*hashes, *folders):
                yield from (path for path in _files_of(out) if md5_of(path) in hashes)


def _is_local(store: Any) -> bool:
    return str(getattr(store.fs, "protocol", "")) in ("local", "file")


def _forget_in(place: str, store: Any, hashes: Collection[str], done: Forgotten) -> None:
    for oid in (*hashes, *_folders(store, hashes)):
        try:
            if store.exists(oid):
                store.delete(oid)
                if store.exists(oid):
                    done.left.append(f"{place}: {oid} is still there after it was deleted")
                else:
                    done.deleted.append(f"{place}: {oid}")
        except Exception as problem:  # each kind of remote has errors of its own
            done.left.append(f"{place}: {oid} could not be deleted ({reason(problem)})")


def _stores(repo: Any, out_of_reach: list[str]) -> Iterator[tuple[str, Any]]:
    """Yield the local cache and every remote that can be reached; the others are named in ``out_of_reach``."""
    yield "DVC cache", repo.cache.local
    for name in repo.config.get("remote") or {}:
        place = f"DVC remote {name}"
        try:
            store = repo.cloud.get_remote_odb(name)
            store.exists("0" * 32)
        except Exception as problem:  # as above
            out_of_reach.append(f"{place}: could not be reached ({reason(problem)})")
            continue
        yield place, store


def _folders(store: Any, hashes: Collection[str]) -> list[str]:
    """Return the folder objects of a store that list one of these hashes."""
    if not store.fs.exists(store.path):
        return []
    found = []
    for oid in store.all():
        if oid.endswith(".dir"):
            listed = json.loads(store.fs.cat_file(store.oid_to_path(oid)))
            if any(entry.get("md5") in hashes for entry in listed):
                found.append(oid)
    return found


def _runs(repo: Any, hashes: Collection[str]) -> list[Path]:
    """Return the remembered runs that name one of these hashes."""
    runs = Path(repo.stage_cache.cache_dir)
    return [run for run in _files(runs) if any(md5 in run.read_text(errors="replace") for md5 in hashes)]


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _files_of(out: Any) -> list[Path]:
    """Return the files of an output that are on disk: it may be one, or a folder."""
    path = Path(out.fs_path)
    return [path] if path.is_file() else _files(path)


def _hash_of(item: Any) -> str | None:
    """Return the hash DVC has of a dependency or output, if it has one."""
    return str(item.hash_info.value) if item.hash_info and item.hash_info.value else None


def _relative(path: Path | str, repo: Any) -> str:
    return os.path.relpath(path, repo.root_dir)


def md5_of(path: Path) -> str:
    """Return a file's MD5, the name DVC keeps it under; identity is always the SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
