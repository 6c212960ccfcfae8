"""Rule packs as frozen values; :mod:`policies.packs.load` reads them from YAML.

A rule is a condition (see :mod:`policies.packs.conditions`), words, a citation with its date, and what follows when the
condition holds. Every value here refuses a field it does not know, and a combination that promises less than it says:
a grant without a guarantee, a denial without its reason, a hold without a category.
"""

import datetime as dt
import re
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar, Literal

from lineage.records import LEFT_OUT, digest_of
from policies.events import EventKind
from policies.taxonomy import Confinement, Family, Guarantee, Outcome, Part, Refusal, Scope, shown_by

MAX_DAYS = 36_525
"""The longest period a rule or a fact may give: a hundred years of days, a typing error beyond."""

_NEW: dict[str, Any] = {LEFT_OUT: True}
"""Metadata of fields that rules written before do not have: while unused they do not change a pack's digest."""
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def is_name(text: str) -> bool:
    """Whether a text can be the name of a pack or the id of a rule."""
    return _NAME.fullmatch(text) is not None


class Strict:
    """Base of what is written in YAML: an unknown field is refused."""

    __slots__ = ()
    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}


@dataclass(frozen=True, slots=True)
class Extension(Strict):
    """An extension of a deadline by months or days, if the requester is told within the first period."""

    months: int = 0
    days: int = 0
    told_within_months: int = 0
    told_within_days: int = 0

    def __post_init__(self) -> None:
        if (self.months > 0) == (self.days > 0):
            raise ValueError("an extension is by `months` or by `days`, one of them")
        if (self.told_within_months > 0) == (self.told_within_days > 0):
            raise ValueError("give `told_within_months` or `told_within_days`, one of them")


@dataclass(frozen=True, slots=True)
class Stop:
    """Two events between which a clock stands still, as pairs ``from`` and ``until`` in a pack.

    The days between are added to the period; with ``anew`` the whole period runs from the day of ``until``.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {
        "extra": "forbid",
        "alias_generator": lambda name: name.rstrip("_"),
    }

    from_: EventKind
    until: EventKind | tuple[EventKind, ...]
    anew: bool = False

    @property
    def ends(self) -> tuple[EventKind, ...]:
        """The kinds of events of which any one ends the stop."""
        return self.until if isinstance(self.until, tuple) else (self.until,)

    def __post_init__(self) -> None:
        if not self.ends or self.from_ in self.ends:
            raise ValueError("a clock stops `from` one kind of event `until` another")


@dataclass(frozen=True, slots=True)
class Deadline(Strict):
    """When something is due, counted from receipt or an event, or the date a fact gives.

    One of ``months`` (calendar months), ``days``, ``business_days`` or ``fact`` (the name of a fact with an ISO date).
    ``days_fact`` names a fact whose number of days goes before ``days``. ``calendar`` is a country (``US``, ``DE-BY``)
    or market (``ECB``) of the `holidays` library; ``roll`` moves a last day that is no working day there to the next,
    and so for the extended date and the last day to tell of it. ``saturdays`` counts Saturdays as business days.

    ``from_event`` counts from the first event of that kind that nothing has ended, instead of receipt. ``stops`` say
    when the clock stands still. ``not_before`` makes it a window: the first day, counted as the last one is. ``of``
    says which part is due.
    """

    months: int = 0
    days: int = 0
    business_days: int = 0
    fact: str | None = None
    days_fact: str | None = None
    calendar: str | None = None
    roll: bool = False
    extension: Extension | None = None
    of: Part | None = field(default=None, metadata=_NEW)
    from_event: EventKind | None = field(default=None, metadata=_NEW)
    stops: Stop | tuple[Stop, ...] = field(default=(), metadata=_NEW)
    not_before: int = field(default=0, metadata=_NEW)
    saturdays: bool = field(default=False, metadata=_NEW)
    read: bool = field(default=True, metadata=_NEW)
    """Whether the text that sets the period was read; see :attr:`Rule.read`."""

    @property
    def all_stops(self) -> tuple[Stop, ...]:
        """The stops as a tuple, one of them written alone included."""
        return self.stops if isinstance(self.stops, tuple) else (self.stops,)

    def __post_init__(self) -> None:
        periods = (self.months, self.days, self.business_days)
        if min(periods) < 0 or max(periods) > MAX_DAYS:
            raise ValueError(f"a period is between 1 and {MAX_DAYS}")
        if sum(period > 0 for period in periods) + (self.fact is not None) != 1:
            raise ValueError("give exactly one of `months`, `days`, `business_days`, `fact`")
        if self.days_fact is not None and not self.days:
            raise ValueError("`days_fact` needs `days`, which hold when the fact is absent")
        if (self.business_days or self.roll) and not self.calendar:
            raise ValueError("business days and `roll` need a `calendar`, such as US or DE-BY")
        if self.extension and not (self.months or self.days):
            raise ValueError("only a deadline in `months` or `days` can have an `extension`")
        if self.fact is not None and (self.from_event or self.stops or self.not_before):
            raise ValueError(
                "a date that a `fact` gives has no `from_event`, `stops` or `not_before`: the fact says it"
            )
        if self.saturdays and not self.business_days:
            raise ValueError("`saturdays` says how `business_days` are counted; give those")
        if not 0 <= self.not_before <= max(periods):
            raise ValueError("`not_before` is no more than the period itself, counted in the same unit")


@dataclass(frozen=True, slots=True)
class Sparing(Strict):
    """Data that an order spares under a condition, for example if its people consent by a day."""

    words: str
    by: Deadline | None = None

    def __post_init__(self) -> None:
        if not self.words.strip():
            raise ValueError("`words` must say which data is spared")


@dataclass(frozen=True, slots=True)
class DutySpec(Strict):
    """A duty of the operator beside the removal, to do something or to keep it, and by when.

    ``by`` is the last day to do it, ``until`` the day until which it lasts (a record to be kept); neither, where the
    source gives no day, which ``words`` should say. ``counted_from`` is the day of receipt, or the last day for the
    answer of the same pack (the latest that a period can begin, so that it never ends too early). ``done_by`` is the
    kind of event that fulfills it, as ``refusal-told`` does where the requester is to be told of a refusal.
    """

    words: str
    by: Deadline | None = None
    until: Deadline | None = None
    counted_from: Literal["receipt", "answer"] = "receipt"
    done_by: EventKind | None = field(default=None, metadata=_NEW)

    def __post_init__(self) -> None:
        if not self.words.strip():
            raise ValueError("the `words` of a duty must say something")
        if self.by is not None and self.until is not None:
            raise ValueError("a duty is done `by` a day or lasts `until` one, not both")
        if self.done_by is not None and self.until is not None:
            raise ValueError("a duty that lasts `until` a day has no event that it is `done_by`")
        if any(day is not None and day.extension is not None for day in (self.by, self.until)):
            raise ValueError("only the `deadline` of a rule can have an `extension`")


@dataclass(frozen=True, slots=True)
class Effect(Strict):
    """The effect of a rule that fires; a field that is left out has none."""

    outcome: Outcome | None = None
    refusal: Refusal | None = None
    category: str | None = None
    guarantee: Literal["approximate", "certified", "exact"] | None = None
    families: tuple[Family, ...] | None = None
    scope: Scope | None = None
    deadline: Deadline | None = None
    deadlines: tuple[Deadline, ...] = field(default=(), metadata=_NEW)
    """More deadlines, each with what it is ``of``."""
    spares: Sparing | None = field(default=None, metadata=_NEW)
    acknowledge: Deadline | None = None
    approvals: int | None = None
    evidence: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    utility_floor: float | None = None
    reaches_core: bool = False
    """Whether the rule holds for data declared not removable, too; without such a rule a person decides."""
    reaches_everyone: bool = field(default=False, metadata={LEFT_OUT: True})
    """Whether the rule holds for the data of several people, too; without such a rule a person decides."""
    without_identity: bool = field(default=False, metadata={LEFT_OUT: True})
    """Whether the rule grants though the requester was not identified; without such a rule a person decides."""
    duties: tuple[DutySpec, ...] = field(default=(), metadata={LEFT_OUT: True})
    """What is owed under every outcome."""
    on_refusal: tuple[DutySpec, ...] = field(default=(), metadata={LEFT_OUT: True})
    """What is owed when the claim under this pack is refused, or a hold keeps the data: the reasons, an appeal."""

    def __post_init__(self) -> None:
        if self.outcome is Outcome.GRANTED and self.guarantee is None:
            raise ValueError("a rule that grants must say which `guarantee` is owed")
        if self.outcome is Outcome.DENIED and self.refusal is None:
            raise ValueError(
                f"a rule that denies has a `refusal`, which is the reason; give one of {', '.join(Refusal)}"
            )
        if self.outcome is not Outcome.DENIED and self.refusal is not None:
            raise ValueError("only a rule with `outcome: denied` has a `refusal`; take it out, or let the rule deny")
        if self.outcome is Outcome.ON_HOLD and not self.category:
            raise ValueError("a rule that puts on hold must say its `category`")
        if self.families is not None and not self.families:
            raise ValueError("an empty list of `families` admits nothing; leave it out to admit all")
        if self.approvals is not None and not 1 <= self.approvals <= 20:
            raise ValueError("`approvals` is between 1 and 20")
        if self.utility_floor is not None and not 0 <= self.utility_floor <= 1:
            raise ValueError("`utility_floor` is a share between 0 and 1")
        if any(not _NAME.fullmatch(name) for name in self.evidence):
            raise ValueError("`evidence` names checks, in lower case with hyphens")

    @property
    def due(self) -> tuple[Deadline, ...]:
        """All its deadlines."""
        return (*((self.deadline,) if self.deadline else ()), *self.deadlines)

    @property
    def periods(self) -> tuple[tuple[str, Deadline], ...]:
        """Every period of the rule, with the name of its place in the pack."""
        named = [("deadline", self.deadline), ("acknowledge", self.acknowledge)]
        named += [(f"deadlines.{number}", deadline) for number, deadline in enumerate(self.deadlines)]
        for label, duties in (("duties", self.duties), ("on_refusal", self.on_refusal)):
            named += [(f"{label}.{number}", duty.by or duty.until) for number, duty in enumerate(duties)]
        if self.spares is not None:
            named.append(("spares.by", self.spares.by))
        return tuple((label, deadline) for label, deadline in named if deadline is not None)

    @property
    def promised(self) -> Guarantee | None:
        """The guarantee as the ordered value."""
        return Guarantee.named(self.guarantee) if self.guarantee else None


@dataclass(frozen=True, slots=True)
class Rule(Strict):
    """One rule. ``dated`` is when its source took effect or was issued.

    ``read`` is false where the text of the source was not read when the rule was written: what is known of it came from
    elsewhere. Such a rule, or one with such a period, only sends to a person; it neither grants nor denies.
    """

    id: str
    when: str
    words: str
    citation: str
    dated: dt.date
    then: Effect = Effect()
    read: bool = field(default=True, metadata=_NEW)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.id):
            raise ValueError(f"invalid rule id {self.id!r}: use lower case, digits and hyphens")
        if not self.words.strip() or not self.citation.strip():
            raise ValueError("`words` and `citation` must say something")
        if not self.all_read and self.then.outcome not in (None, Outcome.NEEDS_REVIEW):
            raise ValueError(
                f"its source, or that of a period in it, was not read (`read: false`), so its outcome can only be "
                f"needs-review, not {self.then.outcome}; read the text, give the period a rule of its own, or, in a "
                "table, the rows that were read a table and a rule of their own"
            )

    @property
    def all_read(self) -> bool:
        """Whether the texts of the rule and of all its periods were read."""
        return self.read and all(deadline.read for _, deadline in self.then.periods)

    @property
    def effect(self) -> Effect:
        """What follows when the rule fires: ``then``, and a person where a text was not read."""
        return self.then if self.all_read else replace(self.then, outcome=Outcome.NEEDS_REVIEW)


FactType = Literal["bool", "int", "text", "date"]


@dataclass(frozen=True, slots=True)
class FactSpec(Strict):
    """A fact a pack may ask for: its type and what it means. ``one_of`` lists the only texts it may be."""

    type: FactType
    words: str
    one_of: tuple[str, ...] = field(default=(), metadata={LEFT_OUT: True})

    def __post_init__(self) -> None:
        if self.one_of and self.type != "text":
            raise ValueError("`one_of` is for a fact of type text")

    @property
    def said(self) -> str:
        """The type, and the only values if it has some."""
        return f"{self.type}: {', '.join(self.one_of)}" if self.one_of else self.type

    @property
    def wanted(self) -> str:
        """What a value must be, in words."""
        return f"one of {', '.join(self.one_of)}" if self.one_of else _WANTED[self.type]


_WANTED: dict[FactType, str] = {
    "bool": "true or false (yes or no)",
    "int": "a whole number",
    "text": "text",
    "date": "a date (YYYY-MM-DD)",
}


@dataclass(frozen=True, slots=True)
class ConfinementSpec(Strict):
    """How a removal under a pack must be shown, by every rule of it: ``confinement`` at the top of the pack.

    ``accepts`` is the weakest confinement accepted of the runs that show it: ``namespace``, ``landlock`` or
    ``process``. With ``equal_bits`` a second run must reach the same bytes as well.
    """

    accepts: Confinement = Confinement.NAMESPACE
    equal_bits: bool = True

    @property
    def words(self) -> str:
        """What is accepted, in words."""
        return shown_by(self.accepts, equal_bits=self.equal_bits)


@dataclass(frozen=True)
class Pack(Strict):
    """Rules of one regime. ``applies`` is the condition under which they are looked at at all.

    ``confinement`` holds for everything that the pack grants, or adds to what others grant; it stands once, at the top,
    and not in each rule. A pack that states none is held to the strictest.
    """

    pack: str
    title: str
    version: str
    applies: str
    rules: tuple[Rule, ...]
    facts: dict[str, FactSpec] = field(default_factory=dict)
    confinement: ConfinementSpec = field(default=ConfinementSpec(), metadata=_NEW)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.pack) or self.pack in RESERVED_PACKS:
            raise ValueError(
                f"invalid pack name {self.pack!r}: use lower case, digits and hyphens, not `house`, not `review`"
            )
        if not self.rules:
            raise ValueError("a pack without a rule decides nothing; give it at least one")
        ids = [rule.id for rule in self.rules]
        twice = sorted({rule for rule in ids if ids.count(rule) > 1})
        if twice:
            raise ValueError(f"rule id {', '.join(twice)} is used twice")
        for name in self.facts:
            if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or name in RESERVED_FACTS:
                raise ValueError(f"invalid fact name {name!r}: use lower case, underscores, not a reserved one")
        if self.claims and self.confinement.accepts is Confinement.PROCESS and not self.confinement.equal_bits:
            raise ValueError(
                "nothing shows a removal by a run that is neither confined nor repeated: write `equal_bits: true` in "
                "`confinement`, or accept landlock or namespace"
            )

    @property
    def claims(self) -> bool:
        """Whether the pack gives a right that can be claimed: whether a rule of it grants, or would if it were read.

        A pack that grants nothing only adds to others: its reviews and holds bind whether or not they grant.
        """
        return any(
            rule.then.outcome is Outcome.GRANTED or (rule.then.guarantee is not None and not rule.all_read)
            for rule in self.rules
        )

    @property
    def unread(self) -> tuple[Rule, ...]:
        """The rules of which a text was not read."""
        return tuple(rule for rule in self.rules if not rule.all_read)

    @cached_property
    def digest(self) -> str:
        """Digest over everything the pack says."""
        return digest_of(self)


RESERVED_PACKS = ("house", "review")
"""What the reasons are filed under that no pack gives: the rules of the house, and what a person decided."""
RESERVED_FACTS: dict[str, FactSpec] = {
    "legal_hold": FactSpec("bool", "the data must be preserved; nothing is removed until the hold is lifted"),
    "also_under": FactSpec("text", "other regimes the request falls under, separated by commas"),
}
"""Facts every pack may read and none may redefine."""
