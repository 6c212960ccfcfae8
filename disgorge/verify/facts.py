"""The ledger's facts in a bundle: each hashed again, and what they must have recorded. Pure."""

from collections.abc import Mapping, Sequence
from hashlib import sha256

from disgorge.errors import BundleBroken
from disgorge.plan.plan import Plan, Step
from disgorge.statement.canonical_json import AGAIN, value_of
from lineage.records import Impact, Json, canonical, digest_of, plain
from policies.decision import Decision
from policies.request import RemovalRequest

SLICE = "ledger-slice.jsonl"
_TYPES = {"seq": int, "at": str, "kind": str, "body": dict, "previous": str, "digest": str}


def facts_of_slice(data: bytes) -> list[dict[str, Json]]:
    """Return the facts of the slice, each hashed again, and in the chain's order."""
    facts: list[dict[str, Json]] = []
    lines = data.split(b"\n")
    if lines.pop() != b"":
        raise BundleBroken(f"{SLICE} is cut off; {AGAIN}")
    for number, line in enumerate(lines, start=1):
        where = f"{SLICE} line {number}"
        fact = value_of(line, where)
        if not isinstance(fact, dict) or {name: type(value) for name, value in fact.items()} != _TYPES:
            raise BundleBroken(f"{where} is not a fact; {AGAIN}")
        rest = canonical({name: value for name, value in fact.items() if name != "digest"})
        if sha256(rest).hexdigest() != fact["digest"]:
            raise BundleBroken(f"{where} does not match its digest in the chain; {AGAIN}")
        before = facts[-1] if facts else None
        if fact["seq"] < 1 or (before is not None and fact["seq"] <= before["seq"]):
            raise BundleBroken(f"{where} is out of order; {AGAIN}")
        if before is not None and fact["seq"] == before["seq"] + 1 and fact["previous"] != before["digest"]:
            raise BundleBroken(f"{where} does not follow the line before it; {AGAIN}")
        facts.append(fact)
    return facts


def check_facts(
    facts: Sequence[Mapping[str, Json]],
    request: RemovalRequest,
    decision: Decision,
    plan: Plan,
    impact: Impact,
    *,
    certified: bool,
) -> None:
    """Check that the ledger recorded this request, decision, plan and impact, and that enough people approved."""
    recorded: dict[str, list[Json]] = {}
    for fact in facts:
        recorded.setdefault(fact["kind"], []).append(fact["body"])
    planned = "plan" if plan.confirmation is None else "fulfilled"
    recorded["asked"] = [_asked(recorded)]
    others = {"with": list(plan.requests[1:])} if plan.together else {}
    wanted = (
        ("asked", "request", {"request": plain(request)}),
        ("decision", "decision", {"request": request.id, "decision": plain(decision)}),
        (planned, "plan", {"request": plan.requests[0], "plan": plan.digest} | others),
        (planned, "impact", {"plan": plan.digest, "impact": digest_of(impact)}),
    )
    for kind, called, body in wanted:
        if not any(all(found.get(key) == value for key, value in body.items()) for found in recorded.get(kind, ())):
            raise BundleBroken(f"{SLICE} has no fact that records this {called}; {AGAIN}")
    _check_approvals(recorded, plan, certified=certified)
    if plan.confirmation is not None:
        _check_overlaps(recorded.get("overlap", ()), plan.confirmation)


def _asked(recorded: Mapping[str, Sequence[Json]]) -> Json:
    """Return the request as the ledger has it: as it was filed, or as the last amendment left it."""
    amended = recorded.get("request-amended", ())
    return {"request": amended[-1].get("amended")} if amended else next(iter(recorded.get("request", ())), {})


def _check_overlaps(overlaps: Sequence[Json], step: Step) -> None:
    """Check that the ledger says of the same request, and of no other, that its withdrawal took every item."""
    wanted = {key: step.detail.get(key) for key in ("removed", "of")} | {"by_request": step.detail.get("request")}
    told = bool(overlaps) and {key: overlaps[-1].get(key) for key in wanted} == wanted
    if not told or {each.get("by_request") for each in overlaps} != {wanted["by_request"]}:
        raise BundleBroken(f"{SLICE} does not say that {wanted['by_request']} removed every item; {AGAIN}")


def _check_approvals(recorded: Mapping[str, Sequence[Json]], plan: Plan, *, certified: bool) -> None:
    """Check that enough people approved; a plan that removes nothing needs nobody's approval."""
    if plan.confirmation is not None:
        return
    approvers = {str(body.get("by")) for body in recorded.get("approval", ()) if body.get("plan") == plan.digest}
    if certified and len(approvers) < max(plan.approvals, 1):
        raise BundleBroken(
            f"{SLICE} shows {len(approvers)} approvals of the plan and it needs {plan.approvals}; {AGAIN}"
        )
