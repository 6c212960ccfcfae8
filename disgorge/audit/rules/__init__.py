"""The audit that gates a merge or a deploy: findings on anything live that still rests on withdrawn data.

Looks, and changes nothing; works offline, without torch, MLflow, DVC or Great Expectations, and without the catalog: it
folds the ledger itself, so a stale or forged projection cannot make it silent. Every live byte is hashed, never a
sample; one shard is held in memory at a time.

What it cannot see: an unrecorded training input (re-execution catches that), and, where the ``private`` folder is
not present, whether a withdrawn item came back; it then says that it could not look.

A broken ledger is one finding and the only one, because nothing read from it could be believed.
"""

import datetime as dt
import re

from disgorge.audit.findings import BROKEN_LEDGER, Finding, in_order
from disgorge.audit.rules.attestations import attestations
from disgorge.audit.rules.deadlines import overdue
from disgorge.audit.rules.facts import lost_facts
from disgorge.audit.rules.holds import holds
from disgorge.audit.rules.inputs import affected_releases, trained_on_withdrawn, unregistered
from disgorge.audit.rules.items import reintroduced, unlicensed
from disgorge.audit.rules.keys import signing_keys
from disgorge.audit.rules.private import private_lost
from disgorge.audit.rules.purges import purged_back, purges
from disgorge.audit.rules.registered import not_looked_at, unrecorded_models
from disgorge.audit.rules.reports import reports
from disgorge.audit.rules.service import service
from disgorge.audit.rules.stored_bytes import mismatched
from disgorge.audit.snapshot import Snapshot
from lineage.activity import activity
from lineage.errors import LedgerBroken
from lineage.workspace import Workspace

__all__ = ["audit", "not_looked_at"]

_RULES = (
    unregistered,
    mismatched,
    trained_on_withdrawn,
    reintroduced,
    affected_releases,
    overdue,
    holds,
    service,
    purges,
    private_lost,
    purged_back,
    unlicensed,
    signing_keys,
    reports,
    lost_facts,
    unrecorded_models,
    attestations,
)


@activity("looking for what rests on withdrawn data")
def audit(workspace: Workspace, *, today: dt.date | None = None) -> tuple[Finding, ...]:
    """Return every finding, errors first. ``today`` (by the ledger's clock) decides what is overdue."""
    try:
        snapshot = Snapshot.at(workspace, today or workspace.today())
    except LedgerBroken as broken:
        matter, _, remedy = str(broken).rpartition("; ")
        line = re.search(r"\bline (\d+)", matter)
        return (
            Finding(
                BROKEN_LEDGER,
                "ledger",
                matter or str(broken),
                remedy or "restore the file from a copy",
                fact=int(line[1]) if line else None,
            ),
        )
    return in_order(finding for rule in _RULES for finding in rule(snapshot))
