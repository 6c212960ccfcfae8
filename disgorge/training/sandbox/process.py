"""A process for one job alone, forked from one that has seen no job.

What is re-executed must not find in memory what another job left there: the items it read, the weights it made. So each
job gets a process of its own. Starting Python and torch takes seconds; so it is a fork of a process that has installed
libraries in memory, those that the methods name, and nothing else: no plug-in, no data, no weights. The libraries are
loaded before the fork is confined: loaded afterwards they might not find what they look for in ``/proc``.

Where a process cannot be forked (Windows), jobs share one, and are not confined either.
"""

import ctypes
import importlib
import os
import re
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

from disgorge.training.sandbox.landlock import confine

FOLDERS = ("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "HF_HOME", "TORCH_HOME")
"""Variables that say where programs keep things between runs."""

_LIBRARY = re.compile(r"(torch|numpy|diffusers|transformers|scipy|safetensors|pyarrow)(\.[A-Za-z0-9_]+)*")
"""What may be kept in memory for every job, whatever a method names."""
_END_WITH_PARENT = 1  # of prctl: PR_SET_PDEATHSIG

Work = Callable[[int, bool], None]
"""Does a job: is given the descriptor to answer on, and whether it is confined."""


def can_fork() -> bool:
    """Whether this system can fork a process."""
    return hasattr(os, "fork")


def fork_job(work: Work, *, folder: Path | None, hidden: Path | None) -> tuple[int, BinaryIO]:
    """Have ``work`` done by a new process; return its id and what it answers, which ends when it does.

    With ``folder`` it sees that folder and installed code, and not the workspace that is ``hidden``.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _live(work, writing, folder, hidden)
    os.close(writing)
    return child, os.fdopen(reading, "rb")


def _live(work: Work, pipe: int, folder: Path | None, hidden: Path | None) -> None:
    """Be the new process: let go of what the old one had, do the work, and end."""
    code = 1
    try:
        os.setsid()  # whatever it starts ends with it
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_END_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.dup2(2, 1)
        os.close(nothing)
        _close_others(keep=pipe)
        confined = False
        if folder is not None and hidden is not None:
            os.chdir(folder)
            os.environ.update(dict.fromkeys(FOLDERS, str(folder)))
            confined = confine(folder, hidden=hidden)
        tempfile.tempdir = None
        work(pipe, confined)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _close_others(*, keep: int) -> None:
    """Close inherited file descriptors, other jobs' pipes among them."""
    for name in os.listdir("/dev/fd") if os.path.isdir("/dev/fd") else ():
        if int(name) > 2 and int(name) != keep:
            try:
                os.close(int(name))
            except OSError:
                continue


def preload(modules: Iterable[str]) -> None:
    """Import what a method names, where it is a library that every job may have in memory."""
    for name in modules:
        if name not in sys.modules and _LIBRARY.fullmatch(name):
            try:
                importlib.import_module(name)
            except Exception:
                continue
