"""The catalog: what was trained on what, asked in SQL, with the help of its projection, forget_set.py and tracing.py.

::

    with Catalog.of(ledger) as catalog:
        impact = catalog.impact([Selector("subject", ledger.pseudonym("Ada"))])

It answers as of one head of the ledger and never changes anything. A component is affected when a chain of uses, in any
role and through retired components too, leads to it from a shard that holds a withdrawn item, or from a shard that one
was cut from. Where two names share one digest, what shaped either shaped both: equal bytes cannot be told apart, so an
impact may report too much, never too little of what was recorded.
"""

import json
from collections.abc import Collection, Sequence
from difflib import get_close_matches
from types import TracebackType
from typing import TYPE_CHECKING, Any

from lineage.catalog.digest_prefix import whole
from lineage.catalog.forget_set import ForgetSet
from lineage.catalog.influence import in_order, paths_from
from lineage.catalog.projection import open_projection
from lineage.catalog.trace import Trace
from lineage.catalog.trace_queries import REACHED, trace_of
from lineage.errors import LineageError, UnknownRecord
from lineage.ledger.chain import Fact
from lineage.records import (
    Affected,
    Component,
    Composition,
    Impact,
    Release,
    ReleaseHit,
    Role,
    Selector,
    Shard,
    is_unicode,
    restore_json,
)
from lineage.workspace import Workspace

if TYPE_CHECKING:
    import duckdb


class Catalog:
    """Answers about one ledger, as of :attr:`lineage_head`. Close it, or use it in a ``with`` block."""

    def __init__(self, connection: "duckdb.DuckDBPyConnection"):
        self._connection = connection
        self.lineage_head: str = self._ask("select lineage_head from made")[0][0]
        """The digest of the last fact that changed lineage, "" if there is none."""

    @classmethod
    def of(cls, workspace: Workspace) -> "Catalog":
        """Return the catalog of a ledger as it is now; errors as of :func:`.open_projection`."""
        return cls(open_projection(workspace))

    @classmethod
    def anew(cls, workspace: Workspace) -> "Catalog":
        """Return the catalog of a ledger with every live manifest hashed again: for what must not be answered wrongly.

        A manifest that changed since this process loaded it stops the question.
        """
        return cls(open_projection(workspace, anew=True))

    def close(self) -> None:
        """Let go of the snapshot."""
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
        return tuple(restore_json(Shard, row) for (row,) in self._records("shard", live))

    def shard(self, name_or_digest: str) -> Shard:
        """Return the live shard of that name, or any of that digest; :class:`~lineage.errors.UnknownRecord`."""
        return restore_json(Shard, self._one("shard", name_or_digest))

    def components(self, *, live: bool = True) -> tuple[Component, ...]:
        """Return the live components, or all there ever were, in the order in which they were recorded."""
        return tuple(restore_json(Component, row) for (row,) in self._records("component", live))

    def component(self, name_or_digest: str) -> Component:
        """Return the live component of that name, or any of that digest; :class:`~lineage.errors.UnknownRecord`."""
        return restore_json(Component, self._one("component", name_or_digest))

    def composition(self, digest: str) -> Composition:
        """Return the composition with that digest; :class:`~lineage.errors.UnknownRecord`."""
        rows = self._ask("select record from composition where digest = ?", digest)
        if not rows:
            raise UnknownRecord(f"no composition {digest} was recorded; `disgorge release list` shows those in use")
        return restore_json(Composition, rows[0][0])

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
            if any((release.name, release.alias) == (name, alias) for release in self.releases(live=False)):
                raise UnknownRecord(f"release {name}@{alias} was withdrawn; `disgorge release list --all` shows it")
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

    def without_subject(self) -> dict[str, int]:
        """Return how many items of each live shard name no person, by the shard's name, where there are any."""
        return dict(
            self._ask(
                """
                select s.name, count(*) from item i join shard s on s.digest = i.shard and s.live
                where i.subject is null group by s.seq, s.name order by s.seq
                """
            )
        )

    # What a removal touches --------------------------------------------------------------------------------------

    def selected(self, selectors: Sequence[Selector], *, also: Collection[str] = ()) -> dict[str, tuple[str, ...]]:
        """Return the item digests of the forget set, for every live shard that holds one, by shard digest.

        Selectors of one field are alternatives; different fields must all hold, of one and the same row. Then every
        row with the same bytes counts, in whatever live shard. One entry a row, sorted. ``also`` are items by digest
        that count whatever the selectors say.
        """
        return ForgetSet(self._connection, selectors, also).items()

    def licenses(self, selectors: Sequence[Selector] | None = None, *, also: Collection[str] = ()) -> tuple[str, ...]:
        """Return the licenses of the forget set as they are spelled, sorted; without selectors those of all live items.

        An item without its own has its shard's.
        """
        if selectors is not None:
            return ForgetSet(self._connection, selectors, also).licenses()
        rows = self._ask(
            """
            select distinct coalesce(i.license, s.license)
            from item i join shard s on s.digest = i.shard and s.live
            where coalesce(i.license, s.license) is not null order by 1
            """
        )
        return tuple(license for (license,) in rows)

    def impact(
        self,
        selectors: Sequence[Selector],
        *,
        withdrawn: Collection[str] = (),
        also: Collection[str] = (),
        spare: Collection[str] = (),
    ) -> Impact:
        """Return what removing the selected items, and ``also`` by digest, touches; nothing at all is an empty impact.

        ``spare`` are items, by digest, that stay whatever selects them.

        ``withdrawn`` are shards, by digest, that held selected items and are withdrawn already: what learned from them
        and is still there counts too.

        ``items`` counts different digests, ``subjects`` different persons, ``duplicates`` rows that only their bytes
        selected. Paths are kept up to :data:`lineage.catalog.influence.PATHS_KEPT` a component. Raises
        :class:`~lineage.errors.LineageError` when a live release has a composition or a member nobody recorded,
        because then nobody knows what is in it.
        """
        self._refuse_unknown_releases()
        forget = ForgetSet(self._connection, selectors, also, spare)
        changes = forget.changes()
        rows = self._ask(REACHED, sorted({*withdrawn, *(change.before.digest for change in changes)}))
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
        items, subjects, duplicates = forget.counts()
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
        a release (``name`` or ``name@alias``); where it is several of these, all count. The beginning of a digest will
        do. A name means what is live, or what once was if nothing is. Downwards, what is retired or withdrawn is shown
        where something live came of it. Raises :class:`~lineage.errors.UnknownRecord`.
        """
        _require_unicode(start)
        found = trace_of(self._connection, whole(self._connection, start), up=up, down=down)
        if found is None:
            raise UnknownRecord(f"nothing named {start!r} is recorded{_near(start, self._names())}")
        return found

    # How it is asked ---------------------------------------------------------------------------------------------

    def _ask(self, sql: str, *values: Any) -> list[Any]:
        for value in values:
            _require_unicode(value)
        return self._connection.execute(sql, list(values)).fetchall()

    def _records(self, table: str, live: bool) -> list[Any]:
        return self._ask(f"select record from {table} where live or not ? order by seq", live)

    def _one(self, table: str, named: str) -> str:
        _require_unicode(named)
        named = whole(self._connection, named)
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
            listed = "; `disgorge shard list --all` shows it" if table == "shard" else ""
            raise UnknownRecord(f"{table} {named!r} was {gone}; give its digest to speak of what it was{listed}")
        names = [name for (name,) in self._ask(f"select distinct name from {table} where live")]
        near = _near(named, names) or (f"; `disgorge {table} list` shows those there are" if table == "shard" else "")
        raise UnknownRecord(f"no {table} {named!r} is recorded{near}")

    def _names(self) -> list[str]:
        rows = self._ask("select name from shard union select name from component union select id from release")
        return [name for (name,) in rows]

    def _refuse_unknown_releases(self) -> None:
        rows = self._ask(
            "select id, composition from release where live and composition not in (select digest from composition)"
        )
        if rows:
            raise LineageError(
                f"release {rows[0][0]} has a composition nobody recorded ({rows[0][1]}), so its parts are not known; "
                "record the composition, or withdraw the release"
            )
        rows = self._ask(
            """
            select release.id, member.component from release join member on member.composition = release.composition
            where live and member.component not in (select digest from component) order by release.id, member.component
            """
        )
        if rows:
            raise LineageError(
                f"release {rows[0][0]} has a member nobody recorded ({rows[0][1]}), so nobody knows what it learned "
                "from; record the component with its uses, or withdraw the release"
            )


def _near(named: str, names: Sequence[str]) -> str:
    close = get_close_matches(named, names, n=3)
    return f"; did you mean {' or '.join(repr(name) for name in close)}?" if close else ""


def _require_unicode(value: Any) -> None:
    if isinstance(value, str) and not is_unicode(value):
        raise UnknownRecord(f"nothing is recorded under {value[:40]!r}, which is not Unicode; write it in UTF-8")
