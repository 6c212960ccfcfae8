"""The tables that the catalog asks: facts and manifests in DuckDB, in memory, extended as facts are appended.

A process keeps the projections of the last few workspaces it asked. Items are loaded once per manifest, by its digest;
a new fact changes only the rows it is about. Each extension is one transaction, and each reader has a snapshot of its
own: no reader waits, and none sees half of an extension. No file holds any of it, so nothing but the ledger and the
manifests decides an answer; the price is that each process loads the items once.
"""

import atexit
import glob
import json
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lineage.errors import DigestMismatch, LineageError
from lineage.ledger.chain import Fact, begin_as
from lineage.ledger.fact_kinds import LINEAGE_KINDS
from lineage.ledger.state import State, state_of
from lineage.records import plain, shard_digest
from lineage.storage.objects import cached_sha256
from lineage.workspace import Workspace

if TYPE_CHECKING:
    import duckdb


ManifestPath = Callable[[str], Path]
_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",  # an extension is a download, and this works offline
    "autoload_known_extensions": "false",
}
_COLUMNS = "digest, key, subject, source, license, n_bytes"
_MOST_KEPT = 2


class Projection:
    """One workspace's tables, as of the last facts it was extended by; ``manifests`` says where a shard's is."""

    def __init__(self, manifests: ManifestPath):
        import duckdb

        self._manifests = manifests
        self._connection = duckdb.connect(":memory:", config=_SETTINGS)
        self._connection.execute(Path(__file__).with_name("schema.sql").read_text(encoding="utf-8"))
        self._count, self._head = 0, ""
        self._state = State()
        self._loaded: set[tuple[str, str | None]] = set()

    def snapshot(self) -> "duckdb.DuckDBPyConnection":
        """Return a connection that goes on seeing what holds now, whatever is appended later."""
        cursor = self._connection.cursor()
        cursor.execute("begin")
        cursor.execute("select lineage_head from made").fetchall()
        return cursor

    def close(self) -> None:
        """Close the connection; snapshots stay open."""
        self._connection.close()

    def precedes(self, facts: Sequence[Fact]) -> bool:
        """Return whether this is the projection of the first of these facts."""
        return begin_as(facts, self._count, self._head)

    def manifests_unchanged(self) -> bool:
        """Return whether every live shard's manifest still has the digest that was recorded."""
        return all(
            manifest is not None
            and self._manifests(digest).is_file()
            and cached_sha256(self._manifests(digest)) == manifest
            for digest, manifest in self._loaded
        )

    def extend(self, facts: Sequence[Fact]) -> None:
        """Take the facts that came after those known: all of them, or none if one of them raises.

        Raises :class:`~lineage.errors.LedgerBroken` for a fact of another form, and
        :class:`~lineage.errors.DigestMismatch` or :class:`~lineage.errors.LineageError` for a live shard's manifest
        that is damaged or missing.
        """
        added = facts[self._count :]
        if not added:
            return
        state = state_of(added, after=self._state)
        live = {(e.record.digest, e.record.manifest): e.record.name for e in state.shards.values() if e.live}
        self._connection.execute("begin")
        try:
            _insert(self._connection, "fact", (_fact_row(fact) for fact in added))
            _replace_state(self._connection, self._state, state)
            self._update_items(live)
            self._connection.execute("update made set lineage_head = ?", [added[-1].digest])
            self._connection.execute("commit")
        except BaseException:
            self._connection.execute("rollback")
            raise
        self._count, self._head, self._state, self._loaded = len(facts), added[-1].digest, state, set(live)

    def _update_items(self, live: Mapping[tuple[str, str | None], str]) -> None:
        """Delete the items of what is live no longer and load the manifests that are new.

        Each must be what was recorded, and hold the items of its shard's digest.
        """
        new = {pair: name for pair, name in live.items() if pair not in self._loaded}
        gone = sorted({digest for digest, _ in (self._loaded - live.keys()) | new.keys()})
        self._connection.execute("delete from item where shard in (select unnest(?::varchar[]))", [gone])
        paths = {digest: self._manifests(digest) for digest, _ in live if digest in gone}
        names = {digest: name for (digest, _), name in sorted(live.items(), key=lambda each: each[1], reverse=True)}
        for digest in sorted(paths, key=names.__getitem__):
            if not paths[digest].is_file():
                raise LineageError(
                    f"{paths[digest]}: the manifest of shard {names[digest]!r} is missing; restore it, or add the "
                    "shard from its data again"
                )
        for digest, path in paths.items():
            self._load(path, digest, names[digest])
        for (digest, manifest), name in live.items():
            if digest in paths and manifest is not None and cached_sha256(paths[digest]) != manifest:
                raise _damaged(paths[digest], name)  # the same items, and other keys or people

    def _load(self, path: Path, digest: str, name: str) -> None:
        import duckdb

        try:
            self._connection.execute(
                f"insert into item select ?, {_COLUMNS} from read_parquet(?)", [digest, glob.escape(str(path))]
            )
        except duckdb.Error as problem:
            raise _damaged(path, name) from problem
        # The digest of a shard over its sorted item digests: lineage.records.shard_digest, where the rows are.
        ((right,),) = self._connection.execute(
            """
            select bool_and(coalesce(regexp_full_match(digest, '[0-9a-f]{64}'), false))
                and sha256(unhex(string_agg(digest, '' order by digest))) = any_value(shard)
            from item where shard = ?
            """,
            [digest],
        ).fetchall()
        if not right and (right is not None or digest != shard_digest([])):
            raise _damaged(path, name)


_kept: OrderedDict[Path, Projection] = OrderedDict()
"""By the workspace's folder; last used last."""


def open_projection(workspace: Workspace, *, anew: bool = False) -> "duckdb.DuckDBPyConnection":
    """Return a snapshot as of the ledger's last lineage fact; errors as :meth:`Projection.extend`.

    Every fact is checked: a ledger edited in its middle would give a wrong answer. With ``anew`` the manifests that
    were loaded before are hashed once more, and loaded again if one changed.
    """
    facts = tuple(workspace.ledger.facts(*LINEAGE_KINDS))
    kept = _kept.pop(workspace.home, None)
    if kept is not None and (not kept.precedes(facts) or (anew and not kept.manifests_unchanged())):
        kept.close()
        kept = None
    kept = kept or Projection(workspace.manifest_path)
    kept.extend(facts)
    _kept[workspace.home] = kept
    while len(_kept) > _MOST_KEPT:
        _kept.popitem(last=False)[1].close()
    return kept.snapshot()


@atexit.register  # DuckDB complains of what is left open when a program ends
def close_kept() -> None:
    """Let go of every projection this process keeps."""
    while _kept:
        _kept.popitem()[1].close()


def _damaged(path: Path, name: str) -> DigestMismatch:
    return DigestMismatch(
        f"{path}: the manifest of shard {name!r} changed since it was recorded; restore it, or add the shard from its "
        "data again"
    )


def _replace_state(connection: "duckdb.DuckDBPyConnection", old: State, new: State) -> None:
    """Replace the rows of what differs between two states."""
    shards = _changed(old.shards, new.shards)
    _delete(connection, "shard", ("name", "digest"), shards)
    _insert(
        connection,
        "shard",
        (
            (e.seq, s.digest, s.name, s.source, s.license, s.core, s.count, s.derived_from, e.live, _json(s))
            for e in shards.values()
            for s in [e.record]
        ),
    )
    components = _changed(old.components, new.components)
    _delete(connection, "component", ("name", "digest"), components)
    _insert(
        connection,
        "component",
        ((e.seq, c.digest, c.name, c.kind, e.live, _json(c)) for e in components.values() for c in [e.record]),
    )
    influences = _changed(old.influences, new.influences)
    _delete(connection, "use", ("target",), [(target,) for target in influences])
    _insert(
        connection,
        "use",
        sorted({(use.digest, target, use.role.value) for target, uses in influences.items() for use in uses}),
    )
    compositions = _changed(old.compositions, new.compositions)
    _delete(connection, "composition", ("digest",), [(digest,) for digest in compositions])
    _delete(connection, "member", ("composition",), [(digest,) for digest in compositions])
    _insert(connection, "composition", ((digest, _json(c)) for digest, c in compositions.items()))
    _insert(
        connection, "member", sorted({(digest, m.component) for digest, c in compositions.items() for m in c.members})
    )
    releases = _changed(old.releases, new.releases)
    _delete(connection, "release", ("name", "alias"), releases)
    _insert(
        connection,
        "release",
        (
            (e.seq, f"{r.name}@{r.alias}", r.name, r.alias, r.composition, r.contained, e.live)
            for e in releases.values()
            for r in [e.record]
        ),
    )


def _changed(old: Mapping[Any, Any], new: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return what is in ``new`` and not the same object in ``old``; a state only adds and replaces."""
    return {key: entry for key, entry in new.items() if old.get(key) is not entry}


def _fact_row(fact: Fact) -> tuple[Any, ...]:
    return (fact.seq, fact.at, fact.kind, json.dumps(fact.body), fact.previous, fact.digest, _subject(fact))


def _subject(fact: Fact) -> str | None:
    inner = fact.body.get(fact.kind)
    named = inner if isinstance(inner, dict) else fact.body
    name = named.get("name")
    return name if isinstance(name, str) else None


def _json(record: Any) -> str:
    return json.dumps(plain(record))


def _delete(
    connection: "duckdb.DuckDBPyConnection", table: str, columns: tuple[str, ...], keys: Iterable[tuple[str, ...]]
) -> None:
    """Delete the rows whose ``columns`` have one of these values."""
    values = [list(column) for column in zip(*keys, strict=True)]
    if values:
        gone = ", ".join(f"unnest(?::varchar[]) as {column}" for column in columns)
        same = " and ".join(f"{table}.{column} = gone.{column}" for column in columns)
        connection.execute(f"delete from {table} using (select {gone}) gone where {same}", values)


def _insert(connection: "duckdb.DuckDBPyConnection", table: str, rows: Iterable[tuple[Any, ...]]) -> None:
    """Insert rows as whole columns: one statement, where ``executemany`` would run one a row."""
    columns = list(zip(*rows, strict=True))
    if columns:
        connection.execute(
            f"insert into {table} select {', '.join('unnest(?)' for _ in columns)}", [list(c) for c in columns]
        )
