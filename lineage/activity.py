"""What the program is doing at the moment, in words, for a display that shows it when nothing else is printed.

Long work names itself with :func:`activity` and may add with :func:`detail` how far it has come. Nothing is printed
here and nothing depends on it. The innermost activity is the one that is shown. It is kept for the main thread of a
process: work in other threads does not name itself.

>>> with activity("reading a.npz"):
...     detail("3 of 8 files")
...     [(doing.words, doing.detail) for doing in [current()]]
[('reading a.npz', '3 of 8 files')]
>>> current() is None
True
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(slots=True, eq=False)
class Activity:
    """Something that takes a while: what it is, as in "reading a.npz", how far it has come, and when it began."""

    words: str
    detail: str = ""
    began: float = field(default_factory=time.monotonic)


_under_way: list[Activity] = []


@contextmanager
def activity(words: str) -> Iterator[None]:
    """Say what is being done inside the block; as a decorator, inside the function."""
    doing = Activity(words)
    _under_way.append(doing)
    try:
        yield
    finally:
        _under_way.remove(doing)


def detail(words: str) -> None:
    """Say how far the innermost activity has come."""
    if _under_way:
        _under_way[-1].detail = words


def current() -> Activity | None:
    """Return the innermost activity, None if none is under way."""
    return _under_way[-1] if _under_way else None
