"""A trace: what learned from something, and what that learned from, as nodes and edges.

>>> trace = Trace("a1", (Node("a1", "shard", "alice", "live", "9 items"), Node("c1", "component", "head", "live", "")),
...     (Edge("a1", "c1", "train"),))
>>> trace.rows()
[('alice', 'shard', 'train', 'head', 'component', 'live')]
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from lineage.ledger.state import reachable

Kind = Literal["item", "subject", "shard", "artifact", "component", "release"]
State = Literal["live", "withdrawn", "retired", "contained", "unrecorded"]


@dataclass(frozen=True, slots=True)
class Node:
    """Something in a trace. ``id`` is a digest, a pseudonym, or a release's ``name@alias``.

    ``state`` is ``unrecorded`` for a digest that a component names as an input and no fact records. ``also`` are
    further names of the same bytes: of two models with a part in common, or of a model and its references.
    """

    id: str
    kind: Kind
    name: str
    state: State
    detail: str
    also: tuple[str, ...] = ()

    @property
    def short(self) -> str:
        """The first digits of the digest, as people read it; the whole id of a release."""
        return self.id if self.kind == "release" else self.id[:10]


@dataclass(frozen=True, slots=True)
class Edge:
    """One step of influence, by id; ``role`` is a use's role, ``in`` a shard, or ``member`` of a release."""

    source: str
    target: str
    role: str


@dataclass(frozen=True, slots=True)
class Trace:
    """Everything above or below ``start``, as asked; nodes and edges have sources before targets, then names."""

    start: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]

    def rows(self) -> list[tuple[str, str, str, str, str, str]]:
        """Return the table: from (name, kind), role, to (name, kind, state); one row an edge."""
        named = {node.id: node for node in self.nodes}
        return [
            (
                named[edge.source].name,
                named[edge.source].kind,
                edge.role,
                named[edge.target].name,
                named[edge.target].kind,
                named[edge.target].state,
            )
            for edge in self.edges
        ]

    def without(self, ids: Iterable[str]) -> "Trace":
        """Return the trace without some nodes and their edges."""
        gone = set(ids)
        return Trace(
            self.start,
            tuple(node for node in self.nodes if node.id not in gone),
            tuple(edge for edge in self.edges if edge.source not in gone and edge.target not in gone),
        )

    def ending_in(self, keep: Iterable[str]) -> "Trace":
        """Return the trace with only those nodes from which a node of ``keep`` can be reached, and these."""
        kept = reaching(set(keep), self.edges)
        return self.without(node.id for node in self.nodes if node.id not in kept)


def reaching(targets: set[str], edges: Sequence[Edge]) -> set[str]:
    """Return ``targets`` and every node from which one of them can be reached."""
    sources: dict[str, list[str]] = {}
    for edge in edges:
        sources.setdefault(edge.target, []).append(edge.source)
    return set(reachable(targets, lambda node: sources.get(node, ())))
