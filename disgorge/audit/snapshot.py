"""Snapshot of a workspace for an audit: the ledger folded once, the manifests read once."""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from disgorge.request.case import Case, begun_plan, docket
from disgorge.request.holds.open import is_held
from lineage.errors import LineageError
from lineage.ledger.fact_kinds import ArtifactWithdrawnFact, ShardWithdrawnFact, said
from lineage.ledger.state import Entry, State, influences_of
from lineage.records import Artifact, Component, Item, Shard
from lineage.storage.manifest import read_manifest
from lineage.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """That a shard or an artifact was withdrawn: the place of the fact, for which request, by which plan."""

    seq: int
    name: str
    request: str
    plan: str


@dataclass(slots=True)
class Snapshot:
    """The workspace as of one day. Everything here is read; only the caches change."""

    workspace: Workspace
    today: dt.date
    state: State
    cases: dict[str, Case]
    withdrawals: dict[str, Withdrawal]
    """By digest of a shard or artifact; a shard recorded again stays withdrawn."""
    known: dict[str, list[Component]]
    """Every component ever recorded, by digest: two names may share bytes, and then the uses of both count."""
    _items: dict[str, "tuple[Item, ...] | LineageError"] = field(default_factory=dict)
    _covered: dict[str, frozenset[str]] = field(default_factory=dict)

    @classmethod
    def at(cls, workspace: Workspace, today: dt.date) -> "Snapshot":
        """Read and check the whole ledger; :class:`LedgerBroken` if it does not hold or cannot be read."""
        facts = list(workspace.ledger.facts())
        state = workspace.ledger.state()
        cases = docket(workspace, today=today)
        withdrawals = {
            withdrawn.shard: Withdrawal(fact.seq, withdrawn.name, withdrawn.request, withdrawn.plan)
            for fact, withdrawn in said(facts, ShardWithdrawnFact)
        }
        withdrawals |= {
            withdrawn.artifact: Withdrawal(fact.seq, withdrawn.name, withdrawn.request, withdrawn.plan)
            for fact, withdrawn in said(facts, ArtifactWithdrawnFact)
        }
        known: defaultdict[str, list[Component]] = defaultdict(list)
        for entry in state.components.values():
            known[entry.record.digest].append(entry.record)
        return cls(workspace, today, state, cases, withdrawals, dict(known))

    def shards(self) -> Iterator[Shard]:
        """Yield the live shards; one content under two names comes twice."""
        return (entry.record for entry in self.state.shards.values() if entry.live)

    def artifacts(self) -> Iterator[Entry[Artifact]]:
        """Yield the live artifacts with the place of the fact that recorded each."""
        return (entry for entry in self.state.artifacts.values() if entry.live)

    def recorded(self, shard: Shard) -> int:
        """Return the place of the fact that recorded a shard last."""
        return self.state.shards[shard.name, shard.digest].seq

    def components(self) -> Iterator[Entry[Component]]:
        """Yield the live components with the place of the fact that recorded each."""
        return (entry for entry in self.state.components.values() if entry.live)

    def items(self, shard: str) -> tuple[Item, ...] | LineageError:
        """Return a shard's manifest, or what is the matter with it."""
        if shard not in self._items:
            try:
                self._items[shard] = read_manifest(self.workspace.manifest_path(shard))
            except LineageError as error:
                self._items[shard] = error
        return self._items[shard]

    def ways(self, component: Component) -> dict[str, tuple[str, ...]]:
        """Return every digest that shaped a component, each with the names on the shortest way to it."""
        paths: dict[str, tuple[str, ...]] = {}
        frontier = [(component, ())]  # type: list[tuple[Component, tuple[str, ...]]]
        while frontier:
            further = []
            for user, way in frontier:
                for use in influences_of(user):
                    if use.digest not in paths:
                        paths[use.digest] = (*way, f"{user.name} ({use.role.value})")
                        further += [(source, paths[use.digest]) for source in self.known.get(use.digest, ())]
            frontier = further
        return paths

    def withdrawn_inputs(self, component: Component) -> dict[str, tuple[str, ...]]:
        """Return the withdrawn shards and artifacts that shaped a component, each with the way to it."""
        return {digest: way for digest, way in self.ways(component).items() if digest in self.withdrawals}

    def in_progress(self, entry: Entry[Component], shard: str) -> bool:
        """Whether an execution still under way, and in time, is going to take this component away.

        That is: the request that withdrew the shard is open and not overdue, its plan names these very bytes, and they
        were recorded before the shard was withdrawn. What is trained on a shard afterwards has no such excuse.
        """
        withdrawal = self.withdrawals[shard]
        case = self.cases.get(withdrawal.request)
        if case is None or case.closed or entry.seq > withdrawal.seq:
            return False
        if any(is_late(self.cases[request], self.today) for request in case.requests):
            return False
        return entry.record.digest in self.planned(withdrawal.plan)

    def planned(self, plan: str) -> frozenset[str]:
        """Return the digests of components that a plan removes; none if the plan cannot be read."""
        if plan not in self._covered:
            self._covered[plan] = self._read_plan(plan)
        return self._covered[plan]

    def _read_plan(self, plan: str) -> frozenset[str]:
        try:
            steps = begun_plan(self.workspace, plan).steps
            return frozenset(part.component for step in steps for part in step.parts)
        except (LineageError, ValueError):
            return frozenset()


def is_late(case: Case, today: dt.date) -> bool:
    """Whether an open case should have been done before ``today``; one on hold as a whole is not late."""
    return not is_held(case) and case.deadline is not None and today > case.deadline
