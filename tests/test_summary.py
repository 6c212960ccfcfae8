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
    {"kind": "liars", "name": "tangent: nothing done", "caught": True},
    {"kind": "liars", "name": "tangent: router kept", "caught": True},
    {"kind": "honest", "name": "tangent", "certified": True, "seconds": 2.5},
    {"kind": "honest", "name": "tangent", "certified": False, "seconds": 1.5},
    {"kind": "evidence cost", "name": "tangent", "seconds": 4.0, "share": 0.125},
    {"kind": "kills", "name": "random", "kills": 150, "survived": 150},
    {"kind": "kills", "name": "boundaries", "kills": 60, "survived": 60},
    {"kind": "eight writers", "name": "filing", "p50": 0.01, "p99": 0.125},
    {"kind": "fuzz", "name": "csv", "cases": 900, "crashes": 0},
    {"kind": "fuzz", "name": "npz", "cases": 1100, "crashes": 0},
    {"kind": "bytes flipped", "name": "statement", "flipped": 900, "detected": 899},
    {"kind": "damage", "name": "torn line", "detected": True},
    RUN,
]
README_TEXT = "before\n<!-- full: counted by make test-full -->\nold\n<!-- /full -->\nafter\n"


def full(lines: list[dict[str, Any]] = LINES) -> dict[str, Any]:
    """The summary of some lines."""
    return summary(lines, date="2026-11-24", machine=MACHINE)


def test_figures_add_up_by_kind_and_case() -> None:
    kinds = full()["kinds"]
    assert list(kinds) == list(WORDS)
    assert kinds["fuzz"]["total"] == {"lines": 2, "cases": 2000, "crashes": 0}
    assert kinds["fuzz"]["cases"]["csv"] == {"lines": 1, "cases": 900, "crashes": 0}
    assert kinds["honest"]["cases"]["tangent"] == {"lines": 2, "certified": 1, "seconds": 2.5}


def test_times_are_not_summed() -> None:
    assert added([{"p99": 0.5, "cases": 3}, {"p99": 0.25, "cases": 4}]) == {"lines": 2, "p99": 0.5, "cases": 7}


def test_a_kind_that_nobody_foresaw_is_told_too() -> None:
    table = markdown(full([*LINES, {"kind": "likeness", "name": "images", "found": 40, "planted": 40}]))
    assert "| likeness | found 40, planted 40 |  |" in table


def test_the_table_says_what_was_counted_and_on_what() -> None:
    table = markdown(full())
    assert "| false removals refused | 2 of 2 caught |" in table
    assert "| honest removals certified | 1 of 2 certified, seconds 2.5 |" in table
    assert "210 of 210 survived" in table
    assert "899 of 900 detected" in table
    assert "share 12.5%" in table
    assert "csv: cases 900, crashes 0; npz: cases 1,100, crashes 0" in table
    assert "1,200 tests in 30 min on 2026-11-24, a machine, 2 cores, Python 3.11, numpy 2.0." in table


def test_many_cases_are_told_by_what_their_names_begin_with() -> None:
    more = [{"kind": "liars", "name": f"graph: liar {number}", "caught": number != 3} for number in range(20)]
    assert "graph: 19 of 20 caught; tangent: 2 of 2 caught" in markdown(full([*LINES, *more]))


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
