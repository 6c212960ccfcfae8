"""Checks that the records of a bundle belong together. Pure.

The records are about one request and one plan; the ledger's facts bear them out; the new compositions are those that
the evidence measured, their members are the components whose recipes are here, and no recipe names a shard that the
plan withdrew.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from disgorge.errors import BundleBroken
from disgorge.plan.details import ConfirmationDetail
from disgorge.plan.plan import Plan
from disgorge.statement.predicate import Predicate
from disgorge.statement.records import AGAIN, SLICE, RecipeNote, Records
from lineage.catalog.influence import first_named
from lineage.records import Json, digest_of, plain
from policies.request import RemovalRequest


def check_agreement(predicate: Predicate, records: Records) -> Records:
    """Return the records, the plan as its request reads it; :class:`BundleBroken` says what does not fit."""
    records = replace(records, plan=_plan_for(records.request, records.plan))
    request, decision, plan, evidence = records.request, records.decision, records.plan, records.evidence
    links = (
        ("request.json", request.id, predicate.request, "is another request than the statement's"),
        ("decision.json", decision.request, request.id, "decides another request"),
        ("plan.json", plan.request, request.id, "is a plan for another request"),
        ("plan.json", plan.decision, decision.digest, "was made for another decision"),
        ("evidence.json", evidence.request, request.id, "is about another request"),
        ("evidence.json", evidence.plan, plan.digest, "is about another plan"),
    )
    for name, actual, expected, complaint in links:
        if actual != expected:
            raise BundleBroken(f"{name} {complaint}; {AGAIN}")
    head = predicate.ledger
    in_its_place = [fact["digest"] for fact in records.facts if fact["seq"] == head.size]
    if any(fact["seq"] > head.size for fact in records.facts) or in_its_place not in ([], [head.digest]):
        raise BundleBroken(f"{SLICE} does not fit the ledger's head that the statement names; {AGAIN}")
    _check_facts(records, certified=predicate.certificate is not None)
    _check_recipes(records)
    return records


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


def _check_facts(records: Records, *, certified: bool) -> None:
    """Check that the ledger recorded this request, decision, plan and impact, and that enough people approved."""
    request, plan = records.request, records.plan
    recorded: dict[str, list[Json]] = {}
    for fact in records.facts:
        recorded.setdefault(fact["kind"], []).append(fact["body"])
    if amended := recorded.get("request-amended"):
        recorded["request"] = [{"request": amended[-1].get("amended")}]  # as the last amendment left it
    planned = "plan" if plan.confirmation is None else "fulfilled"
    others = {"others": list(plan.requests[1:])} if plan.together else {}
    expected = (
        ("request", "request", {"request": plain(request)}),
        ("decision", "decision", {"request": request.id, "decision": plain(records.decision)}),
        (planned, "plan", {"request": plan.requests[0], "plan": plan.digest} | others),
        (planned, "impact", {"plan": plan.digest, "impact": digest_of(records.impact)}),
    )
    for kind, called, body in expected:
        if not any(all(actual.get(key) == value for key, value in body.items()) for actual in recorded.get(kind, ())):
            raise BundleBroken(f"{SLICE} has no fact that records this {called}; {AGAIN}")
    if plan.confirmation is not None:  # it removes nothing, and so needs no approval
        _check_overlaps(recorded.get("overlap", ()), plan.confirmation)
        return
    approvers = {str(body.get("by")) for body in recorded.get("approval", ()) if body.get("plan") == plan.digest}
    needed = max(plan.approvals, 1)
    if certified and len(approvers) < needed:
        raise BundleBroken(f"{SLICE} shows {len(approvers)} approvals of the plan and it needs {needed}; {AGAIN}")


def _check_overlaps(overlaps: Sequence[Json], confirmed: ConfirmationDetail) -> None:
    """Check that the ledger says of the same request, and of no other, that its withdrawal took every item."""
    expected = {"removed": confirmed.removed, "of": confirmed.of, "by_request": confirmed.request}
    agrees = bool(overlaps) and {key: overlaps[-1].get(key) for key in expected} == expected
    if not agrees or {each.get("by_request") for each in overlaps} != {expected["by_request"]}:
        raise BundleBroken(f"{SLICE} does not say that {expected['by_request']} removed every item; {AGAIN}")


def _check_recipes(records: Records) -> None:
    """Check that the compositions are those of the evidence, and recipes and shards just what these take."""
    if {name: composition.digest for name, composition in records.compositions.items()} != records.evidence.after:
        raise BundleBroken(f"compositions.json holds other compositions than the evidence is about; {AGAIN}")
    read = recipes_read(records.recipes)
    components = {member.component for each in records.compositions.values() for member in each.members}
    if [note.component for note in records.recipes] != sorted(components | read["component"]):
        raise BundleBroken(f"recipes.json does not hold one recipe for each component; {AGAIN}")
    if [shard.digest for shard in records.inputs] != sorted(read["shard"]):
        raise BundleBroken(f"inputs.json lists other shards than the recipes read; {AGAIN}")
    withdrawn = {change.before.digest: change.before.name for change in records.plan.shard_changes}
    withdrawn |= {artifact.digest: artifact.name for artifact in records.plan.artifacts}
    for digest in sorted((read["shard"] | read["artifact"]) & set(withdrawn)):
        raise BundleBroken(f"recipes.json: a new component was trained on {withdrawn[digest]}, which was withdrawn")
    for note in records.recipes:
        if named := first_named(note.recipe, withdrawn):
            raise BundleBroken(
                f"recipes.json: the recipe of {note.name} names the digest of {withdrawn[named]}, which was "
                "withdrawn; ask for the removal to be done with a method that keeps nothing of it"
            )


def recipes_read(recipes: Iterable[RecipeNote]) -> Mapping[str, set[str]]:
    """Return the digests of the shards, of the components and of the artifacts that recipes read."""
    read: dict[str, set[str]] = {"shard": set(), "component": set(), "artifact": set()}
    for note in recipes:
        try:
            for use in note.recipe.get("uses", []):
                read[use["of"]].add(use["digest"])
                if not re.fullmatch("[0-9a-f]{64}", use["digest"]):
                    raise ValueError("no digest")
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BundleBroken(f"recipes.json: the recipe of {note.component[:12]} cannot be read; {AGAIN}") from error
    return read
