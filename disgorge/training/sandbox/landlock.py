"""A Landlock ruleset that lets this process open only its inputs and installed code, and reach no other process.

The second of the levels of confinement, where namespaces cannot be had. A process may read installed code and one
folder, in which its inputs were put, and may write to that folder alone. The kernel holds it to that, native libraries
too (Linux 5.13 and later; https://docs.kernel.org/userspace-api/landlock.html), which needs no privilege and cannot be
undone. What files have no part in, memory shared with other processes and sockets, is refused by
:mod:`disgorge.training.sandbox.seccomp`.

Where the kernel has none, nothing is confined and :func:`confine` says so. Not prevented: names, link targets, times
and attributes of any file on the machine can be read, for Landlock decides on opening; neither is a copy among the
installed code, nor what the process was told when it began.
"""

import os
import stat
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from disgorge.training.sandbox.nvidia import device_nodes, driver_libraries
from disgorge.training.sandbox.seccomp import refuse_calls

if TYPE_CHECKING:
    from landlockpy import AccessFS, Ruleset

_OF_THE_KERNEL = ("self", "cpuinfo", "meminfo", "stat", "version", "filesystems", "sys")
"""Below ``/proc``. Not the folders of other processes, which tell what these were started with."""
OURS = ("disgorge", "lineage", "policies")
"""This program's own packages."""
KEPT = (".disgorge", "shards", "reports", "mlruns", "mlartifacts")
"""Folders in which a workspace keeps data, never code, though a file in one may make Python take it for a package."""
_SYSTEM = ("/lib", "/lib32", "/lib64", "/bin", "/sbin", "/etc", "/sys", *(f"/proc/{name}" for name in _OF_THE_KERNEL))
_OF_AN_INSTALLATION = ("bin", "sbin", "lib", "lib32", "lib64", "libexec", "share", "etc", "ssl", "pyvenv.cfg")
"""What is code below /usr and Python's prefixes; people keep other things there as well."""
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
"""Below ``/dev``. Not shared memory, where a copy could lie: loaders that share memory between processes fail."""
_OF_A_GPU = ("/proc/driver", "/proc/devices")
"""What its driver's library reads besides."""


def abi() -> int:
    """Return the version of this kernel's Landlock, 0 where it has none."""
    if sys.platform != "linux":
        return 0
    try:
        import landlockpy
    except ImportError:
        return 0
    return landlockpy.abi_version()


def confine(folder: Path, *, hidden: Path, gpu: bool = False) -> bool:
    """Allow this process, from now on, to read installed code and ``folder``, and to write to ``folder`` alone.

    Returns whether that holds, and hides ``hidden`` but for what of it is ``folder`` or code: it does not where a whole
    installation lies above it. It is for good, for whatever this process starts too. With ``gpu`` it may use the device
    nodes of GPUs as well.
    """
    code = list(_code())
    if abi() < 1 or any(hidden.resolve().is_relative_to(path.resolve()) for path in code):
        return False
    from landlockpy import AccessFS, LandlockError, Ruleset

    read = AccessFS.EXECUTE | AccessFS.READ_FILE | AccessFS.READ_DIR
    device = read | AccessFS.WRITE_FILE | AccessFS.IOCTL_DEV
    try:
        with Ruleset() as rules:
            allowed = [(path, read) for path in code]
            allowed += [(Path("/dev", name), device) for name in _DEVICES]
            if gpu:
                allowed += [(path, device) for path in device_nodes()]
                allowed += [(path, read) for path in (*map(Path, _OF_A_GPU), *driver_libraries())]
                allowed += [(Path("/proc/self/task"), read | AccessFS.WRITE_FILE)]  # it names its threads
            allowed += [(path, AccessFS.READ_DIR) for path in _searched() if path.is_dir()]
            for path, access in (*allowed, (folder, rules.handled_fs)):
                _allow(rules, path, access)
            rules.restrict()
    except (LandlockError, OSError):
        return False
    return refuse_calls(gpu=gpu)


def _allow(rules: "Ruleset", path: Path, access: "AccessFS") -> None:
    """Add one rule; what is not there needs none."""
    from landlockpy import AccessFS

    try:
        is_folder = stat.S_ISDIR(os.stat(path).st_mode)
    except OSError:
        return
    of_a_file = AccessFS.EXECUTE | AccessFS.WRITE_FILE | AccessFS.READ_FILE | AccessFS.TRUNCATE | AccessFS.IOCTL_DEV
    rules.allow_path(path, access if is_folder else access & of_a_file)


def _code() -> Iterator[Path]:
    """Yield what Python may import or load: whole installations, and of other folders our own packages."""
    yield from map(Path, _SYSTEM)
    for prefix in {"/usr", "/usr/local", sys.prefix, sys.base_prefix, sys.exec_prefix}:
        yield from (Path(prefix) / name for name in _OF_AN_INSTALLATION)
    yield from (Path(path) for path in os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep) if path)
    for entry in (*_searched(), Path(__file__).absolute().parents[3]):
        if entry.name in ("site-packages", "dist-packages"):
            yield entry
        else:
            yield from (entry / name for name in OURS)


def _searched() -> Iterable[Path]:
    """Return the folders and archives that Python searches for modules."""
    return [path for path in dict.fromkeys(Path(entry or ".").absolute() for entry in sys.path) if path.exists()]
