"""The demo's result, read off the ledger: a row per request and release, as values and as a Markdown table.

    python -m examples.digits.results WORKSPACE

writes the values to ``results.json`` beside this file and the table into the README; a test compares the two.
"""

import json
import sys
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

from disgorge.evidence.checks import Evidence
from disgorge.plan.plan import Action, Plan
from disgorge.plan.results import Retrained
from disgorge.report.compile import evidence_of
from disgorge.request.case import Case, docket, plan_of
from lineage.catalog.catalog import Catalog
from lineage.workspace import Workspace

REMEDIES = (Action.DROP, Action.SUBTRACT, Action.RETRAIN, Action.WITHDRAW)


@dataclass(frozen=True, slots=True)
class Removal:
    """What one request did to one release: seconds of removal and evidence apart, utility by the headline measure."""

    request: str
    release: str
    remedies: dict[str, int]
    guarantee: str
    touched: int
    components: int
    steps: int
    full_steps: int
    seconds: float
    evidence_seconds: float
    full_seconds: float
    metric: str
    before: float | None
    after: float | None
    verdict: str


def removals(workspace: Workspace) -> list[Removal]:
    """Return every removal of a workspace, in the order of the requests."""
    found = []
    for case in docket(workspace).values():
        if case.report is None:
            continue
        plan = plan_of(workspace, case)
        evidence = evidence_of(workspace, case.last_report.evidence)
        for release in dict.fromkeys(step.release for step in plan.steps if step.release):
            found.append(_removal(workspace, case, plan, evidence, release))
    return found


def _removal(workspace: Workspace, case: Case, plan: Plan, evidence: Evidence, release: str) -> Removal:
    steps = [step for step in plan.steps if step.release == release and step.action in REMEDIES]
    results, seconds = case.steps[plan.digest], case.seconds[plan.digest]
    trained = [result.cost for step in steps if isinstance(result := results[step.id], Retrained)]
    with Catalog.of(workspace) as catalog:
        members = catalog.composition(evidence.before[release]).members
        costs = {component.digest: component.cost for component in catalog.components(live=False)}
    full = [costs[member.component] for member in members]
    headline = next((u for u in evidence.utility if u.release == release and u.shard == "held-out"), None)
    probing = [step for step in plan.steps if step.release == release and step.action is Action.PROBE]
    return Removal(
        request=plan.request,
        release=release,
        remedies=dict(Counter(step.action.value for step in steps)),
        guarantee=min(step.guarantee for step in steps).label,
        touched=len({part.name for step in steps for part in step.parts} & {member.name for member in members}),
        components=len(members),
        steps=sum(cost.steps for cost in trained),
        full_steps=sum(cost.steps for cost in full),
        seconds=round(sum(seconds[step.id] for step in steps), 2),
        evidence_seconds=round(sum(seconds[step.id] for step in probing), 2),
        full_seconds=round(sum(cost.seconds for cost in full), 2),
        metric=headline.metric if headline else "",
        before=headline.before if headline else None,
        after=headline.after if headline else None,
        verdict=case.last_report.verdict,
    )


def cells(removal: Removal) -> tuple[str, ...]:
    """Return a removal as the cells of a table."""
    remedies = ", ".join(f"{count} {name}" if count > 1 else name for name, count in removal.remedies.items())
    if removal.before is None or removal.after is None:
        utility = "release destroyed"
    else:
        utility = f"{removal.metric} {removal.before:.3f} → {removal.after:.3f}"
    return (
        removal.request,
        removal.release,
        remedies,
        removal.guarantee,
        f"{removal.touched} of {removal.components}",
        f"{removal.steps:,} of {removal.full_steps:,}",
        f"{removal.seconds:.1f} + {removal.evidence_seconds:.1f} (of {removal.full_seconds:.1f})",
        utility,
        removal.verdict,
    )


HEADINGS = (
    "request",
    "release",
    "remedies",
    "guarantee",
    "components",
    "training steps",
    "seconds + evidence (of full training)",
    "utility, held-out",
    "verdict",
)


def markdown(found: list[Removal]) -> str:
    """Return removals as a Markdown table."""
    lines = [HEADINGS, tuple("---" for _ in HEADINGS), *(cells(removal) for removal in found)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def read(path: Path) -> list[Removal]:
    """Return the removals that :func:`write` wrote."""
    return [Removal(**row) for row in json.loads(path.read_text())]


def write(path: Path, found: list[Removal]) -> None:
    """Write removals as JSON."""
    path.write_text(json.dumps([asdict(removal) for removal in found], indent=2, ensure_ascii=False) + "\n")


def into(readme: str, found: list[Removal]) -> str:
    """Return the README with the table between its ``results`` marks replaced."""
    head, mark, rest = readme.partition("<!-- results:")
    told, end, tail = rest.partition("-->")
    _, close, after = tail.partition("<!-- /results -->")
    return f"{head}{mark}{told}{end}\n\n{markdown(found)}\n\n{close}{after}"


def main(workspace_folder: str) -> None:
    """Write ``results.json`` and the README's table from a demo's workspace."""
    found = removals(Workspace.open(Path(workspace_folder)))
    write(RESULTS, found)
    README.write_text(into(README.read_text(), found))


RESULTS = Path(__file__).with_name("results.json")
README = Path(__file__).parent.parent.parent / "README.md"


if __name__ == "__main__":
    main(sys.argv[1])
