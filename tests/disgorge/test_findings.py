"""Findings in every form, and that no name from outside breaks one.

``schemas/sarif-schema-2.1.0.json`` is the schema OASIS published with SARIF 2.1.0, errata 01, unchanged.
"""

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from junitparser import Failure, JUnitXml, Skipped

from disgorge.audit.findings import (
    BROKEN_LEDGER,
    COLUMNS,
    DIGEST_MISMATCH,
    MISSING_LICENSE,
    ON_HOLD,
    RULES,
    Finding,
    Level,
    exit_code,
    in_order,
    printable,
    rows,
    summary,
    to_json,
)
from disgorge.audit.junit import junit
from disgorge.audit.sarif import LEDGER, SCHEMA, ledger_uri, sarif
from disgorge.cli.output.tables import table as drawn
from lineage.shown import table

PUBLISHED = json.loads((Path(__file__).parent / "schemas" / "sarif-schema-2.1.0.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft4Validator(PUBLISHED)

ERROR = Finding(DIGEST_MISMATCH, "router", "its bytes changed", "restore them")
WARNING = Finding(MISSING_LICENSE, "scans", "it has no license", "record one")
NOTE = Finding(ON_HOLD, "R-1", "it waits for a hold to end", "end the hold")
HOSTILE = "a\x1b[31m\x00<&]]>\"'\u202e\ud800\ufffe[bold]x[/bold]\r\n\x9b2J"

anything = st.builds(
    Finding,
    st.sampled_from(RULES),
    st.text(st.characters(), max_size=30),
    st.text(st.characters(), max_size=30),
    st.text(st.characters(), max_size=30),
    st.sampled_from([None, *Level]),
)


def test_identifiers_are_what_ci_systems_remember() -> None:
    dropped = {18}  # a number that was in use is given to no other rule
    assert [rule.id for rule in RULES] == [f"DSG{number:03}" for number in range(1, 25) if number not in dropped]
    assert len({rule.title for rule in RULES}) == len(RULES)


def test_only_errors_fail_the_gate() -> None:
    assert exit_code([]) == exit_code([WARNING, NOTE]) == 0
    assert exit_code([NOTE, ERROR]) == 1
    assert exit_code([NOTE, WARNING], strict=True) == to_json([WARNING], strict=True)["exit"] == 1
    assert exit_code([NOTE], strict=True) == 0
    assert exit_code([Finding(DIGEST_MISMATCH, "a", "b", "c", Level.WARNING)]) == 0


def test_order_is_by_weight_and_repeats_go() -> None:
    assert in_order([NOTE, WARNING, ERROR, ERROR]) == (ERROR, WARNING, NOTE)
    assert summary([NOTE, WARNING, ERROR, ERROR]) == "2 errors, 1 warning, 1 note"


def test_the_schema_is_the_published_one_and_refuses() -> None:
    assert PUBLISHED["id"] == SCHEMA
    broken = sarif([ERROR])
    broken["runs"][0]["results"][0]["level"] = "fatal"
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(broken)


@given(st.lists(anything, max_size=4))
def test_sarif_fits_the_schema_and_survives_utf8(findings: list[Finding]) -> None:
    log = json.loads(json.dumps(sarif(findings), ensure_ascii=False).encode())
    VALIDATOR.validate(log)
    run = log["runs"][0]
    assert len(run["results"]) == len(findings)
    for result, finding in zip(run["results"], findings, strict=True):
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"] == finding.id


def test_sarif_points_at_the_fact_and_tells_alerts_apart() -> None:
    """GitHub shows a line, and knows an alert again by a hash that it would otherwise make of that line's text."""
    found = [replace(ERROR, fact=7), ERROR, replace(ERROR, words="its bytes are gone", fact=7), ERROR]
    results = sarif(found)["runs"][0]["results"]
    VALIDATOR.validate(sarif(found))
    places = [result["locations"][0]["physicalLocation"]["region"] for result in results]
    assert places == [{"startLine": 7}, {"startLine": 1}, {"startLine": 7}, {"startLine": 1}]
    hashes = [result["partialFingerprints"]["primaryLocationLineHash"] for result in results]
    assert hashes[0] == f"{ERROR.fingerprint[:16]}:1"
    assert len(set(hashes)) == len(hashes)


@pytest.mark.parametrize("git", ["folder", "file", None])
def test_sarif_is_relative_to_the_repository(tmp_path: Path, git: str | None) -> None:
    """A workspace may be a folder of it, with a name that no address may hold; a worktree's ``.git`` is a file."""
    workspace_folder = tmp_path / "models" / "our digits"
    workspace_folder.mkdir(parents=True)
    if git == "folder":
        (tmp_path / ".git").mkdir()
    elif git == "file":
        (tmp_path / ".git").write_text("gitdir: elsewhere")
    uri = ledger_uri(workspace_folder)
    assert uri == ("models/our%20digits/" if git else "") + LEDGER
    log = sarif([ERROR], workspace=uri)
    VALIDATOR.validate(log)
    (location,) = log["runs"][0]["results"][0]["locations"]
    assert location["physicalLocation"]["artifactLocation"]["uri"] == uri


@given(st.lists(anything, max_size=4))
def test_junit_names_every_case_once(findings: list[Finding]) -> None:
    """GitLab keeps one of two cases of one name and class."""
    twice = [*findings, *findings, ERROR, replace(ERROR, words="its bytes are gone")]
    cases = list(next(iter(JUnitXml.fromstring(junit(twice).encode()))))
    assert len({(case.classname, case.name) for case in cases}) == len(cases)


def test_a_case_keeps_its_name_whatever_else_is_found() -> None:
    """Or it would be a new one in the next run."""
    names = [
        {case.name for case in next(iter(JUnitXml.fromstring(junit(found).encode())))}
        for found in ([ERROR], [replace(ERROR, words="its bytes are gone"), replace(ERROR, fact=3)])
    ]
    assert any(name.startswith("Digest mismatch: router [") for name in names[0] & names[1])


def test_strict_junit_fails_for_a_warning() -> None:
    for strict in (False, True):
        assert next(iter(JUnitXml.fromstring(junit([WARNING, NOTE], strict=strict).encode()))).failures == strict


@given(st.lists(anything, max_size=4))
def test_junit_parses_and_counts(findings: list[Finding]) -> None:
    document = JUnitXml.fromstring(junit(findings).encode())
    suite = next(iter(document))
    failed = [case for case in suite if any(isinstance(result, Failure) for result in case.result)]
    assert suite.failures == len(failed) == sum(f.level is Level.ERROR for f in findings)
    assert suite.tests == len(findings) + len({rule.id for rule in RULES} - {f.id for f in findings})


def test_a_broken_ledger_passes_no_other_rule() -> None:
    suite = next(iter(JUnitXml.fromstring(junit([Finding(BROKEN_LEDGER, "ledger", "torn", "restore")]))))
    results = {case.classname.rsplit(".", 1)[-1]: case.result for case in suite}
    assert isinstance(results["DSG007"][0], Failure)
    assert all(isinstance(result[0], Skipped) for rule, result in results.items() if rule != "DSG007")


@pytest.mark.parametrize("terminal", [True, False])
def test_hostile_names_reach_no_terminal_and_no_xml(
    terminal: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Finding(DIGEST_MISMATCH, HOSTILE, HOSTILE, HOSTILE)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("sys.stdout.isatty", lambda: terminal)
    drawn(table(*COLUMNS, rows=rows([found])))
    shown = capsys.readouterr().out
    assert "[bold]x[/bold]" in shown  # markup is shown, not obeyed
    for bad in ("a\x1b", "\x00", "\u202e", "\x9b", "\r"):
        assert bad not in shown
        assert bad not in junit([found])
    ElementTree.fromstring(junit([found]))
    json.dumps(to_json([found]), ensure_ascii=False).encode()


def test_lines_stay_lines() -> None:
    assert printable("one\r\ntwo\tthree") == "one two three"
    assert rows([Finding(ON_HOLD, "R\n1", "a", "b")])[0] == ("DSG009", "note", "Request on hold", "R 1", "a", "b")


def test_fingerprints_tell_matters_apart_and_stay() -> None:
    assert ERROR.fingerprint == Finding(DIGEST_MISMATCH, "router", "its bytes changed", "another remedy").fingerprint
    assert ERROR.fingerprint != Finding(DIGEST_MISMATCH, "rooter", "its bytes changed", "restore them").fingerprint
    assert to_json([ERROR])["findings"][0]["fingerprint"] == ERROR.fingerprint
