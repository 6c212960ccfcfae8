"""The folder of one sandboxed job: its inputs, copied there by digest, and room for what it writes meanwhile.

Inputs are copied, never linked, and checked while they are. Where a job reads data, the folder lies inside the
workspace's own, so that what a killed execution leaves of it is found and goes with the next one. The cost is the room
of a copy of what a job reads while it runs.
"""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from disgorge.training.sandbox.staged import Staged
from lineage.artifacts.files import copy_artifact, recorded_artifact
from lineage.errors import UnknownRecord
from lineage.records import Json
from lineage.shards.files import shard_items
from lineage.storage.tree import Tree
from lineage.workspace import Workspace

_PREFIX = "apart-"


def stages_of(workspace: Workspace) -> list[Path]:
    """Return the folders of jobs there are, those in use and those that killed executions left."""
    return sorted(workspace.home.glob(f"{_PREFIX}*"))


def clear_stages(workspace: Workspace) -> None:
    """Delete what killed executions left. The caller holds the workspace lock."""
    for folder in stages_of(workspace):
        shutil.rmtree(folder, ignore_errors=True)


class Stage:
    """The folder of one job, which only this user may open: ``inputs`` is read inside, ``scratch`` is written."""

    def __init__(self, source: Workspace | None = None) -> None:
        """Make one in ``source``, or, for a job that is given no data, where temporary files are."""
        self.source = source
        place = source.home if source else None
        self._folder = tempfile.TemporaryDirectory(prefix=_PREFIX, dir=place, ignore_cleanup_errors=True)
        self.folder = Path(self._folder.name)
        self.inputs, self.scratch = self.folder / "in", self.folder / "tmp"
        self.inputs.mkdir()
        self.scratch.mkdir()

    def close(self) -> None:
        """Delete it."""
        self._folder.cleanup()

    def furnish(self, recipe: Mapping[str, Json], code: Tree | None = None) -> None:
        """Put local code there, and what a recipe, or a question about a composition, names by digest, in their order.

        What the workspace lacks is left out; the job then names it as missing, and an artifact is named here. Raises
        :class:`~lineage.errors.DigestMismatch` for what changed since it was stored.
        """
        staged = Staged(self.inputs)
        if code is not None:
            staged.write_code(code)
        if (source := self.source) is None:
            return
        for kind, digest in sorted(set(_named(recipe))):
            try:
                if kind == "shard":
                    staged.write_items(digest, *shard_items(source, digest, as_paths=True))
                elif kind == "artifact":
                    copy_artifact(source, recorded_artifact(source, digest), staged.artifact_folder(digest))
                    staged.seal_artifact(digest)
                else:
                    staged.write_stored(digest, source.objects)
            except UnknownRecord:
                if kind == "artifact":
                    raise  # its own words say which file is missing, and from where
                continue


def _named(recipe: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
    """Yield the kind and digest of everything that a recipe, or a question, reads."""
    yield from ((use["of"], use["digest"]) for use in recipe.get("uses", ()))
    if (question := recipe.get("question")) is not None:
        yield from (("component", member["component"]) for member in question["composition"]["members"])
        yield from (("artifact", digest) for digest in question.get("artifacts", ()))
