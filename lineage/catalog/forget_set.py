"""The forget set: the rows of live shards that selectors pick, and what becomes of the shards without them.

What selectors pick says :mod:`lineage.catalog.selection`. Then every row with the same bytes counts, in whatever live
shard, because a copy left behind would still be the withdrawn item. Items that a person added by digest,
near-duplicates, are in it beside what selectors pick; items to spare, by digest, are not.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from lineage.catalog.selection import condition
from lineage.records import Selector, Shard, ShardChange, restore_json

if TYPE_CHECKING:
    import duckdb


class ForgetSet:
    """The forget set of some selectors, held in the connection's temporary table ``forget``."""

    def __init__(
        self,
        connection: "duckdb.DuckDBPyConnection",
        selectors: Sequence[Selector],
        also: Collection[str] = (),
        spare: Collection[str] = (),
    ):
        self._connection = connection
        where, values = condition(selectors)
        self._connection.execute(
            f"""
            create or replace temp table forget as
            with direct as (
                select distinct i.rowid as row, i.digest
                from item i join shard s on s.digest = i.shard and s.live
                where ({where}) or i.digest in (select unnest($also::varchar[]))
            )
            select shard, digest, key, subject, written, license, rowid in (select row from direct) as direct
            from item where digest in (select digest from direct)
            """,
            values | {"also": sorted(also)},
        )
        if spare:
            self._connection.execute(
                "delete from forget where digest in (select unnest(?::varchar[]))", [sorted(spare)]
            )

    def items(self) -> dict[str, tuple[str, ...]]:
        """Return the digests of the rows, sorted, by shard digest."""
        found: dict[str, list[str]] = {}
        rows = self._connection.execute("select shard, digest from forget order by shard, digest").fetchall()
        for shard, digest in rows:
            found.setdefault(shard, []).append(digest)
        return {shard: tuple(digests) for shard, digests in found.items()}

    def licenses(self) -> tuple[str, ...]:
        """Return the different licenses of the rows, sorted; a row without its own has its shard's."""
        rows = self._connection.execute(
            """
            select distinct coalesce(forget.license, s.license)
            from forget join shard s on s.digest = forget.shard and s.live
            where coalesce(forget.license, s.license) is not null order by 1
            """
        ).fetchall()
        return tuple(license for (license,) in rows)

    def counts(self) -> tuple[int, int, int, int]:
        """Return how many items, persons, rows that only their bytes selected, and written forms of the persons' names.

        Items count once however often they are there. Ids that fold to one name are persons of their own, and a name
        that was recorded without saying how it is written may be any of them. Forms are 0 where each person has one.
        """
        sql = """
            with form as (select distinct subject, written from forget where subject is not null),
            person as (
                select subject, count(*) as forms,
                    greatest(count(written) filter (written like 'id %'), 1) as persons
                from form group by subject
            )
            select count(distinct digest), (select coalesce(sum(persons), 0)::bigint from person),
                count(*) filter (not direct), (select coalesce(sum(forms), 0)::bigint from person)
            from forget
        """
        items, subjects, duplicates, forms = self._connection.execute(sql).fetchall()[0]
        return items, subjects, duplicates, forms if forms > subjects else 0

    def others(self) -> tuple[int, int]:
        """Return how many persons lose rows though nothing of theirs is selected, and how many rows.

        A row of equal bytes under a selected row's key is a copy of it, and no other person's.
        """
        sql = """
            with known as (
                select *, case when written like 'id %' then written end as id from forget where subject is not null
            )
            select count(distinct (subject, id)), count(*) from known
            where not direct
                and not exists (
                    select 1 from known own
                    where own.direct and own.subject = known.subject and own.id is not distinct from known.id
                )
                and not exists (
                    select 1 from forget copied
                    where copied.direct and copied.digest = known.digest and copied.key = known.key
                )
        """
        persons, rows = self._connection.execute(sql).fetchall()[0]
        return persons, rows

    def changes(self) -> tuple[ShardChange, ...]:
        """Return what becomes of every live shard that holds a row of ``forget``."""
        rows = self._connection.execute(
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
        ).fetchall()
        changes = []
        for record, removed, left, digest in rows:
            before = restore_json(Shard, record)
            after = (
                replace(before, digest=digest, count=left, derived_from=before.digest, dvc=None, manifest=None)
                if left
                else None
            )
            changes.append(ShardChange(before, after, removed))
        return tuple(changes)
