"""Where a request stands, in words for people: its state, its holds, what is owed and done, and what comes next."""

import datetime as dt
from collections.abc import Iterator, Sequence

from disgorge.plan.plan import Plan
from disgorge.request.case import Case, docket
from disgorge.request.history.timeline import Happened, Now
from disgorge.request.holds.hold import count_held, releases_that_learned
from disgorge.request.holds.open import Hold, is_held, open_holds
from disgorge.request.particulars import HIDDEN
from disgorge.request.workflow.amend import Change
from lineage.plural import counted
from lineage.records import Json
from lineage.shown import SHORT, Attention
from lineage.workspace import Workspace
from policies.events import Event, EventKind, first_day, in_order, receipt_confirmed
from policies.judging.explain import explain
from policies.judging.fired import HOUSE
from policies.judging.held import LEGAL_HOLD, PACK, duties, holding_reasons, waits_for, waits_for_others
from policies.judging.review import waiting
from policies.packs.facts import regimes_of
from policies.taxonomy import Outcome

_SERVING = {"keep": "they go on serving", "stop": "they are not to be served"}


def state_words(case: Case) -> str:
    """Return where a case stands, with the claims that were decided otherwise than the request."""
    decision = case.decision
    if decision is None or case.closed:
        return case.state
    apart = [
        f"{claim.pack} {claim.outcome.value}" for claim in decision.claims if claim.outcome is not decision.outcome
    ]
    words = f"{case.state} (but {', '.join(apart)})" if apart and decision.outcome.value == "granted" else case.state
    return words + (f", {answer}" if (answer := answer_words(case)) else "")


def ending_words(case: Case) -> str | None:
    """Return in words how a request ended, None while it is open."""
    if (ending := case.ending) is None:
        return None
    match ending.outcome:
        case "fulfilled":
            return f"fulfilled by {ending.by_request}"
        case "taken-back":
            return f"taken back (said by pseudonym {ending.by[:SHORT]})"
        case "denied":
            return f"denied ({ending.reason})"
        case other:
            return other


def selected_value(field: str, value: str) -> str:
    """Return a selector's value as it is recorded: a pseudonym, or a mark, is said to be one."""
    if field == "subject":
        return f"(pseudonym {value[:SHORT]})"
    return f"(mark {value[:SHORT]})" if field in HIDDEN else value


def asked_rows(case: Case, holds: Now, changes: Sequence[Change]) -> list[tuple[str, object]]:
    """Return what was asked, and where it stands, as names and values."""
    asked = case.request
    return [
        ("asked by", f"{asked.standing.value}, {'' if asked.identity_verified else 'not '}recorded as identified"),
        ("ground", asked.ground.value),
        ("regime", ", ".join(regimes_of(asked, asked.facts))),
        ("selects", [f"{each.field} {selected_value(each.field, each.value)}" for each in asked.selectors]),
        ("received", asked.received),
        ("due", case.deadline or (case.decision.no_due if case.decision else None)),
        ("extended", holds.extension.words if holds.extension else None),
        ("facts", [f"{name}={value}" for name, value in asked.facts.items()]),
        ("amended", [f"{change.on[:10]}: {change_words(change)}" for change in changes]),
        ("outdated", case.outdated),
        ("legal hold", ("lifted" if case.lifted else "yes") if asked.legal_hold else None),
        ("on hold", ["; ".join((each.terms.reason, *hold_lines(each))) for each in open_holds(case)]),
        ("planned with", [name for name in case.together if name != asked.id]),
        ("closed", ending_words(case)),
        ("report", case.report.bundle if case.report else None),
        ("verdict", case.report.verdict if case.report else None),
    ]


def history_lines(case: Case) -> Iterator[str]:
    """Yield what happened in a request and what was decided, before and last."""
    if case.events:
        yield from ("", "what happened since:", *(f"  {event_words(each)}" for each in in_order(case.events)))
    if len(case.decisions) > 1:
        yield from ("", "decided before:")
        for past in case.decisions[:-1]:
            due = past.owed.deadline if past.owed else None
            yield f"  {past.decided}: {past.outcome.value}, {past.category}" + (f", due {due}" if due else "")
    if case.decision is not None:
        yield ""
        if case.closed == "denied":
            yield "What was decided before a person denied it:"
        yield from explain(case.decision, case.judged).splitlines()
        yield from held_meanwhile(case)
        if case.closed == "denied" and case.decision.outcome is not Outcome.DENIED:
            yield from owed_on_refusal(case)
        yield from done_lines(case)


def course_lines(case: Case, holds: Now, happened: Sequence[Happened]) -> Iterator[str]:
    """Yield what holds about a request and what happened in it; nothing if its one decision says all of that."""
    simple = {"request", "decision", "plan", "approval"}
    if {fact.kind for fact in case.facts} <= simple and len(case.decisions) == 1 and not holds.owed:
        return
    yield from ("Now:", *(f"  - {words}" for words in holds.words))
    told_below = case.decision.duties if case.decision and case.decision.outcome is Outcome.DENIED else ()
    if not set(holds.owed) <= set(told_below):
        yield from owed_on_refusal(case)
    elif holds.owed:
        yield "  - What is owed with the refusal, and by when, stands below."
    yield from ("", "What happened, in the order in which it was recorded:")
    yield from (*(f"  - {each.on}: {each.words}" for each in happened), "")


def held_meanwhile(case: Case) -> Iterator[str]:
    """Yield, of a decision that keeps nothing, that the data is on hold all the same."""
    if case.closed or case.decision is None or case.decision.outcome in (Outcome.ON_HOLD, Outcome.DENIED):
        return
    for hold in open_holds(case):
        if not hold.terms.is_partial:
            yield f"note: its data is on hold ({hold.words}): nothing is removed meanwhile"


def hold_lines(hold: Hold) -> list[str]:
    """Return what was said with a hold, beyond why."""
    terms = hold.terms
    named = [f"{each.field} {selected_value(each.field, each.value)}" for each in terms.selectors]
    named += [f"what request {terms.held_by} holds"] if terms.held_by else []
    return [
        *([f"covers: {', '.join(named)}"] if named else []),
        *([f"until: {terms.until}"] if terms.until else []),
        *([f"said by: (pseudonym {terms.by[:SHORT]})"] if terms.by else []),
        *([f"models that learned from it: {_SERVING.get(terms.serving, terms.serving)}"] if terms.serving else []),
    ]


def lifted_lines(workspace: Workspace, request: str, holds: Sequence[Hold], *, partial: bool) -> Iterator[str]:
    """Yield which hold was lifted, which are left, and which requests waited for it: they are decided again."""
    yield f"the hold on those items of {request} is lifted" if partial else f"the hold on {request} is lifted"
    for each in holds:
        what = "some of its items are" if each.terms.is_partial else "it is"
        yield f"note: {what} still on hold: {each.words}"
    for other in docket(workspace).values():
        decision = other.decision
        if decision is not None and not other.closed and waits_for_others(decision) and waits_for(decision, request):
            name = other.request.id
            yield f"note: {name} waited for it: decide it again with `disgorge request decide {name}`"


def put_on_lines(
    workspace: Workspace, case: Case, reason: str, holds: Sequence[Hold], *, partial: bool
) -> Iterator[str]:
    """Yield what the hold that was put on last holds and owes, and which others are on the same items."""
    request, said = case.request.id, (partial, reason)
    put_on = next(each for each in reversed(holds) if (each.terms.is_partial, each.terms.reason) == said)
    count = count_held(workspace, put_on)
    if partial:
        items = "some items are" if count is None else "1 item is" if count == 1 else f"{count:,} items are"
        yield f"{items} on hold, and {request} leaves out those that it selects: {reason}"
    else:
        yield f"{request} is on hold: {reason}"
    yield from (f"  {words}" for words in hold_lines(put_on))
    yield from (f"while it is held: {words}" for words in duties(case.request))
    learned = releases_that_learned(workspace, put_on)
    if learned and put_on.terms.serving is None:
        yield Attention(
            f"{', '.join(learned)} learned from what is held: decide whether to go on serving, and record it with "
            "--serving keep or --serving stop"
        )
    for other in holds:
        if other is not put_on and other.terms.covers_the_same(put_on.terms):
            yield f"note: it stays on hold as well: {other.words}"


def change_words(change: Change) -> str:
    """Return in words what an amendment changed."""
    before, after = (_said(change.name, value) for value in (change.before, change.after))
    return f"{change.name} was {before}, is {after}" + (f" ({change.because})" if change.because else "")


def _said(name: str, value: Json) -> str:
    if name == "selectors":
        return ", ".join(f"{each['field']} {selected_value(each['field'], each['value'])}" for each in value)
    if value is None:
        return "absent"
    return {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)


def event_words(event: Event) -> str:
    """Return an event in one line."""
    said = ", ".join(
        f"{name} taken out" if value is None else f"{name}={str(value).lower() if isinstance(value, bool) else value}"
        for name, value in event.facts.items()
    )
    return f"{event.on} {event.kind.value}: {event.kind.words}" + (f" ({said})" if said else "")


def outweighed(case: Case) -> Iterator[str]:
    """Yield which facts of the event recorded last count for nothing, because of what a later day brought."""
    facts = case.request.after(case.events).facts
    for name, value in case.events[-1].facts.items():
        if facts.get(name) != value:
            stays = f"stays {facts[name]}" if name in facts else "stays taken out"
            yield f"{name} {stays}, as said of a later day; record it with that day if it is to count from then on"


def answer_words(case: Case) -> str:
    """Return in words that the requester was answered, and how late; "" if that is not recorded."""
    if case.answered is None:
        return ""
    return f"answered on {case.answered}{_late_words(case.answered, case.deadline)}"


def days_late(done: dt.date, by: dt.date | None) -> int:
    """Return by how many days something was done too late."""
    return max((done - by).days, 0) if by is not None else 0


def _late_words(done: dt.date, by: dt.date | None) -> str:
    late = days_late(done, by)
    return f" ({counted(late, 'day')} late)" if late else ""


def owed_on_refusal(case: Case) -> Iterator[str]:
    """Yield what is owed with a refusal, the day of each first, and when it was done."""
    if case.owed_on_refusal:
        yield "owed with the refusal:"
    for duty in case.owed_on_refusal:
        done = duty.done_on(case.events)
        was = f"; done on {done}{_late_words(done, duty.by)}" if done else ""
        yield f"  - {duty.said} [{duty.rule}]{was}"


def done_lines(case: Case) -> Iterator[str]:
    """Yield what is done of what is owed, by the events recorded: duties, the answer, receipt, recipients."""
    words = [
        f"{duty.words} [{duty.rule}]: done on {done}{_late_words(done, duty.by)}" for duty, done in case.duties_done
    ]
    if answer := answer_words(case):
        words.append(f"the requester: {answer}")
    if confirmed := receipt_confirmed(case.events):
        by = case.decision.owed.acknowledge_by if case.decision and case.decision.owed else None
        words.append(f"receipt: confirmed on {confirmed}{_late_words(confirmed, by)}")
    if told_on := first_day(case.events, EventKind.TOLD_ON):
        words.append(f"recipients of the data, or of models built on it: told on {told_on}")
    if words:
        yield from ("done of what is owed:", *(f"  - {each}" for each in words))


def next_lines(case: Case, plan: Plan | None = None) -> Iterator[str]:
    """Yield which claims still wait, and what is to be done next about a request, if anything is."""
    yield from (f"note: {words}" for words in still_waiting(case))
    if words := next_step(case, plan):
        yield f"next: {words}"


def still_waiting(case: Case) -> list[str]:
    """Return in words which claims wait for a person though the request is granted under others."""
    if case.closed or case.decision is None or case.decision.outcome is not Outcome.GRANTED:
        return []
    name = case.request.id
    return [
        f"the claim under {claim.pack} waits for a person"
        + (f", to be answered by {claim.answer_by}" if claim.answer_by else "")
        + f": disgorge request grant {name} --claim {claim.pack} --by NAME --reason TEXT, or disgorge request deny "
        f"{name} --claim {claim.pack} --by NAME --reason REASON"
        for claim in waiting(case.decision)
    ]


def next_step(case: Case, plan: Plan | None = None) -> str | None:
    """Return in words what is to be done next about a request, or None if nothing is."""
    name, decision = case.request.id, case.decision
    if case.closed:
        return None
    if case.hold is not None:
        return f"when the hold ends, disgorge request hold {name} --lift --reason TEXT"
    if case.partly_done:
        return f"when the hold on what stays ends, disgorge request plan {name}"
    if decision is None or case.outdated:
        return f"disgorge request decide {name}"
    if decision.outcome is Outcome.NEEDS_REVIEW and decision.owed is None:  # no rule says what a grant would owe
        record = _record_missing(name) if decision.claims else ""
        return f"disgorge request amend {name}, or disgorge request deny {name} --reason REASON{record}"
    by_scope = any((said.pack, said.rule) == (HOUSE, "scope") for said in decision.reasons)
    if decision.outcome is Outcome.NEEDS_REVIEW and by_scope and decision.owed:
        return (
            f"disgorge request grant {name} --scope influence --by NAME --reason TEXT, which removes more than the "
            f"{decision.owed.scope.value} that is owed, or remove the data by hand and disgorge request deny {name} "
            f"--reason REASON"
        )
    if decision.outcome is Outcome.NEEDS_REVIEW:
        several = " --claim PACK" if len(waiting(decision)) > 1 else ""
        return (
            f"disgorge request grant {name}{several} --by NAME --reason TEXT, or disgorge request deny {name} --reason "
            f"REASON{_record_missing(name)}"
        )
    if decision.outcome is Outcome.DENIED:
        reason = decision.refusal.value if decision.refusal else "other"
        return f"close it with disgorge request deny {name} --reason {reason}"
    if decision.outcome is Outcome.ON_HOLD:
        if waits_for_others(decision):
            return f"when that hold has ended, or the held items are left out, disgorge request decide {name}"
        if all((said.pack, said.rule) == (PACK, LEGAL_HOLD) for said in holding_reasons(decision)):
            lift = f"when the hold ends, disgorge request hold {name} --lift --reason TEXT"
            mistaken = f"; were it a mistake, disgorge request amend {name}"
            return lift + mistaken if is_held(case) else f"disgorge request decide {name}"
        return (
            f"once the data need not be kept any more, record what ended that with disgorge request event {name} KIND "
            f"--on DAY --by NAME (--without-fact NAME for what holds no more), or amend what it says with disgorge "
            f"request amend {name}, and decide it again; or deny {name} and lift its hold with disgorge request hold "
            f"{name} --lift --reason TEXT"
        )
    if not case.withdrawn and (by := case.covered_by):
        return f"disgorge request close {name} --fulfilled-by {by}, once {by} is certified"
    if plan is None or plan.decision != decision.digest:
        return f"disgorge request plan {name}"
    if case.steps.get(plan.digest):
        day = case.purge_held
        return f"disgorge request resume {name}" + (f" (old weights and items are kept until {day})" if day else "")
    if len(set(case.approvals.get(plan.digest, []))) < max(plan.approvals, 1):
        return f"disgorge request approve {name} {plan.digest[:SHORT]} --by NAME"
    if plan.warnings and plan.digest not in case.accepts_loss:
        return f"disgorge request approve {name} {plan.digest[:SHORT]} --by NAME --accept-utility-loss"
    return f"disgorge request execute {name}"


def _record_missing(name: str) -> str:
    """Return how what a rule asked for is recorded, as the end of a sentence."""
    return (
        f"; what was missing is recorded with disgorge request event {name} [KIND] --by NAME --fact NAME=VALUE (as "
        "identity-asked, or a fact that a rule names above), and decided again"
    )
