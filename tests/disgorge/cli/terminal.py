"""Python code run on a terminal of its own."""

import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

COMMAND = "from disgorge.cli import main; main()"
"""The program, which takes what is typed after its name."""


def on_a_terminal(
    code: str, *arguments: str, cwd: Path | None = None, interrupt_after: float | None = None
) -> tuple[str, float]:
    """Return what code drew, and the longest time in which it drew nothing, once begun.

    ``interrupt_after`` presses Ctrl-C that many seconds after the beginning, once a sign of life was drawn.
    """
    leader, follower = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=follower, stderr=follower, stdin=follower, cwd=cwd,
        env=os.environ | {"COLUMNS": "120", "TERM": "xterm"},
    )  # fmt: skip
    os.close(follower)
    drawn, longest, last, began = b"", 0.0, None, time.monotonic()
    while True:
        if interrupt_after is not None and b"still" in drawn and time.monotonic() - began > interrupt_after:
            child.send_signal(signal.SIGINT)
            interrupt_after = None
        ready, _, _ = select.select([leader], [], [], 0.1)
        if not ready:
            if child.poll() is not None:
                break
            continue
        try:
            part = os.read(leader, 1 << 16)
        except OSError:  # the child has closed it
            break
        if not part:
            break
        now = time.monotonic()
        longest = max(longest, now - last) if last is not None else 0.0
        drawn, last = drawn + part, now
    os.close(leader)
    child.wait()
    return drawn.decode(), longest
