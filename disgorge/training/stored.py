"""Items, tensors and models of a workspace, read in this process by digest and checked."""

import atexit
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from disgorge.method import Items, Model
from disgorge.training.assemble import put_together, spec_of
from disgorge.training.code.imported import make_importable
from disgorge.training.kernels import steer_this_process
from lineage.artifacts.files import copy_artifact, recorded_artifact
from lineage.artifacts.named import artifact_digests
from lineage.catalog.catalog import Catalog
from lineage.records import Composition
from lineage.shards.files import shard_items
from lineage.storage.components import lay_out, tree_of
from lineage.storage.tensors import read_tensors
from lineage.workspace import Workspace

if TYPE_CHECKING:
    from disgorge.method import Tensors


VIEW = "view-"
"""How the folders begin in which components lie that a process reads as folders."""


@dataclass(frozen=True, slots=True)
class Stored:
    """The inputs of jobs as a workspace stores them."""

    workspace: Workspace

    def items(self, shard: str) -> Items:
        """Return a shard's items, each item's bytes checked against its digest."""
        return read_items(self.workspace, shard)

    def tensors(self, component: str) -> "Tensors | Path":
        """Return a component's tensors, or a folder with copies of its files, their bytes checked.

        Such a folder lies among the objects, where a purge finds what it deletes, and goes when this process ends.
        """
        objects = self.workspace.objects
        if (files := tree_of(objects, component)) is None:
            return read_tensors(objects.checked(component))
        folder = Path(tempfile.mkdtemp(prefix=VIEW, dir=objects.folder))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        for _ in lay_out(objects, files, folder):
            continue
        return folder

    def artifact(self, artifact: str) -> Path:
        """Return a folder with copies of an artifact's files, checked, which is deleted when this process ends."""
        folder = Path(tempfile.mkdtemp(prefix="disgorge-artifact-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        copy_artifact(self.workspace, recorded_artifact(self.workspace, artifact), folder)
        return folder


def read_items(workspace: Workspace, shard: str, *, as_paths: bool = False) -> Items:
    """Return a shard's items by its digest, every item's bytes checked; whole files in place ``as_paths`` if asked."""
    digests, arrays = shard_items(workspace, shard, verify=True, as_paths=as_paths)
    return Items(tuple(digests), arrays)


def assemble(workspace: Workspace, composition: Composition, *, title: str | None = None) -> Model:
    """Return the model a composition describes, its components read from the object store and verified.

    It answers in this process, by the local code that it was made with.
    """
    with Catalog.of(workspace) as catalog:
        kinds = {component.digest: component.kind for component in catalog.components(live=False)}
        spec = spec_of(composition)
        artifacts = artifact_digests(catalog, spec.artifact_names, of=spec.release)
    steer_this_process()
    make_importable(workspace, composition)
    return put_together(Stored(workspace), composition, kinds, title=title, artifacts=tuple(artifacts.values()))
