"""Events in a workspace: recorded as facts, decided anew, plans kept or not, extensions told, executions stopped."""

import datetime as dt
import json
import re
import shlex
from contextlib import chdir
from dataclasses import replace

import pytest

from disgorge.audit.findings import ON_HOLD, OVERDUE
from disgorge.audit.rules import audit
from disgorge.errors import DisgorgeError, StalePlan
from disgorge.plan.plan import Action
from disgorge.plan.planner import make_plan
from disgorge.report.bundle import verify_bundle
from disgorge.report.sentences import decided
from disgorge.request.case import case_of
from disgorge.request.workflow.amend import amend_request
from disgorge.request.workflow.decide import decide_request, extend_deadline, grant_request, refuse_claims
from disgorge.request.workflow.events import record_event
from disgorge.request.workflow.filing import deny_request
from disgorge.request.workflow.impact import impact_of
from disgorge.request.workflow.plan_request import plan_request
from lineage.records import Selector, plain
from lineage.shards.add import add_shard, shard_rows
from lineage.workspace import Workspace
from policies.errors import BadRequest
from policies.events import EventKind
from policies.packs.load import load_packs
from policies.taxonomy import Outcome, Refusal, Scope
from tests import toys
from tests.disgorge.cli.conftest import fine, run


def filed(workspace: Workspace, request_id: str = "R-1", *, verified: bool = True, **more: object) -> None:
    """File a person's erasure, received on November 2."""
    how: dict[str, object] = {"facts": {"gdpr_ground": "b"}, "identity_verified": verified, "request_id": request_id}
    toys.file(workspace, [toys.person(workspace, "shard-3", 1)], toys.GDPR, **how | more)


def ordered(workspace: Workspace, *, selectors: list[Selector] | None = None, **facts: object) -> None:
    """File a regulator's order."""
    said = {"order_reference": "C-1", "order_deadline": "2027-02-01", "order_scope": "whole-lineage", **facts}
    toys.file(workspace, selectors or [toys.person(workspace, "shard-3", 1)], toys.ORDER, facts=said)


def test_an_event_is_a_fact_without_personal_data_and_outdates_the_decision(workspace: Workspace) -> None:
    filed(workspace, verified=False)
    packs = load_packs()
    assert toys.decide(workspace) is Outcome.NEEDS_REVIEW
    case = record_event(workspace, "R-1", EventKind.IDENTITY_SHOWN, on=dt.date(2026, 11, 9), by="Ann Example")
    body = list(workspace.ledger.facts("request-event"))[-1].body
    assert body == {
        "request": "R-1", "kind": "identity-shown", "on": "2026-11-09", "by": workspace.pseudonym("Ann Example"),
        "facts": {},
    }  # fmt: skip
    assert b"Example" not in workspace.ledger.journal.file.read_bytes()
    assert "identity-shown of 2026-11-09 was recorded since it was decided" in case.outdated
    for refused in (
        lambda: plan_request(workspace, "R-1"),
        lambda: grant_request(workspace, "R-1", by="Ann", reason="seen"),
        lambda: extend_deadline(workspace, "R-1", packs, reason="complex"),
    ):
        with pytest.raises(
            DisgorgeError, match=r"was recorded since it was decided; run `disgorge request decide R-1`"
        ):
            refused()
    assert toys.decide(workspace) is Outcome.GRANTED
    case = case_of(workspace, "R-1")
    assert case.outdated == ""
    assert [made.outcome for made in case.decisions] == [Outcome.NEEDS_REVIEW, Outcome.GRANTED]
    assert case.request.identity_verified is False, "what was filed stays as it was filed"


def test_what_a_person_granted_stands_when_the_packs_say_the_same_again(workspace: Workspace) -> None:
    filed(workspace, verified=False)
    packs = load_packs()
    waits = decide_request(workspace, "R-1", packs)
    granted = grant_request(workspace, "R-1", by="Ann", reason="seen in person")
    assert (waits.outcome, granted.outcome) == (Outcome.NEEDS_REVIEW, Outcome.GRANTED)
    plan = plan_request(workspace, "R-1")
    assert decide_request(workspace, "R-1", packs) == granted
    assert case_of(workspace, "R-1").plan == plan.digest
    gdpr = [pack for pack in packs if pack.pack == "gdpr"]
    assert decide_request(workspace, "R-1", gdpr).outcome is Outcome.NEEDS_REVIEW, "other packs were asked"


def test_events_recorded_late_and_in_another_order_decide_the_same(workspace: Workspace) -> None:
    happened = [
        (EventKind.IDENTITY_ASKED, dt.date(2026, 11, 4)),
        (EventKind.IDENTITY_SHOWN, dt.date(2026, 11, 11)),
        (EventKind.NOTED, dt.date(2026, 11, 12)),
    ]
    decided = []
    for request, order in (("R-1", happened), ("R-2", happened[::-1])):
        filed(workspace, request, verified=False)
        for kind, day in order:
            record_event(
                workspace, request, kind, on=day, by="Ann", facts={"made_public": True} if kind == "noted" else {}
            )
        decided.append(decide_request(workspace, request, load_packs()))
    assert decided[0].owed == decided[1].owed
    assert decided[0].owed is not None
    assert decided[0].owed.deadline == dt.date(2026, 12, 9)
    assert "gdpr/tell-publishers" in {f"{said.pack}/{said.rule}" for said in decided[0].reasons}


def test_an_event_that_changes_nothing_keeps_plan_and_approvals(workspace: Workspace) -> None:
    toys.granted_plan(workspace, [toys.person(workspace, "shard-3", 1)])
    later = toys.at(workspace, dt.date(2026, 11, 27))
    record_event(later, "R-1", EventKind.INTERIM_ANSWER, by="Ann")
    with pytest.raises(StalePlan, match="interim-answer of 2026-11-27 was recorded"):
        toys.carry(later)
    before = case_of(later, "R-1").decision
    assert decide_request(later, "R-1", load_packs()) == before
    assert [fact.kind for fact in later.ledger.facts()][-1] == "decision-confirmed"
    done = toys.carry(later)
    assert done.verdict == "certified"
    assert verify_bundle(done.bundle).verdict == "certified"
    assert b"interim-answer" in (done.bundle / "ledger-slice.jsonl").read_bytes()
    record_event(later, "R-1", EventKind.TOLD_ON, by="Ann")
    case = case_of(later, "R-1")
    assert (case.closed, case.outdated, len(case.events)) == ("done", "", 2)


def test_what_a_person_granted_stands_after_an_event_that_changes_nothing(workspace: Workspace) -> None:
    filed(workspace, verified=False)
    toys.decide(workspace)
    granted = grant_request(workspace, "R-1", by="Ann", reason="seen in person")
    record_event(workspace, "R-1", EventKind.ACKNOWLEDGED, by="Ann")
    assert decide_request(toys.at(workspace, dt.date(2026, 11, 26)), "R-1", load_packs()) == granted
    assert plan_request(workspace, "R-1").decision == granted.digest


def test_a_changed_decision_ends_plan_and_approvals_and_a_stay_stops_an_execution(workspace: Workspace) -> None:
    ordered(workspace, order_scope="influence")
    toys.decide(workspace)
    plan = toys.approved(workspace)
    toys.stopped(workspace, Action.PURGE)
    record_event(workspace, "R-1", EventKind.STAYED, by="Ann")
    with pytest.raises(StalePlan, match="stayed of 2026-11-24 was recorded"):
        toys.carry(workspace)
    assert toys.decide(workspace) is Outcome.ON_HOLD
    with pytest.raises(StalePlan, match=r"is on-hold .* nothing more is carried out"):
        toys.carry(workspace)
    assert all(workspace.content_path(change.before.digest).exists() for change in plan.shard_changes), (
        "nothing is purged"
    )
    assert any(finding.rule is ON_HOLD for finding in audit(workspace))
    record_event(workspace, "R-1", EventKind.STAY_LIFTED, on=dt.date(2026, 11, 24), by="Ann")
    assert toys.decide(workspace) is Outcome.ON_HOLD, "lifted and begun on one day"
    later = toys.at(workspace, dt.date(2026, 11, 25))
    record_event(later, "R-1", EventKind.STAY_LIFTED, by="Ann")
    again = decide_request(later, "R-1", load_packs())
    assert again.digest == plan.decision, "what was begun is finished by the plan it was begun by"
    outcomes = [made.outcome for made in case_of(later, "R-1").decisions]
    assert outcomes == [Outcome.GRANTED, Outcome.ON_HOLD, Outcome.GRANTED]
    record_event(later, "R-1", EventKind.ORDER_CHANGED, by="Ann", facts={"order_deadline": "2027-03-01"})
    toys.decide(later)
    assert case_of(later, "R-1").deadline == dt.date(2027, 3, 1)
    done = toys.carry(later)
    assert (done.verdict, verify_bundle(done.bundle).verdict) == ("certified", "certified")


def test_an_approval_before_a_stay_does_not_count_after_it(workspace: Workspace) -> None:
    ordered(workspace, order_scope="influence")
    toys.decide(workspace)
    toys.approved(workspace)
    record_event(workspace, "R-1", EventKind.STAYED, on=dt.date(2026, 11, 20), by="Ann")
    toys.decide(workspace)
    record_event(workspace, "R-1", EventKind.STAY_LIFTED, by="Ann", facts={"order_deadline": "2027-03-01"})
    assert toys.decide(workspace) is Outcome.GRANTED
    with pytest.raises(StalePlan, match="was decided again after its plan was made"):
        toys.carry(workspace)


@pytest.mark.parametrize(
    ("kind", "on", "facts", "says"),
    [
        ("stayed", "2026-11-27", {}, "lies after today"),
        ("identity-asked", "2026-11-01", {}, "before request R-1 was received, 2026-11-02"),
        ("noted", "2026-11-09", {}, "nothing to record"),
        ("noted", "2026-11-09", {"a b": 1}, "unknown fact 'a b'.* the event is not recorded"),
        ("noted", "2026-11-09", {"order_reference": "two\nlines"}, "must be text.* the event is not recorded"),
        ("noted", "2026-11-09", {"also_under": "CPA"}, "unknown regime 'CPA'; nearest: ccpa.* not recorded"),
    ],
)
def test_an_event_that_cannot_be_is_refused(
    workspace: Workspace, kind: str, on: str, facts: dict[str, object], says: str
) -> None:
    filed(workspace)
    head = workspace.ledger.head()
    with pytest.raises((DisgorgeError, BadRequest), match=says):
        record_event(workspace, "R-1", EventKind(kind), on=dt.date.fromisoformat(on), by="Ann", facts=facts)
    assert workspace.ledger.head() == head
    record_event(workspace, "R-1", EventKind.STAYED, on=dt.date(2026, 10, 1), by="Ann")  # an order may be stayed before


def test_a_clock_that_stands_still_is_not_overdue(workspace: Workspace) -> None:
    filed(workspace, verified=False)
    record_event(workspace, "R-1", EventKind.IDENTITY_ASKED, on=dt.date(2026, 11, 4), by="Ann")
    decision = decide_request(workspace, "R-1", load_packs())
    assert decision.owed is not None
    assert decision.owed.stands_still
    late = dt.date(2027, 3, 1)
    assert not any(finding.rule is OVERDUE for finding in audit(workspace, today=late))
    record_event(workspace, "R-1", EventKind.IDENTITY_SHOWN, on=dt.date(2026, 11, 11), by="Ann")
    toys.decide(workspace)
    assert case_of(workspace, "R-1").deadline == dt.date(2026, 12, 9)
    assert any(finding.rule is OVERDUE for finding in audit(workspace, today=late))


def test_an_extension_that_was_told_in_time_may_be_recorded_late_and_stays(workspace: Workspace) -> None:
    filed(workspace)
    late = toys.at(workspace, dt.date(2026, 12, 20))
    toys.decide(late)
    with pytest.raises(BadRequest, match="wanted the requester to be told by 2026-12-02"):
        extend_deadline(late, "R-1", load_packs(), reason="complex")
    record_event(late, "R-1", EventKind.EXTENSION_TOLD, on=dt.date(2026, 11, 30), by="Ann")
    toys.decide(late)
    assert extend_deadline(late, "R-1", load_packs(), reason="complex") == dt.date(2027, 2, 2)
    record_event(late, "R-1", EventKind.IDENTITY_ASKED, on=dt.date(2026, 11, 4), by="Ann")
    record_event(late, "R-1", EventKind.IDENTITY_SHOWN, on=dt.date(2026, 11, 11), by="Ann")
    toys.decide(late)
    assert case_of(late, "R-1").deadline == dt.date(2027, 2, 9), "seven days later, and extended still"


def test_a_scope_that_cannot_be_carried_out_is_never_planned_as_another(workspace: Workspace) -> None:
    ordered(workspace, order_scope="data-only")
    decision = decide_request(workspace, "R-1", load_packs())
    assert decision.outcome is Outcome.NEEDS_REVIEW
    with pytest.raises(BadRequest, match=r"owed is data-only, which is not carried out here; grant more .* --scope"):
        grant_request(workspace, "R-1", by="Ann", reason="read")
    forced, impact = replace(decision, outcome=Outcome.GRANTED), impact_of(workspace, case_of(workspace, "R-1").request)
    with pytest.raises(DisgorgeError, match="owed data-only, which cannot be planned"):
        make_plan(forced, impact, {}, shards={}, components={})
    wider = grant_request(
        workspace, "R-1", by="Ann", reason="the models go as well, of our own will", scope=Scope.INFLUENCE
    )
    assert wider.owed is not None
    assert wider.owed.scope is Scope.INFLUENCE
    assert any("goes beyond the data-only that is owed" in words for words in wider.overrides)
    assert plan_request(workspace, "R-1").request == "R-1"


def test_a_grant_cannot_narrow_what_is_owed(workspace: Workspace) -> None:
    ordered(workspace, order_spares_until="2027-01-15")
    toys.decide(workspace)
    with pytest.raises(BadRequest, match="influence is less than the whole-lineage that is owed"):
        grant_request(workspace, "R-1", by="Ann", reason="less will do", scope=Scope.INFLUENCE)


def test_the_command_line_records_and_shows_what_happened(workspace: Workspace) -> None:
    toys.file(workspace, [Selector("shard", "shard-3")], toys.GDPR)
    with chdir(workspace.root):
        fine("request", "decide", "R-1")
        said = fine("request", "event", "R-1", "identity-asked", "--on", "2026-11-04", "--by", "Ann").out
        assert "recorded of R-1: 2026-11-04 identity-asked: the requester was asked" in said
        assert "next: disgorge request decide R-1" in said
        assert "identity-asked of 2026-11-04 was recorded" in fine("policy", "explain", "R-1").err
        fine("request", "event", "R-1", "--on", "2026-11-05", "--by", "Ann", "--fact", "made_public=true")
        shown = fine("request", "show", "R-1").out
        assert "what happened since:" in shown
        assert "2026-11-05 noted: facts became known; nothing else happened (made_public=true)" in shown
        assert "outdated" in shown
        assert "counted by gdpr/answer-in-time: no day yet" in fine("request", "decide", "R-1").out
        assert "decided before:" in fine("request", "show", "R-1").out
        history = fine("policy", "explain", "R-1", "--history", "--json").json
        assert len(history["decisions"]) == 2
        as_json = fine("request", "show", "R-1", "--json").json
        assert [event["kind"] for event in as_json["events"]] == ["identity-asked", "noted"]
        assert len(as_json["decisions"]) == 2
        fine("request", "event", "R-1", "acknowledged", "--on", "2026-11-03", "--by", "Ann")
        assert "nothing changed: the decision, its plan and approvals stand" in fine("request", "decide", "R-1").out
        assert "counter-notice" in fine("request", "event", "R-1", "--kinds").out
        assert json.loads(fine("request", "event", "R-1", "--kinds", "--json").out)["told-on"]
        assert "counter-notice" in fine("request", "event", "--kinds").out
        for wrong, says in (
            (
                ("nonsense", "--by", "Ann"),
                "unknown kind of event 'nonsense'; `disgorge request event --kinds` lists them",
            ),
            (("identity_shown", "--by", "Ann"), "nearest: identity-shown"),
            (("stayed",), "give --by NAME"),
            (("--by", "Ann"), "give a KIND of event, a --fact, or both"),
            (("stayed", "--by", "Ann", "--on", "soon"), "invalid date"),
        ):
            ran = run("request", "event", "R-1", *wrong)
            assert (ran.code, says in ran.err) == (2, True), ran
        deny_request(workspace, "R-1", reason="no-match")
        assert "R-1 is closed (denied)" in fine("request", "event", "R-1", "complaint", "--by", "Ann").out


def test_of_two_facts_of_one_day_the_later_word_counts(workspace: Workspace) -> None:
    """A slip of the pen is corrected on the day it was made, whichever of the two values sorts last."""
    ordered(workspace)

    def due(day: str, *, kind: EventKind = EventKind.NOTED, on: dt.date | None = None) -> dt.date | None:
        record_event(workspace, "R-1", kind, on=on, by="Ann", facts={"order_deadline": day})
        toys.decide(workspace)
        return case_of(workspace, "R-1").deadline

    assert due("2027-01-31") == dt.date(2027, 1, 31)
    assert due("2027-01-15") == dt.date(2027, 1, 15)
    assert due("2027-02-10", kind=EventKind.ORDER_CHANGED) == dt.date(2027, 2, 10)
    assert due("2027-02-01") == dt.date(2027, 2, 1)
    assert due("2027-01-01", on=dt.date(2026, 11, 23)) == dt.date(2027, 2, 1), "what became known earlier, entered late"


def test_a_fact_that_holds_no_more_is_taken_out(workspace: Workspace) -> None:
    """Legal claims were recorded by an event; settled, they keep the data no longer (GDPR Art. 17(3)(e))."""
    filed(workspace)
    record_event(workspace, "R-1", EventKind.NOTED, by="Ann", facts={"gdpr_exception": "e"})
    assert toys.decide(workspace) is Outcome.ON_HOLD
    with pytest.raises(BadRequest, match="has no fact 'gdpr_exeption' to take out; it has gdpr_ground, gdpr_exception"):
        record_event(workspace, "R-1", EventKind.SETTLED, by="Ann", without_facts=["gdpr_exeption"])
    with chdir(workspace.root):
        words = ("--without-fact", "gdpr_exception", "--by", "Ann", "--on", str(toys.NOW.date()))
        ran = fine("request", "event", "R-1", "settled", *words).out
    assert "(gdpr_exception taken out)" in ran
    assert toys.decide(workspace) is Outcome.GRANTED


def test_an_amendment_that_an_event_outweighs_is_refused(workspace: Workspace) -> None:
    """It said "was, is" and changed nothing that counts."""
    ordered(workspace)
    record_event(workspace, "R-1", EventKind.ORDER_CHANGED, by="Ann", facts={"order_deadline": "2027-01-31"})
    for how in ({"facts": {"order_deadline": "2027-01-10"}}, {"without_facts": ["order_deadline"]}):
        with pytest.raises(BadRequest, match=r"from the event order-changed of .* `disgorge request event R-1 --fact"):
            amend_request(workspace, "R-1", **how)  # type: ignore[arg-type] # passed through
    amend_request(workspace, "R-1", facts={"order_reference": "C-2"})


def test_receipt_that_was_confirmed_in_time_is_not_called_overdue(workspace: Workspace) -> None:
    filed(workspace)
    with chdir(workspace.root):
        assert "confirm receipt by: 2026-11-09 (OVERDUE" in " ".join(fine("request", "decide", "R-1").out.split())
        record_event(workspace, "R-1", EventKind.ACKNOWLEDGED, on=dt.date(2026, 11, 4), by="Ann")
        for verb in (("request", "decide"), ("request", "show"), ("policy", "explain")):
            assert "confirm receipt by: 2026-11-09 (done on 2026-11-04)" in " ".join(fine(*verb, "R-1").out.split())


def test_a_fact_that_a_later_day_outweighs_is_not_recorded_in_silence(workspace: Workspace) -> None:
    """A hold that ended on the 20th; one of the 15th, entered late, keeps nothing, and whoever enters it is told."""
    filed(workspace)
    record_event(workspace, "R-1", EventKind.NOTED, on=dt.date(2026, 11, 20), by="Ann", facts={"legal_hold": False})
    words = ("request", "event", "R-1", "--fact", "legal_hold=yes", "--by", "Ann", "--on")
    with chdir(workspace.root):
        assert "legal_hold stays False, as said of a later day" in " ".join(fine(*words, "2026-11-15").err.split())
        assert "later day" not in fine(*words, "2026-11-21").err


def test_what_an_order_spares_is_left_out_as_the_decision_says(workspace: Workspace) -> None:
    """The text of the decision, followed to the end: the spared item stays, the rest goes, the report says partly."""
    ordered(workspace, order_scope="influence", order_spares="what its people consent to")
    with chdir(workspace.root):
        said = " ".join(fine("request", "decide", "R-1").out.split())
        assert said.startswith(" ".join(fine("policy", "explain", "R-1").out.split()))
        commands = [shlex.split(line) for line in re.findall(r"`disgorge (request (?:hold|grant) .*?)`", said)]
        typed = {"KEY": "shard-3-4", "NAME": "Ann", "TEXT": "consented"}
        for command in commands:
            fine(*(typed.get(word, word) for word in command))
        assert [command[1] for command in commands] == ["hold", "grant"]
        assert [left.items for left in toys.approved(workspace).left_out] == [1]
    before = {row.key for row in shard_rows(workspace, toys.live_shards(workspace)["shard-3"].digest)}
    done = toys.carry(workspace)
    after = {row.key for row in shard_rows(workspace, toys.live_shards(workspace)["shard-3"].digest)}
    assert before - after == {"shard-3-3", "shard-3-5"}
    assert done.verdict == "certified"
    assert verify_bundle(done.bundle).verdict == "certified"
    assert "only in part" in (done.bundle / "report.html").read_text(encoding="utf-8")
    assert case_of(workspace, "R-1").partly_done


@pytest.mark.parametrize("scope", ["data-only", "from-next-version"])
def test_an_order_for_the_data_is_carried_out_where_no_model_learned_from_it(workspace: Workspace, scope: str) -> None:
    """Everything else stays as it is, and the report claims no more."""
    old = (toys.bytes_by_name(workspace, toys.RELEASE), toys.served(workspace, toys.RELEASE))
    source = workspace.root / "late.npz"
    toys.write_rows(source, "late", toys.toy_of("averages", 4).items["shard-3"], [0, 1, 2, 3])
    add_shard(workspace, source, name="late", key="key", subject="subject", license="MIT", check=False)
    ordered(workspace, order_scope=scope, selectors=[Selector("key", "late-1")])
    decision = decide_request(workspace, "R-1", load_packs())
    assert decision.outcome is Outcome.GRANTED, "before, a person could only have removed more than is owed"
    assert {step.action for step in toys.approved(workspace).steps} == {
        Action.WITHDRAW_ITEMS,
        Action.PURGE,
        Action.REPORT,
    }
    done = toys.carry(workspace)
    assert verify_bundle(done.bundle).verdict == "certified"
    assert "the data goes, not what models learned from it; no recorded model had" in (
        done.bundle / "report.html"
    ).read_text(encoding="utf-8")
    assert old == (toys.bytes_by_name(workspace, toys.RELEASE), toys.served(workspace, toys.RELEASE))
    assert [row.key for row in shard_rows(workspace, toys.live_shards(workspace)["late"].digest)].count("late-1") == 0


def test_a_scope_granted_where_no_model_learned_is_refused_once_one_did(workspace: Workspace) -> None:
    """Decided before a training, planned after it: what models learned is not taken along without a word."""
    ordered(workspace, order_scope="data-only")
    decision = decide_request(workspace, "R-1", load_packs())
    workspace.ledger.append(
        "decision", {"request": "R-1", "decision": plain(replace(decision, outcome=Outcome.GRANTED))}
    )
    with pytest.raises(DisgorgeError, match=r"models learned from the data, .*; decide it again with `disgorge"):
        plan_request(workspace, "R-1")


def test_a_report_says_that_more_was_removed_than_is_owed(workspace: Workspace) -> None:
    ordered(workspace, order_scope="data-only")
    toys.decide(workspace)
    wider = grant_request(workspace, "R-1", by="Ann", reason="of our own will", scope=Scope.INFLUENCE)
    assert "More was removed than is owed: influence where data-only is, by a person's decision." in decided(wider)


def test_claims_that_a_person_decided_stand_after_an_event_and_are_carried_out(workspace: Workspace) -> None:
    """Granted under the GDPR, refused under the CCPA: an event that changes nothing leaves that as it is."""
    facts = {"gdpr_ground": "b", "also_under": "ccpa", "california_resident": True}
    filed(workspace, verified=False, facts=facts)
    toys.decide(workspace)
    grant_request(workspace, "R-1", by="Ann", reason="seen", claims=["gdpr"])
    refused = refuse_claims(workspace, "R-1", by="Ann", reason=Refusal.CLAIM_NOT_COVERED, claims=["ccpa"])
    record_event(workspace, "R-1", EventKind.ACKNOWLEDGED, by="Ann")
    assert decide_request(workspace, "R-1", load_packs()) == refused == case_of(workspace, "R-1").decision
    toys.approved(workspace)
    toys.stopped(workspace, Action.RETRAIN)
    with pytest.raises(DisgorgeError, match="R-1 is being carried out by the decision there is; finish it first"):
        grant_request(workspace, "R-1", by="Ann", reason="after all", claims=["ccpa"])
    done = toys.carry(workspace)
    assert done.verdict == verify_bundle(done.bundle).verdict == "certified"
    page = (done.bundle / "report.html").read_text(encoding="utf-8")
    assert "“ccpa” denied (claim not covered)" in page
