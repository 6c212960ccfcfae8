"""Bring your own training: record what a component learned from, whatever code trains it.

::

    uses = [("alice", "train"), ("bob", "select")]
    with recording(Workspace.open(), kind="classifier", name="digits", uses=uses) as component:
        component.save(train(...))

With ``recipe`` a component can be trained again: what `disgorge.api.training.function` returns names the function of
yours that does.

A component of files of any format is saved with ``component.save_files(folder)``. The uses are resolved before training
starts, so a misspelt shard costs a second and not a night. The weights are stored and the fact appended when the block
ends; if it raises, or saves nothing, nothing is recorded.

What this cannot see: data the block reads and does not name. A component without a recipe can be traced and withdrawn,
but not trained again by this package.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from lineage.catalog.catalog import Catalog
from lineage.errors import BadInput, UnknownRecord
from lineage.ledger.fact_kinds import ComponentFact
from lineage.records import Component, Cost, Json, Role, Use
from lineage.storage.components import files_in, keep_listing
from lineage.storage.objects import Incoming, Objects
from lineage.storage.tensors import write_tensors
from lineage.storage.tree import TreeFile
from lineage.workspace import Workspace


@dataclass(slots=True)
class Recording:
    """A component being trained. ``component`` is what was recorded, once the block has ended."""

    name: str
    component: Component | None = None
    cost: Cost = field(default_factory=Cost)
    _objects: Objects = field(kw_only=True, repr=False)
    _saved: dict[str, Incoming] = field(default_factory=dict, repr=False)
    _files: bool = False

    def save(self, tensors: Mapping[str, Any]) -> None:
        """Take the component's tensors, by name: numpy arrays, or torch tensors. The last call counts.

        Raises :class:`~lineage.errors.BadInput` for no tensor, or one that safetensors cannot hold.
        """
        self.discard()
        self._files = False
        self._saved[""] = Incoming(self._objects)
        self._saved[""].fill(partial(write_tensors, tensors=tensors))

    def save_files(self, folder: str | Path) -> None:
        """Take the files of a folder, as they are now, as the component. The last call counts.

        Raises :class:`~lineage.errors.BadInput` for a folder without files, and for what no component may have: links,
        hidden files, compiled Python (:mod:`lineage.storage.components`).
        """
        files = files_in(Path(folder))
        self.discard()
        self._files = True
        for path, _ in files:
            self._saved[path] = Incoming(self._objects)
            self._saved[path].copy(Path(folder, path))

    def count(self, *, examples: int = 0, steps: int = 0) -> None:
        """Add to the training cost, whose seconds are timed from the block's start to its end."""
        self.cost += Cost(examples=examples, steps=steps)

    def keep(self) -> tuple[str, bool]:
        """Store the last save; return its digest and whether it is a folder. Raises as below if there was none."""
        if not self._saved:
            raise BadInput(
                f"component {self.name!r}: the block ended without save(tensors) or save_files(folder), so there is "
                "nothing to record"
            )
        if not self._files:
            return self._saved[""].keep(), False
        stored = [TreeFile(path, each.size, each.keep()) for path, each in self._saved.items()]
        return keep_listing(self._objects, stored), True

    def discard(self) -> None:
        """Let go of what was saved and is not recorded."""
        for each in self._saved.values():
            each.discard()
        self._saved.clear()


@contextmanager
def recording(
    workspace: Workspace,
    *,
    kind: str = "",
    name: str,
    uses: Sequence[Use | tuple[str, str]],
    recipe: dict[str, Json] | Callable[[Workspace, tuple[Use, ...]], dict[str, Json]] | None = None,
    timer: Callable[[], float] = time.perf_counter,
) -> Iterator[Recording]:
    """Record the component trained inside the block.

    ``uses`` are :class:`~lineage.records.Use` or pairs of what was used (a live shard's, artifact's or component's
    name, or any recorded digest, withdrawn ones too, so that what happened can be told) and its role. ``recipe`` is
    what makes the component, or returns that before the block begins, by what is used; ``kind`` is the recipe's by
    default. Raises :class:`~lineage.errors.UnknownRecord` for an unknown use, :class:`~lineage.errors.BadInput` for an
    empty name, no use at all, an unknown role, a kind that the recipe does not make, or a block that saved nothing.
    """
    if not name or not (kind or recipe):
        raise BadInput("a component needs a name and a kind, and one of them is empty")
    if not uses:
        raise BadInput(
            f"component {name!r}: no uses; name all that shapes it (shards, artifacts, components), with its role"
        )
    with Catalog.of(workspace) as catalog:
        resolved = tuple(dict.fromkeys(_use(catalog, use) for use in uses))
    making = Recording(name, _objects=workspace.objects)
    asked = recipe(workspace, resolved) if callable(recipe) else dict(recipe or {})
    made = asked.get("kind", kind)
    if made != (kind or made) or not made:
        raise BadInput(f"component {name!r}: kind is {kind!r}, and its recipe makes {made!r}; leave kind out")
    started = timer()
    try:
        yield making
        cost = making.cost + Cost(seconds=round(timer() - started, 6))
        digest, files = making.keep()
        component = Component(digest, name, made, resolved, asked, cost, files=files)
        workspace.ledger.record(ComponentFact(component))
        making.keep()  # a purge may have come between, and found that no fact named them
        making.component = component
    finally:
        making.discard()


def _use(catalog: Catalog, use: Use | tuple[str, str]) -> Use:
    named, role_name = (use.digest, use.role) if isinstance(use, Use) else use
    try:
        role = Role(role_name)
    except ValueError:
        raise BadInput(f"unknown role {role_name!r}; use one of {', '.join(Role)}") from None
    unknown = []
    for look_up in (catalog.shard, catalog.component, catalog.artifact):
        try:
            return Use(look_up(named).digest, role)
        except UnknownRecord as none:
            unknown.append(str(none))
    raise UnknownRecord("; and ".join(unknown[:2])) from None
