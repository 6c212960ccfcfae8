"""A process for one job alone, born of one that has seen no job.

What is re-executed must not find in memory what another job left there: the items it read, the weights it made. So each
job gets a process of its own. Starting Python and torch takes seconds; so it is a copy of a process that has installed
libraries in memory, those that the jobs so far turned out to use, and nothing else: no plug-in, no data, no weights.

Where a process cannot be copied (Windows), jobs share one, and are not confined either.
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

from disgorge.confine import confine

FOLDERS = ("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "HF_HOME", "TORCH_HOME")
"""Variables that say where programs keep things between runs."""

_LIBRARY = re.compile(r"(torch|numpy|diffusers|scipy|safetensors|pyarrow)(\.[A-Za-z0-9_]+)*")
"""What may be kept in memory for later jobs, whatever a job says it used."""
_END_WITH_PARENT = 1  # of prctl: PR_SET_PDEATHSIG


def bear(folder: Path, *, hidden: Path, work: Callable[[bool], None]) -> bool:
    """Have ``work`` done by a new process, wait until it ended, and return whether it ended well.

    It sees ``folder`` and installed code, not the workspace that is ``hidden``; ``work`` is told whether that is so.
    """
    if not hasattr(os, "fork"):
        work(False)
        return True
    child = os.fork()
    if child == 0:
        _live(folder, hidden, work)
    return os.waitpid(child, 0)[1] == 0


def _live(folder: Path, hidden: Path, work: Callable[[bool], None]) -> None:
    """Be the new process: let go of what the old one had, do the work, and end."""
    code = 1
    try:
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_END_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.chdir(folder)
        os.environ.update(dict.fromkeys(FOLDERS, str(folder)))
        tempfile.tempdir = None
        work(confine(folder, hidden=hidden))
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def libraries_in_use() -> list[str]:
    """Return the modules of installed libraries in memory that may be there for later jobs too."""
    return [name for name in sys.modules if _LIBRARY.fullmatch(name)]


def remember(libraries: Iterable[str]) -> None:
    """Import what earlier jobs used, where it is a library that may be, so that the next one has it in memory."""
    for name in libraries:
        if name not in sys.modules and _LIBRARY.fullmatch(name):
            try:
                importlib.import_module(name)
            except Exception:
                continue
