"""The items of live shards: manifests in DuckDB, in memory, for what is asked of many items at once.

A process keeps the projections of the last few workspaces it asked. Items are loaded once per manifest, by its digest;
a new fact changes only the rows it is about. Each extension is one transaction, and each reader has a snapshot of its
own: no reader waits, and none sees half of an extension. No file holds any of it, so nothing but the ledger and the
manifests decides an answer; the price is that each process loads the items once.
"""

import atexit
import glob
import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from lineage.errors import DigestMismatch, LineageError
from lineage.ledger.state import Entry, State
from lineage.records import Shard, plain, shard_digest
from lineage.storage.objects import cached_sha256
from lineage.workspace import Workspace

if TYPE_CHECKING:
    import duckdb


ManifestPath = Callable[[str], Path]
_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",  # an extension is a download, and this works offline
    "autoload_known_extensions": "false",
}
_COLUMNS = "digest, key, subject, source, license, n_bytes, written"
_MOST_KEPT = 2


class Projection:
    """One workspace's items, as of the last state it was extended to; ``manifests`` says where a shard's is."""

    def __init__(self, manifests: ManifestPath):
        import duckdb

        self._manifests = manifests
        self._connection = duckdb.connect(":memory:", config=_SETTINGS)
        self._connection.execute(Path(__file__).with_name("schema.sql").read_text(encoding="utf-8"))
        self._shards: dict[tuple[str, str], Entry[Shard]] = {}
        self._loaded: set[tuple[str, str | None]] = set()

    def snapshot(self) -> "duckdb.DuckDBPyConnection":
        """Return a connection that goes on seeing what holds now, whatever is appended later."""
        cursor = self._connection.cursor()
        cursor.execute("begin")
        cursor.execute("select 1 from shard limit 1").fetchall()  # from here on
        return cursor

    def close(self) -> None:
        """Close the connection; snapshots stay open."""
        self._connection.close()

    def manifests_unchanged(self) -> bool:
        """Return whether every live shard's manifest still has the digest that was recorded."""
        return all(
            manifest is not None
            and self._manifests(digest).is_file()
            and cached_sha256(self._manifests(digest)) == manifest
            for digest, manifest in self._loaded
        )

    def extend(self, state: State) -> None:
        """Hold the items of a state's live shards: all of them, or what was held before if it raises.

        Raises :class:`~lineage.errors.DigestMismatch` or :class:`~lineage.errors.LineageError` for a manifest that is
        damaged or missing.
        """
        if state.shards == self._shards:
            return
        live = {(e.record.digest, e.record.manifest): e.record.name for e in state.shards.values() if e.live}
        self._connection.execute("begin")
        try:
            self._update_shards(state.shards)
            self._update_items(live)
            self._connection.execute("commit")
        except BaseException:
            self._connection.execute("rollback")
            raise
        self._shards, self._loaded = state.shards, set(live)

    def _update_shards(self, shards: Mapping[tuple[str, str], Entry[Shard]]) -> None:
        """Replace the rows of the shards that are not as they were."""
        gone = [key for key, entry in self._shards.items() if shards.get(key) != entry]
        self._connection.execute(
            """
            delete from shard using (select unnest(?::varchar[]) as name, unnest(?::varchar[]) as digest) gone
            where shard.name = gone.name and shard.digest = gone.digest
            """,
            [[name for name, _ in gone], [digest for _, digest in gone]],
        )
        rows = [
            (entry.seq, shard.digest, shard.name, shard.source, shard.license, entry.live, json.dumps(plain(shard)))
            for key, entry in shards.items()
            if self._shards.get(key) != entry
            for shard in [entry.record]
        ]
        if rows:  # as whole columns: one statement, where ``executemany`` would run one a row
            columns = [list(column) for column in zip(*rows, strict=True)]
            self._connection.execute(f"insert into shard select {', '.join('unnest(?)' for _ in columns)}", columns)

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
                f"""
                insert into item
                select ?, {_COLUMNS} from (
                    select null::varchar as written where false union all by name
                    select * from read_parquet(?)
                )
                """,
                [digest, glob.escape(str(path))],
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


def open_projection(workspace: Workspace, *, anew: bool = False) -> "tuple[State, duckdb.DuckDBPyConnection]":
    """Return what holds now and a snapshot of its items; errors as :meth:`Projection.extend`.

    Every fact is checked: a ledger edited in its middle would give a wrong answer. With ``anew`` the manifests that
    were loaded before are hashed once more, and loaded again if one changed.
    """
    state = workspace.ledger.state()
    kept = _kept.pop(workspace.home, None)
    if kept is not None and anew and not kept.manifests_unchanged():
        kept.close()
        kept = None
    kept = kept or Projection(workspace.manifest_path)
    kept.extend(state)
    _kept[workspace.home] = kept
    while len(_kept) > _MOST_KEPT:
        _kept.popitem(last=False)[1].close()
    return state, kept.snapshot()


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
