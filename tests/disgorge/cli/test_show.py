"""How results look where there is no terminal, and where there is one."""

from pathlib import Path

import pytest

from disgorge.cli.output import tables as show
from lineage.shown import table
from tests.disgorge.cli.conftest import filed, fine
from tests.disgorge.cli.terminal import COMMAND, on_a_terminal


def drawn(*arguments: str, cwd: Path) -> str:
    """What a command draws on a terminal."""
    return on_a_terminal(COMMAND, *arguments, cwd=cwd)[0]


def test_a_table_is_aligned_text_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [("a", 1, None), ("bcdef", 20, ("p", "q")), ("y\x1b[1m", True, "")]
    show.table(table("name", "n", "x", rows=rows, title="things"))
    assert capsys.readouterr().out == ("things\nname   n    x\na      1    -\nbcdef  20   p, q\ny\ufffd[1m  yes\n")


def test_a_table_without_a_row_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    show.table(table("a", rows=[], empty="no shard is recorded"))
    assert capsys.readouterr().out == "no shard is recorded\n"


def test_pairs_leave_out_what_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    show.pairs([("a", None), ("long", 0), ("b", "x\ny"), ("c", ())])
    assert capsys.readouterr().out == "long  0\nb     x y\n"


def test_tables_are_drawn_on_a_terminal(workspace_folder: Path) -> None:
    shown = drawn("shard", "list", cwd=workspace_folder)
    assert "━" in shown or "─" in shown
    assert "shard-1" in shown


def test_a_name_is_no_markup_on_a_terminal(empty: Path) -> None:
    (empty / "a.csv").write_text("key,x\na,1\n")
    fine("shard add a.csv --name [red]a[/red] --no-check --no-dvc")
    assert "[red]a[/red]" in drawn("shard", "list", cwd=empty)


def test_no_name_is_cut_short_on_a_narrow_terminal(empty: Path) -> None:
    (empty / "a.csv").write_text("key,x\na,1\n")
    name = "a-name-that-is-longer-than-its-column-" * 3
    fine(f"shard add a.csv --name {name} --no-check --no-dvc --source {'s' * 60}")
    for verb in ("shard", "list"), ("audit",):
        shown = drawn(*verb, cwd=empty)
        assert "…" not in shown
        assert shown.count("a-name-that") >= 1


def test_words_are_not_broken_on_a_terminal(workspace_folder: Path) -> None:
    filed("R-1")
    fine("request decide R-1")
    shown = drawn("policy", "explain", "R-1", cwd=workspace_folder)
    assert max(len(line.rstrip("\r")) for line in shown.split("\n")) <= 120
    assert "\n    " in shown
