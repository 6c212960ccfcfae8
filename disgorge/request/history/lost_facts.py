"""Accepting that the ledger lost its last facts: what is kept, and what is no longer known.

A step of a removal is recorded in one append. Where only a part of it is left that cannot be done twice - shards are
withdrawn, and the fact that the step is done is gone - that part is set aside as well, and ``resume`` does the whole
step again. Every other step may be done twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from disgorge.request.case import docket
from lineage.ledger.chain import Fact
from lineage.ledger.losses import Loss
from lineage.workspace import Workspace

NOT_KNOWN = (
    "not known any more: which requests, holds, decisions, approvals, shards, trainings, releases, steps of removals "
    "and purges were recorded there. What `disgorge request list`, `disgorge shard list` or `disgorge release list` "
    "does not show has to be done again; `disgorge audit` names what lies here and does not fit"
)
"""What a person has to know who goes on."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """An accepted loss, where the end of the file was moved to, and the requests that are open as far as is known."""

    loss: Loss
    aside: Path | None
    open: dict[str, str]
    """State by request."""


def accept_loss(workspace: Workspace) -> Accepted:
    """Record that the last facts are lost, and return what that means. Errors as of :meth:`Workspace.accept_loss`."""
    loss, aside = workspace.ledger.accept_loss(_whole_steps)
    return Accepted(loss, aside, {name: case.state for name, case in docket(workspace).items() if not case.closed})


def _whole_steps(facts: Sequence[Fact]) -> int:
    """Return how many facts there are before a withdrawal of shards whose end is lost."""
    place, withdrawn = len(facts), False
    while (
        place
        and facts[place - 1].kind in ("shard", "shard-withdrawn", "overlap")
        and facts[place - 1].at == facts[-1].at
    ):
        withdrawn |= facts[place - 1].kind == "shard-withdrawn"
        place -= 1
    return place if withdrawn else len(facts)
