"""The four sentences that a report opens with: what was asked, what was done, what shows it, what is not promised.

Each is one sentence, made from the records alone, and says no more than they do: a step counts once the ledger has it,
a check once it passed. What a sentence leaves out is said further down (:mod:`disgorge.report.sentences`,
:mod:`disgorge.statement.limitations`).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from disgorge.evidence.checks import Check, Verdict
from disgorge.plan.plan import Action, Step
from disgorge.plan.required_checks import ALWAYS
from disgorge.report.sentences import before, day
from disgorge.statement.statement import ReportCase
from lineage.plural import counted, listed
from policies.taxonomy import Defect


@dataclass(frozen=True, slots=True)
class Opening:
    """Four sentences about one removal."""

    asked: str
    done: str
    shown: str
    not_promised: str


def opening(case: ReportCase) -> Opening:
    """Return the four sentences of a report."""
    return Opening(_asked(case), _done(case), _shown(case), _not_promised(case))


def _asked(case: ReportCase) -> str:
    request, count = case.request, _count(case)
    what = f"data, with what models learned from it{f': {count}' if count else ''}"
    if request.ground is Defect.OWN_DECISION:
        return (
            f"The operator decided on {day(request.received)}, of its own will and with no claim decided, to remove "
            f"{what}."
        )
    standing = request.standing.value
    asker = "A person inside the organization" if standing == "internal" else f"A {standing.replace('-', ' ')}"
    return f"{asker} asked on {day(request.received)} for the removal of {what}."


def _count(case: ReportCase) -> str:
    """Return how much was asked for, "" where the plan that was carried out began with a part of it."""
    if any(before(case)):
        return ""
    if (confirmed := case.plan.confirmation) is not None:
        return counted(confirmed.of, "item")
    impact, left_out = case.impact, sum(each.items for each in case.plan.left_out)
    if case.share is not None:  # the impact is that of all requests of a joint plan
        return counted(case.share.items + left_out, "item")
    people = f" of {counted(impact.subjects, 'person', 'people')}" if impact.subjects and not left_out else ""
    items = f"{counted(impact.items + left_out, 'item')}{people}" if impact.items + left_out else ""
    artifacts = f"the {counted(len(impact.artifacts), 'artifact')}" if impact.artifacts else ""
    return " and ".join(filter(None, (items, artifacts)))


def _done(case: ReportCase) -> str:
    if case.plan.confirmation is not None and case.certificate is not None:
        more = "more " if any(before(case)) else ""
        return (
            f"Nothing {more}was removed for this request, because the removal for request "
            f"{case.plan.confirmation.request} had taken every item that it selects."
        )
    parts = [*_parts(case)]
    if case.certificate is None:
        undone = any(step.id not in case.steps_done for step in case.plan.steps if step.action is not Action.REPORT)
        end = "the execution stopped before its end" if undone else "every step was done"
        return f"{_joined(parts) if parts else 'Nothing was removed'}; {end}, and no certificate was issued."
    stays = sum(each.items for each in case.plan.left_out)
    if stays:
        words = f"{counted(stays, 'item')} {'stays' if stays == 1 else 'stay'} under a hold"
        return f"{_joined(parts)}; {words}, so the request is fulfilled only in part."
    return f"{_joined(parts)}."


def _parts(case: ReportCase) -> Iterator[str]:
    """Yield what was done, in clauses, by the steps that the ledger recorded."""
    finished = [step for step in case.plan.steps if step.id in case.steps_done]
    if any(before(case)):
        yield "an earlier plan of the request did a part, told below"
    if any(step.action is Action.WITHDRAW_ITEMS for step in finished):
        changes = case.plan.shard_changes
        rows = sum(change.removed for change in changes)
        joint = ""
        if case.share is not None:
            own, others = counted(case.share.items, "item"), counted(len(case.plan.others), "other request")
            joint = f", for this request ({own}) and {others} together"
        if changes or not case.plan.artifacts:
            yield f"{counted(rows, 'row')} {_was(rows)} taken out of {counted(len(changes), 'shard')}{joint}"
        if artifacts := [artifact.name for artifact in case.plan.artifacts]:
            yield f"{listed(artifacts)} {_was(len(artifacts))} withdrawn{'' if changes else joint}"
        if not case.impact.affected:
            yield "no recorded model had learned from them"
    for action, words in _REMEDIES.items():
        steps = [step for step in finished if step.action is action]
        if count := sum(len(step.parts) for step in steps):
            yield f"{counted(count, 'component')} {_was(count)} {words}"
    if gone := [step.subject for step in finished if step.action is Action.WITHDRAW]:
        yield f"{listed(gone)} {_was(len(gone))} taken down and destroyed"
    if again := [_released(step, case) for step in finished if step.action is Action.ADOPT]:
        yield f"{listed(again)} {_was(len(again))} released again"
    if any(step.action is Action.PURGE for step in finished):
        what = "the withdrawn items and the old weights" if case.impact.affected else "the withdrawn items"
        yield f"{what} were deleted from the workspace"


_REMEDIES = {Action.DROP: "dropped", Action.SUBTRACT: "subtracted", Action.RETRAIN: "trained again without the data"}


def _released(step: Step, case: ReportCase) -> str:
    """Return a release that serves again, with the loss of use that its approver accepted."""
    losses = [
        words
        for check in case.evidence.checks
        if (check.name, check.subject, check.verdict) == ("utility", step.subject, Verdict.PASS)
        for words in check.detail.get("losses") or ()
    ]
    return f"{step.subject} (with a loss that was accepted: {listed(losses)})" if losses else step.subject


def _shown(case: ReportCase) -> str:
    required = {*(case.certificate.required if case.certificate else ()), *case.evidence.required}
    checks = [check for check in case.evidence.checks if check.name in required]
    passed = [check for check in checks if check.verdict is Verdict.PASS]
    if case.certificate is None:
        missing = sorted(required - {check.name for check in checks})
        made = f"{len(passed):,} of the {counted(len(checks), 'required check')} made passed" if checks else (
            "no required check was made"
        )  # fmt: skip
        return f"That the removal is complete is not shown: {made}{f', not made: {listed(missing)}' * bool(missing)}."
    how = "; ".join(_what_passed(passed))
    if (confirmed := case.plan.confirmation) is not None:
        return f"The report on {confirmed.request} shows that removal, and a search for this request passed: {how}."
    return f"{'The one required check' if len(passed) == 1 else f'All {len(passed):,} required checks'} passed: {how}."


def _what_passed(passed: list[Check]) -> Iterator[str]:
    """Yield in clauses what the checks that passed say, the strongest first; others by name."""
    subjects: dict[str, list[str]] = {}
    for check in passed:
        subjects.setdefault(check.name, []).append(check.subject)
    if named := subjects.get("never-trained"):
        verb = "are" if len(set(named)) > 1 else "is"
        yield f"{listed(dict.fromkeys(named))} {verb} what training without the withdrawn data makes"
    if "answers" in subjects:
        yield "a process that knows only the records of what is retained lays out the same model"
    if "lineage-closure" in subjects:
        yield "no recorded path leads from the withdrawn data to anything live"
    if "residue" in subjects:
        yield f"nothing of it was found in the places searched{_looked_at(passed)}"
    if named := subjects.get("membership"):
        yield f"one kind of attack did not recognize the items in {listed(dict.fromkeys(named))}"
    if "weights-changed" in subjects:
        yield "every part that learned from it has other weights than before"
    if others := sorted(subjects.keys() - {"never-trained", "answers", "membership", "weights-changed", *ALWAYS}):
        yield f"also {listed(others)}"


def _looked_at(passed: list[Check]) -> str:
    """Return in brackets how many files a search compared and how many it did not; "" for one that did not count."""
    detail = next(check.detail for check in passed if check.name == "residue")
    if (looked := detail.get("looked at")) is None:
        return ""
    compared, unread = counted(int(looked["compared"]), "file"), int(detail["not enumerated"]["files"])
    return f" ({compared} compared by content, {looked['only opened']:,} only opened, {unread:,} not read)"


def _not_promised(case: ReportCase) -> str:
    if case.certificate is None:
        return (
            "Nothing is certified, and it is not promised that the data is gone from any model or place, or that any "
            "law is complied with."
        )
    left_out = sum(each.items for each in case.plan.left_out)
    still = len({words for check in case.evidence.checks for words in check.detail.get("unsupported") or ()})
    files = "the file that 1 shard was" if still == 1 else f"the files that {still:,} shards were"
    rest = [
        "compliance with any law",
        *([f"anything about the {counted(left_out, 'item')} under a hold"] if left_out else []),
        *([f"that the data is gone from {files} read from"] if still else []),
        "that no copy is left in backups, version control, the hands of third parties or places that were not searched",
    ]
    until = " until an auditor re-executes the removal" if case.evidence.after else ""
    promises = f"{', '.join(rest[:-1])}{',' if len(rest) > 2 else ''} or {rest[-1]}"
    return f"The report does not promise {promises}; that the operator reported honestly is assumed{until}."


def _joined(parts: list[str]) -> str:
    text = listed(parts)
    return text[:1].upper() + text[1:]


def _was(count: int) -> str:
    return "was" if count == 1 else "were"
