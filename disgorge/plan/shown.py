"""A plan as people read it: its steps, what was rejected, what it promises, and what it costs."""

from collections.abc import Collection, Iterator

from disgorge.layout import of_reference
from disgorge.plan.plan import Plan
from lineage.plural import counted, seconds
from lineage.records import Cost
from lineage.shown import Table, table


def plan_shown(plan: Plan, *, done: Collection[str] = ()) -> Iterator[str | Table]:
    """Yield a plan as people read it, with the alternatives rejected; ``done`` holds the steps that are."""
    rows = [
        (
            step.id.partition("-")[0],
            step.action.value,
            step.subject,
            step.guarantee.label if step.release or step.cost.steps else "",
            cost_words(step.cost) if step.cost.steps else "",
            "done" if step.id in done else "",
        )
        for step in plan.steps
    ]
    yield table("step", "action", "what", "guarantee", "expected", "", rows=rows, title=f"plan {plan.digest}")
    if rejected := _rejected(plan):
        yield table("component", "rejected", "guarantee", "would take", "because", rows=rejected)
    for caveat in dict.fromkeys(step.caveat for step in plan.steps if step.caveat and step.caveat not in plan.warnings):
        yield f"note: {caveat}"
    for step in plan.steps:
        if step.action.value == "drop" and step.release is None:
            names = [part.name for part in step.parts if not of_reference(part.name)]
            if names:
                destroyed = f"note: in no release here, and destroyed: {', '.join(names)}. "
                yield f"{destroyed}Stop serving copies of it elsewhere."
    yield from (f"note: {words}" for words in plan.other_code)
    yield f"guarantee: {plan.guarantee.words}"
    yield f"shown by: {plan.shown_by}"
    for release, expected in plan.expected.items():
        out = f"out of service about {seconds(expected.out_of_service)}"
        yield f"{release}: evidence about {seconds(expected.evidence)}, {out}"
    yield from (f"{share.request}: {counted(share.items, 'item')}" for share in plan.together)
    shares = {share.request: share.left_out for share in plan.together} or {"the request": plan.left_out}
    for name, left_out in shares.items():
        yield from (f"fulfills {name} only in part: {left.words}" for left in left_out)
    yield f"checks required: {', '.join(plan.required)}; statistical probes: {', '.join(plan.probes) or 'none'}"
    yield f"expected cost: {cost_words(plan.cost)}; training everything again: {cost_words(plan.full_cost)}"
    yield from (f"warning: {words}" for words in plan.warnings)
    yield from (f"for a person: {words}" for words in plan.choices)


def _rejected(plan: Plan) -> list[tuple[object, ...]]:
    """Return the alternatives that were rejected, components with the same reasons in one row."""
    rejected: dict[tuple[str, ...], list[str]] = {}
    for step in plan.steps:
        for other in step.alternatives:
            row = (step.release or "", other.remedy.value, other.guarantee.label, cost_words(other.cost), other.why_not)
            rejected.setdefault(row, []).append(step.subject)
    return [
        (subjects[0] if len(subjects) == 1 else f"{row[0]}: {counted(len(subjects), 'component')}", *row[1:])
        for row, subjects in rejected.items()
    ]


def cost_words(cost: Cost) -> str:
    """Return what training takes, in words."""
    return f"{counted(cost.steps, 'step')}, {seconds(cost.seconds)}"
