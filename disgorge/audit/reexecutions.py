"""Whether facts that say a part was re-executed are this workspace's own."""

from collections.abc import Iterator

from disgorge.audit.findings import UNSEALED_REEXECUTION, Finding, Level
from disgorge.examination.reexecuted import unsealed
from disgorge.request.snapshot import Look
from lineage.errors import LineageError
from lineage.plural import counted


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
    for fact in facts:
        if "seal" not in fact.body:
            without.append(fact)
            continue
        yield Finding(
            UNSEALED_REEXECUTION,
            "ledger",
            f"fact {fact.seq} says that a part was re-executed, and its seal is not this workspace's",
            "find out who appended it; it spares nothing: the part is re-executed by the next removal",
            fact=fact.seq,
        )
    if without:
        yield Finding(
            UNSEALED_REEXECUTION,
            "ledger",
            f"{counted(len(without), 'fact')} without a seal, the first on line {without[0].seq}, say that parts were "
            "re-executed",
            "nothing, if an earlier version wrote them; they spare nothing: the parts are re-executed by the next "
            "removal",
            Level.WARNING,
            without[0].seq,
        )
