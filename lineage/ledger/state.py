"""What holds now: the lineage facts of a ledger folded into shards, components, compositions and releases. Pure.

- A shard is live until a ``shard-withdrawn`` of its digest; a component until a ``component-retired`` of its name and
  digest; a release under a name and alias until its ``release-withdrawn``. Recorded again, each is live again.
- A component recorded twice under one name and digest keeps the uses of both records: to record it again with fewer is
  no way to hide one.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from typing import Any, Generic

from lineage.ledger.chain import Fact
from lineage.ledger.fact_kinds import (
    FACT_KINDS,
    LINEAGE_KINDS,
    ComponentFact,
    ComponentRetiredFact,
    CompositionFact,
    ReleaseContainedFact,
    ReleaseFact,
    ReleaseWithdrawnFact,
    ShardFact,
    ShardWithdrawnFact,
)
from lineage.records import Component, Composition, Record, Release, Role, Shard, Use


@dataclass(frozen=True, slots=True)
class Entry(Generic[Record]):
    """A record, the place of the fact that recorded it last, and whether it is live."""

    seq: int
    record: Record
    live: bool = True


@dataclass(slots=True)
class State:
    """Everything recorded so far, by name and digest; releases by name and alias.

    ``influences`` has, for a component's digest, what shaped it according to any record of it.
    """

    shards: dict[tuple[str, str], Entry[Shard]] = field(default_factory=dict)
    components: dict[tuple[str, str], Entry[Component]] = field(default_factory=dict)
    influences: dict[str, frozenset[Use]] = field(default_factory=dict)
    compositions: dict[str, Composition] = field(default_factory=dict)
    releases: dict[tuple[str, str], Entry[Release]] = field(default_factory=dict)

    def take(self, fact: Fact) -> None:
        """Fold one fact in; kinds that do not change what holds are ignored."""
        kind, seq = FACT_KINDS.get(fact.kind), fact.seq
        if kind is None or fact.kind not in LINEAGE_KINDS:
            return
        match kind.read(fact):
            case ShardFact(shard):
                self._enter(self.shards, (shard.name, shard.digest), Entry(seq, shard))
            case ShardWithdrawnFact(digest):
                self.shards |= {
                    key: replace(entry, live=False) for key, entry in self.shards.items() if key[1] == digest
                }
            case ComponentFact(component):
                key = (component.name, component.digest)
                known = self.influences.get(component.digest, frozenset())
                self.influences[component.digest] = known | set(influences_of(component))
                if key in self.components:
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
        return State(*(dict(getattr(self, each.name)) for each in fields(self)))

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
    found: dict[str, None] = {}
    waiting = list(digests)
    while waiting:
        if (digest := waiting.pop(0)) not in found:
            found[digest] = None
            waiting += origins.get(digest, ())
    return tuple(found)


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
