"""The predicate of a removal statement, version 4: what it says, as frozen values that can be read back.

``schemas/removal-v4.json`` says the same without this code. Version 1 had no ledger head, environment, tolerance or
sentences on what is not shown; version 2 had a second, self-issued statement (``svr.json``) in place of the PDF's own
signature; version 3 had a Merkle root over the ledger. None is read any more: a report is verified with the
version that wrote it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from disgorge.plan.plan import Plan, Step
from disgorge.statement.certificate import Certificate
from disgorge.statement.tolerance import Tolerance
from lineage.records import Composition, Cost, Json
from policies.taxonomy import Remedy

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "urn:x-disgorge:removal:v4"
"""A name and no address: this project owns no domain, and so claims none."""
EARLIER_TYPES = ("https://disgorge.dev/removal/", "urn:x-disgorge:removal:v3")
"""How the types of versions 1 to 3 began."""


@dataclass(frozen=True, slots=True)
class By:
    """The program that wrote the statement."""

    name: str
    version: str


@dataclass(frozen=True, slots=True)
class Named:
    """A record by its id and digest."""

    id: str
    digest: str


@dataclass(frozen=True, slots=True)
class LedgerHead:
    """A ledger at one moment: how many facts it has, and the last one's digest, which covers all before it."""

    size: int
    digest: str


@dataclass(frozen=True, slots=True)
class Promise:
    """A guarantee, and what it means in words."""

    label: str
    words: str


@dataclass(frozen=True, slots=True)
class MethodUsed:
    """A method that took part, and how far weights trained in another environment may lie from those recorded."""

    name: str
    version: str
    citation: str
    tolerance: Tolerance


@dataclass(frozen=True, slots=True)
class RemedyDone:
    """What was planned for one component or release, and what it took; ``actual`` is None if it was not done."""

    step: str
    subject: str
    release: str | None
    remedy: str
    guarantee: str
    expected: Cost
    actual: Cost | None

    @classmethod
    def of(cls, step: Step, actual: Cost | None) -> "RemedyDone":
        """Return what a step of a plan says, with what it took."""
        return cls(step.id, step.subject, step.release, step.action.value, step.guarantee.label, step.cost, actual)


@dataclass(frozen=True, slots=True)
class Predicate:
    """What a statement says of its subjects.

    ``files`` maps every file it covers to its SHA-256; ``pdf`` is whether ``certificate.pdf`` and its signature go with
    it. ``fulfilled_by`` names the request whose removal covered this one, and the SHA-256 of its report's statement.
    """

    verdict: Literal["certified", "refused"]
    issued: str
    by: By
    request: Named
    decision: str
    plan: str
    evidence: str
    guarantee: Promise | None
    certificate: Certificate | None
    refusal: str | None
    remedies: tuple[RemedyDone, ...]
    full_cost: Cost
    not_promised: tuple[str, ...]
    not_shown: tuple[str, ...]
    methods: tuple[MethodUsed, ...]
    environment: dict[str, Json]
    ledger: LedgerHead
    fulfilled_by: Named | None
    pdf: bool
    files: dict[str, str]


def remedy_steps(plan: Plan) -> tuple[Step, ...]:
    """Return the steps that do something to a component or a release."""
    return tuple(step for step in plan.steps if step.action.value in {remedy.value for remedy in Remedy})


def report_named_by(plan: Plan) -> Named | None:
    """Return which report a plan that confirms another request's removal rests on, None for every other plan."""
    step = plan.confirmation
    return Named(str(step.detail.get("request")), str(step.detail.get("statement"))) if step is not None else None


def subjects_of(plan: Plan, compositions: Mapping[str, Composition], *, certified: bool) -> dict[str, str]:
    """Return what a statement is about: each new composition and its members by name, or else the plan."""
    found: dict[str, str] = {}
    for release, composition in sorted(compositions.items()) if certified else ():
        found[release] = composition.digest
        found |= {member.name: member.component for member in composition.members}
    return found or {f"plan of request {plan.request}": plan.digest}
