"""Checkpoints: what a training that was killed goes on from, a file a recipe in ``private/checkpoints``.

A job has no place to write to. It sends its state as bytes, like its result, and the process that gave the order keeps
them, with the signed attestation of the run so far in the first line: both appear together, or not at all, in place of
what was kept before. No fact names a checkpoint. It is deleted once the component is recorded, and by a purge of
anything that it names, as is whatever lies there and is none.

A checkpoint counts only where a key of this workspace signed it: for these very bytes, by this recipe, in this
workspace, unfinished. So weights that were put there, or were trained by another recipe, reach no training. Whether the
environment and the confinement are those of the run that would go on from it, its caller looks at.
"""

import hashlib
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from disgorge.attestation.provenance import Attestation
from disgorge.attestation.record import Run, attestation_for, workspace_id
from disgorge.attestation.standing import Refusal, open_attestation
from disgorge.attestation.workspace_key import key_of, trusted_keys
from disgorge.statement.signing import sign
from lineage.catalog.influence import first_named
from lineage.records import Component, Json, digest_of
from lineage.storage.objects import remove_asides, sync_folder, write_atomically
from lineage.workspace import Workspace

FOLDER = "checkpoints"


class Checkpoint(NamedTuple):
    """The state of a training, as safetensors, and what its attestation says."""

    data: bytes
    attested: Attestation

    @property
    def digest(self) -> str:
        """The SHA-256 of the state."""
        return self.attested.component


def keep_checkpoint(workspace: Workspace, unfinished: Component, run: Run, data: bytes) -> None:
    """Keep the state that a run has reached, in place of what an earlier one had.

    ``unfinished`` is the component to be, with the digest of ``data``. The caller holds the workspace lock. Raises
    :class:`~lineage.errors.LineageError` if it cannot be written; what was there before then stays.
    """
    attested = attestation_for(workspace, unfinished, run, unfinished=True)
    path = _folder(workspace) / attested.recipe_digest
    remove_asides(path.parent)
    write_atomically(path, sign(attested.statement(), key=key_of(workspace)) + data, mode=0o600)


def checkpoint_of(workspace: Workspace, recipe: dict[str, Json]) -> Checkpoint | None:
    """Return the checkpoint of a recipe, None if there is none; :class:`Refusal` says why what is there is none."""
    path = _folder(workspace) / digest_of(recipe)
    return _opened(workspace, path) if path.exists() else None


def delete_checkpoint(workspace: Workspace, recipe: dict[str, Json]) -> None:
    """Delete the checkpoint of a recipe, if there is one. The caller holds the workspace lock."""
    folder = _folder(workspace)
    remove_asides(folder)
    if (path := folder / digest_of(recipe)).exists():
        path.unlink()
        sync_folder(folder)


def checkpoints_naming(workspace: Workspace, digests: Collection[str]) -> list[Path]:
    """Return the files of checkpoints whose recipes name one of these, and of what lies there and is no checkpoint."""
    found = []
    for path in sorted(each for each in _folder(workspace).rglob("*") if not each.is_dir()):
        try:
            named = first_named(_opened(workspace, path).attested.recipe, digests)
        except Refusal:
            named = "what it is made from is unknown"
        found += [path] if named else []
    return found


def _opened(workspace: Workspace, path: Path) -> Checkpoint:
    """Return the checkpoint in a file, the name of which is the digest of its recipe."""
    try:
        head, newline, data = path.read_bytes().partition(b"\n")
    except OSError as problem:
        raise Refusal(f"it cannot be read ({problem.strerror})") from None
    made = open_attestation(head + newline, trusted_keys(workspace), unfinished=True)
    agrees: tuple[tuple[bool, str], ...] = (
        (made.workspace == workspace_id(workspace), "its attestation is of another workspace"),
        (made.recipe_digest == path.name, "its attestation is for another recipe"),
        (made.component == hashlib.sha256(data).hexdigest(), "its attestation is for other bytes"),
    )
    for holds, refusal in agrees:
        if not holds:
            raise Refusal(refusal)
    return Checkpoint(data, made)


def _folder(workspace: Workspace) -> Path:
    return workspace.private.folder / FOLDER
