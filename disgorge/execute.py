"""The shell: carries an approved plan out, step by step, and can be killed anywhere.

Every step does its work idempotently - content-addressed results, registry calls that may be repeated - and then
appends its facts and the fact that it is done in one write. So whatever happens, a step either has its fact, and is
never run again, or has not, and is run again from the start; ``resume`` is ``execute``. Only one execution runs in a
workspace at a time.

The order of the plan is the order of safety: nothing is deleted before the release moved, and the release moves only
when every required check passed.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from disgorge.actions import Workshop, act
from disgorge.barriers import require_alone, require_decided
from disgorge.certificate import left_out_words
from disgorge.docket import Case, begun_plan, case_of, plan_of
from disgorge.errors import AlreadyExecuted, CertificateRefused, ExecutionFailed
from disgorge.evidence import REFERENCES, Utility
from disgorge.held_items import require_all_unheld
from disgorge.jobs import OnProgress, Runner, unseen
from disgorge.plan import Action, Plan, Step
from disgorge.purge_hold import require_purge_due
from disgorge.registry import Registrar
from disgorge.repeatable import require_repeatable
from disgorge.requests import require_approved, require_fresh
from disgorge.stage import clear_stages
from disgorge.tracking import Observer
from disgorge.turn import turn
from disgorge.utility import headlines
from disgorge.write_up import evidence_of, examinations_of, report_fact, write_up
from lineage.ledger import Ledger
from lineage.records import Cost


@dataclass(frozen=True, slots=True)
class Executed:
    """What an execution came to: the bundle, its verdict, and what the steps took."""

    request: str
    verdict: str
    bundle: Path
    cost: Cost
    utility: tuple[Utility, ...] = ()
    """The measure to speak of for every release, before and after."""


def execute(
    ledger: Ledger,
    request: str,
    *,
    runner: Runner,
    independent: Callable[[], Runner],
    references: int = REFERENCES,
    registrar: Registrar,
    observer: Observer,
    on_step: Callable[[Step], None] = lambda step: None,
    on_words: Callable[[str], None] = lambda words: None,
    on_progress: OnProgress = unseen,
) -> Executed:
    """Carry out the approved plan of a request, or go on where it was interrupted.

    ``runner`` trains, ``independent`` opens fresh processes for re-execution, ``references`` is the number of
    never-trained models probes compare with, ``on_words`` is told what a person has to know of a step. Raises
    :class:`~lineage.errors.WorkspaceBusy` while another execution runs,
    :class:`~disgorge.errors.PurgeHeld` where the purge is to wait, :class:`AlreadyExecuted`,
    :class:`~disgorge.errors.NotApproved`, :class:`~disgorge.errors.StalePlan`, and :class:`CertificateRefused` when a
    check does not pass: then a signed report says so and the request stays open.
    """
    with turn(ledger, then=f"run `disgorge request resume {request}`"):
        clear_stages(ledger)
        workshop = Workshop(ledger, runner, independent, references, registrar, on_progress)
        return _execute(ledger, request, workshop, observer, on_step, on_words)


def _execute(
    ledger: Ledger,
    request: str,
    workshop: Workshop,
    observer: Observer,
    on_step: Callable[[Step], None],
    on_words: Callable[[str], None],
) -> Executed:
    case = case_of(ledger, request)
    if case.closed:
        raise AlreadyExecuted(f"request {request} is closed ({case.closed}); its report is {_where(case)}")
    plan = plan_of(ledger, case)
    if case.partly_done:
        raise AlreadyExecuted(
            f"request {request} is carried out but for what is held: {left_out_words(plan)}; when that ends, plan the "
            f"rest with `disgorge request plan {request}`"
        )
    started = bool(case.steps.get(plan.digest))
    require_fresh(ledger, plan, started=started)
    require_decided(case, plan)
    require_approved(case, plan)
    if not started:
        require_all_unheld(ledger, case, before="its first step")
        require_alone(ledger, case, plan)
    require_no_hold(case, "it was started")
    require_repeatable(ledger, plan, case)
    _start(observer, plan, case)
    for step in plan.steps:
        case = case_of(ledger, request)
        if step.id in case.steps.get(plan.digest, {}) and step.action is not Action.REPORT:
            continue  # a report step that is done closed the request; if it is open, the ledger lost that fact
        require_no_hold(case, f"step {step.id}")
        require_decided(case, plan)
        if step.action is Action.PURGE:
            require_purge_due(case, ledger.today())
            examinations_of(ledger, plan)  # once the old model is gone, nobody can examine it again
        on_step(step)
        start = time.perf_counter()
        try:
            done = act(workshop, plan, step, case)
        except CertificateRefused as refusal:
            written = write_up(ledger, plan, case_of(ledger, request), refusal=str(refusal))
            ledger.append("report", report_fact(ledger, written))
            observer.finish(written.evidence, written.bundle, "refused")
            raise type(refusal)(
                f"{refusal}; the request stays open, the signed refusal is {written.bundle}"
            ) from refusal
        seconds = time.perf_counter() - start
        fact = {"plan": plan.digest, "step": step.id, "result": done.result, "seconds": round(seconds, 3)}
        ledger.append_all([*done.facts, ("step", fact), *done.closing])
        observer.step(step, seconds, done.result)
        for words in done.told:
            on_words(words)
    case = case_of(ledger, request)
    bundle = ledger.workspace / case.report["bundle"]
    evidence = evidence_of(ledger, case.report["evidence"])
    observer.finish(evidence, bundle, case.report["verdict"])
    took = Cost(plan.cost.examples, plan.cost.steps, sum(case.seconds[plan.digest].values()))
    return Executed(request, case.report["verdict"], bundle, took, headlines(evidence.utility))


def close_tracking(ledger: Ledger, case: Case, observer: Observer) -> None:
    """Tell the observer of the end of a finished execution, if a kill after the last step kept it from hearing."""
    plan = case.report.get("plan", "")
    if observer.left_open(plan):
        _start(observer, begun_plan(ledger, plan), case)
        evidence = evidence_of(ledger, case.report["evidence"])
        observer.finish(evidence, ledger.workspace / case.report["bundle"], case.report["verdict"])


def _start(observer: Observer, plan: Plan, case: Case) -> None:
    """Tell the observer that a plan's execution begins, or goes on after the steps that are done."""
    results, seconds = case.steps.get(plan.digest, {}), case.seconds.get(plan.digest, {})
    done = [(step, seconds[step.id], results[step.id]) for step in plan.steps if step.id in results]
    observer.start(plan, case.request, [change.before for change in plan.shard_changes], done)


def require_no_hold(case: Case, before: str) -> None:
    """Raise :class:`ExecutionFailed` if the request was put on hold."""
    if case.hold is not None:
        raise ExecutionFailed(
            f"request {case.request.id} was put on hold ({case.hold}) before {before}; what was done stands, lift the "
            f"hold and resume"
        )


def _where(case: Case) -> str:
    return case.report["bundle"] if case.report else "none: nothing was done"
