"""One finished execution as values: what the tests of certificate, report and page start from and then break."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any

import numpy as np

from disgorge.evidence.checks import CONTROLS as NEEDED
from disgorge.evidence.checks import STATISTICAL, Check, Control, Evidence, Utility, Verdict
from disgorge.plan.details import (
    Detail,
    Part,
    PartsDetail,
    PurgeDetail,
    ReleaseDetail,
    RenewalDetail,
    ShardsDetail,
    WithdrawalDetail,
)
from disgorge.plan.plan import Action, Alternative, Plan, Step
from disgorge.statement.certificate import issue
from disgorge.statement.predicate import LedgerHead, MethodUsed
from disgorge.statement.records import RecipeNote, RetainedShard
from disgorge.statement.signing import open_envelope, public_pem, sign
from disgorge.statement.statement import ReportCase
from lineage.ledger.chain import Fact, next_fact
from lineage.records import (
    Affected,
    Component,
    Composition,
    Cost,
    Impact,
    Member,
    Path,
    Release,
    ReleaseHit,
    Role,
    Selector,
    Shard,
    ShardChange,
    Use,
    digest_of,
    plain,
)
from policies.decision import Decision, Owed, Reason
from policies.request import RemovalRequest, Standing
from policies.taxonomy import Defect, Family, Guarantee, Outcome, Remedy, Scope

CONTROLS = (  # of membership; what other checks must show differs in words alone
    Control("positive", "The model before removal must be recognized: AUC 0.98.", 0.98, True),
    Control("negative", "A model that never saw the items must not be: AUC 0.49.", 0.49, True),
)


def hexadecimal(name: str) -> str:
    """A digest that stands for something of that name."""
    return digest_of(name)


def request(**changes: Any) -> RemovalRequest:
    """A contributor's withdrawal."""
    made = RemovalRequest(
        id="R-7",
        standing=Standing.CONTRIBUTOR,
        ground=Defect.CONTRACT,
        regime="contract",
        selectors=(Selector("shard", "alice"),),
        received=dt.date(2026, 11, 2),
        identity_verified=True,
    )
    return replace(made, **changes)


def decision(guarantee: Guarantee = Guarantee.EXACT, **changes: Any) -> Decision:
    """Granted, with one reason."""
    owed = Owed(
        guarantee=guarantee,
        families=(Family.COMPARTMENTALIZATION, Family.RETRAINING),
        scope=Scope.INFLUENCE,
        deadline=dt.date(2026, 12, 2),
        acknowledge_by=dt.date(2026, 11, 9),
        approvals=1,
        evidence=(),
        notices=("customers who received a copy of the model",),
        utility_floor=0.9,
    )
    reason = Reason(
        pack="contract",
        rule="withdrawal-of-contribution",
        words="A contributor who withdraws is owed the removal of the contribution and of what was learned from it.",
        citation="Contributor agreement, section 4.2",
        dated=dt.date(2026, 1, 15),
    )
    made = Decision(
        request="R-7",
        outcome=Outcome.GRANTED,
        category="contribution withdrawn",
        owed=owed,
        refusal=None,
        reasons=(reason,),
        packs=hexadecimal("packs"),
        decided=dt.date(2026, 11, 3),
    )
    return replace(made, **changes)


SHARD = Shard(hexadecimal("alice"), "alice", "alice", "CC-BY-4.0", "consent", 150)


def step(action: Action, subject: str, release: str | None, **changes: Any) -> Step:
    """A step that exactly removes, at no cost."""
    made = Step(
        f"{action.value}-{subject}", action, subject, release, Guarantee.EXACT, Cost(), f"{action.value} {subject}.",
        detail=detail(action, subject),
    )  # fmt: skip
    return replace(made, **changes)


def detail(action: Action, subject: str) -> Detail:
    """What a step of that action is about."""
    before = hexadecimal(f"{subject} before")
    parts = (Part(subject, before),)
    known: dict[Action, Detail] = {
        Action.CONTAIN: ReleaseDetail(subject, "live"),
        Action.WITHDRAW_ITEMS: ShardsDetail(()),
        Action.WITHDRAW: WithdrawalDetail(subject, "live", before, parts),
        Action.PURGE: PurgeDetail((), ()),
        Action.REPORT: Detail(),
    }
    if action in (Action.RECOMPOSE, Action.PROBE, Action.ADOPT):
        return RenewalDetail(subject, "live", before)
    return known.get(action, PartsDetail(parts))


def plan(decided: Decision, *, guarantee: Guarantee = Guarantee.EXACT, **changes: Any) -> Plan:
    """Drop from a generator, retrain in a classifier."""
    whole = Alternative(Remedy.RETRAIN, Guarantee.EXACT, Cost(96_000, 4_800, 61.0), "trains the whole model again")
    change = ShardChange(SHARD, None, 150)
    steps = (
        step(Action.CONTAIN, "digits-maker", "digits-maker", guarantee=Guarantee.NONE),
        step(Action.CONTAIN, "digits-reader", "digits-reader", guarantee=Guarantee.NONE),
        step(Action.WITHDRAW_ITEMS, "alice", None, detail=ShardsDetail((change,))),
        step(
            Action.DROP,
            "digits-maker/adapter/alice",
            "digits-maker",
            guarantee=guarantee,
            alternatives=(whole,),
            caveat="Exact as long as the mixing weights never used the dropped shard.",
        ),
        step(
            Action.RETRAIN,
            "digits-reader/node/bob",
            "digits-reader",
            guarantee=guarantee,
            cost=Cost(2_400, 120, 1.4),
            alternatives=(whole,),
        ),
        *(
            step(a, r, r)
            for r in ("digits-maker", "digits-reader")
            for a in (Action.RECOMPOSE, Action.PROBE, Action.ADOPT)
        ),
        step(Action.PURGE, "old weights and withdrawn items", None),
        step(Action.REPORT, "R-7", None, guarantee=Guarantee.NONE),
    )
    extra = ("never-trained",) if guarantee == Guarantee.EXACT else ("membership", "weights-changed")
    made = Plan(
        request="R-7",
        decision=decided.digest,
        lineage_head=hexadecimal("head"),
        guarantee=guarantee,
        steps=steps,
        required=("answers", "lineage-closure", *extra, "residue"),
        approvals=1,
        utility_floor=0.9,
        full_cost=Cost(192_000, 9_600, 122.0),
    )
    return replace(made, **changes)


def check(name: str, subject: str, **changes: Any) -> Check:
    """A check that passed."""
    value, threshold, n = {
        "never-trained": ("9 of 9 equal", "9 of 9 equal", 9),
        "answers": (0.0, 1e-5, 812),
        "lineage-closure": (0, 0, 9),
        "residue": (0, 0, 152),
        "membership": (0.52, [0.44, 0.57], 150),
        "utility": (0.997, 0.9, 360),
        "weights-changed": (0, 0, 2),
    }[name]
    question, answer = f"Does {name} hold?", f"Yes, {name} holds."
    controls = tuple(control for control in CONTROLS if control.name in NEEDED.get(name, STATISTICAL))
    made = Check(name, subject, question, answer, value, threshold, n, Verdict.PASS, controls, 1.25)
    return replace(made, **changes)


RELEASES = ("digits-maker", "digits-reader")


KEPT = RetainedShard(hexadecimal("bob"), "bob", 140, None)
RECIPES = tuple(
    sorted(
        (
            RecipeNote(
                hexadecimal(f"{release} part"),
                f"{release}/node/bob",
                "node",
                {"method": "toy", "uses": [{"of": "shard", "digest": KEPT.digest, "role": "train"}]},
            )
            for release in RELEASES
        ),
        key=lambda note: note.component,
    )
)
COMPOSITIONS = {
    release: Composition("toy", {}, (Member(f"{release}/node/bob", hexadecimal(f"{release} part")),))
    for release in RELEASES
}


def evidence(planned: Plan, **changes: Any) -> Evidence:
    """Every required check for both releases, passed."""
    names = dict.fromkeys((*planned.required, "membership", "utility"))
    made = Evidence(
        request="R-7",
        plan=planned.digest,
        subjects=RELEASES,
        required=planned.required,
        checks=tuple(check(name, release) for release in RELEASES for name in names),
        utility=(
            Utility("digits-maker", "held-out", "negative denoising loss", 360, -0.0412, -0.0415),
            Utility("digits-reader", "held-out", "accuracy", 360, 0.9561, 0.9533),
            Utility("digits-reader", "retained", "accuracy", 1050, 0.9914, 0.9905),
        ),
        before={release: hexadecimal(f"{release} before") for release in RELEASES},
        after={release: COMPOSITIONS[release].digest for release in RELEASES},
        environment={"libraries": {"numpy": "2.4.6"}, "python": "3.11.9"},
    )
    return replace(made, **changes)


def impact() -> Impact:
    """Two components learned from the shard, in two live releases."""

    def component(name: str) -> Component:
        return Component(hexadecimal(name), name, "adapter", (Use(SHARD.digest, Role.TRAIN),), {"method": "toy"})

    hit = tuple(
        Affected(component(name), (Path((SHARD.digest, hexadecimal(name)), (Role.TRAIN,)),))
        for name in ("digits-maker/adapter/alice", "digits-reader/node/bob")
    )
    releases = tuple(
        ReleaseHit(
            Release(name, "live", hexadecimal(f"{name} before")),
            Composition("toy", {}, (Member("x", hexadecimal("x")),)),
        )
        for name in RELEASES
    )
    return Impact(
        lineage_head=hexadecimal("head"),
        shards=(ShardChange(SHARD, None, 150),),
        affected=hit,
        retained=tuple(component(f"kept-{number}") for number in range(14)),
        releases=releases,
        items=150,
        subjects=22,
        duplicates=3,
    )


def facts_of(planned: Plan, decided: Decision, asked: RemovalRequest, *, steps: Sequence[str]) -> tuple[Fact, ...]:
    """The request's facts, in one unbroken chain."""
    bodies: list[tuple[str, dict[str, Any]]] = [
        ("request", {"request": plain(asked)}),
        ("decision", {"request": asked.id, "decision": plain(decided)}),
        ("plan", {"request": asked.id, "plan": planned.digest, "impact": digest_of(impact())}),
        ("approval", {"plan": planned.digest, "by": hexadecimal("ann")}),
        *(("step", {"plan": planned.digest, "step": done, "result": {}, "seconds": 0.5}) for done in steps),
    ]
    facts: list[Fact] = []
    for kind, body in bodies:
        facts.append(next_fact(facts[-1] if facts else None, kind=kind, body=body, at="2026-11-03T09:00:00Z"))
    return tuple(facts)


def case(**changes: Any) -> ReportCase:
    """A certified report's case; change any field."""
    decided = changes.pop("decision", decision())
    planned = changes.pop("plan", plan(decided))
    found = changes.pop("evidence", evidence(planned))
    asked = changes.pop("request", request())
    steps = [each.id for each in planned.steps if each.action is not Action.REPORT]
    if "certificate" not in changes and "refusal" not in changes:
        changes["certificate"] = issue(
            found, plan=planned, decision=decided, steps_done=steps, guarantee=planned.guarantee
        )
    generator = np.random.default_rng(5)
    shape = np.hypot(*np.mgrid[-1:1:8j, -1:1:8j])
    pictures = np.clip(1 - np.abs(shape - generator.uniform(0.2, 0.9, (32, 1, 1))) * 2, 0, 1)
    facts = changes.get("facts") or [plain(fact) for fact in facts_of(planned, decided, asked, steps=steps)]
    made: dict[str, Any] = {
        "request": asked,
        "impact": impact(),
        "decision": decided,
        "plan": planned,
        "evidence": found,
        "certificate": None,
        "refusal": None,
        "costs": {"drop-digits-maker/adapter/alice": Cost(), "retrain-digits-reader/node/bob": Cost(2_400, 120, 1.31)},
        "lineage_svg": '<svg xmlns="http://www.w3.org/2000/svg"><text x="65" y="65">shard alice</text></svg>',
        "methods": (
            MethodUsed(
                "compartmental_diffusion",
                "1",
                "Golatkar, Achille, Swaminathan, Soatto, “Training Data Protection with Compositional Diffusion "
                "Models”, arXiv:2308.01937",
            ),
            MethodUsed("shard_graph", "1", "Dukler et al., “SAFE”, arXiv:2304.13169"),
        ),
        "residuals": ("Git history keeps the names and MD5 digests of removed DVC outputs.",),
        "compositions": {release: COMPOSITIONS[release] for release in found.after},
        "recipes": RECIPES if found.after else (),
        "inputs": (KEPT,) if found.after else (),
        "facts": tuple(plain(fact) for fact in facts),
        "ledger": LedgerHead(facts[-1]["seq"], facts[-1]["digest"]),
        "issued": dt.datetime(2026, 11, 20, 14, 30, tzinfo=dt.UTC),
        "samples": {"digits-maker": (pictures, pictures[::-1])},
    }
    return ReportCase(**{**made, **changes})


def without(mapping: Mapping[str, Any], key: str) -> dict[str, Any]:
    """A mapping without one key."""
    return {name: value for name, value in mapping.items() if name != key}


def sign_again(
    members: Mapping[str, bytes], key: Any, change: Callable[[dict[str, Any], dict[str, bytes]], object] | None = None
) -> dict[str, bytes]:
    """What a dishonest maker does: change claims and members, hash and sign again with the real key; no PDF."""
    statement = open_envelope(members["statement.json"], public=public_pem(key)).statement
    kept = {name: data for name, data in members.items() if not name.startswith(("certificate.pdf", "statement"))}
    statement["predicate"]["pdf"] = False
    if change is not None:
        change(statement["predicate"], kept)
    statement["predicate"]["files"] = {name: sha256(data).hexdigest() for name, data in kept.items()}
    return kept | {"statement.json": sign(statement, key=key)}
