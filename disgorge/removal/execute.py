"""Carries an approved plan out, step by step, and can be killed anywhere.

Every step does its work idempotently - content-addressed results, registry calls that may be repeated - and then
appends its facts and the fact that it is done in one write. So whatever happens, a step either has its fact, and is
never run again, or has not, and is run again from the start; ``resume`` is ``execute``. Only one execution runs in a
workspace at a time.

The order of the plan is the order of safety: nothing is deleted before the release moved, and the release moves only
when every required check passed.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from disgorge.errors import AlreadyExecuted, CertificateRefused, DisgorgeError, ExecutionFailed
from disgorge.evidence.checks import REFERENCES, Utility
from disgorge.evidence.utility import headlines
from disgorge.facts import StepFact
from disgorge.plan.plan import Action, Plan, Step
from disgorge.release.disk import require_room
from disgorge.removal.actions import Workshop, act
from disgorge.removal.preconditions import require_alone, require_decided
from disgorge.report.compile import evidence_of, examinations_of, report_fact, write_up
from disgorge.request.case import Case, begun_plan, case_of, plan_of
from disgorge.request.holds.held_items import require_all_unheld
from disgorge.request.holds.purge_hold import require_purge_due
from disgorge.request.together import as_one, cases_of, cases_to_do, require_together
from disgorge.request.workflow.approval import require_approved, require_fresh
from disgorge.request.workflow.repeatable import require_repeatable
from disgorge.statement.certificate import left_out_words
from disgorge.tracking.registry import Registrar
from disgorge.tracking.runs import Observer
from disgorge.training.recipe import Runner
from disgorge.training.sandbox.inputs import clear_stages
from disgorge.workspace_lock import turn
from lineage.records import Component, Cost, plain
from lineage.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Executed:
    """What an execution came to for a request: the bundle, its verdict, and what the steps took."""

    request: str
    verdict: str
    bundle: Path
    cost: Cost
    utility: tuple[Utility, ...] = ()
    """The measure to speak of for every release, before and after."""
    reports: Mapping[str, Path] = field(default_factory=dict)
    """Of a joint plan the bundle of every request, by its id."""


def execute(
    workspace: Workspace,
    request: str,
    *,
    runner: Runner,
    independent: Callable[[], Runner],
    references: int = REFERENCES,
    registrar: Registrar,
    observer: Observer,
    on_step: Callable[[Step], None] = lambda step: None,
    on_done: Callable[[Step, float], None] = lambda step, seconds: None,
    on_words: Callable[[str], None] = lambda words: None,
) -> Executed:
    """Carry out the approved plan of a request and of those it was planned with, or go on where it was interrupted.

    ``runner`` trains, ``independent`` opens fresh processes for re-execution, ``references`` is the number of
    never-trained models probes compare with, ``on_words`` takes what the operator has to know of a step. Raises
    :class:`~lineage.errors.WorkspaceBusy` while another execution runs,
    :class:`~disgorge.errors.PurgeHeld` where the purge is to wait, :class:`AlreadyExecuted`,
    :class:`~disgorge.errors.NotApproved`, :class:`~disgorge.errors.StalePlan`, and :class:`CertificateRefused` when a
    check does not pass: then a signed report says so and the request stays open.
    """
    with turn(workspace, then=f"run `disgorge request resume {request}`"):
        clear_stages(workspace)
        workshop = Workshop(workspace, runner, independent, references, registrar)
        return _execute(workspace, request, workshop, observer, on_step, on_done, on_words)


def _execute(
    workspace: Workspace,
    request: str,
    workshop: Workshop,
    observer: Observer,
    on_step: Callable[[Step], None],
    on_done: Callable[[Step, float], None],
    on_words: Callable[[str], None],
) -> Executed:
    case = case_of(workspace, request)
    plan = _plan_to_do(workspace, case)
    cases = cases_to_do(workspace, plan)
    if not _only_reports_left(cases[0], plan):
        _require_ready(workspace, cases, plan)
    elif len(left := _unfinished(cases, plan)) == 1:
        _require_reportable(left[0], plan)
    _start(observer, plan, as_one(cases))

    def do(step: Step, cases: Sequence[Case]) -> None:
        on_step(step)
        start = time.perf_counter()
        done = act(workshop, plan, step, cases)
        seconds = time.perf_counter() - start
        fact = StepFact(plan.digest, step.id, step.action.value, plain(done.result), round(seconds, 3))
        workspace.ledger.record(*done.facts, fact, *done.closing)
        observer.step(step, seconds, done.result)
        on_done(step, seconds)
        for words in done.notes:
            on_words(words)

    for step in plan.steps:
        if step.action is Action.REPORT:
            continue
        cases = cases_to_do(workspace, plan)
        if step.id in cases[0].steps.get(plan.digest, {}):
            continue
        require_together(cases, plan)
        for each in cases:
            require_no_hold(each, f"step {step.id}")
            require_decided(each, plan)
        if step.action is Action.PURGE:
            for each in cases:
                require_purge_due(each, workspace.today())
            examinations_of(workspace, plan)  # once the old model is gone, it cannot be examined again
        try:
            do(step, cases)
        except CertificateRefused as refusal:
            raise _written_up(workspace, plan, cases, refusal, observer) from refusal
    _report_each(workspace, plan, do, observer)
    return _executed(workspace, plan, request, observer)


def _plan_to_do(workspace: Workspace, case: Case) -> Plan:
    """Return the plan that is to be carried out; :class:`AlreadyExecuted` if nothing is left to be done of it."""
    name = case.request.id
    plan = plan_of(workspace, case) if case.plan is not None or not case.closed else None
    left = _unfinished(cases_of(workspace, plan), plan) if plan is not None else []
    if case.closed and (case.closed != "done" or not left):
        raise AlreadyExecuted(f"request {name} is closed ({case.closed}); its report is {_where(case)}")
    assert plan is not None  # what is done had one
    if not left:
        raise AlreadyExecuted(
            f"request {name} is carried out but for what is held: {left_out_words(plan)}; when that ends, plan the "
            f"rest with `disgorge request plan {name}`"
        )
    return plan.whole


def _unfinished(cases: Iterable[Case], plan: Plan) -> list[Case]:
    """Return those of a plan's requests that have no report under it yet."""
    return [case for case in cases if case.plan == plan.digest and not case.closed and not case.partly_done]


def _require_ready(workspace: Workspace, cases: Sequence[Case], plan: Plan) -> None:
    """Raise unless a plan is the one that its requests have, approved, and nothing stands against carrying it out."""
    started = bool(cases[0].steps.get(plan.digest))
    require_fresh(workspace, plan, started=started)
    require_together(cases, plan)
    for case in cases:
        require_decided(case, plan)
        require_approved(case, plan)
    for case in cases:
        require_no_hold(case, "it was started", plan if plan.together and not started else None)
    if not started:
        for case in cases:
            require_all_unheld(workspace, case, before="its first step")
        require_alone(workspace, as_one(cases), plan)
    require_repeatable(workspace, plan, as_one(cases))
    if not started:
        repeat = f"repeat `disgorge request execute {plan.request}`"
        require_room(workspace, _trained_again(workspace, plan), runs=1 + plan.equal_bits, then=repeat)


def _trained_again(workspace: Workspace, plan: Plan) -> list[Component]:
    """Return what a plan trains again, as it is."""
    again = {part.component for step in plan.remedies if step.action is Action.RETRAIN for part in step.parts}
    return [entry.record for entry in workspace.ledger.state().components.values() if entry.record.digest in again]


def _only_reports_left(case: Case, plan: Plan) -> bool:
    done = case.steps.get(plan.digest, {})
    return all(step.id in done for step in plan.steps if step.action is not Action.REPORT)


def _report_each(
    workspace: Workspace, plan: Plan, do: Callable[[Step, Sequence[Case]], None], observer: Observer
) -> None:
    """Write the report of each request of a plan that has none yet; what stops one stops no other.

    A report step that is done closed its request, or left it open for what is held: if it is open otherwise, the ledger
    lost that fact.
    """
    stopped: list[DisgorgeError] = []
    for step in plan.steps:
        case = case_of(workspace, step.subject) if step.action is Action.REPORT else None
        if case is None or not _unfinished([case], plan):
            continue
        try:
            _require_reportable(case, plan)
            do(step, [case])
        except CertificateRefused as refusal:
            stopped.append(_written_up(workspace, plan, [case], refusal, observer))
        except DisgorgeError as problem:
            stopped.append(problem)
    if stopped:
        raise stopped[0]


def _require_reportable(case: Case, plan: Plan) -> None:
    """Raise unless a request's decision and the approvals of its plan hold, and it is not on hold."""
    require_decided(case, plan)
    require_approved(case, plan)
    require_no_hold(case, "its report")


def _written_up(
    workspace: Workspace, plan: Plan, cases: Sequence[Case], refusal: CertificateRefused, observer: Observer
) -> CertificateRefused:
    """Write the signed refusal of each request, and return the error that names the first of them."""
    bundles = []
    for case in cases:
        view, now = plan.seen_by(case.request.id), case_of(workspace, case.request.id)
        written = write_up(workspace, view, now, refusal=str(refusal))
        workspace.ledger.record(report_fact(workspace, written))
        observer.finish(written.evidence, written.bundle, "refused")
        bundles.append(str(written.bundle))
    stays = "the request stays" if len(bundles) == 1 else "the requests stay"
    signed = "the signed refusal is" if len(bundles) == 1 else "the signed refusals are"
    return type(refusal)(f"{refusal}; {stays} open, {signed} {', '.join(bundles)}")


def _executed(workspace: Workspace, plan: Plan, request: str, observer: Observer) -> Executed:
    """Return what an execution came to for the request that was named, with the reports on the others."""
    reports = {}
    for case in cases_of(workspace, plan):
        if not case.report or case.report.plan != plan.digest or case.closed == "denied":
            continue  # it has another plan by now, or ended without a removal
        bundle = workspace.root / case.report.bundle
        reports[case.request.id] = bundle
        observer.finish(evidence_of(workspace, case.report.evidence), bundle, case.report.verdict)
    case = case_of(workspace, request)
    evidence = evidence_of(workspace, case.last_report.evidence)
    took = Cost(plan.cost.examples, plan.cost.steps, sum(case.seconds[plan.digest].values()))
    return Executed(
        request, case.last_report.verdict, reports[request], took, headlines(evidence.utility),
        reports if plan.together else {},
    )  # fmt: skip


def close_tracking(workspace: Workspace, case: Case, observer: Observer) -> None:
    """Tell the observer of the end of a finished execution, if a kill after the last step kept it from hearing."""
    plan = case.report.plan if case.report else ""
    if observer.left_open(plan):
        whole = begun_plan(workspace, plan)
        cases = cases_of(workspace, whole)
        _start(observer, whole, as_one(cases))
        for report in [each.report for each in cases if each.report and each.report.plan == plan]:
            evidence = evidence_of(workspace, report.evidence)
            observer.finish(evidence, workspace.root / report.bundle, report.verdict)


def _start(observer: Observer, plan: Plan, case: Case) -> None:
    """Tell the observer that a plan's execution begins, or goes on after the steps that are done."""
    results, seconds = case.steps.get(plan.digest, {}), case.seconds.get(plan.digest, {})
    done = [(step, seconds[step.id], results[step.id]) for step in plan.steps if step.id in results]
    observer.start(plan, case.request, [change.before for change in plan.shard_changes], done)


def require_no_hold(case: Case, before: str, joint: Plan | None = None) -> None:
    """Raise :class:`ExecutionFailed` if the request was put on hold; of a ``joint`` plan the others can do without."""
    if case.hold is not None:
        name = case.request.id
        rest = "" if joint is None else (
            f", or plan the others without it with `disgorge request plan {' '.join(joint.seen_by(name).others)}`"
        )  # fmt: skip
        raise ExecutionFailed(
            f"request {name} was put on hold ({case.hold}) before {before}; what was done stands, lift the hold and "
            f"resume{rest}"
        )


def _where(case: Case) -> str:
    return case.report.bundle if case.report else "none: nothing was done"
