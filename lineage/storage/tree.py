r"""Trees of files by digest: code, and later every folder that is kept as one.

A tree is its listing, and its digest the SHA-256 of that: the canonical JSON (RFC 8785) of the sorted list of ``[path,
size, SHA-256]``, paths relative with ``/`` between their parts. Names, sizes and bytes of regular files count, and
nothing else: no times, no modes, no empty folders. Links are refused. A tree is kept as objects, one for each file and
one for the listing, so the digest of a tree names an object that leads to all of it.

>>> Tree.of({"a.py": b"x = 1"}).listing()
b'[["a.py",5,"8ff436def1451285599a1b1ad70800493b8dcafde2912e1a38345633054e4c26"]]'
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from lineage.errors import BadInput, LineageError
from lineage.records import canonical
from lineage.storage.objects import Objects, is_digest


class TreeFile(NamedTuple):
    """One file of a tree: its path in it, its size and the SHA-256 of its bytes."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Tree:
    """The files of a tree, sorted by path."""

    files: tuple[TreeFile, ...]
    data: Mapping[str, bytes] = field(default_factory=dict, repr=False, compare=False)
    """The bytes of the files by path, where they were read."""

    @classmethod
    def of(cls, data: Mapping[str, bytes]) -> "Tree":
        """Return the tree of these files, by path."""
        files = (TreeFile(path, len(each), hashlib.sha256(each).hexdigest()) for path, each in data.items())
        return cls(tuple(sorted(files)), data)

    @property
    def digest(self) -> str:
        """The SHA-256 of the listing."""
        return hashlib.sha256(self.listing()).hexdigest()

    def listing(self) -> bytes:
        """Return the canonical JSON of the files."""
        return canonical([list(file) for file in self.files])

    def keep(self, objects: Objects) -> str:
        """Store every file, and then the listing; return the digest."""
        for file in self.files:
            objects.put(self.data[file.path])
        return objects.put(self.listing())


def kept_tree(objects: Objects, digest: str) -> Tree:
    """Return a tree that was kept, with its bytes, checked; raises what reading an object raises.

    Raises :class:`LineageError` for an object that is no listing of a tree.
    """
    files = files_listed(objects.get(digest))
    if files is None:
        raise LineageError(f"object {digest[:12]} is not the listing of a tree; restore the workspace from a backup")
    return Tree(files, {file.path: objects.get(file.sha256) for file in files})


def listed(objects: Objects, digest: str) -> tuple[TreeFile, ...]:
    """Return the files that a kept tree lists, none where its listing is missing or is none; reads no file of it."""
    try:
        return files_listed(objects.get(digest)) or ()
    except LineageError:
        return ()


def regular_files(folder: Path) -> Iterator[Path]:
    """Yield the regular files below a folder, sorted. :class:`BadInput` for a link, which could lead anywhere."""
    for path in sorted(folder.iterdir()):
        if path.is_symlink():
            raise BadInput(f"{path}: is a link, and a tree is kept as files; put the file or folder itself there")
        if path.is_dir():
            yield from regular_files(path)
        elif path.is_file():
            yield path


def files_listed(listing: bytes) -> tuple[TreeFile, ...] | None:
    """Return the files that the bytes of a listing name; None if they are none, in the one form that a listing has."""
    try:
        read = Tree(tuple(TreeFile(*each) for each in json.loads(listing)))
        is_one = read.listing() == listing and list(read.files) == sorted(read.files)
        paths = [PurePosixPath(file.path) for file in read.files]
        is_one &= all(
            is_digest(file.sha256) and str(path) == file.path and not path.is_absolute() and ".." not in path.parts
            for file, path in zip(read.files, paths, strict=True)
        )
    except (TypeError, ValueError, AttributeError):
        return None
    return read.files if is_one else None
