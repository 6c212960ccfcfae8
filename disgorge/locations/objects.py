"""Manifests, contents, objects and checkpoints of the workspace, by their names and by what they hold.

Objects that no fact names are of a training that was killed before it was recorded. They are deleted once they are old
enough; until then their content is unknown, which is missing coverage.
"""

import re
import time
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from disgorge.attestation.checkpoints import checkpoints_naming
from disgorge.locations.fingerprints import holds_any
from disgorge.locations.location import Deletion, Location, Spare, Target, Traces
from disgorge.training.sandbox.inputs import stages_of
from lineage.storage.components import files_of
from lineage.storage.file_types import holds
from lineage.storage.objects import PIECE, cached_sha256

SETTLED_SECONDS = 60.0
"""Age after which a file written aside, or an object that no fact names, belongs to no writer any more."""
_DIGITS = 64
_DIGEST = re.compile(rb"[0-9a-f]{64}")
"""A SHA-256 as texts spell it."""


class Objects(Location):
    """The location of the workspace's own files; deletes what is named by the target, holds it, or was left aside."""

    name = "objects"

    def search(self, target: Target, spare: Spare) -> Traces:
        """Look at every object, manifest and content, and at the inputs and checkpoints that a killed job left."""
        traces, gone = list[str](), [*self._shard_files(target), *self._left_by_jobs(target)]
        traces += [f"{self._relative(path)} is there" for path in gone if path.is_file()]
        holding = (path for path in self._tables() if path not in gone and holds(path, target.items))
        traces += [f"{self._relative(path)} holds withdrawn items" for path in holding]
        named = self._digests_named()
        unsettled = tuple(self._unsettled(named))
        for digest, names in named.items():
            if words := self._trace(digest, names or frozenset(), target, spare):
                traces.append(f"object {digest} {words}")
        compared = (*self._tables(), *map(self.workspace.objects.path, named))
        return Traces(tuple(traces), unreachable=unsettled, compared=compared)

    def plan(self, target: Target, spare: Spare) -> Deletion:
        """List the files of the target, tables that hold its items and are of no live shard, and what is left aside."""
        files = [*self._named(target), *self._left_by_jobs(target)]
        tables = (path for path in self._tables() if path.stem not in spare.shards and path not in files)
        files += [path for path in tables if holds(path, target.items)]
        oldest = time.time() - SETTLED_SECONDS
        unnamed = self._unnamed(self._digests_named())
        files += [*self._left_aside(), *(path for path in unnamed if path.stat().st_mtime < oldest)]
        return Deletion(paths=tuple(path for path in dict.fromkeys(files) if path.is_file()))

    def present(self, target: Target) -> Iterator[Path]:
        """Yield the manifests, contents and objects of the target."""
        return (path for path in self._named(target) if path.exists())

    def _named(self, target: Target) -> list[Path]:
        return [*self._shard_files(target), *map(self.workspace.objects.path, target.weights)]

    def _shard_files(self, target: Target) -> list[Path]:
        places = (self.workspace.manifest_path, self.workspace.content_path)
        return [place(digest) for digest in target.shards for place in places]

    def _relative(self, path: Path) -> str:
        return path.relative_to(self.workspace.root).as_posix()

    def _trace(self, digest: str, named: frozenset[str], target: Target, spare: Spare) -> str | None:
        """Return in words what is the matter with an object, a text that names these digests.

        Pictures are those of a model that learned too much.
        """
        path = self.workspace.objects.path(digest)
        if digest in spare.outlived:
            return "holds pictures by a model that learned from withdrawn items"
        if digest in target.weights:
            return "is there"
        if not named.isdisjoint(target.items):
            return "names withdrawn items"
        if cached_sha256(path) != digest:
            return "is not what its name says"
        is_copy = digest not in spare.objects and holds_any(path, target.tensors)
        return "holds removed weights under another name" if is_copy else None

    def _tables(self) -> list[Path]:
        """Return every manifest and content, live or not."""
        folders = (self.workspace.home / "manifests", self.workspace.root / "shards")
        return sorted(path for folder in folders for path in folder.glob("*.parquet"))

    def _left_by_jobs(self, target: Target) -> list[Path]:
        """Return the copies of the target that a killed job was given, named by digest, and what it learned of it."""
        names = {*target.shards, *target.weights}
        copies = [  # of folders, all that lies in the one that has the name
            path
            for stage in stages_of(self.workspace)
            for path in stage.rglob("*")
            if path.stem in names or any(Path(part).stem in names for part in path.relative_to(stage).parts)
        ]
        return copies + checkpoints_naming(self.workspace, names)

    def _digests_named(self) -> dict[str, frozenset[str] | None]:
        """Return every object with the digests that it names; None for one that is not JSON, as weights are not."""
        named: dict[str, frozenset[str] | None] = {}
        for digest in self.workspace.objects.digests():
            with self.workspace.objects.path(digest).open("rb") as file:
                named[digest] = _digests_in(file) if file.read(1) in (b"{", b"[") else None
        return named

    def _unnamed(self, named: Mapping[str, frozenset[str] | None]) -> list[Path]:
        """Return the objects that neither a fact names nor a text of one: those that are no text, and folders whole."""
        facts = _digests_in(BytesIO(self.workspace.ledger.journal.text()))
        explained = facts.union(*(named[digest] or () for digest in named.keys() & facts))
        adrift = {digest for digest, names in named.items() if names is None}
        for digest in named.keys() - explained:  # folders, whose files may be text as well
            if files := files_of(self.workspace.objects, digest):
                adrift |= {digest, *(file.sha256 for file in files)}
        return [self.workspace.objects.path(each) for each in sorted(adrift & named.keys() - explained)]

    def _unsettled(self, named: Mapping[str, frozenset[str] | None]) -> Iterator[str]:
        """Yield which unrecorded objects a purge spares, because a training may be about to record them."""
        youngest = time.time() - SETTLED_SECONDS
        for path in self._unnamed(named):
            if path.stat().st_mtime >= youngest:
                yield (
                    f"object {path.name} was written less than a minute ago and is not recorded yet, so what is "
                    f"in it is unknown; let the training that wrote it end, or wait a minute"
                )

    def _left_aside(self) -> Iterator[Path]:
        """Yield what killed writers left beside manifests, contents and objects.

        Objects may be put at any time, by training that holds no lock: there only old ones belong to no writer.
        """
        for folder in (self.workspace.home / "manifests", self.workspace.root / "shards"):
            yield from folder.rglob(".aside-*")
        now = time.time()
        for path in (self.workspace.home / "objects").rglob(".aside-*"):
            if now - path.stat().st_mtime > SETTLED_SECONDS:
                yield path


def _digests_in(text: BinaryIO) -> frozenset[str]:
    """Return the digests in what is left of a text, read piece by piece."""
    found, end = set[bytes](), b""
    while piece := text.read(PIECE):
        piece = end + piece
        found.update(_DIGEST.findall(piece))
        end = piece[-_DIGITS + 1 :]
    return frozenset(each.decode() for each in found)
