"""How a request, its impact and its plan look to people."""

from typing import TYPE_CHECKING, Any

from disgorge.cli import show

if TYPE_CHECKING:
    from disgorge.docket import Case
    from disgorge.plan import Plan
    from lineage.records import Impact


def summary(case: "Case") -> dict[str, Any]:
    """Return where a case stands, as plain values."""
    return {
        "id": case.request.id,
        "state": case.state,
        "regime": case.request.regime,
        "ground": case.request.ground,
        "received": case.request.received,
        "due": case.deadline,
        "on_hold": case.hold,
        "plan_digest": case.plan,
        "approvals": len(set(case.approvals.get(case.plan or "", []))),
        "steps_done": list(case.steps.get(case.plan or "", {})),
        "report": case.report,
    }


def selected_value(field: str, value: str) -> str:
    """Return a selector's value as it is recorded: a pseudonym, or a mark, is said to be one."""
    from disgorge.requests import HIDDEN

    if field == "subject":
        return f"(pseudonym {show.short(value)})"
    return f"(mark {show.short(value)})" if field in HIDDEN else value


def paragraphs(text: str) -> None:
    """Print text of several lines, indentation kept."""
    for words in text.splitlines():
        show.paragraph(words, indent=2 if words.lstrip().startswith("- ") else 0)


def print_impact(found: "Impact") -> None:
    """Print what a request touches."""
    show.line(
        show.count(found.items, "item")
        + (f" of {show.count(found.subjects, 'person')}" if found.subjects else "")
        + (f", {show.count(found.duplicates, 'more row')} with the same bytes" if found.duplicates else "")
        + ("; some are declared not removable" if found.hits_core else "")
    )
    shards = [
        (change.before.name, f"{change.removed} of {change.before.count}", "core" if change.before.core else "")
        for change in found.shards
    ]
    show.table(("shard", "removed", ""), shards, empty="no shard holds such items")
    names = {change.before.digest: change.before.name for change in found.shards}
    names |= {affected.component.digest: affected.component.name for affected in found.affected}
    components = [
        (number, affected.component.name, affected.component.kind, _way(affected.paths[0], names), len(affected.paths))
        for number, affected in enumerate(found.affected, start=1)
    ]
    show.table(("", "component", "kind", "by way of", "paths"), components, empty="no live component learned from them")
    releases = [
        (f"{hit.release.name}@{hit.release.alias}", len(hit.composition.members), hit.release.contained)
        for hit in found.releases
    ]
    show.table(("release", "components", "contained"), releases, empty="no live release is touched")
    show.line(f"kept as they are: {show.count(len(found.retained), 'component')}")


def _way(path: Any, names: dict[str, str]) -> str:
    """Return a path in words: shard -train-> component -calibrate-> component."""
    words = names.get(path.nodes[0], show.short(path.nodes[0]))
    for role, node in zip(path.roles, path.nodes[1:], strict=True):
        words += f" -{role.value}-> {names.get(node, show.short(node))}"
    return words


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
    rejected = [
        (step.subject, other.remedy.value, other.guarantee.label, show.cost(other.cost), other.why_not)
        for step in plan.steps
        for other in step.alternatives
    ]
    if rejected:
        show.table(("component", "not", "guarantee", "would take", "because"), rejected)
    for caveat in dict.fromkeys(step.caveat for step in plan.steps if step.caveat):
        show.line(f"note: {caveat}")
    show.line(f"guarantee owed: {plan.guarantee.words}")
    show.line(f"checks required: {', '.join(plan.required)}")
    show.line(f"expected cost: {show.cost(plan.cost)}; training everything again: {show.cost(plan.full_cost)}")
