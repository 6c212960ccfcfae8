"""What a report says in sentences: asked, decided, done, shown; and numbers as people read them.

Rules: a sentence says no more than the record it is made from, and names no digest. Text that came from somebody is
passed on as it is: whoever prints it escapes it.
"""

import datetime as dt
from collections.abc import Iterator, Sized

from disgorge.evidence.checks import Verdict
from disgorge.plan.plan import Plan
from disgorge.statement.statement import ReportCase
from lineage.plural import counted, listed
from lineage.records import Cost, Impact, Json, Selector
from policies.decision import Claim, Decision
from policies.judging.fired import HOUSE
from policies.judging.review import beyond_owed
from policies.packs.facts import regimes_of
from policies.request import RemovalRequest
from policies.taxonomy import CARRIED_OUT, Defect, Outcome, Scope

DOES = {"drop": "dropped", "subtract": "subtracted", "retrain": "trained again", "withdraw": "withdrawn, destroyed"}
_MEANS = {
    "drop": "A dropped component leaves the model and is destroyed; nothing else is trained.",
    "subtract": "A subtracted vector is left out when the model is composed again from the vectors that stay.",
    "retrain": "Training again starts from nothing and sees only what remains.",
    "withdraw": "A withdrawn release is taken down and destroyed.",
}


def asked(
    request: RemovalRequest,
    impact: Impact,
    *,
    again: bool = False,
    confirmed: bool = False,
    left_out: int = 0,
    plan: Plan | None = None,
) -> Iterator[str]:
    """Yield what was asked, in sentences; ``again`` if an earlier plan had done a part when this one was made.

    ``left_out`` are the items that stay under a hold. ``confirmed`` if the plan removes nothing and confirms another
    request's removal. Of a joint ``plan`` the items of this request are counted first, and then those of all of them,
    which is what is told of after that.
    """
    verified = "was" if request.identity_verified else "was not"
    if request.ground is Defect.OWN_DECISION:
        yield (
            f"The operator decided on {day(request.received)}, of its own will, that data be removed, together with "
            "what models learned from it."
        )
    else:
        yield (
            f"{asker(request)} asked on {day(request.received)} for data to be removed, together with what models "
            f"learned from it. The ground is {request.ground.value.replace('-', ' ')}, under the rules called "
            f"{listed(f'“{name}”' for name in regimes_of(request, dict(request.facts)))}. The requester's identity "
            f"{verified} recorded as verified."
        )
    yield f"The request selects by {listed(_selector(selector) for selector in request.selectors)}."
    if confirmed:
        yield "Nothing live matched it any more when this report was written."
        return
    people = f" of {counted(impact.subjects, 'person', 'people')}" if impact.subjects else ""
    extra = f", {impact.duplicates} of them exact copies found elsewhere" if impact.duplicates else ""
    stay = f", beside {counted(left_out, 'item')} under a hold" if left_out else ""
    releases = sorted({hit.release.name for hit in impact.releases})
    served = {(m.name, m.component) for hit in impact.releases for m in hit.composition.members}
    apart = [each for each in impact.affected if (each.component.name, each.component.digest) not in served]
    learned = counted(len(impact.affected) - len(apart), "trained component")
    if plan is not None and (share := plan.share_of(request.id)) is not None:
        yield (
            f"That is {counted(share.items, 'item')}. The request was carried out together with "
            f"{counted(len(plan.others), 'other')}: {listed(plan.others)}."
        )
        that = "Of all of them, that is"
    else:
        that = "That is"
    yield (
        f"{that if not again else 'When it was planned again, that was'} {counted(impact.items, 'item')}{people} "
        f"in {counted(len(impact.shards), 'shard')}{extra}{stay}. "
        + (
            f"{learned} of {counted(len(releases), 'recorded model')} learned from them: {listed(releases)}."
            if releases
            else "No recorded model learned from them."
        )
    )
    if apart:
        yield (
            f"{counted(len(apart), 'component')} of no live release learned from them as well: of former models, or of "
            f"models that were trained to compare with."
        )


def asker(request: RemovalRequest) -> str:
    """Return who asked, at the beginning of a sentence."""
    standing = request.standing.value
    return "Somebody inside the organization" if standing == "internal" else f"A {standing.replace('-', ' ')}"


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
    if any((said.pack, said.rule) == OWN for said in decision.reasons):
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


OWN = (HOUSE, "own-decision")
"""Pack and rule of a removal that nobody claimed."""


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


def shared(case: ReportCase) -> str:
    """Say that rows went for other requests too, and how many items are this one's own; "" for a plan of one."""
    if case.share is None:
        return ""
    others = counted(len(case.plan.others), "other request")
    return f", for this request ({counted(case.share.items, 'item')}) and {others} together"


def done(case: ReportCase) -> Iterator[str]:
    """Yield what was done, in sentences."""
    finished = [step for step in case.plan.steps if step.id in case.steps_done]
    if (step := case.plan.confirmation) is not None and finished:
        other, count = step.detail["request"], counted(int(step.detail["removed"]), "item")
        more = "more " if any(before(case)) else ""
        yield (
            f"Nothing {more}was removed for this request: the removal for request {other} had taken every item that it "
            f"selected, {count}. The report on {other} says what was done to models; the items were searched for again."
        )
    if any(step.action.value == "withdraw-items" for step in finished):
        changes = case.plan.shard_changes
        gone = [change.before.name for change in changes if change.after is None]
        rows = sum(change.removed for change in changes)
        yield (
            f"{counted(rows, 'row')} {'was' if rows == 1 else 'were'} taken out of "
            f"{counted(len(changes), 'shard')}{shared(case)}."
            + (f" Nothing is left of {listed(gone)}, which no longer {_plural('exists', gone)}." if gone else "")
        )
    yield from (f"Not removed: {each.words}. So the request is fulfilled only in part." for each in case.plan.left_out)
    for action, words in DOES.items():
        steps = [step for step in finished if step.action.value == action]
        if steps and action == "withdraw":
            yield f"{counted(len(steps), 'release')} {_plural('was', steps)} {words}. {_MEANS[action]}"
        elif steps:
            named = [name for step in steps for name in step.detail.get("components", [step.subject])]
            yield f"{counted(len(named), 'component')} {_plural('was', named)} {words}. {_MEANS[action]}"
    retained = case.impact.retained
    if retained and case.impact.affected:
        yield f"{counted(len(retained), 'other component')} of the same models did not learn from the data."
    if case.certificate is None:
        undone = [step for step in case.plan.steps if step.id not in case.steps_done and step.action.value != "report"]
        yield (
            f"The execution was stopped with {counted(len(undone), 'step')} of the plan not done; "
            "models that were not checked stay out of service until this is resolved."
            if undone
            else "Every step was done, and the certificate was refused all the same."
        )


def shown(case: ReportCase) -> Iterator[str]:
    """Yield what the evidence shows, in sentences: the required checks' answers, then what stayed open."""
    evidence = case.evidence
    required = {*(case.certificate.required if case.certificate else ()), *evidence.required}
    mandatory = [check for check in evidence.checks if check.name in required]
    passed = sum(check.verdict is Verdict.PASS for check in mandatory)
    yield _passed(passed, len(mandatory))
    missing = sorted(required - {check.name for check in mandatory})
    if missing and case.certificate is None:
        yield f"Required and not made: {listed(missing)}."
    questions = dict.fromkeys(check.question for check in mandatory if check.name in ("never-trained", "membership"))
    for question in questions:
        answers = [f"{check.subject}: {check.answer}" for check in mandatory if check.question == question]
        yield f"{question} {' '.join(answers)}"
    for check in evidence.checks:
        if check.name == "utility":
            yield sentence(f"Utility of {check.subject}: {check.answer}")
    unclear = [check for check in evidence.checks if check.verdict is Verdict.INCONCLUSIVE]
    if unclear:
        names = sorted({check.name for check in unclear})
        yield (
            f"{counted(len(unclear), 'check')} gave no answer either way ({listed(names)}); "
            "the evidence below says why. Nothing rests on them."
        )


def _passed(passed: int, made: int) -> str:
    """Say how many of the required checks that were made passed; the page marks the same ones as required.

    >>> _passed(1, 3)
    '1 of the 3 required checks made passed.'
    """
    if not made:
        return "No required check was made."
    if passed == made and made <= 2:
        return "The one required check made passed." if made == 1 else "Both required checks made passed."
    if passed == made:
        return f"All {made:,} required checks made passed."
    return f"{passed:,} of the {counted(made, 'required check')} made passed."


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
    return f"{steps}, {_seconds(cost.seconds)}"


def _seconds(seconds: float) -> str:
    if seconds < 0.1:
        return "under 0.1 s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


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


def short(digest: str) -> str:
    """Return the first digits of a digest, enough to recognize it."""
    return digest[:12]


def _selector(selector: Selector) -> str:
    named = {"item": "an item's fingerprint", "key": "key", "subject": "a person's pseudonym"}
    value = selector.value
    hexadecimal = len(value) == 64 and all(character in "0123456789abcdef" for character in value)
    return f"{named.get(selector.field, selector.field)} {'beginning ' + short(value) if hexadecimal else f'“{value}”'}"


def _plural(verb: str, of: Sized) -> str:
    return verb if len(of) == 1 else {"exists": "exist", "was": "were"}[verb]
