"""How a trace is made: what a name can mean, what influence leads to or comes from, and the nodes of what is found."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from lineage.catalog.influence import in_order
from lineage.catalog.selection import condition
from lineage.catalog.trace import Edge, Node, Trace
from lineage.ledger.state import Entry, State, cut_from, reachable
from lineage.plural import counted
from lineage.records import Artifact, Component, Role, Selector, Shard

if TYPE_CHECKING:
    import duckdb

Named = TypeVar("Named", Shard, Artifact, Component)


def trace_of(state: State, items: "duckdb.DuckDBPyConnection", start: str, *, up: bool, down: bool) -> Trace | None:
    """Return the trace from ``start``, or None if nothing recorded has that name; see ``Catalog.trace``."""
    nodes, edges = _starts(state, items, start)
    if not nodes:
        return None
    begun = {node.id for node in nodes}
    shards = {edge.target for edge in edges} | {node.id for node in nodes if node.kind == "shard"}
    below, above = defaultdict[str, list[Edge]](list), defaultdict[str, list[Edge]](list)
    for edge in _influence(state):
        below[edge.source].append(edge)
        above[edge.target].append(edge)
    if down:
        origins = cut_from((entry.record for entry in state.shards.values()), shards | begun)
        reached = reachable(origins, lambda node: [edge.target for edge in below[node]])
        edges += [edge for node in reached for edge in below[node]]
    if up:
        reached = reachable(begun, lambda node: [edge.source for edge in above[node]])
        edges += [edge for node in reached for edge in above[node]]
    known = _nodes(state, {*shards, *(end for edge in edges for end in (edge.source, edge.target))})
    known.update((node.id, node) for node in nodes)
    order = _readable(known, edges)
    place = {node: n for n, node in enumerate(order)}
    trace = Trace(
        start,
        tuple(known[node] for node in order),
        tuple(sorted(set(edges), key=lambda edge: (place[edge.source], place[edge.target], edge.role))),
    )
    return trace.ending_in({*begun, *(node.id for node in known.values() if node.state in ("live", "contained"))})


def _influence(state: State) -> Iterator[Edge]:
    """Yield every step that influence takes: into a component by its use, into a release as one of its members."""
    for target, uses in state.influences.items():
        yield from (Edge(use.digest, target, use.role.value) for use in uses)
    for release in (entry.record for entry in state.releases.values()):
        if composition := state.compositions.get(release.composition):
            yield from (Edge(member.component, release.id, "member") for member in composition.members)


def _readable(known: dict[str, Node], edges: Iterable[Edge]) -> list[str]:
    """Return ids so that sources come before targets and, where that leaves a choice, in the order of their names."""
    by_name = sorted(known, key=lambda id_: (_KINDS.index(known[id_].kind), known[id_].name, id_))
    rank = {id_: f"{n:09d}" for n, id_ in enumerate(by_name)}
    order = in_order(rank.values(), [(rank[edge.source], rank[edge.target], Role.TRAIN) for edge in edges])
    return [by_name[int(number)] for number in order]


_KINDS = ("item", "subject", "shard", "artifact", "component", "release")


def _starts(state: State, items: "duckdb.DuckDBPyConnection", start: str) -> tuple[list[Node], list[Edge]]:
    """Return the nodes that ``start`` can mean, and the edges from items or a subject to the shards they are in."""
    tables = (state.shards, state.artifacts, state.components)
    ids = [(key[1], start == key[1] or table[key].live) for table in tables for key in table if start in key]
    releases = [entry for entry in state.releases.values() if start in (entry.record.name, entry.record.id)]
    ids += [(entry.record.id, entry.live) for entry in releases]
    live = {id_ for id_, counts in ids if counts}
    nodes = list(_nodes(state, live or {id_ for id_, _ in ids}).values())
    edges: list[Edge] = []
    held = items.execute(
        """
        select digest, key, shard from item where digest = $1 or nfc_normalize(key) = nfc_normalize($1)
        order by digest, key, shard
        """,
        [start],
    ).fetchall()
    for digest, key, shard in held:
        if digest not in {node.id for node in nodes}:
            nodes.append(Node(digest, "item", key, "live", ""))
        edges.append(Edge(digest, shard, "in"))
    where, values = condition([Selector("subject", start)])
    of_subject = f"select i.shard, count(*) from item i where {where} group by i.shard order by i.shard"
    if counts := items.execute(of_subject, values).fetchall():
        nodes.append(Node(start, "subject", start[:10], "live", counted(sum(n for _, n in counts), "item")))
        edges += [Edge(start, shard, "in") for shard, _ in counts]
    return nodes, edges


def _nodes(state: State, ids: Iterable[str]) -> dict[str, Node]:
    """Return the node of each id. One digest under several names is one node: a live name, the shortest, goes first."""
    found = {digest: Node(digest, "component", digest[:10], "unrecorded", "") for digest in sorted(ids)}
    for digest, shards in _by_digest(state.shards, found).items():
        core = ", core" if any(entry.record.core for entry in shards) else ""
        detail = counted(shards[0].record.count, "item") + core
        name, *also = (entry.record.name for entry in shards)
        found[digest] = Node(digest, "shard", name, "live" if shards[0].live else "withdrawn", detail, tuple(also))
    for digest, artifacts in _by_digest(state.artifacts, found).items():
        detail = counted(artifacts[0].record.files, "file")
        name, *also = (entry.record.name for entry in artifacts)
        found[digest] = Node(
            digest, "artifact", name, "live" if artifacts[0].live else "withdrawn", detail, tuple(also)
        )
    for digest, components in _by_digest(state.components, found).items():
        kinds = ", ".join(sorted({entry.record.kind for entry in components}))
        name, *also = (entry.record.name for entry in components)
        found[digest] = Node(digest, "component", name, "live" if components[0].live else "retired", kinds, tuple(also))
    for entry in state.releases.values():
        if (id_ := entry.record.id) in found:
            how: Any = "withdrawn" if not entry.live else "contained" if entry.record.contained else "live"
            found[id_] = Node(id_, "release", id_, how, f"composition {entry.record.composition[:10]}")
    return found


def _by_digest(
    table: Mapping[tuple[str, str], Entry[Named]], digests: Collection[str]
) -> dict[str, list[Entry[Named]]]:
    """Return the entries of each of these digests, the one to name it by first."""
    found = defaultdict[str, list[Entry[Named]]](list)
    for (_, digest), entry in table.items():
        if digest in digests:
            found[digest].append(entry)
    for entries in found.values():
        entries.sort(key=lambda entry: (not entry.live, len(entry.record.name), entry.record.name))
    return found
