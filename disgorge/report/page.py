"""report.html: what a report says, for people, in one file that refers to nothing outside itself.

Four sentences first (:mod:`disgorge.report.summary`): what was asked, done, shown, and not promised. Then what these
leave out, the caveats in three groups (:mod:`disgorge.statement.limitations`), tables and pictures; digests come last,
folded away. The template escapes every value; the lineage drawing is embedded as an image, so that a browser runs
nothing that an SVG may contain.
"""

import datetime as dt
from functools import cache
from typing import TYPE_CHECKING, Any

import disgorge
from disgorge.evidence.checks import Check, Evidence, Verdict
from disgorge.evidence.utility import NO_FLOOR, reading_of
from disgorge.report.images import data_uri, sample_grid
from disgorge.report.sentences import (
    MEANS,
    asked,
    before,
    cost_words,
    day,
    deadlines,
    decided,
    done,
    measure_words,
    sentence,
    value_words,
)
from disgorge.report.summary import opening
from disgorge.statement.statement import ReportCase
from lineage.records import Cost, digest_of

if TYPE_CHECKING:
    from jinja2 import Environment


def render(case: ReportCase) -> str:
    """Return the page. Takes no clock and no file: the same case gives the same bytes."""
    return rendered("report.html.j2", _view(case))


def render_certificate(case: ReportCase) -> str:
    """Return the page that ``certificate.pdf`` is drawn from: one or two sheets of paper, words only."""
    return rendered("certificate.html.j2", _view(case) | {"brief": _brief(case)})


def rendered(template: str, view: dict[str, Any]) -> str:
    """Return a template of this package filled in, every value escaped."""
    return _templates().get_template(template).render(view).rstrip() + "\n"


@cache
def _templates() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("disgorge.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "day": day,
        "cost": cost_words,
        "value": value_words,
        "measure": measure_words,
        "sentence": sentence,
        "reading": reading_of,
    }
    return environment


def _view(case: ReportCase) -> dict[str, Any]:
    samples, steps = case.samples or {}, case.plan.remedies
    total = sum((case.costs.get(step.id) or Cost() for step in steps), Cost())
    return {
        "case": case,
        "certified": case.certificate is not None,
        "opening": opening(case),
        "caveats": case.caveats.groups,
        "told": [
            ("What was asked", list(asked(case))),
            ("What was decided", list(decided(case.decision))),
            ("What was done", [*before(case), *done(case)]),
        ],
        "remedies": steps,
        "means": MEANS,
        "total": total,
        "share": f"{total.steps / case.plan.full_cost.steps:.1%} of the steps" if case.plan.full_cost.steps else "",
        "lineage": data_uri(case.lineage_svg.encode(), "image/svg+xml") if case.lineage_svg else "",
        "samples": [
            {"release": name, "count": len(after), "before": old, "after": new}
            for name, (before, after) in sorted(samples.items())
            if (old := sample_grid(before)) and (new := sample_grid(after))
        ],
        "utility": case.evidence.utility,
        "checks": _questions(case.evidence),
        "deadlines": list(deadlines(case)),
        "version": disgorge.__version__,
        "issued": case.issued.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "evidence_digest": digest_of(case.evidence),
    }


def _brief(case: ReportCase) -> list[dict[str, Any]]:
    """Return the checks, one line a question: how many answers passed, how many controls held, what was not a pass."""
    lines = []
    for group in _questions(case.evidence):
        checks: list[Check] = group["checks"]
        controls = [control for check in checks for control in check.controls]
        verdicts = {check.verdict.value for check in checks}
        verdict = next(v for v in ("fail", "inconclusive", "pass") if v in verdicts)
        judged = [check for check in checks if reading_of(check) != NO_FLOOR]
        passed = sum(check.verdict is Verdict.PASS for check in judged)
        lines.append(
            group
            | {
                "passed": f"{passed} of {len(judged)}" if judged else "-",
                "verdict": verdict,
                "reading": ", ".join(sorted(set(map(reading_of, checks)))) if verdict == "pass" else verdict,
                "held": sum(control.held for control in controls),
                "controls": len(controls),
                "n": sum(check.n for check in checks),
            }
        )
    return lines


def _questions(evidence: Evidence) -> list[dict[str, Any]]:
    """Return the checks by what they ask, required ones first, each with its answers about every subject."""
    groups: dict[tuple[bool, str, str], list[Check]] = {}
    for check in evidence.checks:
        groups.setdefault((check.name not in evidence.required, check.name, check.question), []).append(check)
    return [
        {
            "required": not optional,
            "name": name,
            "question": question,
            "checks": sorted(groups[optional, name, question], key=lambda check: check.subject),
        }
        for optional, name, question in sorted(groups)
    ]
