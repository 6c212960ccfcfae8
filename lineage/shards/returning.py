"""Who and what was erased, remembered to tell when they come back in other rows.

The list of withdrawn items knows rows by their values. A person who was erased may come back with a new label, one
field more or a scaled picture: another item, which nothing would refuse. So ``private/erased.json`` has, for this
purpose alone, keyed marks of the persons of whom nothing was left, keyed marks of source and key of the rows that went,
and their likenesses. Rows that match are no proof: two persons have one name, and somebody may consent anew. They are
taken in and named, the audit finds them, and a named person lets them in (:mod:`lineage.shards.let_in`).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from lineage.perceptual_hash import near_any
from lineage.plural import counted
from lineage.private_files import ERASED, Erased
from lineage.records import Item
from lineage.shards.files import live_shards, shard_rows
from lineage.shards.let_in import not_let_in
from lineage.workspace import Workspace

_LEAST_KEY = 6
"""Characters of a key below which it may be another row's by chance, as a number of a row is."""


@dataclass(frozen=True, slots=True)
class Returned:
    """Rows, by number, of erased persons, and of what was erased under this key or looks like it."""

    persons: tuple[int, ...] = ()
    keys: tuple[int, ...] = ()
    alike: tuple[int, ...] = ()

    @property
    def rows(self) -> tuple[int, ...]:
        """All of them, in order."""
        return tuple(sorted({*self.persons, *self.keys, *self.alike}))

    @property
    def words(self) -> str:
        """What they are, in words."""
        told = (
            (self.persons, "of a person who was erased"),
            (self.keys, "under a source and key that were erased"),
            (self.alike, f"that {'looks or reads' if len(self.alike) == 1 else 'look or read'} like an erased one"),
        )
        return ", ".join(f"{counted(len(rows), 'item')} {what}" for rows, what in told if rows)


def remember_erased(workspace: Workspace, rows: Sequence[Item], *, persons: Collection[str]) -> None:
    """Remember rows that are withdrawn, and those of the persons, by pseudonym, of whom no other row stays."""
    gone, stay = {row.digest for row in rows}, set[str]()
    for shard in live_shards(workspace):
        stay |= {_person(workspace, row) for row in shard_rows(workspace, shard.digest) if row.digest not in gone}
    theirs = {_person(workspace, row) for row in rows if row.subject in persons} - stay
    known = ERASED.read(workspace) or Erased()
    ERASED.write(
        workspace,
        Erased(
            persons=sorted({*known.persons, *theirs} - {""}),
            keys=sorted({*known.keys, *(_key(workspace, row) for row in rows)} - {""}),
            likenesses=sorted({*known.likenesses, *(row.likeness for row in rows if row.likeness)}),
        ),
    )


def returned(workspace: Workspace, items: Sequence[Item]) -> Returned:
    """Return which of some rows come back, but for those that a person let in."""
    known = ERASED.read(workspace)
    if known is None:
        return Returned()
    persons, keys = frozenset(known.persons), frozenset(known.keys)
    found = Returned(
        persons=tuple(row for row, item in enumerate(items) if persons and _person(workspace, item) in persons),
        keys=tuple(row for row, item in enumerate(items) if keys and _key(workspace, item) in keys),
        alike=tuple(near_any(known.likenesses, [item.likeness for item in items]).nonzero()[0].tolist()),
    )
    open_ones = frozenset(not_let_in(workspace, items, found.rows))
    kinds = (found.persons, found.keys, found.alike)
    return Returned(*(tuple(row for row in rows if row in open_ones) for rows in kinds))


def _person(workspace: Workspace, item: Item) -> str:
    """Return the mark of whom a row is about, "" for nobody."""
    if item.subject is None:
        return ""
    return workspace.private.withdrawn_mark(f"person {item.subject} {item.written if item.is_id else ''}")


def _key(workspace: Workspace, item: Item) -> str:
    """Return the mark of a row's source and key, "" where another row may have them by chance."""
    if item.source is None or len(item.key) < _LEAST_KEY:
        return ""
    return workspace.private.withdrawn_mark(f"key {item.source} {item.key}")
