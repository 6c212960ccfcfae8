"""A workspace's facts as they will be when a plan comes to its purge: what a dry run asks while nothing is done yet.

To the facts there are come those that the plan's steps would still append: shards cut, components retired, releases
moved or destroyed. What cannot be known before stays out of it: the digests of weights that are yet to be trained.
Negative consequence: should one of those come out equal to old weights, byte for byte, the purge spares what the dry
run listed.
"""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from disgorge.plan.plan import Action, Plan, Step
from lineage.errors import LineageError
from lineage.ledger.chain import Fact
from lineage.ledger.ledger import Ledger
from lineage.ledger.state import State, state_of
from lineage.records import Json, plain
from lineage.workspace import Workspace

_REMEDIES = (Action.DROP, Action.SUBTRACT, Action.RETRAIN)
Names = set[tuple[str, str]]
"""Names and digests of components, or names and aliases of releases."""


class _ForecastLedger(Ledger):
    """The ledger there is, with the facts that are to come. It can be read, and takes no fact."""

    def __init__(self, workspace: Workspace, coming: Iterable[Fact]) -> None:
        super().__init__(workspace.home, clock=workspace.now)
        self._coming = tuple(coming)

    def all_facts(self) -> Sequence[Fact]:
        """Return the facts there are and then those to come."""
        return (*super().all_facts(), *self._coming)

    def state(self) -> State:
        """Return what will hold."""
        return state_of(self._coming, after=super().state())

    def append_all(self, facts: Iterable[tuple[str, dict[str, Any]]]) -> tuple[Fact, ...]:
        """Refuse: what was never done must not be recorded."""
        raise LineageError("a forecast of the ledger takes no facts; append to the ledger itself")


def foreseen(workspace: Workspace, plan: Plan, done: Container[str]) -> Workspace:
    """Return the workspace as it will be before a plan's purge; ``done`` holds the ids of the steps done by now."""
    steps = [step for step in plan.steps if step.id not in done]
    forecast = Workspace(workspace.root, clock=workspace.now)
    forecast.ledger = _ForecastLedger(workspace, _coming(plan, steps, workspace.ledger.state()))
    return forecast


def _coming(plan: Plan, steps: Iterable[Step], state: State) -> Iterator[Fact]:
    """Yield what the steps that are left append, as far as it decides what is needed."""
    ahead = list(steps)
    down = {_place(step.detail) for step in ahead if step.action is Action.WITHDRAW}
    staying: Names = {
        (member.name, member.component)
        for place, release in state.releases.items()
        if release.live and place not in down and release.record.composition in state.compositions
        for member in state.compositions[release.record.composition].members
    }
    live = {key for key, component in state.components.items() if component.live}
    retired = {each for step in ahead if step.action in _REMEDIES for each in _components(step)}
    if any(step.action is Action.WITHDRAW_ITEMS for step in ahead):
        for change in plan.shard_changes:
            if change.after is not None:
                yield _fact("shard", {"shard": plain(change.after)})
            yield _fact("shard-withdrawn", {"shard": change.before.digest, "request": plan.request})
    for step in ahead:
        if step.action is Action.WITHDRAW:
            retired |= _components(step) - staying
            yield _fact("release-withdrawn", step.detail)
        elif step.action is Action.ADOPT:
            old = state.compositions[step.detail["before"]]
            kept = tuple(member for member in old.members if (member.name, member.component) in live - retired)
            new = replace(old, members=kept)
            yield _fact("composition", {"composition": plain(new)})
            yield _fact("release", {**step.detail, "composition": new.digest})
    for name, digest in sorted(retired):
        yield _fact("component-retired", {"name": name, "component": digest})


def _components(step: Step) -> Names:
    return set(zip(step.detail["names"], step.detail["components"], strict=True))


def _place(detail: Mapping[str, Json]) -> tuple[str, str]:
    return detail["name"], detail["alias"]


def _fact(kind: str, body: dict[str, Json]) -> Fact:
    return Fact(0, "", kind, body, "", "")
