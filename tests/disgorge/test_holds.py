"""A hold binds data: no removal destroys an item that an open hold covers, whichever request either is about."""

import datetime as dt
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from disgorge.audit.rules import audit
from disgorge.errors import AlreadyExecuted, DataHeld, DisgorgeError, PurgeHeld, StalePlan
from disgorge.plan.plan import Action
from disgorge.removal.containment import take_back
from disgorge.removal.dry_run import preview
from disgorge.removal.fulfilled_by import close_fulfilled
from disgorge.report.bundle import verify_bundle
from disgorge.report.compile import write_again
from disgorge.request.case import case_of
from disgorge.request.holds.hold import count_held, hold_request
from disgorge.request.holds.open import forget_hidden, open_holds
from disgorge.request.holds.purge_hold import hold_purge
from disgorge.request.near.review import included_items, judge_same
from disgorge.request.particulars import erase_particulars
from disgorge.request.workflow.amend import amend_request
from disgorge.request.workflow.approval import approve_plan
from disgorge.request.workflow.decide import decide_request, grant_request
from disgorge.request.workflow.events import record_event
from disgorge.request.workflow.filing import deny_request
from disgorge.request.workflow.plan_request import plan_request
from disgorge.tracking.registry import Registrar
from lineage.records import Selector
from lineage.shards.add import add_shard, shard_rows
from lineage.workspace import Workspace
from policies.decision import Decision
from policies.errors import BadRequest
from policies.events import EventKind
from policies.packs.load import load_packs, pack_of
from policies.request import Standing
from policies.taxonomy import Outcome, Refusal
from tests import toys
from tests.tier import FULL

TODAY = toys.NOW.date()
SHARD, KEY = Selector("shard", "shard-3"), Selector("key", "shard-3-4")
UNTIL = dt.date(2026, 12, 24)


def file_held(workspace: Workspace, *selectors: Selector, **how: object) -> None:
    """File H-1: a court orders that output logs are preserved, whoever asks for their deletion.

    After the order of 13 May 2025 in In re OpenAI, Inc. Copyright Infringement Litigation (S.D.N.Y. 25-md-03143; 551 in
    23-cv-11195): "preserve and segregate all output log data that would otherwise be deleted".
    """
    toys.file(workspace, selectors or [SHARD], toys.COURT, received=dt.date(2026, 11, 1), request_id="H-1", **how)


def by_flag(workspace: Workspace) -> None:
    """Filed with --hold, and nobody decided it yet."""
    file_held(workspace, legal_hold=True)


def by_fact(workspace: Workspace) -> None:
    """Filed with the fact that the data must be preserved."""
    file_held(workspace, facts={"legal_hold": True})


def by_legal_claims(workspace: Workspace) -> None:
    """Decided on hold by a pack: legal claims, GDPR Art. 17(3)(e)."""
    file_held(
        workspace, standing=Standing.DATA_SUBJECT, regime="gdpr", identity_verified=True, facts={"gdpr_exception": "e"}
    )
    assert toys.decide(workspace, "H-1") is Outcome.ON_HOLD


def by_person(workspace: Workspace) -> None:
    """Put on hold by a person: litigation is reasonably anticipated (Fed. R. Civ. P. 37(e))."""
    file_held(workspace)
    hold_request(workspace, "H-1", on=True, reason="litigation is anticipated", by="Ann")


def by_closed(workspace: Workspace) -> None:
    """On hold, and then closed: an answer to the requester does not end what a court ordered."""
    by_person(workspace)
    deny_request(workspace, "H-1", reason=Refusal.OTHER.value)


def on_an_item(workspace: Workspace) -> None:
    """A hold of H-1 on one item, that H-1 itself does not select: a person needs it for a claim, GDPR Art. 18(1)(c)."""
    file_held(workspace, Selector("shard", "shard-1"))
    hold_request(workspace, "H-1", on=True, reason="exhibit 7", by="Ann", selectors=[KEY])


def asked_for(workspace: Workspace, name: str = "R-2", selector: Selector | None = None) -> Decision:
    """File a request, by default for a person of shard-3, and return what is decided."""
    toys.filed_and_decided(workspace, [selector or toys.person(workspace, "shard-3", 1)], request_id=name)
    decision = case_of(workspace, name).decision
    assert decision is not None
    return decision


HOLDS = [by_flag, by_fact, by_legal_claims, by_person, by_closed, on_an_item]
MOMENTS: list[str | Action] = ["plan", "approve", "execute", Action.WITHDRAW_ITEMS, Action.RETRAIN, Action.PURGE]
LATER = [(put, at) for i, put in enumerate(HOLDS) for j, at in enumerate(MOMENTS) if FULL or (i - j) % len(HOLDS) < 2]
"""Each hold at each moment; in the first tier each of both twice."""


def test_a_hold_outlasts_an_amendment_until_the_request_is_decided_again(workspace: Workspace) -> None:
    """An amended request has no decision; the one that held its data must not end with that."""
    by_legal_claims(workspace)
    amend_request(workspace, "H-1", received=dt.date(2026, 11, 2))
    assert case_of(workspace, "H-1").decision is None
    assert [hold.words for hold in open_holds(case_of(workspace, "H-1"))] == ["decided on hold by gdpr/legal-claims"]
    toys.filed_and_decided(workspace, [Selector("shard", "shard-3")], request_id="R-2")
    with pytest.raises(DisgorgeError, match="on-hold"):
        plan_request(workspace, "R-2")
    amend_request(workspace, "H-1", without_facts=["gdpr_exception"])
    toys.decide(workspace, "H-1")
    assert not open_holds(case_of(workspace, "H-1"))


def items_here(workspace: Workspace) -> set[str]:
    """Every item whose content is in the workspace."""
    shards = {fact.body["shard"]["digest"] for fact in workspace.ledger.facts("shard")}
    there = [shard for shard in shards if workspace.content_path(shard).is_file()]
    return {row.digest for shard in there for row in shard_rows(workspace, shard)}


@pytest.mark.parametrize("put", HOLDS, ids=lambda put: put.__name__)
def test_who_asks_for_held_items_is_on_hold(workspace: Workspace, put: Callable[[Workspace], None]) -> None:
    """The worst fault there was: H-2 was granted under a contract, and destroyed what H-1 held."""
    put(workspace)
    decision = asked_for(workspace)
    assert (decision.outcome, decision.reasons[-1].rule) == (Outcome.ON_HOLD, "held-elsewhere")
    assert "request H-1 holds" in decision.reasons[-1].words
    assert decision.owed is not None, "what it is owed once the hold ends stays said"
    with pytest.raises(DisgorgeError, match="on-hold; only a granted one is planned"):
        plan_request(workspace, "R-2")


@pytest.mark.parametrize(("put", "before"), LATER, ids=[f"{put.__name__}-{at}" for put, at in LATER])
def test_a_hold_put_on_later_stops_what_is_under_way(
    workspace: Workspace, put: Callable[[Workspace], None], before: str | Action
) -> None:
    """Put on between any two steps: nothing that it covers is deleted."""
    everything = items_here(workspace)
    toys.filed_and_decided(workspace, [toys.person(workspace, "shard-3", 1)], request_id="R-2")
    if before == "plan":
        put(workspace)
        with pytest.raises(DataHeld, match=r"before it is planned, and nothing is deleted: request H-1 holds"):
            plan_request(workspace, "R-2")
        return
    plan = plan_request(workspace, "R-2")
    if before == "approve":
        put(workspace)
        with pytest.raises(DataHeld, match=r"before its plan is approved, .*`disgorge request hold R-2 --held-by H-1"):
            approve_plan(workspace, "R-2", plan.digest, approver="ann")
        return
    approve_plan(workspace, "R-2", plan.digest, approver="ann")
    if isinstance(before, Action):
        toys.stopped(workspace, before, "R-2")
    put(workspace)
    with pytest.raises(DataHeld, match=r"request H-1 holds [13] of 3 items"):
        toys.carry(workspace, "R-2")
    assert everything == items_here(workspace)
    assert not case_of(workspace, "R-2").closed
    lift(workspace, put)
    assert toys.carry(workspace, "R-2").verdict == "certified"


def lift(workspace: Workspace, put: Callable[[Workspace], None]) -> None:
    """End the hold on H-1 as each ends."""
    if put is on_an_item:
        hold_request(workspace, "H-1", on=False, reason="over", selectors=[KEY])
        return
    hold_request(workspace, "H-1", on=False, reason="over")
    if put is by_legal_claims:
        assert open_holds(case_of(workspace, "H-1")), "a pack's hold ends when it is decided anew, or closed"
        deny_request(workspace, "H-1", reason=Refusal.OTHER.value)
    assert not open_holds(case_of(workspace, "H-1"))


@pytest.mark.parametrize("put", HOLDS if FULL else [by_closed, on_an_item], ids=lambda put: put.__name__)
def test_what_nobody_holds_goes_on(workspace: Workspace, put: Callable[[Workspace], None]) -> None:
    put(workspace)
    assert toys.remove(workspace, [toys.person(workspace, "shard-2", 0)], request_id="R-2").verdict == "certified"


def test_two_that_wait_for_one_hold_do_not_hold_each_other(workspace: Workspace) -> None:
    by_flag(workspace)
    for name in ("R-2", "R-3"):
        toys.filed_and_decided(workspace, [toys.person(workspace, "shard-3", 1)], request_id=name)
        assert not open_holds(case_of(workspace, name))
    hold_request(workspace, "H-1", on=False, reason="settled")
    for name in ("R-2", "R-3"):
        assert toys.decide(workspace, name) is Outcome.GRANTED


def test_copies_with_the_same_bytes_are_held_wherever_they_lie(workspace: Workspace, tmp_path: Path) -> None:
    toy = toys.toy_of("averages", 3)
    toys.write_rows(tmp_path / "copy.npz", "shard-3", toy.items["shard-3"], [4])
    add_shard(workspace, tmp_path / "copy.npz", name="copies", key="key", subject="subject", source="x", license="MIT",
              legal_basis="consent", check=False)  # fmt: skip
    file_held(workspace, Selector("shard", "copies"), legal_hold=True)
    decision = asked_for(workspace)
    assert decision.outcome is Outcome.ON_HOLD
    assert "request H-1 holds 1 of 3 items" in decision.reasons[-1].words


def test_a_shard_that_was_cut_since_is_held_by_the_digest_it_had(workspace: Workspace) -> None:
    file_held(workspace, Selector("shard", toys.live_shards(workspace)["shard-3"].digest))
    assert toys.remove(workspace, [toys.person(workspace, "shard-3", 0)], request_id="R-2").verdict == "certified"
    hold_request(workspace, "H-1", on=True, reason="litigation")
    assert asked_for(workspace, "R-3").outcome is Outcome.ON_HOLD


def test_a_hold_that_cannot_be_read_any_more_counts_as_covering_all(workspace: Workspace) -> None:
    """Which items it covers went with the private file: nothing is destroyed on the chance that it is others."""
    file_held(workspace, Selector("key", "shard-1-0"), legal_hold=True)
    assert erase_particulars(workspace, "H-1")
    decision = asked_for(workspace)
    assert decision.outcome is Outcome.ON_HOLD
    assert "its private file was erased" in decision.reasons[-1].words
    assert "3 of 3 items count as held" in decision.reasons[-1].words
    (note,) = (each for each in audit(workspace) if each.where == "H-1" and each.id == "DSG009")
    assert "which items it covers is not known any more" in note.words


def test_an_unreadable_hold_still_ends_at_the_shard_it_names(workspace: Workspace) -> None:
    file_held(workspace, Selector("key", "shard-1-0"), Selector("shard", "shard-1"), legal_hold=True)
    assert erase_particulars(workspace, "H-1")
    assert toys.remove(workspace, [toys.person(workspace, "shard-3", 1)], request_id="R-2").verdict == "certified"


def test_nobody_grants_by_hand_what_is_held(workspace: Workspace) -> None:
    toys.file(workspace, [toys.person(workspace, "shard-3", 1)], toys.GDPR, request_id="R-2")
    assert toys.decide(workspace, "R-2") is Outcome.NEEDS_REVIEW
    by_flag(workspace)
    with pytest.raises(DataHeld, match="before it is granted"):
        grant_request(workspace, "R-2", by="Ann", reason="seen")


def test_a_purge_that_waited_looks_at_the_holds_put_on_meanwhile(workspace: Workspace) -> None:
    everything = items_here(workspace)
    toys.granted_plan(workspace, [toys.person(workspace, "shard-3", 1)], request_id="R-2")
    hold_purge(workspace, "R-2", until=UNTIL, because="trial", by="Ann")
    with pytest.raises(PurgeHeld):
        toys.carry(workspace, "R-2")
    by_flag(workspace)
    there = toys.at(workspace, UNTIL)
    with pytest.raises(DataHeld, match=r"stops before step .*-purge.*, and nothing is deleted: request H-1 holds 3"):
        toys.carry(there, "R-2")
    assert items_here(workspace) == everything


def test_the_preview_of_a_purge_says_that_a_hold_stops_it(workspace: Workspace) -> None:
    toys.granted_plan(workspace, [toys.person(workspace, "shard-3", 1)], request_id="R-2")
    by_flag(workspace)
    said = "nothing of it goes while a hold lasts: request H-1 holds 3 of 3 items (filed under a legal hold)"
    assert said in preview(workspace, "R-2").kept


def test_a_hold_on_what_another_shard_still_has_stops_no_purge(workspace: Workspace) -> None:
    """The old shard goes, and the held item is in the new one."""
    toys.granted_plan(workspace, [toys.person(workspace, "shard-3", 1)], request_id="R-2")
    toys.stopped(workspace, Action.PURGE, "R-2")
    file_held(workspace, toys.person(workspace, "shard-3", 2), legal_hold=True)
    assert toys.carry(workspace, "R-2").verdict == "certified"


def partly(workspace: Workspace, *, until: dt.date | None = UNTIL, **which: object) -> None:
    """Ada's three items are to go, one of them is evidence: two go and one stays."""
    toys.filed_and_decided(workspace, [toys.person(workspace, "shard-3", 1)], request_id="R-2")
    how = which or {"selectors": [KEY]}
    hold_request(workspace, "R-2", on=True, reason="exhibit 7", by="Ann", until=until, **how)  # type: ignore[arg-type] # passed through
    toys.approved(workspace, "R-2")


def test_what_is_held_stays_and_the_rest_goes(workspace: Workspace) -> None:
    """GDPR Art. 17(3)(e) reaches as far as the claim does: "to the extent that processing is necessary"."""
    whole, held = [toys.person(workspace, "shard-3", 1)], [KEY]
    mine, kept = toys.items_of(workspace, whole), toys.items_of(workspace, held)
    partly(workspace)
    executed = toys.carry(workspace, "R-2")
    assert executed.verdict == verify_bundle(executed.bundle).verdict == "certified"
    assert toys.items_of(workspace, whole) == kept
    assert items_here(workspace) & mine == kept, "what is not held is gone from the workspace"
    case = case_of(workspace, "R-2")
    assert (case.closed, case.state) == (None, "partly-done")
    page = (executed.bundle / "report.html").read_text()
    words = "1 item stays, under a hold of R-2 (exhibit 7), until 2026-12-24"
    assert page.count(words) == 2, "in what is certified and in what is not promised"
    assert "Carried out in part" in page
    assert "Carried out and certified" not in page
    assert b"shard-3-4" not in (workspace.home / "ledger.jsonl").read_bytes()


def test_when_the_hold_ends_the_rest_goes_too(workspace: Workspace) -> None:
    mine = toys.items_of(workspace, [toys.person(workspace, "shard-3", 1)])
    partly(workspace)
    toys.carry(workspace, "R-2")
    with pytest.raises(AlreadyExecuted, match=r"but for what is held: 1 item stays.* plan the rest"):
        toys.carry(workspace, "R-2")
    with pytest.raises(DataHeld, match="its one item is held"):
        plan_request(workspace, "R-2")
    with pytest.raises(DisgorgeError, match="can no longer be denied"):
        deny_request(workspace, "R-2", reason=Refusal.OTHER.value)
    on_the_day = toys.at(workspace, UNTIL)
    toys.approved(on_the_day, "R-2")
    executed = toys.carry(on_the_day, "R-2")
    assert executed.verdict == verify_bundle(executed.bundle).verdict == "certified"
    assert case_of(on_the_day, "R-2").closed == "done"
    assert not items_here(on_the_day) & mine


def test_what_another_removal_took_of_the_rest_closes_it(workspace: Workspace) -> None:
    """The hold ends, and somebody else asks for the item before the rest is planned."""
    partly(workspace)
    toys.carry(workspace, "R-2")
    on_the_day = toys.at(workspace, UNTIL)
    toys.remove(on_the_day, [KEY], request_id="R-4")
    with pytest.raises(DisgorgeError, match="R-4 removed what was left of request R-2: close it with"):
        plan_request(on_the_day, "R-2")
    written = close_fulfilled(on_the_day, "R-2", by_request="R-4", registrar=Registrar())
    assert verify_bundle(written.bundle).verdict == "certified"
    page = (written.bundle / "report.html").read_text()
    assert "An earlier plan of this request, begun and then replaced, took 2 rows out of 1 shard" in page
    assert "Nothing more was removed for this request" in page
    assert case_of(on_the_day, "R-2").closed == "fulfilled"
    assert not list((workspace.home / "private" / "executions").glob("*.json"))


def test_a_report_that_was_lost_says_the_same_when_it_is_written_again(workspace: Workspace) -> None:
    partly(workspace)
    bundle = toys.carry(workspace, "R-2").bundle
    shutil.rmtree(bundle)
    written = write_again(workspace, case_of(workspace, "R-2"))
    assert "Fulfilled only in part: 1 item stays" in (written.bundle / "report.html").read_text()
    assert case_of(workspace, "R-2").state == "partly-done"


def test_others_go_on_while_one_is_partly_done(workspace: Workspace) -> None:
    partly(workspace)
    toys.carry(workspace, "R-2")
    assert toys.remove(workspace, [toys.person(workspace, "shard-3", 2)], request_id="R-3").verdict == "certified"
    assert (
        "request R-2 holds 1 of 1 item (exhibit 7, until 2026-12-24)"
        in asked_for(workspace, "R-4", KEY).reasons[-1].words
    )


def test_what_another_request_holds_is_left_out_by_its_name(workspace: Workspace) -> None:
    file_held(workspace, Selector("key", "shard-3-4"), legal_hold=True)
    kept = toys.items_of(workspace, [KEY])
    toys.filed_and_decided(workspace, [toys.person(workspace, "shard-3", 1)], request_id="R-2")
    hold_request(workspace, "R-2", on=True, reason="kept for H-1", by="Ann", held_by="H-1")
    assert toys.decide(workspace, "R-2") is Outcome.GRANTED
    plan = plan_request(workspace, "R-2")
    assert [each.words for each in plan.left_out] == [
        "1 item stays, under a hold of H-1 (kept for H-1), until that hold is lifted"
    ]
    approve_plan(workspace, "R-2", plan.digest, approver="ann")
    assert toys.carry(workspace, "R-2").verdict == "certified"
    assert kept <= items_here(workspace)
    hold_request(workspace, "H-1", on=False, reason="settled")
    toys.approved(workspace, "R-2")
    toys.carry(workspace, "R-2")
    assert not kept & items_here(workspace)


def test_a_hold_on_items_changes_what_was_planned(workspace: Workspace) -> None:
    """Put on after the approval: the plan that would take the item is not carried out."""
    everything = items_here(workspace)
    toys.granted_plan(workspace, [toys.person(workspace, "shard-3", 1)], request_id="R-2")
    hold_request(workspace, "R-2", on=True, reason="exhibit 7", by="Ann", selectors=[KEY])
    with pytest.raises(StalePlan, match="touches other shards"):
        toys.carry(workspace, "R-2")
    assert everything == items_here(workspace)


@pytest.mark.parametrize("at", [Action.RETRAIN, Action.PURGE])
def test_an_item_that_was_withdrawn_and_is_held_since_is_not_purged(workspace: Workspace, at: Action) -> None:
    everything = items_here(workspace)
    toys.granted_plan(workspace, [toys.person(workspace, "shard-3", 1)], request_id="R-2")
    toys.stopped(workspace, at, "R-2")
    held = [KEY]
    hold_request(workspace, "R-2", on=True, reason="exhibit 7", by="Ann", selectors=held)
    with pytest.raises(DataHeld, match=r"its own hold on items \(exhibit 7\) covers 1 item that was withdrawn before"):
        toys.carry(workspace, "R-2")
    assert everything == items_here(workspace)
    hold_request(workspace, "R-2", on=False, reason="over", selectors=held)
    assert toys.carry(workspace, "R-2").verdict == "certified"


def test_a_hold_on_nothing_is_refused(workspace: Workspace) -> None:
    toys.filed_and_decided(workspace, [toys.person(workspace, "shard-3", 1)], request_id="R-2")
    for how, words in (
        ({"selectors": [Selector("key", "nothing")]}, "no item or artifact has all that the hold on R-2 selects by"),
        ({"held_by": "R-2"}, "request R-2 holds nothing that R-2 could leave out"),
        ({"until": toys.NOW.date()}, "is not after today"),
    ):
        with pytest.raises(DisgorgeError, match=words):
            hold_request(workspace, "R-2", on=True, reason="x", by="Ann", **how)
    with pytest.raises(DisgorgeError, match="has no hold on just these items"):
        hold_request(workspace, "R-2", on=False, reason="x", selectors=[KEY])


def test_the_audit_says_who_waits_and_that_nobody_is_late(workspace: Workspace) -> None:
    far = dt.date(2027, 6, 1)
    by_flag(workspace)
    toys.filed_and_decided(workspace, [toys.person(workspace, "shard-3", 1)], request_id="R-2")
    assert toys.audited(workspace, today=far) == {("DSG009", "note", "H-1"), ("DSG009", "note", "R-2")}
    hold_request(workspace, "H-1", on=False, reason="settled")
    assert ("DSG006", "error", "R-2") in toys.audited(workspace, today=far)


def test_a_request_granted_before_the_hold_is_not_late_either(workspace: Workspace) -> None:
    toys.granted_plan(workspace, [toys.person(workspace, "shard-3", 1)], request_id="R-2")
    by_flag(workspace)
    found = toys.audited(workspace, today=dt.date(2027, 6, 1))
    found.discard(("DSG022", "warning", f"{toys.RELEASE}@live"))  # trained in this process, which confines nothing
    assert found == {("DSG009", "note", "H-1"), ("DSG009", "note", "R-2")}


def test_what_is_partly_done_is_late_only_once_the_hold_ended(workspace: Workspace) -> None:
    partly(workspace, until=dt.date(2027, 6, 1))
    far = dt.date(2027, 5, 31)
    assert ("DSG006", "error", "R-2") in toys.audited(workspace, today=far), "the rest could have gone"
    toys.carry(workspace, "R-2")
    assert toys.audited(workspace, today=far) == {("DSG009", "note", "R-2")}
    assert toys.audited(workspace, today=dt.date(2027, 6, 1)) == {("DSG006", "error", "R-2")}


def test_the_audit_says_that_held_items_were_destroyed(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a version without this rule did it: H-1 on hold, its items taken by R-2 and purged."""
    by_person(workspace)
    with monkeypatch.context() as older:
        toys.forget_holds(older)
        toys.granted_plan(workspace, [toys.person(workspace, "shard-3", 1)], request_id="R-2")
        toys.stopped(workspace, Action.PURGE, "R-2")
        (withdrawn,) = (each for each in audit(workspace) if each.id == "DSG019")
        assert "3 of 12 items that it selects were withdrawn, and not deleted yet, for request R-2" in withdrawn.words
        toys.carry(workspace, "R-2")
    found = {each.id: each for each in audit(workspace) if each.where == "H-1"}
    assert found["DSG019"].level.value == "error"
    assert "3 of 12 items that it selects were deleted for request R-2 while it was on hold" in found["DSG019"].words
    assert "its data stays meanwhile" not in found["DSG009"].words
    hold_request(workspace, "H-1", on=False, reason="settled")
    assert ("DSG019", "warning", "H-1") in toys.audited(workspace, today=TODAY)


def test_the_audit_counts_what_a_hold_on_items_covers(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    on_an_item(workspace)
    assert "DSG019" not in {rule for rule, *_ in toys.audited(workspace, today=TODAY)}
    with monkeypatch.context() as older:
        toys.forget_holds(older)
        toys.remove(workspace, [toys.person(workspace, "shard-3", 1)], request_id="R-2")
    (lost,) = (each for each in audit(workspace) if each.id == "DSG019")
    assert "covered 1 item when it was put on, and 0 of them are here" in lost.words


# Each hold ends by itself, and only by what is meant to end it


SOON = dt.date(2026, 11, 27)


def file_plain(workspace: Workspace, *selectors: Selector, legal_hold: bool = False) -> None:
    """File H-1 over shard-3."""
    toys.file(workspace, selectors or [SHARD], received=dt.date(2026, 11, 1), request_id="H-1", legal_hold=legal_hold)


def reasons(workspace: Workspace) -> list[str]:
    """Why the data of H-1 is held."""
    return [hold.terms.reason for hold in open_holds(case_of(workspace, "H-1"))]


@pytest.mark.parametrize("legal_hold", [True, False])
@pytest.mark.parametrize("by", ["event", "amendment"])
def test_a_legal_hold_that_becomes_known_after_a_lifting_is_another_one(
    workspace: Workspace, by: str, legal_hold: bool
) -> None:
    """An earlier hold was lifted; then a court orders preservation, and the fact is recorded."""
    file_plain(workspace, legal_hold=legal_hold)
    if not legal_hold:
        hold_request(workspace, "H-1", on=True, reason="audit", by="Ann")
    hold_request(workspace, "H-1", on=False, reason="over")
    assert not reasons(workspace)
    with pytest.raises(DisgorgeError, match="is not on hold, so there is nothing to lift"):
        hold_request(workspace, "H-1", on=False, reason="over")
    if by == "event":
        record_event(workspace, "H-1", EventKind.NOTED, by="Ann", facts={"legal_hold": True})
    else:
        amend_request(workspace, "H-1", facts={"legal_hold": True})
    assert reasons(workspace) == ["filed under a legal hold"]
    assert toys.decide(workspace, "H-1") is Outcome.ON_HOLD
    assert asked_for(workspace).outcome is Outcome.ON_HOLD
    hold_request(workspace, "H-1", on=False, reason="settled")
    assert not reasons(workspace)
    assert toys.decide(workspace, "R-2") is Outcome.GRANTED


@pytest.mark.parametrize("selectors", [(), (KEY,)])
def test_a_second_hold_does_not_end_the_first(workspace: Workspace, selectors: tuple[Selector, ...]) -> None:
    """A court orders preservation without end, then somebody holds the same items for three days."""
    file_plain(workspace)
    hold_request(workspace, "H-1", on=True, reason="order of the court", by="Ann", selectors=selectors)
    hold_request(workspace, "H-1", on=True, reason="audit", by="Bob", until=SOON, selectors=selectors)
    assert reasons(workspace) == ["order of the court", "audit"]
    on_the_day = toys.at(workspace, SOON)
    assert reasons(on_the_day) == ["order of the court"]
    assert asked_for(on_the_day).outcome is Outcome.ON_HOLD


def test_the_same_reason_says_the_terms_of_a_hold_anew(workspace: Workspace) -> None:
    file_plain(workspace)
    hold_request(workspace, "H-1", on=True, reason="audit", by="Bob")
    hold_request(workspace, "H-1", on=True, reason="audit", by="Bob", until=SOON)
    assert [hold.terms.until for hold in open_holds(case_of(workspace, "H-1"))] == [SOON]


@pytest.mark.parametrize("selectors", [(), (KEY,)])
def test_who_lifts_one_of_several_holds_says_which(workspace: Workspace, selectors: tuple[Selector, ...]) -> None:
    file_plain(workspace, legal_hold=True)
    first = ["filed under a legal hold"] if not selectors else ["order of the court"]
    if selectors:
        hold_request(workspace, "H-1", on=True, reason=first[0], by="Ann", selectors=selectors)
    hold_request(workspace, "H-1", on=True, reason="audit", by="Bob", selectors=selectors)
    how = {"on": False, "reason": "over", "selectors": selectors}
    with pytest.raises(DisgorgeError, match=r"2 holds are on the same items of request H-1 .*--held-for REASON"):
        hold_request(workspace, "H-1", **how)  # type: ignore[arg-type] # passed through
    with pytest.raises(DisgorgeError, match="has no hold for 'trial' to lift; there are"):
        hold_request(workspace, "H-1", **how, held_for="trial")  # type: ignore[arg-type] # passed through
    hold_request(workspace, "H-1", **how, held_for="audit")  # type: ignore[arg-type] # passed through
    assert set(first) <= set(reasons(workspace))
    assert "audit" not in reasons(workspace)
    hold_request(workspace, "H-1", **how)  # type: ignore[arg-type] # passed through
    assert not set(first) & set(reasons(workspace)), "of one there is no need to say which"


def test_a_filed_hold_that_was_lifted_does_not_come_back_with_another(workspace: Workspace) -> None:
    file_plain(workspace, legal_hold=True)
    hold_request(workspace, "H-1", on=False, reason="settled")
    hold_request(workspace, "H-1", on=True, reason="audit", by="Bob", until=SOON)
    assert reasons(workspace) == ["audit"]
    assert not reasons(toys.at(workspace, SOON))


@pytest.mark.parametrize("legal_hold", [True, False])
def test_what_a_hold_covers_is_not_amended_away(workspace: Workspace, legal_hold: bool) -> None:
    """The selectors of a request on hold say what is held: pointed elsewhere, they would let it go without a word."""
    file_plain(workspace, legal_hold=legal_hold)
    if not legal_hold:
        hold_request(workspace, "H-1", on=True, reason="order of the court", by="Ann")
    with pytest.raises(DisgorgeError, match=r"its selectors say which data that covers; end the hold first"):
        amend_request(workspace, "H-1", selectors=[Selector("shard", "shard-1")])
    assert asked_for(workspace).outcome is Outcome.ON_HOLD
    hold_request(workspace, "H-1", on=False, reason="put on in error")
    amend_request(workspace, "H-1", selectors=[Selector("shard", "shard-1")])


def test_what_packs_put_on_hold_is_not_decided_by_others(workspace: Workspace) -> None:
    """Decided with a pack of one's own, and then again without it: the hold would end because nobody asked."""
    rule = {"id": "exhibit", "when": "true", "words": "An exhibit.", "citation": "ours", "dated": "2026-01-01"}
    rule |= {"then": {"outcome": "on-hold", "category": "exhibit"}}
    own = pack_of(
        {"pack": "evidence", "title": "Evidence", "version": "1", "applies": "true", "rules": [rule]}, name="x"
    )
    file_plain(workspace)
    assert decide_request(workspace, "H-1", (*load_packs(), own)).outcome is Outcome.ON_HOLD
    with pytest.raises(BadRequest, match="is on hold by the pack evidence, which is not among those given"):
        toys.decide(workspace, "H-1")
    assert asked_for(workspace).outcome is Outcome.ON_HOLD


def test_a_hold_on_an_item_outlasts_a_request_that_does_not_select_it(workspace: Workspace) -> None:
    """Its private file says which item is held; erased with the request, the hold would stop every removal."""
    toys.granted_plan(workspace, [toys.person(workspace, "shard-2", 1)], request_id="H-1")
    hold_request(workspace, "H-1", on=True, reason="exhibit 7", by="Ann", selectors=[KEY])
    toys.carry(workspace, "H-1")
    assert case_of(workspace, "H-1").closed == "done"
    (hold,) = open_holds(case_of(workspace, "H-1"))
    assert count_held(workspace, hold) == 1
    assert asked_for(workspace).outcome is Outcome.ON_HOLD
    assert toys.remove(workspace, [toys.person(workspace, "shard-1", 2)], request_id="R-3").verdict == "certified"
    hold_request(workspace, "H-1", on=False, reason="over", selectors=[KEY])
    assert not list((workspace.home / "private" / "holds").glob("*.json"))


@pytest.mark.parametrize("ends", ["denied", "taken back"])
def test_near_duplicates_that_were_added_stay_held_after_the_request_is_closed(workspace: Workspace, ends: str) -> None:
    """Which items were added is in a private file: erased with the request, the hold would cover everything."""
    file_plain(workspace, Selector("key", "shard-1-1"))
    rows = shard_rows(workspace, toys.live_shards(workspace)["shard-3"].digest)
    with_key = next(row.digest for row in rows if row.key == KEY.value)
    judge_same(workspace, case_of(workspace, "H-1"), [with_key], by="Ann", because="the same picture")
    hold_request(workspace, "H-1", on=True, reason="order of the court", by="Ann")
    if ends == "denied":
        deny_request(workspace, "H-1", reason=Refusal.OTHER.value)
    else:
        take_back(workspace, "H-1", by="Ann", registrar=Registrar())
    assert included_items(workspace, case_of(workspace, "H-1")) == (with_key,)
    assert asked_for(workspace).outcome is Outcome.ON_HOLD
    assert toys.remove(workspace, [toys.person(workspace, "shard-2", 2)], request_id="R-3").verdict == "certified"
    hold_request(workspace, "H-1", on=False, reason="settled")
    assert not list((workspace.home / "private" / "near").glob("*.json"))


def test_what_hides_a_hold_is_not_erased_with_the_particulars(workspace: Workspace) -> None:
    file_plain(workspace, Selector("shard", "shard-2"))
    hold_request(workspace, "H-1", on=True, reason="exhibit 7", by="Ann", selectors=[KEY])
    forget_hidden(workspace, case_of(workspace, "H-1"), over=False)
    (hold,) = open_holds(case_of(workspace, "H-1"))
    assert count_held(workspace, hold) == 1


def test_others_go_on_while_a_hold_keeps_the_purge_of_one(workspace: Workspace) -> None:
    """R-1 is stopped before its purge by a hold on one of its items; R-2 is in the same shard and the same release."""
    toys.granted_plan(workspace, [toys.person(workspace, "shard-3", 1)], request_id="R-1")
    toys.stopped(workspace, Action.PURGE)
    file_plain(workspace, Selector("shard", "shard-1"))
    hold_request(workspace, "H-1", on=True, reason="exhibit 7", by="Ann", selectors=[KEY])
    with pytest.raises(DataHeld, match=r"its items are withdrawn and kept, .* then run `disgorge request resume R-1`"):
        toys.carry(workspace)
    toys.granted_plan(workspace, [toys.person(workspace, "shard-3", 2)], request_id="R-2")
    with pytest.raises(PurgeHeld, match="everything is done but the purge; R-1 keeps old shards that hold its items"):
        toys.carry(workspace, "R-2")
    hold_request(workspace, "H-1", on=False, reason="over", selectors=[KEY])
    assert toys.carry(workspace).verdict == toys.carry(workspace, "R-2").verdict == "certified"
    assert not [each for each in audit(workspace) if each.level.value == "error"]
