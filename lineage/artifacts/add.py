"""Records an artifact: its tree is hashed, stored file by file or left in place, and one fact is appended.

Equal content is one artifact, and a name belongs to one artifact for good: what was trained is trained again by that
name's digest, whatever came since. What was withdrawn does not come back.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from lineage.activity import activity
from lineage.artifacts.files import pickled, tree_at
from lineage.errors import BadInput
from lineage.ledger.fact_kinds import ArtifactFact
from lineage.private_files import SOURCES, SourceFile, Sources
from lineage.records import Artifact
from lineage.shards.files import adding_alone
from lineage.storage.tree import Tree
from lineage.workspace import Workspace

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


@dataclass(frozen=True, slots=True)
class AddedArtifact:
    """An artifact, whether it is ``new``, and which of its files look like pickles."""

    artifact: Artifact
    new: bool
    pickles: tuple[str, ...]


@activity("hashing and storing an artifact")
def add_artifact(
    workspace: Workspace, name: str, path: Path, *, source: str, license: str, legal_basis: str, in_place: bool = False
) -> AddedArtifact:
    """Record a file or folder as an artifact, and store its files unless it stays ``in_place``.

    Raises :class:`~lineage.errors.BadInput` for links, for a name that another artifact has, for content that is
    recorded under another name or in other terms, and for what was withdrawn.
    """
    if not _NAME.fullmatch(name):
        raise BadInput(f"{name[:80]!r} is an invalid name; use letters, digits, dots, hyphens and underscores")
    path = path.absolute()
    home = workspace.home.resolve()
    if path.resolve().is_relative_to(home) or home.is_relative_to(path.resolve()):
        raise BadInput(f"{path}: the workspace keeps its own files there; give a folder beside it")
    tree = tree_at(path)
    size = sum(file.size for file in tree.files)
    artifact = Artifact(tree.digest, name, source, license, legal_basis, len(tree.files), size, in_place)
    with adding_alone(workspace):
        recorded = _recorded(workspace, artifact)
        _keep(workspace, path, tree, in_place=artifact.in_place)
        if not recorded:
            workspace.ledger.record(ArtifactFact(artifact))
            _keep(workspace, path, tree, in_place=artifact.in_place)  # a purge may have come between
    return AddedArtifact(artifact, not recorded, pickled(path, tree))


def _recorded(workspace: Workspace, artifact: Artifact) -> bool:
    """Whether this very artifact is recorded already; :class:`BadInput` where it cannot be recorded any more."""
    for (name, digest), entry in workspace.ledger.state().artifacts.items():
        if digest == artifact.digest and not entry.live:
            raise BadInput(
                f"artifact {name} was withdrawn, and this is the same content: it does not come back; add another one"
            )
        if name == artifact.name and digest != artifact.digest:
            raise BadInput(
                f"artifact {name} is recorded with other content ({digest[:12]}, this is {artifact.digest[:12]}), and "
                "a name belongs to one artifact; add this under another name"
            )
        if digest == artifact.digest and entry.record != artifact:
            differs = "under another name" if name != artifact.name else "in other terms"
            raise BadInput(
                f"this content is recorded {differs} already (`disgorge artifact show {name}`), and the same content "
                "is one artifact; use that"
            )
        if entry.record == artifact:
            return True
    return False


def _keep(workspace: Workspace, path: Path, tree: Tree, *, in_place: bool) -> None:
    """Store an artifact's files and listing, or its listing alone, and keep in private where it was added from."""
    for file in () if in_place else tree.files:
        workspace.objects.put_file(path if path.is_file() else path / file.path, expected=file.sha256)
    workspace.objects.put(tree.listing())
    names = ("",) if path.is_file() else (file.path for file in tree.files)
    files = tuple((name, file.size, file.sha256) for name, file in zip(names, tree.files, strict=True))
    SOURCES.write(workspace, Sources([SourceFile(path, files, None)]), tree.digest)
