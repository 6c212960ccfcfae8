"""Which items selectors pick from manifests that are read one by one.

The same rule as the catalog's (:mod:`lineage.catalog.forget_set`), for what the catalog does not hold: withdrawn shards
that are not purged yet, and an audit, which believes no projection.
"""

from collections.abc import Iterable, Sequence

from lineage.records import Item, Selector, Shard

Table = tuple[Shard, Sequence[Item]]
"""A shard as it is recorded, and the rows of its manifest."""


def selected_items(tables: Iterable[Table], selectors: Sequence[Selector]) -> frozenset[str]:
    """Return the digests of the items that selectors pick: one field's are alternatives, all fields must hold.

    >>> shard = Shard("ab" * 32, "scans", "web", "MIT", None, 1)
    >>> rows = (Item("cd" * 32, "1.png", None, None, None, 8),)
    >>> len(selected_items([(shard, rows)], [Selector("key", "1.png"), Selector("source", "web")]))
    1
    """
    wanted: dict[str, set[str]] = {}
    for selector in selectors:
        wanted.setdefault(selector.field, set()).add(selector.value)
    named = wanted.pop("shard", None)
    return frozenset(
        row.digest
        for shard, rows in tables
        if named is None or not named.isdisjoint({shard.name, shard.digest})
        for row in rows
        if all(_value(row, shard, field) in values for field, values in wanted.items())
    )


def _value(row: Item, shard: Shard, field: str) -> str | None:
    match field:
        case "item":
            return row.digest
        case "key":
            return row.key
        case "subject":
            return row.subject
        case "source":
            return row.source or shard.source
        case "license":
            return row.license or shard.license
        case _:
            return None  # an unknown field selects nothing: the catalog refuses it
