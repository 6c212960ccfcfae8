"""What a process says on a pipe, until it ends: a child of its own that stays may hold the pipe open for good."""

import os
import select
import subprocess

_LOOK = 200
"""Milliseconds between two looks whether a silent process is still there."""
_AT_ONCE = 1 << 20


class Output:
    """The bytes of a process's standard output, in the order they came; use with ``contextlib.closing``."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        self._process = process
        self._descriptor = os.dup(process.stdout.fileno())  # whoever stops the process closes that one
        self._poll = select.poll()
        self._poll.register(self._descriptor, select.POLLIN | select.POLLHUP)
        self._unread = bytearray()

    def close(self) -> None:
        """Let go of the pipe."""
        os.close(self._descriptor)

    def readline(self, most: int) -> bytes:
        """Return the next line, what there is of one where the process ended, or the first ``most`` bytes of one."""
        while (end := self._unread.find(b"\n", 0, most)) < 0 and len(self._unread) < most and self._more():
            continue
        return self._take(end + 1 if end >= 0 else min(most, len(self._unread)))

    def read(self, size: int) -> bytes:
        """Return so many bytes, fewer where the process ended."""
        while len(self._unread) < size and self._more():
            continue
        return self._take(min(size, len(self._unread)))

    def _take(self, size: int) -> bytes:
        taken = bytes(self._unread[:size])
        del self._unread[:size]
        return taken

    def _more(self) -> bool:
        """Wait for more; whether there was any. What a process wrote before it ended is read to the end."""
        ended = False
        while not self._poll.poll(0 if ended else _LOOK):
            if ended:
                return False
            ended = self._process.poll() is not None
        data = os.read(self._descriptor, _AT_ONCE)
        self._unread += data
        return bool(data)
