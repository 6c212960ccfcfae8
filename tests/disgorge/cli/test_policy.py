"""``disgorge policy new`` and ``disgorge policy test``: a pack is one file, with its cases."""

from pathlib import Path

import pytest

from tests.disgorge.cli.conftest import fine, refused, run


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_pack_is_begun_tested_listed_and_not_overwritten(folder: Path) -> None:
    assert "mine.yaml: begun" in fine("policy new mine").out
    written = Path("mine.yaml").read_text()
    assert fine("policy test --packs mine.yaml").out == "6 cases, 0 failed\n"
    assert fine("policy test mine.yaml").out == "6 cases, 0 failed\n"
    listed = fine("policy list --packs mine.yaml").out
    words = "shown by a confined run (namespace) and equal bits"
    assert f"mine: 5 rules, 5 not read, so they only send to a person; {words}\n" in listed
    assert "mine.yaml exists already" in refused("policy new mine")
    assert Path("mine.yaml").read_text() == written
    Path("packs").mkdir()
    made = fine("policy new ours --into packs --json").json
    assert made == {"pack": "ours", "file": "packs/ours.yaml"}
    assert "no such folder" in refused("policy new ours --into nowhere")
    assert "invalid pack name" in refused("policy new ../ours")
    assert not Path("../ours.yaml").exists()


def test_without_a_folder_the_cases_of_packs_and_of_the_repository_are_run(folder: Path) -> None:
    assert "no case: the packs carry none, and tests" in refused("policy test")
    cases = Path("tests/policies/cases")
    cases.mkdir(parents=True)
    (cases / "one.yaml").write_text(
        "cases:\n  - {name: nothing, today: 2026-11-24, request: {standing: internal, ground: bias, regime: quality,"
        " received: 2026-11-24, selectors: {shard: a}}, impact: {items: 0}, expect: {outcome: denied}}\n"
    )
    assert fine("policy test").out == "1 case, 0 failed\n"
    fine("policy new mine")
    assert fine("policy test --packs mine.yaml").out == "6 cases, 0 failed\n", "not those of the repository"
    text = Path("mine.yaml").read_text()
    Path("bare.yaml").write_text(text.partition("\ndefaults:\n")[0] + "\n")
    assert fine("policy test --packs bare.yaml").out == "1 case, 0 failed\n", "it carries none"


def test_a_carried_case_that_comes_out_otherwise_is_a_finding(folder: Path) -> None:
    fine("policy new mine")
    Path("mine.yaml").write_text(Path("mine.yaml").read_text().replace("deadline: {days: 30,", "deadline: {days: 31,"))
    ran = run("policy test --packs mine.yaml")
    assert ran.code == 1
    assert "mine.yaml: a person who asks has the right" in ran.out
