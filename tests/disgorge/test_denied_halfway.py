"""A request that is granted no more in the middle of its execution: nothing more is carried out, and it can end."""

import datetime as dt

import pytest

from disgorge.errors import DataHeld, DisgorgeError, StalePlan
from disgorge.plan.plan import Action
from disgorge.removal.conflicts import keepers
from disgorge.removal.containment import deny_begun
from disgorge.removal.fulfilled_by import close_fulfilled
from disgorge.request.case import case_of
from disgorge.request.holds.hold import hold_request
from disgorge.request.workflow.approval import approve_plan
from disgorge.request.workflow.decide import decide_request
from disgorge.request.workflow.events import record_event
from disgorge.request.workflow.filing import file_request
from disgorge.request.workflow.plan_request import plan_request
from disgorge.tracking.registry import Unregistered
from lineage.records import Selector
from lineage.shards.add import shard_rows
from lineage.workspace import Workspace
from policies.events import EventKind
from policies.packs.load import load_packs
from policies.request import Standing
from policies.taxonomy import Defect, Outcome
from tests.toys import (
    carry,
    filed_and_decided,
    granted_plan,
    is_contained,
    person,
    remove,
    stopped,
)

NOW = dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC)
KEY = Selector("key", "shard-3-4")


def set_aside(workspace: Workspace, at: Action) -> tuple[str, ...]:
    """Begin to carry out an order, which is set aside before a step, and close it; returns what was told."""
    file_request(
        workspace, standing=Standing.REGULATOR, ground=Defect.REGULATOR_ORDER, regime="regulator-order",
        selectors=[person(workspace, "shard-3", 1)], received=dt.date(2026, 11, 2), identity_verified=True,
        request_id="R-1", facts={"order_reference": "1", "order_deadline": "2027-02-01", "order_scope": "influence"},
    )  # fmt: skip
    decide_request(workspace, "R-1", load_packs())
    plan = plan_request(workspace, "R-1")
    for name in ("ann", "bob"):
        approve_plan(workspace, "R-1", plan.digest, approver=name, accept_utility_loss=bool(plan.warnings))
    stopped(workspace, at)
    with pytest.raises(DisgorgeError, match="resume it, it can no longer be denied"):
        deny_begun(workspace, "R-1", reason="other", registrar=Unregistered())
    record_event(workspace, "R-1", EventKind.ORDER_WITHDRAWN, by="Ann")
    assert decide_request(workspace, "R-1", load_packs()).outcome is Outcome.DENIED
    with pytest.raises(StalePlan, match="nothing more is carried out"):
        carry(workspace)
    told = deny_begun(workspace, "R-1", reason="claim-not-covered", registrar=Unregistered())
    assert case_of(workspace, "R-1").closed == "denied"
    return told


@pytest.mark.parametrize(
    ("at", "said"),
    [
        (Action.WITHDRAW_ITEMS, ["toy-averages@live is served again, as it was before R-1 contained it"]),
        (Action.RETRAIN, ["stays out of service", "were withdrawn for it and are not brought back"]),
        (Action.PURGE, ["were withdrawn for it and are not brought back"]),
        (Action.REPORT, ["backups and copies outside", "were withdrawn for it and are not brought back"]),
    ],
)
def test_it_can_be_closed_and_is_in_nobodys_way(workspace: Workspace, at: Action, said: list[str]) -> None:
    """Resuming was refused because it is denied, and denying because it was begun: for good, and for others too."""
    told = set_aside(workspace, at)
    assert len(told) == len(said)
    assert all(words in each for words, each in zip(said, told, strict=True))
    assert is_contained(workspace, "toy-averages") is (at is Action.RETRAIN)
    if at is not Action.RETRAIN:
        assert remove(workspace, [person(workspace, "shard-3", 2)], request_id="R-2").verdict == "certified"


def test_who_asks_for_what_it_left_is_not_told_that_nothing_is_here(workspace: Workspace) -> None:
    """No live shard has the items any more; the old one, which nothing purges, has."""
    set_aside(workspace, Action.PURGE)
    (words,) = keepers(workspace, [KEY])
    content = words.split("selects: ")[1].split(", ")[0]
    assert words.startswith("an old shard that request R-1, denied in the middle, left holds items that it selects")
    assert (workspace.root / content).is_file()
    assert not keepers(workspace, [Selector("key", "shard-2-4")])
    assert remove(workspace, [person(workspace, "shard-3", 2)], request_id="R-2").verdict == "certified"
    assert not keepers(workspace, [person(workspace, "shard-3", 1)])  # that purge took the old shard along


def test_one_that_selects_the_same_cannot_rest_on_it(workspace: Workspace) -> None:
    """Planning names it as what removed the items; closing by it says how the other ends."""
    filed_and_decided(workspace, [KEY], request_id="R-2")
    set_aside(workspace, Action.PURGE)
    with pytest.raises(DisgorgeError, match="R-1 removed its items"):
        plan_request(workspace, "R-2")
    with pytest.raises(DisgorgeError, match=r"R-1 is closed as denied.*with `disgorge request deny"):
        close_fulfilled(workspace, "R-2", by_request="R-1", registrar=Unregistered())


def test_a_held_item_that_it_left_in_an_old_shard_is_not_swept_up(workspace: Workspace) -> None:
    """That shard also holds items of R-2, whose purge deletes it."""
    set_aside(workspace, Action.PURGE)
    file_request(
        workspace, standing=Standing.REGULATOR, ground=Defect.PRIVACY, regime="regulator-order",
        selectors=[Selector("shard", "shard-1")], received=dt.date(2026, 11, 2), request_id="H-1",
    )  # fmt: skip
    hold_request(workspace, "H-1", on=True, reason="exhibit 7", by="Ann", selectors=[KEY])
    granted_plan(workspace, [person(workspace, "shard-3", 2)], request_id="R-2")
    with pytest.raises(DataHeld, match=r"request H-1 holds 1 of 6 items \(exhibit 7\)"):
        carry(workspace, "R-2")
    shards = {fact.body["shard"]["digest"] for fact in workspace.ledger.facts("shard")}
    there = [shard for shard in shards if workspace.content_path(shard).is_file()]
    assert KEY.value in {row.key for shard in there for row in shard_rows(workspace, shard)}
    hold_request(workspace, "H-1", on=False, reason="over", selectors=[KEY])
    assert carry(workspace, "R-2").verdict == "certified"
