"""``disgorge request execute``, ``resume`` and ``report``: carry a plan out, go on, hand the proof over."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from disgorge.cli.output import tables as show
from disgorge.cli.output.errors import Refused, WrongUse, going_on
from disgorge.cli.output.progress import Display, Watched, shown
from disgorge.cli.output.tables import AsJson
from disgorge.cli.request.options import Id, worker_count
from lineage.plural import counted

if TYPE_CHECKING:
    from disgorge.evidence.checks import Evidence
    from disgorge.method import ModelSpec
    from disgorge.plan.plan import Plan, Step
    from disgorge.removal.execute import Executed
    from disgorge.request.case import Case
    from disgorge.tracking.runs import Observer, StepDone
    from disgorge.training.make import Made
    from disgorge.training.recipe import Done
    from lineage.records import Cost, Json, Shard
    from lineage.workspace import Workspace
    from policies.request import RemovalRequest

MOST_REFERENCES = 64
"""Each takes as long as the whole model; no probe gains by more."""

References = Annotated[
    int | None,
    typer.Option(
        "--references",
        min=0,
        max=MOST_REFERENCES,
        help="How many reference models the plan's statistical probes compare with.",
        show_default="as many as the probes need",
    ),
]


def execute(request: Id, references: References = None, as_json: AsJson = False) -> None:
    """Carry out an approved plan: remove, train again to compare, release, purge, report.

    Exit 1 when a check refuses it, 4 when the environment here is not the recorded one.
    """
    carry_through(request, references=references, as_json=as_json, resume=False)


def resume(request: Id, references: References = None, as_json: AsJson = False) -> None:
    """Go on with an execution that was interrupted, from the first step that was not finished."""
    carry_through(request, references=references, as_json=as_json, resume=True)


def report(
    request: Id,
    open_: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    with_inputs: Annotated[
        bool, typer.Option("--with-inputs", help="Also write a zip with the retained data and weights, to hand over.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Write a lost report again from the recorded evidence, signed anew.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say where the report of a request is, and its verdict. Exit 1 when the certificate was refused."""
    from disgorge.request.case import case_of
    from lineage.workspace import Workspace

    workspace = Workspace.open()
    case = case_of(workspace, request)
    if not case.report:
        raise WrongUse(f"request {request} has no report yet: it is {case.state}; carry it out first")
    if again:
        from disgorge.report.compile import write_again

        write_again(workspace, case)
        case = case_of(workspace, request)
    bundle, verdict = workspace.root / case.report["bundle"], case.report["verdict"]
    if open_:
        typer.launch(str(bundle / "report.html"))
    handed: Path | None = None
    if with_inputs:
        from disgorge.report.compile import write_with_inputs
        from disgorge.request.case import plan_of

        if case.closed == "fulfilled":
            by = case.ending["by_request"]
            raise WrongUse(f"{request} was fulfilled by {by} and trained nothing; ask for the inputs of {by}")
        handed = write_with_inputs(workspace, plan_of(workspace, case), case)
    if as_json:
        told = {"request": request, "bundle": str(bundle), "verdict": verdict, "fact": case.report}
        show.write_json(told | ({"with_inputs": str(handed)} if handed else {}))
    else:
        show.line(f"{verdict}: {bundle}, to hand over: {bundle}.zip")
        if handed:
            show.line(f"with inputs and weights: {handed}; it holds the retained data, and no later removal reaches it")
        _say_pdf(bundle)
    if verdict != "certified":
        raise typer.Exit(1)


def carry_through(request: str, *, references: int | None, as_json: bool, resume: bool) -> None:
    """Carry a request's plan out with workers and a display, from where it stands, and say how it ended."""
    from disgorge.evidence.checks import REFERENCES
    from disgorge.removal.execute import execute as carry_out
    from disgorge.request.case import case_of, plan_of
    from disgorge.tracking.registry import registry_or_none
    from disgorge.tracking.runs import tracking_or_none
    from disgorge.training.runners.local import Workers
    from lineage.workspace import Workspace

    workspace, count = Workspace.open(), worker_count()
    case = case_of(workspace, request)
    if resume and case.closed and case.report and not _others_left(workspace, case):
        return _say_finished(workspace, case, as_json=as_json)
    if resume and not case.closed and not (case.plan and case.steps.get(case.plan)):
        begun = "nothing of this plan" if case.steps else "nothing of it"
        raise WrongUse(f"request {request} is {case.state}, {begun} was begun; use `disgorge request execute`")
    with (
        going_on(lambda: _interrupted(workspace, request)),
        shown(quiet=as_json) as display,
        Workers(workspace, count=count) as workers,
    ):
        plan = plan_of(workspace, case)
        display.whole("preparing", done=len(case.steps.get(plan.digest, {})), total=len(plan.steps))
        told = _Told(display, plan, tracking_or_none(workspace), done=len(case.steps.get(plan.digest, {})))
        executed = carry_out(
            workspace,
            request,
            runner=Watched(workers, display, on_done=told.trained),
            independent=lambda: Watched(
                Workers(workspace, count=count, apart=True), display, on_done=told.reexecuted, doing="re-executing "
            ),
            references=REFERENCES if references is None else references,
            registrar=registry_or_none(workspace),
            observer=told,
            on_step=told.begin,
            on_words=told.say,
        )
    _conclude(plan, executed, as_json=as_json)


def _others_left(workspace: "Workspace", case: "Case") -> bool:
    """Whether another request of a joint plan has no report yet."""
    from disgorge.request.case import docket

    cases = docket(workspace)
    others = [cases[name] for name in case.together]
    return any(not each.closed and not each.partly_done and each.plan == case.plan for each in others)


def _say_finished(workspace: "Workspace", case: "Case", *, as_json: bool) -> None:
    """Say that there is nothing to go on with, once MLflow knows that as well."""
    from disgorge.removal.execute import close_tracking
    from disgorge.tracking.runs import tracking_or_none

    close_tracking(workspace, case, tracking_or_none(workspace))
    request, bundle, verdict = case.request.id, workspace.root / case.report["bundle"], case.report["verdict"]
    if as_json:
        show.write_json({"request": request, "verdict": verdict, "bundle": str(bundle), "resumed": False})
    else:
        show.line(f"request {request} is finished ({verdict}), there is nothing to resume; its report is {bundle}")


def _interrupted(workspace: "Workspace", request: str) -> str:
    """Return what stands after Ctrl-C and how to go on: before the first step there is nothing to resume."""
    from disgorge.request.case import case_of

    case = case_of(workspace, request)
    done = len(case.steps.get(case.plan or "", {}))
    if not done:
        return f"interrupted before a step was done; begin again with `disgorge request execute {request}`"
    return f"interrupted; {counted(done, 'step')} done, go on with `disgorge request resume {request}`"


def _in_brief(step: "Step") -> str:
    """Return a step in the few words that leave a terminal room for its bar."""
    return f"{step.action.value} {step.subject}"


class _Told:
    """Hears what an execution does, shows it, and passes it on to the tracking."""

    def __init__(self, display: Display, plan: "Plan", tracking: "Observer", *, done: int) -> None:
        self.note = tracking.note
        self._display = display
        self._plan = plan
        self._tracking = tracking
        self._done = done

    def begin(self, step: "Step") -> None:
        """Hear that a step begins."""
        self._display.whole(_in_brief(step), done=self._done, total=len(self._plan.steps))

    def trained(self, done: "Done") -> None:
        """Hear that a component, or a part of a reference, is trained."""
        self._display.say(f"trained {done.job.name} in {show.seconds(done.seconds)}")

    def reexecuted(self, done: "Done") -> None:
        """Hear that a component was made again from nothing, to see whether it is the same."""
        self._display.say(f"re-executed {done.job.name} in {show.seconds(done.seconds)}")

    def say(self, words: str) -> None:
        """Hear what a step could not do, and what is to be done about it."""
        self._display.say(f"note: {words}")

    def start(
        self, plan: "Plan", request: "RemovalRequest", shards: "Sequence[Shard]", done: "Sequence[StepDone]" = ()
    ) -> None:
        """Hear that an execution begins, or goes on."""
        if self._done:
            self._display.say(f"{self._done} of {len(plan.steps)} steps were done before")
        self._tracking.start(plan, request, shards, done)

    def step(self, step: "Step", seconds: float, result: "Mapping[str, Json]") -> None:
        """Hear that a step is done."""
        self._tracking.step(step, seconds, result)
        self._done = min(self._done + 1, len(self._plan.steps))  # a report step may be done twice
        self._display.say(f"{self._done}/{len(self._plan.steps)} {step.words} [{show.seconds(seconds)}]")
        self._display.whole(_in_brief(step), done=self._done, total=len(self._plan.steps))

    def finish(self, evidence: "Evidence", bundle: Path, verdict: str) -> None:
        """Hear that the report is written."""
        self._tracking.finish(evidence, bundle, verdict)

    def left_open(self, plan: str) -> bool:
        """Ask the tracking."""
        return self._tracking.left_open(plan)

    def training(self, spec: "ModelSpec", made: "Made", shards: "Sequence[Shard]") -> None:
        """Pass on that a release was trained."""
        self._tracking.training(spec, made, shards)


def _conclude(plan: "Plan", executed: "Executed", *, as_json: bool) -> None:
    cost, full = executed.cost, plan.full_cost
    if as_json:
        value: dict[str, Any] = {
            "request": executed.request,
            "verdict": executed.verdict,
            "bundle": str(executed.bundle),
            "cost": cost,
            "full_retraining": full,
            "utility": executed.utility,
        }
        if executed.reports:
            value |= {"reports": {name: str(bundle) for name, bundle in executed.reports.items()}}
        show.write_json(value)
    else:
        for name, bundle in (executed.reports or {"": executed.bundle}).items():
            about = f" on {name}" if name else ""
            show.line(f"{executed.verdict}; the report{about} is {bundle}, to hand over: {bundle}.zip")
        _say_pdf(executed.bundle)
        show.utility(executed.utility)
        show.line(f"took {show.cost(cost)}, checks included; training everything again: {_share(cost, full)}")
    if executed.verdict != "certified":
        raise Refused(f"the certificate for {executed.request} was refused; why is in {executed.bundle}")


def _say_pdf(bundle: Path) -> None:
    """Say what to install where the report has no PDF."""
    from disgorge.report.pdf import MISSING

    if bundle.is_dir() and not (bundle / "certificate.pdf").exists():
        show.warn(MISSING)


def _share(cost: "Cost", full: "Cost") -> str:
    """Return the full cost, and which share of its steps was needed."""
    share = f" ({cost.steps / full.steps:.0%} of its steps were needed)" if full.steps else ""
    return f"{show.cost(full)}{share}"
