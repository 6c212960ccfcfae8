"""What a report claims, derived again from what it carries. Pure: bytes in, findings or :class:`BundleBroken` out.

The order matters only to the reader of an error: first that the files are the ones signed, then that each record is
what it says, then that they belong together, then that the ledger's facts bear them out, last that the certificate
follows from the evidence.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TypeVar

from disgorge.certificate import Certificate, issue
from disgorge.errors import BundleBroken, CertificateRefused
from disgorge.evidence import Evidence
from disgorge.plan import Plan
from disgorge.signing import Opened, key_id
from disgorge.statement import PREDICATE_TYPE, STATEMENT_TYPE
from lineage.records import Impact, Json, canonical, digest_of, plain, restore
from policies.decision import Decision
from policies.request import RemovalRequest

FILES = frozenset(
    {
        "decision.json",
        "evidence.json",
        "impact.json",
        "ledger-slice.jsonl",
        "plan.json",
        "public.pem",
        "report.html",
        "request.json",
    }
)
"""What a bundle holds besides its statement: no less, and no more."""

_AGAIN = "ask for the report again"

Record = TypeVar("Record")


@dataclass(frozen=True, slots=True)
class Found:
    """What a sound bundle says, and the sentences about what was checked."""

    verdict: str
    request: str
    plan: str
    guarantee: str | None
    words: str
    subjects: dict[str, str]
    checked: tuple[str, ...]


def check_bundle(opened: Opened, files: Mapping[str, bytes]) -> Found:
    """Return what the bundle says if everything in it bears out everything else."""
    statement, predicate = opened.statement, _predicate(opened.statement)
    _check_files(predicate, files)
    if key_id(files["public.pem"]) != opened.key_id:
        raise BundleBroken(f"public.pem is not the key that signed the statement; {_AGAIN}")
    request = _record(RemovalRequest, "request.json", files)
    decision = _record(Decision, "decision.json", files)
    plan = _record(Plan, "plan.json", files)
    evidence = _record(Evidence, "evidence.json", files)
    _record(Impact, "impact.json", files)
    _check_links(predicate, request, decision, plan, evidence)
    facts = _facts(files["ledger-slice.jsonl"])
    _check_facts(facts, request, decision, plan, certified=predicate["verdict"] == "certified")
    certificate = _check_certificate(predicate, decision, plan, evidence, facts)
    return Found(
        verdict=predicate["verdict"],
        request=request.id,
        plan=plan.digest,
        guarantee=certificate.guarantee.label if certificate else None,
        words=certificate.words if certificate else predicate["refusal"],
        subjects={subject["name"]: subject["digest"]["sha256"] for subject in statement["subject"]},
        checked=(
            f"signature by key {opened.key_id[:16]}",
            f"{len(files)} files by their SHA-256",
            "request, decision, plan and evidence by their canonical digests, and that they belong together",
            f"{len(facts)} facts of the ledger by their digests in the chain",
            *(["the certificate, issued again from the evidence"] if certificate else []),
        ),
    )


def _predicate(statement: Mapping[str, Json]) -> dict[str, Json]:
    if statement.get("_type") != STATEMENT_TYPE or statement.get("predicateType") != PREDICATE_TYPE:
        raise BundleBroken(f"statement.json is not a removal statement of a version known here; {_AGAIN}")
    predicate = statement.get("predicate")
    try:
        shape = (
            isinstance(predicate, dict)
            and predicate["verdict"] in ("certified", "refused")
            and isinstance(predicate["files"], dict)
            and isinstance(predicate["request"]["id"], str)
            and all(isinstance(subject["digest"]["sha256"], str) for subject in statement["subject"])
            and (predicate["verdict"] == "certified") == (predicate["certificate"] is not None)
            and (predicate["verdict"] == "refused") == isinstance(predicate["refusal"], str)
        )
    except (KeyError, TypeError):
        shape = False
    if not shape:
        raise BundleBroken(f"statement.json lacks what a removal statement must say; {_AGAIN}")
    return dict(predicate)  # type: ignore[arg-type] # its shape was checked above


def _check_files(predicate: Mapping[str, Json], files: Mapping[str, bytes]) -> None:
    signed = predicate["files"]
    for name in sorted(FILES | set(signed)):
        if name not in files:
            raise BundleBroken(f"{name} is missing; ask for the whole report")
        if name not in signed:
            raise BundleBroken(f"{name} is not covered by the signature; {_AGAIN}")
        if sha256(files[name]).hexdigest() != signed[name]:
            raise BundleBroken(f"{name} was edited: its SHA-256 is not the one signed; {_AGAIN}")
    for name in sorted(set(files) - set(signed)):
        raise BundleBroken(f"{name} is not part of the report and not signed; remove it, or {_AGAIN}")


def _record(kind: type[Record], name: str, files: Mapping[str, bytes]) -> Record:
    """Return the record a file holds, if it is written exactly as such a record is."""
    try:
        record = restore(kind, json.loads(files[name]))
        same = canonical(record) == files[name]
    except Exception as error:  # json, pydantic, and the records' own complaints all mean the same
        raise BundleBroken(f"{name} does not hold a {kind.__name__} ({type(error).__name__}); {_AGAIN}") from error
    if not same:
        raise BundleBroken(f"{name} is not the canonical form of a {kind.__name__}; {_AGAIN}")
    return record


def _check_links(
    predicate: Mapping[str, Json], request: RemovalRequest, decision: Decision, plan: Plan, evidence: Evidence
) -> None:
    links = (
        ("request.json", request.id, predicate["request"]["id"], "is another request than the statement's"),
        ("request.json", request.digest, predicate["request"].get("digest"), "is not the request the statement names"),
        ("decision.json", decision.digest, predicate.get("decision"), "is not the decision the statement names"),
        ("decision.json", decision.request, request.id, "decides another request"),
        ("plan.json", plan.digest, predicate.get("plan"), "is not the plan the statement names"),
        ("plan.json", plan.request, request.id, "is a plan for another request"),
        ("plan.json", plan.decision, decision.digest, "was made for another decision"),
        ("evidence.json", digest_of(evidence), predicate.get("evidence"), "is not the evidence the statement names"),
        ("evidence.json", evidence.request, request.id, "is about another request"),
        ("evidence.json", evidence.plan, plan.digest, "is about another plan"),
    )
    for name, found, expected, complaint in links:
        if found != expected:
            raise BundleBroken(f"{name} {complaint}; {_AGAIN}")


def _facts(data: bytes) -> list[dict[str, Json]]:
    """Return the facts of the slice, each hashed again, and in the chain's order."""
    facts: list[dict[str, Json]] = []
    for number, line in enumerate(data.splitlines(), start=1):
        try:
            fact = json.loads(line)
            body = canonical({name: fact[name] for name in ("seq", "at", "kind", "body", "previous")})
            whole = sha256(body).hexdigest() == fact["digest"] and len(fact) == 6 and isinstance(fact["body"], dict)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BundleBroken(f"ledger-slice.jsonl line {number} is not a fact ({error}); {_AGAIN}") from error
        if not whole:
            raise BundleBroken(f"ledger-slice.jsonl line {number} does not match its digest in the chain; {_AGAIN}")
        if facts and fact["seq"] <= facts[-1]["seq"]:
            raise BundleBroken(f"ledger-slice.jsonl line {number} is out of order; {_AGAIN}")
        if facts and fact["seq"] == facts[-1]["seq"] + 1 and fact["previous"] != facts[-1]["digest"]:
            raise BundleBroken(f"ledger-slice.jsonl line {number} does not follow the line before it; {_AGAIN}")
        facts.append(fact)
    return facts


def _check_facts(
    facts: Sequence[Mapping[str, Json]], request: RemovalRequest, decision: Decision, plan: Plan, *, certified: bool
) -> None:
    """Check that the ledger recorded this request, decision and plan, and that enough people approved the plan."""
    recorded: dict[str, list[Json]] = {}
    for fact in facts:
        recorded.setdefault(fact["kind"], []).append(fact["body"])
    wanted = (
        ("request", {"request": plain(request)}),
        ("decision", {"request": request.id, "decision": plain(decision)}),
        ("plan", {"request": request.id, "plan": plan.digest}),
    )
    for kind, body in wanted:
        if not any(all(found.get(key) == value for key, value in body.items()) for found in recorded.get(kind, ())):
            raise BundleBroken(f"ledger-slice.jsonl has no fact that records this {kind}; {_AGAIN}")
    approvers = {body.get("by") for body in recorded.get("approval", ()) if body.get("plan") == plan.digest}
    if certified and len(approvers) < plan.approvals:
        raise BundleBroken(
            f"ledger-slice.jsonl shows {len(approvers)} approvals of the plan and it needs {plan.approvals}; {_AGAIN}"
        )


def _check_certificate(
    predicate: Mapping[str, Json],
    decision: Decision,
    plan: Plan,
    evidence: Evidence,
    facts: Sequence[Mapping[str, Json]],
) -> Certificate | None:
    """Issue the certificate again and compare."""
    if predicate["verdict"] == "refused":
        return None
    try:
        claimed = restore(Certificate, predicate["certificate"])
        done = {
            fact["body"].get("step")
            for fact in facts
            if fact["kind"] == "step" and fact["body"].get("plan") == plan.digest
        }
        issued = issue(evidence, plan=plan, decision=decision, steps_done=done, guarantee=claimed.guarantee)
    except CertificateRefused as refusal:
        raise BundleBroken(f"statement.json claims a certificate the evidence does not carry: {refusal}") from refusal
    except ValueError as error:
        raise BundleBroken(f"statement.json carries no certificate that can be read; {_AGAIN}") from error
    if issued != claimed:
        raise BundleBroken(f"statement.json carries another certificate than its evidence does; {_AGAIN}")
    return issued
