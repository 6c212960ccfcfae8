"""What training a model file would do, found without training: parts, columns, classes, code, and what is refused.

Nothing is changed, and no code of the user's is loaded here; a confined process imports it where that is asked for.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from disgorge.errors import BadModel, DisgorgeError
from disgorge.layout import component_name, layout_of
from disgorge.method import Blueprint, ModelSpec
from disgorge.release.expected_cost import Rate, YearlyCost, expected_cost, kind_of_work, size_of
from disgorge.release.patterns import resolved
from disgorge.release.train import change_of_code, contained, release_of, require_artifacts, shards_for
from disgorge.training.code.known import KnownMethod
from disgorge.training.make import there_already
from disgorge.training.model_file import FUNCTION, exposed_to
from disgorge.training.runners.declared import declared, import_problems, method_of_model
from lineage.catalog.catalog import Catalog
from lineage.errors import LineageError
from lineage.ledger.fact_kinds import ComponentFact
from lineage.records import Component, Json, Shard
from lineage.shards.files import distinct_values
from lineage.workspace import Workspace

_LETTERS = 80
"""Letters of a value that a message shows."""


@dataclass(slots=True)
class ModelCheck:
    """What was found of a model; ``problems`` would be refused, ``notes`` are worth knowing."""

    spec: ModelSpec
    method: KnownMethod | None = None
    shards: Mapping[str, Shard] = field(default_factory=dict)
    blueprints: tuple[Blueprint, ...] = ()
    there: Mapping[str, Component] = field(default_factory=dict)
    """The components that are there already, by the name of their blueprint."""
    imported: dict[str, str] = field(default_factory=dict)
    """Functions by the key that names each, with what is the matter with them; empty unless they were imported."""
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def columns(self) -> dict[str, str]:
        """The columns that the user's code sees, each with the field that it is of; none for other methods."""
        if not self.blueprints or self.spec.method != FUNCTION:
            return {}
        named = {name: str(each["field"]) for name, each in self.said("columns", {}).items()}
        others = named.pop("*", None) is not None or not named
        fields = {name for each in self.shards_read for name in each.fields} if others else set()
        return dict(sorted((named | {each: each for each in fields - {*named.values()}}).items()))

    @property
    def classes(self) -> Json:
        """The classes: those that the file names, or words on where they come from."""
        given = self.said("classes", None)
        said = {"all": "found in all data, so a removal finds them again", "core": "found in the core"}
        return said.get(given, given) if isinstance(given, str) else given

    @property
    def code(self) -> tuple[str, ...]:
        """The files of local code, as jobs see them."""
        code = self.method.code if self.method else None
        return tuple(file.path for file in code.tree.files) if code else ()

    @property
    def shards_read(self) -> tuple[Shard, ...]:
        """The shards that components read, in the order of the file."""
        read = {use.name for each in self.blueprints for use in each.inputs if use.of == "shard"}
        return tuple(self.shards[name] for name in (*self.spec.core, *self.spec.shards) if name in read)

    def said(self, key: str, default: Any) -> Any:
        """Return what the recipes of a user's functions will say under a key; the default for other methods."""
        fitted = (each.parameters for each in self.blueprints if self.spec.method == FUNCTION)
        return next((each.get(key, default) for each in fitted if "train" in each), default)


def check_model(workspace: Workspace, spec: ModelSpec, *, folder: Path, imports: bool = False) -> ModelCheck:
    """Return what training a model would do; with ``imports`` a confined process also loads the user's code.

    ``folder`` is that of the model file, where code is searched for first.
    """
    found = ModelCheck(spec)
    with _noted(found.problems):
        found.spec = spec = resolved(workspace, spec)
        found.shards = shards_for(workspace, spec)
    with _noted(found.problems):
        require_artifacts(workspace, spec)
    held = release_of(workspace, spec.release, spec.alias)
    if held is not None and held.contained:
        found.problems.append(str(contained(workspace, held)))
    with _noted(found.problems):
        found.method = declared(spec.method)  # which lays out without the user's code, too
        found.method = method_of_model(spec, folder=folder)
        found.notes += filter(None, [change_of_code(workspace, spec, folder=folder)])
        if imports:
            found.imported = import_problems(found.method, spec)
            found.problems += filter(None, found.imported.values())
    if found.method is not None and found.shards:
        with _noted(found.problems):
            found.blueprints = layout_of(found.method, spec, found.shards)
            found.problems += _other_labels(workspace, found)
    if not found.problems and found.method is not None:
        found.there = there_already(workspace, spec, method=found.method, shards=found.shards)
    if exposed := exposed_to(spec.method, spec.parameters):
        found.notes.append(f"data files of {', '.join(exposed)} may be read, and every report names that as left")
    return found


@contextmanager
def _noted(problems: list[str]) -> Iterator[None]:
    """Note what goes wrong in the block, and go on after it."""
    try:
        yield
    except (DisgorgeError, LineageError) as error:
        problems.append(str(error))


def _other_labels(workspace: Workspace, found: ModelCheck) -> Iterator[str]:
    """Yield which values of the shards are in no map, or are none of the classes, that the model file names."""
    classes = found.classes if isinstance(found.classes, list) else None
    named = {str(each) for each in classes or ()}
    for name, column in found.columns.items():
        given = found.said("columns", {}).get(name, {}).get("map")
        if given is None and (name != "label" or classes is None):
            continue
        if given is not None and name == "label" and classes is not None:
            if other := sorted({str(each) for each in given.values()} - named):
                yield f"columns.label.map: {other[0][:_LETTERS]!r} is none of the classes; add it to `classes`"
        known, where = (named, "`classes`") if given is None else ({*given}, f"columns.{name}.map")
        for shard in found.shards_read:
            values = distinct_values(workspace, shard.digest, column) if column in shard.fields else ()
            if values is None:
                found.notes.append(f"shard {shard.name}: the values of {column!r} were not looked at")
            elif other := sorted({*values} - known):
                yield (
                    f"shard {shard.name}: the value {other[0][:_LETTERS]!r} of {column!r} is not in {where}; add it "
                    "there, or leave these items out of the shards"
                )


# What removals will cost ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LayoutCost:
    """What removals cost in a year under a layout, and whether it is that of the model file."""

    layout: str
    is_given: bool
    cost: YearlyCost


def cost_of_layouts(workspace: Workspace, found: ModelCheck, rate: Rate) -> tuple[int, float, tuple[LayoutCost, ...]]:
    """Return how many people have removable items, how many removals a year that makes, and what they cost.

    The layout of the file comes first, and others of a model of functions beside it.
    """
    names: dict[str, set[str]] = {}
    for name in found.spec.shards:
        names.setdefault(found.shards[name].digest, set()).add(name)
    people: dict[frozenset[str], int] = {}
    with Catalog.of(workspace) as catalog:
        for digests, count in catalog.people().items():
            if shards := frozenset(name for digest in digests for name in names.get(digest, ())):
                people[shards] = people.get(shards, 0) + count
    whole, pace = sum(people.values()), _pace(workspace, found.spec)
    removals = rate.of(whole)
    costs = []
    for layout, spec in _layouts(found.spec):
        with suppress(BadModel):  # of a layout that the file does not ask for
            blueprints = found.blueprints if spec is found.spec else _laid_out(found, spec)
            cost = expected_cost(blueprints, people, removals, pace)
            costs.append(LayoutCost(layout, spec is found.spec, cost))
    return whole, removals, tuple(costs)


def _laid_out(found: ModelCheck, spec: ModelSpec) -> tuple[Blueprint, ...]:
    return layout_of(found.method, spec, found.shards) if found.method else ()


def _pace(workspace: Workspace, spec: ModelSpec) -> dict[str, float]:
    """Return the seconds that an item took in trainings of this release before, by kind of work."""
    seconds: dict[str, float] = {}
    items: dict[str, float] = {}
    for _, said in workspace.ledger.said(ComponentFact):
        made = said.component
        if made.name.startswith(component_name(spec.release, "")) and made.recipe.get("method") == spec.method:
            like = Blueprint(
                made.name, made.kind, (), made.recipe["parameters"], steps=made.cost.steps, examples=made.cost.examples
            )
            kind = kind_of_work(like)
            seconds[kind] = seconds.get(kind, 0.0) + made.cost.seconds
            items[kind] = items.get(kind, 0.0) + size_of(like)
    return {kind: each / items[kind] for kind, each in seconds.items()}


def _layouts(spec: ModelSpec) -> Sequence[tuple[str, ModelSpec]]:
    """Return layouts to compare: that of the file and, of a model of functions, joint and isolated ones."""
    if spec.method != FUNCTION:
        return [("as in the file", spec)]
    left_out = ("neighbors", "ring", "weights", "combine", "route")
    given = {key: value for key, value in spec.parameters.items() if key not in left_out}
    stages = given.get("stages")
    own = "stages as in the file" if stages else given.get("layout", "joint")
    found = [(own, spec)]
    for layout in ("joint", "isolated"):
        if stages:
            laid = {name: {**each, "layout": _other(each, layout)} for name, each in stages.items()}
            found.append((f"all stages {layout}", replace(spec, parameters=given | {"stages": laid})))
        elif layout != own:
            found.append((layout, replace(spec, parameters=given | {"layout": layout})))
    return found


def _other(stage: Mapping[str, Json], layout: str) -> str:
    """Return the layout of a stage in a comparison; one over the core alone stays."""
    return "core" if stage.get("layout") == "core" else layout
