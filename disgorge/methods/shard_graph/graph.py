"""Directed graphs over shard names, as model files describe them: which shard's data a node trains on. Pure.

Node i trains on N(i) = {i} and its out-neighbors; a removal in shard j reaches R(j) = {i : j in N(i)}.

>>> read_graph({"kind": "ring"}, ["a", "b", "c"], [])["a"]
('b',)
"""

from collections.abc import Collection, Iterable, Mapping

from disgorge.errors import BadModel
from lineage.records import Json

Graph = Mapping[str, tuple[str, ...]]
"""Each node's out-neighbors, sorted, the node itself left out. A neighbor that is no node has data but no adapter."""

KINDS: Mapping[str, frozenset[str]] = {
    "isolated": frozenset(),
    "ring": frozenset(),
    "regular": frozenset({"degree"}),
    "star": frozenset({"center"}),
    "bilevel": frozenset({"degree"}),
    "explicit": frozenset({"edges"}),
}
"""The kinds of graphs, and which keys a model file may give for each."""


def read_graph(value: Json, nodes: Collection[str], safe: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Return the graph over ``nodes`` that ``{"kind": ..., ...}`` describes; see :func:`build`."""
    if not isinstance(value, dict):
        raise _bad("", f"{value!r} is not a mapping; write for example {{kind: ring}}")
    kind = value.get("kind", "ring")
    if not isinstance(kind, str) or kind not in KINDS:
        raise _bad(".kind", f"{kind!r} is not one of {', '.join(KINDS)}")
    if extra := sorted(set(value) - {"kind"} - KINDS[kind]):
        raise _bad(f".{extra[0]}", f"a graph of kind {kind} takes no such key; remove it")
    degree = value.get("degree", 1)
    if not isinstance(degree, int) or isinstance(degree, bool) or degree < 1:
        raise _bad(".degree", f"{degree!r} is not a whole number from 1")
    edges = value.get("edges", {})
    if not isinstance(edges, dict) or not all(isinstance(ends, list | tuple) for ends in edges.values()):
        raise _bad(".edges", "must map a shard's name to a list of names of shards")
    for name, ends in edges.items():
        if not all(isinstance(end, str) for end in ends):
            raise _bad(f".edges.{name}", f"must be a list of names of shards, not {ends!r}")
    center = value.get("center")
    if center is not None and not isinstance(center, str):
        raise _bad(".center", f"{center!r} is not the name of a shard")
    return build(kind, nodes, degree=degree, center=center, edges=edges, safe=safe)


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
    if kind == "explicit":
        return _explicit(names, edges or {}, {*names, *safe})
    if kind == "star":
        center = center if center is not None else (names[0] if names else "")
        if names and center not in {*names, *safe}:
            raise _bad(".center", f"no shard {center!r} in this model; name one that is listed")
        return {name: () if name == center else (center,) for name in names}
    if kind == "bilevel":
        blocks = [names[start : start + degree + 1] for start in range(0, len(names), degree + 1)]
        return {name: tuple(other for other in block if other != name) for block in blocks for name in block}
    reach = {"isolated": 0, "ring": 1, "regular": degree}[kind]
    if kind == "regular" and names and reach >= len(names):
        raise _bad(".degree", f"{degree} neighbors, but each of {len(names)} shards has only {len(names) - 1} others")
    return {
        name: tuple(sorted({names[(place + step) % len(names)] for step in range(1, reach + 1)} - {name}))
        for place, name in enumerate(names)
    }


def _explicit(
    names: list[str], edges: Mapping[str, Collection[str]], readable: Collection[str]
) -> dict[str, tuple[str, ...]]:
    for name, neighbors in edges.items():
        if name not in names:
            raise _bad(".edges", f"no removable shard {name!r} in this model; list it under shards")
        if unknown := sorted(set(neighbors) - set(readable)):
            raise _bad(f".edges.{name}", f"no shard {unknown[0]!r} in this model; list it under shards")
    return {name: tuple(sorted(set(edges.get(name, ())) - {name})) for name in names}


def _bad(key: str, problem: str) -> BadModel:
    return BadModel(f"parameters.graph{key}: {problem}")


def restricted(graph: Graph, existing: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Return what is left of a graph when only ``existing`` shards have data: other nodes and edges are gone."""
    return {
        name: tuple(neighbor for neighbor in neighbors if neighbor in existing)
        for name, neighbors in graph.items()
        if name in existing
    }
