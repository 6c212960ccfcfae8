"""Each hold ends by itself, and only by what is meant to end it: other holds, amendments and closings do not."""

import datetime as dt

import pytest

from disgorge.audit.rules import audit
from disgorge.errors import DataHeld, DisgorgeError, PurgeHeld
from disgorge.plan.plan import Action
from disgorge.removal.containment import take_back
from disgorge.request.case import case_of
from disgorge.request.holds.hold import count_held, hold_request
from disgorge.request.holds.open import forget_hidden, open_holds
from disgorge.request.included import included_items
from disgorge.request.near.review import judge_same
from disgorge.request.workflow.amend import amend_request
from disgorge.request.workflow.decide import decide_request
from disgorge.request.workflow.events import record_event
from disgorge.request.workflow.filing import deny_request, file_request
from disgorge.tracking.registry import Unregistered
from lineage.records import Selector
from lineage.shards.add import shard_rows
from lineage.workspace import Workspace
from policies.errors import BadRequest
from policies.events import EventKind
from policies.packs.load import load_packs, pack_of
from policies.request import Standing
from policies.taxonomy import Defect, Outcome, Refusal
from tests.toys import (
    carry,
    filed_and_decided,
    granted_plan,
    live_shards,
    person,
    remove,
    stopped,
)

NOW = dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC)
SOON = dt.date(2026, 11, 27)
SHARD = Selector("shard", "shard-3")
KEY = Selector("key", "shard-3-4")


def later(workspace: Workspace, day: dt.date) -> Workspace:
    """The same workspace on another day."""
    return Workspace.open(workspace.root, clock=lambda: dt.datetime.combine(day, dt.time(12), tzinfo=dt.UTC))


def file_held(workspace: Workspace, *selectors: Selector, legal_hold: bool = False) -> None:
    """File H-1 over shard-3."""
    file_request(
        workspace, standing=Standing.CONTRIBUTOR, ground=Defect.CONTRACT, regime="contract",
        selectors=selectors or (SHARD,), received=dt.date(2026, 11, 1), identity_verified=True, request_id="H-1",
        legal_hold=legal_hold, facts={"all_theirs": True},
    )  # fmt: skip


def reasons(workspace: Workspace) -> list[str]:
    """Why the data of H-1 is held."""
    return [hold.terms.reason for hold in open_holds(case_of(workspace, "H-1"))]


def asked_for(workspace: Workspace, name: str = "R-2") -> Outcome:
    """What becomes of a request for an item of shard-3."""
    filed_and_decided(workspace, [person(workspace, "shard-3", 1)], request_id=name)
    decision = case_of(workspace, name).decision
    assert decision is not None
    return decision.outcome


@pytest.mark.parametrize("legal_hold", [True, False])
@pytest.mark.parametrize("by", ["event", "amendment"])
def test_a_legal_hold_that_becomes_known_after_a_lifting_is_another_one(
    workspace: Workspace, by: str, legal_hold: bool
) -> None:
    """An earlier hold was lifted; then a court orders preservation, and the fact is recorded."""
    file_held(workspace, legal_hold=legal_hold)
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
    assert decide_request(workspace, "H-1", load_packs()).outcome is Outcome.ON_HOLD
    assert asked_for(workspace) is Outcome.ON_HOLD
    hold_request(workspace, "H-1", on=False, reason="settled")
    assert not reasons(workspace)
    assert decide_request(workspace, "R-2", load_packs()).outcome is Outcome.GRANTED


@pytest.mark.parametrize("selectors", [(), (KEY,)])
def test_a_second_hold_does_not_end_the_first(workspace: Workspace, selectors: tuple[Selector, ...]) -> None:
    """A court orders preservation without end, then somebody holds the same items for three days."""
    file_held(workspace)
    hold_request(workspace, "H-1", on=True, reason="order of the court", by="Ann", selectors=selectors)
    hold_request(workspace, "H-1", on=True, reason="audit", by="Bob", until=SOON, selectors=selectors)
    assert reasons(workspace) == ["order of the court", "audit"]
    on_the_day = later(workspace, SOON)
    assert reasons(on_the_day) == ["order of the court"]
    assert asked_for(on_the_day) is Outcome.ON_HOLD


def test_the_same_reason_says_the_terms_of_a_hold_anew(workspace: Workspace) -> None:
    file_held(workspace)
    hold_request(workspace, "H-1", on=True, reason="audit", by="Bob")
    hold_request(workspace, "H-1", on=True, reason="audit", by="Bob", until=SOON)
    assert [hold.terms.until for hold in open_holds(case_of(workspace, "H-1"))] == [SOON]


@pytest.mark.parametrize("selectors", [(), (KEY,)])
def test_who_lifts_one_of_several_holds_says_which(workspace: Workspace, selectors: tuple[Selector, ...]) -> None:
    file_held(workspace, legal_hold=True)
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
    file_held(workspace, legal_hold=True)
    hold_request(workspace, "H-1", on=False, reason="settled")
    hold_request(workspace, "H-1", on=True, reason="audit", by="Bob", until=SOON)
    assert reasons(workspace) == ["audit"]
    assert not reasons(later(workspace, SOON))


@pytest.mark.parametrize("legal_hold", [True, False])
def test_what_a_hold_covers_is_not_amended_away(workspace: Workspace, legal_hold: bool) -> None:
    """The selectors of a request on hold say what is held: pointed elsewhere, they would let it go without a word."""
    file_held(workspace, legal_hold=legal_hold)
    if not legal_hold:
        hold_request(workspace, "H-1", on=True, reason="order of the court", by="Ann")
    with pytest.raises(DisgorgeError, match=r"its selectors say which data that covers; end the hold first"):
        amend_request(workspace, "H-1", selectors=[Selector("shard", "shard-1")])
    assert asked_for(workspace) is Outcome.ON_HOLD
    hold_request(workspace, "H-1", on=False, reason="put on in error")
    amend_request(workspace, "H-1", selectors=[Selector("shard", "shard-1")])


def test_what_packs_put_on_hold_is_not_decided_by_others(workspace: Workspace) -> None:
    """Decided with a pack of one's own, and then again without it: the hold would end because nobody asked."""
    rule = {"id": "exhibit", "when": "true", "words": "An exhibit.", "citation": "ours", "dated": "2026-01-01"}
    rule |= {"then": {"outcome": "on-hold", "category": "exhibit"}}
    own = pack_of(
        {"pack": "evidence", "title": "Evidence", "version": "1", "applies": "true", "rules": [rule]}, name="x"
    )
    file_held(workspace)
    assert decide_request(workspace, "H-1", (*load_packs(), own)).outcome is Outcome.ON_HOLD
    with pytest.raises(BadRequest, match="is on hold by the pack evidence, which is not among those given"):
        decide_request(workspace, "H-1", load_packs())
    assert asked_for(workspace) is Outcome.ON_HOLD


def test_a_hold_on_an_item_outlasts_a_request_that_does_not_select_it(workspace: Workspace) -> None:
    """Its private file says which item is held; erased with the request, the hold would stop every removal."""
    granted_plan(workspace, [person(workspace, "shard-2", 1)], request_id="H-1")
    hold_request(workspace, "H-1", on=True, reason="exhibit 7", by="Ann", selectors=[KEY])
    carry(workspace, "H-1")
    assert case_of(workspace, "H-1").closed == "done"
    (hold,) = open_holds(case_of(workspace, "H-1"))
    assert count_held(workspace, hold) == 1
    assert asked_for(workspace) is Outcome.ON_HOLD
    assert remove(workspace, [person(workspace, "shard-1", 2)], request_id="R-3").verdict == "certified"
    hold_request(workspace, "H-1", on=False, reason="over", selectors=[KEY])
    assert not list((workspace.home / "private" / "holds").glob("*.json"))


@pytest.mark.parametrize("ends", ["denied", "taken back"])
def test_near_duplicates_that_were_added_stay_held_after_the_request_is_closed(workspace: Workspace, ends: str) -> None:
    """Which items were added is in a private file: erased with the request, the hold would cover everything."""
    file_held(workspace, Selector("key", "shard-1-1"))
    rows = shard_rows(workspace, live_shards(workspace)["shard-3"].digest)
    with_key = next(row.digest for row in rows if row.key == KEY.value)
    judge_same(workspace, case_of(workspace, "H-1"), [with_key], by="Ann", because="the same picture")
    hold_request(workspace, "H-1", on=True, reason="order of the court", by="Ann")
    if ends == "denied":
        deny_request(workspace, "H-1", reason=Refusal.OTHER.value)
    else:
        take_back(workspace, "H-1", by="Ann", registrar=Unregistered())
    assert included_items(workspace, case_of(workspace, "H-1")) == (with_key,)
    assert asked_for(workspace) is Outcome.ON_HOLD
    assert remove(workspace, [person(workspace, "shard-2", 2)], request_id="R-3").verdict == "certified"
    hold_request(workspace, "H-1", on=False, reason="settled")
    assert not list((workspace.home / "private" / "near").glob("*.json"))


def test_what_hides_a_hold_is_not_erased_with_the_particulars(workspace: Workspace) -> None:
    file_held(workspace, Selector("shard", "shard-2"))
    hold_request(workspace, "H-1", on=True, reason="exhibit 7", by="Ann", selectors=[KEY])
    forget_hidden(workspace, case_of(workspace, "H-1"), over=False)
    (hold,) = open_holds(case_of(workspace, "H-1"))
    assert count_held(workspace, hold) == 1


def test_others_go_on_while_a_hold_keeps_the_purge_of_one(workspace: Workspace) -> None:
    """R-1 is stopped before its purge by a hold on one of its items; R-2 is in the same shard and the same release."""
    granted_plan(workspace, [person(workspace, "shard-3", 1)], request_id="R-1")
    stopped(workspace, Action.PURGE)
    file_held(workspace, Selector("shard", "shard-1"))
    hold_request(workspace, "H-1", on=True, reason="exhibit 7", by="Ann", selectors=[KEY])
    with pytest.raises(DataHeld, match=r"its items are withdrawn and kept, .* then run `disgorge request resume R-1`"):
        carry(workspace)
    granted_plan(workspace, [person(workspace, "shard-3", 2)], request_id="R-2")
    with pytest.raises(PurgeHeld, match="everything is done but the purge; R-1 keeps old shards that hold its items"):
        carry(workspace, "R-2")
    hold_request(workspace, "H-1", on=False, reason="over", selectors=[KEY])
    assert carry(workspace).verdict == carry(workspace, "R-2").verdict == "certified"
    assert not [each for each in audit(workspace) if each.level.value == "error"]
