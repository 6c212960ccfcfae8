"""The in-toto statement a report signs: its subjects are the new artifacts, its predicate what was done and shown.

Source: in-toto Attestation Framework, Statement v1. The predicate's shape is :mod:`disgorge.statement.predicate`,
published as ``schemas/removal-v4.json``; it names every other file of the bundle by SHA-256, except
``certificate.pdf``, which carries this statement and has a signature of its own. Where nothing new was made, because a
release was destroyed, the execution refused or another request's removal was found to cover this one, the subject is
the plan.
"""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import disgorge
from disgorge.errors import DisgorgeError
from disgorge.evidence.checks import Evidence
from disgorge.plan.plan import Plan, Share
from disgorge.statement.certificate import Certificate
from disgorge.statement.limitations import not_shown
from disgorge.statement.predicate import (
    PREDICATE_TYPE,
    STATEMENT_TYPE,
    By,
    LedgerHead,
    MethodUsed,
    Named,
    Predicate,
    Promise,
    RemedyDone,
    remedy_steps,
    report_named_by,
    subjects_of,
)
from disgorge.statement.tolerance import DEFAULT, Tolerance
from lineage.plural import counted
from lineage.records import Composition, Cost, Impact, Json, digest_of, plain
from policies.decision import Decision
from policies.request import RemovalRequest

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

__all__ = [
    "PREDICATE_TYPE",
    "STATEMENT_TYPE",
    "MethodNote",
    "RecipeNote",
    "ReportCase",
    "RetainedShard",
    "remedy_steps",
]

ALWAYS_NOT_PROMISED = (
    "This report is not legal advice and does not claim compliance with any law.",
    "An attack that finds nothing does not prove that nothing is left; bit-for-bit equality is the stronger evidence.",
    "Nothing is said about data that a frozen, declared core was trained on before it came here.",
    "Copies in backups, in version-control history or in the hands of third parties are not covered.",
    "The report shows tampering, it does not prevent it; only re-execution by an outsider binds a dishonest operator.",
    "Checks that need the model as it was ran before it was destroyed; only their recorded results remain.",
)
"""What every report says it does not claim, whatever was done."""


@dataclass(frozen=True, slots=True)
class MethodNote:
    """A method that took part: its citation, what it does not guarantee, and how far another environment may be off."""

    name: str
    version: str
    citation: str
    promises_not: tuple[str, ...]
    tolerance: Tolerance = DEFAULT


@dataclass(frozen=True, slots=True)
class RecipeNote:
    """How a component of a new composition came to be: all it takes to make it again, and what it ran on.

    Either is ``{}`` if it was not recorded.
    """

    component: str
    name: str
    kind: str
    recipe: dict[str, Json]
    environment: dict[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RetainedShard:
    """A shard that recipes read: what it is called, how many items it has, and its hash in DVC if it has one."""

    digest: str
    name: str
    count: int
    dvc: str | None


@dataclass(frozen=True, slots=True)
class ReportCase:
    """Everything a report is written from.

    Exactly one of ``certificate`` and ``refusal`` is there. ``costs`` maps a step's id to what it took. ``samples``
    maps a release to samples before and after, shape (n, h, w), in [0, 1]. ``compositions`` are the new ones by
    release, ``recipes`` those of all their components, ``shards`` what these read. ``facts`` are the ledger's facts
    about this request, each with seq, at, kind, body, previous, digest; ``ledger`` is its head.
    ``issued`` is in the controller's time zone: deadlines are compared with the day there. ``until`` is the deadline
    after an extension. ``attached`` holds inputs and weights, by their names in the bundle.
    ``signed_by`` is the id of the key that signs the statement, ``pdf`` whether a PDF goes with it.
    """

    request: RemovalRequest
    impact: Impact
    decision: Decision
    plan: Plan
    evidence: Evidence
    certificate: Certificate | None
    refusal: str | None
    costs: Mapping[str, Cost]
    lineage_svg: str
    methods: tuple[MethodNote, ...]
    residuals: tuple[str, ...]
    compositions: Mapping[str, Composition]
    recipes: tuple[RecipeNote, ...]
    shards: tuple[RetainedShard, ...]
    facts: tuple[Mapping[str, Json], ...]
    ledger: LedgerHead
    issued: dt.datetime
    samples: Mapping[str, tuple["Array", "Array"]] | None = None
    until: dt.date | None = None
    attached: Mapping[str, bytes] = field(default_factory=dict)
    signed_by: str = ""
    pdf: bool = False

    def __post_init__(self) -> None:
        if (self.certificate is None) == (not self.refusal):
            raise DisgorgeError(
                f"report on {self.request.id}: give a certificate or the reasons of a refusal, not both"
            )
        if self.issued.tzinfo is None:
            raise DisgorgeError(f"report on {self.request.id}: the time of issue has no time zone; give it with one")

    @property
    def verdict(self) -> str:
        """``certified`` or ``refused``."""
        return "certified" if self.certificate else "refused"

    @property
    def subjects(self) -> dict[str, str]:
        """What the statement is about, by name and SHA-256."""
        return subjects_of(self.plan, self.compositions, certified=self.certificate is not None)

    @property
    def share(self) -> Share | None:
        """The request's share of a joint plan, None where the plan is for this request alone."""
        return self.plan.share_of(self.request.id)

    @property
    def deadline(self) -> dt.date | None:
        """By when the request must be answered, an extension counted."""
        return self.until or (self.decision.owed.deadline if self.decision.owed else None)

    @property
    def steps_done(self) -> frozenset[str]:
        """The ids of the plan's steps whose completion the ledger recorded."""
        return steps_recorded(self.facts, self.plan.digest)

    @property
    def not_promised(self) -> tuple[str, ...]:
        """Every sentence about what is not claimed: of the methods, of the steps, of this case, of every report."""
        said = [sentence for note in self.methods for sentence in note.promises_not]
        return tuple(dict.fromkeys((*self.residuals, *said, *always_not_promised(self.plan))))

    @property
    def not_shown(self) -> tuple[str, ...]:
        """Every sentence about what the evidence leaves open."""
        return not_shown(self.evidence)


def always_not_promised(plan: Plan) -> tuple[str, ...]:
    """Return the sentences that no report under this plan may leave out."""
    caveats = [step.caveat for step in remedy_steps(plan) if step.caveat]
    kept = [f"The request is fulfilled only in part: {each.words}." for each in plan.left_out]
    return tuple(dict.fromkeys((*kept, *_of_all(plan), *caveats, *ALWAYS_NOT_PROMISED)))


def _of_all(plan: Plan) -> list[str]:
    """Say what a report under a joint plan tells of all its requests, and not of this one alone."""
    if not plan.together:
        return []
    return [
        f"The removal was carried out together with that for {counted(len(plan.others), 'other request')}: what was "
        "measured, and what it took, is of all of them; no part of it was measured for this one apart."
    ]


def statement_of(case: ReportCase, files: Mapping[str, str]) -> dict[str, Json]:
    """Return the statement; ``files`` maps every file of the bundle that it covers to its SHA-256."""
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": name, "digest": {"sha256": digest}} for name, digest in sorted(case.subjects.items())],
        "predicateType": PREDICATE_TYPE,
        "predicate": plain(_predicate(case, files)),
    }


def _predicate(case: ReportCase, files: Mapping[str, str]) -> Predicate:
    guarantee = case.certificate.guarantee if case.certificate else None
    return Predicate(
        verdict="certified" if case.certificate else "refused",
        issued=case.issued.astimezone(dt.UTC).isoformat(timespec="seconds"),
        by=By("disgorge", disgorge.__version__),
        request=Named(case.request.id, case.request.digest),
        decision=case.decision.digest,
        plan=case.plan.digest,
        evidence=digest_of(case.evidence),
        guarantee=Promise(guarantee.label, guarantee.words) if guarantee is not None else None,
        certificate=case.certificate,
        refusal=case.refusal,
        remedies=tuple(RemedyDone.of(step, case.costs.get(step.id)) for step in remedy_steps(case.plan)),
        full_cost=case.plan.full_cost,
        not_promised=case.not_promised,
        not_shown=case.not_shown,
        methods=tuple(MethodUsed(note.name, note.version, note.citation, note.tolerance) for note in case.methods),
        environment=case.evidence.environment,
        ledger=case.ledger,
        fulfilled_by=report_named_by(case.plan),
        pdf=case.pdf,
        files=dict(files),
    )


def steps_recorded(facts: Iterable[Mapping[str, Json]], plan: str) -> frozenset[str]:
    """Return the ids of the plan's steps that facts say are done."""
    bodies = [fact["body"] for fact in facts if fact["kind"] in ("step", "fulfilled")]
    return frozenset(body["step"] for body in bodies if body.get("plan") == plan)
