"""The in-toto statement a report signs: its subjects are the new artefacts, its predicate what was done and shown.

Source: in-toto Attestation Framework, Statement v1. The predicate's shape is ``schemas/removal-v1.json``; it names
every other file of the bundle by SHA-256, so one signature covers them all. Where nothing new was made, because a
release was destroyed or the execution refused, the subject is the plan: that is what the statement is then about.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import disgorge
from disgorge.certificate import Certificate
from disgorge.errors import DisgorgeError
from disgorge.evidence import Evidence
from disgorge.plan import Plan, Step
from lineage.records import Cost, Impact, Json, digest_of, plain
from policies.decision import Decision
from policies.request import RemovalRequest
from policies.taxonomy import Remedy

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://disgorge.dev/removal/v1"

ALWAYS_NOT_PROMISED = (
    "This report is no legal advice and does not claim compliance with any law.",
    "An attack that finds nothing does not prove that nothing is left; bit-for-bit equality is the stronger evidence.",
    "Nothing is said about data that a frozen, declared core was trained on before it came here.",
    "Copies in backups, in version-control history or in the hands of third parties are not covered.",
    "The report shows tampering, it does not prevent it; only re-execution by an outsider binds a dishonest operator.",
    "Checks that need the model as it was ran before it was destroyed; only their recorded results remain.",
)
"""What every report says it does not claim, whatever was done."""


@dataclass(frozen=True, slots=True)
class MethodNote:
    """A method that took part: its citation, and what it does not guarantee."""

    name: str
    version: str
    citation: str
    promises_not: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReportCase:
    """Everything a report is written from.

    Exactly one of ``certificate`` and ``refusal`` is there. ``costs`` maps a step's id to what it took. ``samples``
    maps a release to samples before and after, shape (n, h, w), in [0, 1]. ``subjects`` maps a new artefact's name to
    its SHA-256. ``facts`` are the ledger's facts about this request, each with seq, at, kind, body, previous, digest.
    ``until`` is the deadline after an extension.
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
    subjects: Mapping[str, str]
    facts: tuple[Mapping[str, Json], ...]
    issued: dt.datetime
    samples: Mapping[str, tuple["Array", "Array"]] | None = None
    until: dt.date | None = None

    def __post_init__(self) -> None:
        if (self.certificate is None) == (not self.refusal):
            raise DisgorgeError(
                f"report on {self.request.id}: give a certificate or the reasons of a refusal, not both"
            )
        if self.issued.tzinfo is None:
            raise DisgorgeError(f"report on {self.request.id}: the time of issue has no time zone; give it in UTC")

    @property
    def verdict(self) -> str:
        """``certified`` or ``refused``."""
        return "certified" if self.certificate else "refused"

    @property
    def deadline(self) -> dt.date | None:
        """By when the request must be answered, an extension counted."""
        return self.until or (self.decision.owed.deadline if self.decision.owed else None)

    @property
    def steps_done(self) -> frozenset[str]:
        """The ids of the plan's steps whose completion the ledger recorded."""
        bodies = [fact["body"] for fact in self.facts if fact["kind"] == "step"]
        return frozenset(body["step"] for body in bodies if body["plan"] == self.plan.digest)

    @property
    def not_promised(self) -> tuple[str, ...]:
        """Every sentence about what is not claimed: of the methods, of the steps, of this case, of every report."""
        said = [sentence for note in self.methods for sentence in note.promises_not]
        said += [step.caveat for step in remedy_steps(self.plan) if step.caveat]
        return tuple(dict.fromkeys((*self.residuals, *said, *ALWAYS_NOT_PROMISED)))


def remedy_steps(plan: Plan) -> tuple[Step, ...]:
    """Return the steps that do something to a component or a release."""
    return tuple(step for step in plan.steps if step.action.value in {remedy.value for remedy in Remedy})


def statement_of(case: ReportCase, files: Mapping[str, str]) -> dict[str, Json]:
    """Return the statement; ``files`` maps every other file of the bundle to its SHA-256."""
    artefacts = case.subjects if case.certificate else {}
    subjects = artefacts or {f"plan of request {case.request.id}": case.plan.digest}
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": name, "digest": {"sha256": digest}} for name, digest in sorted(subjects.items())],
        "predicateType": PREDICATE_TYPE,
        "predicate": _predicate(case, files),
    }


def _predicate(case: ReportCase, files: Mapping[str, str]) -> dict[str, Json]:
    guarantee = case.certificate.guarantee if case.certificate else None
    return {
        "verdict": case.verdict,
        "issued": case.issued.astimezone(dt.UTC).isoformat(timespec="seconds"),
        "by": {"name": "disgorge", "version": disgorge.__version__},
        "request": {"id": case.request.id, "digest": case.request.digest},
        "decision": case.decision.digest,
        "plan": case.plan.digest,
        "evidence": digest_of(case.evidence),
        "guarantee": {"label": guarantee.label, "words": guarantee.words} if guarantee is not None else None,
        "certificate": plain(case.certificate),
        "refusal": case.refusal,
        "remedies": [_remedy(step, case) for step in remedy_steps(case.plan)],
        "full_cost": plain(case.plan.full_cost),
        "not_promised": list(case.not_promised),
        "methods": [{"name": note.name, "version": note.version, "citation": note.citation} for note in case.methods],
        "files": dict(files),
    }


def _remedy(step: Step, case: ReportCase) -> dict[str, Json]:
    actual = case.costs.get(step.id)
    return {
        "step": step.id,
        "subject": step.subject,
        "release": step.release,
        "remedy": step.action.value,
        "guarantee": step.guarantee.label,
        "expected": plain(step.cost),
        "actual": plain(actual) if actual is not None else None,
    }
