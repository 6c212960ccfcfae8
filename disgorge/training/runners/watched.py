"""A runner whose jobs are shown while they run."""

from collections.abc import Callable, Iterable, Iterator

from disgorge.training.progress import Pace, Progress
from disgorge.training.recipe import Done, Job, OnProgress, Runner, no_more, trains, unseen
from lineage.plural import seconds


class Watched:
    """A runner whose jobs are shown: it passes everything on, and says when a job is done.

    ``did`` is said of a job that is done, ``doing`` stands before the names of running ones. ``total`` counts the steps
    of all jobs of a longer work, of which each run is a part; it is shown as that.
    """

    def __init__(
        self, runner: Runner, progress: Progress, *, did: str = "trained", doing: str = "", total: int | None = None
    ) -> None:
        self._runner = runner
        self._progress = progress
        self._did = did
        self._doing = doing
        self._total = total
        self._steps: dict[str, int] = {}
        self._pace = Pace()
        self._show(total or 0)

    def run(
        self, jobs: Iterable[Job], *, on_progress: OnProgress = unseen, more: Callable[[], Iterable[Job]] = no_more
    ) -> Iterator[Done]:
        """Yield each job as it is done."""
        if self._total is None:
            self._steps, self._pace = {}, Pace()
        total = self._total or 0

        def counted(jobs: Iterable[Job]) -> list[Job]:
            nonlocal total
            taken = list(jobs)
            total += 0 if self._total else sum(max(job.steps, 1) for job in taken)
            return taken

        def progress(name: str, done: int, of: int) -> None:
            self._steps[name] = done
            self._show(total)
            self._progress.job(self._doing + name, done, of)
            on_progress(name, done, of)

        for done in self._runner.run(counted(jobs), on_progress=progress, more=lambda: counted(more())):
            if self._total is None or trains(done.job.recipe):  # a question is none of the steps of a whole
                self._steps[done.job.name] = max(done.job.steps, 1)
            self._show(total)
            self._progress.end(self._doing + done.job.name)
            if trains(done.job.recipe):
                self._progress.say(f"{self._did} {done.job.name} in {seconds(done.seconds)}")
            yield done
        self._progress.left(None)

    def _show(self, total: int) -> None:
        done = sum(self._steps.values())
        if self._total is not None:
            self._progress.whole("training", done=done, total=total)
        self._progress.left(self._pace.left(done, total) if self._steps else None)

    def close(self) -> None:
        """Let go of whatever carries the jobs out."""
        self._runner.close()
