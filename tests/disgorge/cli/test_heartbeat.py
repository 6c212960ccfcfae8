"""No command is silent for long: what is said after a while, where, and that nothing else is touched by it."""

import io
import json
import re
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest

from disgorge.cli.output.heartbeat import IN_A_LOG, ON_A_TERMINAL, Heartbeat
from lineage.activity import activity, current, detail
from tests.disgorge.cli.terminal import on_a_terminal

ERASE = "\r\x1b[2K"

SLOW = """
import sys, time
from disgorge.cli.output.heartbeat import heartbeat
from lineage.activity import activity, detail
with heartbeat(silence=0.3, redrawn=0.2), activity("training toy/\\x1b[31mmean"):
    detail("step 3 of 8, about 12 s left")
    time.sleep(2)
    print('{"a": 1}', flush=True)
    time.sleep(1)
"""

SLOW_AUDIT = """
import sys, time
import disgorge.audit.rules, disgorge.cli.output.heartbeat
look, seconds = disgorge.audit.rules.audit, float(sys.argv.pop())
if seconds:
    disgorge.cli.output.heartbeat.IN_A_LOG = disgorge.cli.output.heartbeat.ON_A_TERMINAL = 0.3
def slow(*given, **named):
    time.sleep(seconds)
    return look(*given, **named)
disgorge.audit.rules.audit = slow
from disgorge.cli import main
main()
"""


class Clock:
    """A clock that is set."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Return the time it was set to."""
        return self.now


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """It is one."""
        return True


def test_the_bounds_are_kept_with_room_for_a_busy_machine() -> None:
    assert ON_A_TERMINAL <= 2.5
    assert IN_A_LOG <= 25


def test_in_a_log_a_line_is_printed_after_silence_and_stays() -> None:
    log, clock = io.StringIO(), Clock()
    beating = Heartbeat(log, clock=clock)
    with activity("reading\na.npz"):
        detail("3 of 8 files")
        for clock.now in (5.0, IN_A_LOG, IN_A_LOG + 5, 2 * IN_A_LOG):
            beating.beat()
    lines = log.getvalue().splitlines()
    assert len(lines) == 2
    assert all(re.fullmatch(r"still reading a\.npz: 3 of 8 files \(\d+ s so far\)", line) for line in lines), lines


def test_output_begins_the_silence_anew_and_a_line_that_was_begun_is_ended() -> None:
    log, clock = io.StringIO(), Clock()
    beating = Heartbeat(log, clock=clock)
    clock.now = IN_A_LOG - 1
    with beating.interrupted(log, "half a"):
        log.write("half a")
    clock.now = IN_A_LOG + 1
    beating.beat()
    assert log.getvalue() == "half a"
    clock.now = 2 * IN_A_LOG
    beating.beat()
    assert log.getvalue() == "half a\nstill at work\n"


def test_on_a_terminal_the_line_is_drawn_anew_and_erased_before_anything_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "20")
    terminal, clock = Terminal(), Clock()
    beating = Heartbeat(terminal, clock=clock)
    with activity("training " + "x" * 50):
        for clock.now in (1.0, ON_A_TERMINAL, ON_A_TERMINAL + 1):
            beating.beat()
        with beating.interrupted(terminal, "done\n"):
            terminal.write("done\n")
    line = "still training xxxx"
    assert terminal.getvalue() == f"{ERASE}{line}{ERASE}{line}{ERASE}done\n"
    beating.stop()
    assert terminal.getvalue().endswith("done\n")


def test_activities_are_named_from_inside_out_and_end_with_an_error() -> None:
    with activity("a"):
        with activity("b"):
            assert (doing := current()) is not None
            assert doing.words == "b"
        with pytest.raises(ValueError, match="c"), activity("c"):
            raise ValueError("c")
        assert (doing := current()) is not None
        assert doing.words == "a"


def test_a_long_activity_on_a_terminal_is_never_silent() -> None:
    drawn, longest = on_a_terminal(SLOW)
    assert longest < 1.5, drawn
    assert drawn.count("still training toy/\ufffd[31mmean: step 3 of 8, about 12 s left (") >= 5
    assert f'{ERASE}{{"a": 1}}\r\n' in drawn
    assert drawn.endswith(ERASE)


def test_a_long_activity_in_a_log_is_never_silent_and_leaves_standard_output_alone() -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", SLOW], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
    )
    assert child.stdout is not None
    assert child.stderr is not None
    times = []
    for line in child.stderr:
        assert line.startswith("still training toy/\ufffd[31mmean: step 3 of 8, about 12 s left ("), line
        times.append(time.monotonic())
    assert len(times) >= 4
    assert max(after - before for before, after in pairwise(times)) < 1.5
    assert json.loads(child.stdout.read()) == {"a": 1}
    child.stdout.close()
    child.stderr.close()
    assert child.wait() == 0


def typed(code: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a command of the program in a process of its own, its output in pipes."""
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)


def test_a_slow_command_says_what_it_does_and_its_json_is_json_and_a_quick_one_says_nothing(empty: Path) -> None:
    slow = typed(SLOW_AUDIT, "audit", "--json", "2.5")
    assert json.loads(slow.stdout)["findings"] == []
    assert "still running disgorge audit (" in slow.stderr
    assert all(line.startswith("still ") for line in slow.stderr.splitlines())
    quick = typed(SLOW_AUDIT, "audit", "--json", "0")
    assert json.loads(quick.stdout)["findings"] == []
    assert quick.stderr == ""


def test_ctrl_c_leaves_no_line_half_drawn(empty: Path) -> None:
    drawn, _ = on_a_terminal(SLOW_AUDIT, "audit", "60", interrupt_after=1.5)
    assert "still running disgorge audit (" in drawn
    assert drawn.rpartition(ERASE)[2].startswith("error: interrupted; "), drawn
    assert drawn.endswith("\r\n")
