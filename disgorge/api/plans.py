"""Plans: made for granted requests, approved by their digest, carried out, and reported."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from disgorge.api.training import worker_count
from disgorge.errors import DataHeld, Refused, WrongUse
from disgorge.evidence.checks import REFERENCES, Utility
from disgorge.evidence.utility import change_words
from disgorge.locations.location import Deletion
from disgorge.plan.plan import Plan, Step
from disgorge.plan.shown import cost_words, plan_shown
from disgorge.removal.dry_run import preview
from disgorge.removal.execute import close_tracking
from disgorge.removal.execute import execute as carry_out
from disgorge.report.compile import write_again, write_with_inputs
from disgorge.report.pdf import MISSING
from disgorge.request.case import Case, case_of, docket, plan_of
from disgorge.request.history.case_words import next_lines
from disgorge.request.holds.purge_hold import due, is_ahead, waiting
from disgorge.request.workflow.approval import approve_plan
from disgorge.request.workflow.plan_request import plan_requests
from disgorge.request.workflow.repeatable import trained_models
from disgorge.result import Listing, Result, require_name, several
from disgorge.tracking.registry import registry_or_none
from disgorge.tracking.runs import tracking_or_none
from disgorge.training.progress import Progress
from disgorge.training.runners.local import Workers
from disgorge.training.runners.watched import Watched
from disgorge.training.sandbox.levels import level_line, reached, with_gpu
from disgorge.training.sandbox.nvidia import DEVICE
from lineage.plural import counted, seconds
from lineage.records import Cost, Json, plain
from lineage.shown import Attention, short
from lineage.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Planned(Result):
    """A plan, to be read before it is approved by its ``digest``."""

    plan: Plan

    @property
    def digest(self) -> str:
        """What an approval names."""
        return self.plan.digest

    def plain(self) -> Json:
        """Return the plan with its digest, its cost and its warnings."""
        made = self.plan
        return plain({"digest": made.digest, "plan": made, "cost": made.cost, "warnings": made.warnings})


def plan(
    workspace: Workspace,
    requests: str | Sequence[str],
    *,
    withdraw: str | Collection[str] = (),
    probes: str | Collection[str] = (),
    retrain_untouched: bool = False,
    current_code: bool = False,
) -> Planned:
    """Plan a granted request: the cheapest remedy per component that is strong enough, and what it costs.

    Several requests get one plan: their items are withdrawn together, each part is trained once, each has its report.
    ``withdraw`` names releases to destroy, whatever else could be done. ``probes`` names statistical probes to run
    besides, ``all`` every one; ``retrain_untouched`` trains again what is not touched and was made in another
    environment, and ``current_code`` trains with the user's code of today in place of the stored one.
    """
    new_plan = plan_requests(
        workspace,
        several(requests),
        withdraw=several(withdraw),
        named=several(probes),
        retrain_untouched=retrain_untouched,
        current_code=current_code,
    )
    following = f"next: disgorge request approve {new_plan.request} {short(new_plan.digest)} --by NAME"
    uses_gpu = any(spec.device == DEVICE for spec in trained_models(workspace, new_plan))
    confinement = with_gpu(reached()) if uses_gpu else reached()
    return Planned(new_plan, shown=(*plan_shown(new_plan), level_line(confinement), following))


@dataclass(frozen=True, slots=True)
class Approved(Result):
    """How many approved a plan, how many must, and whether a loss of utility is accepted."""

    request: str
    plan: str
    approvals: int
    needed: int
    warnings: tuple[str, ...]
    accepts_utility_loss: bool


def approve(workspace: Workspace, request: str, digest: str, *, by: str, accept_utility_loss: bool = False) -> Approved:
    """Record the approval of exactly one plan, by its digest. The name is as typed and not authenticated.

    ``accept_utility_loss`` lets it be released even if it falls below the utility floor or is of no use any more.
    """
    by = require_name(by, "approves")
    approved = approve_plan(workspace, request, digest, approver=by, accept_utility_loss=accept_utility_loss)
    case = case_of(workspace, request)
    have, need = len(set(case.approvals[approved.digest])), max(approved.approvals, 1)
    accepted = approved.digest in case.accepts_loss
    if approved.warnings and not accepted:
        not_accepted = f"approved, {have} of {need}; the loss is not accepted"
        shown = (*map(Attention, approved.warnings), not_accepted, *next_lines(case, approved))
    else:
        rest = "carry it out with" if have >= need else f"{need - have} more must approve before"
        shown = (f"approval recorded, {have} of {need}; {rest} `disgorge request execute {request}`",)
    return Approved(request, approved.digest, have, need, approved.warnings, accepted, shown=shown)


@dataclass(frozen=True, slots=True)
class Execution(Result):
    """How a removal ended; ``resumed`` is False where it had been finished before, ``full_cost`` that of starting over.

    ``reports`` are, of a joint plan, the bundles of all its requests.
    """

    request: str
    verdict: str
    bundle: Path
    cost: Cost | None = None
    full_cost: Cost | None = None
    utility: tuple[Utility, ...] = ()
    reports: Mapping[str, Path] | None = None
    resumed: bool = True

    @property
    def refusal(self) -> str:
        """Why no certificate was issued, in words; "" if one was."""
        refused = f"the certificate for {self.request} was refused; why is in {self.bundle}"
        return "" if self.verdict == "certified" or not self.resumed else refused

    def plain(self) -> Json:
        """Return the verdict and the bundle, with what it took unless it had been finished before."""
        ended = {"request": self.request, "verdict": self.verdict, "bundle": str(self.bundle)}
        if not self.resumed:
            return ended | {"resumed": False}
        took = plain({"cost": self.cost, "full_retraining": self.full_cost, "utility": self.utility})
        reports = {name: str(bundle) for name, bundle in (self.reports or {}).items()}
        return ended | took | ({"reports": reports} if reports else {})


def execute(
    workspace: Workspace,
    request: str,
    *,
    references: int | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Execution:
    """Carry out an approved plan: remove, train again to compare, release, purge, report.

    ``references`` is how many reference models the plan's statistical probes compare with, ``workers`` how many
    processes train at once.
    """
    count = workers or worker_count()
    return _carry_out(workspace, case_of(workspace, request), references, count, progress or Progress())


def resume(
    workspace: Workspace,
    request: str,
    *,
    references: int | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Execution:
    """Go on with an execution that was interrupted, from the first step that was not finished."""
    count, case = workers or worker_count(), case_of(workspace, request)
    if case.closed and case.report and not _others_left(workspace, case):
        return _finished(workspace, case)
    if not case.closed and not (case.plan and case.steps.get(case.plan)):
        begun = "nothing of this plan" if case.steps else "nothing of it"
        raise WrongUse(f"request {request} is {case.state}, {begun} was begun; use `disgorge request execute`")
    return _carry_out(workspace, case, references, count, progress or Progress())


def _carry_out(workspace: Workspace, case: Case, references: int | None, count: int, progress: Progress) -> Execution:

    with Workers(workspace, count=count, say=progress.say) as processes:
        plan = plan_of(workspace, case)
        steps = _Steps(progress, plan, done=len(case.steps.get(plan.digest, {})))
        executed = carry_out(
            workspace,
            case.request.id,
            runner=Watched(processes, progress),
            independent=lambda: Watched(
                Workers(workspace, count=count), progress, did="re-executed", doing="re-executing "
            ),
            references=REFERENCES if references is None else references,
            registrar=registry_or_none(workspace),
            observer=tracking_or_none(workspace),
            on_step=steps.begin,
            on_done=steps.end,
            on_words=lambda words: progress.say(f"note: {words}"),
        )
    cost, full = executed.cost, plan.full_cost
    share = f" ({cost.steps / full.steps:.0%} of its steps were needed)" if full.steps else ""
    reports = executed.reports or {"": executed.bundle}
    shown = (
        *(
            f"{executed.verdict}; the report{f' on {name}' if name else ''} is {bundle}, to hand over: {bundle}.zip"
            for name, bundle in reports.items()
        ),
        *_without_pdf(executed.bundle),
        *(f"utility of {measure.release}: {change_words(measure)}" for measure in executed.utility),
        f"took {cost_words(cost)}, checks included; training everything again: {cost_words(full)}{share}",
    )
    ended = (executed.request, executed.verdict, executed.bundle, cost, full, executed.utility)
    return Execution(*ended, executed.reports, shown=shown)


def _others_left(workspace: Workspace, case: Case) -> bool:
    """Whether another request of a joint plan has no report yet."""
    cases = docket(workspace)
    others = [cases[name] for name in case.together]
    return any(not each.closed and not each.partly_done and each.plan == case.plan for each in others)


def _finished(workspace: Workspace, case: Case) -> Execution:
    """Return the result of a request that is finished already, once MLflow's records say so as well."""
    close_tracking(workspace, case, tracking_or_none(workspace))
    request, bundle, verdict = case.request.id, workspace.root / case.last_report.bundle, case.last_report.verdict
    words = f"request {request} is finished ({verdict}), there is nothing to resume; its report is {bundle}"
    return Execution(request, verdict, bundle, resumed=False, shown=(words,))


def standing(workspace: Workspace, request: str) -> str:
    """Return what is recorded after Ctrl-C and how to go on: before the first step there is nothing to resume."""
    case = case_of(workspace, request)
    done = len(case.steps.get(case.plan or "", {}))
    if not done:
        return f"interrupted before a step was done; begin again with `disgorge request execute {request}`"
    return f"interrupted; {counted(done, 'step')} done, go on with `disgorge request resume {request}`"


def _without_pdf(bundle: Path) -> tuple[str, ...]:
    """Return what to install where the report has no PDF."""
    return (Attention(MISSING),) if bundle.is_dir() and not (bundle / "certificate.pdf").exists() else ()


class _Steps:
    """Shows how far the steps of a plan have come."""

    def __init__(self, progress: Progress, plan: Plan, *, done: int) -> None:
        self._progress, self._total, self._done, self._before = progress, len(plan.steps), done, done
        progress.whole("preparing", done=done, total=self._total)

    def begin(self, step: Step) -> None:
        """Show that a step begins, in the few words that leave a terminal room for its bar."""
        if self._before:
            self._progress.say(f"{self._before} of {self._total} steps were done before")
        self._before = 0
        self._progress.whole(f"{step.action.value} {step.subject}", done=self._done, total=self._total)

    def end(self, step: Step, took: float) -> None:
        """Say that a step is done."""
        self._done = min(self._done + 1, self._total)  # a report step may be done twice
        self._progress.say(f"{self._done}/{self._total} {step.words} [{seconds(took)}]")
        self.begin(step)


@dataclass(frozen=True, slots=True)
class Report(Result):
    """Where the report of a request is, and its verdict; ``with_inputs`` is the zip with retained data and weights."""

    request: str
    bundle: Path
    verdict: str
    fact: Json
    with_inputs: Path | None

    def plain(self) -> Json:
        """Return the fields; the zip only where it was asked for."""
        body = {"request": self.request, "bundle": str(self.bundle), "verdict": self.verdict, "fact": plain(self.fact)}
        return body | ({"with_inputs": str(self.with_inputs)} if self.with_inputs else {})


def report(workspace: Workspace, request: str, *, with_inputs: bool = False, again: bool = False) -> Report:
    """Return where the report of a request is, and its verdict.

    ``with_inputs`` also writes a zip with the retained data and weights, to hand over. ``again`` writes a lost report
    again from the recorded evidence, signed anew.
    """
    case = case_of(workspace, request)
    if not case.report:
        raise WrongUse(f"request {request} has no report yet: it is {case.state}; carry it out first")
    if again:
        write_again(workspace, case)
        case = case_of(workspace, request)
    bundle, verdict = workspace.root / case.last_report.bundle, case.last_report.verdict
    handed: Path | None = None
    if with_inputs:
        if case.ending is not None and case.ending.outcome == "fulfilled":
            by = case.ending.by_request
            raise WrongUse(f"{request} was fulfilled by {by} and trained nothing; ask for the inputs of {by}")
        handed = write_with_inputs(workspace, plan_of(workspace, case), case)
    words = f"with inputs and weights: {handed}; it holds the retained data, and no later removal reaches it"
    zipped = f"{verdict}: {bundle}, to hand over: {bundle}.zip"
    shown = (zipped, *((words,) if handed else ()), *_without_pdf(bundle))
    return Report(request, bundle, verdict, case.report, handed, shown=shown)


@dataclass(frozen=True, slots=True)
class PurgePreview(Result):
    """What purges would delete and keep, by request."""

    previews: dict[str, Deletion]

    def plain(self) -> Json:
        """Return every path and entry that would go, what is kept, and how many steps come before."""
        return {
            name: {"delete": list(each.entries), "kept": list(each.kept), "steps_before": each.ahead}
            for name, each in self.previews.items()
        }


def preview_purge(workspace: Workspace, request: str | None = None) -> PurgePreview:
    """Return what the purge of a request would delete, before anything is done; without one, of all that are due."""
    previews, shown = {name: preview(workspace, name) for name in _to_purge(workspace, request, dry_run=True)}, []
    for name, each in previews.items():
        before = f"; a preview, as of now, with {counted(each.ahead, 'step')} to be done before" if each.ahead else ""
        shown.append(f"{name}: {len(each.entries)} to delete{before}")
        shown += [f"  {words}" for words in (*each.entries, *each.kept)]
    return PurgePreview(previews, shown=tuple(shown) or ("no purge is next for any request",))


def purge(
    workspace: Workspace,
    request: str | None = None,
    *,
    carry_through: Callable[[Workspace, str], Execution] = resume,
) -> Listing[Execution]:
    """Carry out the purge of a request, or every one that is due, and let those requests finish with their report.

    ``carry_through`` goes on with one of them. One that is refused keeps no other waiting.
    """
    names, ended, refused = _to_purge(workspace, request, dry_run=False), list[Execution](), list[str]()
    for name in names:
        try:
            ended.append(carry_through(workspace, name))
        except DataHeld as held:
            refused.append(str(held))
    if refused := [*refused, *(each.refusal for each in ended if each.refusal)]:
        raise Refused("; ".join(refused))
    return Listing(tuple(ended), shown=() if names else ("no purge is due",))


def _to_purge(workspace: Workspace, request: str | None, *, dry_run: bool) -> list[str]:

    if request is None:
        return list(waiting(workspace) if dry_run else due(workspace))
    if request not in waiting(workspace) and not (dry_run and is_ahead(workspace, request)):
        raise WrongUse(f"no purge is next for {request}; `disgorge request show {request}` says where it stands")
    return [request]
