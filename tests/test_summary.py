"""A tally adds up to the table the README shows, or is refused in one line; and the README shows what was counted."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import summary as made
from tests.summary import FULL, README, WORDS, NotWhole, added, into, markdown, read_tally, summary

MACHINE = {"machine": "a machine, 2 cores", "python": "3.11", "libraries": {"numpy": "2.0"}}
RUN = {"kind": "run", "name": "pytest", "exit": 0, "seconds": 1800.0, "passed": 1200}
LINES: list[dict[str, Any]] = [
    {"kind": "liars", "name": "nothing done - tangent", "where": "training", "caught": True},
    {"kind": "liars", "name": "router kept - tangent", "where": "training", "caught": True},
    {"kind": "liars", "name": "evidence copied", "where": "evidence", "caught": True},
    {"kind": "honest", "name": "tangent 1", "method": "tangent", "certified": True, "check a": "pass", "seconds": 2.5},
    {"kind": "honest", "name": "tangent 2", "method": "tangent", "certified": False, "check a": "fail", "seconds": 1.5},
    {"kind": "evidence cost", "name": "tangent 1", "method": "tangent", "seconds": 4.0, "share_of_full_retrain": 0.125},
    {"kind": "probes, honest", "name": "band", "cases": 400, "passed": 380, "accused": 1},
    {"kind": "probes, nothing done", "name": "membership", "cases": 40, "controls_held": 30, "seen": 30},
    {"kind": "kills", "name": "random", "kills": 150, "survived": 150},
    {"kind": "kills", "name": "random", "kills": 60, "survived": 60},
    {"kind": "eight writers", "name": "filing", "requests": 500, "p50_ms": 10.0, "p99_ms": 125.5},
    {"kind": "fuzz", "name": "csv", "cases": 900, "crashes": 0, "slowest": 0.5},
    {"kind": "fuzz", "name": "npz", "cases": 1100, "crashes": 0, "slowest": 0.25},
    {"kind": "bytes flipped", "name": "statement", "flipped": 900, "detected": 899},
    {"kind": "damages", "name": "torn line", "detected": 1, "recovered": 1},
    {"kind": "offline", "name": "demo", "seconds": 100, "no_interface": True, "attempts": 0},
    {"kind": "re-executions", "name": "tangent", "repeated": 200, "differ": 0},
    RUN,
]
README_TEXT = "before\n<!-- full: counted by make test-full -->\nold\n<!-- /full -->\nafter\n"


def full(lines: list[dict[str, Any]] = LINES) -> dict[str, Any]:
    """The summary of some lines."""
    return summary(lines, date="2026-11-24", machine=MACHINE)


def test_figures_add_up_in_all_and_by_group() -> None:
    kinds = full()["kinds"]
    assert list(kinds) == list(WORDS)
    assert kinds["liars"]["total"] == {"lines": 3, "caught": 3}
    assert kinds["liars"]["by"] == {"evidence": {"lines": 1, "caught": 1}, "training": {"lines": 2, "caught": 2}}
    assert kinds["honest"]["by"] == {"tangent": {"lines": 2, "certified": 1, "seconds": 2.0, "most seconds": 2.5}}
    assert kinds["kills"]["total"] == {"lines": 2, "kills": 210, "survived": 210}


def test_times_are_not_summed() -> None:
    lines = [{"p99": 0.5, "cases": 3}, {"p99": 0.25, "cases": 4}, {"p99": 0.125, "cases": 1}]
    assert added(lines) == {"lines": 3, "p99": 0.25, "most p99": 0.5, "cases": 8}


def test_a_kind_that_nobody_foresaw_is_told_too() -> None:
    table = markdown(full([*LINES, {"kind": "likeness", "name": "images", "found": 40, "sought": 40}]))
    assert "| likeness | found 40, sought 40 |  |" in table


def test_the_table_says_what_was_counted_and_on_what() -> None:
    table = markdown(full())
    assert "| false removals refused | 3 of 3 caught | evidence: 1 of 1 caught; training: 2 of 2 caught |" in table
    assert "| honest removals certified | 1 of 2 certified, seconds 2, most seconds 2.5 |" in table
    assert "210 of 210 survived" in table
    assert "899 of 900 detected" in table
    assert "share of full retrain 12.5%" in table
    assert "requests 500, p50 ms 10, p99 ms 126" in table
    assert "csv: cases 900, crashes 0, slowest 0.5; npz: cases 1,100, crashes 0, slowest 0.25" in table
    assert "1,200 tests in 30 min on 2026-11-24, a machine, 2 cores, Python 3.11, numpy 2.0." in table


def test_many_groups_are_counted() -> None:
    more = [{"kind": "fuzz", "name": f"kind {number}", "cases": 1, "crashes": 0} for number in range(20)]
    assert "| 22 kinds |" in markdown(full([*LINES, *more]))


@pytest.mark.parametrize("kind", WORDS)
def test_a_run_that_did_not_count_everything_is_refused(kind: str) -> None:
    with pytest.raises(NotWhole, match=f"nothing was counted of {kind}"):
        full([line for line in LINES if line["kind"] != kind])


def test_a_run_that_failed_or_never_ended_is_refused() -> None:
    with pytest.raises(NotWhole, match="exit code was 1"):
        full([*LINES[:-1], {**RUN, "exit": 1}])
    with pytest.raises(NotWhole, match="of 0 runs"):
        full(LINES[:-1])
    with pytest.raises(NotWhole, match="of 2 runs"):
        full([*LINES, RUN])


@pytest.mark.parametrize("text", ["{", '{"kind": "liars"}', "[]", '"x"', '{"kind": 1, "name": "x"}'])
def test_what_is_no_tally_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "tally.jsonl").write_text(text)
    with pytest.raises(NotWhole, match="is no tally"):
        read_tally(tmp_path / "tally.jsonl")


def test_only_what_stands_between_the_marks_changes() -> None:
    text = into(README_TEXT, full())
    assert text.startswith("before\n<!-- full: counted by make test-full -->\n\n| counted |")
    assert text.endswith("\n\n<!-- /full -->\nafter\n")
    assert "old" not in text
    assert into(text, full()) == text
    with pytest.raises(NotWhole, match="no marks"):
        into("no marks here", full())


def test_the_command_writes_both_files_or_neither(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tally, target, readme = tmp_path / "tally.jsonl", tmp_path / "full.json", tmp_path / "README.md"
    monkeypatch.setattr(made, "FULL", target)
    monkeypatch.setattr(made, "README", readme)
    readme.write_text(README_TEXT)
    tally.write_text("".join(json.dumps(line) + "\n" for line in LINES[:-1]))
    assert made.main(str(tally)) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert (readme.read_text(), target.exists()) == (README_TEXT, False)
    tally.write_text("".join(json.dumps(line) + "\n" for line in LINES))
    assert made.main(str(tally)) == 0
    assert into(readme.read_text(), json.loads(target.read_text())) == readme.read_text()
    assert json.loads(target.read_text())["python"] == sys.version.split()[0]


@pytest.mark.skipif(not FULL.exists(), reason="the whole counts were not run yet")
def test_the_readme_shows_what_was_counted() -> None:
    text = README.read_text(encoding="utf-8")
    assert into(text, json.loads(FULL.read_text())) == text
