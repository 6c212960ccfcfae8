"""Items of live shards that were withdrawn before, or have no recorded license."""

from collections.abc import Iterator, Sequence

from disgorge.audit.findings import DIGEST_MISMATCH, MISSING_LICENSE, REINTRODUCED, Finding, Level
from disgorge.audit.snapshot import Snapshot
from lineage.errors import LineageError
from lineage.records import Item, Shard
from lineage.shards.let_in import withdrawn_rows
from lineage.shards.returning import returned


def reintroduced(snapshot: Snapshot) -> Iterator[Finding]:
    """Yield a finding per live shard with withdrawn items, or one warning where the list of those is not here."""
    if not snapshot.withdrawals:
        return
    private = snapshot.workspace.private
    if private.folder.is_dir():
        try:
            snapshot.workspace.require_marks()
        except LineageError as error:
            yield Finding(
                DIGEST_MISMATCH,
                "workspace",
                f"whether a withdrawn item came back cannot be checked: {error}",
                "restore private/withdrawn.txt and private/withdrawn.key as they were after the last withdrawal",
            )
            return
    if not private.marks_file.is_file():
        yield Finding(
            REINTRODUCED,
            "workspace",
            "the list of withdrawn items is not here, so whether one came back was not checked",
            "copy private/withdrawn.txt and private/withdrawn.key from where requests are carried out",
            Level.WARNING,
        )
        return
    for shard in snapshot.shards():
        items = snapshot.items(shard.digest)
        if isinstance(items, LineageError):
            continue  # a finding of its own
        try:
            back = len(withdrawn_rows(snapshot.workspace, items))
        except LineageError:  # a finding of its own: who let items in is not known
            back = sum(private.is_withdrawn(item.digest) for item in items)
        yield from _returned(snapshot, shard, items)
        if back:
            yield Finding(
                REINTRODUCED,
                shard.name,
                f"holds {back} of {len(items)} items that were withdrawn before",
                "resume the request that withdraws them, or file one, so that they and what learned from them go",
                fact=snapshot.recorded(shard),
            )


def _returned(snapshot: Snapshot, shard: Shard, items: Sequence[Item]) -> Iterator[Finding]:
    """Yield a finding where rows come back of persons and things that were erased: others, as far as values tell."""
    try:
        again = returned(snapshot.workspace, items)
    except LineageError:
        return  # a finding of its own: the private list is damaged
    if again.rows:
        yield Finding(
            REINTRODUCED,
            shard.name,
            f"holds {again.words} by an earlier request",
            "remove them by a request; or, if they may be here (new consent, another person of that name), add the "
            "shard's file again with --let-in NAME --reason WHY",
            None if again.persons else Level.WARNING,
            fact=snapshot.recorded(shard),
        )


def unlicensed(snapshot: Snapshot) -> Iterator[Finding]:
    """Yield a warning per live shard without a license for each item, and per core shard without a legal basis."""
    for shard in snapshot.shards():
        if shard.core and not shard.legal_basis:
            yield Finding(
                MISSING_LICENSE,
                shard.name,
                "is declared not removable without saying on which legal basis",
                "add the shard again with its legal basis",
                fact=snapshot.recorded(shard),
            )
        items = snapshot.items(shard.digest)
        if shard.license or isinstance(items, LineageError):
            continue
        without = sum(not item.license for item in items)
        if without:
            yield Finding(
                MISSING_LICENSE,
                shard.name,
                f"{without} of {len(items)} items have no license, and the shard has none",
                "find out whether the items may be held; remove those that may not by a request",
                fact=snapshot.recorded(shard),
            )
