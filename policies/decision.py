"""Decisions: the outcome, what is owed, each pack's own claim, and every rule that fired as a reason.

A decision has one :class:`Claim` per pack under which something was claimed. A refusal ends its own claim only, so a
granted decision may hold refused claims, and each of them has its dates and duties as well.
"""

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from lineage.records import LEFT_OUT, digest_of
from policies.events import Event, EventKind, first_day
from policies.taxonomy import Confinement, Family, Guarantee, Outcome, Part, Refusal, Scope, shown_by


@dataclass(frozen=True, slots=True)
class Reason:
    """One rule that fired: where it stands, what it says in words, and the source it rests on.

    ``outcome`` is what the rule alone would decide, if it decides anything. A rule that could not be evaluated is
    kept too, with ``fired`` false and the reason in ``words``.
    """

    pack: str
    rule: str
    words: str
    citation: str
    dated: dt.date
    outcome: Outcome | None = None
    fired: bool = True
    read: bool = field(default=True, metadata={LEFT_OUT: True})
    """False where the text of the source, or of a period of the rule, was not read when the rule was written."""


@dataclass(frozen=True, slots=True)
class DueBy:
    """One deadline of one rule: for which part, by which day, and in words how the day was counted.

    ``by`` is None while no day can be given: the clock stands still, or what it runs from has not happened.
    ``not_before`` is the first day of a window.
    """

    of: Part
    by: dt.date | None
    rule: str
    counted: str
    not_before: dt.date | None = field(default=None, metadata={LEFT_OUT: True})


@dataclass(frozen=True, slots=True)
class Owed:
    """What a granted request is owed.

    ``approvals`` is how many different people must approve a plan. ``evidence`` names required checks beyond those a
    guarantee always requires. ``utility_floor`` is the least a release's utility may be afterwards, as a share of
    before; below it the plan goes back to a person. ``notices`` are who must be told, in words. ``deadline`` is the
    earliest of ``deadlines`` by which something must be removed. ``spared`` says in words which of the data the rules
    spare, and until when that can be claimed. ``confinement`` is the weakest that is accepted of the runs that show the
    removal, and ``equal_bits`` whether a second run must reach the same bytes as well; a decision that was recorded
    without them is held to the strictest.
    """

    guarantee: Guarantee
    families: tuple[Family, ...]
    scope: Scope
    deadline: dt.date | None
    acknowledge_by: dt.date | None
    approvals: int
    evidence: tuple[str, ...]
    notices: tuple[str, ...]
    utility_floor: float | None
    deadlines: tuple[DueBy, ...] = field(default=(), metadata={LEFT_OUT: True})
    spared: tuple[str, ...] = field(default=(), metadata={LEFT_OUT: True})
    confinement: Confinement = field(default=Confinement.NAMESPACE, metadata={LEFT_OUT: True})
    equal_bits: bool = field(default=True, metadata={LEFT_OUT: True})

    def removes_the_same(self, other: "Owed") -> bool:
        """Whether both ask for the same removal, shown in the same way: dates, notices and what was spared apart."""
        return self._removal == other._removal

    @property
    def _removal(self) -> tuple[object, ...]:
        return (
            self.guarantee, self.families, self.scope, self.approvals, self.evidence, self.utility_floor,
            self.confinement, self.equal_bits,
        )  # fmt: skip

    @property
    def shown_by(self) -> str:
        """How the removal must be shown, in words."""
        return shown_by(self.confinement, equal_bits=self.equal_bits)

    @property
    def stands_still(self) -> bool:
        """Whether a clock runs for what must be removed, and none of them can tell a day now."""
        removing = [due for due in self.deadlines if due.of is not Part.PUT_BACK]
        return bool(removing) and self.deadline is None


@dataclass(frozen=True, slots=True)
class Duty:
    """Something owed beside the removal: to tell a person or an authority something, or to keep a record.

    ``by`` is the last day; None where the source gives none. A duty that ``lasts`` is kept until that day, where others
    are done by it. ``rule`` names the rule it rests on, ``done_by`` the kind of event that fulfills it, None where none
    does.
    """

    words: str
    by: dt.date | None
    rule: str
    lasts: bool = field(default=False, metadata={LEFT_OUT: True})
    done_by: EventKind | None = field(default=None, metadata={LEFT_OUT: True})

    def done_on(self, events: Iterable[Event]) -> dt.date | None:
        """Return the day on which it was done, by the events recorded; None if it was not, or no event tells."""
        return first_day(events, self.done_by) if self.done_by is not None else None

    @property
    def said(self) -> str:
        """The duty in one line, its day first."""
        when = "no day is set" if self.by is None else f"{'until' if self.lasts else 'by'} {self.by}"
        return f"{when}: {self.words}"


@dataclass(frozen=True, slots=True)
class Claim:
    """What one pack says of the request by itself; nothing that another pack refuses is in it.

    ``owed`` is what the pack alone would have owed, None where it is refused. ``answer_by`` is the last day to answer
    under this pack, whatever the answer; where there is none, ``no_answer_day`` says why. ``on_refusal`` is what is
    owed if it is refused, by a rule or later by a person.
    """

    pack: str
    title: str
    outcome: Outcome
    category: str | None
    refusal: Refusal | None
    owed: Owed | None
    answer_by: dt.date | None
    no_answer_day: str = ""
    duties: tuple[Duty, ...] = ()
    on_refusal: tuple[Duty, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided about one request, and why. ``packs`` is the digest of the packs it was judged by.

    ``owed`` of a request on hold or in review is what it would be owed once granted; its deadline runs all the same.
    ``overrides`` say in words which rule prevailed over which. ``claims`` has one entry per pack under which something
    was claimed; decisions of earlier versions have none. ``duties`` are all that is owed beside the removal; where no
    day runs at all, ``no_due`` says why.
    """

    request: str
    outcome: Outcome
    category: str
    owed: Owed | None
    refusal: Refusal | None
    reasons: tuple[Reason, ...]
    packs: str
    decided: dt.date
    overrides: tuple[str, ...] = ()
    claims: tuple[Claim, ...] = field(default=(), metadata={LEFT_OUT: True})
    duties: tuple[Duty, ...] = field(default=(), metadata={LEFT_OUT: True})
    no_due: str = field(default="", metadata={LEFT_OUT: True})

    @property
    def put_back_by(self) -> dt.date | None:
        """The last day to put material back, where a counter-notice is open; a hold does not stop that day."""
        windows = self.owed.deadlines if self.owed is not None else ()
        return min((due.by for due in windows if due.of is Part.PUT_BACK and due.by), default=None)

    @property
    def due(self) -> dt.date | None:
        """The last day to do what is decided: remove, put back under a counter-notice, or answer a refusal."""
        if self.outcome is Outcome.ON_HOLD and self.put_back_by is not None:
            return self.put_back_by
        if self.outcome is not Outcome.DENIED and self.owed is not None and self.owed.deadline is not None:
            return self.owed.deadline
        return min(self._answers(), default=None)

    def _answers(self) -> Iterator[dt.date]:
        yield from (claim.answer_by for claim in self.claims if claim.answer_by)
        if self.outcome is Outcome.DENIED:
            for claim in self.claims:
                yield from (duty.by for duty in claim.on_refusal if duty.by and not duty.lasts)

    @property
    def digest(self) -> str:
        """Digest of the decision as recorded."""
        return digest_of(self)

    def says_the_same(self, other: "Decision") -> bool:
        """Return whether two decisions differ in nothing but the day on which they were made."""
        return replace(self, decided=other.decided) == other
