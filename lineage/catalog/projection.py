"""The DuckDB file that the catalog asks: built aside from the facts and the manifests, renamed into place, read-only.

DuckDB locks a file that one process has open for writing even against readers, so nothing is ever opened for writing
under its final name: readers wait for nobody. The name carries the lineage head, so a projection never goes stale; it
is replaced. Where the workspace cannot be written, the projection is held in memory.

A process keeps the last few projections it opened: opening or building one takes longer than most questions.
"""

import atexit
import glob
import json
import os
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from lineage.errors import DigestMismatch, LineageError
from lineage.ledger.state import State, state_of
from lineage.records import plain, shard_digest
from lineage.storage.objects import sha256_of

if TYPE_CHECKING:
    from lineage.ledger.chain import Fact
    from lineage.workspace import Workspace

ManifestPath = Callable[[str], Path]
_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",  # an extension is a download, and this works offline
    "autoload_known_extensions": "false",
}
_ABANDONED_SECONDS = 3600.0  # a build takes seconds; one that old was killed
_COLUMNS = "digest, key, subject, source, license, n_bytes"
_MOST_KEPT = 4
"""Projections a process keeps open: of a workspace or two, as files and in memory."""
_kept: OrderedDict[tuple[Path, str, bool], duckdb.DuckDBPyConnection] = OrderedDict()
"""By the ledger's folder, the lineage head, and whether it was built here from the ledger itself; last used last."""


def open_projection(workspace: "Workspace") -> duckdb.DuckDBPyConnection:
    """Return a connection to the projection as of the ledger's lineage head, building it if there is none yet.

    Raises :class:`~lineage.errors.LedgerBroken`, and :class:`~lineage.errors.DigestMismatch` or
    :class:`~lineage.errors.LineageError` for a live shard's manifest that is damaged or missing.
    """
    workspace.ledger.verify()  # every byte: a ledger edited in its middle would give a wrong answer
    head = workspace.ledger.lineage_head()
    for built_here in (True, False):
        if (kept := _kept.get((workspace.home, head, built_here))) is not None:
            return kept.cursor()
    if (found := _existing(_path(workspace.home, head), head)) is not None:
        return _keep(workspace, head, found, built_here=False)
    from lineage.ledger.fact_kinds import LINEAGE_KINDS  # the ledger reads this module when it records

    facts, manifests = tuple(workspace.ledger.facts(*LINEAGE_KINDS)), workspace.manifest_path
    head = facts[-1].digest if facts else ""
    path = _path(workspace.home, head)
    aside = workspace.home / f"catalog-aside-{secrets.token_hex(8)}.duckdb"
    try:
        with duckdb.connect(str(aside), config=_SETTINGS) as connection:
            _build(connection, facts, manifests)
        os.replace(aside, path)
    except (OSError, duckdb.Error):  # a full disk, a read-only folder: the answers do not depend on it
        return in_memory(facts, manifests)
    finally:
        for left in workspace.home.glob(f"{aside.name}*"):
            left.unlink(missing_ok=True)
    _remove_others(workspace.home, path)
    if (found := _existing(path, head)) is not None:
        return _keep(workspace, head, found, built_here=False)
    return in_memory(facts, manifests)


def open_built_here(workspace: "Workspace") -> duckdb.DuckDBPyConnection:
    """Return a connection to a projection that this process built from the ledger and the manifests as they are now.

    One it built before is taken again while every live shard's manifest still has the digest that was recorded.
    Errors as :func:`open_projection`.
    """
    workspace.ledger.verify()
    from lineage.ledger.fact_kinds import LINEAGE_KINDS  # the ledger reads this module when it records

    facts = tuple(workspace.ledger.facts(*LINEAGE_KINDS))
    head = facts[-1].digest if facts else ""
    kept = _kept.get((workspace.home, head, True))
    if kept is not None and _manifests_as_recorded(facts, workspace.manifest_path):
        return kept.cursor()
    return _keep(workspace, head, in_memory(facts, workspace.manifest_path), built_here=True)


def _manifests_as_recorded(facts: "Sequence[Fact]", manifests: ManifestPath) -> bool:
    live = [entry.record for entry in state_of(facts).shards.values() if entry.live]
    return all(
        shard.manifest is not None
        and manifests(shard.digest).is_file()
        and sha256_of(manifests(shard.digest)) == shard.manifest
        for shard in live
    )


def _keep(
    workspace: "Workspace", head: str, connection: duckdb.DuckDBPyConnection, *, built_here: bool
) -> duckdb.DuckDBPyConnection:
    """Keep a connection for later, let the oldest go, and return one of the caller's own to the same projection."""
    _kept[workspace.home, head, built_here] = connection
    while len(_kept) > _MOST_KEPT:
        _kept.popitem(last=False)[1].close()
    return connection.cursor()


@atexit.register  # DuckDB complains of what is left open when a program ends
def close_kept() -> None:
    """Let go of every projection this process keeps."""
    while _kept:
        _kept.popitem()[1].close()


def in_memory(facts: "Sequence[Fact]", manifests: ManifestPath) -> duckdb.DuckDBPyConnection:
    """Return a connection to a projection of lineage facts that no file holds.

    ``manifests`` says where the manifest of a shard is, by digest. Errors as :func:`open_projection`.
    """
    connection = duckdb.connect(":memory:", config=_SETTINGS)
    try:
        _build(connection, facts, manifests)
    except BaseException:
        connection.close()
        raise
    return connection


def _path(home: Path, head: str) -> Path:
    return home / f"catalog-{head[:16] or 'empty'}.duckdb"


def _existing(path: Path, head: str) -> duckdb.DuckDBPyConnection | None:
    if not path.exists():
        return None
    with suppress(duckdb.Error):  # damaged, or removed a moment ago: it is built again
        connection = duckdb.connect(str(path), read_only=True, config=_SETTINGS)
        with suppress(duckdb.Error):
            if connection.execute("select lineage_head, schema from made").fetchall() == [(head, _schema())]:
                return connection
        connection.close()
    return None


def _remove_others(home: Path, current: Path) -> None:
    for path in home.glob("catalog-*"):
        with suppress(OSError):
            aside = path.name.startswith("catalog-aside-")
            if path != current and not (aside and time.time() - path.stat().st_mtime < _ABANDONED_SECONDS):
                path.unlink()


@cache
def _schema() -> str:
    return Path(__file__).with_name("schema.sql").read_text(encoding="utf-8")


def _build(connection: duckdb.DuckDBPyConnection, facts: "Sequence[Fact]", manifests: ManifestPath) -> None:
    connection.execute("begin")
    connection.execute(_schema())
    state = state_of(facts)
    _insert(connection, "fact", (_fact_row(fact) for fact in facts))
    _insert_state(connection, state)
    _load_items(connection, state, manifests)
    _insert(connection, "made", [(facts[-1].digest if facts else "", _schema())])
    connection.execute("commit")


def _insert_state(connection: duckdb.DuckDBPyConnection, state: State) -> None:
    shards = ((entry.seq, entry.live, entry.record) for entry in state.shards.values())
    _insert(
        connection,
        "shard",
        (
            (seq, s.digest, s.name, s.source, s.license, s.core, s.count, s.derived_from, live, _json(s))
            for seq, live, s in shards
        ),
    )
    components = [(entry.seq, entry.live, entry.record) for entry in state.components.values()]
    _insert(
        connection,
        "component",
        ((seq, c.digest, c.name, c.kind, c.recipe_digest, live, _json(c)) for seq, live, c in components),
    )
    uses = {(use.digest, target, use.role.value) for target, found in state.influences.items() for use in found}
    _insert(connection, "use", sorted(uses))
    _insert(connection, "composition", ((digest, _json(c)) for digest, c in state.compositions.items()))
    members = {(digest, m.component) for digest, c in state.compositions.items() for m in c.members}
    _insert(connection, "member", sorted(members))
    releases = ((entry.seq, entry.live, entry.record) for entry in state.releases.values())
    _insert(
        connection,
        "release",
        ((seq, f"{r.name}@{r.alias}", r.name, r.alias, r.composition, r.contained, live) for seq, live, r in releases),
    )


def _load_items(connection: duckdb.DuckDBPyConnection, state: State, manifests: ManifestPath) -> None:
    """Read the manifests of live shards; each must be what was recorded, and hold the items of its shard's digest."""
    live = connection.execute("select distinct digest, name from shard where live order by name").fetchall()
    paths = {}
    for digest, name in live:
        paths[digest] = manifests(digest)
        if not paths[digest].is_file():
            raise LineageError(
                f"{paths[digest]}: the manifest of shard {name!r} is missing; restore it, or add the shard from its "
                "data again"
            )
    if not paths:
        return
    read = f"insert into item select parse_filename(filename, true), {_COLUMNS} from read_parquet(?, filename = true)"
    try:
        connection.execute(read, [[glob.escape(str(path)) for path in paths.values()]])
    except duckdb.Error as problem:
        raise _first_unreadable(paths, live) from problem
    # The digest of a shard over its sorted item digests: lineage.records.shard_digest, where the rows are.
    right = connection.execute(
        """
        select shard from item group by shard
        having bool_and(coalesce(regexp_full_match(digest, '[0-9a-f]{64}'), false))
            and shard = sha256(unhex(string_agg(digest, '' order by digest)))
        """
    ).fetchall()
    for digest, name in live:
        if (digest,) not in right and digest != shard_digest([]):
            raise _damaged(paths[digest], name)
    for entry in state.shards.values():
        shard = entry.record
        if entry.live and shard.manifest is not None and sha256_of(paths[shard.digest]) != shard.manifest:
            raise _damaged(paths[shard.digest], shard.name)  # the same items, and other keys or people


def _first_unreadable(paths: dict[str, Path], live: list[tuple[str, str]]) -> LineageError:
    for digest, name in live:
        try:
            with duckdb.connect(":memory:", config=_SETTINGS) as alone:
                alone.execute(f"select {_COLUMNS} from read_parquet(?)", [glob.escape(str(paths[digest]))]).fetchall()
        except duckdb.Error:
            return _damaged(paths[digest], name)
    return LineageError("the manifests cannot be read together: they were written by different programs")


def _damaged(path: Path, name: str) -> DigestMismatch:
    return DigestMismatch(
        f"{path}: the manifest of shard {name!r} changed since it was recorded; restore it, or add the shard from its "
        "data again"
    )


def _fact_row(fact: "Fact") -> tuple[Any, ...]:
    return (fact.seq, fact.at, fact.kind, json.dumps(fact.body), fact.previous, fact.digest, _subject(fact))


def _subject(fact: "Fact") -> str | None:
    inner = fact.body.get(fact.kind)
    named = inner if isinstance(inner, dict) else fact.body
    name = named.get("name")
    return name if isinstance(name, str) else None


def _json(record: Any) -> str:
    return json.dumps(plain(record))


def _insert(connection: duckdb.DuckDBPyConnection, table: str, rows: Iterable[tuple[Any, ...]]) -> None:
    """Insert rows as whole columns: one statement, where ``executemany`` would run one a row."""
    columns = list(zip(*rows, strict=True))
    if columns:
        connection.execute(
            f"insert into {table} select {', '.join('unnest(?)' for _ in columns)}", [list(c) for c in columns]
        )
