"""Who trains on whose shard: directed graphs over shard names. Pure.

Node i trains on N(i) = {i} and its out-neighbors; a removal in shard j reaches R(j) = {i : j in N(i)}.

>>> ring = build("ring", ["a", "b", "c"])
>>> ring["a"], sorted(reads(ring, "a"))
(('b',), ['a', 'b'])
"""

from collections.abc import Collection, Iterable, Mapping

Graph = Mapping[str, tuple[str, ...]]
"""Each node's out-neighbors, sorted, the node itself left out. A neighbor that is no node has data but no adapter."""

KINDS = ("isolated", "ring", "regular", "star", "bilevel", "explicit")


class BadGraph(Exception):  # noqa: N818 (the name says what is the matter)
    """A graph that cannot be built from these shards; the message names the key at fault."""


def build(
    kind: str,
    nodes: Iterable[str],
    *,
    degree: int = 1,
    center: str | None = None,
    edges: Mapping[str, Collection[str]] | None = None,
    safe: Collection[str] = (),
) -> dict[str, tuple[str, ...]]:
    """Return a graph over ``nodes`` in order of name, so that it is a function of the names alone.

    - ``isolated``: no edges, which is SISA;
    - ``ring``: each node reads the next;
    - ``regular``: each node reads the next ``degree`` ones;
    - ``star``: every other node reads ``center`` (by default the first), one unlikely to receive requests;
    - ``bilevel``: blocks of ``degree`` + 1 nodes that all read one another;
    - ``explicit``: ``edges`` says which.

    ``center`` and ``edges`` may point at shards in ``safe`` too: data every node may read that has no adapter.
    """
    names = sorted(set(nodes))
    if kind not in KINDS:
        raise BadGraph(f"kind: {kind!r} is not one of {', '.join(KINDS)}")
    if kind == "explicit":
        return _explicit(names, edges or {}, set(names) | set(safe))
    if kind == "star":
        center = center if center is not None else (names[0] if names else "")
        if names and center not in {*names, *safe}:
            raise BadGraph(f"center: no shard {center!r} in this model; name one that is listed")
        return {name: () if name == center else (center,) for name in names}
    if kind == "bilevel":
        blocks = [names[start : start + degree + 1] for start in range(0, len(names), degree + 1)]
        return {name: tuple(other for other in block if other != name) for block in blocks for name in block}
    reach = {"isolated": 0, "ring": 1, "regular": degree}[kind]
    if kind == "regular" and names and reach >= len(names):
        raise BadGraph(f"degree: {degree} neighbors, but each of {len(names)} shards has only {len(names) - 1} others")
    return {
        name: tuple(sorted({names[(place + step) % len(names)] for step in range(1, reach + 1)} - {name}))
        for place, name in enumerate(names)
    }


def _explicit(
    names: list[str], edges: Mapping[str, Collection[str]], readable: Collection[str]
) -> dict[str, tuple[str, ...]]:
    for name, neighbors in edges.items():
        if name not in names:
            raise BadGraph(f"edges: no removable shard {name!r} in this model; list it under shards")
        unknown = sorted(set(neighbors) - set(readable))
        if unknown:
            raise BadGraph(f"edges.{name}: no shard {unknown[0]!r} in this model; list it under shards")
    return {name: tuple(sorted(set(edges.get(name, ())) - {name})) for name in names}


def restricted(graph: Graph, existing: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Return what is left of a graph when only ``existing`` shards have data: other nodes and edges are gone."""
    return {
        name: tuple(neighbor for neighbor in neighbors if neighbor in existing)
        for name, neighbors in graph.items()
        if name in existing
    }


def reads(graph: Graph, node: str) -> frozenset[str]:
    """Return N(i): the shards that node ``node`` trains on."""
    return frozenset((node, *graph[node]))
