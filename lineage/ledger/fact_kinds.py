"""What the facts of lineage say: a frozen value for each kind of fact, checked when it is read.

>>> from lineage.ledger.chain import next_fact
>>> from lineage.records import plain
>>> said = ReleaseFact("digits", "live", "ab" * 32)
>>> ReleaseFact.read(next_fact(None, kind=said.kind_of_fact, body=plain(said), at="2026-11-02T09:00:00Z")) == said
True
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import ClassVar, TypeVar

from lineage.errors import LedgerBroken
from lineage.ledger.chain import Fact
from lineage.records import LEFT_OUT, Artifact, Component, Composition, Shard, restore_json

Said = TypeVar("Said", bound="FactBody")

FACT_KINDS: "dict[str, type[FactBody]]" = {}
"""Every kind of fact whose class is loaded, by its name."""


@dataclass(frozen=True, slots=True)
class FactBody:
    """What a fact says. A subclass for each kind of fact names it in ``kind_of_fact``."""

    kind_of_fact: ClassVar[str]

    def __init_subclass__(cls) -> None:
        """Make a kind of fact known by its name."""
        FACT_KINDS[cls.kind_of_fact] = cls

    @classmethod
    def read(cls: type[Said], fact: Fact) -> Said:
        """Return what a fact of this kind says; :class:`~lineage.errors.LedgerBroken` if it has another form."""
        try:
            return restore_json(cls, json.dumps(fact.body))
        except Exception as problem:  # pydantic, and whatever the records in it complain of
            raise malformed(fact, problem) from problem


def malformed(fact: Fact, problem: Exception) -> LedgerBroken:
    """Return the error for a fact that does not say what facts of its kind say."""
    return LedgerBroken(
        f"line {fact.seq} of the ledger, a {fact.kind!r}, has not the form of one ({type(problem).__name__}); it was "
        "appended by a program that does not know this format: restore the file as it was before"
    )


def said(facts: Iterable[Fact], kind: type[Said]) -> Iterator[tuple[Fact, Said]]:
    """Yield the facts of one kind with what each says."""
    return ((fact, kind.read(fact)) for fact in facts if fact.kind == kind.kind_of_fact)


@dataclass(frozen=True, slots=True)
class ShardFact(FactBody):
    """A shard was recorded. ``duplicates`` counts equal items; ``validation`` is the digest of a kept record."""

    kind_of_fact = "shard"
    shard: Shard
    duplicates: dict[str, int] = field(default_factory=dict, metadata={LEFT_OUT: True})
    validation: str | None = field(default=None, metadata={LEFT_OUT: True})


@dataclass(frozen=True, slots=True)
class ShardWithdrawnFact(FactBody):
    """A shard was withdrawn, by digest. ``after`` is the shard cut from it, ``removed`` counts its rows that went.

    ``marks`` is how many withdrawn items are remembered by then.
    """

    kind_of_fact = "shard-withdrawn"
    shard: str
    name: str = ""
    after: str | None = None
    removed: int = 0
    marks: int = 0
    request: str = field(default="", metadata={LEFT_OUT: True})
    plan: str = field(default="", metadata={LEFT_OUT: True})


@dataclass(frozen=True, slots=True)
class ItemsLetInFact(FactBody):
    """A person let items of a shard in that were withdrawn before: how many, and why."""

    kind_of_fact = "items-let-in"
    shard: str
    name: str
    items: int
    by: str
    because: str


@dataclass(frozen=True, slots=True)
class ArtifactFact(FactBody):
    """An artifact was recorded."""

    kind_of_fact = "artifact"
    artifact: Artifact


@dataclass(frozen=True, slots=True)
class ArtifactWithdrawnFact(FactBody):
    """An artifact was withdrawn, by digest."""

    kind_of_fact = "artifact-withdrawn"
    artifact: str
    name: str
    request: str = field(default="", metadata={LEFT_OUT: True})
    plan: str = field(default="", metadata={LEFT_OUT: True})


WITHDRAWALS = (ShardWithdrawnFact.kind_of_fact, ArtifactWithdrawnFact.kind_of_fact)
"""Kinds of facts that withdraw inputs."""


@dataclass(frozen=True, slots=True)
class ComponentFact(FactBody):
    """A component was trained, or trained again."""

    kind_of_fact = "component"
    component: Component


@dataclass(frozen=True, slots=True)
class ComponentRetiredFact(FactBody):
    """A component was retired, by name and digest. ``after`` is what replaces it, ``remedy`` what was done."""

    kind_of_fact = "component-retired"
    name: str
    component: str
    after: str | None = None
    remedy: str = field(default="", metadata={LEFT_OUT: True})
    plan: str = field(default="", metadata={LEFT_OUT: True})


@dataclass(frozen=True, slots=True)
class CompositionFact(FactBody):
    """Components were composed."""

    kind_of_fact = "composition"
    composition: Composition


@dataclass(frozen=True, slots=True)
class ReleaseFact(FactBody):
    """A composition, by digest, is served under a name and alias."""

    kind_of_fact = "release"
    name: str
    alias: str
    composition: str


@dataclass(frozen=True, slots=True)
class ReleaseContainedFact(FactBody):
    """A release is taken out of service, for a removal or, with ``hold``, for a hold.

    ``aliases`` of the tracking server, set by hand, were taken away with it.
    """

    kind_of_fact = "release-contained"
    name: str
    alias: str
    request: str = field(default="", metadata={LEFT_OUT: True})
    hold: bool = field(default=False, metadata={LEFT_OUT: True})
    aliases: tuple[str, ...] = field(default=(), metadata={LEFT_OUT: True})


@dataclass(frozen=True, slots=True)
class ReleaseWithdrawnFact(FactBody):
    """A release was destroyed."""

    kind_of_fact = "release-withdrawn"
    name: str
    alias: str
    composition: str = field(default="", metadata={LEFT_OUT: True})
    request: str = field(default="", metadata={LEFT_OUT: True})


@dataclass(frozen=True, slots=True)
class PurgedFact(FactBody):
    """Shards and objects, by digest, were deleted."""

    kind_of_fact = "purged"
    request: str
    shards: tuple[str, ...]
    objects: tuple[str, ...]
    plan: str = field(default="", metadata={LEFT_OUT: True})


@dataclass(frozen=True, slots=True)
class LossAcceptedFact(FactBody):
    """The facts from line ``first`` to ``last`` are lost, and a person goes on; ``digest`` is the last one's."""

    kind_of_fact = "loss-accepted"
    first: int
    last: int
    digest: str


LINEAGE_KINDS = tuple(FACT_KINDS)
"""Kinds of facts that change lineage: a plan goes stale when one is appended."""
