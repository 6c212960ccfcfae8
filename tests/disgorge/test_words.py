"""Words that promise no more than was done: in reports, in help, in the README."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from disgorge.evidence.checks import Verdict
from disgorge.plan.plan import Action
from disgorge.report.page import render, render_certificate
from disgorge.report.summary import opening
from disgorge.statement.limitations import CLOCKS_AND_NAMES
from disgorge.statement.statement import ReportCase, statement_of
from tests.disgorge.report_cases import case, check, decision, evidence, plan, step

ROOT = Path(__file__).parent.parent.parent


def without_release() -> ReportCase:
    """A removal that hit no release: the certificate asks for residue, the plan for the closure of lineage as well."""
    decided = decision()
    planned = plan(
        decided,
        steps=(step(Action.WITHDRAW_ITEMS, "alice", None, detail={"changes": []}), step(Action.REPORT, "R-7", None)),
        required=("lineage-closure", "residue"),
    )
    checks = tuple(check(name, "R-7") for name in planned.required)
    found = evidence(planned, subjects=(), checks=checks, utility=(), before={}, after={})
    return case(decision=decided, plan=planned, evidence=found, samples=None)


def test_the_checks_that_are_counted_are_those_the_page_marks_as_required() -> None:
    made = without_release()
    assert made.certificate is not None
    assert made.certificate.required == ("residue",)
    assert opening(made).shown.startswith("All 2 required checks passed")
    assert render(made).count("required for this guarantee") == 2


def test_a_check_that_failed_or_was_not_made_is_counted_as_such() -> None:
    decided = decision()
    planned = plan(decided)
    found = evidence(planned)
    first, *rest = (each for each in found.checks if each.name != "residue")
    found = replace(found, checks=(replace(first, verdict=Verdict.FAIL), *rest))
    told = opening(case(decision=decided, plan=planned, evidence=found, refusal="a check failed")).shown
    assert told.endswith(": 5 of the 6 required checks made passed, not made: residue.")


@pytest.mark.parametrize(
    ("confined", "words"),
    [
        (True, "does not exclude a copy of the data or of old weights in installed code"),
        (False, "were not confined, which excludes nothing"),
        (None, "No process trained anything again"),
    ],
)
def test_every_report_says_what_clock_names_and_confinement_do_not_show(confined: bool | None, words: str) -> None:
    made = case()
    checks = tuple(
        replace(each, detail={**each.detail, "confined": confined})
        for each in made.evidence.checks
        if each.name != "never-trained" or confined is not None
    )
    found = replace(made.evidence, checks=checks)
    refused = case(decision=made.decision, plan=made.plan, evidence=found, refusal="a check is missing")
    signed = statement_of(refused, {})["predicate"]["caveats"]["this_machine"]
    assert CLOCKS_AND_NAMES in signed
    assert any(words in sentence for sentence in signed)
    for page in (render(refused), render_certificate(refused)):
        assert all(sentence.replace("'", "&#39;") in page for sentence in signed)


def test_a_report_says_that_identity_was_recorded_and_not_that_it_was_checked() -> None:
    page = render(case())
    assert "identity was recorded as verified" in page
    assert "signed by its issuer" not in page


def test_nothing_is_signed_where_a_name_is_typed_and_no_domain_is_claimed() -> None:
    readme = (ROOT / "README.md").read_text()
    diagram = readme.partition("```")[2].partition("```")[0]
    assert "a person" not in diagram
    assert "a name is" in diagram
    assert "without trusting you" not in readme
    sources = [*(ROOT / "disgorge").rglob("*.py"), *(ROOT / "disgorge").rglob("*.j2"), ROOT / "README.md"]
    claims = [path.name for path in sources if re.search(r"disgorge\.dev|svr\.json", path.read_text())]
    assert claims == ["predicate.py"]  # that names the formats it does not read any more
    assert not [path.name for path in sources if re.search(r"\bprove it\b|\bproves it\b", path.read_text())]
