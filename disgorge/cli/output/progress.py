"""What long work shows while it runs: bars on a terminal, a line per finished thing elsewhere.

Bars go to standard error, so that output can be piped away from them. One bar is for the whole, one line for every job
that runs at the moment. How long the jobs under way will take yet is estimated from how long their steps took so far;
the heartbeat (:mod:`disgorge.cli.output.heartbeat`) says the same where there are no bars.
"""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from disgorge.cli.output import tables as show
from disgorge.cli.output.errors import RUNNING
from lineage.activity import current, detail

if TYPE_CHECKING:
    from disgorge.training.recipe import Done, Job, OnProgress, Runner


def _unseen(name: str, done: int, total: int) -> None:
    """Take progress and show nothing; jobs' own is not imported before there is a job."""


class Pace:
    """How long work of a known size will take yet, by how long it took so far.

    >>> times = iter([0.0, 10.0])
    >>> pace = Pace(clock=lambda: next(times))
    >>> pace.left(1, 9), pace.left(3, 9)
    (None, 30.0)
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._first: tuple[float, int] | None = None

    def left(self, done: int, total: int) -> float | None:
        """Return the seconds left, None as long as nothing was seen to be done."""
        now = self._clock()
        if self._first is None:
            self._first = (now, done)
        began, before = self._first
        return (now - began) / (done - before) * (total - done) if done > before else None


def _left_words(seconds: float | None) -> str:
    return "" if seconds is None else f"about {show.whole_seconds(seconds)} left"


class Display:
    """Shows nothing while work runs, and prints what is said to it. What there is without a terminal.

    ``quiet`` keeps it from saying anything, for output that is JSON.
    """

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet
        self._left = ""
        self._paces: dict[str, Pace] = {}

    def whole(self, words: str, *, done: int, total: int | None) -> None:
        """Take how far the whole has come; a total of None is not known."""

    def job(self, name: str, done: int, total: int) -> None:
        """Take how far one job has come. Of the shape that trainers call."""
        own = _left_words(self._paces.setdefault(name, Pace()).left(done, total))
        detail(", ".join(filter(None, (f"{name}, step {done:,} of {total:,}", self._left or own))))

    def end(self, name: str) -> None:
        """Take that a job is over."""
        self._paces.pop(name, None)
        detail(self._left)

    def left(self, seconds: float | None) -> None:
        """Take how long the work under way will take yet, None where nobody can say."""
        self._left = _left_words(seconds)

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

    def whole(self, words: str, *, done: int, total: int | None) -> None:
        """Draw the bar of the whole."""
        if self._whole is None:
            self._whole = self._progress.add_task("", total=total, whole=True, left="")
        self._progress.update(self._whole, description=show.clean(words), completed=done, total=total)

    def job(self, name: str, done: int, total: int) -> None:
        """Draw the bar of a running job."""
        super().job(name, done, total)
        if name not in self._jobs:
            self._jobs[name] = self._progress.add_task(f"  {show.clean(name)}", total=total, whole=False, left="")
        self._progress.update(self._jobs[name], completed=done, total=total)

    def left(self, seconds: float | None) -> None:
        """Write the estimate beside the bar of the whole."""
        super().left(seconds)
        if self._whole is not None:
            self._progress.update(self._whole, left=self._left)

    def end(self, name: str) -> None:
        """Take a job's bar away."""
        super().end(name)
        if name in self._jobs:
            self._progress.remove_task(self._jobs.pop(name))

    def say(self, text: str) -> None:
        """Print a line that stays, above the bars."""
        if not self.quiet and sys.stdout.isatty():
            self._progress.console.print(show.clean(text), markup=False, highlight=False, soft_wrap=True)
        else:
            super().say(text)


@contextmanager
def shown(*, quiet: bool, bars: bool = True) -> Iterator[Display]:
    """Give a display for long work: bars if standard error is a terminal and ``bars`` are wanted."""
    if not bars or not sys.stderr.isatty():
        yield Display(quiet=quiet)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, Task, TextColumn, TimeElapsedColumn
    from rich.table import Column
    from rich.text import Text

    class Doing(TextColumn):
        """What a bar is about; that of the whole names the activity under way as well."""

        def render(self, task: Task) -> Text:
            """Return the words, without those for the command as a whole, which was just typed."""
            doing = current() if task.fields["whole"] else None
            if doing is None or doing.words.startswith(RUNNING):
                return Text(task.description)
            return Text(f"{task.description}: {show.clean(doing.words)}")

    columns = (
        Doing("", table_column=Column(overflow="ellipsis", no_wrap=True)),
        BarColumn(bar_width=24),
        MofNCompleteColumn(table_column=Column(no_wrap=True)),
        TimeElapsedColumn(table_column=Column(no_wrap=True)),
        TextColumn("{task.fields[left]}", markup=False, table_column=Column(no_wrap=True)),
    )
    console = Console(file=sys.stderr)  # this very stream, whatever is put in its place while a library is at work
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
        todo, pace, steps = list(jobs), Pace(), dict[str, int]()
        total = sum(max(job.steps, 1) for job in todo)

        def progress(name: str, done: int, of: int) -> None:
            steps[name] = done
            self._display.left(pace.left(sum(steps.values()), total))
            self._display.job(self._doing + name, done, of)
            on_progress(name, done, of)

        for done in self._runner.run(todo, on_progress=progress):
            steps[done.job.name] = max(done.job.steps, 1)
            self._display.left(pace.left(sum(steps.values()), total))
            self._display.end(self._doing + done.job.name)
            self._on_done(done)
            yield done
        self._display.left(None)

    def close(self) -> None:
        """Let go of whatever carries the jobs out."""
        self._runner.close()
