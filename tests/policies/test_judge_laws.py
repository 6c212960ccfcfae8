"""Laws of deciding, tried on generated requests, impacts and packs."""

import datetime as dt
import json
from dataclasses import replace

from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

from lineage.records import Selector, plain, restore
from policies.cases.case_files import ImpactFacts, ShardFacts
from policies.decision import Decision
from policies.errors import BadRequest, PolicyError
from policies.judging.deadlines import extend
from policies.judging.explain import explain
from policies.judging.judge import decide
from policies.packs.facts import known_regimes
from policies.packs.load import pack_of
from policies.packs.rules import RESERVED_FACTS
from policies.request import RemovalRequest, Standing
from policies.taxonomy import Confinement, Defect, Family, Outcome, Refusal, Scope
from tests.policies.shipped import SHIPPED, judged_cases
from tests.tier import amount

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""On a busy machine drawing is slow, which is no fault of the rules."""

FACTS = {**RESERVED_FACTS, **{name: spec for pack in SHIPPED for name, spec in pack.facts.items()}}
REGIMES = known_regimes(SHIPPED)
SEVERITY = list(Outcome)
DATES = st.dates(dt.date(2015, 1, 1), dt.date(2040, 12, 31))

RIGHT = {
    "bool": st.booleans(),
    "int": st.integers(-10, 400),
    "text": st.sampled_from(["a", "b", "c", "d", "e", "x", *REGIMES, "gdpr,ccpa", "gdpr, regulator-order"]),
    "date": DATES.map(dt.date.isoformat),
}
WRONG = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.dates()
    | st.lists(st.integers(), max_size=2)
)  # fmt: skip


@st.composite
def facts(draw, *, wild: bool):
    """Draw facts: of the right type, or anything under any name."""
    drawn = {name: draw(RIGHT[FACTS[name].type]) for name in draw(st.sets(st.sampled_from(sorted(FACTS)), max_size=6))}
    if wild:
        names = st.one_of(st.sampled_from(sorted(FACTS)), st.text(max_size=10))
        drawn |= draw(st.dictionaries(names, WRONG, max_size=3))
    return drawn


@st.composite
def requests(draw, *, wild: bool = False, dates=DATES):
    """Draw a request."""
    return RemovalRequest(
        id=draw(st.sampled_from(["r-1", "r-2"])),
        standing=draw(st.sampled_from(Standing)),
        ground=draw(st.sampled_from(Defect)),
        regime=draw(st.sampled_from(REGIMES) | st.text(max_size=5) if wild else st.sampled_from(REGIMES)),
        selectors=(Selector("subject", "7f3a"),),
        received=draw(dates),
        identity_verified=draw(st.booleans()),
        legal_hold=draw(st.sampled_from([False, False, False, True])),
        facts=draw(facts(wild=wild)),
    )


@st.composite
def impacts(draw):
    """Draw an impact."""
    shard = st.builds(
        ShardFacts,
        st.sampled_from("abcd"),
        st.sampled_from([None, "CC0-1.0", "MIT"]),
        source=st.sampled_from([None, "a", "b"]),
        legal_basis=st.sampled_from([None, "legal-obligation", "consent"]),
        core=st.sampled_from([False, False, True]),
    )
    short = ImpactFacts(
        items=draw(st.integers(0, 3)),
        subjects=draw(st.integers(0, 2)),
        shards=tuple(draw(st.lists(shard, max_size=3))),
        components=tuple(draw(st.lists(st.sampled_from("xyz"), max_size=2))),
        releases=tuple(draw(st.lists(st.sampled_from(["m@live", "n"]), max_size=2))),
    )
    return short.build()


CONDITIONS = (
    "true",
    "impact.items > 1",
    "request.facts.risk > 3",
    "request.identity_verified",
    "impact.items",
    "1/0 > 0",
)
DEADLINES = (None, {"days": 3}, {"months": 2}, {"business_days": 4, "calendar": "DE"})


@st.composite
def packs(draw):
    """Draw a pack that is well formed, and whose conditions may have no answer."""
    rules = []
    for number in range(draw(st.integers(1, 4))):
        outcome = draw(st.sampled_from([None, *Outcome]))
        effect = {
            "outcome": outcome,
            "category": "drawn",
            "guarantee": draw(st.sampled_from(["approximate", "certified", "exact"])),
            "families": draw(st.none() | st.lists(st.sampled_from(Family), min_size=1, max_size=4)),
            "scope": draw(st.sampled_from([None, *Scope])),
            "deadline": draw(st.sampled_from(DEADLINES)),
            "approvals": draw(st.none() | st.integers(1, 4)),
            "utility_floor": draw(st.none() | st.floats(0, 1)),
            "refusal": draw(st.sampled_from(Refusal)) if outcome is Outcome.DENIED else None,
            "reaches_core": draw(st.booleans()),
        }
        rule = {"id": f"rule-{number}", "words": "Drawn.", "citation": "ours", "dated": "2026-01-01", "then": effect}
        rules.append(rule | {"when": draw(st.sampled_from(CONDITIONS))})
    value = {"pack": "drawn", "title": "Drawn", "version": "1", "applies": "true", "rules": rules}
    accepts = draw(st.sampled_from([None, *Confinement]))
    if accepts is not None:
        equal_bits = draw(st.booleans()) or accepts is Confinement.PROCESS
        value["confinement"] = {"accepts": accepts, "equal_bits": equal_bits}
    return pack_of(value | {"facts": {"risk": {"type": "int", "words": "a number"}}}, name="drawn")


def judged(request, impact, packs, *, later: int = 1) -> Decision:
    """Return the decision a day after receipt; a request that cannot be decided at all is not tried."""
    try:
        return decide(request, impact, packs, today=request.received + dt.timedelta(days=later))
    except PolicyError:
        assume(False)
        raise


@settings(PATIENT, max_examples=amount(250, 1000))
@given(requests(wild=True, dates=st.dates()), impacts(), st.dates(), st.one_of(st.none(), packs()))
def test_nothing_but_a_policy_error_is_ever_raised(request, impact, today, pack):
    judges = SHIPPED if pack is None else (*SHIPPED, pack)
    try:
        decision = decide(request, impact, judges, today=today)
    except PolicyError as error:
        assert "\n" not in str(error)  # noqa: PT017 (most are decided, some are not)
        return
    assert explain(decision, request)
    assert restore(Decision, json.loads(json.dumps(plain(decision)))) == decision
    assert decision.digest
    try:
        until = extend(decision, request, judges, reason="complex", today=today)
    except BadRequest:
        return
    assert until > decision.owed.deadline


@settings(PATIENT, max_examples=amount(60, 200))
@given(requests(), impacts(), packs(), st.randoms(use_true_random=False))
def test_a_decision_is_a_function_and_forgets_the_order_of_packs(request, impact, pack, random):
    shuffled = [*SHIPPED, pack]
    random.shuffle(shuffled)
    assert judged(request, impact, (*SHIPPED, pack)) == judged(request, impact, shuffled)


@settings(PATIENT, max_examples=amount(60, 200))
@given(requests(wild=True), impacts(), packs())
def test_a_hold_always_wins_and_shows(request, impact, pack):
    decision = judged(replace(request, legal_hold=True), impact, (*SHIPPED, pack))
    assert decision.outcome is Outcome.ON_HOLD
    assert any(said.rule == "legal-hold" and said.fired for said in decision.reasons)
    assert "beats every removal" in explain(decision, request)


@settings(PATIENT, max_examples=amount(80, 300))
@given(requests(), impacts(), packs())
def test_adding_a_pack_never_weakens_what_is_owed(request, impact, pack):
    before, after = judged(request, impact, SHIPPED), judged(request, impact, (*SHIPPED, pack))
    if before.outcome is Outcome.ON_HOLD:
        assert after.outcome is Outcome.ON_HOLD
    if before.outcome is not Outcome.GRANTED or after.outcome is not Outcome.GRANTED:
        return
    assert {claim for claim in before.claims if claim.outcome is Outcome.GRANTED and not adds(pack)} <= {*after.claims}
    assert after.owed.guarantee >= before.owed.guarantee
    assert set(after.owed.families) <= set(before.owed.families)
    assert list(Scope).index(after.owed.scope) >= list(Scope).index(before.owed.scope)
    assert after.owed.approvals >= before.owed.approvals
    assert set(after.owed.evidence) >= set(before.owed.evidence)
    assert set(after.owed.notices) >= set(before.owed.notices)
    assert (after.owed.utility_floor or 0) >= (before.owed.utility_floor or 0)
    assert after.owed.confinement.at_least(before.owed.confinement)
    assert after.owed.equal_bits >= before.owed.equal_bits
    if before.owed.deadline:
        assert after.owed.deadline <= before.owed.deadline


@settings(PATIENT, max_examples=amount(80, 300))
@given(requests(wild=True), impacts(), st.one_of(st.none(), packs()))
def test_nothing_is_granted_unless_a_rule_grants_it_and_none_is_unclear(request, impact, pack):
    judges = SHIPPED if pack is None else (*SHIPPED, pack)
    decision = judged(request, impact, judges)
    if decision.outcome is Outcome.GRANTED:
        assert impact.items > 0
        assert all(said.fired for said in decision.reasons)
        granting = {said.pack for said in decision.reasons if said.outcome is Outcome.GRANTED}
        own = {"house"} if request.ground is Defect.OWN_DECISION else set()
        assert granting & ({claim.pack for claim in decision.claims if claim.outcome is Outcome.GRANTED} | own)
        assert decision.owed is not None
        assert decision.owed.families
    assert (decision.refusal is not None) == (decision.outcome is Outcome.DENIED)


def adds(pack) -> bool:
    """Whether a pack claims nothing and so adds to what others owe."""
    return not any(rule.then.outcome is Outcome.GRANTED for rule in pack.rules)


@st.composite
def refusing(draw):
    """Draw a pack that refuses whatever it applies to, and may ask for anything else."""
    pack = draw(packs())
    rules = [
        plain(rule)
        | {"then": plain(rule.then) | {"outcome": "denied", "refusal": draw(st.sampled_from(Refusal)).value}}
        for rule in pack.rules
    ]
    first = {**rules[0], "when": "true"}
    return pack_of(plain(pack) | {"rules": [first, *rules[1:]]}, name="drawn")


@settings(PATIENT, max_examples=amount(100, 400))
@given(requests(), impacts(), refusing())
def test_a_pack_that_refuses_turns_no_other_packs_grant_into_a_refusal(request, impact, pack):
    before, after = judged(request, impact, SHIPPED), judged(request, impact, (*SHIPPED, pack))
    granted = {claim.pack for claim in before.claims if claim.outcome is Outcome.GRANTED}
    assert granted <= {claim.pack for claim in after.claims if claim.outcome is Outcome.GRANTED}
    if before.outcome is not Outcome.DENIED and before.reasons[-1].rule != "nothing-fired":
        assert after.outcome is not Outcome.DENIED
    if before.outcome is Outcome.GRANTED and all(said.fired for said in after.reasons):
        assert after.outcome is Outcome.GRANTED
        assert after.owed == before.owed


RELAXED = tuple(
    replace(pack, confinement=replace(pack.confinement, equal_bits=False))
    if pack.confinement.accepts is not Confinement.PROCESS
    else pack
    for pack in SHIPPED
)
"""The shipped packs as they may be one day, so that some claims owe equal bits and others do not."""
GRANTED = [
    (decision, request, impact)
    for decision, request, impact in judged_cases()
    if decision.outcome is Outcome.GRANTED and request.ground is not Defect.OWN_DECISION
]


@settings(PATIENT, max_examples=amount(80, 300))
@given(st.sampled_from(GRANTED), packs() | refusing(), st.sampled_from([SHIPPED, RELAXED]))
def test_no_pack_weakens_the_confinement_that_is_owed_and_no_refused_claim_counts(case, pack, shipped):
    before, request, impact = case
    today = before.decided
    alone, decision = (decide(request, impact, judges, today=today) for judges in (shipped, (*shipped, pack)))
    if decision.outcome is Outcome.GRANTED:
        granted = [claim.owed for claim in decision.claims if claim.outcome is Outcome.GRANTED]
        assert decision.owed.confinement is max((each.confinement for each in granted), key=lambda level: level.rank)
        assert decision.owed.equal_bits is any(each.equal_bits for each in granted)
    if alone.outcome is decision.outcome is Outcome.GRANTED:
        assert decision.owed.confinement.at_least(alone.owed.confinement)
        assert decision.owed.equal_bits >= alone.owed.equal_bits
    event("both granted" if alone.outcome is decision.outcome is Outcome.GRANTED else "not both granted")


@settings(PATIENT, max_examples=amount(60, 200))
@given(requests(), impacts(), st.randoms(use_true_random=False))
def test_facts_in_another_order_give_the_same_decision(request, impact, random):
    names = list(request.facts)
    random.shuffle(names)
    other = replace(request, facts={name: request.facts[name] for name in names})
    shards = list(impact.shards)
    random.shuffle(shards)
    assert judged(request, impact, SHIPPED) == judged(other, replace(impact, shards=tuple(shards)), SHIPPED)


@settings(PATIENT, max_examples=amount(100, 400))
@given(requests(wild=True), impacts(), st.one_of(st.none(), packs(), refusing()))
def test_every_decision_has_a_day_or_says_why_none_runs(request, impact, pack):
    decision = judged(request, impact, SHIPPED if pack is None else (*SHIPPED, pack))
    assert (decision.due is None) == bool(decision.no_due)
    for claim in decision.claims:
        assert (claim.answer_by is None) == bool(claim.no_answer_day)
        assert claim.on_refusal or adds(pack)
        if claim.outcome is Outcome.DENIED:
            assert set(claim.on_refusal) <= set(decision.duties)


@settings(PATIENT, max_examples=amount(60, 200))
@given(requests(), impacts(), st.sampled_from(Standing))
def test_nobodys_data_is_removed_for_an_unknown_or_for_another(request, impact, standing):
    decision = judged(replace(request, standing=standing, identity_verified=False), impact, SHIPPED)
    if decision.outcome is Outcome.GRANTED and request.ground is not Defect.OWN_DECISION:
        assert standing is Standing.INTERNAL
        assert {claim.pack for claim in decision.claims if claim.outcome is Outcome.GRANTED} == {"quality"}


@settings(PATIENT, max_examples=amount(60, 200))
@given(requests(), impacts(), packs())
def test_no_deadline_is_before_receipt_unless_the_order_says_so(request, impact, pack):
    decision = judged(request, impact, (*SHIPPED, pack))
    if decision.owed is None or decision.owed.deadline is None:
        return
    ordered = {value for name, value in request.facts.items() if name in FACTS and FACTS[name].type == "date"}
    assert decision.owed.deadline >= request.received or str(decision.owed.deadline) in ordered
    assert decision.owed.acknowledge_by is None or decision.owed.acknowledge_by >= request.received
