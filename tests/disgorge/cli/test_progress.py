"""What long work shows: lines without a terminal, bars on one, and runners that are watched unchanged."""

import datetime as dt
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from disgorge.cli.output.progress import Display, shown
from disgorge.training.progress import Pace
from disgorge.training.recipe import Done, Job, OnProgress, unseen
from disgorge.training.runners.watched import Watched
from lineage.activity import activity, current
from tests.disgorge.cli.terminal import on_a_terminal

JOBS = [Job("a", {}, 2), Job("b", {}, 1)]

DRAWN = """
import time
from disgorge.cli.output.progress import shown
with shown(quiet=False) as display:
    display.whole("training [x]", done=1, total=4)
    display.left(12)
    display.job("model/\\x1b[31mpart", 3, 8)
    time.sleep(0.5)  # bars are drawn ten times a second
    display.say("a line [bold]that[/bold] stays")
    display.end("model/\\x1b[31mpart")
"""


NOW = dt.datetime(2026, 11, 30, tzinfo=dt.UTC)


class Counting:
    """A runner that does nothing, in the steps a real one would take."""

    def __init__(self) -> None:
        self.closed = False

    def run(self, jobs: Iterable[Job], *, on_progress: OnProgress = unseen, **how: Any) -> Iterator[Done]:
        """Go through each job's steps."""
        for job in jobs:
            for step in range(job.steps):
                on_progress(job.name, step + 1, job.steps)
            yield Done(job, "0" * 64, NOW, NOW + dt.timedelta(seconds=0.5))

    def close(self) -> None:
        """Remember that it was closed."""
        self.closed = True


class Remembering(Display):
    """A display that remembers what it was told."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.told: list[tuple[object, ...]] = []

    def job(self, name: str, done: int, total: int) -> None:
        """Remember progress."""
        self.told.append((name, done, total))

    def end(self, name: str) -> None:
        """Remember an end."""
        self.told.append((name,))

    def say(self, text: str) -> None:
        """Remember a line."""
        self.told.append((text,))


def test_a_watched_runner_does_what_it_did_and_is_seen() -> None:
    display, runner, heard = Remembering(), Counting(), list[tuple[str, int, int]]()
    watched = Watched(runner, display, did="made", doing="re-executing ")
    given = list(watched.run(JOBS, on_progress=lambda *progress: heard.append(progress)))
    assert given == list(Counting().run(JOBS))
    assert heard == [("a", 1, 2), ("a", 2, 2), ("b", 1, 1)]
    assert display.told == [
        ("re-executing a", 1, 2), ("re-executing a", 2, 2), ("re-executing a",), ("made a in 0.5 s",),
        ("re-executing b", 1, 1), ("re-executing b",), ("made b in 0.5 s",),
    ]  # fmt: skip
    watched.close()
    assert runner.closed


def test_what_is_left_is_estimated_from_what_was_done_as_soon_as_there_is_a_pace() -> None:
    pace = Pace(clock=iter([0.0, 0.0, 10.0, 30.0]).__next__)
    assert [pace.left(done, 8) for done in (1, 1, 3, 8)] == [None, None, 25.0, 0.0]


def test_the_activity_under_way_tells_how_far_a_job_has_come_and_what_is_left() -> None:
    display, seen = Display(quiet=True), list[str]()

    def hear(name: str, done: int, total: int) -> None:
        doing = current()
        assert doing is not None
        seen.append(doing.detail)

    with activity("training"):
        list(Watched(Counting(), display).run(JOBS, on_progress=hear))
    assert seen[0] == "a, step 1 of 2"
    assert seen[1:] == ["a, step 2 of 2, about 0 s left", "b, step 1 of 1, about 0 s left"]


@pytest.mark.parametrize(("quiet", "out"), [(False, "x y\n"), (True, "")])
def test_without_a_terminal_only_lines_are_printed(capsys: pytest.CaptureFixture[str], quiet: bool, out: str) -> None:
    with shown(quiet=quiet) as display:
        display.whole("training", done=0, total=1)
        display.job("a", 1, 2)
        display.say("x\ny")
        display.end("a")
    assert capsys.readouterr() == (out, "")


def test_on_a_terminal_bars_are_drawn_and_names_are_only_names() -> None:
    drawn, _ = on_a_terminal(DRAWN)
    assert "training [x]" in drawn
    assert "1/4" in drawn
    assert "model/\ufffd[31mpart" in drawn
    assert "3/8" in drawn
    assert "about 12 s left" in drawn
    assert "a line [bold]that[/bold] stays\r\n" in drawn
