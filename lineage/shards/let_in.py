"""Items on the list of withdrawn ones that a named person lets in: another person's equal row, or new consent.

The list knows an item by its content alone, so in a small table it refuses anybody who has the same values, for good.
Who lets items in is in the ledger, by pseudonym, with the reason and a count; which rows it is said of, by digest, key
and subject, are keyed marks in ``private/let-in.json``. So the same values of a third person are refused still. When
such a row is withdrawn, what was said of it ends.
"""

from collections.abc import Collection, Iterable, Sequence

from lineage.ledger.fact_kinds import ItemsLetInFact
from lineage.private_files import LET_IN, LetIn
from lineage.records import Item, Shard
from lineage.workspace import Workspace


def withdrawn_rows(workspace: Workspace, items: Sequence[Item], others: Iterable[str] = ()) -> list[int]:
    """Return which of some rows hold withdrawn items, but for those that were let in.

    ``others`` are, row by row, by what items are known besides.
    """
    if not workspace.private.marks():
        return []
    several = ((item.digest for item in items), others)
    back = {row for each in several for row, mark in enumerate(each) if workspace.private.is_withdrawn(mark)}
    return not_let_in(workspace, items, sorted(back))


def not_let_in(workspace: Workspace, items: Sequence[Item], rows: Collection[int]) -> list[int]:
    """Return those of some rows, by number, that nobody let in."""
    known = _let_in(workspace) if rows else {}
    return [
        row for row in rows if _row(workspace, items[row]) not in known.get(_item(workspace, items[row].digest), ())
    ]


def let_in(workspace: Workspace, shard: Shard, items: Iterable[Item], *, by: str, because: str) -> ItemsLetInFact:
    """Remember that rows of a shard may be here though their items were withdrawn; returns the fact that says so.

    The caller holds the lock under which shards are added, and records the fact with the shard's.
    """
    known, count = _let_in(workspace), 0
    for item in items:
        mark, count = _item(workspace, item.digest), count + 1
        known[mark] = sorted({*known.get(mark, ()), _row(workspace, item)})
    LET_IN.write(workspace, LetIn(known))
    return ItemsLetInFact(shard.digest, shard.name, count, workspace.pseudonym(by), because)


def end_let_in(workspace: Workspace, items: Collection[str]) -> None:
    """Forget what was said of rows whose items, by digest, are withdrawn now."""
    if not (known := _let_in(workspace)):
        return
    gone = {_item(workspace, item) for item in items}
    if not gone.isdisjoint(known):
        LET_IN.write(workspace, LetIn({mark: rows for mark, rows in known.items() if mark not in gone}))


def _let_in(workspace: Workspace) -> dict[str, list[str]]:
    stored = LET_IN.read(workspace)
    return dict(stored.rows) if stored else {}


def _item(workspace: Workspace, digest: str) -> str:
    return workspace.private.withdrawn_mark(f"let in {digest}")


def _row(workspace: Workspace, item: Item) -> str:
    person = f"{item.subject} {item.written if item.is_id else ''}"
    return workspace.private.withdrawn_mark(f"let in {item.digest} {person} {item.key}")
