"""How results look where there is no terminal, and where there is one."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from disgorge.cli.output import tables as show
from lineage.shown import table
from tests.disgorge.cli.conftest import filed, fine

COMMAND = [sys.executable, "-c", "from disgorge.cli import main; main()"]


def on_a_terminal(*arguments: str, cwd: Path) -> str:
    """Run a command on a terminal of its own and return what it draws."""
    leader, follower = pty.openpty()
    environment = os.environ | {"COLUMNS": "120", "TERM": "xterm"}
    with subprocess.Popen(
        [*COMMAND, *arguments], stdout=follower, stderr=follower, cwd=cwd, env=environment
    ) as process:
        os.close(follower)
        drawn = b""
        while True:
            try:
                block = os.read(leader, 4096)
            except OSError:  # the terminal is gone with its last user
                break
            if not block:
                break
            drawn += block
        process.wait(timeout=60)
    os.close(leader)
    return drawn.decode()


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
    drawn = on_a_terminal("shard", "list", cwd=workspace_folder)
    assert "━" in drawn or "─" in drawn
    assert "shard-1" in drawn


def test_a_name_is_no_markup_on_a_terminal(empty: Path) -> None:
    (empty / "a.csv").write_text("key,x\na,1\n")
    arguments = ["shard", "add", "a.csv", "--name", "[red]a[/red]", "--no-check", "--no-dvc"]
    subprocess.run([*COMMAND, *arguments], check=True, capture_output=True, cwd=empty)
    assert "[red]a[/red]" in on_a_terminal("shard", "list", cwd=empty)


def test_no_name_is_cut_short_on_a_narrow_terminal(empty: Path) -> None:
    (empty / "a.csv").write_text("key,x\na,1\n")
    name = "a-name-that-is-longer-than-its-column-" * 3
    arguments = ["shard", "add", "a.csv", "--name", name, "--no-check", "--no-dvc", "--source", "s" * 60]
    subprocess.run([*COMMAND, *arguments], check=True, capture_output=True, cwd=empty)
    for verb in ("shard", "list"), ("audit",):
        drawn = on_a_terminal(*verb, cwd=empty)
        assert "…" not in drawn
        assert drawn.count("a-name-that") >= 1


def test_words_are_not_broken_on_a_terminal(workspace_folder: Path) -> None:
    filed("R-1")
    fine("request", "decide", "R-1")
    drawn = on_a_terminal("policy", "explain", "R-1", cwd=workspace_folder)
    assert max(len(line.rstrip("\r")) for line in drawn.split("\n")) <= 120
    assert "\n    " in drawn
