"""Findings of an audit, their rules, and their forms for people and programs.

>>> found = Finding(UNREGISTERED_INPUT, "router", "it used an unrecorded digest", "register the shard")
>>> found.id, found.level.value, exit_code([found])
('DSG001', 'error', 1)

Rules kept here:

- a rule's identifier never changes its meaning and is never used again, because a CI system remembers it;
- a finding says nothing that changes from one day to the next for the same matter, so its fingerprint stays;
- ``fact`` is where the ledger says it, so that a reader lands on that line; lines move, so no fingerprint holds it;
- names come from other people's files: control and direction characters go out when a finding is made, so that no form
  can forget it; a terminal's markup is left alone here and switched off where it is drawn;
- JUnit knows no warning: what fails the gate is a failure there, the rest is printed with a case that passes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.metadata import version

from lineage.printable import printable
from lineage.records import Json, digest_of


class Level(StrEnum):
    """How much a finding matters; only an error fails a gate, unless it is strict. The words are SARIF's."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Rule:
    """What an audit looks for. ``level`` is the usual one; a finding may be milder and says why."""

    id: str
    title: str
    level: Level
    help: str


UNREGISTERED_INPUT = Rule(
    "DSG001",
    "Unregistered training input",
    Level.ERROR,
    "A live component or release rests on a digest that no fact in the ledger records, so its origin is unknown.",
)
DIGEST_MISMATCH = Rule(
    "DSG002",
    "Digest mismatch",
    Level.ERROR,
    "Bytes that something live rests on are missing, or are not what their digest says.",
)
TRAINED_ON_WITHDRAWN = Rule(
    "DSG003",
    "Component trained on a withdrawn item",
    Level.ERROR,
    "A live component learned, in any role and through any other component, from a shard that was withdrawn.",
)
REINTRODUCED = Rule(
    "DSG004",
    "Withdrawn item reintroduced",
    Level.ERROR,
    "A live shard holds an item that was withdrawn before.",
)
AFFECTED_RELEASE = Rule(
    "DSG005",
    "Live release with an affected component",
    Level.ERROR,
    "A release is served although one of its components was retired or learned from withdrawn data.",
)
OVERDUE = Rule(
    "DSG006",
    "Overdue request",
    Level.ERROR,
    "A request is open, or a refusal not answered, although the day by which it had to be has passed.",
)
BROKEN_LEDGER = Rule(
    "DSG007",
    "Broken ledger",
    Level.ERROR,
    "The chain of facts does not hold, so nothing else could be looked at.",
)
MISSING_LICENSE = Rule(
    "DSG008",
    "Missing license",
    Level.WARNING,
    "A live shard says neither for itself nor per item under which license it is held, or is core without a basis.",
)
ON_HOLD = Rule(
    "DSG009",
    "Request on hold",
    Level.NOTE,
    "A request waits for a hold to end, its own or another's: it is not overdue, and not done.",
)
PURGE_OVERDUE = Rule(
    "DSG010",
    "Overdue purge",
    Level.ERROR,
    "Old weights and withdrawn items are still kept although the day until which they were to be has come.",
)
PRIVATE_LOST = Rule(
    "DSG011",
    "Private file lost",
    Level.ERROR,
    "A key or a file of the private folder that something recorded or under way needs is missing or damaged.",
)
PURGED_BACK = Rule(
    "DSG012",
    "Purged bytes are back",
    Level.ERROR,
    "Old weights or a withdrawn shard that a purge deleted lie in the workspace again.",
)

REPORT_CHANGED = Rule(
    "DSG013",
    "Report is not the one recorded",
    Level.ERROR,
    "A closed request's signed report is missing, was edited, or is another one than the ledger recorded.",
)
SIGNING_KEY_CHANGED = Rule(
    "DSG014",
    "Signing key changed",
    Level.ERROR,
    "The workspace's public key is missing, does not belong to the private key, or is not the one that signed reports.",
)
LEDGER_REWRITTEN = Rule(
    "DSG015",
    "Ledger contradicts a signed report",
    Level.ERROR,
    "A signed report names a ledger that the ledger here does not continue: facts were rewritten, removed or replaced.",
)
FACTS_LOST = Rule(
    "DSG016",
    "Facts lost",
    Level.WARNING,
    "The last facts of the ledger were lost, and the loss was accepted: what they recorded is not known any more.",
)
UNRECORDED_MODEL = Rule(
    "DSG017",
    "Registered model without a record",
    Level.WARNING,
    "A version of a model is registered in MLflow, and no recorded composition explains it: it may have learned from "
    "removed data and be served. It is an error where its source or its run names what was removed.",
)
HELD_DESTROYED = Rule(
    "DSG019",
    "Held items destroyed",
    Level.ERROR,
    "Items that an open hold covers were withdrawn or deleted for another request. A warning once the hold ended.",
)
SERVICE_AGAINST_HOLD = Rule(
    "DSG020",
    "Service is not as a hold wants it",
    Level.ERROR,
    "A release is served although it learned from items whose hold says that such models are not. A warning where one "
    "is still out of service for a hold that is over.",
)
UNATTESTED = Rule(
    "DSG021",
    "Component without attestation",
    Level.NOTE,
    "A live release has a component for which no signed attestation of the run that made it holds, nor of all that it "
    "was made from: where it came from is shown by the operator's record.",
)
BELOW_DEMAND = Rule(
    "DSG022",
    "Attestation below what a request demands",
    Level.WARNING,
    "A plan of an open request keeps a component whose attestation does not reach the confinement that the request's "
    "packs demand.",
)
BAD_ATTESTATION = Rule(
    "DSG023",
    "Attestation does not hold",
    Level.ERROR,
    "An attestation that the ledger names is missing, edited, signed by a foreign key, of another workspace, or about "
    "something else: nothing stands on it.",
)
UNSEARCHED = Rule(
    "DSG024",
    "Location that cannot be searched",
    Level.ERROR,
    "A location of a third party cannot be loaded, or fails when it is asked what is there again of what was purged: "
    "no removal is certified until it can.",
)

RULES = (
    UNREGISTERED_INPUT,
    DIGEST_MISMATCH,
    TRAINED_ON_WITHDRAWN,
    REINTRODUCED,
    AFFECTED_RELEASE,
    OVERDUE,
    BROKEN_LEDGER,
    MISSING_LICENSE,
    ON_HOLD,
    PURGE_OVERDUE,
    PRIVATE_LOST,
    PURGED_BACK,
    REPORT_CHANGED,
    SIGNING_KEY_CHANGED,
    LEDGER_REWRITTEN,
    FACTS_LOST,
    UNRECORDED_MODEL,
    HELD_DESTROYED,
    SERVICE_AGAINST_HOLD,
    UNATTESTED,
    BELOW_DEMAND,
    BAD_ATTESTATION,
    UNSEARCHED,
)
"""Every rule, by identifier. New ones are added at the end; DSG018 is no longer used."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding: the rule, ``where`` (the name of what it is about), what is the matter, and what to do next.

    ``severity`` is set when it is another than the rule's usual level. ``fact`` is the place, from 1, of the fact that
    it is about: that line of the ledger.
    """

    rule: Rule
    where: str
    words: str
    next: str
    severity: Level | None = None
    fact: int | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        for name in ("where", "words", "next"):
            object.__setattr__(self, name, printable(getattr(self, name)))

    @property
    def id(self) -> str:
        """The rule's stable identifier."""
        return self.rule.id

    @property
    def title(self) -> str:
        """The rule's title."""
        return self.rule.title

    @property
    def level(self) -> Level:
        """How much it matters."""
        return self.severity or self.rule.level

    @property
    def fingerprint(self) -> str:
        """Digest by which a CI system recognizes the same finding."""
        return digest_of([self.id, self.where, self.words])


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return findings without repeats, errors first, then by identifier and name."""
    ranks = list(Level)
    return tuple(sorted(dict.fromkeys(findings), key=lambda f: (ranks.index(f.level), f.id, f.where, f.words)))


def fails(finding: Finding, *, strict: bool = False) -> bool:
    """Whether a finding fails a gate: an error does, and with ``strict`` a warning too."""
    return finding.level is Level.ERROR or (strict and finding.level is Level.WARNING)


def exit_code(findings: Iterable[Finding], *, strict: bool = False) -> int:
    """Return 1 when any finding fails the gate, else 0."""
    return int(any(fails(finding, strict=strict) for finding in findings))


def summary(findings: Sequence[Finding]) -> str:
    """Return one line that counts findings by level.

    >>> summary([])
    'no findings'
    """
    counts = [(level, sum(f.level is level for f in findings)) for level in Level]
    return ", ".join(f"{n} {level}{'s' if n > 1 else ''}" for level, n in counts if n) or "no findings"


COLUMNS = ("id", "level", "title", "where", "what", "next")
"""The columns of :func:`rows`."""


def rows(findings: Iterable[Finding]) -> list[tuple[str, ...]]:
    """Return a row of plain text per finding, under :data:`COLUMNS`."""
    return [(f.id, f.level.value, f.title, f.where, f.words, f.next) for f in findings]


def to_json(findings: Sequence[Finding], *, strict: bool = False) -> Json:
    """Return findings as plain values, with the exit code they call for."""
    listed = [
        {
            "id": f.id,
            "level": f.level.value,
            "title": f.title,
            "where": f.where,
            "words": f.words,
            "next": f.next,
            "fingerprint": f.fingerprint,
            "fact": f.fact,
        }
        for f in findings
    ]
    return {"findings": listed, "summary": summary(findings), "exit": exit_code(findings, strict=strict)}


def tool_version() -> str:
    """Return the version of this distribution, as SARIF names its tool."""
    return version("disgorge")
