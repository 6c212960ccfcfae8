"""Facts that were lost from the end of the ledger, and that a person went on without.

``disgorge ledger verify --accept-loss`` records one ``loss-accepted`` fact in their place. What they said is not known:
the fact names where they stood and the digest of the last one, as ``head.json`` had acknowledged it.

>>> Loss(4, "2026-11-02T09:00:00Z", 4, 5, "ab" * 32).words
'2 facts (lines 4 to 5) were lost and the loss was accepted on 2026-11-02; what they recorded is not known any more'
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lineage.ledger.chain import Fact
from lineage.ledger.fact_kinds import LossAcceptedFact, said
from lineage.plural import counted


@dataclass(frozen=True, slots=True)
class Loss:
    """That the facts from ``first`` to ``last`` were lost; ``digest`` is the last one's, ``seq`` the acceptance's."""

    seq: int
    at: str
    first: int
    last: int
    digest: str

    @property
    def words(self) -> str:
        """The loss in words."""
        lines = f"line {self.first}" if self.first == self.last else f"lines {self.first} to {self.last}"
        facts = counted(self.last - self.first + 1, "fact")
        was, what = ("was", "it") if self.first == self.last else ("were", "they")
        accepted = f"{facts} ({lines}) {was} lost and the loss was accepted on {self.at[:10]}"
        return f"{accepted}; what {what} recorded is not known any more"


def losses_of(facts: Iterable[Fact]) -> Iterator[Loss]:
    """Yield every accepted loss among these facts, oldest first."""
    return (Loss(fact.seq, fact.at, lost.first, lost.last, lost.digest) for fact, lost in said(facts, LossAcceptedFact))
