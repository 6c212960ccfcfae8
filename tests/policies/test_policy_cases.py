"""The shipped packs against the cases kept as data, and the runner against cases that must fail."""

from pathlib import Path

import pytest

from policies.cases.run_cases import run_cases
from policies.errors import PolicyError
from tests.policies.shipped import SHIPPED, results


def test_the_shipped_packs_decide_as_the_cases_say():
    assert [(result.file, result.name, result.problems) for result in results() if result.problems] == []


def test_there_are_enough_cases_and_no_two_of_one_name():
    names = [result.name for result in results()]
    assert len(names) == len(set(names)) >= 40
    assert sum(result.file == "adversarial.yaml" for result in results()) >= 10


def test_every_rule_of_every_shipped_pack_fires_in_some_case():
    shipped = {f"{pack.pack}/{rule.id}" for pack in SHIPPED for rule in pack.rules}
    fired = {
        f"{r.pack}/{r.rule}" for result in results() if result.decision for r in result.decision.reasons if r.fired
    }
    assert shipped - fired == set()


CASE = """
cases:
  - name: one
    today: 2026-03-03
    request: {standing: data-subject, ground: privacy, regime: gdpr, received: 2026-03-02, identity_verified: true,
              selectors: {subject: a}, facts: {gdpr_ground: d}}
    impact: {items: 1}
    expect: EXPECT
"""


def run_one(folder: Path, expect: str):
    (folder / "one.yaml").write_text(CASE.replace("EXPECT", expect))
    return run_cases(folder, SHIPPED)[0]


@pytest.mark.parametrize(
    ("expect", "problem"),
    [
        ("{outcome: denied}", "outcome: wanted denied, came granted"),
        ("{deadline: 2026-04-01}", "deadline: wanted 2026-04-01, came 2026-04-02"),
        ("{no_deadline: true}", "no_deadline: wanted True, came False"),
        ("{rules: [gdpr/excessive]}", "rule gdpr/excessive did not fire"),
        ("{not_rules: [gdpr/erasure]}", "rule gdpr/erasure fired"),
        ("{unclear: [gdpr/erasure]}", "rule gdpr/erasure is not among the unclear"),
        ("{evidence: [membership]}", "evidence lacks membership"),
        ("{notices: [the moon]}", "no notice says 'the moon'"),
        ("{overrides: [the moon]}", "no override says 'the moon'"),
        ("{claims: {gdpr: denied}}", "claim gdpr: wanted denied, came granted"),
        ("{claims: {moon: granted}}", "claim moon: wanted granted, came None"),
        ("{confinement: namespace}", "confinement: wanted namespace, came landlock"),
        ("{equal_bits: true}", "equal_bits: wanted True, came False"),
        ("{duties: [the moon]}", "no duty says 'the moon'"),
        ("{due: 2026-04-01}", "due: wanted 2026-04-01, came 2026-04-02"),
        ("{no_due: the moon}", "no_due: wanted 'the moon', came ''"),
        ("{extended: 2026-06-02}", "extended: wanted 2026-06-02, came None"),
        ("{error: nothing}", "wanted an error with 'nothing', came granted"),
    ],
)
def test_a_case_that_is_wrong_fails_and_says_how(tmp_path, expect, problem):
    result = run_one(tmp_path, expect)
    assert not result.passed
    assert problem in result.problems[0]


def test_an_error_nobody_wanted_fails_the_case(tmp_path):
    (tmp_path / "one.yaml").write_text(CASE.replace("EXPECT", "{outcome: granted}").replace("{subject: a}", "{}"))
    (result,) = run_cases(tmp_path, SHIPPED)
    assert "BadRequest" in result.problems[0]
    assert result.decision is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("cases: []", "no case here"),
        ("[]", "has a list `cases`"),
        ("case: []", "has a list `cases`"),
        ("cases: [1]", "case 1 is a mapping"),
        ("defaults: 3\ncases: []", "`defaults` is a mapping"),
        (CASE.replace("EXPECT", "{outcom: granted}"), "case 'one': expect.outcom"),
        (CASE.replace("EXPECT", "{}").replace("regime: gdpr", "regim: gdpr"), "case 'one': request"),
    ],
)
def test_a_file_of_cases_that_is_not_understood_is_an_error(tmp_path, text, says):
    (tmp_path / "cases.yaml").write_text(text)
    with pytest.raises(PolicyError, match=says):
        run_cases(tmp_path, SHIPPED)


def test_an_empty_folder_is_not_a_pass(tmp_path):
    with pytest.raises(PolicyError, match="no case here"):
        run_cases(tmp_path, SHIPPED)
