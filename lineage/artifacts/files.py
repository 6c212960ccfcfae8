"""The files of an artifact: where they lie, whether they are what was recorded, and copies of them for a job.

A stored artifact is a tree of objects (:mod:`lineage.storage.tree`). One that lies in place has its listing stored, and
where it lies is kept in private, since a path may name a person. Whatever is read of either is checked against the
listing, whose SHA-256 is the artifact's digest: files that changed, that are missing or that came along are an error.
"""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from lineage.activity import activity
from lineage.errors import BadInput, DigestMismatch, LineageError, UnknownRecord
from lineage.private_files import SOURCES
from lineage.records import Artifact
from lineage.storage.objects import NO_LINK, PIECE, cached_sha256
from lineage.storage.tree import Tree, TreeFile, files_listed, listed, regular_files
from lineage.workspace import Workspace

_TORCH = frozenset((".pt", ".pth", ".ckpt", ".bin", ".tar"))
_PICKLED = frozenset((".pkl", ".pickle", ".joblib", ".dill"))


def tree_at(path: Path) -> Tree:
    """Return the tree of a file or folder, every file hashed; :class:`BadInput` for links, and for no file at all."""
    if path.is_symlink():
        raise BadInput(f"{path}: is a link, and an artifact is kept as files; give the file or folder itself")
    if not path.exists():
        raise BadInput(f"{path}: there is no such file or folder; correct the path")
    try:
        files = [(path.name, path)] if path.is_file() else [
            (file.relative_to(path).as_posix(), file) for file in regular_files(path)
        ]  # fmt: skip
        tree = Tree(tuple(sorted(TreeFile(name, file.stat().st_size, cached_sha256(file)) for name, file in files)))
    except OSError as problem:
        raise BadInput(f"{problem.filename or path}: cannot be read ({problem.strerror}); check it, then repeat") from (
            problem
        )
    if not tree.files:
        raise BadInput(f"{path}: holds no file; give the file or folder of what was trained elsewhere")
    return tree


def recorded_artifact(workspace: Workspace, digest: str) -> Artifact:
    """Return the artifact of that digest, withdrawn or not; :class:`UnknownRecord` if none was recorded."""
    for (_, recorded), entry in workspace.ledger.state().artifacts.items():
        if recorded == digest:
            return entry.record
    raise UnknownRecord(f"no artifact {digest[:12]} is recorded; `disgorge artifact list` shows those there are")


def files_of(workspace: Workspace, artifact: Artifact) -> tuple[TreeFile, ...]:
    """Return what an artifact lists; raises what reading its listing raises."""
    files = files_listed(workspace.objects.get(artifact.digest))
    if files is None:
        raise LineageError(f"object {artifact.digest[:12]} is not the listing of a tree; restore it from a backup")
    return files


def place_of(workspace: Workspace, digest: str) -> Path | None:
    """Return where an artifact was added from, None where that is not known here."""
    kept = SOURCES.read(workspace, digest)
    return kept.sources[-1].path if kept and kept.sources else None


def problem_with(workspace: Workspace, artifact: Artifact) -> str | None:
    """Return what is wrong with an artifact's files, None if they are what was recorded."""
    try:
        for file, path in located(workspace, artifact):
            if not path.is_file() or path.is_symlink():
                return f"artifact {artifact.name}: {file.path} is missing"
            if path.stat().st_size != file.size or cached_sha256(path) != file.sha256:
                return f"artifact {artifact.name}: {file.path} changed since it was added"
    except (LineageError, OSError) as problem:
        return str(problem)
    return None


def located(workspace: Workspace, artifact: Artifact) -> Sequence[tuple[TreeFile, Path]]:
    """Return each file of an artifact and where its bytes should lie.

    Raises :class:`DigestMismatch` for one in place that has a link, or other files than were added.
    """
    files = files_of(workspace, artifact)
    if not artifact.in_place:
        return [(file, workspace.objects.path(file.sha256)) for file in files]
    place = place_of(workspace, artifact.digest)
    restore = "put it back as it was, or record what it is now under another name"
    if place is None or not place.exists():
        where = f" at {place}" if place else ""
        raise UnknownRecord(f"artifact {artifact.name} is not there{where}: it lies in place and moved; {restore}")
    if place.is_symlink():
        raise DigestMismatch(f"artifact {artifact.name}: {place} is a link by now; {restore}")
    if place.is_file() and len(files) == 1:
        return [(files[0], place)]
    try:
        there = {path.relative_to(place).as_posix() for path in regular_files(place)}
    except (BadInput, OSError) as problem:
        raise DigestMismatch(f"artifact {artifact.name}: {problem}") from problem
    if other := sorted(there ^ {file.path for file in files}):
        raise DigestMismatch(f"artifact {artifact.name}: {place / other[0]} came or went since it was added; {restore}")
    return [(file, place / file.path) for file in files]


@activity("copying artifacts for a job")
def copy_artifact(workspace: Workspace, artifact: Artifact, folder: Path) -> list[Path]:
    """Write an artifact's files below a folder, checked while they are copied, and return where they are.

    Raises :class:`DigestMismatch` for files that are not what was recorded, :class:`UnknownRecord` for missing ones.
    """
    written = []
    for file, source in located(workspace, artifact):
        target = folder / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            changed = _copied(source, target) != file.sha256
        except FileNotFoundError:
            raise UnknownRecord(
                f"artifact {artifact.name}: {file.path} is missing; restore it from a copy, or add the artifact again"
            ) from None
        except OSError as problem:
            words = f"artifact {artifact.name}: {source}: cannot be copied ({problem.strerror}); make room or check it"
            raise LineageError(words) from problem
        if changed:
            raise DigestMismatch(
                f"artifact {artifact.name}: {file.path} changed since it was added; restore it from a copy"
            )
        written.append(target)
    return written


def _copied(source: Path, target: Path) -> str:
    """Copy a file's bytes over ``target`` and return their SHA-256, in hex; a link as ``source`` is an ``OSError``."""
    hashed = hashlib.sha256()
    descriptor = os.open(source, os.O_RDONLY | NO_LINK)
    with os.fdopen(descriptor, "rb") as read, target.open("wb") as written:
        while piece := read.read(PIECE):
            hashed.update(piece)
            written.write(piece)
    return hashed.hexdigest()


def pickled(path: Path, tree: Tree) -> tuple[str, ...]:
    """Return which files look like pickles, by name and first bytes: what a user's own code may run, and we never."""
    found = []
    for file in tree.files:
        where = path if path.is_file() else path / file.path
        kind = where.suffix.lower()
        with where.open("rb") as read:
            head = read.read(4)
        is_pickle = head[:1] == b"\x80" and head[1:2] in (b"\2", b"\3", b"\4", b"\5")
        if kind in _PICKLED or is_pickle or (kind in _TORCH and head == b"PK\3\4"):
            found.append(file.path)
    return tuple(found)


def objects_of(workspace: Workspace, artifact: Artifact) -> tuple[str, ...]:
    """Return the objects that a workspace keeps of an artifact, its files before the listing that names them."""
    files = () if artifact.in_place else listed(workspace.objects, artifact.digest)
    return (*dict.fromkeys(file.sha256 for file in files), artifact.digest)
