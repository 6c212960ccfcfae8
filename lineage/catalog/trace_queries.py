"""How influence is followed in the projection: the two recursive queries, and the nodes of what they find."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lineage.catalog.influence import in_order
from lineage.catalog.trace import Edge, Node, Trace
from lineage.plural import counted
from lineage.records import Role

if TYPE_CHECKING:
    import duckdb


REACHED = """
with recursive
    origin(node) as (
        select unnest(?::varchar[])
        union
        select shard.derived_from from origin join shard on shard.digest = origin.node
        where shard.derived_from is not null
    ),
    reached(node) as (
        select node from origin
        union
        select edge.target from reached join edge on edge.source = reached.node
    )
select edge.source, edge.target, edge.role, edge.source in (select node from origin)
from edge join reached on edge.source = reached.node
"""
"""The recursive query: every edge that influence takes from some shards, or from those they were cut from."""

_ABOVE = """
with recursive above(node) as (
    select unnest(?::varchar[])
    union
    select edge.source from above join edge on edge.target = above.node
)
select edge.source, edge.target, edge.role from edge join above on edge.target = above.node
"""


def trace_of(connection: "duckdb.DuckDBPyConnection", start: str, *, up: bool, down: bool) -> Trace | None:
    """Return the trace from ``start``, or None if nothing recorded has that name; see ``Catalog.trace``."""
    nodes, edges = _starts(connection, start)
    if not nodes:
        return None
    begun = [node.id for node in nodes]
    shards = sorted({edge.target for edge in edges} | {node.id for node in nodes if node.kind == "shard"})
    rows: set[tuple[str, str, str]] = set()
    if down:
        below = _ask(connection, REACHED, sorted({*shards, *begun}))
        rows |= {(source, target, role) for source, target, role, _ in below}
    if up:
        rows |= set(_ask(connection, _ABOVE, begun))
    edges = (*edges, *(Edge(*row) for row in rows))
    known = _nodes(connection, {*shards, *(end for edge in edges for end in (edge.source, edge.target))})
    known.update((node.id, node) for node in nodes)
    order = _readable(known, edges)
    place = {node: n for n, node in enumerate(order)}
    trace = Trace(
        start,
        tuple(known[node] for node in order),
        tuple(sorted(edges, key=lambda edge: (place[edge.source], place[edge.target], edge.role))),
    )
    return trace.ending_in({*begun, *(node.id for node in known.values() if node.state in ("live", "contained"))})


def _readable(known: dict[str, Node], edges: Sequence[Edge]) -> list[str]:
    """Return ids so that sources come before targets and, where that leaves a choice, in the order of their names."""
    by_name = sorted(known, key=lambda id_: (_KINDS.index(known[id_].kind), known[id_].name, id_))
    rank = {id_: f"{n:09d}" for n, id_ in enumerate(by_name)}
    order = in_order(rank.values(), [(rank[edge.source], rank[edge.target], Role.TRAIN) for edge in edges])
    return [by_name[int(number)] for number in order]


_KINDS = ("item", "subject", "shard", "component", "release")


def _starts(connection: "duckdb.DuckDBPyConnection", start: str) -> tuple[tuple[Node, ...], tuple[Edge, ...]]:
    """Return the nodes that ``start`` can mean, and the edges from items or a subject to the shards they are in."""
    named = """
        select digest from shard where digest = $1 or (name = $1 and (live or $2))
        union select digest from component where digest = $1 or (name = $1 and (live or $2))
        union select id from release where (id = $1 or name = $1) and (live or $2)
    """
    ids = _ask(connection, named, start, False) or _ask(connection, named, start, True)
    nodes = list(_nodes(connection, {node for (node,) in ids}).values())
    edges: dict[Edge, None] = {}
    for digest, key, shard in _ask(
        connection,
        "select digest, key, shard from item where digest = $1 or key = $1 order by digest, key, shard",
        start,
    ):
        if digest not in {node.id for node in nodes}:
            nodes.append(Node(digest, "item", key, "live", ""))
        edges[Edge(digest, shard, "in")] = None
    held = _ask(connection, "select shard, count(*) from item where subject = ? group by shard order by shard", start)
    if held:
        nodes.append(Node(start, "subject", start[:10], "live", counted(sum(n for _, n in held), "item")))
        edges.update((Edge(start, shard, "in"), None) for shard, _ in held)
    return tuple(nodes), tuple(edges)


def _nodes(connection: "duckdb.DuckDBPyConnection", ids: set[str]) -> dict[str, Node]:
    """Return the node of each id. One digest under several names is one node: a live name, the shortest, goes first."""
    wanted = sorted(ids)
    found = {digest: Node(digest, "component", digest[:10], "unrecorded", "") for digest in wanted}
    shards = """
        select digest, list(name order by live desc, length(name), name), bool_or(live), any_value(count), bool_or(core)
        from shard where digest in (select unnest(?::varchar[])) group by digest
    """
    for digest, names, live, count, core in _ask(connection, shards, wanted):
        detail = counted(count, "item") + (", core" if core else "")
        name, *also = dict.fromkeys(names)
        found[digest] = Node(digest, "shard", name, "live" if live else "withdrawn", detail, tuple(also))
    components = """
        select digest, list(name order by live desc, length(name), name), bool_or(live),
            string_agg(distinct kind, ', ' order by kind)
        from component where digest in (select unnest(?::varchar[])) group by digest
    """
    for digest, names, live, kind in _ask(connection, components, wanted):
        name, *also = dict.fromkeys(names)
        found[digest] = Node(digest, "component", name, "live" if live else "retired", kind, tuple(also))
    releases = "select id, live, contained, composition from release where id in (select unnest(?::varchar[]))"
    for id_, live, contained, composition in _ask(connection, releases, wanted):
        state: Any = "withdrawn" if not live else "contained" if contained else "live"
        found[id_] = Node(id_, "release", id_, state, f"composition {composition[:10]}")
    return found


def _ask(connection: "duckdb.DuckDBPyConnection", sql: str, *values: Any) -> list[Any]:
    return connection.execute(sql, list(values)).fetchall()
