"""Writes an execution up: gathers its evidence from the ledger, asks for a certificate, and has the bundle signed.

Reads only what steps recorded. The certificate is issued by :func:`disgorge.statement.certificate.issue`, which refuses
by itself when anything required is missing; a refusal is written up and signed just the same.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from disgorge.attestation.workspace_key import key_of
from disgorge.errors import CertificateRefused, DisgorgeError, UnknownMethod
from disgorge.evidence.checks import Check, Evidence, Examination, Utility
from disgorge.evidence.tolerance import tolerance_of
from disgorge.examination.coverage import with_names
from disgorge.facts import ExaminationFact, ReportFact
from disgorge.locations.exports import note_bundle
from disgorge.locations.report_images import drawings, outlived
from disgorge.plan.details import RenewalDetail
from disgorge.plan.plan import Action, Plan
from disgorge.plan.results import Adopted, Purged, Result, Retrained, Searched
from disgorge.report.artifacts import attestations_of, made_by, not_known_before, weights_and_inputs
from disgorge.report.bundle import ReportCase, write_bundle, write_zip, zip_of
from disgorge.request.case import Case, begun_plan
from disgorge.request.stored_records import kept_record
from disgorge.request.workflow.choices import choices
from disgorge.request.workflow.impact import impact_as_planned
from disgorge.statement.certificate import Certificate, issue
from disgorge.statement.predicate import LedgerHead, MethodUsed
from disgorge.statement.signing import key_id
from disgorge.training.code.known import KnownMethod
from disgorge.training.environment import environment
from disgorge.training.runners.declared import maker_of
from disgorge.workspace_lock import turn
from lineage.catalog.catalog import Catalog
from lineage.catalog.svg import draw_impact
from lineage.ledger.losses import losses_of
from lineage.records import Cost, Impact, canonical, plain
from lineage.storage.tensors import load_tensors
from lineage.workspace import Workspace

if TYPE_CHECKING:
    from disgorge.method import Array


@dataclass(frozen=True, slots=True)
class Written:
    """A bundle on disk, the evidence it carries and the verdict it gives."""

    bundle: Path
    evidence: Evidence
    verdict: str
    refusal: str | None


def evidence_of(workspace: Workspace, digest: str) -> Evidence:
    """Return the evidence kept in the object store under a digest."""
    return kept_record(workspace, Evidence, digest)


def write_up(workspace: Workspace, plan: Plan, case: Case, *, refusal: str | None = None) -> Written:
    """Gather the evidence, ask for a certificate unless ``refusal`` says why there can be none, and sign the bundle."""
    report = report_case(workspace, plan, case, gather(workspace, plan, case), refusal=refusal)
    bundle = write_bundle(workspace.root / "reports" / plan.request, report, key=key_of(workspace))
    return Written(bundle, report.evidence, report.verdict, report.refusal)


def write_with_inputs(workspace: Workspace, plan: Plan, case: Case) -> Path:
    """Write the closed request's bundle once more, with inputs and weights, as ``reports/<request>-with-inputs.zip``.

    What the retained shards hold leaves the workspace with it, and no later removal reaches a copy: it names the bundle
    (:mod:`disgorge.locations.exports`), which is why none runs meanwhile. The evidence is that of the report, not
    measured again. Raises :class:`DisgorgeError` if no report was written yet.
    """
    recorded = case.last_report
    with turn(workspace, then=f"run `disgorge request report {plan.request} --with-inputs`"):
        evidence = evidence_of(workspace, recorded.evidence)
        report = report_case(workspace, plan, case, evidence)
        attached = weights_and_inputs(workspace, report)
        path = workspace.root / "reports" / f"{plan.request}-with-inputs.zip"
        used = {digest for note in report.recipes for digest in note.uses("artifact")}
        note_bundle(workspace, plan.request, path.name, [*used, *(shard.digest for shard in report.inputs)])
        return write_zip(path, replace(report, attached=attached), key=key_of(workspace))


def write_again(workspace: Workspace, case: Case) -> Written:
    """Write a closed request's report again, sign it, and record that.

    The evidence is what was recorded; the date, the ledger's head and the key are those of now. Raises
    :class:`DisgorgeError` if the request is not closed with a report, :class:`CertificateRefused` if the
    evidence does not carry the certificate.
    """
    request = case.request.id
    recorded = case.report if case.closed or case.partly_done else None
    if recorded is None:
        raise DisgorgeError(f"request {request} is {case.state} and has no report to write again; carry it out first")
    with turn(workspace, then=f"run `disgorge request report {request} --again`"):
        plan = begun_plan(workspace, recorded.plan).seen_by(request)
        report = report_case(workspace, plan, case, evidence_of(workspace, recorded.evidence))
        if report.refusal is not None:
            raise CertificateRefused(report.refusal)
        bundle = write_bundle(workspace.root / "reports" / request, report, key=key_of(workspace))
        written = Written(bundle, report.evidence, report.verdict, None)
        workspace.ledger.record(report_fact(workspace, written, left_out=recorded.left_out))
        return written


def report_case(
    workspace: Workspace, plan: Plan, case: Case, evidence: Evidence, *, refusal: str | None = None
) -> ReportCase:
    """Return all that a report is written from, with the certificate if it can be issued."""
    if case.decision is None:
        raise DisgorgeError(f"request {plan.request} is not decided; run `disgorge request decide {plan.request}`")
    impact, (compositions, recipes, inputs) = impact_as_planned(workspace, plan), made_by(workspace, evidence)
    used = _makers(workspace, impact)
    done, samples = case.done(plan.digest), _samples(workspace, plan)
    recorded = workspace.ledger.all_facts()
    certificate: Certificate | None = None
    if refusal is None:
        try:
            certificate = issue(evidence, plan=plan, decision=case.decision, steps_done=done, guarantee=plan.guarantee)
        except CertificateRefused as refused:
            refusal = str(refused)
    return ReportCase(
        request=case.request,
        impact=impact,
        decision=case.decision,
        plan=plan.seen_by(case.request.id),
        evidence=evidence,
        certificate=certificate,
        refusal=refusal,
        costs=_costs(plan, case),
        lineage_svg=draw_impact(impact) if plan.confirmation is None else "",
        methods=tuple(MethodUsed(m.name, m.version, m.citation, tolerance_of(m)) for m in used),
        residuals=(
            *(f"The ledger is not complete: {loss.words}." for loss in losses_of(workspace.ledger.facts())),
            *residuals_of(plan, done, drawn=bool(samples)),
            *not_known_before(workspace, evidence),
            *_choices(workspace, plan, impact_as_planned(workspace, plan, of=case.request.id)),
            *(sentence for method in used for sentence in method.promises_not),
        ),
        compositions=compositions,
        recipes=recipes,
        attestations=attestations_of(workspace, recipes),
        inputs=inputs,
        facts=tuple(plain(fact) for fact in case.facts),
        ledger=LedgerHead(len(recorded), recorded[-1].digest, recorded[0].digest),
        issued=workspace.local_time(),
        samples=samples,
        until=case.until,
    )


def _choices(workspace: Workspace, plan: Plan, impact: Impact) -> tuple[str, ...]:
    """Return in sentences which choices stay: of the releases hit, and of those chosen on what was removed."""
    if plan.confirmation is not None:
        return plan.choices
    with Catalog.of(workspace) as catalog:
        shards = [change.before.name for change in impact.shards]
        return choices(catalog, shards, of=[hit.release.id for hit in impact.releases])


def _makers(workspace: Workspace, impact: Impact) -> list[KnownMethod]:
    """Return the methods that made the releases hit, one of each name; what came from elsewhere has none.

    Of a method that made several releases it promises nothing that it does not promise of one of them.
    """
    found: dict[str, KnownMethod] = {}
    for composition in (hit.composition for hit in impact.releases if hit.composition.spec):
        with suppress(UnknownMethod):
            made = maker_of(workspace, composition)
            others = found[made.name].promises_not if made.name in found else ()
            found[made.name] = replace(made, promises_not=tuple(dict.fromkeys((*others, *made.promises_not))))
    return list(found.values())


def report_fact(workspace: Workspace, written: Written, *, left_out: int = 0) -> ReportFact:
    """Return the fact that a report was written, its evidence kept in the object store.

    The SHA-256 of the zip and the id of the key let an audit tell this report from every other.
    """
    return ReportFact(
        request=written.evidence.request,
        plan=written.evidence.plan,
        bundle=written.bundle.relative_to(workspace.root).as_posix(),
        zip=sha256(zip_of(written.bundle).read_bytes()).hexdigest(),
        key=key_id((written.bundle / "public.pem").read_bytes()),
        evidence=workspace.objects.put(canonical(written.evidence)),
        verdict=written.verdict,
        left_out=left_out,
    )


def gather(workspace: Workspace, plan: Plan, case: Case) -> Evidence:
    """Return everything that the steps of a plan measured so far."""
    results, whole = case.done(plan.digest), plan.requests[0]
    examinations = examinations_of(workspace, plan)
    subjects = tuple(dict.fromkeys(step.subject for step in plan.steps if step.action in _ENDS))
    checks: list[Check] = [check for found in examinations.values() for check in found.checks]
    utility: list[Utility] = [measure for found in examinations.values() for measure in found.utility]
    before: dict[str, str] = {}
    after: dict[str, str] = {}
    for step in plan.steps:
        result = results.get(step.id)
        if step.action in _ENDS:
            before[step.subject] = step.detail_as(RenewalDetail).before
        if isinstance(result, Adopted):
            after[step.subject] = result.composition
        if isinstance(result, Searched):
            residue, found = with_names(workspace, result.residue), result.closures
            checks += [replace(each, subject=plan.request) if each.subject == whole else each for each in found]
            checks += [replace(residue, subject=subject) for subject in subjects or (plan.request,)]
    return Evidence(
        request=plan.request,
        plan=plan.digest,
        subjects=subjects,
        required=plan.required,
        checks=tuple(checks),
        utility=tuple(utility),
        before=before,
        after=after,
        environment=environment(),
    )


_ENDS = (Action.ADOPT, Action.WITHDRAW)
"""The steps a release ends its removal with: one of them for each release hit."""


def examinations_of(workspace: Workspace, plan: Plan) -> dict[str, Examination]:
    """Return the last examination of each release, also of those that were refused."""
    return {
        examined.release: kept_record(workspace, Examination, examined.examination)
        for _, examined in workspace.ledger.said(ExaminationFact)
        if examined.plan == plan.digest
    }


def _costs(plan: Plan, case: Case) -> dict[str, Cost]:
    """Return what each step took: the seconds of the step, and what was trained in it."""
    found = {}
    for step_id, result in case.steps.get(plan.digest, {}).items():
        trained = result.cost if isinstance(result, Retrained) else Cost()
        found[step_id] = Cost(trained.examples, trained.steps, case.seconds[plan.digest][step_id])
    return found


def residuals_of(plan: Plan, done: Mapping[str, Result], *, drawn: bool) -> tuple[str, ...]:
    """Return what could not be reached or was kept, as the steps said it; ``drawn`` if samples are shown."""
    said: list[str] = []
    for step in plan.steps:
        result = done.get(step.id, Result())
        said += result.residuals
        if isinstance(result, Purged):
            said += [*result.residuals_of.get(plan.request, ()), *result.kept]
    if drawn:
        said.append(
            "The samples drawn before removal are part of this report and of the evidence it names; a holder of the "
            "report holds what the old generator drew."
        )
    return tuple(dict.fromkeys(said))


def _samples(workspace: Workspace, plan: Plan) -> "dict[str, tuple[Array, Array]]":
    """Return what generators drew before and after, by release; not what a later removal has deleted."""
    found, gone = {}, outlived(drawings(workspace))
    for release, examination in examinations_of(workspace, plan).items():
        if examination.samples is not None and examination.samples not in gone:
            pictures = load_tensors(workspace.objects.get(examination.samples))
            found[release] = (pictures["before"], pictures["after"])
    return found
