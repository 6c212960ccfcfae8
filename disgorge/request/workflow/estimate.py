"""Estimates how long the evidence of a plan takes, and how long each release is out of service.

Reckoned from what training took when it was recorded: evidence trains again what was not re-executed before, and the
part that took least once more, and asks the models before and after; how long that takes was measured if the release
was examined before, and is guessed from the pace of training otherwise. What does not depend on the model - loading
libraries, starting a process, moving an alias in MLflow - was measured on two idle cores and is a constant here. So on
a machine that is busy, or several times slower, it takes as much longer.
"""

from collections.abc import Iterable, Mapping

from disgorge.evidence.checks import ASKED_IN, Examination
from disgorge.examination.reexecuted import earlier_reexecutions, is_proved
from disgorge.facts import ExaminationFact
from disgorge.layout import component_name, layout_of
from disgorge.method import Blueprint, Method, method_named
from disgorge.plan.details import RenewalDetail
from disgorge.plan.plan import Action, Expected, Plan, shards_after
from disgorge.request.case import Case
from disgorge.request.stored_records import kept_record
from disgorge.request.workflow.repeatable import current_members
from disgorge.training.assemble import spec_of
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
"""Times a model is asked: the old one and the new one, each for its utility and for its answers."""


def expected(workspace: Workspace, plan: Plan, case: Case, *, models: int) -> dict[str, Expected]:
    """Return, by release, the seconds its evidence will take and those it will be out of service.

    ``models`` are those that are trained for its probes to compare with. A release that is destroyed has none.
    """
    earlier = earlier_reexecutions(workspace)
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
    asked_before = _asking(workspace)
    loading, estimates, since = 0.0, {}, removal
    for release, composition in compositions.items():
        spec = spec_of(composition)
        method = method_named(spec.method)
        blueprints = layout_of(method, spec, shards)
        members = current_members(composition, case)
        current = {name: components[name, digest] for name, digest in members.items() if (name, digest) in components}
        parts = {component_name(spec.release, blueprint.name): blueprint for blueprint in blueprints}
        costs = {name: trained.get(name, current[name].cost.seconds if name in current else 0.0) for name in parts}
        proved = {name for name in parts if name in current and is_proved(current[name], earlier)}
        again = [cost for name, cost in costs.items() if name in trained or name not in proved]
        runs = [*again, min(costs.values(), default=0.0)]
        evidence = max(sum(runs) / _AT_ONCE, max(runs)) + _PER_JOB * (len(runs) + _QUESTIONS)
        asking = asked_before.get(release)
        if asking is None:
            asking = _OF_TRAINING * _pace(parts, current) * _items_asked((*spec.shards, *spec.evaluate), shards)
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


def _load(method: Method) -> float:
    named = {module.partition(".")[0] for module in method.libraries}
    return sum(seconds for library, seconds in _LOADING.items() if library in named)


def _pace(parts: Mapping[str, Blueprint], current: Mapping[str, Component]) -> float:
    """Return the seconds it takes to train every part that answers on one item once."""
    costs = [current[name].cost for name, blueprint in parts.items() if blueprint.weight and name in current]
    return sum(max(cost.seconds - _PER_JOB, 0.0) / cost.examples for cost in costs if cost.examples)


def _items_asked(names: Iterable[str], shards: Mapping[str, Shard]) -> int:
    """Return how many items the questions are about, all told: each is asked about by every question."""
    return _QUESTIONS * sum(shards[name].count for name in names if name in shards)
