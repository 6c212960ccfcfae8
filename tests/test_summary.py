"""A tally adds up to docs/evidence.md and the README's lines, or is refused in one line."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.summary import BEGIN, END, ROOT, TITLES, InvalidTally, main, read_tally, table, write
from tests.twins.table import twins

RUN = {"kind": "run", "name": "pytest", "exit": 0, "seconds": 1800.0, "passed": 1200}
AGAIN = {**RUN, "passed": 2, "again": True}
LINES: list[dict[str, Any]] = [
    *({"kind": kind, "name": "a", "cases": 1} for kind in TITLES if kind not in ("liars", "honest")),
    {"kind": "liars", "name": "nothing done - tangent", "where": "training", "caught": True},
    {"kind": "liars", "name": "evidence copied", "where": "evidence", "caught": False},
    {"kind": "honest", "name": "tangent 1", "method": "tangent", "certified": True, "check": "pass", "seconds": 2.5},
    {"kind": "honest", "name": "tangent 2", "method": "tangent", "certified": True, "check": "pass", "seconds": 1.5},
    {"kind": "unforeseen", "name": "images", "found": 40},
    *({"kind": "twins", "name": twin.name, "case": case, "passed": case == 1} for twin in twins() for case in (1, 2)),
    RUN,
]


def tally(folder: Path, lines: list[dict[str, Any]]) -> Path:
    """Write a tally."""
    (folder / "tally.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder / "tally.jsonl"


def test_figures_add_up_in_all_and_by_group(tmp_path: Path) -> None:
    rows = {title: rest for title, *rest in table(read_tally(tally(tmp_path, LINES)))}
    assert rows["false removals refused"] == ["1 of 2 caught", "evidence: 0 of 1 caught; training: 1 of 1 caught"]
    assert rows["honest removals certified"] == ["2 of 2 certified, seconds 2, most seconds 2.5", ""]
    assert rows["unforeseen"] == ["found 40", ""]


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (LINES[1:], "nothing was counted of kills"),
        ([*LINES[:-1], {**RUN, "exit": 1}], r"exit codes of the runs are \[1\]"),
        (LINES[:-1], r"are \[\]"),
        ([*LINES, RUN], r"are \[0, 0\]"),
        ([*LINES[:-1], {**RUN, "exit": 1}, RUN], r"are \[1, 0\]"),
        ([*LINES[:-1], {**RUN, "exit": 2}, AGAIN], r"are \[2, 0\]"),
        ([*LINES, AGAIN], r"are \[0, 0\]"),
        ([*LINES[:-1], AGAIN], r"are \[0\]"),
        ([{"kind": "liars"}], "invalid tally"),
        ([line for line in LINES if line["name"] != twins()[0].name], rf"twins {twins()[0].name} were not run"),
    ],
)
def test_a_tally_that_is_not_of_a_whole_run_is_refused(tmp_path: Path, lines: list[Any], reason: str) -> None:
    with pytest.raises(InvalidTally, match=reason):
        read_tally(tally(tmp_path, lines))


def test_what_failed_may_be_mended_and_run_again_and_the_document_says_so(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(f"{BEGIN}\n{END}\n")
    runs = [{**RUN, "exit": 1}, {**AGAIN, "exit": 1, "passed": 1}, AGAIN]
    write(read_tally(tally(tmp_path, [*LINES[:-1], *runs])), root=tmp_path)
    said = (tmp_path / "docs" / "evidence.md").read_text()
    assert "1,200 tests in 30 min" in said
    assert "3 that failed were mended" in said


def test_the_command_refuses_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "tally.jsonl").write_text("{")
    assert main(str(tmp_path / "tally.jsonl")) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_both_documents_are_written_and_nothing_else_of_the_readme_changes(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write(LINES, root=tmp_path)
    readme = (tmp_path / "README.md").read_text()
    assert readme.startswith(f"before\n{BEGIN}\n- false removals refused: 1 of 2 caught\n")
    assert readme.endswith(f"{END}\nafter\n")
    assert "1,200 tests in 30 min" in (tmp_path / "docs" / "evidence.md").read_text()


def test_every_twin_has_a_row_and_what_was_mended_counts_as_it_came_out_last(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(f"{BEGIN}\n{END}\n")
    first, *others = twins()
    again = {"kind": "twins", "name": first.name, "case": 2, "passed": True}
    write([*LINES, again], root=tmp_path)
    text = (tmp_path / "docs" / "evidence.md").read_text().partition("## Faults and their twins")[2]
    assert f"| {first.done} | {first.must} | 2 of 2 passed | {first.follows} |" in text
    assert all(f"| {twin.done} | {twin.must} | 1 of 2 passed | {twin.follows} |" in text for twin in others)


def test_a_twin_that_does_not_say_what_it_is_is_refused(tmp_path: Path) -> None:
    (tmp_path / "test_x.py").write_text('"""Done: something."""')
    with pytest.raises(ValueError, match=r"test_x\.py: its docstring must be three lines"):
        twins(tmp_path)


def test_the_readme_says_what_the_evidence_says() -> None:
    shown = (ROOT / "README.md").read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0].split("\n- ")[1:]
    rows = (ROOT / "docs" / "evidence.md").read_text(encoding="utf-8")
    assert len(shown) == 5
    assert all(f"| {' | '.join(line.strip().split(': ', 1))} |" in rows for line in shown)
