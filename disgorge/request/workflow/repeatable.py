"""Checks that a plan's evidence can be had in this environment, before anything is contained or removed.

A part that a removal leaves alone stands on its attestation. One that does not is trained again when the release is
examined, and must come out bit for bit. Under other libraries it may not, and then the release would be out of service
with no way on. So such parts are looked at first: what they were made with, and by which recipe, against what is
installed. The ways on are two, and the planner offers both: install what was recorded, or train these parts again too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from disgorge.attestation.standing import Attested
from disgorge.errors import DisgorgeError, EnvironmentDiffers
from disgorge.examination.attested_parts import stands_as_recorded
from disgorge.layout import component_name, layout_of
from disgorge.method import Blueprint, Declared, ModelSpec, determining, libraries_for, recipe_for
from disgorge.plan.details import RenewalDetail
from disgorge.plan.plan import Action, Plan, shards_after
from disgorge.plan.results import Retrained
from disgorge.request.case import Case
from disgorge.training.assemble import spec_of
from disgorge.training.environment import UNREPEATED, cannot_repeat, unlike_here
from disgorge.training.make import recordings
from disgorge.training.runners.declared import maker_of
from disgorge.training.sandbox.levels import Level, reached
from disgorge.training.sandbox.nvidia import DEVICE, lacking
from lineage.artifacts.files import problem_with
from lineage.artifacts.named import usable_artifacts
from lineage.catalog.catalog import Catalog
from lineage.plural import counted
from lineage.records import Component, Composition, Cost, Shard
from lineage.workspace import Workspace

CHANGED = (Action.DROP, Action.SUBTRACT, Action.RETRAIN)
"""What the steps do that leave no part as it was."""
WITHOUT = "it was recorded without a recipe"
"""Why a part cannot be trained again by what is recorded of it."""
_LISTED = 3
"""Parts that an error names; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Unrepeatable:
    """A part that cannot be expected to come out bit for bit here, and why."""

    component: Component
    why: tuple[str, ...]


def unrepeatable(
    workspace: Workspace, plan: Plan, case: Case, *, strictly: bool = False
) -> dict[str, dict[str, Unrepeatable]]:
    """Return, by release and by name, inputs first, the parts a plan leaves alone whose evidence cannot be had here.

    ``strictly`` counts every difference of the environment, those too with which bits are expected to be equal, such as
    another processor. :class:`DisgorgeError` names data that a part is to be trained from and that is not there.
    """
    with Catalog.of(workspace) as catalog:
        shards = shards_after({shard.name: shard for shard in catalog.shards()}, plan.shard_changes)
        compositions = {
            step.subject: catalog.composition(step.detail_as(RenewalDetail).before)
            for step in plan.steps
            if step.action is Action.RECOMPOSE
        }
        live = {(component.name, component.digest) for component in catalog.components()}
        named = {
            release: usable_artifacts(catalog, (spec := spec_of(composition)).artifact_names, of=spec.release)
            for release, composition in compositions.items()
        }
    recorded, attested = recordings(workspace), Attested.of(workspace)
    by_release: dict[str, dict[str, Unrepeatable]] = {}
    for release, composition in compositions.items():
        spec = spec_of(composition)
        method = maker_of(workspace, composition)
        steps = [step for step in plan.steps if step.action in CHANGED and step.release == release]
        changed = {name for step in steps for name in (step.subject, *(part.name for part in step.parts))}
        blueprints = layout_of(method, spec, shards)
        _require_data(workspace, blueprints, shards, plan)
        digests = named[release] | {("shard", name): shard.digest for name, shard in shards.items()}
        parts: dict[str, Unrepeatable] = {}
        members = current_members(composition, case)
        for blueprint in blueprints:
            name = component_name(spec.release, blueprint.name)
            part = (name, members.get(name, ""))
            known = recorded[part] if part in live else []  # what another removal has retired, it finishes itself
            if known:
                digests["component", blueprint.name] = known[-1].digest
            if name in changed or not known:
                continue
            if stands_as_recorded(attested, known, plan.confinement) and not _reads_any(spec, blueprint, parts):
                continue
            if why := _why(method, spec, blueprint, known, digests, parts, strictly=strictly):
                parts[name] = Unrepeatable(known[-1], why)
        if parts:
            by_release[release] = parts
    return by_release


def current_members(composition: Composition, case: Case) -> dict[str, str]:
    """Return, by name, the digests of a composition's parts, or of what retraining for the request made of them."""
    results = [result for done in case.steps.values() for result in done.values()]
    retrained = {result.before: result.after for result in results if isinstance(result, Retrained)}
    members = {}
    for member in composition.members:
        digest, seen = member.component, set[str]()
        while digest in retrained and digest not in seen:
            seen.add(digest)
            digest = retrained[digest]
        members[member.name] = digest
    return members


def trained_models(workspace: Workspace, plan: Plan) -> tuple[ModelSpec, ...]:
    """Return the descriptions of the models of which a plan trains a part."""
    releases = {step.release for step in plan.steps if step.action is Action.RETRAIN}
    renewed = [step for step in plan.steps if step.action is Action.RECOMPOSE and step.subject in releases]
    with Catalog.of(workspace) as catalog:
        return tuple(spec_of(catalog.composition(step.detail_as(RenewalDetail).before)) for step in renewed)


def require_repeatable(workspace: Workspace, plan: Plan, case: Case) -> None:
    """Raise :class:`EnvironmentDiffers` while evidence that the plan still needs cannot be had here."""
    done = case.steps.get(plan.digest, {})
    if all(step.id in done for step in plan.steps if step.action is Action.PROBE):
        return
    here = reached()
    if not here.level.at_least(plan.confinement):
        raised = f"raise it with `{here.raise_by}`" if here.raise_by else "carry it out on a machine that reaches it"
        raise EnvironmentDiffers(
            f"request {' '.join(plan.requests)} must be shown by runs confined at level {plan.confinement}, and this "
            f"machine reaches {here.level} ({here.why}); {raised}, then run this again (`disgorge doctor` says more)"
        )
    require_promised_bits(workspace, plan)
    for spec in trained_models(workspace, plan):
        if spec.device == DEVICE and (why := lacking()):
            raise EnvironmentDiffers(
                f"request {' '.join(plan.requests)} trains parts of {spec.release} on device {DEVICE}, and {why}; "
                "carry it out on a machine that has one"
            )
    if parts := unrepeatable(workspace, plan, case):
        raise refusal(" ".join(plan.requests), parts)


def needs_equal_bits(plan: Plan) -> bool:
    """Whether what a plan trains must come out a second time: where it says so, or jobs here are no proof alone."""
    return plan.equal_bits or reached().level is not Level.NAMESPACE


def require_promised_bits(workspace: Workspace, plan: Plan) -> None:
    """Raise :class:`EnvironmentDiffers` where a plan needs equal bits of a model whose recipe promises none."""
    for spec in trained_models(workspace, plan) if needs_equal_bits(plan) else ():
        if not spec.deterministic:
            request = " ".join(plan.requests)
            raise EnvironmentDiffers(
                f"request {request} must be shown by equal bits, and {spec.release} is trained with `deterministic: "
                "false`, which promises none; train it with `deterministic: true` and plan the request again, or have "
                f"it destroyed with `disgorge request plan {request} --withdraw {spec.release}`"
            )


def refusal(request: str, found: Mapping[str, Mapping[str, Unrepeatable]]) -> EnvironmentDiffers:
    """Return the error that says which parts cannot be compared here, and the two ways on with their cost."""
    parts = {name: part for each in found.values() for name, part in each.items()}
    shown = [f"{name} ({'; '.join(part.why)})" for name, part in list(parts.items())[:_LISTED]]
    more = f" and {len(parts) - _LISTED} more" if len(parts) > _LISTED else ""
    if bare := [name for name, part in parts.items() if WITHOUT in part.why]:
        return EnvironmentDiffers(
            f"request {request} leaves {counted(len(parts), 'part')} alone that cannot be shown to be what they were: "
            f"{', '.join(shown)}{more}; give each the model that makes it with `disgorge attest --component {bare[0]} "
            f"--recipe MODEL.yaml`, or have its release destroyed with `disgorge request plan {request} --withdraw "
            "RELEASE`"
        )
    cost = sum((part.component.cost for part in parts.values()), Cost())
    return EnvironmentDiffers(
        f"request {request} leaves {counted(len(parts), 'part')} alone that cannot be shown here, by equal bits, to be "
        f"what they were: {', '.join(shown)}{more}; install what they were made with and run this again, or have them "
        f"trained again too with `disgorge request plan {request} --retrain-untouched` ({cost.steps:,} steps, about "
        f"{cost.seconds:.3g} s of training)"
    )


def _why(
    method: Declared,
    spec: ModelSpec,
    blueprint: Blueprint,
    known: Sequence[Component],
    digests: Mapping[tuple[str, str], str],
    others: Mapping[str, Unrepeatable],
    *,
    strictly: bool,
) -> tuple[str, ...]:
    """Return why none of the recordings of a part can be made again here; nothing where one can."""
    if _reads_any(spec, blueprint, others):
        return ("what it is trained from is trained again",)
    target = determining(recipe_for(method, blueprint, digests, spec))
    why: tuple[str, ...] = (WITHOUT,)
    for component in reversed([each for each in known if each.recipe]):
        if determining(component.recipe) != target:
            why = ("the model without the items asks for another recipe",)
        elif component.recipe.get("deterministic") is False:
            why = (UNREPEATED,)
        elif component.recipe.get("version") != method.version:
            why = (f"{method.name} was {component.recipe.get('version')} and is {method.version}",)
        else:
            libraries = libraries_for(method, component.kind)
            why = cannot_repeat(component.environment, libraries)
            if strictly and not why:
                why = unlike_here(component.environment, libraries)
        if not why:
            return ()
    return why


def _reads_any(spec: ModelSpec, blueprint: Blueprint, others: Mapping[str, Unrepeatable]) -> bool:
    return any(use.of == "component" and component_name(spec.release, use.name) in others for use in blueprint.inputs)


def _require_data(
    workspace: Workspace, blueprints: tuple[Blueprint, ...], shards: Mapping[str, Shard], plan: Plan
) -> None:
    to_come = {change.after.digest for change in plan.shard_changes if change.after is not None}
    for name in dict.fromkeys(use.name for part in blueprints for use in part.inputs if use.of == "shard"):
        digest = shards[name].digest
        if digest not in to_come and not workspace.content_path(digest).is_file():
            raise DisgorgeError(
                f"{workspace.content_path(digest)}: the data of shard {name!r} is missing, and parts are to be trained "
                f"from it for the evidence; put it back (`dvc pull` where DVC has it), then run this again"
            )
    for name in dict.fromkeys(use.name for part in blueprints for use in part.inputs if use.of == "artifact"):
        artifacts = workspace.ledger.state().artifacts
        recorded = next(entry.record for (called, _), entry in artifacts.items() if called == name)
        if wrong := problem_with(workspace, recorded):
            raise DisgorgeError(
                f"{wrong}, and parts are built on it for the evidence; put it back as it was, then run this again"
            )
