"""Says what a command is doing whenever it has printed nothing for a while, so that it is never silent for long.

On a terminal that is a line at the bottom, drawn anew every second and erased before anything else is printed and when
the command ends, however it ends. In a log it is a line that stays, every :data:`IN_A_LOG` seconds of silence. Both go
to standard error alone: what a command prints on standard output is not touched.

It runs in a thread of its own and hears of output because standard output and error are wrapped while it runs. Negative
consequence: what a child process writes straight to the terminal is not heard, and lands behind the line.
"""

import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event, RLock, Thread
from typing import Any, TextIO

from lineage.activity import current

ON_A_TERMINAL, IN_A_LOG = 2.0, 20.0
"""Seconds of silence before something is said; half of what a user is promised, as a busy machine answers late."""
_REDRAWN = 1.0
"""Seconds after which the line on a terminal is drawn anew."""
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_ERASE = "\r\x1b[2K"


class _Heard:
    """A wrapper around a stream that reports each write to the heartbeat."""

    def __init__(self, stream: TextIO, heartbeat: "Heartbeat") -> None:
        self._stream = stream
        self._heartbeat = heartbeat

    def write(self, text: str) -> int:
        """Write to the stream, the heartbeat's line erased first."""
        with self._heartbeat.interrupted(self._stream, text):
            return self._stream.write(text)

    def writelines(self, lines: Any) -> None:
        """Write line after line."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class Heartbeat:
    """Prints to ``err`` what is being done after ``silence`` seconds without output."""

    def __init__(
        self,
        err: TextIO,
        *,
        silence: float | None = None,
        redrawn: float = _REDRAWN,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._err = err
        self._terminal = err.isatty()
        self._silence = silence or (ON_A_TERMINAL if self._terminal else IN_A_LOG)
        self._transient = self._terminal and os.environ.get("TERM") != "dumb"
        self._redrawn = redrawn
        self._clock = clock
        self._last = clock()
        self._drawn = False
        self._at_start = True  # of a line
        self._lock = RLock()

    @contextmanager
    def interrupted(self, stream: TextIO, text: str) -> Iterator[None]:
        """Let something else be written to a stream, and begin to count anew."""
        with self._lock:
            self._erase()
            yield
            visible = _CONTROL.sub("", text)
            if visible and (stream is self._err or (self._terminal and stream.isatty())):
                self._at_start = visible.endswith(("\n", "\r"))
            if visible.strip():
                self._last = self._clock()

    def beat(self) -> None:
        """Say what is being done, if nothing was printed for long enough."""
        with self._lock:
            if self._clock() - self._last < self._silence:
                return
            words = self._words()
            if not self._at_start:
                self._err.write("\n")
                self._at_start = True
            if self._transient:
                width = shutil.get_terminal_size().columns - 1
                self._err.write(_ERASE + words[:width])
                self._drawn = True
            else:
                self._err.write(f"{words}\n")
                self._last = self._clock()
            self._err.flush()

    def wait(self, over: Event) -> None:
        """Beat until it is over; a stream that takes no more ends it."""
        with suppress(OSError, ValueError):
            while not over.wait(max(self._silence - (self._clock() - self._last), self._redrawn)):
                self.beat()

    def stop(self) -> None:
        """Erase the line, if one is drawn."""
        with self._lock, suppress(OSError, ValueError):
            self._erase()
            self._err.flush()

    def _erase(self) -> None:
        if self._drawn:
            self._err.write(_ERASE)
            self._drawn = False

    def _words(self) -> str:
        from lineage.plural import seconds
        from lineage.printable import printable

        doing = current()
        if doing is None:
            return "still at work"
        how_far = f": {printable(doing.detail)}" if doing.detail else ""
        return f"still {printable(doing.words)}{how_far} ({seconds(time.monotonic() - doing.began, whole=True)} so far)"


@contextmanager
def heartbeat(*, silence: float | None = None, redrawn: float = _REDRAWN) -> Iterator[None]:
    """Say inside the block what is being done whenever nothing was printed for ``silence`` seconds."""
    out, err = sys.stdout, sys.stderr
    if out is None or err is None:  # a program without streams
        yield
        return
    beating, over = Heartbeat(err, silence=silence, redrawn=redrawn), Event()
    heard = _Heard(out, beating), _Heard(err, beating)
    sys.stdout, sys.stderr = heard
    thread = Thread(target=beating.wait, args=(over,), name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        beating.stop()
        thread.join(timeout=_REDRAWN)
        beating.stop()
        if sys.stdout is heard[0]:
            sys.stdout = out
        if sys.stderr is heard[1]:
            sys.stderr = err
