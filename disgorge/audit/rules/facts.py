"""Facts lost from the ledger, and re-executions that this workspace did not record itself."""

from collections.abc import Iterator

from disgorge.audit.findings import FACTS_LOST, UNSEALED_REEXECUTION, Finding, Level
from disgorge.audit.snapshot import Look
from disgorge.examination.reexecuted import unsealed
from lineage.errors import LineageError
from lineage.ledger.losses import losses_of
from lineage.plural import counted


def lost_facts(look: Look) -> Iterator[Finding]:
    """Yield a warning per accepted loss: it stays, because the ledger stays incomplete."""
    for loss in losses_of(look.workspace.ledger.facts()):
        yield Finding(
            FACTS_LOST,
            "ledger",
            loss.words,
            "do again what was done then and is not in `disgorge request list`, `disgorge shard list` or "
            "`disgorge release list`",
            fact=loss.seq,
        )


def unsealed_reexecutions(look: Look) -> Iterator[Finding]:
    """Yield an error per fact with a wrong seal, and one warning for all that have none, as older versions wrote them.

    Where the key that seals is missing or damaged, nothing can be said of them.
    """
    if not look.workspace.private.can_seal:
        return
    try:
        facts = list(unsealed(look.workspace))
    except LineageError:  # the key is damaged, which another rule says
        return
    without = []
    for place, fact in facts:
        if not fact.seal:
            without.append(place)
            continue
        yield Finding(
            UNSEALED_REEXECUTION,
            "ledger",
            f"fact {place} says that a part was re-executed, and its seal is not this workspace's",
            "find out who appended it; it spares nothing: the part is re-executed by the next removal",
            fact=place,
        )
    if without:
        yield Finding(
            UNSEALED_REEXECUTION,
            "ledger",
            f"{counted(len(without), 'fact')} without a seal, the first on line {without[0]}, say that parts were "
            "re-executed",
            "nothing, if an earlier version wrote them; they spare nothing: the parts are re-executed by the next "
            "removal",
            Level.WARNING,
            without[0],
        )
