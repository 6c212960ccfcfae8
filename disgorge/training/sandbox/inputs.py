"""A bare workspace with the inputs of jobs and nothing else, for processes that may see nothing else.

Inputs are copied, never linked: what a process may write to is no file of the workspace. Items are written anew, field
by field, so that nothing comes along that lay beside them in their file. The copies lie in a folder inside the
workspace's own, so that what a killed execution leaves of them is found and goes with the next one. The cost is the
room of a copy of what a job reads while it is re-executed.
"""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from lineage.records import Json
from lineage.shards.files import shard_items
from lineage.storage.content import write_content
from lineage.workspace import Workspace

WORKSPACE = "workspace"
"""What the bare workspace is called, in its folder."""
_PREFIX = "apart-"


def stages_of(workspace: Workspace) -> list[Path]:
    """Return the folders of stages there are, those in use and those that killed executions left."""
    return sorted(workspace.home.glob(f"{_PREFIX}*"))


def clear_stages(workspace: Workspace) -> None:
    """Delete what killed executions left. The caller holds the workspace lock."""
    for folder in stages_of(workspace):
        shutil.rmtree(folder, ignore_errors=True)


class Stage:
    """The bare workspace, in a folder of its own that only this user may open."""

    def __init__(self, source: Workspace) -> None:
        self.source = source
        self._folder = tempfile.TemporaryDirectory(prefix=_PREFIX, dir=source.home, ignore_cleanup_errors=True)
        self.folder = Path(self._folder.name)
        self.workspace = Workspace.init(self.folder / WORKSPACE)

    def close(self) -> None:
        """Delete it."""
        self._folder.cleanup()

    def furnish(self, recipe: Mapping[str, Json]) -> None:
        """Put there what a recipe, or questions about compositions, name by digest.

        What the source lacks is left out; the worker then names it as missing.
        """
        uses = [pair for question in recipe.get("questions", ()) for pair in _asked(question)]
        uses += [(use["of"], use["digest"]) for use in recipe.get("uses", ())]
        for kind, digest in uses:
            source, target = (_place(workspace, kind, digest) for workspace in (self.source, self.workspace))
            if source.is_file() and not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                if kind == "shard":
                    write_content(target, *shard_items(self.source, digest, verify=False))
                else:
                    shutil.copyfile(source, target)

    def take(self, digest: str) -> str:
        """Copy a result to the source's store, its bytes checked, and return its digest."""
        return self.source.objects.put(self.workspace.objects.get(digest))


def _asked(question: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
    yield from (("component", member["component"]) for member in question["composition"]["members"])
    yield from (("shard", digest) for digest in question["rows"])


def _place(workspace: Workspace, kind: str, digest: str) -> Path:
    return workspace.content_path(digest) if kind == "shard" else workspace.objects.path(digest)
