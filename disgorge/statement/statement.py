"""The in-toto statement a report signs: its subjects are the new artifacts, its predicate what was done and shown.

Source: in-toto Attestation Framework, Statement v1. The predicate's shape is :mod:`disgorge.statement.predicate`,
published as ``schemas/removal-v6.json``; it names every other file of the bundle by SHA-256, except
``certificate.pdf``, which carries this statement and has a signature of its own. Where nothing new was made, because a
release was destroyed, the execution refused or another request's removal was found to cover this one, the subject is
the plan.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import disgorge
from disgorge.errors import DisgorgeError
from disgorge.plan.plan import Share
from disgorge.statement.certificate import Certificate
from disgorge.statement.limitations import Caveats, caveats
from disgorge.statement.predicate import (
    PREDICATE_TYPE,
    STATEMENT_TYPE,
    LedgerHead,
    MethodUsed,
    Predicate,
    subjects_of,
)
from disgorge.statement.records import Records
from lineage.records import Cost, Json, plain

if TYPE_CHECKING:
    from disgorge.method import Array


@dataclass(frozen=True, kw_only=True)
class ReportCase(Records):
    """Everything a report is written from: the records that it holds, and what its pages tell besides.

    Exactly one of ``certificate`` and ``refusal`` is there. ``costs`` maps a step's id to what it took. ``samples``
    maps a release to samples before and after, shape (n, h, w), in [0, 1]. ``ledger`` is the ledger's head.
    ``issued`` is in the controller's time zone: deadlines are compared with the day there. ``until`` is the deadline
    after an extension. ``attached`` holds inputs and weights, ``attestations`` those of the components, by their names
    in the bundle. ``residuals`` are sentences on what could not be reached or is not promised. ``signed_by`` is the id
    of the key that signs the statement, ``pdf`` whether a PDF goes with it.
    """

    certificate: Certificate | None
    refusal: str | None
    costs: Mapping[str, Cost]
    lineage_svg: str
    methods: tuple[MethodUsed, ...]
    residuals: tuple[str, ...]
    ledger: LedgerHead
    issued: dt.datetime
    samples: Mapping[str, tuple["Array", "Array"]] | None = None
    until: dt.date | None = None
    attached: Mapping[str, bytes] = field(default_factory=dict)
    attestations: Mapping[str, bytes] = field(default_factory=dict)
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
    def verdict(self) -> Literal["certified", "refused"]:
        """Whether there is a certificate."""
        return "certified" if self.certificate else "refused"

    @property
    def subjects(self) -> list[dict[str, Json]]:
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
    def caveats(self) -> Caveats:
        """Every sentence about what is not promised and not shown."""
        return caveats(self.plan, self.evidence, self.residuals)


def statement_of(case: ReportCase, files: Mapping[str, str]) -> dict[str, Json]:
    """Return the statement; ``files`` maps every file of the bundle that it covers to its SHA-256."""
    predicate = Predicate(
        verdict=case.verdict,
        issued=case.issued.astimezone(dt.UTC).isoformat(timespec="seconds"),
        by=f"disgorge {disgorge.__version__}",
        request=case.request.id,
        certificate=case.certificate,
        refusal=case.refusal,
        caveats=case.caveats,
        methods=case.methods,
        ledger=case.ledger,
        pdf=case.pdf,
        files=dict(files),
    )
    return {
        "_type": STATEMENT_TYPE,
        "subject": case.subjects,
        "predicateType": PREDICATE_TYPE,
        "predicate": plain(predicate),
    }
