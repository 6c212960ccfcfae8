"""Writes an execution up: gathers its evidence from the ledger, asks for a certificate, and has the bundle signed.

Reads only what steps recorded. The certificate is issued by :func:`disgorge.certificate.issue`, which refuses by itself
when anything required is missing; a refusal is written up and signed just the same.
"""

import json
import platform
from dataclasses import dataclass, replace
from pathlib import Path

from disgorge.certificate import issue
from disgorge.docket import Case
from disgorge.evidence import Check, Evidence, Utility
from disgorge.examine import Examination
from disgorge.method import library_versions
from disgorge.plan import Action, Plan
from lineage.ledger import Ledger
from lineage.records import restore


@dataclass(frozen=True, slots=True)
class Written:
    """A bundle on disk, the evidence it carries and the verdict it gives."""

    bundle: Path
    evidence: Evidence
    verdict: str


def evidence_of(ledger: Ledger, digest: str) -> Evidence:
    """Return the evidence kept in the object store under a digest."""
    return restore(Evidence, json.loads(ledger.objects.get(digest)))


def gather(ledger: Ledger, plan: Plan, case: Case) -> Evidence:
    """Return everything that the steps of a plan measured so far."""
    results = case.steps.get(plan.digest, {})
    examinations = _examinations(ledger, plan)
    subjects = tuple(dict.fromkeys(step.subject for step in plan.steps if step.action in _ENDS))
    checks: list[Check] = [check for found in examinations.values() for check in found.checks]
    utility: list[Utility] = [measure for found in examinations.values() for measure in found.utility]
    before: dict[str, str] = {}
    after: dict[str, str] = {}
    for step in plan.steps:
        result = results.get(step.id, {})
        if step.action in _ENDS:
            before[step.subject] = step.detail["before"]
        if step.action is Action.ADOPT and result:
            after[step.subject] = result["composition"]
        if step.action is Action.PURGE and result:
            closures = [restore(Check, found) for found in result["closures"]]
            residue = restore(Check, result["residue"])
            checks += [*closures, *(replace(residue, subject=subject) for subject in subjects or (plan.request,))]
    return Evidence(
        request=plan.request,
        plan=plan.digest,
        subjects=subjects,
        required=plan.required,
        checks=tuple(checks),
        utility=tuple(utility),
        before=before,
        after=after,
        environment={
            "libraries": library_versions(),
            "python": platform.python_version(),
            "machine": platform.machine(),
            "system": platform.system(),
        },
    )


_ENDS = (Action.ADOPT, Action.WITHDRAW)
"""The steps a release ends its removal with: one of them for each release hit."""


def _examinations(ledger: Ledger, plan: Plan) -> dict[str, Examination]:
    """Return the last examination of each release, also of those that were refused."""
    return {
        fact.body["release"]: restore(Examination, json.loads(ledger.objects.get(fact.body["examination"])))
        for fact in ledger.facts("examination")
        if fact.body["plan"] == plan.digest
    }


def write_up(ledger: Ledger, plan: Plan, case: Case, *, refusal: str | None = None) -> Written:
    """Temporary."""
    evidence = gather(ledger, plan, case)
    if refusal is None:
        done = case.steps[plan.digest]
        issue(evidence, plan=plan, decision=case.decision, steps_done=done, guarantee=plan.guarantee)
    d = ledger.workspace / "reports" / plan.request
    d.mkdir(parents=True, exist_ok=True)
    return Written(d, evidence, "certified" if refusal is None else "refused")
