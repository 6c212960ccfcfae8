"""Bring your own training: record what a component learned from, whatever code trains it.

::

    uses = [("alice", "train"), ("bob", "select")]
    with recording(Workspace.open(), kind="classifier", name="digits", uses=uses) as component:
        component.save(train(...))

The uses are resolved before training starts, so a misspelt shard costs a second and not a night. The weights are stored
and the fact appended when the block ends; if it raises, or saves nothing, nothing is recorded.

What this cannot see: data the block reads and does not name. A component without a recipe can be traced and withdrawn,
but not trained again by this package.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from lineage.catalog.catalog import Catalog
from lineage.errors import BadInput, UnknownRecord
from lineage.ledger.fact_kinds import ComponentFact
from lineage.records import Component, Cost, Json, Role, Use
from lineage.storage.objects import save_tensors
from lineage.workspace import Workspace


@dataclass(slots=True)
class Recording:
    """A component being trained. ``component`` is what was recorded, once the block has ended."""

    name: str
    component: Component | None = None
    cost: Cost = field(default_factory=Cost)
    _weights: bytes | None = None

    def save(self, tensors: Mapping[str, Any]) -> None:
        """Take the component's tensors, by name: numpy arrays, or torch tensors. The last call counts.

        Raises :class:`~lineage.errors.BadInput` for no tensor, or one that safetensors cannot hold.
        """
        self._weights = save_tensors({name: _array(name, tensor) for name, tensor in tensors.items()})

    def count(self, *, examples: int = 0, steps: int = 0) -> None:
        """Add to the training cost, whose seconds are timed from the block's start to its end."""
        self.cost += Cost(examples=examples, steps=steps)

    @property
    def weights(self) -> bytes:
        """The safetensors bytes of the last save; :class:`~lineage.errors.BadInput` if there was none."""
        if self._weights is None:
            raise BadInput(
                f"component {self.name!r}: the block ended without save(tensors), so there is nothing to record"
            )
        return self._weights


@contextmanager
def recording(
    workspace: Workspace,
    *,
    kind: str,
    name: str,
    uses: Sequence[Use | tuple[str, str]],
    recipe: dict[str, Json] | None = None,
    timer: Callable[[], float] = time.perf_counter,
) -> Iterator[Recording]:
    """Record the component trained inside the block.

    ``uses`` are :class:`~lineage.records.Use` or pairs of what was used (a live shard's, artifact's or component's
    name, or any recorded digest, withdrawn ones too, so that what happened can be told) and its role. Raises
    :class:`~lineage.errors.UnknownRecord` for an unknown use, :class:`~lineage.errors.BadInput` for an empty
    name, no use at all, an unknown role, or a block that saved nothing.
    """
    if not name or not kind:
        raise BadInput("a component needs a name and a kind, and one of them is empty")
    if not uses:
        raise BadInput(
            f"component {name!r}: no uses; name all that shapes it (shards, artifacts, components), with its role"
        )
    with Catalog.of(workspace) as catalog:
        resolved = tuple(dict.fromkeys(_use(catalog, use) for use in uses))
    making, asked = Recording(name), dict(recipe or {})
    started = timer()
    yield making
    cost = making.cost + Cost(seconds=round(timer() - started, 6))
    digest = workspace.objects.put(making.weights)
    component = Component(digest, name, kind, resolved, asked, cost)
    workspace.ledger.record(ComponentFact(component))
    workspace.objects.put(making.weights)  # a purge may have come between, and found that no fact named them
    making.component = component


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


def _array(name: str, tensor: Any) -> Any:
    if not hasattr(tensor, "detach"):
        return tensor
    try:
        return tensor.detach().cpu().numpy()
    except TypeError as problem:  # torch.bfloat16, for one, has no numpy twin
        raise BadInput(f"tensor {name!r}: {problem}; convert it first, for example with .float()") from problem
