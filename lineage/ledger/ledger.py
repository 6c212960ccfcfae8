"""The ledger: an append-only file of hash-chained facts.

``.disgorge/ledger.jsonl`` is the truth about lineage. Writers take a file lock, check the end of the file, append and
fsync; readers take no lock and check the whole chain. ``head.json`` repeats the last fact's place and digest, written
after the append, so that a ledger cut at a line's end is noticed as well.

What this costs, and does not give: reading verifies every byte, a second for some hundred thousand facts; and a chain
shows tampering to a reader who remembers a head, it does not prevent a new chain from being written from the start.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lineage.ledger.chain import Fact, begin_as, next_fact
from lineage.ledger.fact_kinds import FactBody, LossAcceptedFact, Said, said
from lineage.ledger.journal import LOCK_SECONDS, Head, Journal
from lineage.ledger.losses import Loss, losses_of
from lineage.ledger.state import State, state_of
from lineage.records import plain


@dataclass(frozen=True, slots=True)
class _Folded:
    """The state that the first ``count`` facts come to; ``digest`` is the last one's."""

    count: int = 0
    digest: str = ""
    state: State = field(default_factory=State)


class Ledger:
    """The facts of one workspace, in the file of its folder ``home``; ``clock`` dates what is appended."""

    def __init__(self, home: Path, *, clock: Callable[[], dt.datetime], lock_seconds: float = LOCK_SECONDS):
        self.journal = Journal(home, lock_seconds=lock_seconds)
        self._now = clock
        self._folded = _Folded()

    def append(self, kind: str, body: dict[str, Any]) -> Fact:
        """Append one fact and return it. On any failure the ledger is as it was."""
        return self.append_all([(kind, body)])[0]

    def append_all(self, facts: Iterable[tuple[str, dict[str, Any]]]) -> tuple[Fact, ...]:
        """Append several facts under one lock and one fsync: all of them, or none.

        Raises :class:`~lineage.errors.WorkspaceBusy`, :class:`~lineage.errors.LedgerBroken` (nothing is appended to a
        broken ledger) and :class:`~lineage.errors.LineageError` when the disk is full.
        """
        wanted = list(facts)
        if not wanted:
            return ()

        def following(last: Fact) -> list[Fact]:
            at, made = stamp(self._now()), [last]
            for kind, body in wanted:
                made.append(next_fact(made[-1], kind=kind, body=body, at=at))
            return made[1:]

        return self.journal.append(following)

    def record(self, *said: FactBody) -> tuple[Fact, ...]:
        """Append what was said as facts, all of it or nothing. Errors as of :meth:`append_all`."""
        return self.append_all((each.kind_of_fact, plain(each)) for each in said)

    def said(self, kind: type[Said]) -> Iterator[tuple[Fact, Said]]:
        """Yield the facts of one kind with what each says, oldest first. Errors as of :meth:`facts`."""
        return said(self.all_facts(), kind)

    def facts(self, *kinds: str) -> Iterator[Fact]:
        """Yield the facts of these kinds (all of them by default), oldest first. Errors as of :meth:`all_facts`."""
        return (fact for fact in self.all_facts() if not kinds or fact.kind in kinds)

    def all_facts(self) -> Sequence[Fact]:
        """Return all facts; the whole chain is checked if its file changed since.

        Raises :class:`~lineage.errors.LedgerBroken`, which names the line.
        """
        return self.journal.facts()

    def verify(self) -> int:
        """Check the whole chain and return how many facts it holds; :class:`~lineage.errors.LedgerBroken`."""
        return len(self.journal.facts())

    def head(self) -> str:
        """Return the digest of the last fact."""
        return self.journal.facts()[-1].digest

    def lineage_head(self) -> str:
        """Return the digest of the last fact that changed lineage, "" if there is none."""
        return self.state().lineage_head

    def state(self) -> State:
        """Return what holds now: the facts of lineage folded, those that were folded before not again."""
        facts = self.journal.facts()
        folded = self._folded if begin_as(facts, self._folded.count, self._folded.digest) else _Folded()
        if folded.count < len(facts):
            state = state_of(facts[folded.count :], after=folded.state)
            folded = self._folded = _Folded(len(facts), facts[-1].digest, state)
        return folded.state

    def set_aside_torn_line(self) -> Path | None:
        """Move a torn last line to a file beside the ledger and return its path; None if no line is torn."""
        return self.journal.set_aside_torn_line()

    def accept_loss(self, keep: Callable[[Sequence[Fact]], int]) -> tuple[Loss, Path | None]:
        """Go on though the last facts are gone, record that as a fact, and return what was lost.

        ``keep`` returns how many of the facts that are there stay facts, at least one; the others are moved to a file
        beside the ledger, whose path is returned too, None if there are none. Raises
        :class:`~lineage.errors.LedgerBroken` for any damage but a lost end.
        """

        def following(last: Fact, head: Head) -> Fact:
            lost = LossAcceptedFact(last.seq + 1, head.seq, head.digest)
            return next_fact(last, kind=lost.kind_of_fact, body=plain(lost), at=stamp(self._now()))

        fact, aside = self.journal.accept_loss(keep, following)
        return next(losses_of([fact])), aside


def stamp(now: dt.datetime) -> str:
    """Return a time as facts say it: ISO 8601 in UTC, to the microsecond."""
    return now.astimezone(dt.UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
