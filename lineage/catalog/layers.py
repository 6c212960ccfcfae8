"""A layered layout: which box goes into which column, in which row, and by which way an edge gets past columns. Pure.

An edge over several columns passes each one between the boxes, at a waypoint that takes a row of its own. Edges with
the same source share their waypoints, and so do edges into one release, so that a bundle is drawn as one line.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

from lineage.catalog.influence import in_order
from lineage.catalog.trace import Edge, Node, Trace
from lineage.records import Role

ROWS = 40
"""Boxes in one column; the rest is counted in a last box."""
_SWEEPS = 6  # passes that order columns by their neighbors; more change next to nothing


@dataclass(frozen=True, slots=True)
class Layout:
    """Boxes and waypoints by column, from the top, and the points each edge goes through, ends included."""

    nodes: dict[str, Node]
    columns: tuple[tuple[str, ...], ...]
    routes: dict[tuple[str, str], tuple[str, ...]]
    roles: dict[tuple[str, str], tuple[str, ...]]


def layered(trace: Trace, *, keep: Collection[str] = ()) -> Layout:
    """Return the layout of a trace; where a column is too long, the boxes of ``keep`` are folded last."""
    named = {node.id: node for node in trace.nodes}
    columns = _columns(trace)
    stands_for = _folded(columns, named, set(keep))
    roles: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    for edge in trace.edges:
        ends = stands_for.get(edge.source, edge.source), stands_for.get(edge.target, edge.target)
        if ends[0] != ends[1]:
            roles[ends][edge.role] = None
    column_of = {id_: number for number, column in enumerate(columns) for id_ in column}
    routes: dict[tuple[str, str], tuple[str, ...]] = {}
    for source, target in roles:
        shared = target if named[target].kind == "release" else source
        way = [f"{shared} passes column {n}" for n in range(column_of[source] + 1, column_of[target])]
        routes[source, target] = (source, *way, target)
        for point, number in zip(way, range(column_of[source] + 1, column_of[target]), strict=True):
            if column_of.setdefault(point, number) == number and point not in columns[number]:
                columns[number].append(point)
    ordered = _ordered(columns, list(routes.values()))
    return Layout(named, ordered, routes, {ends: tuple(found) for ends, found in roles.items()})


def _columns(trace: Trace) -> list[list[str]]:
    """Return ids by column: what comes first at the left, releases in a column of their own at the right."""
    kinds = {node.id: node.kind for node in trace.nodes}
    order = in_order(kinds, [(edge.source, edge.target, Role.TRAIN) for edge in trace.edges])
    place = {id_: number for number, id_ in enumerate(order)}
    # An id that nothing leads to starts at the left, components right of the data even so.
    depth = {id_: 1 if kinds[id_] == "component" else 0 for id_ in order}
    following: dict[str, list[Edge]] = defaultdict(list)
    for edge in trace.edges:
        if place[edge.source] < place[edge.target]:  # not so only on a circle
            following[edge.source].append(edge)
    for id_ in order:
        for edge in following[id_]:
            depth[edge.target] = max(depth[edge.target], depth[id_] + 1)
    last = max((depth[id_] + 1 for id_ in order if kinds[id_] != "release"), default=0)
    columns: dict[int, list[str]] = defaultdict(list)
    for id_ in order:
        columns[last if kinds[id_] == "release" else depth[id_]].append(id_)
    return [columns[number] for number in sorted(columns)]


def _folded(columns: list[list[str]], named: dict[str, Node], keep: set[str]) -> dict[str, str]:
    """Cut long columns, in place, and return which id now stands for which."""
    stands_for: dict[str, str] = {}
    for number, column in enumerate(columns):
        if len(column) > ROWS:
            kept = set(sorted(column, key=lambda id_: id_ not in keep)[: ROWS - 1])
            rest = [id_ for id_ in column if id_ not in kept]
            more = f"more in column {number}"
            named[more] = Node(more, named[rest[0]].kind, f"and {len(rest):,} more", "live", "")
            stands_for.update(dict.fromkeys(rest, more))
            columns[number] = [*(id_ for id_ in column if id_ in kept), more]
    return stands_for


def _ordered(columns: Sequence[Sequence[str]], routes: Sequence[Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    """Return the columns with each point near the middle of its neighbors (barycenters), so that few edges cross."""
    neighbors: dict[str, set[str]] = defaultdict(set)
    for route in routes:
        for before, after in pairwise(route):
            neighbors[before].add(after)
            neighbors[after].add(before)
    ordered = [list(column) for column in columns]
    height = {id_: row - len(column) / 2 for column in ordered for row, id_ in enumerate(column)}

    def middle(id_: str) -> float:
        around = sorted(neighbors[id_])
        return sum(height[other] for other in around) / len(around) if around else height[id_]

    for sweep in range(_SWEEPS):
        for column in ordered if sweep % 2 == 0 else reversed(ordered):
            column.sort(key=middle)
            height.update((id_, row - len(column) / 2) for row, id_ in enumerate(column))
    return tuple(map(tuple, ordered))
