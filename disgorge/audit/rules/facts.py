"""Facts lost from the ledger."""

from collections.abc import Iterator

from disgorge.audit.findings import FACTS_LOST, Finding
from disgorge.audit.snapshot import Snapshot
from lineage.ledger.losses import losses_of


def lost_facts(snapshot: Snapshot) -> Iterator[Finding]:
    """Yield a warning per accepted loss: it stays, because the ledger stays incomplete."""
    for loss in losses_of(snapshot.workspace.ledger.facts()):
        yield Finding(
            FACTS_LOST,
            "ledger",
            loss.words,
            "do again what was done then and is not in `disgorge request list`, `disgorge shard list` or "
            "`disgorge release list`",
            fact=loss.seq,
        )
