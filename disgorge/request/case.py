"""The state of each request, folded from the ledger's facts.

Nothing here is stored. The ledger's facts are the truth; a :class:`Case` is what they come to for one request.
"""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, replace
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from disgorge.errors import AlreadyExecuted, DisgorgeError
from disgorge.facts import (
    ApprovalFact,
    DeadlineExtendedFact,
    DecisionConfirmedFact,
    DecisionFact,
    FulfilledFact,
    HoldFact,
    NearReviewFact,
    OverlapFact,
    PlanFact,
    PurgeHeldFact,
    ReportFact,
    RequestAmendedFact,
    RequestClosedFact,
    RequestEventFact,
    RequestFact,
    StepFact,
)
from disgorge.plan.plan import Action, Plan, Step
from disgorge.plan.results import Result, result_of
from disgorge.request.stored_records import kept_record
from lineage.errors import UnknownRecord
from lineage.ledger.chain import Fact, begin_as
from lineage.ledger.fact_kinds import (
    FACT_KINDS,
    ArtifactWithdrawnFact,
    FactBody,
    LossAcceptedFact,
    ShardWithdrawnFact,
    malformed,
)
from lineage.ledger.ledger import Ledger
from lineage.records import Json, Selector
from lineage.workspace import Workspace
from policies.decision import Decision, Duty
from policies.events import Event, EventKind, first_day
from policies.judging.review import is_decided_on_review
from policies.request import RemovalRequest
from policies.taxonomy import Outcome

AnyResult = TypeVar("AnyResult", bound=Result)


@dataclass(frozen=True, slots=True)
class HoldTerms:
    """What was said when a hold was put on: why, by whom, until when, over which items.

    Without ``selectors`` and ``held_by`` it holds the whole request. ``selectors`` are as recorded, with marks for
    hidden values; ``held_by`` names another request whose held items are meant. ``by`` is a pseudonym, ``until`` the
    first day on which it no longer holds, ``serving`` whether models that learned from the items go on serving, and
    ``items`` how many different items it covered when it was put on, None if not counted.
    """

    reason: str
    by: str | None = None
    until: dt.date | None = None
    serving: str | None = None
    selectors: tuple[Selector, ...] = ()
    held_by: str | None = None
    items: int | None = None
    fact: int = 0

    @classmethod
    def of(cls, said: HoldFact, seq: int) -> "HoldTerms":
        """Return what the fact at that place says."""
        terms = (said.by, said.until, said.serving, said.selectors, said.held_by, said.items)
        return cls(said.reason, *terms, fact=seq)

    @property
    def is_partial(self) -> bool:
        """Whether it covers items that were named for it, and not all that the request selects."""
        return bool(self.selectors) or self.held_by is not None

    def is_over(self, today: dt.date) -> bool:
        """Whether the day until which it was to hold has come."""
        return self.until is not None and self.until <= today

    def covers_the_same(self, other: "HoldTerms") -> bool:
        """Whether another hold was put on the same items, by the same selectors."""
        return set(self.selectors) == set(other.selectors) and self.held_by == other.held_by

    def is_the_same(self, other: "HoldTerms") -> bool:
        """Whether another hold says anew what this one says: the same items, for the same reason."""
        return self.covers_the_same(other) and self.reason == other.reason


LEGAL_HOLD = "filed under a legal hold"
DECIDED = "decided on hold"
"""What holds are called that were put on without a reason: see :mod:`disgorge.request.holds.open`."""


@dataclass(slots=True)
class Case:
    """One request and everything the ledger says about it; the last decision and the last plan count."""

    request: RemovalRequest
    decision: Decision | None = None
    """The decision that holds."""
    decisions: list[Decision] = field(default_factory=list)
    """Every decision made, oldest first; one made again with the same result is not repeated."""
    events: list[Event] = field(default_factory=list)
    """What happened since it was filed, in the order in which it was recorded."""
    new_events: list[Event] = field(default_factory=list)
    """Those recorded since the decision that holds was made, or confirmed."""
    plan: str | None = None
    """Digest of the last plan made."""
    together: tuple[str, ...] = ()
    """The ids of all requests of that plan, itself included, where it is for several."""
    approvals: dict[str, list[str]] = field(default_factory=dict)
    """Plan digest to the pseudonyms of those who approved it."""
    facts_lost: bool = False
    """Whether facts were lost while it was open, holds perhaps among them; what was approved before does not count."""
    accepts_loss: set[str] = field(default_factory=set)
    """Digests of plans approved with their loss of utility."""
    steps: dict[str, dict[str, Result]] = field(default_factory=dict)
    """Plan digest to the results of the steps done, by step id, in the order they were done."""
    seconds: dict[str, dict[str, float]] = field(default_factory=dict)
    whole_holds: list[HoldTerms] = field(default_factory=list)
    """Holds that were put on the whole request, oldest first; each has its own reason and ends by itself."""
    item_holds: list[HoldTerms] = field(default_factory=list)
    """Holds on some items of the request: what is removed leaves them out while these last."""
    lifted: bool = False
    """Whether the legal hold under which the request was filed was lifted."""
    held_anew: bool = False
    """Whether the fact that the data must be preserved was recorded after that."""
    released: bool = False
    """Whether what packs decided on hold was lifted, which counts once the request is closed."""
    until: dt.date | None = None
    """The deadline after an extension."""
    extension: DeadlineExtendedFact | None = None
    """What the fact says that extended it."""
    purge_held: dt.date | None = None
    """The day until which old weights and withdrawn items are kept, though all else is done."""
    purge_reason: str = ""
    """Why they are."""
    closed: str | None = None
    """How it ended: done, denied, fulfilled or taken-back."""
    ending: RequestClosedFact | None = None
    """What the fact says that closed it."""
    report: ReportFact | None = None
    """What the last fact of a report says."""
    facts: list[Fact] = field(default_factory=list)
    """Every fact about this request, in order: the slice of the ledger that a report carries."""

    withdrawn: dict[str, str] = field(default_factory=dict)
    """Digests of the shards and artifacts withdrawn for the request, by any of its plans, to their names."""
    distinct: set[str] = field(default_factory=set)
    """Keyed marks of near-duplicates that a person found to be other items; see :mod:`disgorge.request.near.find`."""
    included: list[str] = field(default_factory=list)
    """Keyed marks of near-duplicates that a person added to what is removed."""
    overlaps: list[OverlapFact] = field(default_factory=list)
    """What withdrawals for other requests took of this one's items; see :mod:`disgorge.request.withdrawn.overlap`."""
    confirmed: dict[str, dict[str, Result]] = field(default_factory=dict)
    """As ``steps``, for plans that remove nothing and confirm another request's removal."""
    rescoped: bool = False
    """Whether something was added since the decision, which has to be made again."""
    superseded: Decision | None = None
    """The decision that an amendment of the request put out of force, until it is made anew."""

    def as_of(self, day: dt.date) -> "Case":
        """Return a copy, without the holds that are over by that day."""
        grows = [each.name for each in fields(self) if each.default_factory is not MISSING]
        case = replace(self, **{name: _copied(getattr(self, name)) for name in grows})
        case.item_holds = [each for each in case.item_holds if not each.is_over(day)]
        case.whole_holds = [each for each in case.whole_holds if not each.is_over(day)]
        return case

    def amend(self, request: RemovalRequest, changed: Collection[str]) -> None:
        """Let a request say something else from now on: it is decided and planned anew."""
        self.held_anew |= is_legal_hold(request.facts) and not is_legal_hold(self.request.facts)
        self.request = request
        self.superseded, self.decision = self.decision or self.superseded, None
        self.plan, self.together, self.rescoped = None, (), False
        self.approvals.clear()
        self.accepts_loss.clear()
        if "selectors" in changed:
            self.included = []

    def take(self, decision: Decision) -> None:
        """Let a decision hold from now on; an extension of another deadline than its own ends."""
        last = self.decision or self.superseded
        before, now = (each.owed.deadline if each and each.owed else None for each in (last, decision))
        if before != now:
            self.until = None
        self.decision, self.superseded = decision, None
        self.decisions.append(decision)
        self.rescoped = False
        self.new_events.clear()

    def confirm(self, said: DecisionConfirmedFact) -> None:
        """Let an earlier decision hold after it was made again, with another deadline if the fact names one."""
        decision = {each.digest: each for each in self.decisions}[said.decision]
        if decision != self.decisions[-1]:
            self.decisions.append(decision)
        self.decision = decision
        self.new_events.clear()
        if said.deadline is not None:
            self.until = said.deadline

    @property
    def hold(self) -> str | None:
        """Why the whole request was put on hold, or None."""
        return "; ".join(terms.reason for terms in self.whole_holds) or None

    @property
    def terms(self) -> HoldTerms | None:
        """What was said with the hold on the whole request that was put on last, None if there is none."""
        return self.whole_holds[-1] if self.whole_holds else None

    @property
    def requests(self) -> tuple[str, ...]:
        """The ids of the requests that its last plan is for, the case's own if it has none."""
        return self.together or (self.request.id,)

    @property
    def outdated(self) -> str:
        """Why the decision has to be made again before anything rests on it, in words; "" if it has not."""
        if self.closed or self.decision is None:
            return ""
        if self.rescoped:
            return "near-duplicates were added since it was decided"
        if self.new_events:
            said = ", ".join(f"{event.kind.value} of {event.on}" for event in self.new_events)
            return f"{said} {'was' if len(self.new_events) == 1 else 'were'} recorded since it was decided"
        return ""

    @property
    def by_packs(self) -> Decision | None:
        """The last decision that packs made, before what a person decided on review."""
        return next((each for each in reversed(self.decisions) if not is_decided_on_review(each)), None)

    def done(self, plan: str) -> dict[str, Result]:
        """Return the results of a plan's steps that are done, by step id."""
        return self.steps.get(plan) or self.confirmed.get(plan, {})

    def result(self, plan: str, step: Step, kind: type[AnyResult]) -> AnyResult:
        """Return what a step came to that is done; :class:`DisgorgeError` if it is not, or came to something else."""
        result = self.done(plan).get(step.id)
        if not isinstance(result, kind):
            raise DisgorgeError(f"request {self.request.id}: step {step.id} has no result; plan the request again")
        return result

    @property
    def covered_by(self) -> str | None:
        """The request whose withdrawals alone took all that this one selected then, None if there is none."""
        took = {each.by_request for each in self.overlaps}
        last = self.overlaps[-1] if self.overlaps else None
        return took.pop() if last is not None and len(took) == 1 and last.removed == last.of else None

    @property
    def judged(self) -> RemovalRequest:
        """The request as packs judge it: with what happened since, without the legal hold once that is lifted.

        A legal hold that became known after the lifting is another one.
        """
        asked = self.request.after(self.events)
        if not self.lifted:
            return asked
        facts = {name: value for name, value in asked.facts.items() if name != "legal_hold" or self.held_anew}
        return replace(asked, legal_hold=False, facts=facts)

    @property
    def last_report(self) -> ReportFact:
        """What the last fact of a report says; :class:`DisgorgeError` if there is none."""
        if self.report is None:
            raise DisgorgeError(f"request {self.request.id} has no report yet; carry it out first")
        return self.report

    @property
    def partly_done(self) -> bool:
        """Whether the last plan is carried out and left out items that are under a hold."""
        report = self.report
        return bool(report and report.left_out and report.plan == self.plan and not self.closed)

    @property
    def deadline(self) -> dt.date | None:
        """When the request must be done by, extensions counted, or its refusal answered, which none extends."""
        if self.closed == "denied" and self.decision is not None:
            return replace(self.decision, outcome=Outcome.DENIED).due
        if self.until is not None:
            return self.until
        return self.decision.due if self.decision else None

    @property
    def owed_on_refusal(self) -> tuple[Duty, ...]:
        """What is owed with a refusal, by every pack under which something was claimed; also where a person refuses."""
        if self.decision is None:
            return ()
        owed = (*self.decision.duties, *(duty for claim in self.decision.claims for duty in claim.on_refusal))
        return tuple(dict.fromkeys(owed))

    @property
    def duties_done(self) -> tuple[tuple[Duty, dt.date], ...]:
        """The duties that events fulfilled, each with the day of the first such event."""
        owed = self.owed_on_refusal if self.closed == "denied" else self.decision.duties if self.decision else ()
        fulfilled = ((duty, duty.done_on(self.events)) for duty in owed)
        return tuple((duty, done) for duty, done in fulfilled if done is not None)

    @property
    def answered(self) -> dt.date | None:
        """The first day on which the requester was told what was done."""
        return first_day(self.events, EventKind.ANSWERED)

    @property
    def state(self) -> str:
        """Where the request stands, in a word or two."""
        if self.closed:
            return self.closed
        if self.hold is not None:
            return "on-hold"
        if self.partly_done:
            return "partly-done"
        if self.plan and self.steps.get(self.plan):
            return "executing"
        if self.plan and self.approvals.get(self.plan):
            return "approved"
        if self.plan:
            return "planned"
        return self.decision.outcome.value if self.decision else "filed"


@dataclass(slots=True)
class _Docket:
    """The cases that the first ``count`` facts come to; ``digest`` is the last one's."""

    cases: dict[str, Case] = field(default_factory=dict)
    by_plan: dict[str, list[Case]] = field(default_factory=dict)
    count: int = 0
    digest: str = ""

    def follow(self, facts: Sequence[Fact]) -> None:
        """Take the facts that came since; :class:`~lineage.errors.LedgerBroken` for one of another form."""
        for fact in facts[self.count :]:
            if fact.kind == LossAcceptedFact.kind_of_fact:
                _approve_anew(self.cases)
            _take(fact, self.cases, self.by_plan)
        self.count, self.digest = len(facts), facts[-1].digest


_DOCKETS: "WeakKeyDictionary[Ledger, _Docket]" = WeakKeyDictionary()
"""The docket of each ledger that is open, so that every fact is folded once."""


def _docket(workspace: Workspace) -> _Docket:
    facts = workspace.ledger.all_facts()
    cached = _DOCKETS.pop(workspace.ledger, _Docket())  # put back only once it is whole
    if not begin_as(facts, cached.count, cached.digest):
        cached = _Docket()
    cached.follow(facts)
    _DOCKETS[workspace.ledger] = cached
    return cached


def docket(workspace: Workspace, *, today: dt.date | None = None) -> dict[str, Case]:
    """Return every case by request id, in the order in which requests were filed.

    Holds with a day that has come by ``today`` (by default that of the workspace's clock) are over. Raises
    :class:`~lineage.errors.LedgerBroken` for a fact that another program wrote in a form of its own.
    """
    day = today or workspace.today()
    return {request: case.as_of(day) for request, case in _docket(workspace).cases.items()}


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(each) for key, each in value.items()}
    return type(value)(value) if isinstance(value, list | set) else value


def _approve_anew(cases: dict[str, Case]) -> None:
    """Let no approval count from before facts were lost: a hold may be among them, and the approver has to look."""
    for case in cases.values():
        if not case.closed:
            case.facts_lost = True
            case.approvals.clear()
            case.accepts_loss.clear()


def _take(fact: Fact, cases: dict[str, Case], by_plan: dict[str, list[Case]]) -> None:
    """Take a fact to the cases it is about; :class:`~lineage.errors.LedgerBroken` if it has not the form of its kind.

    What is recorded of a joint plan is about each of its requests, but for their reports.
    """
    kind = FACT_KINDS.get(fact.kind)
    if kind is None:
        return
    said = kind.read(fact)
    plan, request = getattr(said, "plan", ""), getattr(said, "request", "")
    if isinstance(said, RequestFact):
        about = [cases.setdefault(said.request.id, Case(said.request))]
    elif isinstance(said, PlanFact):
        about = by_plan[plan] = [cases[each] for each in (request, *said.others) if each in cases]
    else:
        about = by_plan.get(plan, [])
        if not about or (len(about) > 1 and isinstance(said, ReportFact)):
            about = [cases[request]] if request in cases else []
    for case in about:
        before = case.plan
        _take_to(fact, said, case)
        if before is not None and (case.closed or case.plan != before):
            _dissolve(before, by_plan.get(before, []), case)


def _dissolve(plan: str, planned: list[Case], left: Case) -> None:
    """Take a joint plan that was not begun from its other requests once one of them has left it."""
    for case in planned:
        if case is not left and case.plan == plan and not case.steps.get(plan):
            case.plan, case.together = None, ()


def _take_to(fact: Fact, said: FactBody, case: Case) -> None:
    """Take a fact, and what it says, to one case."""
    case.facts.append(fact)
    match said:
        case RequestAmendedFact():
            case.amend(said.amended, said.changed)
        case DecisionFact():
            case.take(said.decision)
        case DecisionConfirmedFact():
            case.confirm(said)
        case RequestEventFact():
            event = Event(said.kind, said.on, said.facts)
            case.events.append(event)
            case.held_anew |= is_legal_hold(event.facts)
            case.new_events.append(event)
        case PlanFact():
            case.plan, case.together = said.plan, (said.request, *said.others) if said.others else ()
        case ApprovalFact():
            case.approvals.setdefault(said.plan, []).append(said.by)
            if said.accepts_utility_loss:
                case.accepts_loss.add(said.plan)
        case StepFact():
            case.steps.setdefault(said.plan, {})[said.step] = _result(fact, said.action, said.result)
            case.seconds.setdefault(said.plan, {})[said.step] = said.seconds
        case ShardWithdrawnFact():
            case.withdrawn[said.shard] = said.name
        case ArtifactWithdrawnFact():
            case.withdrawn[said.artifact] = said.name
        case HoldFact():
            _take_hold(HoldTerms.of(said, fact.seq), case, on=said.on, of=said.of)
        case DeadlineExtendedFact():
            case.until, case.extension = said.until, said
        case PurgeHeldFact():
            case.purge_held, case.purge_reason = said.until, said.because
        case NearReviewFact() if said.same:
            case.included += said.marks
            case.plan, case.together, case.rescoped = None, (), True
        case NearReviewFact():
            case.distinct.update(said.marks)
        case OverlapFact():
            case.overlaps.append(said)
        case FulfilledFact():
            case.confirmed[said.plan] = {said.step: _result(fact, Action.CONFIRM, said.result)}
        case ReportFact():
            case.report = said
        case RequestClosedFact():
            case.closed, case.ending = said.outcome, said


def _result(fact: Fact, action: str, body: Json) -> Result:
    try:
        return result_of(Action(action), body)
    except ValueError as problem:
        raise malformed(fact, problem) from problem


def _take_hold(terms: HoldTerms, case: Case, *, on: bool, of: str | None) -> None:
    """Put on or lift a hold: on the whole request, or on some items. ``of`` is the reason of the one that is lifted.

    A lifting without it ends all on the same items, as the one there was in ledgers of before.
    """
    holds = case.item_holds if terms.is_partial else case.whole_holds
    if on:
        holds[:] = [*(each for each in holds if not each.is_the_same(terms)), terms]
        return
    holds[:] = [each for each in holds if not each.covers_the_same(terms) or of not in (None, each.reason)]
    if not terms.is_partial and of in (None, LEGAL_HOLD):
        case.lifted, case.held_anew = True, False
    if not terms.is_partial and (of is None or of.startswith(DECIDED)):
        case.released = True


def is_legal_hold(facts: Mapping[str, Json]) -> bool:
    """Whether facts say that the data must be preserved."""
    return facts.get("legal_hold") is True


def case_before(case: Case, seq: int) -> Case | None:
    """Return a case as it stood before the fact at that place, None if it was not filed by then."""
    cases: dict[str, Case] = {}
    by_plan: dict[str, list[Case]] = {}
    for fact in case.facts:
        if fact.seq < seq:
            _take(fact, cases, by_plan)
    return cases.get(case.request.id)


def case_of(workspace: Workspace, request: str) -> Case:
    """Return one case; :class:`UnknownRecord` names the command that lists them."""
    cases = _docket(workspace).cases
    if request not in cases:
        raise UnknownRecord(f"unknown request {request!r}; `disgorge request list` shows those there are")
    return cases[request].as_of(workspace.today())


def open_case(workspace: Workspace, request: str) -> Case:
    """Return one case; :class:`AlreadyExecuted` if it is closed. Errors as of :func:`case_of`."""
    case = case_of(workspace, request)
    if case.closed:
        raise AlreadyExecuted(f"request {request} is closed ({case.closed}); file a new request if more must be done")
    return case


def plan_of(workspace: Workspace, case: Case) -> Plan:
    """Return a case's last plan as it reads it, from the object store; :class:`UnknownRecord` if none was made."""
    if case.plan is None:
        raise UnknownRecord(
            f"request {case.request.id} has no plan; make one with `disgorge request plan {case.request.id}`"
        )
    return begun_plan(workspace, case.plan).seen_by(case.request.id)


def begun_plan(workspace: Workspace, digest: str) -> Plan:
    """Return the plan with this digest, read from the object store."""
    return kept_record(workspace, Plan, digest)
