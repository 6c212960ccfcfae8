"""The law of holds: no execution destroys an item under an open hold, whatever is filed, held, lifted, killed, resumed.

Nor when it is held for a second reason, when its request is amended or denied, or when the hold became known later.

What each hold covers is known here without the code that is tried: from the toy's own keys and people. An item that a
hold covered while it was in the workspace is in the workspace as long as that hold is open.
"""

import datetime as dt
import shutil
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from disgorge.errors import DisgorgeError
from disgorge.plan.plan import Action
from disgorge.request.case import LEGAL_HOLD, case_of, docket
from disgorge.request.holds.hold import hold_request
from disgorge.request.workflow.amend import amend_request
from disgorge.request.workflow.decide import decide_request
from disgorge.request.workflow.events import record_event
from disgorge.request.workflow.filing import deny_request
from lineage.errors import LineageError
from lineage.records import Selector
from lineage.shards.add import shard_rows
from lineage.workspace import Workspace
from policies.errors import BadRequest
from policies.events import EventKind
from policies.packs.load import load_packs
from tests.tier import amount
from tests.toys import PEOPLE_HOLD, StoppedError, approved, carry, doing, file, forget_holds, kill

PACKS = load_packs()
SHARDS = ("shard-1", "shard-2")
ROWS = 12
START = dt.date(2026, 11, 2)


rows = st.tuples(st.sampled_from(SHARDS), st.integers(0, ROWS - 1))
picks = st.one_of(
    st.tuples(st.just("shard"), rows), st.tuples(st.just("subject"), rows), st.tuples(st.just("key"), rows)
)
stops = st.sampled_from([None, Action.WITHDRAW_ITEMS, Action.RETRAIN, Action.ADOPT, Action.PURGE, Action.REPORT])
happenings = st.one_of(
    st.tuples(st.just("remove"), picks, stops),
    st.tuples(st.just("file-held"), picks),
    st.tuples(st.just("hold"), st.integers(0, 9), st.sampled_from([None, 1, 3]), st.sampled_from(["held", "audit"])),
    st.tuples(st.just("fact"), st.integers(0, 9)),
    st.tuples(st.just("amend"), st.integers(0, 9), picks),
    st.tuples(st.just("deny"), st.integers(0, 9)),
    st.tuples(st.just("hold-items"), st.integers(0, 9), picks, st.sampled_from([None, 1, 3])),
    st.tuples(st.just("leave-out"), st.integers(0, 9), st.integers(0, 9)),
    st.tuples(st.just("lift"), st.integers(0, 9)),
    st.tuples(st.just("go-on"), st.integers(0, 9), stops),
    st.tuples(st.just("next-day")),
)


@dataclass
class Held:
    """A hold as the oracle knows it: whose, which items were here when it was put on, until which day."""

    request: str
    items: set[str]
    until: dt.date | None = None
    selectors: tuple[Selector, ...] = ()
    reason: str = "held"


@dataclass
class World:
    """A workspace, and what is known of it without asking the code that is tried."""

    folder: Path
    day: dt.date = START
    held: list[Held] = field(default_factory=list)
    selects: dict[str, Selector] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.workspace = Workspace.open(self.folder, clock=self.now)
        shards = [fact.body["shard"] for fact in self.workspace.ledger.facts("shard")]
        self.digest = {row.key: row.digest for each in shards for row in shard_rows(self.workspace, each["digest"])}

    def now(self) -> dt.datetime:
        """Noon of the day it is."""
        return dt.datetime.combine(self.day, dt.time(12), tzinfo=dt.UTC)

    def selector(self, pick: Any) -> Selector:
        """What a pick selects by."""
        kind, (shard, row) = pick
        person = self.workspace.pseudonym(f"{shard}-person-{row // PEOPLE_HOLD}")
        return Selector(kind, {"shard": shard, "key": f"{shard}-{row}", "subject": person}[kind])

    def items(self, pick: Any) -> set[str]:
        """The items that a pick meant in the beginning."""
        kind, (shard, row) = pick
        first = row // PEOPLE_HOLD * PEOPLE_HOLD
        meant = {"shard": range(ROWS), "key": [row], "subject": range(first, first + PEOPLE_HOLD)}[kind]
        return {self.digest[f"{shard}-{each}"] for each in meant}

    def here(self) -> set[str]:
        """The items whose content is in the workspace."""
        shards = {fact.body["shard"]["digest"] for fact in self.workspace.ledger.facts("shard")}
        there = [shard for shard in shards if self.workspace.content_path(shard).is_file()]
        return {row.digest for shard in there for row in shard_rows(self.workspace, shard)}

    def name(self, number: int) -> str:
        """One of the requests there are."""
        names = list(docket(self.workspace))
        return names[number % len(names)] if names else "none"

    def file(self, pick: Any, **how: Any) -> str:
        """File and decide a request."""
        name = f"R-{len(self.selects) + 1}"
        self.selects[name] = self.selector(pick)
        file(self.workspace, [self.selects[name]], received=self.day, request_id=name, facts=None, **how)
        decide_request(self.workspace, name, PACKS)
        return name

    def go_on(self, name: str, stop: Action | None) -> None:
        """Take a request as far as it goes: decided, planned, approved, carried out, or killed on the way."""
        with suppress(DisgorgeError, LineageError):
            decide_request(self.workspace, name, PACKS)
        with suppress(DisgorgeError, LineageError):
            approved(self.workspace, name)

        with suppress(DisgorgeError, LineageError, StoppedError):
            carry(self.workspace, name, on_step=doing(kill, stop))

    def put(self, name: str, items: set[str], *, reason: str = "held", **how: Any) -> None:
        """Put a hold on, and note what it covers if that was taken."""
        hold_request(self.workspace, name, on=True, reason=reason, by="Ann", **how)
        self.note(Held(name, items & self.here(), how.get("until"), tuple(how.get("selectors", ())), reason))

    def note(self, put: Held) -> None:
        """Note a hold; for the same reason it stands in place of the one there was."""
        key = (put.request, put.selectors, put.reason)
        self.held = [each for each in self.held if (each.request, each.selectors, each.reason) != key] + [put]

    def lift(self, name: str) -> None:
        """Lift every hold on a request and on items of it, one by one."""
        for each in [each for each in self.held if each.request == name]:
            hold_request(self.workspace, name, on=False, reason="over", selectors=each.selectors, held_for=each.reason)
            self.held.remove(each)


def happen(world: World, what: tuple[Any, ...], picked: dict[str, Any]) -> None:
    """Let one thing happen; what is refused changes nothing."""
    match what:
        case ("remove", pick, stop):
            picked[name := world.file(pick)] = pick
            world.go_on(name, stop)
        case ("file-held", pick):
            picked[name := world.file(pick, legal_hold=True)] = pick
            world.note(Held(name, world.items(pick) & world.here(), reason=LEGAL_HOLD))
        case ("hold", number, days, reason):
            until = world.day + dt.timedelta(days=days) if days else None
            items = world.items(picked[name]) if (name := world.name(number)) in picked else set()
            world.put(name, items, until=until, reason=reason)
        case ("fact", number):
            record_event(
                world.workspace, name := world.name(number), EventKind.NOTED, by="Ann", facts={"legal_hold": True}
            )
            if case_of(world.workspace, name).closed != "done":
                world.note(Held(name, world.items(picked[name]) & world.here(), reason=LEGAL_HOLD))
        case ("amend", number, pick):
            with suppress(BadRequest):  # which says that already
                amend_request(world.workspace, name := world.name(number), selectors=[world.selector(pick)])
            picked[name] = pick
        case ("deny", number):
            deny_request(world.workspace, world.name(number), reason="other")
        case ("hold-items", number, pick, days):
            until = world.day + dt.timedelta(days=days) if days else None
            world.put(world.name(number), world.items(pick), selectors=[world.selector(pick)], until=until)
        case ("leave-out", number, other):
            hold_request(
                world.workspace, world.name(number), on=True, reason="theirs", by="Ann", held_by=world.name(other)
            )
        case ("lift", number):
            world.lift(world.name(number))
        case ("go-on", number, stop):
            world.go_on(world.name(number), stop)
        case ("next-day",):
            world.day += dt.timedelta(days=1)
            world.held = [each for each in world.held if each.until is None or world.day < each.until]


@settings(
    max_examples=amount(10, 200), deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(story=st.lists(happenings, min_size=2, max_size=7))
def test_no_execution_destroys_an_item_under_an_open_hold(trained: Path, story: list[tuple[Any, ...]]) -> None:
    with TemporaryDirectory() as folder:
        world = World(Path(shutil.copytree(trained, Path(folder) / "workspace")))
        picked: dict[str, Any] = {}
        for what in story:
            with suppress(DisgorgeError, LineageError):
                happen(world, what, picked)
            here = world.here()
            for each in world.held:
                assert each.items <= here, f"{what} destroyed what {each.request} holds"


def test_the_law_can_fail(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the question before each step, the same oracle finds the loss."""
    forget_holds(monkeypatch)
    world = World(Path(shutil.copytree(trained, tmp_path / "workspace")))
    picked: dict[str, Any] = {}
    happen(world, ("file-held", ("shard", ("shard-1", 0))), picked)
    happen(world, ("remove", ("subject", ("shard-1", 4)), None), picked)
    assert case_of(world.workspace, "R-2").closed == "done"
    assert not world.held[0].items <= world.here()
