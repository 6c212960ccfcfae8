"""Which file or folder a shard was read from, kept in private, so that a removal can say that it is still there.

A file that a shard was read from is the user's own: nothing here deletes it. But it goes on holding what is withdrawn
from the shard, and DVC may track it. So its path, its size and SHA-256 are kept when the shard is added. A path may
name a person and a digest identifies content; both stay in ``private/sources``, one file a shard.

A shard that was cut is read from nowhere: what it was cut from is asked. Negative consequences: a copy under another
path is not known, nor is a file from which some of it was taken out; what is read is hashed once more; and what is
remembered stays until the private folder is cleared.
"""

import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from stat import S_ISREG
from typing import TYPE_CHECKING
from unicodedata import normalize

from lineage.dvc.repo import tracked_hash
from lineage.dvc.storage import md5_of
from lineage.errors import BadInput, LineageError
from lineage.ledger.state import cut_from
from lineage.private_files import SOURCES, FileReading, SourceFile, Sources
from lineage.shards.files import live_shards, references_of
from lineage.shards.in_place import InPlace, metadata_of, still_holding
from lineage.storage.objects import cached_sha256, sha256_of, write_atomically
from lineage.workspace import Workspace

if TYPE_CHECKING:
    from lineage.formats.read import Intake


@dataclass(frozen=True)
class Reading:
    """That items are read from a file or folder, and how; the folder's files are hashed once, for all shards of it."""

    path: Path
    how: FileReading
    in_place: bool

    def place(self, intake: "Intake") -> InPlace | None:
        """Return where items lie, if they stay there."""
        if not self.in_place:
            return None
        return InPlace.of(self.path, intake, self.how)

    def source(self, place: InPlace | None, intake: "Intake", digests: Sequence[str]) -> SourceFile:
        """Return what is remembered of where some items were read."""
        if place is not None:
            return source_in_place(place, digests)
        if self.path.is_dir() and intake.keys != intake.rows:
            return replace(self._source, keyed=tuple(zip(intake.keys, intake.rows, strict=True)))
        return self._source

    @cached_property
    def _source(self) -> SourceFile:
        return replace(source_at(self.path), copied=self.how)


def source_at(path: Path) -> SourceFile:
    """Return a file or folder as it is now; raises ``BadInput`` if it cannot be read any more."""
    here = path.absolute()
    try:
        alone = here.is_file()
        names = [""] if alone else list(_names(here))
        files = tuple((name, (here / name).stat().st_size, sha256_of(here / name)) for name in names)
        return SourceFile(here, files, md5_of(here) if alone else None)
    except OSError as problem:
        raise BadInput(f"{path}: cannot be read a second time ({problem.strerror}); repeat") from problem


def source_in_place(place: InPlace, digests: Sequence[str]) -> SourceFile:
    """Return a file or folder in which items lie, with their digests."""
    here = place.root
    sizes = {name: (here / name).stat().st_size for name in set(place.files)} if any(place.files) else {"": 0}
    files = tuple((name, sizes[name], digest) for name, digest in zip(place.files, digests, strict=True))
    return SourceFile(here, files, None, place.reading)


def files_to_delete(source: SourceFile, items: Collection[str]) -> tuple[str, ...]:
    """Return which files, in which items lie, still hold one of these; "" for each such row of a table."""
    if source.in_place is None:
        return ()
    place = InPlace(source.path, source.in_place, tuple(name for name, _, _ in source.files))
    return still_holding(place, [digest for _, _, digest in source.files], items)


def lines_to_delete(workspace: Workspace, source: SourceFile, items: Collection[str]) -> frozenset[str]:
    """Return the files with some items that lie in a folder in place, about which its metadata still has a line.

    What else a live shard reads from there keeps its line. Names are in Unicode's form NFC.
    """
    if source.in_place is None or not source.in_place.metadata:
        return frozenset()
    gone = {normalize("NFC", name) for name, _, digest in source.files if digest in items}
    gone &= set(metadata_of(source.path, source.in_place)[1])
    for shard in live_shards(workspace) if gone else ():
        lying = references_of(workspace, shard.digest)
        if lying is not None and lying[1].root == source.path:
            gone -= {
                normalize("NFC", name)
                for name, digest in zip(lying[1].files, lying[0], strict=True)
                if digest not in items
            }
    return frozenset(gone)


def delete_lines(source: SourceFile, files: Collection[str]) -> None:
    """Write the metadata of a folder in which items lie without the lines about some files; others keep their bytes."""
    metadata = metadata_of(source.path, source.in_place)[0] if source.in_place else None
    if metadata is not None:
        mode = metadata.path.stat().st_mode & 0o777
        write_atomically(metadata.path, metadata.without(files), mode=mode)


def unchanged_files(source: SourceFile) -> int:
    """Return how many of its files are where they were, with the bytes they had. What cannot be read is not."""
    root = str(source.path)
    return sum(
        _is_same(os.path.join(root, name) if name else root, size, digest) for name, size, digest in source.files
    )


def is_tracked(source: SourceFile) -> bool:
    """Whether DVC tracks a file with the bytes it had, whether they lie in the workspace or not."""
    try:
        return source.md5 is not None and tracked_hash(source.path) == source.md5
    except LineageError:
        return False  # what DVC wrote is damaged, or DVC is not installed


def remember(workspace: Workspace, shard: str, source: SourceFile) -> None:
    """Keep where a shard is read from. Read from several places, one after the other, it has them all."""
    known = [each for each in _sources(workspace, shard) if each.path != source.path]
    SOURCES.write(workspace, Sources([*known, source]), shard)


def sources_of(workspace: Workspace, shards: Collection[str]) -> Iterator[tuple[str, SourceFile]]:
    """Yield name and source of these shards, of those they were cut from, and of artifacts; each source once."""
    state = workspace.ledger.state()
    entries = state.shards.values()
    names = {digest: name for name, digest in (*state.shards, *state.artifacts)}
    for digest in cut_from((entry.record for entry in entries), shards):
        if digest in names:
            yield from ((names[digest], source) for source in _sources(workspace, digest))


def _sources(workspace: Workspace, shard: str) -> list[SourceFile]:
    kept = SOURCES.read(workspace, shard)
    return kept.sources if kept else []


def _names(folder: Path) -> Iterator[str]:
    """Yield the files that reading a folder takes in: none whose name, or a folder's on the way, begins with a dot."""
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        within = Path(place).relative_to(folder).as_posix()
        for name in sorted(files):
            if not name.startswith(".") and os.path.isfile(os.path.join(place, name)):
                yield name if within == "." else f"{within}/{name}"


def _is_same(path: str, size: int, digest: str) -> bool:
    try:
        stat = os.stat(path)  # of text: there may be many small ones
        return S_ISREG(stat.st_mode) and stat.st_size == size and cached_sha256(path) == digest
    except OSError:
        return False
