"""A report that was lost, written again from what the ledger and the object store keep of the execution."""

from disgorge.errors import CertificateRefused, DisgorgeError
from disgorge.report.bundle import write_bundle
from disgorge.report.compile import Written, evidence_of, key_of, report_case, report_fact
from disgorge.request.case import Case, begun_plan
from disgorge.workspace_lock import turn
from lineage.workspace import Workspace


def write_again(workspace: Workspace, case: Case) -> Written:
    """Write a closed request's report again, sign it, and record that.

    The evidence is what was recorded; the date, the ledger's head and the key are those of now. Raises
    :class:`DisgorgeError` if the request is not closed with a report, :class:`CertificateRefused` if the
    evidence does not carry the certificate.
    """
    request = case.request.id
    if not ((case.closed or case.partly_done) and case.report):
        raise DisgorgeError(f"request {request} is {case.state} and has no report to write again; carry it out first")
    with turn(workspace, then=f"run `disgorge request report {request} --again`"):
        plan = begun_plan(workspace, case.report.get("plan", "")).seen_by(request)
        report = report_case(workspace, plan, case, evidence_of(workspace, case.report["evidence"]))
        if report.refusal is not None:
            raise CertificateRefused(report.refusal)
        bundle = write_bundle(workspace.root / "reports" / request, report, key=key_of(workspace), replace=True)
        written = Written(bundle, report.evidence, report.verdict, None)
        left_out = {"left_out": case.report["left_out"]} if case.report.get("left_out") else {}
        workspace.ledger.append("report", report_fact(workspace, written) | left_out)
        return written
