"""How each step of a plan is done. One function per action; :func:`act` picks it.

An action changes the world only in ways that may be repeated, and returns the facts to append. See
:mod:`disgorge.execute` for why that is enough to survive being killed.
"""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from disgorge import purge as purging
from disgorge.certificate import refuse_adoption
from disgorge.closure import by_digest, lineage_closure, members_of
from disgorge.docket import Case
from disgorge.errors import CertificateRefused, ExecutionFailed
from disgorge.evidence import Check, Verdict
from disgorge.examine import Examination, Examiner, join, pick
from disgorge.jobs import OnProgress, Runner, read_items
from disgorge.plan import Action, Plan, Step
from disgorge.registry import Registrar
from disgorge.requests import selectors_of
from disgorge.training import make, remake, spec_of
from disgorge.write_up import report_fact, write_up
from lineage.catalog import Catalog
from lineage.ledger import Ledger
from lineage.records import Composition, Json, canonical, plain, restore
from lineage.shards import cut_shard


@dataclass(frozen=True, slots=True)
class Workshop:
    """What actions work with: the ledger, who trains, who re-executes, and who is told of progress."""

    ledger: Ledger
    runner: Runner
    independent: Callable[[], Runner]
    references: int
    registrar: Registrar
    on_progress: OnProgress


Facts = list[tuple[str, dict[str, Json]]]


@dataclass(frozen=True, slots=True)
class Acted:
    """What a step came to: its result, the facts to append before its own, and those after it."""

    result: dict[str, Json] = field(default_factory=dict)
    facts: Facts = field(default_factory=list)
    closing: Facts = field(default_factory=list)


def act(workshop: Workshop, plan: Plan, step: Step, case: Case) -> Acted:
    """Do one step and return what it came to."""
    return _ACTIONS[step.action](workshop, plan, step, case)


def _contain(workshop: Workshop, plan: Plan, step: Step, case: Case) -> Acted:
    alias = step.detail["alias"]
    workshop.registrar.contain(step.subject, alias)
    fact = {"name": step.subject, "alias": alias, "request": plan.request}
    return Acted({"release": step.subject, "alias": alias}, [("release-contained", fact)])


def _withdraw_items(workshop: Workshop, plan: Plan, step: Step, case: Case) -> Acted:
    """Write the shards as they will be, remember what goes for the probes, and record all of it at once."""
    ledger = workshop.ledger
    changes = plan.shard_changes
    with Catalog.of(ledger) as catalog:
        selected = catalog.selected(selectors_of(ledger, case.request))
    earlier = (_forget_file(ledger, digest) for digest in case.steps)
    before = {item for path in earlier if path.exists() for item in _read_private(path)["items"]}
    forget = sorted(before.union(*selected.values()))
    _write_private(_forget_file(ledger, plan.digest), {"items": forget})
    ledger.mark_withdrawn(forget)
    facts: Facts = []
    for change in changes:
        after = cut_shard(ledger, change, selected[change.before.digest])
        if after is not None:
            facts.append(("shard", {"shard": plain(after), "duplicates": {"within": 0, "across": 0}}))
        facts.append(
            (
                "shard-withdrawn",
                {
                    "shard": change.before.digest,
                    "name": change.before.name,
                    "after": after.digest if after else None,
                    "removed": change.removed,
                    "request": plan.request,
                    "plan": plan.digest,
                },
            )
        )
    return Acted({"shards": len(changes), "rows": sum(change.removed for change in changes)}, facts)


def _drop(workshop: Workshop, plan: Plan, step: Step, case: Case) -> Acted:
    """Retire components: ``recompose`` leaves them out and ``purge`` deletes their bytes."""
    retired = zip(step.detail["names"], step.detail["components"], strict=True)
    facts = [_retired(plan, name, digest, None, step.action.value) for name, digest in retired]
    return Acted({"retired": len(facts)}, facts)


def _retrain(workshop: Workshop, plan: Plan, step: Step, case: Case) -> Acted:
    ledger = workshop.ledger
    with Catalog.of(ledger) as catalog:
        shards = {shard.name: shard for shard in catalog.shards()}
    spec = spec_of(_composition(ledger, _before(plan, step.release)))
    component = remake(ledger, spec, step.subject, workshop.runner, shards=shards, on_progress=workshop.on_progress)
    (before,) = step.detail["components"]
    result = {"before": before, "after": component.digest, "cost": plain(component.cost)}
    if component.digest == before:
        raise ExecutionFailed(
            f"training {step.subject} again without the items gave the very same weights; either they never trained "
            f"it, or the method does not train: the removal cannot be shown"
        )
    return Acted(result, [_retired(plan, step.subject, before, component.digest, "retrain")])


def _recompose(workshop: Workshop, plan: Plan, step: Step, case: Case) -> Acted:
    ledger = workshop.ledger
    with Catalog.of(ledger) as catalog:
        shards = {shard.name: shard for shard in catalog.shards()}
    spec = spec_of(_composition(ledger, step.detail["before"]))
    made = make(ledger, spec, workshop.runner, shards=shards, only=())
    result = {"before": step.detail["before"], "after": made.composition.digest}
    return Acted(result, [("composition", {"composition": plain(made.composition)})])


def _probe(workshop: Workshop, plan: Plan, step: Step, case: Case) -> Acted:
    """Examine the release; a check that does not pass refuses adoption, and its evidence is kept."""
    ledger = workshop.ledger
    changes = plan.shard_changes
    forget = frozenset(_read_private(_forget_file(ledger, plan.digest))["items"])
    spec = spec_of(_composition(ledger, step.detail["before"]))
    old = join([read_items(ledger, c.before.digest) for c in changes if c.before.name in (*spec.shards, *spec.core)])
    result = case.steps[plan.digest][plan.step_for(Action.RECOMPOSE, step.subject).id]
    found = Examiner(ledger, workshop.runner, workshop.independent, workshop.references, workshop.on_progress).examine(
        before=_composition(ledger, result["before"]),
        after=_composition(ledger, result["after"]),
        withdrawn=frozenset(change.before.digest for change in changes),
        removed=pick(old, forget),
        utility_floor=plan.utility_floor,
        loss_accepted=plan.digest in case.accepts_loss,
        plan=plan.digest,
    )
    kept = ledger.objects.put(canonical(found))
    ledger.append("examination", {"plan": plan.digest, "release": step.subject, "examination": kept})
    refuse_adoption(plan, step.subject, found.checks)
    return Acted({"release": step.subject, "examination": kept, "after": result["after"]})


def _adopt(workshop: Workshop, plan: Plan, step: Step, case: Case) -> Acted:
    """Move the alias; the examination is read again, because this is the step that must not be fooled."""
    ledger = workshop.ledger
    probed = case.steps[plan.digest][plan.step_for(Action.PROBE, step.subject).id]
    examination = examination_of(ledger, probed["examination"])
    refuse_adoption(plan, step.subject, examination.checks)
    alias = step.detail["alias"]
    composition = _composition(ledger, probed["after"])
    workshop.registrar.adopt(step.subject, alias, composition)
    fact = {"name": step.subject, "alias": alias, "composition": composition.digest}
    return Acted({"release": step.subject, "composition": composition.digest}, [("release", fact)])


def _withdraw(workshop: Workshop, plan: Plan, step: Step, case: Case) -> Acted:
    """Take a release down for good and retire every member that no other live release uses."""
    ledger = workshop.ledger
    with Catalog.of(ledger) as catalog:
        others = {
            member.component
            for release in catalog.releases()
            if (release.name, release.alias) != (step.subject, step.detail["alias"])
            for member in catalog.composition(release.composition).members
        }
        live = {(component.name, component.digest) for component in catalog.components()}
    left = workshop.registrar.withdraw(step.subject)
    fact = {
        "name": step.subject,
        "alias": step.detail["alias"],
        "composition": step.detail["before"],
        "request": plan.request,
    }
    facts: Facts = [("release-withdrawn", fact)]
    retired = 0
    for name, digest in zip(step.detail["names"], step.detail["components"], strict=True):
        if digest not in others and (name, digest) in live:
            facts.append(_retired(plan, name, digest, None, "withdraw"))
            retired += 1
    return Acted({"release": step.subject, "retired": retired, "residuals": list(left)}, facts)


def _purge(workshop: Workshop, plan: Plan, step: Step, case: Case) -> Acted:
    """Delete what was retired and look for it; the search is run before as well, to show that it can find it."""
    ledger = workshop.ledger
    path = _forget_file(ledger, plan.digest)
    forget = frozenset(_read_private(path)["items"])
    targets = {"shards": tuple(step.detail["shards"]), "objects": tuple(step.detail["objects"])}
    remembered = _read_private(path)
    found_before = remembered.get("found_before")
    if found_before is None:
        found_before = purging.residue_before(ledger, item_digests=forget, **targets)
        _write_private(path, remembered | {"found_before": found_before})
    closures = _closures_of_withdrawn(ledger, plan)
    purged = purging.purge(ledger, item_digests=forget, **targets)
    residue = purging.residue(ledger, item_digests=forget, found_before=found_before, subject=plan.request, **targets)
    if residue.verdict is not Verdict.PASS:
        raise CertificateRefused(
            f"check residue is {residue.verdict.value} for {plan.request}: {residue.answer} ({_first(residue)}); put "
            f"that right and resume, or plan the request again"
        )
    fact = {**{key: list(value) for key, value in targets.items()}, "request": plan.request, "plan": plan.digest}
    result = {
        "deleted": len(purged.deleted),
        "kept": list(purged.kept),
        "residuals": list(purged.residuals),
        "residue": plain(residue),
        "closures": plain(closures),
    }
    return Acted(result, [("purged", fact)])


def _first(residue: Check) -> str:
    """Say where the first trace is, or why nobody could look."""
    return next(iter([*residue.detail.get("left", []), *residue.detail.get("not searched", [])]), "no place named")


def _closures_of_withdrawn(ledger: Ledger, plan: Plan) -> list[Check]:
    """Return, for each release destroyed, whether anything live still learned from what was withdrawn."""
    steps = [step for step in plan.steps if step.action is Action.WITHDRAW]
    if not steps:
        return []
    withdrawn = frozenset(change.before.digest for change in plan.shard_changes)
    with Catalog.of(ledger) as catalog:
        known = by_digest(catalog.components(live=False))
        live = catalog.components()
        return [
            lineage_closure(
                step.subject,
                before=members_of(catalog.composition(step.detail["before"]), known),
                after=live,
                known=known,
                withdrawn=withdrawn,
            )
            for step in steps
        ]


def _report(workshop: Workshop, plan: Plan, step: Step, case: Case) -> Acted:
    ledger = workshop.ledger
    written = write_up(ledger, plan, case)
    if written.refusal is not None:
        raise CertificateRefused(written.refusal)
    for digest in case.steps:
        _forget_file(ledger, digest).unlink(missing_ok=True)
    report = report_fact(ledger, written)
    closing: Facts = [("report", report), ("request-closed", {"request": plan.request, "outcome": "done"})]
    return Acted({"bundle": report["bundle"], "verdict": written.verdict}, [], closing)


_ACTIONS: dict[Action, Callable[[Workshop, Plan, Step, Case], Acted]] = {
    Action.CONTAIN: _contain,
    Action.WITHDRAW_ITEMS: _withdraw_items,
    Action.DROP: _drop,
    Action.SUBTRACT: _drop,
    Action.RETRAIN: _retrain,
    Action.RECOMPOSE: _recompose,
    Action.PROBE: _probe,
    Action.ADOPT: _adopt,
    Action.WITHDRAW: _withdraw,
    Action.PURGE: _purge,
    Action.REPORT: _report,
}


def examination_of(ledger: Ledger, digest: str) -> Examination:
    """Return an examination kept in the object store."""
    return restore(Examination, json.loads(ledger.objects.get(digest)))


def _composition(ledger: Ledger, digest: str) -> Composition:
    with Catalog.of(ledger) as catalog:
        return catalog.composition(digest)


def _before(plan: Plan, release: str | None) -> str:
    return str(plan.step_for(Action.RECOMPOSE, release).detail["before"])


def _retired(plan: Plan, name: str, before: str, after: str | None, remedy: str) -> tuple[str, dict[str, Json]]:
    fact = {"name": name, "component": before, "after": after, "remedy": remedy, "plan": plan.digest}
    return ("component-retired", fact)


def _forget_file(ledger: Ledger, plan: str) -> Path:
    """Where the withdrawn items' digests are kept while a plan (by its digest) runs: private, deleted at the end."""
    return ledger.home / "private" / "executions" / f"{plan}.json"


def _write_private(path: Path, body: Json) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    aside = path.with_suffix(".new")
    aside.write_text(json.dumps(body))
    os.chmod(aside, 0o600)
    aside.replace(path)


def _read_private(path: Path) -> dict[str, Json]:
    if not path.exists():
        raise ExecutionFailed(
            f"{path.name} is missing from the workspace's private folder, so what was withdrawn can no longer be "
            f"searched for; restore the private folder and resume"
        )
    return dict(json.loads(path.read_text()))
