r"""What a component is stored as: an object of tensors, or a folder, a tree of objects by the digest of its listing.

A digest says by itself which of the two it is: the bytes of a listing are no safetensors. A folder is taken whole or
refused: regular files that everybody sees. A link, a pipe, a hidden file, compiled Python or a name that does not read
as it is written is an error, because nothing may come along that a person who looks would not see.

>>> refuse_name("adapter/weights.bin")
>>> refuse_name("../weights.bin")
Traceback (most recent call last):
lineage.errors.BadInput: '../weights.bin': is hidden, or reads otherwise than it is written; rename it, or leave it out
"""

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from lineage.errors import BadInput, LineageError
from lineage.storage.objects import PIECE, Objects
from lineage.storage.tensors import places_of, read_tensors
from lineage.storage.tree import Tree, TreeFile, files_listed

MOST_FILES = 100_000
"""Files that a component may have."""
_MOST_OF_A_LISTING = 64 << 20
_LONGEST = 255
"""Bytes of a name that every file system takes."""
_COMPILED = frozenset((".pyc", ".pyo"))


def tree_of(objects: Objects, digest: str) -> tuple[TreeFile, ...] | None:
    """Return the files of a component that is a folder; None for one of tensors.

    Raises what reading an object raises, and :class:`~lineage.errors.LineageError` for a listing that no folder has.
    """
    path = objects.path(digest)
    try:
        with path.open("rb") as file:
            is_listing = file.read(1) == b"[" and path.stat().st_size <= _MOST_OF_A_LISTING
    except FileNotFoundError:
        objects.get(digest)  # which says that there is none
        raise
    except OSError as problem:
        raise LineageError(f"{path}: cannot be read ({problem.strerror})") from problem
    if not is_listing:
        return None
    files = files_listed(objects.get(digest))
    try:
        refuse_names(file.path for file in files or ())
    except BadInput as problem:
        raise LineageError(f"{path}: is the listing of no component ({problem})") from problem
    return files


def files_of(objects: Objects, digest: str) -> tuple[TreeFile, ...]:
    """Return the files of a component that is a folder; none for tensors, or where it is not there or damaged."""
    try:
        return tree_of(objects, digest) or ()
    except LineageError:
        return ()


def require_whole(objects: Objects, digest: str) -> None:
    """Raise what reading an object raises unless a component, and every file of one that is a folder, is as stored."""
    for file in tree_of(objects, digest) or ():
        objects.checked(file.sha256)
    objects.checked(digest)


def is_whole(objects: Objects, digest: str) -> bool:
    """Whether a component is there, with every file of one that is a folder, and is what its digest says."""
    try:
        require_whole(objects, digest)
    except LineageError:
        return False
    return True


def is_there(objects: Objects, digest: str) -> bool:
    """Whether a component is there, with every file of one that is a folder; says nothing about their bytes."""
    return objects.exists(digest) and all(objects.exists(file.sha256) for file in files_of(objects, digest))


def size_of(objects: Objects, digest: str) -> int:
    """Return the bytes that a component takes on the disk, those of its files for a folder; 0 for what is not there."""
    sizes = [file.size for file in files_of(objects, digest)]
    path = objects.path(digest)
    return sum(sizes) + (path.stat().st_size if path.is_file() else 0)


def delete_component(objects: Objects, digest: str, *, keep: Iterable[str]) -> None:
    """Delete a component and the files that none of these other components, by digest, has."""
    going = {digest, *(file.sha256 for file in files_of(objects, digest))}
    for each in going.difference(*({other, *(f.sha256 for f in files_of(objects, other))} for other in keep)):
        objects.delete(each)


def keep_folder(objects: Objects, folder: Path) -> str:
    """Store the files of a folder, piece by piece, and return the digest of the tree; :class:`BadInput` as above."""
    return keep_listing(
        objects, [TreeFile(path, size, objects.put_file(folder / path)) for path, size in files_in(folder)]
    )


def keep_listing(objects: Objects, files: Iterable[TreeFile]) -> str:
    """Store the listing of files that are stored, and return the digest of the tree."""
    return objects.put(Tree(tuple(sorted(files))).listing())


def files_in(folder: Path) -> list[tuple[str, int]]:
    """Return the path, relative with ``/``, and size of each file of a folder, sorted; may raise :class:`BadInput`."""
    if folder.is_symlink() or not folder.is_dir():
        raise BadInput(f"{folder}: is not a folder; give the folder that holds the component's files")
    found = list(_files(folder, ""))
    refuse_names(path for path, _ in found)
    return sorted(found)


def refuse_names(paths: Iterable[str]) -> None:
    """Raise :class:`BadInput` unless these may be the paths of a component's files, in one folder."""
    seen = set[str]()
    for count, path in enumerate(paths, start=1):
        refuse_name(path)
        if path in seen or count > MOST_FILES:
            raise BadInput(f"{path!r}: is there twice, or one of more than {MOST_FILES:,} files; pack fewer")
        seen.add(path)
    if not seen:
        raise BadInput("a component is a folder with at least one file, and this one is empty; write its files there")
    for path in seen:
        if any(path[:place] in seen for place, character in enumerate(path) if character == "/"):
            raise BadInput(f"{path!r}: lies in what is a file as well; rename it")


def refuse_name(path: str) -> None:
    """Raise :class:`BadInput` unless a path within a component is one that everybody sees as it is written."""
    parts = path.split("/")
    if Path(path).suffix.lower() in _COMPILED or "__pycache__" in parts:
        raise BadInput(f"{path[:200]!r}: is compiled Python, which nobody can read; leave it out of the folder")
    if not all(map(_is_seen, parts)):
        raise BadInput(f"{path[:200]!r}: is hidden, or reads otherwise than it is written; rename it, or leave it out")


def lay_out(objects: Objects, files: Iterable[TreeFile], folder: Path) -> Iterator[Path]:
    """Write the files of a tree into a folder, each checked, and yield their paths; raises what reading raises."""
    for file in files:
        path = folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        copy_object(objects, file.sha256, path)
        yield path


def copy_object(objects: Objects, digest: str, path: Path) -> None:
    """Write an object to a file, piece by piece, checked; raises what reading raises."""
    with objects.checked(digest).open("rb") as source, path.open("xb") as file:
        while piece := source.read(PIECE):
            file.write(piece)


def copy_component(source: Objects, digest: str, target: Objects) -> None:
    """Store a component of one store in another, piece by piece, checked; raises what reading raises."""
    for each in (*(file.sha256 for file in tree_of(source, digest) or ()), digest):
        target.put_file(source.checked(each))


def tensors_in(objects: Objects, digest: str) -> dict[str, Any]:
    """Return the tensors of a component; of a folder those in its safetensors files, and the bytes of the others.

    Names are then those of file and tensor. What is large is read as it is needed.
    """
    import numpy as np

    files = tree_of(objects, digest)
    if files is None:
        return dict(read_tensors(objects.checked(digest)))
    found: dict[str, Any] = {}
    for file in files:
        path = objects.checked(file.sha256)
        if is_safetensors(path):
            found |= {f"{file.path}: {name}": tensor for name, tensor in read_tensors(path).items()}
        else:
            found[file.path] = np.memmap(path, np.uint8, "r") if file.size else np.zeros(0, np.uint8)
    return found


def is_safetensors(path: Path) -> bool:
    """Whether a file is one of tensors."""
    try:
        places_of(path)
    except (BadInput, OSError):
        return False
    return True


def _files(folder: Path, within: str) -> Iterator[tuple[str, int]]:
    for entry in sorted(os.scandir(folder), key=lambda each: each.name):
        path, kind = f"{within}{entry.name}", entry.stat(follow_symlinks=False)
        if stat.S_ISLNK(kind.st_mode):
            raise BadInput(f"{path!r}: is a link, which could lead anywhere; put the file itself there")
        if stat.S_ISDIR(kind.st_mode):
            yield from _files(Path(entry.path), f"{path}/")
        elif stat.S_ISREG(kind.st_mode):
            yield path, kind.st_size
        else:
            raise BadInput(f"{path!r}: is neither a file nor a folder; leave it out of the component's folder")


def _is_seen(part: str) -> bool:
    """Whether a name is shown by every listing as it is."""
    try:
        short = 0 < len(part.encode()) <= _LONGEST
    except UnicodeEncodeError:  # half a character, as file systems may hold
        return False
    return short and part.isprintable() and part == part.strip() and not part.startswith(".") and "\\" not in part
