"""Purges that are overdue, and files that a purge deleted and that are there again."""

from collections.abc import Iterator

from disgorge.audit.findings import PURGE_OVERDUE, PURGED_BACK, UNSEARCHED, Finding, Level
from disgorge.audit.snapshot import Snapshot
from disgorge.locations.every import those_that_load
from disgorge.locations.location import Target, shown
from disgorge.locations.references import spare_of
from lineage.errors import DigestMismatch, LedgerBroken
from lineage.ledger.fact_kinds import PurgedFact


def purges(snapshot: Snapshot) -> Iterator[Finding]:
    """Yield an error per open request whose purge was on hold until a day that has come, a note where it is to come."""
    for case in snapshot.cases.values():
        if case.closed or case.purge_held is None or not case.steps:
            continue
        name, come = case.request.id, case.purge_held <= snapshot.today
        yield Finding(
            PURGE_OVERDUE,
            name,
            f"old weights and withdrawn items were to be kept until {case.purge_held}"
            if come
            else f"old weights and withdrawn items are kept until {case.purge_held}, and nothing is certified before",
            f"carry it out with `disgorge purge {name}`" if come else f"on that day, `disgorge purge {name}`",
            None if come else Level.NOTE,
            fact=next(fact.seq for fact in reversed(case.facts) if fact.kind == "purge-held"),
        )


def purged_back(snapshot: Snapshot) -> Iterator[Finding]:
    """Yield an error per file that a purge deleted and that lies in a location again without being needed.

    What was kept because something live needed it is told by its digest as well, once nothing does. So is a location
    that cannot be asked: what lies there is not known.
    """
    workspace, spare = snapshot.workspace, spare_of(snapshot.workspace)
    every, broken = those_that_load(workspace)
    unsearched = [str(problem) for problem in broken]
    for fact, purged in workspace.ledger.said(PurgedFact):
        gone = Target(purged.shards, purged.objects).without(spare.shards, spare.objects | spare.served)
        for location in every:
            try:
                there = list(location.present(gone))
            except (DigestMismatch, LedgerBroken):
                raise
            except Exception as problem:  # each kind of store has errors of its own
                unsearched.append(
                    f"location '{location.name}' cannot be asked: {problem}; fix its package, or the store"
                )
                continue
            for path in there:
                yield Finding(
                    PURGED_BACK,
                    shown(path, workspace.root),
                    f"was deleted for request {purged.request} and is there again",
                    "delete it, and find out who put it back and where else it is",
                    fact=fact.seq,
                )
    for words in dict.fromkeys(unsearched):
        what, _, then = words.rpartition("; ")
        yield Finding(UNSEARCHED, "locations", what, then)
