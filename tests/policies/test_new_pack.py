"""A pack that was begun loads and passes its own cases; a pack's cases are no part of its rules."""

import pytest

from policies.cases.run_cases import run_cases, run_files
from policies.errors import BadPack, PolicyError
from policies.events import EventKind
from policies.packs.conditions import IMPACT_NAMES, REQUEST_NAMES
from policies.packs.load import load_pack, load_packs
from policies.packs.new_pack import begin
from policies.packs.rules import ConfinementSpec
from policies.taxonomy import Confinement, Refusal


def begun(folder, name="acme-terms"):
    """Write the pack as it is begun, and return its file."""
    path = folder / f"{name}.yaml"
    path.write_text(begin(name))
    return path


def test_a_pack_that_was_begun_loads_and_its_cases_pass(tmp_path):
    path = begun(tmp_path)
    pack = load_pack(path)
    assert pack.pack == "acme-terms"
    assert pack.unread == pack.rules
    assert pack.claims
    assert pack.confinement == ConfinementSpec(Confinement.NAMESPACE, equal_bits=True)
    assert "\nconfinement: " in path.read_text()
    assert any(rule.then.deadline for rule in pack.rules)
    assert any(rule.then.on_refusal for rule in pack.rules)
    results = run_cases(path, load_packs())
    assert [result.problems for result in results] == [()] * 6
    assert {f"acme-terms/{rule.id}" for rule in pack.rules} <= {
        f"{said.pack}/{said.rule}" for result in results if result.decision for said in result.decision.reasons
    }


def test_once_its_text_is_read_the_right_grants_and_the_case_says_so(tmp_path):
    path = begun(tmp_path)
    text = path.read_text().replace("    read: false\n", "").replace(", read: false}", ", read: true}")
    path.write_text(text.replace("      category: removal\n", "      outcome: granted\n      category: removal\n"))
    assert not load_pack(path).unread
    first, *_ = run_cases(path, ())
    assert first.problems == ("outcome: wanted needs-review, came granted",)


def test_the_duty_of_a_refusal_is_fulfilled_by_telling_it(tmp_path):
    duties = [duty for rule in load_pack(begun(tmp_path)).rules for duty in rule.then.on_refusal]
    assert [duty.done_by for duty in duties] == [EventKind.REFUSAL_TOLD]


def test_once_a_law_of_the_table_is_read_its_exception_denies(tmp_path):
    path = begun(tmp_path)
    text = path.read_text().replace("since: 2000-01-01, read: false", "since: 2000-01-01, read: true")
    path.write_text(
        text.replace(
            '    read: "{read}"\n',
            '    read: "{read}"\n    then: {outcome: denied, refusal: claim-not-covered}\n',
        )
    )
    problems = {result.name: result.problems for result in run_cases(path, ())}
    assert problems["data that a law wants kept is not removed unless a person finds that it may be"] == (
        "outcome: wanted needs-review, came denied",
    )


def test_the_comments_name_every_reason_of_refusal_and_all_that_a_condition_reads():
    text = begin("acme-terms")
    assert all(name in text for name in (*Refusal, *Confinement, *REQUEST_NAMES, *IMPACT_NAMES))
    assert max(map(len, text.splitlines())) <= 300


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("Acme", "invalid pack name"),
        ("a b", "invalid pack name"),
        ("../a", "invalid pack name"),
        ("", "invalid pack name"),
        ("a" * 500 + "!", "invalid pack name"),
        ("gdpr", "is taken"),
        ("house", "is taken"),
    ],
)
def test_a_name_that_no_pack_can_have_is_refused_in_one_line(name, says):
    with pytest.raises(BadPack, match=says) as refused:
        begin(name)
    assert len(str(refused.value)) < 200


def test_a_new_case_outdates_no_decision(tmp_path):
    path = begun(tmp_path)
    before = load_pack(path).digest
    path.write_text(path.read_text() + "\n  - name: another\n    expect: {outcome: needs-review}\n")
    assert load_pack(path).digest == before
    assert len(run_cases(path, ())) == 7


def test_the_cases_a_pack_carries_are_judged_by_that_pack_alone_unless_they_name_others(tmp_path):
    path = begun(tmp_path)
    path.write_text(
        path.read_text() + "\n  - {name: alone, request: {regime: gdpr}, expect: {not_rules: [gdpr/erasure]}}\n"
        "  - {name: beside a shipped one, packs: [acme-terms, gdpr], request: {facts: {also_under: gdpr}},\n"
        "     expect: {rules: [acme-terms/right, gdpr/erasure]}}\n"
        "  - {name: nowhere, packs: [martian], expect: {}}\n"
    )
    *_, alone, beside, nowhere = run_files([path], [])
    assert alone.passed
    assert beside.passed
    assert "unknown pack martian: expected acme-terms, " in nowhere.problems[0]


def test_the_file_is_judged_and_not_a_pack_of_the_same_name(tmp_path):
    path = begun(tmp_path)
    older = load_pack(path)
    path.write_text(path.read_text().replace("deadline: {days: 30,", "deadline: {days: 29,"))
    failed = [result.problems for result in run_files([path], [older]) if not result.passed]
    assert ("deadline: wanted 2026-04-01, came 2026-03-31",) in failed


@pytest.mark.parametrize(
    ("instead", "says"),
    [("cases: 3", "has a list `cases`"), ("cases: [3]", "case 1 is a mapping"), ("", "has a list `cases`")],
)
def test_cases_that_are_not_understood_are_an_error(tmp_path, instead, says):
    path = begun(tmp_path)
    path.write_text(path.read_text().partition("\ncases:\n")[0] + f"\n{instead}\n")
    with pytest.raises(PolicyError, match=says):
        run_cases(path, ())
