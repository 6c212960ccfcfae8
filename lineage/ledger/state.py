"""What holds now: the lineage facts of a ledger folded into shards, artifacts, components and releases. Pure.

- A shard is live until a ``shard-withdrawn`` of its digest, an artifact until an ``artifact-withdrawn``; a component
  until a ``component-retired`` of its name and digest; a release under a name and alias until its
  ``release-withdrawn``. Recorded again, each is live again.
- A component recorded twice under one name and digest keeps the uses of both records: to record it again with fewer is
  no way to hide one.
"""

from collections.abc import Callable, Iterable
from copy import copy
from dataclasses import dataclass, field, fields, replace
from typing import Any, Generic

from lineage.ledger.chain import Fact
from lineage.ledger.fact_kinds import (
    FACT_KINDS,
    LINEAGE_KINDS,
    ArtifactFact,
    ArtifactWithdrawnFact,
    ComponentFact,
    ComponentRetiredFact,
    CompositionFact,
    ReleaseContainedFact,
    ReleaseFact,
    ReleaseWithdrawnFact,
    ShardFact,
    ShardWithdrawnFact,
)
from lineage.records import Artifact, Component, Composition, Record, Release, Role, Shard, Use


@dataclass(frozen=True, slots=True)
class Entry(Generic[Record]):
    """A record, the place of the fact that recorded it last, and whether it is live."""

    seq: int
    record: Record
    live: bool = True


@dataclass(slots=True)
class State:
    """Everything recorded so far, by name and digest; releases by name and alias.

    ``influences`` has, for a component's digest, what shaped it according to any record of it. ``lineage_head`` is the
    digest of the last fact that changed lineage, "" before the first.
    """

    shards: dict[tuple[str, str], Entry[Shard]] = field(default_factory=dict)
    artifacts: dict[tuple[str, str], Entry[Artifact]] = field(default_factory=dict)
    components: dict[tuple[str, str], Entry[Component]] = field(default_factory=dict)
    influences: dict[str, frozenset[Use]] = field(default_factory=dict)
    compositions: dict[str, Composition] = field(default_factory=dict)
    releases: dict[tuple[str, str], Entry[Release]] = field(default_factory=dict)
    lineage_head: str = ""

    def take(self, fact: Fact) -> None:
        """Fold one fact in; kinds that do not change what holds are ignored."""
        if fact.kind not in LINEAGE_KINDS:
            return
        self.lineage_head, seq = fact.digest, fact.seq
        match FACT_KINDS[fact.kind].read(fact):
            case ShardFact(shard):
                self._enter(self.shards, (shard.name, shard.digest), Entry(seq, shard))
            case ShardWithdrawnFact(digest):
                self.shards |= {
                    key: replace(entry, live=False) for key, entry in self.shards.items() if key[1] == digest
                }
            case ArtifactFact(artifact):
                self._enter(self.artifacts, (artifact.name, artifact.digest), Entry(seq, artifact))
            case ArtifactWithdrawnFact(digest, name):
                self._change(self.artifacts, (name, digest), live=False)
            case ComponentFact(component):
                key = (component.name, component.digest)
                known = self.influences.get(component.digest, frozenset())
                self.influences[component.digest] = known | set(influences_of(component))
                if key in self.components and self.components[key].live:  # one that was retired had a life of its own
                    uses = dict.fromkeys((*component.uses, *self.components[key].record.uses))
                    component = replace(component, uses=tuple(uses))
                self._enter(self.components, key, Entry(seq, component))
            case ComponentRetiredFact(name, digest):
                self._change(self.components, (name, digest), live=False)
            case CompositionFact(composition):
                self.compositions[composition.digest] = composition
            case ReleaseFact(name, alias, digest):
                self._enter(self.releases, (name, alias), Entry(seq, Release(name, alias, digest)))
            case ReleaseContainedFact(name, alias):
                if (held := self.releases.get((name, alias))) is not None:
                    self._change(self.releases, (name, alias), record=replace(held.record, contained=True))
            case ReleaseWithdrawnFact(name, alias):
                self._change(self.releases, (name, alias), live=False)

    def copy(self) -> "State":
        """Return a state that can take facts while this one stays as it is."""
        return State(*(copy(getattr(self, each.name)) for each in fields(self)))

    @staticmethod
    def _change(table: "dict[tuple[str, str], Entry[Record]]", key: tuple[str, str], **changes: Any) -> None:
        if key in table:
            table[key] = replace(table[key], **changes)

    @staticmethod
    def _enter(table: "dict[tuple[str, str], Entry[Record]]", key: tuple[str, str], entry: "Entry[Record]") -> None:
        table.pop(key, None)  # so that the table stays in the order of the facts
        table[key] = entry


def state_of(facts: Iterable[Fact], *, after: State | None = None) -> State:
    """Return what holds after these facts; :class:`~lineage.errors.LedgerBroken` names one that cannot be read.

    ``after`` is what held before them, by default nothing; it is left as it is.
    """
    state = after.copy() if after is not None else State()
    for fact in facts:
        state.take(fact)
    return state


def cut_from(shards: Iterable[Shard], digests: Iterable[str]) -> tuple[str, ...]:
    """Return these shards, by digest, and whatever of ``shards`` each was cut from, nearest first."""
    origins: dict[str, list[str]] = {}
    for shard in shards:
        if shard.derived_from is not None:
            origins.setdefault(shard.digest, []).append(shard.derived_from)
    return reachable(digests, lambda digest: origins.get(digest, ()))


def reachable(starts: Iterable[str], following: Callable[[str], Iterable[str]]) -> tuple[str, ...]:
    """Return ``starts`` and everything that ``following`` leads to from them, nearest first.

    >>> reachable("a", {"a": "bc", "b": "d", "c": "a", "d": ""}.__getitem__)
    ('a', 'b', 'c', 'd')
    """
    found = dict.fromkeys(starts)
    waiting = list(found)
    for node in waiting:  # which grows meanwhile
        new = dict.fromkeys(each for each in following(node) if each not in found)
        found |= new
        waiting += new
    return tuple(found)


def facts_about(facts: Iterable[Fact], name: str) -> tuple[Fact, ...]:
    """Return the facts of lineage about the shard, artifact, component or release of that name, in their order."""

    def subject(fact: Fact) -> object:
        record = fact.body.get(fact.kind)
        return (record if isinstance(record, dict) else fact.body).get("name")

    return tuple(fact for fact in facts if fact.kind in LINEAGE_KINDS and subject(fact) == name)


def influences_of(component: Component) -> tuple[Use, ...]:
    """Return what shaped a component: its recorded uses, and those its recipe names, should the two disagree.

    A role that is none of ours is influence as well: it counts as training.
    """
    listed = component.recipe.get("uses", [])
    named = [
        Use(use["digest"], Role(use["role"]) if use.get("role") in _ROLES else Role.TRAIN)
        for use in (listed if isinstance(listed, list) else [])
        if isinstance(use, dict) and isinstance(use.get("digest"), str)
    ]
    return tuple(dict.fromkeys((*component.uses, *named)))


_ROLES = frozenset(role.value for role in Role)
