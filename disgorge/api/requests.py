"""Requests: listing, showing and explaining them, their events, and near-duplicates of the items they remove."""

import datetime as dt
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from disgorge.errors import WrongUse
from disgorge.evidence.checks import Near, NearItem
from disgorge.locations.exports import write_page
from disgorge.plan.plan import Plan
from disgorge.plan.shown import plan_shown
from disgorge.report.near_duplicates_page import near_page
from disgorge.request.case import Case, case_of, docket, plan_of
from disgorge.request.history.case_words import (
    answer_words,
    asked_rows,
    course_lines,
    days_late,
    ending_words,
    event_words,
    held_meanwhile,
    history_lines,
    next_lines,
    outweighed,
    state_words,
)
from disgorge.request.history.earlier import Earlier, earlier_requests, said
from disgorge.request.history.timeline import Happened, Now, course, now
from disgorge.request.holds.open import Hold, forget_hidden, is_held, open_holds, terms_on_all
from disgorge.request.near.find import near_now
from disgorge.request.near.review import chosen_of, judge_all
from disgorge.request.particulars import HIDDEN
from disgorge.request.particulars import erase_particulars as erase
from disgorge.request.workflow.amend import Change, changes_of
from disgorge.request.workflow.draft import checked_lines
from disgorge.request.workflow.events import record_event as record
from disgorge.request.workflow.impact import impact_of
from disgorge.result import Listing, Result, require_name, require_reason, several, with_words
from lineage.plural import counted
from lineage.records import Json, plain
from lineage.shown import Attention, Table, short, table
from lineage.workspace import Workspace
from policies.decision import Decision
from policies.events import Event, EventKind
from policies.judging.explain import explain
from policies.packs.facts import regimes_of
from policies.packs.load import load_packs
from policies.vocabulary.nearest import or_nearest


@dataclass(frozen=True, slots=True)
class RequestState(Result):
    """The state of a request, as the ledger's facts record it."""

    case: Case

    def plain(self) -> Json:
        """Return where the request stands."""
        case, decision = self.case, self.case.decision
        owed = case.owed_on_refusal if case.closed == "denied" else decision.duties if decision else ()
        return plain({
            "id": case.request.id,
            "state": case.state,
            "regime": case.request.regime,
            "ground": case.request.ground,
            "received": case.request.received,
            "due": case.deadline,
            "why_no_due": decision.no_due if decision else "",
            "claims": {claim.pack: claim.outcome for claim in decision.claims} if decision else {},
            "duties": owed,
            "duties_done": _duties_done(case),
            "answered": case.answered,
            "events": case.events,
            "outdated": case.outdated,
            "on_hold": "; ".join(terms.reason for terms in terms_on_all(case)) or None,
            "holds": hold_values(open_holds(case)),
            "purge_held_until": case.purge_held,
            "plan_digest": case.plan,
            "planned_with": [name for name in case.together if name != case.request.id],
            "approvals": len(set(case.approvals.get(case.plan or "", []))),
            "steps_done": list(case.steps.get(case.plan or "", {})),
            "report": case.report,
            "ending": case.ending,
        })  # fmt: skip


def hold_values(holds: Collection[Hold]) -> list[dict[str, Any]]:
    """Return what was said with open holds, as plain values."""
    return [{name: said for name, said in plain(each.terms).items() if name != "fact"} for each in holds]


def _duties_done(case: Case) -> list[dict[str, Any]]:

    return [
        {"words": duty.words, "rule": duty.rule, "by": duty.by, "done_on": on, "days_late": days_late(on, duty.by)}
        for duty, on in case.duties_done
    ]


def list_requests(workspace: Workspace, *, closed: bool = False) -> Listing[RequestState]:
    """Return the open requests, or all of them, with where each stands and by when it is due."""
    cases = [case for case in docket(workspace).values() if closed or not case.closed]
    columns = ("request", "state", "regime", "ground", "received", "due")
    rows = table(*columns, rows=map(_row, cases), empty="no request" if closed else "no open request")
    return Listing(tuple(map(RequestState, cases)), shown=(rows,))


def _row(case: Case) -> tuple[object, ...]:

    asked = case.request
    ended = "; ".join(words for words in (ending_words(case), answer_words(case)) if words)
    regimes = ", ".join(regimes_of(asked, asked.facts))
    state = ended if case.closed else state_words(case)
    return asked.id, state, regimes, asked.ground.value, asked.received, case.deadline


@dataclass(frozen=True, slots=True)
class RequestShown(Result):
    """Everything about one request."""

    state: RequestState
    changes: tuple[Change, ...]
    earlier: tuple[Earlier, ...]
    now: Now
    plan: Plan | None

    def plain(self) -> Json:
        """Return where the request stands, and what was asked, decided and planned."""
        case, plan = self.state.case, self.plan
        shown = {
            "request": case.request, "decision": case.decision, "decisions": case.decisions, "changes": self.changes,
            "now": self.now, "plan": plan and plan.whole, "warnings": plan.warnings if plan else (),
        }  # fmt: skip
        return self.state.plain() | plain(shown) | {"earlier": with_words(self.earlier)}


def show_request(workspace: Workspace, request: str) -> RequestShown:
    """Return everything about one request: what was asked, decided, planned, approved and done."""
    case = case_of(workspace, request)
    plan = plan_of(workspace, case) if case.plan else None
    changes, holds, earlier = changes_of(case), now(case, workspace.day_of), earlier_requests(workspace, request)
    shown: list[str | Table] = [f"{request}: {state_words(case)}", table(rows=asked_rows(case, holds, changes))]
    shown += [*(f"note: {words}" for words in said(earlier, case)), *history_lines(case)]
    if plan is not None:
        approvals = f"approvals: {len(set(case.approvals.get(plan.digest, [])))} of {max(plan.approvals, 1)}"
        shown += ["", *plan_shown(plan, done=case.steps.get(plan.digest, {})), approvals]
    shown += next_lines(case, plan)
    return RequestShown(RequestState(case), tuple(changes), earlier, holds, plan, shown=tuple(shown))


@dataclass(frozen=True, slots=True)
class Explained(Result):
    """What holds about a request and how it was decided, in words."""

    case: Case
    words: str
    now: Now
    course: tuple[Happened, ...]
    earlier: tuple[Earlier, ...]
    decisions: tuple[Decision, ...] | None

    def plain(self) -> Json:
        """Return the words, what holds and what happened; the decisions if every one was asked for."""
        explained = {
            "request": self.case.request.id, "words": self.words, "decision": self.case.decision,
            "outdated": self.case.outdated, "now": self.now, "course": self.course,
        }  # fmt: skip
        every = {} if self.decisions is None else {"decisions": self.decisions}
        return plain(explained | every) | {"earlier": with_words(self.earlier)}


def explain_request(workspace: Workspace, request: str, *, history: bool = False) -> Explained:
    """Say what holds about a request and how it was decided: which rules fired, and what overrode what.

    ``history`` explains every decision there was, oldest first.
    """
    case = case_of(workspace, request)
    decided = case.decision or case.superseded
    if decided is None and not case.closed:
        raise WrongUse(f"request {request} is not decided; run `disgorge request decide {request}` first")
    decisions = tuple(case.decisions) if history else (decided,) if decided else ()
    words = ("\n\n" + "-" * 20 + "\n").join(explain(decision, case.judged) for decision in decisions)
    holds, happened = now(case, workspace.day_of), course(case, workspace.day_of)
    earlier = earlier_requests(workspace, request)
    lines = [*course_lines(case, holds, happened)]
    if lines and words:
        when = "before it was amended" if case.decision is None else "before it was closed" if case.closed else "last"
        lines.append(f"What was decided {when}, in full:")
    lines += [*words.splitlines(), *held_meanwhile(case), *(f"note: {each}" for each in said(earlier, case))]
    if case.outdated:
        lines.append(Attention(f"{case.outdated}; run `disgorge request decide {request}` again"))
    return Explained(case, words, holds, happened, earlier, decisions if history else None, shown=tuple(lines))


@dataclass(frozen=True, slots=True)
class EventRecorded(Result):
    """An event as it was recorded, and what it does to the request."""

    request: str
    event: Event
    outdated: str
    closed: str | None


def record_event(
    workspace: Workspace,
    request: str,
    *,
    kind: str | None = None,
    on: dt.date | None = None,
    by: str,
    facts: Mapping[str, Any] | None = None,
    without_facts: str | Collection[str] = (),
    packs: Path | None = None,
) -> EventRecorded:
    """Record what happened in a request, with its day. The request has to be decided again afterwards.

    Without a ``kind`` it adds facts alone.
    """
    by, given, gone = require_name(by, "records it"), checked_lines(facts or {}), several(without_facts)
    if both := sorted(set(given) & set(gone)):
        raise WrongUse(f"--fact and --without-fact both name {both[0]}; give one of them")
    if kind is None and not given and not gone:
        raise WrongUse("give a KIND of event, a --fact, or both; `disgorge request event --kinds` lists kinds")
    chosen = _kind_named(kind) if kind else EventKind.NOTED
    case = record(workspace, request, chosen, on=on, by=by, facts=given, without_facts=gone, packs=load_packs(packs))
    event = case.events[-1]
    ended = f"{request} is closed ({case.closed}): nothing is decided again; file a new request if more must be done"
    lines = (
        f"recorded of {request}: {event_words(event)}",
        *map(Attention, outweighed(case)),
        *((ended,) if case.closed else next_lines(case)),
    )
    return EventRecorded(request, event, case.outdated, case.closed, shown=lines)


def _kind_named(text: str) -> EventKind:

    names = [kind.value for kind in EventKind]
    if text.casefold() in names:
        return EventKind(text.casefold())
    raise WrongUse(
        f"unknown kind of event {text!r}{or_nearest(text, names)}; `disgorge request event --kinds` lists them all"
    )


@dataclass(frozen=True, slots=True)
class EventKinds(Result):
    """The kinds of events there are, with what each means."""

    kinds: dict[str, str]

    def plain(self) -> Json:
        """Return what each kind means."""
        return self.kinds


def event_kinds() -> EventKinds:
    """Return the kinds of events there are, with what each means."""
    kinds = {kind.value: kind.words for kind in EventKind}
    return EventKinds(kinds, shown=(table("kind", "means", rows=kinds.items()),))


@dataclass(frozen=True, slots=True)
class Erased(Result):
    """Whether there were particulars of a request to erase."""

    request: str
    erased: bool


def erase_particulars(workspace: Workspace, request: str) -> Erased:
    """Delete the requester's name, contact and note. The chain of facts holds none of it and still verifies."""
    case = case_of(workspace, request)
    hidden = any(selector.field in HIDDEN for selector in case.request.selectors)
    if case.closed and hidden and is_held(case):
        raise WrongUse(
            f"request {request} is closed and its data is on hold; only its private file says which items that covers: "
            f"lift the hold first with `disgorge request hold {request} --lift --reason TEXT`"
        )
    if not case.closed and hidden:
        raise WrongUse(
            f"request {request} selects by {' or '.join(HIDDEN)}, and only its private file says which; close it "
            f"first, then erase"
        )
    erased = erase(workspace, request)
    forget_hidden(workspace, case, over=bool(case.closed))
    words = "the particulars are erased" if erased else "there are no particulars to erase"
    return Erased(request, erased, shown=(f"{request}: {words}",))


@dataclass(frozen=True, slots=True)
class NearDuplicates(Result):
    """What looks like items that a request removes: ``items`` are those that were asked about."""

    request: str
    judged: str | None
    items: tuple[NearItem, ...]
    near: Near


def near_duplicates(
    workspace: Workspace,
    request: str,
    *,
    judge: str | None = None,
    items: str | Collection[str] = (),
    by: str | None = None,
    reason: str | None = None,
    pictures: Path | None = None,
) -> NearDuplicates:
    """Return near-duplicates of what a request removes that are not judged; ``judge`` them "same" or "distinct".

    ``items`` are digests, or their beginnings; all by default. ``pictures`` is a page to write that shows each beside
    what it looks like.
    """
    if judge not in (None, "same", "distinct"):
        raise WrongUse(f"invalid judgment {judge!r}: use same or distinct")
    case = case_of(workspace, request)
    if case.closed:
        raise WrongUse(f"request {request} is closed ({case.closed}); there is nothing to judge any more")
    shards = [change.before for change in impact_of(workspace, case.request).shards]
    near = near_now(workspace, case, shards)
    chosen = chosen_of(near.unjudged, several(items))
    if pictures is not None:
        write_page(workspace, case.request.id, pictures, *near_page(workspace, case.request.id, chosen))
    lines: list[str | Table] = [_rows(chosen) if near.sought else _NOT_SOUGHT]
    if near.sought and near.unseen:
        lines.append(f"not looked into, because no likeness was recorded for every item: {', '.join(near.unseen)}")
    if judge is not None:
        judge_all(workspace, request, chosen, judge, by=require_name(by, "says so"), because=require_reason(reason))
        words = "are removed too" if judge == "same" else "stay, as other items"
        lines += [f"{counted(len(chosen), 'item')} {words}", *next_lines(case_of(workspace, request))]
    return NearDuplicates(request, judge, chosen, near, shown=tuple(lines))


_NOT_SOUGHT = "no likeness was recorded for what it removes, so near-duplicates cannot be looked for"


def _rows(items: Collection[NearItem]) -> Table:
    rows = [(item.shard, short(item.digest), item.bits, short(item.near[0]), len(item.near)) for item in items]
    columns = ("shard", "item", "bits apart", "nearest removed", "near to")
    return table(*columns, rows=rows, empty="no unjudged near-duplicate")
