"""Whether the evidence of a plan can be had here, asked before anything is contained and again before the first step.

Every part of a release is trained again when the release is examined, those too that the removal leaves alone, and must
come out bit for bit. Under other libraries it may not, and then the release would be out of service with no way on. So
the parts that a plan leaves alone are looked at first: what they were made with, and by which recipe, against what is
installed. What was re-executed earlier needs no second look. The ways on are two, and the planner offers both: install
what was recorded, or train these parts again as well.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from disgorge.docket import Case
from disgorge.errors import DisgorgeError, EnvironmentDiffers
from disgorge.laying_out import layout_of
from disgorge.machine import cannot_repeat, recorded_environment, unlike_here
from disgorge.method import Blueprint, Method, ModelSpec, determining, methods, recipe_for
from disgorge.plan import Action, Plan, shards_after
from disgorge.reexecuted import earlier_reexecutions, is_proved
from disgorge.training import component_name, spec_of
from lineage.catalog import Catalog
from lineage.counted import counted
from lineage.ledger import Ledger
from lineage.records import Component, Cost, Shard

_CHANGED = (Action.DROP, Action.SUBTRACT, Action.RETRAIN)
_LISTED = 3
"""Parts that an error names; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Unrepeatable:
    """A part that cannot be expected to come out bit for bit here, and why."""

    component: Component
    why: tuple[str, ...]


def unrepeatable(ledger: Ledger, plan: Plan, *, strictly: bool = False) -> dict[str, dict[str, Unrepeatable]]:
    """Return, by release and by name, inputs first, the parts a plan leaves alone whose evidence cannot be had here.

    ``strictly`` counts every difference of the environment, those too with which bits are expected to be equal, such as
    another processor. :class:`DisgorgeError` names data that a part is to be trained from and that is not there.
    """
    with Catalog.of(ledger) as catalog:
        shards = shards_after({shard.name: shard for shard in catalog.shards()}, plan.shard_changes)
        current = {component.name: component for component in catalog.components()}
        specs = {
            step.subject: spec_of(catalog.composition(step.detail["before"]))
            for step in plan.steps
            if step.action is Action.RECOMPOSE
        }
    changed = {name for step in plan.steps if step.action in _CHANGED for name in step.detail["names"]}
    earlier = earlier_reexecutions(ledger)
    found: dict[str, dict[str, Unrepeatable]] = {}
    for release, spec in specs.items():
        method = methods()[spec.method]
        blueprints = layout_of(method, spec, shards)
        _require_data(ledger, blueprints, shards, plan)
        digests = {("shard", name): shard.digest for name, shard in shards.items()}
        parts: dict[str, Unrepeatable] = {}
        for blueprint in blueprints:
            name = component_name(spec.release, blueprint.name)
            component = current.get(name)
            if component is not None:
                digests["component", blueprint.name] = component.digest
            if name in changed or component is None:
                continue
            if is_proved(component, earlier) and not _reads_any(spec, blueprint, parts):
                continue
            if why := _why(method, spec, blueprint, component, digests, parts, strictly=strictly):
                parts[name] = Unrepeatable(component, why)
        if parts:
            found[release] = parts
    return found


def require_repeatable(ledger: Ledger, plan: Plan, case: Case) -> None:
    """Raise :class:`EnvironmentDiffers` while evidence that the plan still needs cannot be had here."""
    done = case.steps.get(plan.digest, {})
    if all(step.id in done for step in plan.steps if step.action is Action.PROBE):
        return
    if found := unrepeatable(ledger, plan):
        raise refusal(plan.request, found)


def refusal(request: str, found: Mapping[str, Mapping[str, Unrepeatable]]) -> EnvironmentDiffers:
    """Return the error that says which parts cannot be compared here, and the two ways on with their cost."""
    parts = {name: part for each in found.values() for name, part in each.items()}
    shown = [f"{name} ({'; '.join(part.why)})" for name, part in list(parts.items())[:_LISTED]]
    more = f" and {len(parts) - _LISTED} more" if len(parts) > _LISTED else ""
    cost = sum((part.component.cost for part in parts.values()), Cost())
    return EnvironmentDiffers(
        f"request {request} leaves {counted(len(parts), 'part')} alone that cannot be shown here, by equal bits, to be "
        f"what they were: {', '.join(shown)}{more}; install what they were made with and run this again, or have them "
        f"trained again too with `disgorge request plan {request} --retrain-untouched` ({cost.steps:,} steps, about "
        f"{cost.seconds:.3g} s of training)"
    )


def _why(
    method: Method,
    spec: ModelSpec,
    blueprint: Blueprint,
    component: Component,
    digests: Mapping[tuple[str, str], str],
    others: Mapping[str, Unrepeatable],
    *,
    strictly: bool,
) -> tuple[str, ...]:
    if _reads_any(spec, blueprint, others):
        return ("what it is trained from is trained again",)
    if not component.recipe:
        return ("it was recorded without a recipe",)
    if determining(recipe_for(method, blueprint, digests, spec)) != determining(component.recipe):
        return ("the model without the items asks for another recipe",)
    if component.recipe.get("version") != method.version:
        return (f"{method.name} was {component.recipe.get('version')} and is {method.version}",)
    recorded = recorded_environment(component)
    return cannot_repeat(recorded, method.libraries) or (unlike_here(recorded, method.libraries) if strictly else ())


def _reads_any(spec: ModelSpec, blueprint: Blueprint, others: Mapping[str, Unrepeatable]) -> bool:
    return any(use.of == "component" and component_name(spec.release, use.name) in others for use in blueprint.inputs)


def _require_data(ledger: Ledger, blueprints: tuple[Blueprint, ...], shards: Mapping[str, Shard], plan: Plan) -> None:
    to_come = {change.after.digest for change in plan.shard_changes if change.after is not None}
    for name in dict.fromkeys(use.name for part in blueprints for use in part.inputs if use.of == "shard"):
        digest = shards[name].digest
        if digest not in to_come and not ledger.content_path(digest).is_file():
            raise DisgorgeError(
                f"{ledger.content_path(digest)}: the data of shard {name!r} is missing, and parts are to be trained "
                f"from it for the evidence; put it back (`dvc pull` where DVC has it), then run this again"
            )
