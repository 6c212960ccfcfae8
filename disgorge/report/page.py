"""report.html: what a report says, for people, in one file that refers to nothing outside itself.

Four sentences first (:mod:`disgorge.report.summary`): what was asked, done, shown, and not promised. Then each in full,
the caveats in three groups (:mod:`disgorge.statement.caveats`), tables and pictures; digests come last, folded away.
Everything that came from somebody is escaped by the template; the lineage drawing is embedded as an image, so that
whatever an SVG may contain, a browser runs none of it.
"""

import datetime as dt
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any

import disgorge
from disgorge.evidence.checks import Check, Evidence, Verdict
from disgorge.evidence.utility import NO_FLOOR, reading_of
from disgorge.plan.plan import Step
from disgorge.report.images import bars, data_uri, sample_grid
from disgorge.report.sentences import (
    DOES,
    asked,
    before,
    cost_words,
    day,
    deadlines,
    decided,
    done,
    measure_words,
    sentence,
    shown,
    value_words,
)
from disgorge.report.summary import opening
from disgorge.statement.caveats import caveats
from disgorge.statement.statement import ReportCase, remedy_steps
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
    """Return a template of this package filled in, whatever comes from somebody escaped."""
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
    samples = case.samples or {}
    steps = remedy_steps(case.plan)
    confirmed, left_out = case.plan.confirmation is not None, sum(each.items for each in case.plan.left_out)
    earlier = list(before(case))
    return {
        "case": case,
        "certified": case.certificate is not None,
        "opening": opening(case),
        "caveats": caveats(case).groups,
        "asked": list(
            asked(
                case.request, case.impact, again=bool(earlier), confirmed=confirmed, left_out=left_out, plan=case.plan
            )
        ),
        "decided": list(decided(case.decision)),
        "done": [*earlier, *done(case)],
        "shown": list(shown(case)),
        "remedies": [_remedy(step, case) for step in steps],
        "total": _sum(case.costs.get(step.id) for step in steps),
        "share": _share(_sum(case.costs.get(step.id) for step in steps), case.plan.full_cost),
        "lineage": data_uri(case.lineage_svg.encode(), "image/svg+xml") if case.lineage_svg else "",
        "samples": [
            {"release": name, "count": len(after), "before": old, "after": new}
            for name, (before, after) in sorted(samples.items())
            if (old := sample_grid(before)) and (new := sample_grid(after))
        ],
        "bars": bars(case.evidence.utility),
        "utility": case.evidence.utility,
        "checks": _questions(case.evidence),
        "deadlines": list(deadlines(case)),
        "digests": _digests(case),
        "version": disgorge.__version__,
        "issued": case.issued.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "evidence_digest": digest_of(case.evidence),
    }


def _remedy(step: Step, case: ReportCase) -> dict[str, Any]:
    promise = "destroyed, not altered" if step.action.value == "withdraw" else step.guarantee.words
    return {
        "step": step,
        "does": DOES[step.action.value],
        "guarantee": promise,
        "actual": case.costs.get(step.id),
        "done": step.id in case.steps_done,
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


def _digests(case: ReportCase) -> list[tuple[str, str]]:
    return [
        ("Request", case.request.digest),
        ("Decision", case.decision.digest),
        ("Rules it was judged by", case.decision.packs),
        ("Plan" if case.plan.confirmation else "Plan, as approved", case.plan.digest),
        ("Evidence", digest_of(case.evidence)),
        ("Ledger head the plan was made from", case.plan.lineage_head),
        *((f"{name}, before", digest) for name, digest in sorted(case.evidence.before.items())),
        *((f"{name}, after", digest) for name, digest in sorted(case.evidence.after.items())),
        *((f"New artifact {name}", digest) for name, digest in sorted(case.subjects.items())),
        (f"Ledger head, fact {case.ledger.size}", case.ledger.digest),
    ]


def _sum(costs: Iterable[Cost | None]) -> Cost:
    return sum((cost for cost in costs if cost is not None), Cost())


def _share(part: Cost, whole: Cost) -> str:
    if whole.steps:
        return f"{part.steps / whole.steps:.1%} of the steps"
    return ""
