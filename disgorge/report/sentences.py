"""What a report says in sentences beyond its opening (:mod:`disgorge.report.summary`), and numbers as people read them.

Rules: a sentence says no more than the record it is made from, and names no digest. Names and words of others are
passed on as they are: the template escapes them.
"""

import datetime as dt
from collections.abc import Iterator

from disgorge.plan.plan import Action
from disgorge.statement.statement import ReportCase
from lineage.plural import counted, listed, seconds
from lineage.records import Cost, Json, Selector
from policies.decision import Claim, Decision
from policies.judging.fired import HOUSE
from policies.judging.review import beyond_owed
from policies.packs.facts import regimes_of
from policies.taxonomy import CARRIED_OUT, Defect, Outcome, Scope

MEANS = {
    "drop": "Dropped: it leaves the model and is destroyed; nothing else is trained.",
    "subtract": "Subtracted: the model is composed again from the vectors that stay.",
    "retrain": "Trained again, from nothing, on what remains.",
    "withdraw": "Withdrawn: the release is taken down and destroyed.",
}
"""What each remedy does to its component or release."""


def asked(case: ReportCase) -> Iterator[str]:
    """Yield the ground, what is selected, and what the plan that was carried out found of it."""
    request, impact, plan = case.request, case.impact, case.plan
    if request.ground is not Defect.OWN_DECISION:
        yield (
            f"The ground is {request.ground.value.replace('-', ' ')}, under the rules called "
            f"{listed(f'“{name}”' for name in regimes_of(request, dict(request.facts)))}. The requester's identity "
            f"{'was' if request.identity_verified else 'was not'} recorded as verified."
        )
    yield f"The request selects by {listed(_selector(selector) for selector in request.selectors)}."
    if plan.confirmation is not None:
        yield "Nothing live matched it any more when this report was written."
        return
    people = f" of {counted(impact.subjects, 'person', 'people')}" if impact.subjects else ""
    extra = f", {impact.duplicates} of them exact copies found elsewhere" if impact.duplicates else ""
    left_out = sum(each.items for each in plan.left_out)
    stay = f", beside {counted(left_out, 'item')} under a hold" if left_out else ""
    joint = f", carried out for {listed(plan.others)} as well," if case.share is not None else ""
    releases = sorted({hit.release.name for hit in impact.releases})
    served = {(m.name, m.component) for hit in impact.releases for m in hit.composition.members}
    apart = [each for each in impact.affected if (each.component.name, each.component.digest) not in served]
    learned = counted(len(impact.affected) - len(apart), "trained component")
    yield (
        f"The plan{joint} removes {counted(impact.items, 'item')}{people} in {counted(len(impact.shards), 'shard')}"
        f"{extra}{stay}."
    )
    if impact.artifacts:
        yield f"It withdraws what came from elsewhere as a whole: {listed(each.name for each in impact.artifacts)}."
    if releases:
        yield f"{learned} of {counted(len(releases), 'recorded model')} learned from them: {listed(releases)}."
    if apart:
        yield (
            f"{counted(len(apart), 'component')} of no live release learned from them as well: of former models, or of "
            f"models that were trained to compare with."
        )


def decided(decision: Decision) -> Iterator[str]:
    """Yield what was decided and what is owed, in sentences."""
    outcome = {
        Outcome.GRANTED: "granted",
        Outcome.DENIED: "denied",
        Outcome.ON_HOLD: "put on hold",
        Outcome.NEEDS_REVIEW: "left to be granted or denied under a name",
    }[decision.outcome]
    why = f" ({decision.refusal.value.replace('-', ' ')})" if decision.refusal else ""
    yield f"The request was {outcome}{why} on {day(decision.decided)}, as “{decision.category}”."
    if any((said.pack, said.rule) == (HOUSE, "own-decision") for said in decision.reasons):
        yield "No claim was decided: the operator removes the data of its own will, and no request is answered by it."
    elif len(decision.claims) > 1 or any(claim.outcome is not decision.outcome for claim in decision.claims):
        yield f"Under each set of rules by itself: {listed(_claim(claim) for claim in decision.claims)}."
    owed = decision.owed
    if owed is None:
        return
    if owed.scope is Scope.WHOLE_LINEAGE:
        yield "Everything built on the data, in whole or in part, must go; removing only its influence is not enough."
    elif owed.scope not in CARRIED_OUT:
        yield "What is owed is that the data goes, not what models learned from it; no recorded model had."
    yield from (f"More was removed than is owed: {more}." for more in beyond_owed(decision))
    yield f"The guarantee owed is {owed.guarantee.words}."
    if owed.utility_floor is not None:
        floor = f"{owed.utility_floor:.0%}"
        yield f"A model that keeps less than {floor} of its quality is released only if the loss is approved too."


def _claim(claim: Claim) -> str:
    why = f" ({claim.refusal.value.replace('-', ' ')})" if claim.refusal else ""
    return f"“{claim.pack}” {claim.outcome.value.replace('-', ' ')}{why}"


def before(case: ReportCase) -> Iterator[str]:
    """Yield what earlier plans of the request had done when they were replaced, in sentences."""
    told = [(fact["kind"], fact["body"]) for fact in case.facts if fact["body"].get("plan") != case.plan.digest]
    cut = [body for kind, body in told if kind == "shard-withdrawn"]
    retired = [str(body["name"]) for kind, body in told if kind == "component-retired"]
    if cut:
        rows = sum(int(body["removed"]) for body in cut)
        yield (
            f"An earlier plan of this request, begun and then replaced, took {counted(rows, 'row')} out of "
            f"{counted(len(cut), 'shard')}: {listed(sorted({str(body['name']) for body in cut}))}."
        )
    if retired:
        parts = counted(len(retired), "component")
        yield f"By then {parts} had been removed or trained again: {listed(sorted(retired))}."


def done(case: ReportCase) -> Iterator[str]:
    """Yield what the steps that the ledger recorded came to, beyond the counts that the report opens with."""
    finished = [step for step in case.plan.steps if step.id in case.steps_done]
    if (confirmed := case.plan.confirmation) is not None and finished:
        other, count = confirmed.request, counted(confirmed.removed, "item")
        yield f"The report on {other} says what was done to models; the {count} were searched for again."
    if any(step.action is Action.WITHDRAW_ITEMS for step in finished):
        gone = [change.before.name for change in case.plan.shard_changes if change.after is None]
        if gone:
            yield f"Nothing is left of {listed(gone)}, which no longer {'exists' if len(gone) == 1 else 'exist'}."
    retained = case.impact.retained
    if retained and case.impact.affected:
        yield f"{counted(len(retained), 'other component')} of the same models did not learn from the data."
    if case.certificate is None:
        undone = [
            step for step in case.plan.steps if step.id not in case.steps_done and step.action is not Action.REPORT
        ]
        yield (
            f"The execution was stopped with {counted(len(undone), 'step')} of the plan not done; "
            "models that were not checked stay out of service until this is resolved."
            if undone
            else "Every step was done, and the certificate was refused all the same."
        )


def deadlines(case: ReportCase) -> Iterator[tuple[str, str]]:
    """Yield (what, when and whether it was met)."""
    owed, issued = case.decision.owed, case.issued.date()
    yield "Received", day(case.request.received)
    if owed and owed.acknowledge_by:
        yield "Acknowledge by", day(owed.acknowledge_by)
    if case.deadline:
        left = (case.deadline - issued).days
        late = f"{counted(-left, 'day')} late" if left < 0 else f"{counted(left, 'day')} before it"
        extended = " (extended)" if case.until else ""
        yield "Complete by", f"{day(case.deadline)}{extended}; this report is of {day(issued)}, {late}"
    for notice in owed.notices if owed else ():
        yield "To be told", notice
    for duty in case.decision.duties:
        what = "No day is set" if duty.by is None else f"{'Until' if duty.lasts else 'By'} {day(duty.by)}"
        yield what, duty.words


def day(date: dt.date) -> str:
    """Return a date as people write it, the same in every locale.

    >>> day(dt.date(2026, 11, 3))
    '3 November 2026'
    """
    months = "January February March April May June July August September October November December".split()
    return f"{date.day} {months[date.month - 1]} {date.year}"


def sentence(text: str) -> str:
    """Return a message as a sentence, with its capital and its stop.

    >>> sentence("nothing is left"), sentence("Is it so?")
    ('Nothing is left.', 'Is it so?')
    """
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?", "!")) else ".")


def cost_words(cost: Cost | None) -> str:
    """Return a cost in words.

    >>> cost_words(Cost(800, 120, 75.2)), cost_words(Cost()), cost_words(Cost(0, 0, 0.004))
    ('120 training steps, 1 min 15 s', 'nothing to train', 'no training, under 0.1 s')
    """
    if cost is None:
        return "not recorded"
    if cost == Cost():
        return "nothing to train"
    steps = counted(cost.steps, "training step") if cost.steps else "no training"
    return f"{steps}, {seconds(cost.seconds) if cost.seconds >= 0.1 else 'under 0.1 s'}"


def measure_words(value: float | None) -> str:
    """Return a measure of a model, or that there is none.

    >>> measure_words(1.0), measure_words(None)
    ('1.0000', 'no model')
    """
    return "no model" if value is None else f"{value:.4f}"


def value_words(value: Json) -> str:
    """Return a measured value or a threshold as text.

    >>> value_words([0.41, 0.6]), value_words(None), value_words("3 of 3 equal"), value_words(0)
    ('0.41 to 0.6', '-', '3 of 3 equal', '0')
    """
    if value is None:
        return "-"
    if isinstance(value, list | tuple):
        return " to ".join(value_words(part) for part in value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _selector(selector: Selector) -> str:
    named = {"item": "an item's fingerprint", "key": "key", "subject": "a person's pseudonym"}
    value = selector.value
    hexadecimal = len(value) == 64 and all(character in "0123456789abcdef" for character in value)
    return f"{named.get(selector.field, selector.field)} {'beginning ' + value[:12] if hexadecimal else f'“{value}”'}"
