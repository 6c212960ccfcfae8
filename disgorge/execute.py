"""The shell: carries an approved plan out, step by step, and can be killed anywhere.

Every step does its work idempotently - content-addressed results, registry calls that may be repeated - and then
appends its facts and the fact that it is done in one write. So whatever happens, a step either has its fact, and is
never run again, or has not, and is run again from the start; ``resume`` is ``execute``. Only one execution runs in a
workspace at a time.

The order of the plan is the order of safety: nothing is deleted before the release moved, and the release moves only
when every required check passed.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from filelock import FileLock, Timeout

from disgorge.actions import Workshop, act
from disgorge.docket import Case, case_of, plan_of
from disgorge.errors import AlreadyExecuted, CertificateRefused, ExecutionFailed
from disgorge.jobs import OnProgress, Runner, unseen
from disgorge.plan import Plan, Step
from disgorge.requests import require_approved, require_fresh
from disgorge.write_up import write_up
from lineage.errors import WorkspaceBusy
from lineage.ledger import Ledger
from lineage.records import Cost, Json


class Observer(Protocol):
    """Told what an execution does, as it does it: a progress display, MLflow."""

    def start(self, plan: Plan, case: Case) -> None:
        """Hear that an execution begins, or goes on."""

    def step(self, step: Step, seconds: float, result: Mapping[str, Json]) -> None:
        """Hear that a step is done."""

    def finish(self, *, verdict: str, bundle: Path) -> None:
        """Hear that the report is written."""


@dataclass(frozen=True, slots=True)
class Executed:
    """What an execution came to: the bundle, its verdict, and what the steps took."""

    request: str
    verdict: str
    bundle: Path
    cost: Cost


def execute(
    ledger: Ledger,
    request: str,
    *,
    runner: Runner,
    independent: Callable[[], Runner],
    references: int = 2,
    observers: tuple[Observer, ...] = (),
    on_step: Callable[[Step], None] = lambda step: None,
    on_progress: OnProgress = unseen,
) -> Executed:
    """Carry out the approved plan of a request, or go on where it was interrupted.

    ``runner`` trains, ``independent`` opens fresh processes for re-execution, ``references`` is the number of
    never-trained models probes compare with. Raises :class:`~lineage.errors.WorkspaceBusy` while another execution
    runs, :class:`AlreadyExecuted`, :class:`~disgorge.errors.NotApproved`, :class:`~disgorge.errors.StalePlan`, and
    :class:`CertificateRefused` when a check does not pass: then a signed report says so and the release stays down.
    """
    lock = FileLock(ledger.home / "execute.lock", timeout=0)
    try:
        with lock:
            return _execute(
                ledger, request, Workshop(ledger, runner, independent, references, on_progress), observers, on_step
            )
    except Timeout as error:
        raise WorkspaceBusy(
            f"another execution is running in this workspace; wait for it, then run `disgorge request resume {request}`"
        ) from error


def _execute(
    ledger: Ledger,
    request: str,
    workshop: Workshop,
    observers: tuple[Observer, ...],
    on_step: Callable[[Step], None],
) -> Executed:
    case = case_of(ledger, request)
    if case.closed:
        raise AlreadyExecuted(f"request {request} is closed ({case.closed}); its report is {_where(case)}")
    plan = plan_of(ledger, case)
    started = bool(case.steps.get(plan.digest))
    require_fresh(ledger, plan, started=started)
    require_approved(case, plan)
    for observer in observers:
        observer.start(plan, case)
    for step in plan.steps:
        case = case_of(ledger, request)
        if step.id in case.steps.get(plan.digest, {}):
            continue
        if case.hold is not None:
            raise ExecutionFailed(
                f"request {request} was put on hold ({case.hold}) before step {step.id}; what was done stands, lift "
                f"the hold and resume"
            )
        on_step(step)
        start = time.perf_counter()
        try:
            done = act(workshop, plan, step, case)
        except CertificateRefused as refusal:
            bundle = write_up(ledger, plan, case_of(ledger, request), refusal=str(refusal))
            for observer in observers:
                observer.finish(verdict="refused", bundle=bundle)
            raise CertificateRefused(f"{refusal}; the release stays down, the signed refusal is {bundle}") from refusal
        seconds = time.perf_counter() - start
        fact = {"plan": plan.digest, "step": step.id, "result": done.result, "seconds": round(seconds, 3)}
        ledger.append_all([*done.facts, ("step", fact), *done.closing])
        for observer in observers:
            observer.step(step, seconds, done.result)
    case = case_of(ledger, request)
    bundle = ledger.workspace / case.report["bundle"]
    for observer in observers:
        observer.finish(verdict=case.report["verdict"], bundle=bundle)
    seconds_taken = sum(case.seconds[plan.digest].values())
    return Executed(request, case.report["verdict"], bundle, Cost(plan.cost.examples, plan.cost.steps, seconds_taken))


def _where(case: Case) -> str:
    return case.report["bundle"] if case.report else "none: nothing was done"
