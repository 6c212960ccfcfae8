"""How influence spreads over a graph of digests: in which order, and along which paths. Pure.

Honest lineage has no cycles, because a digest cannot name what came after it. But two names may share one digest, and
anything may be recorded, so all functions end on cycles too.
"""

import heapq
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from lineage.errors import UnknownRecord
from lineage.ledger.state import influences_of, reachable
from lineage.records import Component, Composition, Json, Path, Role, canonical

Edge = tuple[str, str, Role]
"""(source, target, role)."""

PATHS_KEPT = 1000
"""Paths kept for one component, the shortest first: dense graphs have exponentially many."""
PATHS_IN_ALL = 20_000
"""Paths kept for all components together, in equal shares: what takes a fraction of a second."""

_Steps = tuple[tuple[str, ...], tuple[Role, ...]]


def in_order(nodes: Iterable[str], edges: Iterable[Edge]) -> list[str]:
    """Return ``nodes`` so that what an edge leads from comes before what it leads to; ties by digest.

    Where edges run in a circle, the smallest digest left goes first.

    >>> in_order(["c", "b", "a"], [("b", "a", Role.TRAIN)])
    ['b', 'a', 'c']
    """
    waiting = dict.fromkeys(sorted(nodes), 0)
    targets: dict[str, set[str]] = defaultdict(set)
    for source, target, _ in edges:
        if source in waiting and target in waiting and source != target and target not in targets[source]:
            targets[source].add(target)
            waiting[target] += 1
    ready = [node for node, inputs in waiting.items() if inputs == 0]
    order: list[str] = []
    while waiting:
        node = heapq.heappop(ready) if ready else next(iter(waiting))
        del waiting[node]
        order.append(node)
        for target in targets[node]:
            if target in waiting:
                waiting[target] -= 1
                if waiting[target] == 0:
                    heapq.heappush(ready, target)
    return order


def paths_from(starts: Iterable[str], edges: Sequence[Edge], *, keep: int = PATHS_KEPT) -> dict[str, tuple[Path, ...]]:
    """Return, for each node reached, the paths without repeats that lead there from ``starts``.

    At most ``keep`` a node, and fewer where many nodes share :data:`PATHS_IN_ALL`: the shortest first, then in digest
    order. Every node reached has at least one.
    """
    following: dict[str, list[tuple[str, Role]]] = defaultdict(list)
    for source, target, role in sorted(set(edges)):
        following[source].append((target, role))
    keep = max(1, min(keep, PATHS_IN_ALL // max(1, len({target for _, target, _ in edges}))))
    found: dict[str, list[_Steps]] = defaultdict(list)
    frontier: list[_Steps] = [((start,), ()) for start in sorted(set(starts))]
    while frontier:
        longer: list[_Steps] = []
        for nodes, roles in frontier:
            for target, role in following[nodes[-1]]:
                if len(found[target]) < keep and target not in nodes:
                    step = ((*nodes, target), (*roles, role))
                    found[target].append(step)
                    longer.append(step)
        frontier = longer
    return {node: tuple(Path(*steps) for steps in paths) for node, paths in found.items() if paths}


def influences(components: Iterable[Component], known: Mapping[str, Sequence[Component]]) -> frozenset[str]:
    """Return the digests of every shard and component that shaped these, through any role and any number of steps.

    ``known`` maps a digest to every component recorded under it: two names may share bytes, and then the uses of both
    count.
    """

    def sources(components: Iterable[Component]) -> Iterator[str]:
        return (use.digest for component in components for use in influences_of(component))

    return frozenset(reachable(sources(components), lambda digest: sources(known.get(digest, ()))))


def by_digest(components: Iterable[Component]) -> dict[str, list[Component]]:
    """Return components by digest; two names may share one."""
    known: dict[str, list[Component]] = defaultdict(list)
    for component in components:
        known[component.digest].append(component)
    return known


def members_of(composition: Composition, known: Mapping[str, Sequence[Component]]) -> tuple[Component, ...]:
    """Return a composition's members as they were recorded, in its order; :class:`UnknownRecord` if one was not."""
    found = []
    for member in composition.members:
        recorded = known.get(member.component)
        if not recorded:
            raise UnknownRecord(
                f"{member.name} ({member.component}) is part of a composition and was never recorded, so what it "
                f"learned from is unknown; record it with its uses, or withdraw the release"
            )
        own = (component for component in recorded if component.name == member.name)
        found.append(next(own, replace(recorded[0], name=member.name)))
    return tuple(found)


def first_named(recipe: Json, withdrawn: Collection[str]) -> str | None:
    """Return the first of these digests that stands anywhere in a recipe: among uses, in a parameter, in a key.

    >>> first_named({"parameters": {"ancestor": "AB" * 32}}, ["ab" * 32]) == "ab" * 32
    True
    """
    text = canonical(recipe).lower()
    return next((digest for digest in sorted(withdrawn) if digest.encode() in text), None)
