"""Which items selectors pick: the one definition of selectors, as a condition in SQL.

Selectors of one field are alternatives; different fields must all hold, of one and the same row. The forget set asks it
of the catalog's tables, and :func:`selected_items` of manifests that the catalog does not hold: those of withdrawn
shards that are not purged yet, and those that an audit read itself, since it believes no projection.
"""

from collections.abc import Iterable, Sequence

from lineage.errors import BadInput
from lineage.records import SELECTABLE, Artifact, Item, Selector, Shard

_MATCHES = {
    "item": "i.digest in (select unnest({0}::varchar[]))",
    "key": "nfc_normalize(i.key) in (select nfc_normalize(unnest({0}::varchar[])))",
    "subject": """(
        i.subject in (select unnest({0}::varchar[]))
        or i.subject || ':' || substr(i.written, 4) in (select unnest({0}::varchar[]))
        or (coalesce(i.written, '') not like 'id %'
            and i.subject in (select split_part(unnest({0}::varchar[]), ':', 1)))
    )""",
    "source": "nfc_normalize(coalesce(i.source, s.source)) in (select nfc_normalize(unnest({0}::varchar[])))",
    "license": "coalesce(i.license, s.license) in (select unnest({0}::varchar[]))",
    "shard": "(s.name in (select unnest({0}::varchar[])) or s.digest in (select unnest({0}::varchar[])))",
    "artifact": "({0}::varchar[] is null)",
}
"""What a selector compares; an item that names no source or license has its shard's, and none is in an artifact.

A subject is a pseudonym, or one with the mark of an id (:meth:`lineage.private.Private.subject`): of items whose
subject is an id, only those with that very id are selected by it.
"""


def condition(selectors: Sequence[Selector]) -> tuple[str, dict[str, list[str]]]:
    """Return the SQL condition on an item ``i`` and its shard ``s``, and the values of its named parameters.

    Raises :class:`~lineage.errors.BadInput` for no selector at all, and for an unknown field.
    """
    if not selectors:
        raise BadInput(f"nothing selected: give at least one of {', '.join(SELECTABLE)}")
    values: dict[str, list[str]] = {}
    for selector in selectors:
        if selector.field not in _MATCHES:
            raise BadInput(f"unknown field {selector.field!r} to select by; use one of {', '.join(SELECTABLE)}")
        values.setdefault(selector.field, []).append(selector.value)
    return " and ".join(_MATCHES[field].format(f"${field}") for field in values), values


def selected_artifacts(artifacts: Iterable[Artifact], selectors: Sequence[Selector]) -> tuple[Artifact, ...]:
    """Return the artifacts that selectors pick, by name or digest, source or license; none by what items alone have.

    >>> minilm = Artifact("ab" * 32, "minilm", "the hub", "Apache-2.0", "licensed", 3, 90_000_000)
    >>> selected_artifacts([minilm], [Selector("source", "the hub")]) == (minilm,)
    True
    >>> selected_artifacts([minilm], [Selector("source", "the hub"), Selector("key", "1.png")])
    ()
    """
    values: dict[str, set[str]] = {}
    for selector in selectors:
        values.setdefault(selector.field, set()).add(selector.value)

    def picks(artifact: Artifact) -> bool:
        has = {"artifact": {artifact.name, artifact.digest}, "source": {artifact.source}, "license": {artifact.license}}
        return all(not wanted.isdisjoint(has.get(field, ())) for field, wanted in values.items())

    return tuple(filter(picks, artifacts)) if values else ()


def selected_items(tables: Iterable[tuple[Shard, Sequence[Item]]], selectors: Sequence[Selector]) -> frozenset[str]:
    """Return the digests of the items that selectors pick, from shards as recorded and the rows of their manifests.

    >>> shard = Shard("ab" * 32, "scans", "web", "MIT", None, 1)
    >>> rows = (Item("cd" * 32, "1.png", None, None, None, 8),)
    >>> len(selected_items([(shard, rows)], [Selector("key", "1.png"), Selector("source", "web")]))
    1
    """
    import duckdb
    import pyarrow as pa

    where, values = condition(selectors)
    shards, items = [], []
    for place, (shard, rows) in enumerate(tables):
        shards.append((place, shard.name, shard.digest, shard.source, shard.license))
        items += [(place, row.digest, row.key, row.subject, row.source, row.license, row.written) for row in rows]
    if not items:
        return frozenset()

    def table(rows: Sequence[tuple[int | str | None, ...]], *texts: str) -> pa.Table:
        places, *columns = zip(*rows, strict=True)
        return pa.table({"place": places} | {n: pa.array(c, pa.string()) for n, c in zip(texts, columns, strict=True)})

    with duckdb.connect(":memory:") as connection:
        connection.register("shard", table(shards, "name", "digest", "source", "license"))
        connection.register("item", table(items, "digest", "key", "subject", "source", "license", "written"))
        found = connection.execute(
            f"select distinct i.digest from item i join shard s using (place) where {where}", values
        ).fetchall()
    return frozenset(digest for (digest,) in found)
