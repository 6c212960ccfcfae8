"""Progress of long work: bars on a terminal, a line per finished thing elsewhere.

Bars go to standard error, so that output can be piped away from them. One bar is for the whole, one line for every job
that runs at the moment. How long the jobs under way will take yet is estimated from how long their steps took so far;
the heartbeat (:mod:`disgorge.cli.output.heartbeat`) says the same where there are no bars.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from disgorge.api import Pace, Progress
from disgorge.cli.output import tables as show
from disgorge.cli.output.errors import RUNNING
from lineage.activity import current, detail
from lineage.plural import seconds as seconds_words


def _left_words(seconds: float | None) -> str:
    return "" if seconds is None else f"about {seconds_words(seconds, whole=True)} left"


class Display(Progress):
    """The display without a terminal: prints what is said to it, and no progress.

    ``quiet`` keeps it from saying anything, for output that is JSON.
    """

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet
        self._left = ""
        self._paces: dict[str, Pace] = {}

    def job(self, name: str, done: int, total: int) -> None:
        """Take how far one job has come. Of the shape that trainers call."""
        own = _left_words(self._paces.setdefault(name, Pace()).left(done, total))
        detail(", ".join(filter(None, (f"{name}, step {done:,} of {total:,}", self._left or own))))

    def end(self, name: str) -> None:
        """Take that a job is over."""
        self._paces.pop(name, None)
        detail(self._left)

    def left(self, seconds: float | None) -> None:
        """Take how long the work under way will take yet, None where that is unknown."""
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
    from rich.progress import BarColumn, MofNCompleteColumn, Task, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Drawn
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
    with Drawn(*columns, console=console, transient=True, redirect_stdout=False) as progress:
        yield Bars(progress, quiet=quiet)
