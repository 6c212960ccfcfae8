"""Changes to the trained toy that were made by hand: a component served in the place of another, or retired."""

from dataclasses import replace

from lineage.ledger.chain import Fact
from lineage.ledger.fact_kinds import ComponentFact, ComponentRetiredFact, CompositionFact, ReleaseFact
from lineage.records import Component, Composition, Json, in_member_order
from lineage.workspace import Workspace
from tests.toys import RELEASE, component_of, composition_of


def serve(workspace: Workspace, name: str, **changes: object) -> Component:
    """Record a component of the toy as changed, and serve it in the place of the old one."""
    old = component_of(workspace, f"{RELEASE}/{name}")
    new: Component = replace(old, **changes)  # type: ignore[arg-type]
    before = composition_of(workspace)
    members = [replace(each, component=new.digest) if each.name == old.name else each for each in before.members]
    composition = Composition(before.method, before.spec, in_member_order(members))
    if old.digest != new.digest:
        retire(workspace, name)
    workspace.ledger.record(
        ComponentFact(new), CompositionFact(composition), ReleaseFact(RELEASE, "live", composition.digest)
    )
    return new


def retire(workspace: Workspace, name: str) -> str:
    """Retire a component of the toy, delete its bytes and return its digest."""
    part = component_of(workspace, f"{RELEASE}/{name}")
    workspace.ledger.record(ComponentRetiredFact(part.name, part.digest))
    workspace.objects.delete(part.digest)
    return part.digest


def elsewhere(fact: Fact) -> dict[str, Json]:
    """A fact as it would be had the components been made on another kind of machine."""
    if fact.kind != "component":
        return fact.body
    component = fact.body["component"]
    return {"component": component | {"environment": component["environment"] | {"machine": "pdp11"}}}
