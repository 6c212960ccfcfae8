"""A workspace with attested components, as short calls: two shards, a base, and a head made from the base."""

import datetime as dt
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from disgorge.attestation.record import attest_done
from disgorge.attestation.standing import Attested, Standing, standing
from disgorge.facts import AttestedFact
from lineage.formats.read import Intake
from lineage.ledger.fact_kinds import ComponentFact, CompositionFact, ReleaseFact
from lineage.records import Component, Composition, Json, Member, Role, Shard, Use, in_member_order
from lineage.shards.add import add_items
from lineage.storage.tensors import save_tensors
from lineage.workspace import Workspace
from policies.taxonomy import Confinement

STARTED = dt.datetime(2026, 11, 30, 12, tzinfo=dt.UTC)
TORCH = {"version": "2.13.0+cpu", "record": "5e" * 32}
ENVIRONMENT: dict[str, Json] = {
    "machine": "x86_64", "libraries": {"torch": "2.13.0"}, "distributions": {"torch": TORCH},
}  # fmt: skip


@dataclass(frozen=True)
class Reached:
    """What confined a run."""

    level: Confinement = Confinement.NAMESPACE
    gaps: tuple[str, ...] = ()


@dataclass(frozen=True)
class Done:
    """A run that is done."""

    confinement: Reached = field(default_factory=Reached)
    started: dt.datetime = STARTED
    ended: dt.datetime = STARTED + dt.timedelta(minutes=2)
    checkpoint: str = ""


def workspace_in(folder: Path, *, day: int = 10) -> Workspace:
    """A workspace with the shards alice and bob."""
    workspace = Workspace.init(folder, clock=lambda: dt.datetime(2026, 11, day, 9, tzinfo=dt.UTC))
    for name in ("alice", "bob"):
        shard(workspace, name)
    return workspace


def shard(workspace: Workspace, name: str) -> Shard:
    """Record a shard of two numbers."""
    keys, nobody = (f"{name}-0", f"{name}-1"), (None, None)
    values = np.array([float(len(name)), float(ord(name[0]))])
    intake = Intake(name, {"x": values}, keys, nobody, nobody, nobody, keys)
    return add_items(workspace, intake, name=name, license="MIT", check=False, dvc=False).shard


def digest_of_shard(workspace: Workspace, name: str) -> str:
    """The digest of a shard by its name."""
    return next(digest for known, digest in workspace.ledger.state().shards if known == name)


def part(
    workspace: Workspace,
    name: str,
    *used: Shard | Component | str,
    bits: int = 0,
    environment: dict[str, Json] = ENVIRONMENT,
    **recipe: Any,
) -> Component:
    """A component whose bytes follow from its name and ``bits``, stored; ``used`` as its recipe names them."""
    uses = []
    for each in used:
        digest = digest_of_shard(workspace, each) if isinstance(each, str) else each.digest
        of, role = ("component", "initialize") if isinstance(each, Component) else ("shard", "train")
        uses.append({"of": of, "digest": digest, "role": role})
    asked: dict[str, Json] = {"method": "toy", "kind": "toy", "parameters": {"seed": 7}, "uses": uses, **recipe}
    digest = workspace.objects.put(save_tensors({name: np.array([bits], np.int64)}))
    named = tuple(Use(use["digest"], Role(use["role"])) for use in uses)
    return Component(digest, name, "toy", named, asked, locations=("objects",), environment=environment)


def attested(
    workspace: Workspace, component: Component, level: Confinement = Confinement.NAMESPACE, *, resumed: bool = False
) -> AttestedFact:
    """Record a component, and a run that made it."""
    facts = attest_done(workspace, component, Done(Reached(level), checkpoint="c4" * 32 if resumed else ""))
    workspace.ledger.record(ComponentFact(component), *facts)
    fact = facts[-1]
    assert isinstance(fact, AttestedFact)
    return fact


def released(workspace: Workspace, *components: Component) -> None:
    """Compose components and release them."""
    members = in_member_order(Member(each.name, each.digest) for each in components)
    composition = Composition("toy", {}, members)
    workspace.ledger.record(CompositionFact(composition), ReleaseFact("digits", "live", composition.digest))


def judged(workspace: Workspace, component: Component, **demands: Any) -> Standing:
    """Whether a component stands, accepting the level landlock unless told otherwise."""
    return standing(Attested.of(workspace), component, **{"accepts": Confinement.LANDLOCK, **demands})
