"""Exclusive lock files: one process at a time appends facts, adds a shard, files a request, trains or removes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lineage.errors import LineageError, WorkspaceBusy

_FIRST, _POLL, _LATER_POLL = 0.1, 0.006, 0.0008
"""Seconds of first trying, between those tries, and between later ones: who waited longer tries more often."""


@contextmanager
def locked(path: Path, *, seconds: float, busy: str, again: bool = False) -> Iterator[None]:
    """Hold a lock file; :class:`WorkspaceBusy`, which says ``busy``, if another process keeps it that long.

    With ``again`` a thread that holds it may take it once more.
    """
    from filelock import FileLock, Timeout  # read on use: readers take no lock

    lock = FileLock(path, is_singleton=again)
    try:
        try:
            lock.acquire(timeout=min(_FIRST, seconds), poll_interval=_POLL)
        except Timeout:
            lock.acquire(timeout=max(seconds - _FIRST, 0.0), poll_interval=_LATER_POLL)
    except Timeout:
        raise WorkspaceBusy(busy) from None
    except OSError as problem:
        raise LineageError(f"{path}: cannot be locked ({problem.strerror}); is it writable?") from problem
    try:
        yield
    finally:
        lock.release()
