"""The catalog: what was trained on what, asked in SQL. Together with its projection the only SQL there is.

::

    with Catalog.of(ledger) as catalog:
        impact = catalog.impact([Selector("subject", ledger.pseudonym("Ada"))])

It answers as of one head of the ledger and never changes anything. A component is affected when a chain of uses, in any
role and through retired components too, leads to it from a shard that holds a withdrawn item, or from a shard that one
was cut from. Where two names share one digest, what shaped either shaped both: equal bytes cannot be told apart, so an
impact may report too much, never too little of what was recorded.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from types import TracebackType
from typing import TYPE_CHECKING, Any

import duckdb

from lineage.chain import Fact
from lineage.errors import BadInput, LineageError, UnknownRecord
from lineage.influence import in_order, paths_from
from lineage.projection import open_projection
from lineage.records import (
    SELECTABLE,
    Affected,
    Component,
    Composition,
    Impact,
    Release,
    ReleaseHit,
    Role,
    Selector,
    Shard,
    ShardChange,
    digest_of,
)
from lineage.state import component_of, composition_of, shard_of
from lineage.trace import Edge, Node, Trace

if TYPE_CHECKING:
    from lineage.ledger import Ledger

_NO_RECIPE = digest_of({})
_MATCHES = {
    "item": "i.digest",
    "key": "i.key",
    "subject": "i.subject",
    "source": "coalesce(i.source, s.source)",
    "license": "coalesce(i.license, s.license)",
}
"""What a selector compares; an item that names no source or license has its shard's."""

_REACHED = """
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


class Catalog:
    """Answers about one ledger, as of :attr:`lineage_head`. Close it, or use it in a ``with`` block."""

    def __init__(self, connection: duckdb.DuckDBPyConnection):
        self._connection = connection
        self.lineage_head: str = self._ask("select lineage_head from made")[0][0]
        """The digest of the last fact that changed lineage, "" if there is none."""

    @classmethod
    def of(cls, ledger: "Ledger") -> "Catalog":
        """Return the catalog of a ledger as it is now; see :func:`lineage.projection.open_projection` for errors."""
        return cls(open_projection(ledger))

    def close(self) -> None:
        """Let go of the projection."""
        self._connection.close()

    def __enter__(self) -> "Catalog":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # What was recorded -------------------------------------------------------------------------------------------

    def shards(self, *, live: bool = True) -> tuple[Shard, ...]:
        """Return the live shards, or all there ever were, in the order in which they were recorded."""
        return tuple(shard_of(json.loads(row)) for (row,) in self._records("shard", live))

    def shard(self, name_or_digest: str) -> Shard:
        """Return the live shard of that name, or any of that digest; :class:`~lineage.errors.UnknownRecord`."""
        return shard_of(json.loads(self._one("shard", name_or_digest)))

    def components(self, *, live: bool = True) -> tuple[Component, ...]:
        """Return the live components, or all there ever were, in the order in which they were recorded."""
        return tuple(component_of(json.loads(row)) for (row,) in self._records("component", live))

    def component(self, name_or_digest: str) -> Component:
        """Return the live component of that name, or any of that digest; :class:`~lineage.errors.UnknownRecord`."""
        return component_of(json.loads(self._one("component", name_or_digest)))

    def by_recipe(self, recipe_digest: str) -> Component | None:
        """Return the component with that recipe, a live one if there is, or None. An empty recipe names nothing."""
        if recipe_digest == _NO_RECIPE:
            return None
        rows = self._ask("select record from component where recipe = ? order by live desc, seq desc", recipe_digest)
        return component_of(json.loads(rows[0][0])) if rows else None

    def composition(self, digest: str) -> Composition:
        """Return the composition with that digest; :class:`~lineage.errors.UnknownRecord`."""
        rows = self._ask("select record from composition where digest = ?", digest)
        if not rows:
            raise UnknownRecord(f"no composition {digest} was recorded; `disgorge release list` shows those in use")
        return composition_of(json.loads(rows[0][0]))

    def releases(self, *, live: bool = True) -> tuple[Release, ...]:
        """Return the live releases, or the last under every name and alias, in the order of their facts."""
        rows = self._ask(
            "select name, alias, composition, contained from release where live or not ? order by seq", live
        )
        return tuple(Release(*row) for row in rows)

    def release(self, name: str, alias: str = "live") -> Release:
        """Return the live release under that name and alias; :class:`~lineage.errors.UnknownRecord`."""
        found = {(release.name, release.alias): release for release in self.releases()}
        if (name, alias) not in found:
            raise UnknownRecord(
                f"no release {name}@{alias}{_near(f'{name}@{alias}', [f'{n}@{a}' for n, a in found])}; "
                "`disgorge release list` shows those there are"
            )
        return found[name, alias]

    def history(self, name: str) -> tuple[Fact, ...]:
        """Return the facts about the shard, component or release of that name, oldest first."""
        rows = self._ask(
            "select seq, happened, kind, body, previous, digest from fact where subject = ? order by seq", name
        )
        return tuple(Fact(seq, at, kind, json.loads(body), prev, digest) for seq, at, kind, body, prev, digest in rows)

    # What a removal touches --------------------------------------------------------------------------------------

    def selected(self, selectors: Sequence[Selector]) -> dict[str, tuple[str, ...]]:
        """Return the item digests of the forget set, for every live shard that holds one, by shard digest.

        Selectors of one field are alternatives; different fields must all hold, of one and the same row. Then every
        row with the same bytes counts, in whatever live shard. One entry a row, sorted.
        """
        found: dict[str, list[str]] = {}
        self._select(selectors)
        for shard, digest in self._ask("select shard, digest from forget order by shard, digest"):
            found.setdefault(shard, []).append(digest)
        return {shard: tuple(digests) for shard, digests in found.items()}

    def impact(self, selectors: Sequence[Selector]) -> Impact:
        """Return what removing the selected items touches; nothing at all is an empty impact, not an error.

        ``items`` counts different digests, ``subjects`` different persons, ``duplicates`` rows that only their bytes
        selected. Paths are kept up to :data:`lineage.influence.PATHS_KEPT` a component. Raises
        :class:`~lineage.errors.LineageError` when a live release has a composition nobody recorded, because then
        nobody knows what is in it.
        """
        self._refuse_unknown_compositions()
        self._select(selectors)
        changes = self._changes()
        rows = self._ask(_REACHED, sorted({change.before.digest for change in changes}))
        steps = [(source, target, Role(role)) for source, target, role, _ in rows if role != "member"]
        reached = {target for _, target, _ in steps}
        origins = {source for source, _, _, origin in rows if origin}
        paths = paths_from(origins, steps)
        live = self.components()
        place = {digest: n for n, digest in enumerate(in_order(reached, steps))}
        hit = sorted((c for c in live if c.digest in reached), key=lambda c: (place[c.digest], c.name))
        hit_ids = {target for _, target, role, _ in rows if role == "member"}
        releases = tuple(
            ReleaseHit(release, self.composition(release.composition))
            for release in self.releases()
            if f"{release.name}@{release.alias}" in hit_ids
        )
        members = {(m.name, m.component) for found in releases for m in found.composition.members}
        items, subjects, duplicates = self._ask(
            "select count(distinct digest), count(distinct subject), count(*) filter (not direct) from forget"
        )[0]
        return Impact(
            lineage_head=self.lineage_head,
            shards=changes,
            affected=tuple(Affected(c, paths[c.digest]) for c in hit),
            retained=tuple(c for c in live if (c.name, c.digest) in members and c.digest not in reached),
            releases=releases,
            items=items,
            subjects=subjects,
            duplicates=duplicates,
        )

    # What learned from what --------------------------------------------------------------------------------------

    def trace(self, start: str, *, up: bool, down: bool) -> Trace:
        """Return what learned from ``start`` (down), what it learned from (up), or both.

        ``start`` is the digest or key of an item, a subject's pseudonym, the name or digest of a shard or component, or
        a release (``name`` or ``name@alias``); where it is several of these, all count. Downwards, what is retired or
        withdrawn is shown where something live came of it. Raises :class:`~lineage.errors.UnknownRecord`.
        """
        nodes, edges = self._starts(start)
        if not nodes:
            raise UnknownRecord(f"nothing named {start!r} is recorded{_near(start, self._names())}")
        begun = [node.id for node in nodes]
        shards = sorted({edge.target for edge in edges} | {node.id for node in nodes if node.kind == "shard"})
        rows: set[tuple[str, str, str]] = set()
        if down:
            below = self._ask(_REACHED, sorted({*shards, *begun}))
            rows |= {(source, target, role) for source, target, role, _ in below}
        if up:
            rows |= set(self._ask(_ABOVE, begun))
        edges = (*edges, *(Edge(*row) for row in rows))
        known = self._nodes({*shards, *(end for edge in edges for end in (edge.source, edge.target))})
        known.update((node.id, node) for node in nodes)
        order = in_order(known, [(edge.source, edge.target, Role.TRAIN) for edge in edges])
        place = {node: n for n, node in enumerate(order)}
        trace = Trace(
            start,
            tuple(known[node] for node in order),
            tuple(sorted(edges, key=lambda edge: (place[edge.source], place[edge.target], edge.role))),
        )
        return trace.ending_in({*begun, *(node.id for node in known.values() if node.state in ("live", "contained"))})

    # How it is asked ---------------------------------------------------------------------------------------------

    def _ask(self, sql: str, *values: Any) -> list[Any]:
        return self._connection.execute(sql, list(values)).fetchall()

    def _records(self, table: str, live: bool) -> list[Any]:
        return self._ask(f"select record from {table} where live or not ? order by seq", live)

    def _one(self, table: str, named: str) -> str:
        rows = self._ask(
            f"""
            select record from {table} where digest = $1 or (name = $1 and live)
            order by live desc, seq desc limit 1
            """,
            named,
        )
        if rows:
            return str(rows[0][0])
        if self._ask(f"select 1 from {table} where name = ?", named):
            gone = "withdrawn" if table == "shard" else "retired"
            raise UnknownRecord(f"{table} {named!r} was {gone}; give its digest to speak of what it was")
        names = [name for (name,) in self._ask(f"select distinct name from {table} where live")]
        raise UnknownRecord(f"no {table} {named!r} is recorded{_near(named, names)}")

    def _names(self) -> list[str]:
        rows = self._ask("select name from shard union select name from component union select id from release")
        return [name for (name,) in rows]

    def _select(self, selectors: Sequence[Selector]) -> None:
        """Put the forget set into the temporary table ``forget``, one row for every row of a live shard."""
        if not selectors:
            raise BadInput(f"nothing selected: give at least one of {', '.join(SELECTABLE)}")
        conditions, values = [], []
        for field in SELECTABLE:
            wanted = [selector.value for selector in selectors if selector.field == field]
            if not wanted:
                continue
            if field == "shard":
                conditions.append(
                    "(s.name in (select unnest(?::varchar[])) or s.digest in (select unnest(?::varchar[])))"
                )
                values.append(wanted)
            else:
                conditions.append(f"{_MATCHES[field]} in (select unnest(?::varchar[]))")
            values.append(wanted)
        unknown = sorted({selector.field for selector in selectors} - set(SELECTABLE))
        if unknown:
            raise BadInput(f"no field {unknown[0]!r} to select by; use one of {', '.join(SELECTABLE)}")
        self._ask(
            f"""
            create or replace temp table forget as
            with direct as (
                select distinct i.rowid as row, i.digest
                from item i join shard s on s.digest = i.shard and s.live where {" and ".join(conditions)}
            )
            select shard, digest, subject, rowid in (select row from direct) as direct
            from item where digest in (select digest from direct)
            """,
            *values,
        )

    def _changes(self) -> tuple[ShardChange, ...]:
        """Return what becomes of every live shard that holds a row of ``forget``."""
        rows = self._ask(
            """
            with left_over as (
                select shard, count(*) as n, sha256(unhex(string_agg(digest, '' order by digest))) as digest
                from item
                where shard in (select shard from forget) and digest not in (select digest from forget)
                group by shard
            )
            select s.record, count(*), any_value(left_over.n), any_value(left_over.digest)
            from shard s join forget on forget.shard = s.digest left join left_over on left_over.shard = s.digest
            where s.live group by s.seq, s.record order by s.seq
            """
        )
        changes = []
        for record, removed, left, digest in rows:
            before = shard_of(json.loads(record))
            after = replace(before, digest=digest, count=left, derived_from=before.digest, dvc=None) if left else None
            changes.append(ShardChange(before, after, removed))
        return tuple(changes)

    def _refuse_unknown_compositions(self) -> None:
        rows = self._ask(
            "select id, composition from release where live and composition not in (select digest from composition)"
        )
        if rows:
            raise LineageError(
                f"release {rows[0][0]} has a composition nobody recorded ({rows[0][1]}), so its parts are not known; "
                "record the composition, or withdraw the release"
            )

    def _starts(self, start: str) -> tuple[tuple[Node, ...], tuple[Edge, ...]]:
        """Return the nodes that ``start`` can mean, and the edges from items or a subject to the shards they are in."""
        ids = self._ask(
            """
            select digest from shard where digest = $1 or name = $1
            union select digest from component where digest = $1 or name = $1
            union select id from release where id = $1 or name = $1
            """,
            start,
        )
        nodes = list(self._nodes({node for (node,) in ids}).values())
        edges: dict[Edge, None] = {}
        for digest, key, shard in self._ask(
            "select digest, key, shard from item where digest = $1 or key = $1 order by digest, key, shard", start
        ):
            if digest not in {node.id for node in nodes}:
                nodes.append(Node(digest, "item", key, "live", ""))
            edges[Edge(digest, shard, "in")] = None
        held = self._ask("select shard, count(*) from item where subject = ? group by shard order by shard", start)
        if held:
            nodes.append(Node(start, "subject", start[:10], "live", _counted(sum(n for _, n in held), "item")))
            edges.update((Edge(start, shard, "in"), None) for shard, _ in held)
        return tuple(nodes), tuple(edges)

    def _nodes(self, ids: set[str]) -> dict[str, Node]:
        """Return the node of each id. One digest under several names is one node that shows them all."""
        wanted = sorted(ids)
        found = {digest: Node(digest, "component", digest[:10], "unrecorded", "") for digest in wanted}
        shards = """
            select digest, string_agg(distinct name, ', ' order by name), bool_or(live), any_value(count), bool_or(core)
            from shard where digest in (select unnest(?::varchar[])) group by digest
        """
        for digest, name, live, count, core in self._ask(shards, wanted):
            detail = _counted(count, "item") + (", core" if core else "")
            found[digest] = Node(digest, "shard", name, "live" if live else "withdrawn", detail)
        components = """
            select digest, string_agg(distinct name, ', ' order by name), bool_or(live),
                string_agg(distinct kind, ', ' order by kind)
            from component where digest in (select unnest(?::varchar[])) group by digest
        """
        for digest, name, live, kind in self._ask(components, wanted):
            found[digest] = Node(digest, "component", name, "live" if live else "retired", kind)
        releases = "select id, live, contained, composition from release where id in (select unnest(?::varchar[]))"
        for id_, live, contained, composition in self._ask(releases, wanted):
            state: Any = "withdrawn" if not live else "contained" if contained else "live"
            found[id_] = Node(id_, "release", id_, state, f"composition {composition[:10]}")
        return found


def _near(named: str, names: Sequence[str]) -> str:
    close = get_close_matches(named, names, n=3)
    return f"; did you mean {' or '.join(repr(name) for name in close)}?" if close else ""


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
