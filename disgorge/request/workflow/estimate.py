"""Estimates how long the evidence of a plan takes, and how long each release is out of service.

Reckoned from what training took when it was recorded: evidence trains again what does not stand on its attestation and,
where equal bits are demanded, or jobs are confined less than ``namespace`` here, what the removal makes. And it asks
the models before and after; how long that takes was measured if the release was examined before, and is guessed from
the pace of training otherwise. What does not depend on the model - loading libraries, starting a process, moving an
alias in MLflow - was measured on two idle cores and is a constant here. So on a machine that is busy, or several times
slower, it takes as much longer.
"""

from collections.abc import Mapping

from disgorge.attestation.standing import Attested, standings
from disgorge.evidence.checks import ASKED_IN, Examination
from disgorge.examination.samples import HELD_OUT, RETAINED
from disgorge.facts import ExaminationFact
from disgorge.layout import component_name, layout_of
from disgorge.method import Blueprint, Declared, ModelSpec
from disgorge.plan.details import RenewalDetail
from disgorge.plan.plan import Action, Expected, Plan, shards_after
from disgorge.request.case import Case
from disgorge.request.stored_records import kept_record
from disgorge.request.workflow.repeatable import current_members, needs_equal_bits
from disgorge.training.assemble import spec_of
from disgorge.training.runners.declared import maker_of
from lineage.catalog.catalog import Catalog
from lineage.errors import LineageError
from lineage.records import Component, Shard
from lineage.workspace import Workspace

_AT_ONCE = 2
"""Jobs that run at the same time unless DISGORGE_WORKERS says otherwise."""
_OF_TRAINING = 1.5
"""To ask about an item, as a share of training every part that answers on it once."""
_LOADING = {"torch": 3.5, "diffusers": 3.0}
"""Seconds to load a library, once a command."""
_PER_JOB, _PER_STEP, _PER_MOVE = 0.15, 0.1, 0.4
"""Seconds to start a job and take its result, to record a step, and to contain or move an alias in MLflow."""
_QUESTIONS = 4
"""Times an item is answered about: by the old model and by the new one, each for its scores and for its utility."""
_ASKED = 3
"""Jobs that train nothing: the layout, the old model and the new one."""


def expected(workspace: Workspace, plan: Plan, case: Case, *, models: int) -> dict[str, Expected]:
    """Return, by release, the seconds its evidence will take and those it will be out of service.

    ``models`` are those that are trained for its probes to compare with. A release that is destroyed has none.
    """
    attested = Attested.of(workspace)
    with Catalog.of(workspace) as catalog:
        shards = shards_after({shard.name: shard for shard in catalog.shards()}, plan.shard_changes)
        components = {(component.name, component.digest): component for component in catalog.components(live=False)}
        compositions = {
            step.subject: catalog.composition(step.detail_as(RenewalDetail).before)
            for step in plan.steps
            if step.action is Action.RECOMPOSE
        }
    removal = sum(step.cost.seconds + _PER_STEP for step in plan.steps if step.action not in _AFTER)
    removal += _PER_MOVE * sum(step.action is Action.CONTAIN for step in plan.steps)
    trained = {step.subject: step.cost.seconds for step in plan.steps if step.action is Action.RETRAIN}
    twice = needs_equal_bits(plan)
    asked_before = _asking(workspace)
    loading, estimates, since = 0.0, {}, removal
    for release, composition in compositions.items():
        spec = spec_of(composition)
        method = maker_of(workspace, composition)
        blueprints = layout_of(method, spec, shards)
        members = current_members(composition, case)
        current = {name: components[name, digest] for name, digest in members.items() if (name, digest) in components}
        parts = {component_name(spec.release, blueprint.name): blueprint for blueprint in blueprints}
        costs = {name: trained.get(name, current[name].cost.seconds if name in current else 0.0) for name in parts}
        kept = [name for name in parts if name in current and name not in trained]
        found = standings(attested, [current[name] for name in kept], accepts=plan.confinement)
        standing = {name for name, each in zip(kept, found, strict=True) if each.stands}
        runs = [cost for name, cost in costs.items() if name not in standing and (name not in trained or twice)]
        evidence = max(sum(runs) / _AT_ONCE, max(runs, default=0.0)) + _PER_JOB * (len(runs) + _ASKED)
        asking = asked_before.get(release)
        if asking is None:
            asking = _OF_TRAINING * _pace(parts, current) * _items_asked(spec, shards)
        evidence += asking
        evidence += models * sum(costs.values()) / _AT_ONCE
        first = max(_load(method) - loading, 0.0)  # what one method loaded is there for the next
        loading = max(loading, _load(method))
        since += evidence + first + 3 * _PER_STEP + _PER_MOVE
        estimates[release] = Expected(round(evidence + first, 1), round(since, 1))
    return estimates


_AFTER = (Action.RECOMPOSE, Action.PROBE, Action.ADOPT, Action.WITHDRAW, Action.PURGE, Action.REPORT)


def _asking(workspace: Workspace) -> dict[str, float]:
    """Return, by release, the seconds that asking the models took when it was examined last."""
    found: dict[str, float] = {}
    for _, examined in workspace.ledger.said(ExaminationFact):
        try:
            examination = kept_record(workspace, Examination, examined.examination)
        except LineageError:  # lost; a step that needs it says so, an estimate does not
            continue
        for check in examination.checks:
            if isinstance(seconds := check.detail.get(ASKED_IN), float):
                found[check.subject] = seconds
    return found


def _load(method: Declared) -> float:
    named = {module.partition(".")[0] for module in method.libraries}
    return sum(seconds for library, seconds in _LOADING.items() if library in named)


def _pace(parts: Mapping[str, Blueprint], current: Mapping[str, Component]) -> float:
    """Return the seconds it takes to train every part that answers on one item once."""
    costs = [current[name].cost for name, blueprint in parts.items() if blueprint.weight and name in current]
    return sum(max(cost.seconds - _PER_JOB, 0.0) / cost.examples for cost in costs if cost.examples)


def _items_asked(spec: ModelSpec, shards: Mapping[str, Shard]) -> int:
    """Return how many answers about items are given, those about removed ones aside."""
    sets = ((RETAINED, spec.shards), (HELD_OUT, spec.evaluate))
    return _QUESTIONS * sum(min(most, sum(shards[n].count for n in names if n in shards)) for most, names in sets)
