"""Requests of a joint plan: which they are, what they are owed together, and what was done for all of them.

A joint plan withdraws the items of all its requests at once, trains each part once and purges once. What its steps do
is recorded once and is about every one of them; each has its own report. It is owed the strongest of what their
decisions owe. One request that is amended, decided again, put on hold or closed stops all of them until they are
planned again: a plan is never carried out for a part of those that it was approved for. One exception: once only the
purge and the reports are left, a request that is denied then leaves the others to be finished. Nothing could be planned
for them any more, and what is deleted is what was withdrawn as approved.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from disgorge.errors import DisgorgeError, StalePlan
from disgorge.facts import StepFact
from disgorge.plan.plan import Action, Plan
from disgorge.request.case import Case, docket
from disgorge.request.particulars import is_erased
from lineage.ledger.fact_kinds import said
from lineage.workspace import Workspace
from policies.decision import Decision, Owed
from policies.judging.claims import strongest
from policies.taxonomy import Outcome


def cases_of(workspace: Workspace, plan: Plan) -> tuple[Case, ...]:
    """Return the cases of a plan's requests, in its order."""
    cases = docket(workspace)
    return tuple(cases[request] for request in plan.requests)


def cases_to_do(workspace: Workspace, plan: Plan) -> tuple[Case, ...]:
    """Return the cases that a plan is carried out for: all, or those not denied once all but the purge is done."""
    cases = cases_of(workspace, plan)
    done = cases[0].steps.get(plan.digest, {})
    if all(step.id in done for step in plan.steps if step.action not in (Action.PURGE, Action.REPORT)):
        cases = tuple(case for case in cases if case.closed != "denied") or cases
    return cases


def as_one(cases: Sequence[Case]) -> Case:
    """Return the first case with what was done for any of them: what a step of their joint plan works with."""
    first = cases[0]
    if len(cases) == 1:
        return first
    facts = sorted({fact.seq: fact for case in cases for fact in case.facts}.values(), key=lambda fact: fact.seq)
    begun = dict.fromkeys(done.plan for _, done in said(facts, StepFact))  # in the order of the ledger
    steps = {plan: results for case in cases for plan, results in case.steps.items()}
    seconds = {plan: took for case in cases for plan, took in case.seconds.items()}
    return replace(
        first,
        steps={plan: steps[plan] for plan in begun},
        seconds={plan: seconds[plan] for plan in begun},
        withdrawn={shard: name for case in cases for shard, name in case.withdrawn.items()},
        accepts_loss=set[str]().union(*(case.accepts_loss for case in cases)),
        facts=facts,
    )


def require_together(cases: Iterable[Case], plan: Plan) -> None:
    """Raise :class:`StalePlan` unless a joint plan still is the plan of every request that it is for."""
    if not plan.together:
        return
    for case in cases:
        name = case.request.id
        if case.closed:
            what = f"request {name} is closed ({case.closed})"
        elif case.plan != plan.digest:
            what = f"request {name} has {'another' if case.plan else 'no'} plan by now"
        else:
            continue
        rest = " ".join(other for other in plan.requests if other != name)
        raise StalePlan(
            f"{what}, so the joint plan {plan.digest[:12]} is not carried out; plan the others again with `disgorge "
            f"request plan {rest}`"
        )


def require_begun_together(workspace: Workspace, asked: Sequence[Case]) -> None:
    """Raise :class:`DisgorgeError` where a request that was begun would be planned with others than it was begun with.

    Those that were begun together and can still be planned are planned again together. Once their items were withdrawn
    together, one that cannot be planned now has to be decided or closed first: finished without it, nothing would be
    left to be done for it, and it could never be.
    """
    names, cases = {case.request.id for case in asked}, docket(workspace)
    for case in asked:
        if not case.steps or case.partly_done:
            continue
        name = case.request.id
        begun = {
            each.request.id for each in cases.values() if not each.closed and case.steps.keys() & each.steps.keys()
        }
        if names - begun:
            raise DisgorgeError(
                f"request {name} is being carried out; finish it with `disgorge request resume {name}`, and plan the "
                f"others without it"
            )
        if left := sorted(other for other in begun - names if _can_be_planned(workspace, cases[other])):
            raise DisgorgeError(
                f"request {name} is being carried out together with {', '.join(left)}; plan them together with "
                f"`disgorge request plan {' '.join((*(each.request.id for each in asked), *left))}`"
            )
        for other in sorted(begun - names):
            if case.withdrawn.keys() & cases[other].withdrawn.keys() and not cases[other].partly_done:
                raise DisgorgeError(_way_on_with(cases[other], name))


def _way_on_with(other: Case, name: str) -> str:
    """Say what to do first with a request that was begun with another and cannot be planned now."""
    by = other.request.id
    outcome = other.decision.outcome if other.decision else None
    if other.hold is not None:
        what = f"on hold ({other.hold}); lift the hold first"
    elif other.outdated or outcome is None:
        what = f"to be decided again; run `disgorge request decide {by}` first"
    elif outcome is Outcome.DENIED:
        what = f"granted no more; close it with `disgorge request deny {by}` first"
    else:
        what = f"{outcome.value}; grant or deny it first (`disgorge policy explain {by}` says why)"
    return f"the items of request {name} were withdrawn together with those of {by}, which is {what}"


def _can_be_planned(workspace: Workspace, case: Case) -> bool:
    if is_erased(workspace, case.request):
        return False
    granted = case.decision is not None and case.decision.outcome is Outcome.GRANTED
    return granted and case.hold is None and not case.outdated and not case.partly_done


def owed_together(decisions: Sequence[Decision]) -> Owed | None:
    """Return the strongest of what several granted decisions owe, as a plan needs it; None where one owes nothing.

    Raises :class:`DisgorgeError` where they do not go together: one wants everything built on the data destroyed and
    another does not, or no remedy is admitted by all of them.
    """
    first, *others = decisions
    together = first.owed
    for decision in others:
        if together is None or decision.owed is None:
            return None
        both = f"requests {first.request} and {decision.request} cannot share a plan"
        if together.scope is not decision.owed.scope:
            raise DisgorgeError(
                f"{both}: {together.scope.value} is owed to the one and {decision.owed.scope.value} to the other; plan "
                f"{decision.request} apart"
            )
        owed = strongest([together, decision.owed])
        if together.families and decision.owed.families and not owed.families:
            raise DisgorgeError(
                f"{both}: no kind of removal is admitted for both ({_all(together)}; {_all(decision.owed)}); plan "
                f"{decision.request} apart"
            )
        together = owed
    return together


def _all(owed: Owed) -> str:
    return ", ".join(family.value for family in owed.families)
