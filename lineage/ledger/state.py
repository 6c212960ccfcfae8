"""What holds now: the lineage facts of a ledger folded into shards, components, compositions and releases. Pure.

- A shard is live until a ``shard-withdrawn`` of its digest; a component until a ``component-retired`` of its name and
  digest; a release under a name and alias until its ``release-withdrawn``. Recorded again, each is live again.
- A component recorded twice under one name and digest keeps the uses of both records: to record it again with fewer is
  no way to hide one.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import cache
from types import UnionType
from typing import Any, Generic, TypeVar, Union, get_args, get_origin, get_type_hints

from lineage.errors import LedgerBroken
from lineage.ledger.chain import Fact
from lineage.records import Component, Composition, Cost, Json, Member, Record, Release, Role, Shard, Use


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
        body, seq = fact.body, fact.seq
        match fact.kind:
            case "shard":
                shard = shard_of(body["shard"])
                self._enter(self.shards, (shard.name, shard.digest), Entry(seq, shard))
            case "shard-withdrawn":
                self.shards |= {
                    key: replace(entry, live=False) for key, entry in self.shards.items() if key[1] == body["shard"]
                }
            case "component":
                component = component_of(body["component"])
                key = (component.name, component.digest)
                known = self.influences.get(component.digest, frozenset())
                self.influences[component.digest] = known | set(influences_of(component))
                if key in self.components:
                    uses = dict.fromkeys((*component.uses, *self.components[key].record.uses))
                    component = replace(component, uses=tuple(uses))
                self._enter(self.components, key, Entry(seq, component))
            case "component-retired":
                self._change(self.components, (body["name"], body["component"]), live=False)
            case "composition":
                composition = composition_of(body["composition"])
                self.compositions[composition.digest] = composition
            case "release":
                release = release_of(body)
                self._enter(self.releases, (release.name, release.alias), Entry(seq, release))
            case "release-contained":
                place = (body["name"], body["alias"])
                if (held := self.releases.get(place)) is not None:
                    self._change(self.releases, place, record=replace(held.record, contained=True))
            case "release-withdrawn":
                self._change(self.releases, (body["name"], body["alias"]), live=False)

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
        try:
            state.take(fact)
        except (KeyError, TypeError, ValueError, AttributeError) as problem:
            raise LedgerBroken(
                f"line {fact.seq} of the ledger, a {fact.kind!r}, has not the form of one ({problem!r}); it was "
                "appended by a program that does not know this format: restore the file as it was before"
            ) from problem
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


def shard_of(body: dict[str, Json]) -> Shard:
    """Return the shard that :func:`~lineage.records.plain` wrote."""
    return _fitting(Shard(**{**body, "fields": tuple(body.get("fields", ()))}))


def component_of(body: dict[str, Json]) -> Component:
    """Return the component that :func:`~lineage.records.plain` wrote."""
    return _fitting(
        Component(
            digest=body["digest"],
            name=body["name"],
            kind=body["kind"],
            uses=tuple(Use(use["digest"], Role(use["role"])) for use in body["uses"]),
            recipe=body.get("recipe", {}),
            cost=Cost(**body.get("cost", {})),
            locations=tuple(body.get("locations", ())),
            environment=body.get("environment", {}),
        )
    )


def composition_of(body: dict[str, Json]) -> Composition:
    """Return the composition that :func:`~lineage.records.plain` wrote."""
    return _fitting(Composition(body["method"], body["spec"], tuple(Member(**member) for member in body["members"])))


def release_of(body: dict[str, Json]) -> Release:
    """Return the release that a fact names."""
    return _fitting(Release(body["name"], body["alias"], body["composition"]))


Fitting = TypeVar("Fitting")


def _fitting(record: Fitting) -> Fitting:
    """Return a record whose every field is of its type; TypeError for another, which would fail far from here."""
    for name, kind, inner in _kinds(type(record)):  # type: ignore[arg-type] # mypy holds a type for unhashable
        value = getattr(record, name)
        values = value if inner is not object else ()
        if not _is(value, kind) or not all(_is(each, inner) for each in values):
            raise TypeError(f"{name} is {value!r:.60}")
        for each in values if is_dataclass(inner) else ():
            _fitting(each)
        if is_dataclass(value):
            _fitting(value)
    return record


def _is(value: object, kind: Any) -> bool:
    if isinstance(value, bool):
        return kind is object or kind is bool
    return isinstance(value, int) if kind is float and isinstance(value, int) else isinstance(value, kind)


@cache
def _kinds(record: Any) -> tuple[tuple[str, Any, Any], ...]:
    """Return a record's fields: name, type, and the type of what it is a tuple of."""
    found = []
    for name, hint in get_type_hints(record).items():
        kind = get_origin(hint) or hint
        if kind is Union or kind is UnionType:
            kind = hint
        inner = get_args(hint)[0] if kind is tuple else object
        found.append((name, object if kind is Any else kind, inner))
    return tuple(found)
