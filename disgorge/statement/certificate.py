"""The decision whether a certificate is issued (:func:`issue`), and whether an alias may move before it.

A certificate says: this request was carried out under this plan, and the evidence required for this guarantee is there
and passed. It is a function of values that the report holds, so a verifier issues it again and compares. It
collects *every* reason against and raises them together.

Rules: nothing is assumed in the removal's favor. A check that is absent, inconclusive, or without the controls that it
has to have (:data:`~disgorge.evidence.checks.CONTROLS`) counts as missing; a failed check refuses even where it was not
required; an unfinished step refuses however good the numbers are. Negative consequence: one spurious failure of an
optional probe stops a certificate for a bit-exact removal until the operator looks. We prefer that.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from disgorge.errors import CertificateRefused, EnvironmentDiffers
from disgorge.evidence.checks import CONTROLS, STATISTICAL, Check, Evidence, Verdict
from disgorge.plan.details import ConfirmationDetail
from disgorge.plan.plan import Action, Plan
from disgorge.plan.required_checks import ALWAYS, required_checks
from disgorge.statement.limitations import beside_the_record
from lineage.records import digest_of
from policies.decision import Decision
from policies.taxonomy import Confinement, Guarantee, Outcome, Remedy

RECORD = "the operator's record"
AFTER_ADOPTION = frozenset({"residue"})
"""Checks that look at what :attr:`~disgorge.plan.plan.Action.PURGE` deletes, and so come after the alias moved."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """That the evidence carries the guarantee. Names everything it rests on by digest."""

    request: str
    plan: str
    decision: str
    evidence: str
    guarantee: Guarantee
    subjects: tuple[str, ...]
    withdrawn: tuple[str, ...]
    required: tuple[str, ...]
    words: str


def issue(
    evidence: Evidence,
    *,
    plan: Plan,
    decision: Decision,
    steps_done: Collection[str],
    guarantee: Guarantee,
) -> Certificate:
    """Return the certificate, or raise :class:`CertificateRefused` naming everything that stands against it.

    ``steps_done`` are the ids of the steps whose completion is recorded; the report itself need not be among them.
    """
    try:
        evidence_digest, plan_digest, decision_digest = digest_of(evidence), plan.digest, decision.digest
    except ValueError as error:  # rfc8785: NaN, infinity, an integer beyond 2**53
        raise CertificateRefused(
            f"no certificate for request {plan.request}: a value cannot be recorded exactly ({error}); measure again"
        ) from error
    withdrawn = _withdrawn(plan)
    required = _required(evidence, plan, decision, guarantee)
    against = [
        *_against_decision(decision, plan=plan, guarantee=guarantee),
        *_against_execution(evidence, plan=plan, steps_done=steps_done, guarantee=guarantee),
        *_against_subjects(evidence, plan=plan, withdrawn=withdrawn),
        *_against_checks(evidence, plan=plan, required=required, withdrawn=withdrawn),
    ]
    if against:
        raise CertificateRefused(f"no certificate for request {plan.request}: {'; '.join(against)}")
    subjects = tuple(sorted(evidence.subjects))
    gone = tuple(name for name in subjects if name not in evidence.after)
    return Certificate(
        request=plan.request,
        plan=plan_digest,
        decision=decision_digest,
        evidence=evidence_digest,
        guarantee=guarantee,
        subjects=subjects,
        withdrawn=gone,
        required=tuple(sorted(required)) if subjects else ("residue",),
        words=" ".join(_words(plan, evidence, guarantee)),
    )


def left_out_words(plan: Plan) -> str:
    """Say what stays of the request's items, under which holds."""
    return "; ".join(each.words for each in plan.left_out)


def _words(plan: Plan, evidence: Evidence, guarantee: Guarantee) -> Iterator[str]:
    """Yield what a certificate says, in sentences."""
    if plan.left_out:
        yield f"Fulfilled only in part: {left_out_words(plan)}."
    if share := plan.share_of(plan.request):
        own = "1 item that went is its own" if share.items == 1 else f"{share.items:,} items that went are its own"
        yield f"Carried out together with {', '.join(plan.others)}: {own}."
    if renewed := sorted(set(evidence.subjects) & set(evidence.after)):
        yield f"Removal from {', '.join(renewed)} is {guarantee.words}."
        yield from (words for name in renewed if (words := _shown_by(evidence, name)))
    if gone := sorted(set(evidence.subjects) - set(evidence.after)):
        yield f"Withdrawn and destroyed: {', '.join(gone)}."
    if (confirmed := plan.confirmation) is not None:
        yield (
            f"Every item that it selected was removed by request {confirmed.request}; what was taken out of "
            f"models, and how that was shown, is in the report on that request, whose statement.json has the SHA-256 "
            f"{confirmed.statement}. Nothing of these items was found when this report was signed."
        )
    elif not evidence.subjects:  # only data, or components that nothing served
        yield (
            f"No recorded model learned from the items{' that were removed' if plan.left_out else ''}; they are "
            "withdrawn and gone."
        )
        if names := [part.name for step in plan.remedies for part in step.parts]:
            yield f"Destroyed, because they did: {', '.join(names)}."
    if beside := beside_the_record(evidence):
        yield beside


def _shown_by(evidence: Evidence, release: str) -> str:
    """Say what shows where the components of a release came from, and who can check that; "" where nothing says."""
    checks = [check for check in evidence.checks if (check.name, check.subject) == ("never-trained", release)]
    counts = Counter(part.get("shown by") or RECORD for check in checks for part in check.detail.get("components", ()))
    who = {
        "equal bits": "anybody with the retained data can check equal bits",
        "confinement": "confinement is vouched for by the signer",
    }
    shown = ", ".join(f"{count:,} by {words}" for words, count in sorted(counts.items()))
    told = [words for means, words in who.items() if any(means in each for each in counts)]
    return f"Shown for {release}: of its components {shown}; {'; '.join(told)}." if told else ""


def refuse_adoption(plan: Plan, release: str, checks: Iterable[Check]) -> None:
    """Raise :class:`CertificateRefused` unless a release's alias may move: the same rules, but for what comes later."""
    required = set(plan.required) - AFTER_ADOPTION
    given = tuple(checks)
    rest = _against_the_rest(given, required, (release,), plan=plan)
    against = [*_against_required(given, required, subject=release), *rest]
    if not required:
        against.append("the plan requires no check at all")
    if (
        against
        and any(check.detail.get("elsewhere") for check in given)
        and not any(check.verdict == Verdict.FAIL for check in given)
    ):
        raise EnvironmentDiffers(f"release {release} of request {plan.request} is not adopted: {'; '.join(against)}")
    if against:
        open_to = ("fail", "inconclusive") if plan.utility_floor is not None else ("fail",)
        lost = all(words.startswith(tuple(f"check utility is {each} " for each in open_to)) for words in against)
        accept = f"accept the loss with `disgorge request approve {plan.request} {plan.digest[:12]} --by NAME "
        raise CertificateRefused(
            f"release {release} of request {plan.request} is not adopted: {'; '.join(against)}; "
            f"{f'{accept}--accept-utility-loss`' if lost else 'put that right'} and resume, or have it destroyed with "
            f"`disgorge request plan {' '.join(plan.requests)} --withdraw {release}`"
        )


def _withdrawn(plan: Plan) -> frozenset[str]:
    return frozenset(
        name
        for step in plan.steps
        if step.action is Action.WITHDRAW
        for name in (step.release, step.subject)
        if name is not None
    )


def _required(evidence: Evidence, plan: Plan, decision: Decision, guarantee: Guarantee) -> set[str]:
    """Return the checks that every subject must pass: the table, and what plan, policy or evidence add to it."""
    table = required_checks(guarantee, [Remedy(step.action.value) for step in plan.remedies])
    owed = decision.owed.evidence if decision.owed else ()
    return {*table, *plan.required, *owed, *evidence.required}


def _against_decision(decision: Decision, *, plan: Plan, guarantee: Guarantee) -> Iterator[str]:
    if guarantee == Guarantee.NONE:
        yield "a guarantee of none (containment or suppression) never closes a request"
    if plan.decision != decision.digest:
        yield "the plan was made for another decision"
    if decision.request != plan.request:
        yield f"the decision is about request {decision.request}"
    if decision.outcome != Outcome.GRANTED or decision.owed is None:
        yield f"the request is {decision.outcome.value}, not granted"
    elif guarantee < decision.owed.guarantee:
        yield f"guarantee {guarantee.label} is weaker than the {decision.owed.guarantee.label} owed"
    if (owed := decision.owed) is not None and not (
        plan.confinement.at_least(owed.confinement) and plan.equal_bits >= owed.equal_bits
    ):
        yield f"the plan is to be shown by {plan.shown_by}, and owed is {owed.shown_by}"


def _against_execution(
    evidence: Evidence, *, plan: Plan, steps_done: Collection[str], guarantee: Guarantee
) -> Iterator[str]:
    if evidence.plan != plan.digest:
        yield "the evidence is about another plan"
    if evidence.request != plan.request:
        yield f"the evidence is about request {evidence.request}"
    undone = [step.id for step in plan.steps if step.action is not Action.REPORT and step.id not in steps_done]
    if undone:
        yield f"steps not done: {', '.join(undone)}"
    remedies = plan.remedies
    if plan.confirmation is not None:
        yield from _against_confirmation(plan.confirmation, evidence)
    elif any(step.action is Action.CONFIRM for step in plan.steps):
        yield "a plan that confirms another request's removal does nothing else"
    elif not remedies and not any(step.action in (Action.WITHDRAW_ITEMS, Action.ADOPT) for step in plan.steps):
        yield "the plan removes nothing"
    if guarantee > plan.guarantee:
        yield f"guarantee {guarantee.label} is stronger than the plan's {plan.guarantee.label}"
    weak = [step.id for step in remedies if step.action is not Action.WITHDRAW and step.guarantee < guarantee]
    if weak:
        yield f"steps with a guarantee below {guarantee.label}: {', '.join(weak)}"


def _against_confirmation(confirmed: ConfirmationDetail, evidence: Evidence) -> Iterator[str]:
    """Another request's removal fulfills this one if it took every item, and that removal has a report to point to."""
    if confirmed.removed < 1 or confirmed.removed != confirmed.of:
        yield f"request {confirmed.request} removed {confirmed.removed} of {confirmed.of} items"
    if not re.fullmatch("[0-9a-f]{64}", confirmed.statement):
        yield "the report on the removal that is said to cover this one is not named by its digest"
    if evidence.subjects or evidence.before or evidence.after:
        yield "a plan that confirms another request's removal changes no release"


def _against_subjects(evidence: Evidence, *, plan: Plan, withdrawn: frozenset[str]) -> Iterator[str]:
    ends = [*plan.remedies, *(step for step in plan.steps if step.action is Action.ADOPT)]
    touched = {step.release for step in ends if step.release is not None}
    for name in sorted(touched - set(evidence.subjects)):
        yield f"release {name} is in the plan and not in the evidence"
    for name in sorted(evidence.subjects):
        before, after = evidence.before.get(name), evidence.after.get(name)
        if before is None:
            yield f"release {name} has no digest from before"
        if after is None and name not in withdrawn:
            yield f"release {name} has no digest from after, and no step withdraws it"
        if after is not None and name in withdrawn:
            yield f"release {name} was to be withdrawn and is still there"
        retrained = {step.action for step in plan.remedies if step.release == name} == {Action.RETRAIN}
        if after is not None and after == before and name in touched and not retrained:  # which may come out unchanged
            yield f"release {name} is the same composition as before"


def _against_checks(evidence: Evidence, *, plan: Plan, required: set[str], withdrawn: frozenset[str]) -> Iterator[str]:
    for subject in sorted(evidence.subjects):
        gone = subject in withdrawn and subject not in evidence.after
        yield from _against_required(evidence.checks, required & set(ALWAYS) if gone else required, subject=subject)
    if not evidence.subjects:  # nothing was trained on the items: the request itself is what residue is asked of
        yield from _against_required(evidence.checks, {"residue"}, subject=plan.request)
    yield from _against_the_rest(evidence.checks, required, evidence.subjects, plan=plan)


def _against_required(checks: Iterable[Check], required: Collection[str], *, subject: str) -> Iterator[str]:
    about = [check for check in checks if check.subject == subject]
    for name in sorted(required):
        named = [check for check in about if check.name == name]
        if not named:
            yield f"check {name} is missing for {subject}"
        for check in named:
            if check.verdict != Verdict.PASS:
                yield f"check {name} is {check.verdict.value} for {subject}: {check.answer}"


def _against_the_rest(
    checks: Collection[Check], required: Collection[str], subjects: Collection[str], *, plan: Plan
) -> Iterator[str]:
    for check in checks:
        reported = check.name in required and check.subject in subjects
        if check.verdict == Verdict.FAIL and not reported:
            yield f"check {check.name} is fail for {check.subject}: {check.answer}"
        if check.verdict == Verdict.INCONCLUSIVE and check.detail.get("elsewhere") and not reported:
            yield f"check {check.name} is inconclusive for {check.subject}: {check.answer}"
        if check.verdict == Verdict.PASS:
            yield from _against_controls(check, plan=plan)


def _against_controls(check: Check, *, plan: Plan) -> Iterator[str]:
    lost = [control.name for control in check.controls if not control.held]
    if lost:
        yield f"check {check.name} claims pass for {check.subject} though its control {', '.join(lost)} did not hold"
    there = {control.name for control in check.controls}
    needed = CONTROLS.get(check.name, STATISTICAL)
    if check.name == "never-trained" and plan.confinement is not Confinement.PROCESS:
        needed |= {"confinement"}
    elif check.name == "never-trained" and "confinement" not in there:
        needed |= {"negative"}
    for kind in sorted(needed - there):
        yield f"check {check.name} claims pass for {check.subject} without a {kind} control"
