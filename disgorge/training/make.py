"""Makes models: lays one out and makes the components that are missing.

Each run is attested when it is done (:mod:`disgorge.attestation`). A component whose recipe was carried out before in
an environment like this one is taken from the store, not trained again; whether it may be relied on, its attestation
says. What a removal leaves alone is taken from the composition by name and digest, whatever its recipe or environment.
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from graphlib import CycleError, TopologicalSorter
from typing import Any

from disgorge.attestation.checkpoints import delete_checkpoint
from disgorge.attestation.record import attest_done
from disgorge.errors import BadModel, ExecutionFailed
from disgorge.evidence.quality import Quality
from disgorge.layout import component_name, layout_of, touched_by_removable
from disgorge.method import Blueprint, ModelSpec, libraries_for, recipe_for
from disgorge.training.code.kept import keep_code, said_of
from disgorge.training.code.known import KnownMethod
from disgorge.training.environment import can_be_reused
from disgorge.training.recipe import Done, Job, Runner
from lineage.artifacts.named import usable_artifacts
from lineage.catalog.catalog import Catalog
from lineage.ledger.fact_kinds import ComponentFact, FactBody
from lineage.records import (
    Component,
    Composition,
    Cost,
    Json,
    Member,
    Role,
    Shard,
    Use,
    digest_of,
    in_member_order,
    plain,
)
from lineage.storage import components
from lineage.storage.components import is_there
from lineage.workspace import Workspace

NONE: Mapping[str, Component] = {}


@dataclass(frozen=True, slots=True)
class Made:
    """A composition with the components it is made of; ``trained`` names those that were not there before.

    ``quality`` is what it measured before it was released, None where it was not asked.
    """

    composition: Composition
    components: tuple[Component, ...]
    trained: tuple[str, ...]
    quality: Quality | None = None


def reseeded(blueprints: Iterable[Blueprint], spec: ModelSpec, shift: int) -> tuple[Blueprint, ...]:
    """Return the blueprints with the seed moved wherever a removable shard has influence; core parts keep theirs."""
    blueprints = tuple(blueprints)
    touched = touched_by_removable(spec, blueprints)
    moved = []
    for blueprint in blueprints:
        if blueprint.name in touched:
            parameters = blueprint.parameters | {"seed": blueprint.parameters["seed"] + shift}
            blueprint = replace(blueprint, parameters=parameters)
        moved.append(blueprint)
    return tuple(moved)


def make(workspace: Workspace, spec: ModelSpec, runner: Runner, **how: Any) -> Made:
    """Make the components of a model that do not exist yet, as :func:`making` has it, and return the composition."""
    return make_all([making(workspace, spec, **how)], runner)[0]


def make_all(models: Sequence["Making"], runner: Runner) -> list[Made]:
    """Make several models, of distinct names: a component of one is trained while another one's waits for its inputs.

    Each component is recorded as soon as it is trained, so a run that was stopped goes on where it was.
    """

    def possible() -> list[Job]:
        return [job for model in models for job in model.possible()]

    for done in runner.run(possible(), more=possible):
        next(model for model in models if done.job.name in model.in_work).record(done)
    return [model.made() for model in models]


def making(
    workspace: Workspace,
    spec: ModelSpec,
    *,
    method: KnownMethod,
    shards: Mapping[str, Shard],
    shift: int = 0,
    recorded_as: str | None = None,
    only: Container[str] | None = None,
    untouched: Mapping[str, Component] = NONE,
    stores: bool = True,
) -> "Making":
    """Return what makes the components of a model that do not exist yet, and records each.

    ``method`` lays the model out, and its local code is stored and stands in the recipes; ``shards`` are those there
    are, by name. ``shift`` moves the seeds of removable parts and ``recorded_as`` the name
    the components are recorded under, for references. With ``only``, just the components of those names may be trained,
    and :class:`ExecutionFailed` says which other one is missing. ``untouched`` are taken as they are, by name. Without
    ``stores`` the code is not stored. The composition itself is not released.
    """
    blueprints = layout_of(method, spec, shards)
    if shift:
        blueprints = reseeded(blueprints, spec, shift)
    with Catalog.of(workspace) as catalog:
        live = {(component.name, component.digest): component for component in catalog.components()}
        artifacts = usable_artifacts(catalog, spec.artifact_names, of=spec.release)
    by_name = {blueprint.name: blueprint for blueprint in blueprints}
    return Making(
        workspace=workspace,
        spec=spec,
        method=method,
        title=recorded_as or spec.release,
        only=only,
        untouched=untouched,
        blueprints=by_name,
        order=order_of(spec, by_name),
        code=keep_code(workspace, method.code) if stores else said_of(method.code),
        live=live,
        recorded=_by_recipe(workspace),
        digests=artifacts | {("shard", name): shard.digest for name, shard in shards.items()},
    )


def there_already(
    workspace: Workspace, spec: ModelSpec, *, method: KnownMethod, shards: Mapping[str, Shard]
) -> dict[str, Component]:
    """Return the components that :func:`make` would take from the store, by the name of their blueprint.

    One that reads a component that is to be trained counts as to be trained. Changes nothing.
    """
    model, found = making(workspace, spec, method=method, shards=shards, stores=False), dict[str, Component]()
    for name, blueprint in model.blueprints.items():
        if all(use.name in found for use in blueprint.inputs if use.of == "component"):
            if (component := model.finished(blueprint)) is not None:
                found[name] = component
                model.digests["component", name] = component.digest
    return found


@dataclass(slots=True, kw_only=True)
class Making:
    """Makes the components of one layout. Each begins as soon as those that it reads are there."""

    workspace: Workspace
    spec: ModelSpec
    method: KnownMethod
    title: str
    only: Container[str] | None
    untouched: Mapping[str, Component]
    blueprints: Mapping[str, Blueprint]
    order: "TopologicalSorter[str]"
    code: Mapping[str, str]
    live: Mapping[tuple[str, str], Component]
    recorded: Mapping[str, list[Component]]
    digests: dict[tuple[str, str], str]
    components: dict[str, Component] = field(default_factory=dict)
    in_work: dict[str, Blueprint] = field(default_factory=dict)
    """Blueprints of the jobs that were given out, by the name of their component."""

    trained: list[str] = field(default_factory=list)

    def possible(self) -> list[Job]:
        """Return the jobs that were not given out before and whose inputs are there by now."""
        jobs = []
        while ready := self.order.get_ready():
            for name in ready:
                if (job := self._job(self.blueprints[name])) is not None:
                    jobs.append(job)
                else:
                    self.order.done(name)
        return jobs

    def record(self, done: Done) -> None:
        """Record and attest the component that a job made."""
        job, blueprint = done.job, self.in_work[done.job.name]
        cost = Cost(blueprint.examples, blueprint.steps, done.seconds)
        component = Component(
            done.digest, job.name, blueprint.kind, uses_of(job.recipe), job.recipe, cost, ("objects",),
            done.environment, done.files,
        )  # fmt: skip
        self._keep(blueprint, component, *attest_done(self.workspace, component, done))
        delete_checkpoint(self.workspace, job.recipe)
        self.trained.append(job.name)
        self.order.done(blueprint.name)

    def made(self) -> Made:
        """Return the composition of what was made, taken from the store or left as it is."""
        blueprints = self.blueprints.values()
        members = in_member_order(
            Member(self._name(each), self.digests["component", each.name], each.weight) for each in blueprints
        )
        composition = Composition(self.spec.method, plain(self.spec), members)
        return Made(composition, tuple(self.components[each.name] for each in blueprints), tuple(self.trained))

    def _name(self, blueprint: Blueprint) -> str:
        return component_name(self.title, blueprint.name)

    def _job(self, blueprint: Blueprint) -> Job | None:
        """Return the job that makes a component, None where it is there and was kept."""
        recipe, name = self._recipe(blueprint), self._name(blueprint)
        if name in self.untouched:
            self._keep(blueprint, self.untouched[name])
            return None
        if (made := self._finished(name, recipe)) is not None:
            self._keep(blueprint, replace(made, name=name))
            delete_checkpoint(self.workspace, recipe)  # of a run that was killed when its part was recorded
            return None
        if self.only is not None and name not in self.only:
            raise ExecutionFailed(f"{name} is missing and no step of the plan makes it; plan the request again")
        self.in_work[name] = blueprint
        return Job(name, recipe, blueprint.steps, resumes=True)

    def _recipe(self, blueprint: Blueprint) -> dict[str, Json]:
        return {**recipe_for(self.method, blueprint, self.digests, self.spec), **self.code}

    def finished(self, blueprint: Blueprint) -> Component | None:
        """Return the part that is there and stands for training one of this blueprint, None without one."""
        return self._finished(self._name(blueprint), self._recipe(blueprint))

    def _finished(self, name: str, recipe: dict[str, Json]) -> Component | None:
        """Return the last part this recipe made that stands for training it here; a plan takes what its steps made."""
        objects = self.workspace.objects
        there = [each for each in self.recorded.get(digest_of(recipe), ()) if is_there(objects, each.digest)]
        if self.only is None or name in self.only:
            there = [
                each
                for each in there
                if can_be_reused(each, libraries_for(self.method, each.kind)) and is_whole(self.workspace, each)
            ]
        return there[-1] if there else None

    def _keep(self, blueprint: Blueprint, component: Component, *attested: FactBody) -> None:
        last = self.live.get((component.name, component.digest))
        if last is None or (last.recipe, last.environment) != (component.recipe, component.environment):
            attested = (ComponentFact(component), *attested)
        if attested:
            self.workspace.ledger.record(*attested)
        self.components[blueprint.name] = component
        self.digests["component", blueprint.name] = component.digest


def recordings(workspace: Workspace) -> dict[tuple[str, str], list[Component]]:
    """Return every component as it was recorded, by name and digest, oldest first.

    The catalog has one record of each; two recipes, or two environments, may make the same bytes.
    """
    found: dict[tuple[str, str], list[Component]] = {}
    for _, said in workspace.ledger.said(ComponentFact):
        found.setdefault((said.component.name, said.component.digest), []).append(said.component)
    return found


def _by_recipe(workspace: Workspace) -> dict[str, list[Component]]:
    """Return every component as it was recorded, by the digest of its recipe, oldest first of each."""
    found: dict[str, list[Component]] = {}
    for each in recordings(workspace).values():
        for component in each:
            found.setdefault(component.recipe_digest, []).append(component)
    return found


def is_whole(workspace: Workspace, component: Component) -> bool:
    """Whether a component's bytes are what its digest says; what was damaged on disk is trained again."""
    return components.is_whole(workspace.objects, component.digest)


def ancestry(blueprints: Iterable[Blueprint], name: str) -> tuple[Blueprint, ...]:
    """Return the blueprint of that name and those it needs, inputs first; :class:`ExecutionFailed` if not laid out."""
    needed = {name}
    chosen = []
    for blueprint in reversed(tuple(blueprints)):
        if blueprint.name in needed:
            needed.update(use.name for use in blueprint.inputs if use.of == "component")
            chosen.append(blueprint)
    if not chosen or chosen[0].name != name:
        raise ExecutionFailed(f"the method no longer lays {name} out; plan the request again")
    return tuple(reversed(chosen))


def uses_of(recipe: Mapping[str, Json]) -> tuple[Use, ...]:
    """Return the uses a recipe names, in its order, without repeats."""
    return tuple(dict.fromkeys(Use(use["digest"], Role(use["role"])) for use in recipe["uses"]))


def order_of(spec: ModelSpec, blueprints: Mapping[str, Blueprint]) -> "TopologicalSorter[str]":
    """Return what gives names of blueprints out, each once those that it reads are done.

    Raises :class:`BadModel` for blueprints that read one another in a circle.
    """
    order = TopologicalSorter[str]()
    for name, blueprint in blueprints.items():
        order.add(name, *(use.name for use in blueprint.inputs if use.of == "component" and use.name in blueprints))
    try:
        order.prepare()
    except CycleError as error:
        circle = " reads ".join(error.args[1])
        raise BadModel(f"method {spec.method} lays {spec.release} out in a circle: {circle}; mend it") from error
    return order
