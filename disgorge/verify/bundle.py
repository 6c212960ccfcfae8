"""What a report claims, derived again from what it carries. Pure: bytes in, findings or :class:`BundleBroken` out.

The order matters to whoever sends garbage and to the reader of an error: first that the files are the ones signed, and
only then is anything read; that each record is what it says; that they belong together; that the ledger's facts bear
them out; that the new artifacts are those of the evidence; last that the certificate follows from the evidence.
"""

import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from disgorge.errors import BundleBroken, CertificateRefused
from disgorge.evidence.checks import Evidence
from disgorge.plan.plan import Plan
from disgorge.statement.bundle_zip import is_name
from disgorge.statement.canonical_json import AGAIN, record
from disgorge.statement.certificate import Certificate, issue
from disgorge.statement.limitations import not_reached, not_shown
from disgorge.statement.predicate import (
    EARLIER_TYPES,
    PREDICATE_TYPE,
    STATEMENT_TYPE,
    LedgerHead,
    Named,
    Predicate,
    RemedyDone,
    remedy_steps,
    report_named_by,
)
from disgorge.statement.signing import Opened, is_signed, key_id
from disgorge.statement.statement import always_not_promised, steps_recorded
from disgorge.verify.artifacts import Artifacts, check_artifacts
from disgorge.verify.facts import SLICE, check_facts, facts_of_slice
from lineage.plural import counted
from lineage.records import Impact, Json, canonical, digest_of, plain, restore
from policies.decision import Decision
from policies.request import RemovalRequest

STATEMENT, PDF, PDF_SIGNATURE = "statement.json", "certificate.pdf", "certificate.pdf.sig"

FILES = frozenset(
    {
        "compositions.json",
        "decision.json",
        "evidence.json",
        "impact.json",
        "inputs.json",
        "ledger-slice.jsonl",
        "plan.json",
        "public.pem",
        "recipes.json",
        "report.html",
        "request.json",
    }
)
"""What the statement covers at least; besides these there may be inputs and weights, and nothing else."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a sound bundle says, read back, and the sentences about what was checked."""

    predicate: Predicate
    request: RemovalRequest
    plan: Plan
    evidence: Evidence
    certificate: Certificate | None
    subjects: dict[str, str]
    artifacts: Artifacts
    facts: tuple[Mapping[str, Json], ...]
    checked: tuple[str, ...]

    @property
    def words(self) -> str:
        """The certificate's words, or why there is none."""
        return self.certificate.words if self.certificate else str(self.predicate.refusal)


def check_bundle(opened: Opened, members: Mapping[str, bytes]) -> Found:
    """Return what the bundle says if everything in it bears out everything else.

    ``opened`` is the statement in ``statement.json``, its signature checked.
    """
    check_signed_files(opened, members)
    predicate = _predicate(opened.statement)
    request = record(RemovalRequest, "request.json", members)
    decision = record(Decision, "decision.json", members)
    plan = _plan_for(request, record(Plan, "plan.json", members))
    evidence = record(Evidence, "evidence.json", members)
    impact = record(Impact, "impact.json", members)
    _check_links(predicate, request, decision, plan, evidence)
    facts = facts_of_slice(members[SLICE])
    _check_head(facts, predicate.ledger)
    check_facts(facts, request, decision, plan, impact, certified=predicate.certificate is not None)
    artifacts = check_artifacts(members, plan=plan, evidence=evidence)
    subjects = _check_subjects(opened.statement, artifacts, plan, certified=predicate.certificate is not None)
    certificate = _check_certificate(predicate, decision, plan, evidence, facts)
    _check_words(predicate, plan, evidence)
    return Found(
        predicate,
        request,
        plan,
        evidence,
        certificate,
        subjects,
        artifacts,
        tuple(facts),
        checked=(
            f"the statement's signature{' and that of the PDF' * predicate.pdf}, by key {opened.key_id[:16]}",
            f"{len(members)} files, every byte covered by a signature",
            "request, decision, plan, impact and evidence by their canonical digests, and that they belong together",
            f"{len(facts)} facts by their digests, none after the ledger's head {predicate.ledger.digest[:16]}",
            f"{counted(len(artifacts.recipes), 'component')} of "
            f"{counted(len(artifacts.compositions), 'new composition')} by their digests, and that no recipe names a "
            f"shard that was withdrawn",
            *(["the certificate, issued again from the evidence"] if certificate else []),
            *(_pointed_to(predicate.fulfilled_by) if predicate.fulfilled_by else []),
        ),
    )


def _plan_for(request: RemovalRequest, plan: Plan) -> Plan:
    """Return a plan as a request reads it; what it is not for is found out with the other links."""
    if not plan.together:
        return plan
    first, names = plan.together[0], [share.request for share in plan.together]
    if (first.request, first.decision, first.left_out) != (plan.request, plan.decision, plan.left_out):
        raise BundleBroken(f"plan.json is not for the requests that it names; {AGAIN}")
    if len(set(names)) != len(names):
        raise BundleBroken(f"plan.json names a request twice; {AGAIN}")
    return plan.seen_by(request.id) if request.id in names else plan


def check_signed_files(opened: Opened, members: Mapping[str, bytes]) -> None:
    """Check that every file is the one that was signed, the public key and the PDF included."""
    if is_earlier(opened.statement):
        raise BundleBroken(
            f"{STATEMENT} is of an earlier format ({str(opened.statement['predicateType'])[:60]}) and is not read any "
            "more; verify the report with the version of disgorge that wrote it"
        )
    _check_files(signed_files(opened), members)
    if key_id(members["public.pem"]) != opened.key_id:
        raise BundleBroken(f"public.pem is not the key that signed the statement; {AGAIN}")
    _check_pdf(members, announced=opened.statement["predicate"].get("pdf") is True)


def is_earlier(statement: Mapping[str, Json]) -> bool:
    """Whether a statement is of a format that an earlier version wrote."""
    return str(statement.get("predicateType")).startswith(EARLIER_TYPES)


def _pointed_to(report: Named) -> list[str]:
    return [
        f"that it points to the report on {report.id}, whose {STATEMENT} has the SHA-256 {report.digest}: the removal "
        f"itself is shown there, and that report was not looked at; verify it too"
    ]


def signed_files(opened: Opened) -> dict[str, str]:
    """Return name to SHA-256 of the files that the statement covers."""
    try:
        covered = dict(opened.statement["predicate"]["files"])
        sound = all(isinstance(text, str) for pair in covered.items() for text in pair)
    except Exception as error:  # signed nonsense is nonsense
        raise BundleBroken(f"{STATEMENT} lacks what a removal statement must say; {AGAIN}") from error
    if not sound or set(covered) & {STATEMENT, PDF, PDF_SIGNATURE}:
        raise BundleBroken(f"{STATEMENT} does not name the files of a report; {AGAIN}")
    return covered


def _check_files(signed: Mapping[str, str], members: Mapping[str, bytes]) -> None:
    for name in sorted(FILES | set(signed)):
        if name not in members:
            raise BundleBroken(f"{name} is missing; ask for the whole report")
        if name not in signed:
            raise BundleBroken(f"{name} is not covered by the signature; {AGAIN}")
        if sha256(members[name]).hexdigest() != signed[name]:
            raise BundleBroken(f"{name} was edited: its SHA-256 is not the one signed; {AGAIN}")
        if name not in FILES and not (is_name(name) and "/" in name):
            raise BundleBroken(f"{name[:80]!r} is signed and yet not part of a report; {AGAIN}")
    for name in sorted(set(members) - set(signed) - {STATEMENT, PDF, PDF_SIGNATURE}):
        raise BundleBroken(f"{name} is not part of the report and not signed; remove it, or {AGAIN}")


def _check_pdf(members: Mapping[str, bytes], *, announced: bool) -> None:
    """Check that the PDF is there if the statement says so, is signed by its key, and carries it."""
    for name in (PDF, PDF_SIGNATURE):
        if announced and name not in members:
            raise BundleBroken(f"{name} is missing; ask for the whole report")
        if not announced and name in members:
            raise BundleBroken(f"{name} is not part of the report and not signed; remove it, or {AGAIN}")
    if not announced:
        return
    if not is_signed(members[PDF], members[PDF_SIGNATURE], public=members["public.pem"]):
        raise BundleBroken(f"{PDF} was edited: {PDF_SIGNATURE} is not its signature; {AGAIN}")
    if not carries(members[PDF], members[STATEMENT]):
        raise BundleBroken(f"{PDF} does not carry the statement; {AGAIN}")


def _predicate(statement: Mapping[str, Json]) -> Predicate:
    if statement.get("_type") != STATEMENT_TYPE or statement.get("predicateType") != PREDICATE_TYPE:
        raise BundleBroken(f"{STATEMENT} is not a removal statement of a version known here; {AGAIN}")
    try:
        predicate = restore(Predicate, statement["predicate"])
        certified = predicate.certificate is not None
        sound = (
            canonical(predicate) == canonical(statement["predicate"])
            and certified == (predicate.verdict == "certified")
            and certified == (predicate.guarantee is not None)
            and certified == (not predicate.refusal)
        )
    except Exception as error:  # whatever pydantic, rfc8785 and hostile values make of it
        raise BundleBroken(f"{STATEMENT} lacks what a removal statement must say; {AGAIN}") from error
    if not sound:
        raise BundleBroken(f"{STATEMENT} lacks what a removal statement must say; {AGAIN}")
    return predicate


def _check_links(
    predicate: Predicate, request: RemovalRequest, decision: Decision, plan: Plan, evidence: Evidence
) -> None:
    links = (
        ("request.json", request.id, predicate.request.id, "is another request than the statement's"),
        ("request.json", request.digest, predicate.request.digest, "is not the request the statement names"),
        ("decision.json", decision.digest, predicate.decision, "is not the decision the statement names"),
        ("decision.json", decision.request, request.id, "decides another request"),
        ("plan.json", plan.digest, predicate.plan, "is not the plan the statement names"),
        ("plan.json", plan.request, request.id, "is a plan for another request"),
        ("plan.json", plan.decision, decision.digest, "was made for another decision"),
        ("evidence.json", digest_of(evidence), predicate.evidence, "is not the evidence the statement names"),
        ("evidence.json", evidence.request, request.id, "is about another request"),
        ("evidence.json", evidence.plan, plan.digest, "is about another plan"),
    )
    for name, found, expected, complaint in links:
        if found != expected:
            raise BundleBroken(f"{name} {complaint}; {AGAIN}")


def _check_head(facts: Sequence[Mapping[str, Json]], head: LedgerHead) -> None:
    """Check that no fact lies after the ledger's head that the statement names, or differs from it in its place."""
    after = [fact for fact in facts if fact["seq"] > head.size]
    if after or any(fact["seq"] == head.size and fact["digest"] != head.digest for fact in facts):
        raise BundleBroken(f"{SLICE} does not fit the ledger's head that the statement names; {AGAIN}")


def _check_subjects(
    statement: Mapping[str, Json], artifacts: Artifacts, plan: Plan, *, certified: bool
) -> dict[str, str]:
    """Return the subjects, which must be the evidence's new compositions and their members, and nothing else."""
    subjects = artifacts.subjects(plan, certified=certified)
    listed = [{"name": name, "digest": {"sha256": digest}} for name, digest in sorted(subjects.items())]
    if statement.get("subject") != listed or len(statement) != 4:
        raise BundleBroken(f"{STATEMENT} is about other artifacts than the evidence; {AGAIN}")
    return subjects


def _check_certificate(
    predicate: Predicate,
    decision: Decision,
    plan: Plan,
    evidence: Evidence,
    facts: Sequence[Mapping[str, Json]],
) -> Certificate | None:
    """Issue the certificate again and compare."""
    claimed = predicate.certificate
    if claimed is None:
        return None
    try:
        done = steps_recorded(facts, plan.digest)
        issued = issue(evidence, plan=plan, decision=decision, steps_done=done, guarantee=claimed.guarantee)
    except CertificateRefused as refusal:
        raise BundleBroken(f"{STATEMENT} claims a certificate the evidence does not carry: {refusal}") from refusal
    except (
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
    ) as error:  # a plan whose details are not what they should be
        raise BundleBroken(f"{STATEMENT} carries no certificate that can be read; {AGAIN}") from error
    promise = predicate.guarantee
    if issued != claimed or promise is None:
        raise BundleBroken(f"{STATEMENT} carries another certificate than its evidence does; {AGAIN}")
    if (promise.label, promise.words) != (issued.guarantee.label, issued.guarantee.words):
        raise BundleBroken(f"{STATEMENT} words its guarantee otherwise than the certificate; {AGAIN}")
    return issued


def _check_words(predicate: Predicate, plan: Plan, evidence: Evidence) -> None:
    """Check what a maker would gladly leave out: what is not promised, not shown, and what was planned."""
    planned = [RemedyDone.of(step, None) for step in remedy_steps(plan)]
    told = [
        RemedyDone(r.step, r.subject, r.release, r.remedy, r.guarantee, r.expected, None) for r in predicate.remedies
    ]
    if predicate.fulfilled_by != report_named_by(plan):
        raise BundleBroken(f"{STATEMENT} points to another report than the plan; {AGAIN}")
    if told != planned or predicate.full_cost != plan.full_cost:
        raise BundleBroken(f"{STATEMENT} tells other remedies than the plan has; {AGAIN}")
    if plain(predicate.environment) != plain(evidence.environment):
        raise BundleBroken(f"{STATEMENT} names another environment than the evidence; {AGAIN}")
    try:
        left_open, unreached = not_shown(evidence), not_reached(evidence)
    except (ValueError, KeyError, TypeError, AttributeError) as error:  # signed nonsense is nonsense
        raise BundleBroken(f"evidence.json tells of its checks in a form not known here; {AGAIN}") from error
    if predicate.not_shown != left_open:
        raise BundleBroken(f"{STATEMENT} does not say what its evidence leaves open; {AGAIN}")
    if {*always_not_promised(plan), *unreached} - set(predicate.not_promised):
        raise BundleBroken(f"{STATEMENT} leaves out what every report must say is not promised; {AGAIN}")


def carries(pdf: bytes, statement: bytes) -> bool:
    """Whether one of the PDF's streams is the statement, byte for byte, packed with zlib or not at all."""
    for match in re.finditer(rb"\bstream\r?\n", pdf):
        start = match.end()
        if pdf.startswith(statement, start):
            return True
        try:
            if zlib.decompressobj().decompress(pdf[start:], len(statement) + 1) == statement:
                return True
        except zlib.error:
            continue
    return False
