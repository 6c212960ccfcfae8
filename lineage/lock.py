"""Exclusive lock files: one process at a time appends facts, adds a shard, files a request, trains or removes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lineage.errors import LineageError, WorkspaceBusy

_POLL = 0.003  # seconds between tries: an append takes about as long


@contextmanager
def locked(path: Path, *, seconds: float, busy: str, again: bool = False) -> Iterator[None]:
    """Hold a lock file; :class:`WorkspaceBusy`, which says ``busy``, if another process keeps it that long.

    With ``again`` a thread that holds it may take it once more.
    """
    from filelock import FileLock, Timeout  # read on use: readers take no lock

    lock = FileLock(path, is_singleton=again)
    try:
        lock.acquire(timeout=seconds, poll_interval=_POLL)
    except Timeout:
        raise WorkspaceBusy(busy) from None
    except OSError as problem:
        raise LineageError(f"{path}: cannot be locked ({problem.strerror}); is it writable?") from problem
    try:
        yield
    finally:
        lock.release()
