"""Gives a component that was recorded by hand the recipe that makes it, for ``disgorge attest --component``.

The recipe is what a model file lays out for it, or what was recorded with it. It is run, confined. If the very bytes
come out, they are recorded with the recipe and the attestation. Other bytes are recorded beside them, under a name of
their own: nothing takes the place of what is recorded before a person accepts it, by its digest. Then the new component
gets the name, and every live release that has the old one is given the new one in its place. The old one stays
recorded, and a removal that reaches it deletes it.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from disgorge.errors import BadModel, WrongUse
from disgorge.facts import ComponentAcceptedFact
from disgorge.layout import blueprint_name, component_name
from disgorge.method import Blueprint, ModelSpec, recipe_for
from disgorge.release.attest import NEEDED, Outcome, Runs, beside, differing, key_of, refuse_contained
from disgorge.release.recorded.compose import put_in_place
from disgorge.release.train import lay_out, shards_for
from disgorge.tracking.registry import Registrar, registry_or_none
from disgorge.training.code.kept import keep_code
from disgorge.training.make import uses_of
from disgorge.training.recipe import Runner
from disgorge.training.runners.declared import method_of_model
from disgorge.workspace_lock import turn
from lineage.artifacts.named import usable_artifacts
from lineage.catalog.catalog import Catalog
from lineage.errors import UnknownRecord
from lineage.ledger.fact_kinds import ComponentFact, ComponentRetiredFact
from lineage.ledger.state import influences_of
from lineage.records import Component, Cost
from lineage.shown import short
from lineage.storage.components import is_whole, require_whole
from lineage.workspace import Workspace
from policies.taxonomy import Confinement


@dataclass(frozen=True, slots=True)
class Accepted:
    """A component that took the place of a recorded one, the releases it is in now, and why one is not served."""

    before: Component
    after: Component
    releases: tuple[str, ...]
    words: tuple[str, ...]


def attest_component(
    workspace: Workspace,
    runner: Runner,
    name: str,
    spec: ModelSpec | None = None,
    *,
    level: Confinement,
    folder: Path | None = None,
    registrar: Registrar | None = None,
) -> Outcome:
    """Run the recipe that a model lays out for a component, or that it was recorded with, and record what came of it.

    ``folder`` is that of the model file. Raises :class:`~lineage.errors.UnknownRecord` for a component or shard that is
    not there, :class:`WrongUse` for a model that does not fit the component, and what training raises.
    """
    with turn(workspace, then="run `disgorge attest` again"):
        with Catalog.of(workspace) as catalog:
            recorded = catalog.component(name)
        refuse_contained(workspace, recorded)
        component = recorded if spec is None else _with_recipe(workspace, recorded, spec, folder)
        if not NEEDED <= component.recipe.keys():
            raise WrongUse(
                f"component {component.name} has no recipe; name the model that makes it, --recipe MODEL.yaml"
            )
        runs = Runs(workspace, runner, {key_of(component): component}, alone=True)
        if made := _made_before(workspace, component):
            runs.beside, runs.problems[key_of(component)] = made, differing(workspace, component, made)
        else:
            runs.run_missing(level)
        parts = runs.parts()
        if parts[0].problem is None:
            with Catalog.of(workspace) as catalog:
                now = catalog.component(recorded.name)
            replaced = put_in_place(workspace, registrar or registry_or_none(workspace), recorded, now)
            if replaced.facts:
                workspace.ledger.record(*replaced.facts)
        return Outcome(parts, beside=runs.beside)


def accept_component(
    workspace: Workspace, name: str, digest: str, *, by: str, registrar: Registrar | None = None
) -> Accepted:
    """Put what the recipe of a component made, by the beginning of its digest, in the place of what is recorded.

    Raises :class:`~lineage.errors.UnknownRecord` where no run was recorded so, and as :func:`attest_component` does.
    """
    with turn(workspace, then="accept it again"):
        with Catalog.of(workspace) as catalog:
            recorded = catalog.component(name)
            made = [each for each in catalog.components() if each.name == beside(recorded.name)]
        chosen = [each for each in made if digest and each.digest.startswith(digest)]
        if len(chosen) != 1:
            there = ", ".join(short(each.digest) for each in made) or "none"
            raise UnknownRecord(
                f"no run of the recipe of {recorded.name} made {digest!r}; kept beside it: {there}; `disgorge attest "
                f"--component {recorded.name}` runs it"
            )
        refuse_contained(workspace, recorded)
        require_whole(workspace.objects, chosen[0].digest)
        after = replace(chosen[0], name=recorded.name)
        replaced = put_in_place(workspace, registrar or registry_or_none(workspace), recorded, after)
        workspace.ledger.record(
            ComponentFact(after),
            ComponentRetiredFact(chosen[0].name, after.digest, remedy="accepted"),
            ComponentAcceptedFact(recorded.name, recorded.digest, after.digest, workspace.pseudonym(by)),
            *replaced.facts,
        )
        return Accepted(recorded, after, replaced.releases, replaced.words)


def _made_before(workspace: Workspace, component: Component) -> Component | None:
    """Return what an earlier run of the same recipe recorded beside a component, None if there is none."""
    with Catalog.of(workspace) as catalog:
        there = [
            each
            for each in catalog.components()
            if each.name == beside(component.name) and each.recipe_digest == component.recipe_digest
        ]
    there = [each for each in there if is_whole(workspace.objects, each.digest)]
    return there[-1] if there else None


def _with_recipe(workspace: Workspace, component: Component, spec: ModelSpec, folder: Path | None) -> Component:
    """Return a component as a model has it made, with the recipe over what is live."""
    blueprint = blueprint_for(workspace, component, spec, folder)
    used = {use.digest for use in influences_of(component)}
    digests = {("shard", name): shard.digest for name, shard in shards_for(workspace, spec).items()}
    with Catalog.of(workspace) as catalog:
        live = catalog.components()
        digests |= usable_artifacts(catalog, spec.artifact_names, of=spec.release)
        names_of = {each.digest: each.name for each in live}
        names_of |= {each.digest: each.name for each in catalog.shards(live=False)}
        names_of |= {each.digest: each.name for each in catalog.artifacts(live=False)}
    for name in (use.name for use in blueprint.inputs if use.of == "component"):
        called = [each.digest for each in live if each.name in (name, component_name(spec.release, name))]
        if not called:
            raise BadModel(
                f"model {spec.release} makes {component.name} from {name}, and no live component is called so; record "
                "that first"
            )
        digests["component", name] = next((digest for digest in called if digest in used), called[-1])
    method = method_of_model(spec, folder=folder)
    recipe = recipe_for(method, blueprint, digests, spec) | keep_code(workspace, method.code)
    uses = uses_of(recipe)
    if lacking := sorted(names_of.get(digest, short(digest)) for digest in used - {use.digest for use in uses}):
        raise WrongUse(
            f"component {component.name} is recorded to have used {', '.join(lacking)}, which model {spec.release} "
            "does not make it from; give the model that does"
        )
    cost = Cost(blueprint.examples, blueprint.steps, component.cost.seconds)
    return replace(component, kind=blueprint.kind, uses=uses, recipe=recipe, cost=cost, locations=("objects",))


def blueprint_for(workspace: Workspace, component: Component, spec: ModelSpec, folder: Path | None) -> Blueprint:
    """Return the part of a model that a component is: by its name, or the only one that is made from what it used."""
    blueprints = {blueprint.name: blueprint for blueprint in lay_out(workspace, spec, folder=folder)}
    if (named := blueprints.get(blueprint_name(spec.release, component.name))) is not None:
        return named
    used = {use.digest for use in influences_of(component)}
    with Catalog.of(workspace) as catalog:
        names = {each.name for each in catalog.shards() if each.digest in used}
        names |= {each.name for each in catalog.artifacts() if each.digest in used}
    alike = [each for each in blueprints.values() if {use.name for use in each.inputs} == names]
    if len(alike) != 1:
        listed = ", ".join(component_name(spec.release, name) for name in blueprints)
        raise WrongUse(f"model {spec.release} lays out no {component.name}; it lays out {listed}")
    return alike[0]
