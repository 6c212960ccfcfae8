"""How a request, its impact and its plan look to people."""

from typing import TYPE_CHECKING, Any

import typer

from disgorge.cli.output import tables as show
from disgorge.cli.output.duties import answer_words, done_values, print_owed_on_refusal
from lineage.plural import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from disgorge.plan.plan import Plan, Step
    from disgorge.request.case import Case
    from disgorge.request.history.earlier import Earlier
    from disgorge.request.history.timeline import Happened, Now
    from disgorge.request.holds.open import Hold
    from lineage.records import Impact


def summary(case: "Case") -> dict[str, Any]:
    """Return where a case stands, as plain values."""
    from disgorge.request.holds.open import terms_on_all

    return {
        "id": case.request.id,
        "state": case.state,
        "regime": case.request.regime,
        "ground": case.request.ground,
        "received": case.request.received,
        "due": case.deadline,
        "why_no_due": case.decision.no_due if case.decision else "",
        "claims": {claim.pack: claim.outcome for claim in case.decision.claims} if case.decision else {},
        "duties": case.owed_on_refusal if case.closed == "denied" else case.decision.duties if case.decision else (),
        "duties_done": done_values(case),
        "answered": case.answered,
        "events": case.events,
        "outdated": case.outdated,
        "on_hold": "; ".join(terms.reason for terms in terms_on_all(case)) or None,
        "holds": hold_values(case),
        "purge_held_until": case.purge_held,
        "plan_digest": case.plan,
        "planned_with": [name for name in case.together if name != case.request.id],
        "approvals": len(set(case.approvals.get(case.plan or "", []))),
        "steps_done": list(case.steps.get(case.plan or "", {})),
        "report": case.report,
        "ending": case.ending,
    }


def state_words(case: "Case") -> str:
    """Return where a case stands, with the claims that were decided otherwise than the request."""
    decision = case.decision
    if decision is None or case.closed:
        return case.state
    apart = [
        f"{claim.pack} {claim.outcome.value}" for claim in decision.claims if claim.outcome is not decision.outcome
    ]
    words = f"{case.state} (but {', '.join(apart)})" if apart and decision.outcome.value == "granted" else case.state
    return words + (f", {answer}" if (answer := answer_words(case)) else "")


def hold_values(case: "Case") -> list[dict[str, Any]]:
    """Return a case's open holds as plain values."""
    from disgorge.request.holds.open import open_holds

    return [
        {
            "reason": each.terms.reason,
            "by": each.terms.by,
            "until": each.terms.until,
            "serving": each.terms.serving,
            "selectors": each.terms.selectors,
            "held_by": each.terms.held_by,
            "items": each.terms.items,
        }
        for each in open_holds(case)
    ]


def ending_words(case: "Case") -> str | None:
    """Return in words how a request ended, None while it is open."""
    ending = case.ending or {}
    match case.closed:
        case "fulfilled":
            return f"fulfilled by {ending.get('by_request')}"
        case "taken-back":
            return f"taken back (said by pseudonym {show.short(str(ending.get('by')))})"
        case "denied":
            return f"denied ({ending.get('reason')})"
        case other:
            return other


def selected_value(field: str, value: str) -> str:
    """Return a selector's value as it is recorded: a pseudonym, or a mark, is said to be one."""
    from disgorge.request.particulars import HIDDEN

    if field == "subject":
        return f"(pseudonym {show.short(value)})"
    return f"(mark {show.short(value)})" if field in HIDDEN else value


def print_held_meanwhile(case: "Case") -> None:
    """Say of a decision that keeps nothing that the data is on hold all the same."""
    from disgorge.request.holds.open import open_holds
    from policies.taxonomy import Outcome

    if case.closed or case.decision is None or case.decision.outcome in (Outcome.ON_HOLD, Outcome.DENIED):
        return
    for hold in open_holds(case):
        if not hold.terms.is_partial:
            show.line(f"note: its data is on hold ({hold.words}): whatever was decided, nothing is removed meanwhile")


def hold_lines(hold: "Hold") -> list[str]:
    """Return what was said with a hold, beyond why."""
    terms = hold.terms
    named = [f"{each.field} {selected_value(each.field, each.value)}" for each in terms.selectors]
    named += [f"what request {terms.held_by} holds"] if terms.held_by else []
    return [
        *([f"covers: {', '.join(named)}"] if named else []),
        *([f"until: {terms.until}"] if terms.until else []),
        *([f"said by: (pseudonym {show.short(terms.by)})"] if terms.by else []),
        *([f"models that learned from it: {_SERVING.get(terms.serving, terms.serving)}"] if terms.serving else []),
    ]


_SERVING = {"keep": "they go on serving", "stop": "they are not to be served"}


def paragraphs(text: str) -> None:
    """Print text of several lines, indentation kept."""
    for words in text.splitlines():
        show.paragraph(words, indent=2 if words.lstrip().startswith("- ") else 0)


def next_step(case: "Case", plan: "Plan | None" = None) -> str | None:
    """Return in words what is to be done next about a request, or None if nothing is."""
    from disgorge.request.holds.open import is_held
    from policies.judging.fired import HOUSE
    from policies.judging.held import LEGAL_HOLD, PACK, holding_reasons, waits_for_others
    from policies.judging.review import waiting
    from policies.taxonomy import Outcome

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
        kept = case.purge_held
        return f"disgorge request resume {name}" + (f" (old weights and items are kept until {kept})" if kept else "")
    if len(set(case.approvals.get(plan.digest, []))) < max(plan.approvals, 1):
        return f"disgorge request approve {name} {show.short(plan.digest)} --by NAME"
    if plan.warnings and plan.digest not in case.accepts_loss:
        return f"disgorge request approve {name} {show.short(plan.digest)} --by NAME --accept-utility-loss"
    return f"disgorge request execute {name}"


def _record_missing(name: str) -> str:
    """Return how what a rule asked for is recorded, as the end of a sentence."""
    return (
        f"; what was missing is recorded with disgorge request event {name} [KIND] --by NAME --fact NAME=VALUE (as "
        "identity-asked, or a fact that a rule names above), and decided again"
    )


def print_next(case: "Case", plan: "Plan | None" = None) -> None:
    """Print what is to be done next about a request, if anything is."""
    for words in still_waiting(case):
        show.line(f"note: {words}")
    if words := next_step(case, plan) or "":
        show.line(f"next: {words}")


def still_waiting(case: "Case") -> list[str]:
    """Return in words which claims wait for a person though the request is granted under others."""
    from policies.judging.review import waiting
    from policies.taxonomy import Outcome

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


def earlier_values(found: "Sequence[Earlier]") -> list[dict[str, Any]]:
    """Return earlier requests for the same data as plain values, with their words."""
    from lineage.records import plain

    return [plain(each) | {"words": each.words} for each in found]


def print_earlier(found: "Sequence[Earlier]", case: "Case") -> None:
    """Print the earlier requests for the same data as this one, and what follows from each."""
    from disgorge.request.history.earlier import said

    for words in said(found, case):
        show.paragraph(f"note: {words}", indent=2)


def print_course(case: "Case", holds: "Now", happened: "Sequence[Happened]") -> bool:
    """Print what holds about a request and what happened in it; False if its one decision says all of that."""
    simple = {"request", "decision", "plan", "approval"}
    if {fact.kind for fact in case.facts} <= simple and len(case.decisions) == 1 and not holds.owed:
        return False
    show.line("Now:")
    for words in holds.words:
        show.paragraph(f"  - {words}", indent=2)
    told_below = case.decision.duties if case.decision and case.decision.outcome.value == "denied" else ()
    if set(holds.owed) <= set(told_below):
        if holds.owed:
            show.paragraph("  - What is owed with the refusal, and by when, stands below.", indent=2)
    else:
        print_owed_on_refusal(case)
    typer.echo()
    show.line("What happened, in the order in which it was recorded:")
    for each in happened:
        show.paragraph(f"  - {each.on}: {each.words}", indent=2)
    typer.echo()
    return True


def print_impact(found: "Impact", *, every: bool) -> None:
    """Print what a request touches; references of probes are counted, or listed with ``every``."""
    from disgorge.cli.output.lineage import say_left_out
    from disgorge.layout import of_reference

    show.line(
        counted(found.items, "item")
        + (f" of {counted(found.subjects, 'person')}" if found.subjects else "")
        + (f", {counted(found.duplicates, 'more row')} with the same bytes" if found.duplicates else "")
        + ("; some are declared not removable" if found.hits_core else "")
    )
    shards = [
        (change.before.name, f"{change.removed} of {change.before.count}", "core" if change.before.core else "")
        for change in found.shards
    ]
    show.table(("shard", "removed", ""), shards, empty="no shard holds such items")
    names = {change.before.digest: change.before.name for change in found.shards}
    for affected in sorted(found.affected, key=lambda affected: not of_reference(affected.component.name)):
        names[affected.component.digest] = affected.component.name  # one digest may have several; a model's own wins
    listed = [affected for affected in found.affected if every or not of_reference(affected.component.name)]
    components = [
        (number, affected.component.name, affected.component.kind, _way(affected.paths[0], names), len(affected.paths))
        for number, affected in enumerate(listed, start=1)
    ]
    show.table(("", "component", "kind", "by way of", "paths"), components, empty="no recorded model learned from them")
    say_left_out(len(found.affected) - len(listed))
    releases = [
        (f"{hit.release.name}@{hit.release.alias}", len(hit.composition.members), hit.release.contained)
        for hit in found.releases
    ]
    show.table(("release", "components", "contained"), releases, empty="no live release is touched")
    show.line(f"kept as they are: {counted(len(found.retained), 'component')}")


def _way(path: Any, names: dict[str, str]) -> str:
    """Return a path in words, up to what it leads to: shard -train-> component -calibrate->."""
    steps = zip(path.nodes[:-1], path.roles, strict=True)
    return " ".join(f"{names.get(node, show.short(node))} -{role.value}->" for node, role in steps)


def print_destroyed(step: "Step") -> None:
    """Print which components that are in no release a step destroys: whoever serves them elsewhere must stop."""
    from disgorge.layout import of_reference

    names = [name for name in step.detail["names"] if not of_reference(name)]
    if names:
        show.paragraph(
            f"note: in no release here, and destroyed: {', '.join(names)}. Whoever serves a copy elsewhere must stop.",
            indent=2,
        )


def print_plan(plan: "Plan", *, done: dict[str, Any]) -> None:
    """Print a plan, with the alternatives rejected; ``done`` holds the steps that are."""
    rows = [
        (
            step.id.partition("-")[0],
            step.action.value,
            step.subject,
            step.guarantee.label if step.release or step.cost.steps else "",
            show.cost(step.cost) if step.cost.steps else "",
            "done" if step.id in done else "",
        )
        for step in plan.steps
    ]
    show.table(("step", "action", "what", "guarantee", "expected", ""), rows, title=f"plan {plan.digest}")
    rejected: dict[tuple[str, ...], list[str]] = {}
    for step in plan.steps:
        for other in step.alternatives:
            row = (step.release or "", other.remedy.value, other.guarantee.label, show.cost(other.cost), other.why_not)
            rejected.setdefault(row, []).append(step.subject)
    if rejected:
        grouped = [
            (subjects[0] if len(subjects) == 1 else f"{row[0]}: {counted(len(subjects), 'component')}", *row[1:])
            for row, subjects in rejected.items()
        ]
        show.table(("component", "rejected", "guarantee", "would take", "because"), grouped)
    for caveat in dict.fromkeys(step.caveat for step in plan.steps if step.caveat and step.caveat not in plan.warnings):
        show.paragraph(f"note: {caveat}", indent=2)
    for step in plan.steps:
        if step.action.value == "drop" and step.release is None:
            print_destroyed(step)
    show.paragraph(f"guarantee: {plan.guarantee.words}", indent=2)
    for release, seconds in plan.expected.items():
        show.line(
            f"{release}: evidence about {show.seconds(seconds.evidence)}, out of service about "
            f"{show.seconds(seconds.out_of_service)}"
        )
    for share in plan.together:
        show.line(f"{share.request}: {counted(share.items, 'item')}")
    shares = {share.request: share.left_out for share in plan.together} or {"the request": plan.left_out}
    for name, left_out in shares.items():
        for left in left_out:
            show.paragraph(f"fulfills {name} only in part: {left.words}", indent=2)
    show.line(f"checks required: {', '.join(plan.required)}; statistical probes: {', '.join(plan.probes) or 'none'}")
    show.line(f"expected cost: {show.cost(plan.cost)}; training everything again: {show.cost(plan.full_cost)}")
    for words in plan.warnings:
        show.paragraph(f"warning: {words}", indent=2)
