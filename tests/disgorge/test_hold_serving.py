"""`--serving stop`: a hold takes releases out of service, and only what it took comes back when it ends."""

import datetime as dt

import pytest

from disgorge.audit.rules import audit
from disgorge.errors import ReleaseContained
from disgorge.plan.plan import Action
from disgorge.release.serving import Settled, settle
from disgorge.release.train import train_release
from disgorge.removal.containment import take_back
from disgorge.request.case import case_of, docket
from disgorge.request.holds.hold import hold_request
from disgorge.request.holds.out_of_service import stopped_releases
from lineage.records import Selector
from lineage.workspace import Workspace
from tests import toys
from tests.in_process import InProcessRunner

LIVE = f"{toys.RELEASE}@live"
HELD = Selector("key", "shard-3-4")
"""One item of the person shard-3-person-1."""


@pytest.fixture
def workspace(workspace: Workspace) -> Workspace:
    """A trained toy, and H-1, which asks for one item of shard-3 and is not decided."""
    toys.file(workspace, [HELD], toys.GDPR, request_id="H-1")
    return workspace


@pytest.fixture
def registry(workspace: Workspace) -> toys.MemoryRegistry:
    """The release is served under its alias, and under one that somebody set."""
    made = toys.MemoryRegistry()
    digest = toys.served(workspace, toys.RELEASE)
    made.aliases = {(toys.RELEASE, "live"): digest, ("shop", "champion"): digest}
    return made


def hold(
    workspace: Workspace, registry: toys.MemoryRegistry, serving: str | None = "stop", request: str = "H-1"
) -> Settled:
    hold_request(workspace, request, on=True, reason="litigation", serving=serving)
    return settle(workspace, registry)


def lift(workspace: Workspace, registry: toys.MemoryRegistry, request: str = "H-1") -> Settled:
    hold_request(workspace, request, on=False, reason="over")
    return settle(workspace, registry)


def said(workspace: Workspace) -> dict[str, tuple[str, str]]:
    """What the audit says of releases in and out of service: rule, level and words by where."""
    return {
        each.where: (f"{each.id} {each.level.value}", each.words)
        for each in audit(workspace)
        if each.where.startswith(LIVE)
    }


def test_stopping_takes_the_release_out_of_service_until_the_hold_is_lifted(
    workspace: Workspace, registry: toys.MemoryRegistry
) -> None:
    """Before, the releases were named, and went on serving."""
    old = toys.served(workspace, toys.RELEASE)
    settled = hold(workspace, registry)
    assert settled.stopped == [LIVE]
    assert settled.words[0].startswith("MLflow's alias shop@champion served it as well and was taken away")
    assert toys.is_contained(workspace, toys.RELEASE)
    assert registry.aliases == {}
    assert stopped_releases(workspace.ledger.facts(), docket(workspace)) == {(toys.RELEASE, "live"): ("H-1",)}
    assert said(workspace) == {LIVE: ("DSG009 note", "is out of service, stopped by the hold of H-1")}
    assert settle(workspace, registry) == Settled(), "twice is once"

    settled = lift(workspace, registry)
    assert settled.served == [LIVE]
    assert settled.words == [
        f"MLflow's alias shop@champion was taken away with {LIVE} and is not set again; set it if it is needed"
    ]
    assert registry.aliases == {(toys.RELEASE, "live"): old}
    assert not toys.is_contained(workspace, toys.RELEASE)
    assert (toys.served(workspace, toys.RELEASE), said(workspace)) == (old, {})
    assert settle(workspace, registry) == Settled()


def test_the_answer_can_change_and_stands_while_nothing_is_said(
    workspace: Workspace, registry: toys.MemoryRegistry
) -> None:
    assert hold(workspace, registry, serving=None) == Settled(), "nothing is decided about serving"
    assert hold(workspace, registry).stopped == [LIVE]
    assert hold(workspace, registry, serving=None) == Settled(), "another reason for the hold leaves that as it is"
    assert toys.is_contained(workspace, toys.RELEASE)
    assert hold(workspace, registry, serving="keep").served == [LIVE]
    assert not toys.is_contained(workspace, toys.RELEASE)


def test_a_release_that_learned_nothing_held_is_left_alone(workspace: Workspace, registry: toys.MemoryRegistry) -> None:
    toys.file(workspace, [Selector("key", "no-such-item")], toys.GDPR, request_id="H-2")
    assert hold(workspace, registry, request="H-2") == Settled()
    assert not toys.is_contained(workspace, toys.RELEASE)


def test_a_removal_for_another_request_is_certified_and_what_it_makes_stays_stopped(
    workspace: Workspace, registry: toys.MemoryRegistry
) -> None:
    """What R-2 makes learned from the held item, too: its alias must not come back by a removal of other data."""
    old = toys.served(workspace, toys.RELEASE)
    hold(workspace, registry)
    toys.granted_plan(workspace, [toys.person(workspace, "shard-3", 2)], request_id="R-2")
    done = toys.carry(workspace, "R-2", registrar=registry)
    assert done.verdict == "certified"
    new = toys.served(workspace, toys.RELEASE)
    assert new != old
    assert new in registry.versions[toys.RELEASE]
    assert (registry.aliases, toys.is_contained(workspace, toys.RELEASE)) == ({}, True)
    assert any(f"{LIVE} is made and not served: stopped by the hold of H-1" in words for words in toys.residuals(done))
    assert said(workspace) == {LIVE: ("DSG009 note", "is out of service, stopped by the hold of H-1")}
    assert lift(workspace, registry).served == [LIVE]
    assert registry.aliases == {(toys.RELEASE, "live"): new}
    assert said(workspace) == {}


def test_a_removal_that_leaves_nothing_held_in_the_release_serves_it(
    workspace: Workspace, registry: toys.MemoryRegistry
) -> None:
    """The held item stays on the shelf of its own request; a hold lifted, then that request's own removal."""
    hold(workspace, registry)
    lift(workspace, registry)
    toys.granted_plan(workspace, [toys.person(workspace, "shard-3", 1)], request_id="R-2")
    assert toys.carry(workspace, "R-2", registrar=registry).verdict == "certified"
    assert registry.aliases == {(toys.RELEASE, "live"): toys.served(workspace, toys.RELEASE)}
    assert said(workspace) == {}


@pytest.mark.parametrize("before", [Action.WITHDRAW_ITEMS, Action.ADOPT, Action.REPORT])
def test_a_hold_put_on_in_the_middle_of_a_removal_stops_what_it_makes(
    workspace: Workspace, registry: toys.MemoryRegistry, before: Action
) -> None:
    toys.granted_plan(workspace, [toys.person(workspace, "shard-3", 2)], request_id="R-2")
    toys.stopped(workspace, before, "R-2")
    registry.aliases.pop((toys.RELEASE, "live"), None)
    assert hold(workspace, registry).stopped == [LIVE]
    assert toys.carry(workspace, "R-2", registrar=registry).verdict == "certified"
    assert (registry.served(toys.RELEASE), toys.is_contained(workspace, toys.RELEASE)) == ({}, True)
    assert lift(workspace, registry).served == [LIVE]
    assert registry.served(toys.RELEASE) == {"live": toys.served(workspace, toys.RELEASE)}


def test_what_a_removal_contains_does_not_come_back_with_the_hold(
    workspace: Workspace, registry: toys.MemoryRegistry
) -> None:
    hold(workspace, registry)
    toys.granted_plan(workspace, [toys.person(workspace, "shard-3", 2)], request_id="R-2")
    toys.stopped(workspace, Action.WITHDRAW_ITEMS, "R-2")
    settled = lift(workspace, registry)
    assert (settled.served, settled.words) == ([], [f"{LIVE} stays out of service: request R-2 contains it"])
    assert toys.is_contained(workspace, toys.RELEASE)
    assert said(workspace) == {}
    assert take_back(workspace, "R-2", by="Ann", registrar=registry) == (
        f"{LIVE} is served again, as it was before R-2 contained it",
    )
    assert registry.served(toys.RELEASE) == {"live": toys.served(workspace, toys.RELEASE)}


def test_what_a_hold_stops_does_not_come_back_with_a_removal(
    workspace: Workspace, registry: toys.MemoryRegistry
) -> None:
    toys.granted_plan(workspace, [toys.person(workspace, "shard-3", 2)], request_id="R-2")
    toys.stopped(workspace, Action.WITHDRAW_ITEMS, "R-2")
    hold(workspace, registry)
    assert take_back(workspace, "R-2", by="Ann", registrar=registry) == (
        f"{LIVE} stays out of service: it is stopped by the hold of H-1",
    )
    assert registry.served(toys.RELEASE) == {}
    assert lift(workspace, registry).served == [LIVE]


def test_two_holds_are_two(workspace: Workspace, registry: toys.MemoryRegistry) -> None:
    toys.file(workspace, [HELD], toys.GDPR, request_id="H-2")
    hold(workspace, registry)
    hold(workspace, registry, request="H-2")
    settled = lift(workspace, registry)
    assert (settled.served, settled.words) == ([], [f"{LIVE} stays out of service: stopped by the hold of H-2"])
    assert lift(workspace, registry, request="H-2").served == [LIVE]


def test_what_was_withdrawn_meanwhile_does_not_come_back(workspace: Workspace, registry: toys.MemoryRegistry) -> None:
    """R-2 has withdrawn items and retrained nothing yet: what was served until then learned from them."""
    hold(workspace, registry)
    toys.granted_plan(workspace, [toys.person(workspace, "shard-3", 2)], request_id="R-2")
    toys.stopped(workspace, Action.RETRAIN, "R-2")
    words = lift(workspace, registry).words
    assert words == [f"{LIVE} stays out of service: request R-2 contains it"]
    assert toys.carry(workspace, "R-2", registrar=registry).verdict == "certified"
    assert registry.served(toys.RELEASE) == {"live": toys.served(workspace, toys.RELEASE)}
    assert settle(workspace, registry) == Settled()


def test_a_kill_between_the_hold_and_the_stop_is_an_error_of_the_audit(
    workspace: Workspace, registry: toys.MemoryRegistry
) -> None:
    hold_request(workspace, "H-1", on=True, reason="litigation", serving="stop")
    rule, words = said(workspace)[LIVE]
    assert (rule, words) == (
        "DSG020 error", "is served, and the hold of H-1 says that what learned from its items is not"
    )  # fmt: skip
    registry.contain(toys.RELEASE, "live")  # killed once more, before the fact
    assert LIVE in said(workspace)
    assert settle(workspace, registry).stopped == [LIVE]
    assert said(workspace)[LIVE][0] == "DSG009 note"
    hold_request(workspace, "H-1", on=False, reason="over")
    assert said(workspace)[LIVE] == ("DSG020 warning", "is out of service for a hold of H-1 that is over")
    assert settle(workspace, registry).served == [LIVE]


def test_a_hold_that_ends_by_its_day_leaves_the_release_to_a_person(
    workspace: Workspace, registry: toys.MemoryRegistry
) -> None:
    hold_request(workspace, "H-1", on=True, reason="litigation", serving="stop", until=dt.date(2026, 12, 1))
    settle(workspace, registry)
    then = toys.at(workspace, dt.date(2026, 12, 2))
    assert said(then)[LIVE][0] == "DSG020 warning"
    assert settle(then, registry).served == [LIVE]
    assert said(then) == {}


def test_nothing_new_is_served_that_learned_from_what_is_held(
    workspace: Workspace, registry: toys.MemoryRegistry
) -> None:
    hold(workspace, registry)
    spec = toys.toy_of("averages", 3).spec
    with pytest.raises(ReleaseContained, match="is stopped by the hold of H-1: it learned from held items"):
        train_release(workspace, spec, InProcessRunner(workspace), registrar=registry)
    from dataclasses import replace

    train_release(workspace, replace(spec, alias="candidate"), InProcessRunner(workspace), registrar=registry)
    assert registry.aliases == {}
    assert (toys.RELEASE, "candidate") in stopped_releases(workspace.ledger.facts(), docket(workspace))


def test_a_hold_on_some_items_of_the_request_itself(workspace: Workspace, registry: toys.MemoryRegistry) -> None:
    """Two of three items are removed, one is kept as evidence: what is trained without the two learned from the one."""
    toys.filed_and_decided(workspace, [toys.person(workspace, "shard-3", 1)], request_id="R-2")
    hold_request(workspace, "R-2", on=True, reason="exhibit 7", by="Ann", selectors=[HELD], serving="stop")
    settle(workspace, registry)
    toys.approved(workspace, "R-2")
    assert toys.carry(workspace, "R-2", registrar=registry).verdict == "certified"
    assert case_of(workspace, "R-2").partly_done
    assert registry.served(toys.RELEASE) == {}
    hold_request(workspace, "R-2", on=False, reason="over", selectors=[HELD])
    assert settle(workspace, registry).served == [LIVE]
