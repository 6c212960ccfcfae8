"""What the facts of requests, plans and reports say: a frozen value for each kind of fact, checked when it is read.

The facts of lineage are in :mod:`lineage.ledger.fact_kinds`. Values that identify content are marks, and people are
pseudonyms: no fact holds personal data.
"""

import datetime as dt
from dataclasses import dataclass, field

from lineage.ledger.fact_kinds import FactBody
from lineage.records import LEFT_OUT, Json, Selector
from policies.decision import Decision
from policies.events import EventKind
from policies.request import RemovalRequest
from policies.taxonomy import Confinement


@dataclass(frozen=True, slots=True)
class RequestFact(FactBody):
    """A request was filed."""

    kind_of_fact = "request"
    request: RemovalRequest


@dataclass(frozen=True, slots=True)
class RequestAmendedFact(FactBody):
    """A request says something else from now on; ``changed`` are the fields that do."""

    kind_of_fact = "request-amended"
    request: str
    amended: RemovalRequest
    changed: tuple[str, ...]
    because: str


@dataclass(frozen=True, slots=True)
class RequestEventFact(FactBody):
    """Something happened in a request on a day."""

    kind_of_fact = "request-event"
    request: str
    kind: EventKind
    on: dt.date
    by: str
    facts: dict[str, Json]


@dataclass(frozen=True, slots=True)
class RequestClosedFact(FactBody):
    """A request ended: done, denied for a reason, fulfilled by another request's removal, or taken back."""

    kind_of_fact = "request-closed"
    request: str
    outcome: str
    reason: str = field(default="", metadata={LEFT_OUT: True})
    by: str = field(default="", metadata={LEFT_OUT: True})
    by_request: str = field(default="", metadata={LEFT_OUT: True})


@dataclass(frozen=True, slots=True)
class DecisionFact(FactBody):
    """A request was decided."""

    kind_of_fact = "decision"
    request: str
    decision: Decision


@dataclass(frozen=True, slots=True)
class DecisionConfirmedFact(FactBody):
    """A request was decided again and the earlier decision, by its digest, stands, perhaps with another deadline."""

    kind_of_fact = "decision-confirmed"
    request: str
    decision: str
    decided: dt.date
    deadline: dt.date | None = field(default=None, metadata={LEFT_OUT: True})


@dataclass(frozen=True, slots=True)
class DeadlineExtendedFact(FactBody):
    """The deadline of a request moved; ``told`` is the day on which the requester heard of it."""

    kind_of_fact = "deadline-extended"
    request: str
    until: dt.date
    reason: str
    told: dt.date | None = None


@dataclass(frozen=True, slots=True)
class HoldFact(FactBody):
    """A hold was put on or lifted; ``of`` is the reason of the one that is lifted."""

    kind_of_fact = "hold"
    request: str
    on: bool
    reason: str
    by: str | None = field(default=None, metadata={LEFT_OUT: True})
    until: dt.date | None = field(default=None, metadata={LEFT_OUT: True})
    serving: str | None = field(default=None, metadata={LEFT_OUT: True})
    selectors: tuple[Selector, ...] = field(default=(), metadata={LEFT_OUT: True})
    held_by: str | None = field(default=None, metadata={LEFT_OUT: True})
    items: int | None = field(default=None, metadata={LEFT_OUT: True})
    of: str | None = field(default=None, metadata={LEFT_OUT: True})


@dataclass(frozen=True, slots=True)
class NearReviewFact(FactBody):
    """A person judged near-duplicates, by their marks, to be the same items or other ones."""

    kind_of_fact = "near-review"
    request: str
    same: bool
    marks: tuple[str, ...]
    by: str
    because: str


@dataclass(frozen=True, slots=True)
class PlanFact(FactBody):
    """A plan was made from an impact. ``others`` are the other requests of a joint plan, ``own`` the impact of each."""

    kind_of_fact = "plan"
    request: str
    plan: str
    impact: str
    others: tuple[str, ...] = field(default=(), metadata={LEFT_OUT: True})
    own: dict[str, str] = field(default_factory=dict, metadata={LEFT_OUT: True})


@dataclass(frozen=True, slots=True)
class ApprovalFact(FactBody):
    """A person approved a plan."""

    kind_of_fact = "approval"
    plan: str
    by: str
    accepts_utility_loss: bool = field(default=False, metadata={LEFT_OUT: True})


@dataclass(frozen=True, slots=True)
class StepFact(FactBody):
    """A step of a plan is done; ``result`` is read by its action (:mod:`disgorge.plan.results`)."""

    kind_of_fact = "step"
    plan: str
    step: str
    action: str
    result: dict[str, Json]
    seconds: float


@dataclass(frozen=True, slots=True)
class ExaminationFact(FactBody):
    """A release was examined, the examination kept under its digest."""

    kind_of_fact = "examination"
    plan: str
    release: str
    examination: str


@dataclass(frozen=True, slots=True)
class OverlapFact(FactBody):
    """A withdrawal for ``by_request`` took ``removed`` of the ``of`` items that a request selects, ``items`` so far."""

    kind_of_fact = "overlap"
    request: str
    by_request: str
    removed: int
    of: int
    items: int


@dataclass(frozen=True, slots=True)
class FulfilledFact(FactBody):
    """Another request's removal was confirmed to cover a request, by the step of a plan that removes nothing."""

    kind_of_fact = "fulfilled"
    request: str
    by_request: str
    plan: str
    impact: str
    step: str
    result: dict[str, Json]


@dataclass(frozen=True, slots=True)
class PurgeHeldFact(FactBody):
    """The purge of a request waits until a day, or no more; ``plan`` is that of a joint one."""

    kind_of_fact = "purge-held"
    request: str
    until: dt.date | None
    because: str
    by: str
    plan: str = field(default="", metadata={LEFT_OUT: True})


@dataclass(frozen=True, slots=True)
class ReportFact(FactBody):
    """A report was written and signed: digests of its zip, key and evidence, and how many items a hold left out."""

    kind_of_fact = "report"
    request: str
    plan: str
    bundle: str
    zip: str
    key: str
    evidence: str
    verdict: str
    left_out: int = field(default=0, metadata={LEFT_OUT: True})


@dataclass(frozen=True, slots=True)
class BundleExportedFact(FactBody):
    """A bundle with the items of these shards is about to be written."""

    kind_of_fact = "bundle-exported"
    request: str
    name: str
    shards: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SigningKeyFact(FactBody):
    """A key of this workspace signs attestations from now on: its id and public half (PEM), as the seal proves."""

    kind_of_fact = "signing-key"
    key: str
    public: str
    seal: str


@dataclass(frozen=True, slots=True)
class AttestedFact(FactBody):
    """A run that made a component was attested. ``attestation`` is kept by digest, ``run`` counts the recipe's runs."""

    kind_of_fact = "attested"
    component: str
    recipe: str
    environment: str
    attestation: str
    level: Confinement
    run: int


@dataclass(frozen=True, slots=True)
class ComponentAcceptedFact(FactBody):
    """A person accepted what a component's recipe made, ``after``, in the place of what was recorded, ``before``."""

    kind_of_fact = "component-accepted"
    name: str
    before: str
    after: str
    by: str


@dataclass(frozen=True, slots=True)
class ReleaseServedAtFact(FactBody):
    """A release is served at another place as well, or no more."""

    kind_of_fact = "release-served-at"
    name: str
    alias: str
    place: str
    by: str
    stopped: bool
