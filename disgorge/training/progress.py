"""How far long work has come: what a verb tells while it runs, and how long the rest will take."""

import time
from collections.abc import Callable


class Progress:
    """What a verb tells while it works; this one shows nothing, a display overrides what it draws."""

    def whole(self, words: str, *, done: int, total: int | None) -> None:
        """Take how far the whole has come; a total of None is not known."""

    def job(self, name: str, done: int, total: int) -> None:
        """Take how far one job has come. Of the shape that trainers call."""

    def end(self, name: str) -> None:
        """Take that a job is over."""

    def left(self, seconds: float | None) -> None:
        """Take how long the work under way will take yet, None where it is not known."""

    def say(self, text: str) -> None:
        """Take a line that stays."""


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
