"""Search for rows of withdrawn items in files of any name: texts, databases, tables and archives, and beside them.

A row is known by marks of its values (:mod:`lineage.shards.row_marks`). Looked into is every file that
:class:`~lineage.texts.read.FileTexts` reads, the target of every link, and extended attributes that a user may set.

Left to other searches, which name what they leave: the files that shards of the target were read from, and what DVC
keeps of those; MLflow's databases; keys and records in ``private``; the bundles of reports, as far as they are, byte
for byte, what was recorded.
"""

import os
import re
import zipfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from disgorge.facts import ReportFact
from disgorge.tracking.client import databases_beside, own_database
from lineage.private_files import KINDS
from lineage.shards.row_marks import RowMarks
from lineage.shards.source_files import sources_of
from lineage.storage.objects import cached_sha256, sha256_of
from lineage.texts.read import FileTexts, encoding_of, is_too_large
from lineage.workspace import Workspace

HOLDS_ROWS = "holds removed rows; delete it, or take them out"
_KEYS = frozenset(("pseudonym.key", "withdrawn.key", "withdrawn.txt", "signing.pem"))
_DVC_NAME = re.compile(r"[0-9a-f]{30}")
_INPUTS = "-with-inputs.zip"


@dataclass(slots=True)
class FoundRows:
    """In words what files hold of withdrawn rows, the files read whole and free of them, and those not read."""

    found: dict[Path, str] = field(default_factory=dict)
    read: set[Path] = field(default_factory=set)
    unread: list[Path] = field(default_factory=list)


@dataclass(frozen=True)
class RowSearch:
    """The search of a workspace's files for the rows of a target."""

    workspace: Workspace
    noted: Mapping[str, Collection[str]]
    """Marks by item."""
    origins: Collection[str]
    """Digests of the shards and artifacts whose source files are left to another search."""

    @cached_property
    def marks(self) -> RowMarks:
        """The marks that are looked for."""
        return RowMarks(self.workspace.private.keyed, self.noted)

    def holding(self, paths: Iterable[Path]) -> frozenset[Path]:
        """Return which files hold a row; what cannot be read does not."""
        return frozenset(self.marks.holding(self._texts(paths).items()))

    def look(self, paths: Iterable[Path], links: Iterable[Path] = ()) -> FoundRows:
        """Look into files, beside them and at the targets of links."""
        told = FoundRows()
        if not self.marks:
            return told
        looked = self._texts(path for path in paths if not self._is_left_to_others(path))
        told.found = dict.fromkeys(self.marks.holding(looked.items()), HOLDS_ROWS)
        for path, texts in looked.items():
            if path not in told.found:
                if not texts.unread and self.marks.covers_all:
                    told.read.add(path)
                elif "" in texts.unread and path.is_file() and is_too_large(path, self.workspace.largest_searched):
                    told.unread.append(path)
            self._beside(path, told)
        for path in (path for path in links if path not in self._others):
            with suppress(OSError):
                if self.marks.stand_in(os.readlink(path)):
                    told.found[path] = "is a link whose target is named after removed rows; delete it"
            self._beside(path, told)
        return told

    def _texts(self, paths: Iterable[Path]) -> dict[Path, FileTexts]:
        return {path: FileTexts(path, self.workspace.largest_searched) for path in paths}

    def _beside(self, path: Path, told: FoundRows) -> None:
        for value in attributes(path):
            encoding = encoding_of(value)
            if encoding is None:
                told.unread.append(path)
            elif self.marks.stand_in(value.decode(encoding, "replace")):
                told.found.setdefault(path, "has an extended attribute that holds removed rows; delete it")

    def _is_left_to_others(self, path: Path) -> bool:
        if path in self._others:
            return True
        if not _DVC_NAME.fullmatch(path.name):
            return False
        try:
            size = path.stat().st_size
            return size in {each for each, _ in self._sources} and (size, sha256_of(path)) in self._sources
        except OSError:
            return False

    @cached_property
    def _others(self) -> frozenset[Path]:
        root, private = self.workspace.root, self.workspace.private.folder
        paths = set[Path]()
        for _, source in sources_of(self.workspace, self.origins):
            for place in {source.path, source.path.resolve()}:
                paths |= {place / name if name else place for name, _, _ in source.files}
        paths |= {*databases_beside(root), own_database(root), *(private / name for name in _KEYS)}
        paths |= {path for kind in KINDS for path in kind.paths(self.workspace)}
        return frozenset(paths)

    @cached_property
    def _sources(self) -> frozenset[tuple[int, str]]:
        """Sizes and digests of the files that shards of the target were read from."""
        sources = sources_of(self.workspace, self.origins)
        return frozenset((size, digest) for _, source in sources for _, size, digest in source.files)


def attributes(path: Path) -> Iterator[bytes]:
    """Yield the values of the extended attributes that a user may set on a file or link, where the system has such."""
    if hasattr(os, "listxattr"):
        with suppress(OSError):
            for name in os.listxattr(path, follow_symlinks=False):
                if name.startswith("user."):
                    yield os.getxattr(path, name, follow_symlinks=False)


def recorded_reports(workspace: Workspace) -> frozenset[Path]:
    """Return the files in ``reports`` that are what was recorded: zips by digest, and in folders what these hold.

    Bundles with inputs are among them, which are named as exports.
    """
    reports = workspace.root / "reports"
    recorded = {fact.zip for _, fact in workspace.ledger.said(ReportFact)}
    files = set[Path](reports.rglob(f"*{_INPUTS}"))
    for path in reports.rglob("*.zip"):
        with suppress(OSError, zipfile.BadZipFile):
            if path not in files and cached_sha256(path) in recorded:
                files |= {path, *_same_members(path)}
    return frozenset(files)


def _same_members(path: Path) -> Iterator[Path]:
    """Yield the files of the folder beside a bundle's zip that have the bytes of its members."""
    folder = path.with_suffix("")
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            with suppress(OSError):
                if (folder / name).read_bytes() == archive.read(name):
                    yield folder / name
