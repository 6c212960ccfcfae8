"""What long work shows while it runs: bars on a terminal, a line per finished thing elsewhere.

Bars go to standard error, so that output can be piped away from them. One bar is for the whole, one line for every job
that runs at the moment.
"""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from disgorge.cli import show

if TYPE_CHECKING:
    from disgorge.jobs import Done, Job, OnProgress, Runner


def _unseen(name: str, done: int, total: int) -> None:
    """Take progress and show nothing; jobs' own is not imported before there is a job."""


class Display:
    """Shows nothing while work runs, and prints what is said to it. What there is without a terminal.

    ``quiet`` keeps it from saying anything, for output that is JSON.
    """

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet

    def whole(self, words: str, *, done: int, total: int) -> None:
        """Take how far the whole has come."""

    def job(self, name: str, done: int, total: int) -> None:
        """Take how far one job has come. Of the shape that trainers call."""

    def end(self, name: str) -> None:
        """Take that a job is over."""

    def say(self, text: str) -> None:
        """Print a line that stays."""
        if not self.quiet:
            show.line(text)


class Bars(Display):
    """Bars drawn by rich. Where output goes to the same terminal, lines are printed above them."""

    def __init__(self, progress: Any, *, quiet: bool) -> None:
        super().__init__(quiet=quiet)
        self._progress = progress
        self._whole: Any = None
        self._jobs: dict[str, Any] = {}

    def whole(self, words: str, *, done: int, total: int) -> None:
        """Draw the bar of the whole."""
        if self._whole is None:
            self._whole = self._progress.add_task("", total=total)
        self._progress.update(self._whole, description=show.clean(words), completed=done, total=total)

    def job(self, name: str, done: int, total: int) -> None:
        """Draw the bar of a running job."""
        if name not in self._jobs:
            self._jobs[name] = self._progress.add_task(f"  {show.clean(name)}", total=total)
        self._progress.update(self._jobs[name], completed=done, total=total)

    def end(self, name: str) -> None:
        """Take a job's bar away."""
        if name in self._jobs:
            self._progress.remove_task(self._jobs.pop(name))

    def say(self, text: str) -> None:
        """Print a line that stays, above the bars."""
        if not self.quiet and sys.stdout.isatty():
            self._progress.console.print(show.clean(text), markup=False, highlight=False, soft_wrap=True)
        else:
            super().say(text)


@contextmanager
def shown(*, quiet: bool) -> Iterator[Display]:
    """Give a display for long work: bars if standard error is a terminal."""
    if not sys.stderr.isatty():
        yield Display(quiet=quiet)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
    from rich.table import Column

    columns = (
        TextColumn("{task.description}", markup=False, table_column=Column(overflow="ellipsis")),
        BarColumn(bar_width=24),
        MofNCompleteColumn(table_column=Column(no_wrap=True)),
        TimeElapsedColumn(table_column=Column(no_wrap=True)),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, redirect_stdout=False) as progress:
        yield Bars(progress, quiet=quiet)


class Watched:
    """A runner whose jobs are shown: it passes everything on and tells when a job is done.

    ``doing`` is a word before the names of running jobs.
    """

    def __init__(
        self, runner: "Runner", display: Display, *, on_done: "Callable[[Done], None]", doing: str = ""
    ) -> None:
        self._runner = runner
        self._display = display
        self._on_done = on_done
        self._doing = doing

    def run(self, jobs: "Iterable[Job]", *, on_progress: "OnProgress" = _unseen) -> "Iterator[Done]":
        """Yield each job as it is done."""

        def progress(name: str, done: int, total: int) -> None:
            self._display.job(self._doing + name, done, total)
            on_progress(name, done, total)

        for done in self._runner.run(jobs, on_progress=progress):
            self._display.end(self._doing + done.job.name)
            self._on_done(done)
            yield done

    def close(self) -> None:
        """Let go of whatever carries the jobs out."""
        self._runner.close()
