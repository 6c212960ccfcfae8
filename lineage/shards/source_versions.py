"""Which versions of the files that shards were read from hold withdrawn items, by the hash that DVC has of them.

The version that a shard was read from does. Another one, which today's or an old ``dvc.lock`` or ``.dvc`` file names at
the same path, is read where it lies, or where a store on this machine keeps it: it may be from before the items came.
One that is nowhere to be read is unknown, and so is one that cannot be read as the shard was. Negative consequences: a
table whose columns are read as other types than the shard's counts as holding nothing; of a folder only files of the
recorded names are looked for.
"""

import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lineage.dvc.storage import Stores, md5_of
from lineage.errors import LineageError
from lineage.formats.parquet_file import SUFFIXES, is_table_folder, partition_of, table_files
from lineage.formats.read import read_file
from lineage.private_files import FileReading, SourceFile
from lineage.shards.files import shard_rows
from lineage.shards.source_files import files_to_delete, sources_of
from lineage.storage.content import item_digests
from lineage.storage.objects import sha256_of
from lineage.workspace import Workspace


@dataclass(slots=True)
class Versions:
    """Hashes of versions that hold withdrawn items, which of these lie at their path now, and others, by their path.

    ``unknown`` ones are in no store on this machine, ``unread`` ones cannot be read as the shard was.
    """

    holding: set[str] = field(default_factory=set)
    lying: dict[Path, str] = field(default_factory=dict)
    unknown: dict[str, Path] = field(default_factory=dict)
    unread: dict[str, Path] = field(default_factory=dict)


def versions_of(
    workspace: Workspace,
    shards: Collection[str],
    items: Collection[str],
    *,
    named: Mapping[Path, Collection[str]],
    stores: Stores,
) -> Versions:
    """Return the versions of these shards' sources; ``named`` has the hashes that DVC's files give for a path."""
    versions = Versions()
    fields = {entry.record.name: entry.record.fields for entry in workspace.ledger.state().shards.values()}
    keys = _keys(workspace, shards, items)
    for name, source in sources_of(workspace, shards):
        if source.md5:
            versions.holding.add(source.md5)
        for file, recorded in _files(source, items, {dict(source.keyed).get(key, key) for key in keys}):
            path = source.path / file
            here = md5_of(path) if path.is_file() else ""
            hashes = {*named.get(path, ()), *_listed(stores, named.get(source.path, ()), file), here} - {""}
            for md5 in sorted(hashes):
                where = path if md5 == here else stores.local_path(md5)
                if where is None:
                    versions.unknown[md5] = path
                elif (holds := _holds(where, file or path.name, recorded, fields.get(name, ()), items, source)) is None:
                    versions.unread[md5] = path
                elif holds:
                    versions.holding.add(md5)
                if md5 == here and md5 in versions.holding:
                    versions.lying[path] = md5
    for md5 in versions.holding:
        versions.unknown.pop(md5, None)
        versions.unread.pop(md5, None)
    return versions


def live_sources(workspace: Workspace) -> frozenset[str]:
    """Return the hashes of the files that live shards were read from, as they were or are: data of their own."""
    live = [digest for (_, digest), entry in workspace.ledger.state().shards.items() if entry.live]
    found = set[str]()
    for _, source in sources_of(workspace, live):
        paths = (source.path / name for name, _, _ in source.files)
        found |= {source.md5} if source.md5 else {md5_of(path) for path in dict.fromkeys(paths) if path.is_file()}
    return frozenset(found)


def _keys(workspace: Workspace, shards: Collection[str], items: Collection[str]) -> set[str]:
    """Return the keys of the items, which are the names of files of a folder."""
    found = set[str]()
    for shard in shards:
        if workspace.manifest_path(shard).is_file():
            found |= {row.key for row in shard_rows(workspace, shard) if row.digest in items}
    return found


def _files(source: SourceFile, items: Collection[str], keys: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield the files that hold items, "" for the source itself, with the SHA-256 of the whole file or ""."""
    names = {name: digest for name, _, digest in source.files}
    tables = [name for name in names if name.lower().endswith(SUFFIXES)]
    if source.in_place is not None and source.path.is_dir() and is_table_folder(source.path):
        yield from ((file.relative_to(source.path).as_posix(), "") for file in table_files(source.path))
    elif source.in_place is not None:
        yield from ((name, "") for name in dict.fromkeys(files_to_delete(source, items)))
    elif set(names) == {""}:
        yield "", ""
    elif tables and source.copied is not None and not source.copied.whole:  # rows of any of them may be the items
        yield from ((name, "") for name in sorted(tables))
    else:
        yield from ((name, names[name]) for name in sorted(names.keys() & set(keys)))


def _listed(stores: Stores, folders: Collection[str], file: str) -> set[str]:
    """Return the hashes of a file in these folder objects."""
    entries = (entry for oid in folders for entry in stores.folders.get(oid, ()))
    return {str(entry["md5"]) for entry in entries if file and entry.get("relpath") == file and entry.get("md5")}


def _holds(
    path: Path, name: str, recorded: str, fields: Collection[str], items: Collection[str], source: SourceFile
) -> bool | None:
    """Whether a version is the recorded file, or a table with one of the items; None for one that cannot be read.

    It is read under its own name, as the shard was as far as that is known: of a folder of Parquet files with the names
    of the folders that it lies in, which may be columns.
    """
    if recorded:
        return sha256_of(path) == recorded
    if source.in_place is not None and any(file for file, _, _ in source.files):
        return path.is_relative_to(source.path)  # a file that still holds its item
    try:
        with tempfile.TemporaryDirectory() as folder:
            link = Path(folder, name)
            link.parent.mkdir(parents=True, exist_ok=True)
            partition = partition_of(name)
            if partition:
                shutil.copyfile(path, link)  # a link that leads out of a folder is not read
            else:
                link.symlink_to(path.absolute())
            reading = source.in_place or source.copied or FileReading({}, "utf-8", whole=False)
            content = read_file(
                Path(folder) if partition else link, fields=tuple(fields) or None, encoding=reading.encoding,
                delimiter=reading.delimiter, decimal=reading.decimal, missing=reading.missing,
            ).content  # fmt: skip
        return not set(items).isdisjoint(item_digests(content))
    except (LineageError, OSError):
        return None
