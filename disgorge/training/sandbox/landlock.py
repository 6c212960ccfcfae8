"""A Landlock ruleset that lets this process open only its inputs and installed code, and reach no other process.

What is re-executed must come from its inputs. A copy of the old weights kept in a cache, a temporary folder or the
object store would let a method reach the recorded bytes without the data, so a re-executing process may read installed
code and one folder, in which its inputs were put, and may write to that folder alone. The kernel holds it to that,
native libraries too: Landlock (Linux 5.13 and later; https://docs.kernel.org/userspace-api/landlock.html), which needs
no privilege and cannot be undone. What files have no part in, memory shared with other processes and sockets, is
refused by :mod:`disgorge.training.sandbox.seccomp`.

Where the kernel has none, nothing is confined and :func:`confine` says so. Not prevented anywhere: a copy among the
installed code, and what the process was told when it began.
"""

import ctypes
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from disgorge.training.sandbox.seccomp import refuse_calls

_CREATE, _ADD, _RESTRICT = 444, 445, 446  # system calls, under the same numbers on every architecture
_VERSION = 1
_PATH_BENEATH = 1
_NO_NEW_PRIVILEGES = 38  # of prctl

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_TRUNCATE = 1 << 14
_OF_A_FILE = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE
_ALL = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1}
"""Every access to files there is, by version of the interface; later ones add none that matters here."""
_NETWORK = 0b11  # to bind and to connect over TCP, from version 4 on
_NETWORK_SINCE = 4

_OF_THE_KERNEL = ("self", "cpuinfo", "meminfo", "stat", "version", "filesystems", "sys")
"""Below ``/proc``. Not the folders of other processes, which tell what these were started with."""
_KEPT = (".disgorge", "shards", "reports", "mlruns", "mlartifacts")
"""Folders in which a workspace keeps data, never code, though a file in one may make Python take it for a package."""
_SYSTEM = ("/lib", "/lib32", "/lib64", "/bin", "/sbin", "/etc", "/sys", *(f"/proc/{name}" for name in _OF_THE_KERNEL))
_OF_AN_INSTALLATION = ("bin", "sbin", "lib", "lib32", "lib64", "libexec", "share", "etc", "ssl", "pyvenv.cfg")
"""What is code below /usr and Python's prefixes; people keep other things there as well."""
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty", "nvidia*", "nvidia-caps/*", "dri/*", "kfd")
"""Below ``/dev``. Not shared memory, where a copy could lie: loaders that share memory between processes fail."""


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64))


class _Rule(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("folder", ctypes.c_int32))


def confine(folder: Path, *, hidden: Path) -> bool:
    """Allow this process, from now on, to read installed code and ``folder``, and to write to ``folder`` alone.

    Returns whether that holds, and hides ``hidden`` but for what of it is ``folder`` or code: it does not where a whole
    installation lies above it. It is for good, for whatever this process starts too.
    """
    code = list(_code(hidden))
    if sys.platform != "linux" or any(hidden.resolve().is_relative_to(path.resolve()) for path in code):
        return False
    kernel = ctypes.CDLL(None, use_errno=True)
    version = kernel.syscall(_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION))
    if version < 1:
        return False
    every = _ALL[min(version, max(_ALL))]
    networked = version >= _NETWORK_SINCE
    wanted = _Ruleset(every, _NETWORK if networked else 0)
    size = ctypes.sizeof(wanted) if networked else ctypes.sizeof(ctypes.c_uint64)
    rules = kernel.syscall(_CREATE, ctypes.byref(wanted), ctypes.c_size_t(size), ctypes.c_uint32(0))
    if rules < 0:
        return False
    try:
        read = _EXECUTE | _READ_FILE | _READ_DIR
        allowed = [(path, read) for path in code]
        allowed += [(path, read | _WRITE_FILE) for name in _DEVICES for path in Path("/dev").glob(name)]
        allowed += [(path, _READ_DIR) for path in _searched()]
        if not all(_allow(kernel, rules, *each, every) for each in (*allowed, (folder, every))):
            return False
        alone = kernel.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) == 0
        return bool(alone and kernel.syscall(_RESTRICT, rules, ctypes.c_uint32(0)) == 0) and refuse_calls()
    finally:
        os.close(rules)


def _allow(kernel: ctypes.CDLL, rules: int, path: Path, access: int, every: int) -> bool:
    """Add one rule; what is not there needs none."""
    try:
        opened = os.open(path, os.O_PATH | os.O_CLOEXEC)  # type: ignore[attr-defined,unused-ignore]  # Linux has it
    except OSError:
        return True
    try:
        rule = _Rule(access & every & (-1 if path.is_dir() else _OF_A_FILE), opened)
        return bool(kernel.syscall(_ADD, rules, _PATH_BENEATH, ctypes.byref(rule), ctypes.c_uint32(0)) == 0)
    finally:
        os.close(opened)


def _code(hidden: Path) -> Iterator[Path]:
    """Yield what Python may import or load: whole installations, and of other folders nothing but code."""
    yield from map(Path, _SYSTEM)
    for prefix in {"/usr", "/usr/local", sys.prefix, sys.base_prefix, sys.exec_prefix}:
        yield from (Path(prefix) / name for name in _OF_AN_INSTALLATION)
    yield from (Path(path) for path in os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep) if path)
    for finder in sys.meta_path:  # of packages that are installed to be edited
        mapped = getattr(sys.modules.get(getattr(finder, "__module__", "")), "MAPPING", {})
        yield from (Path(place) for place in mapped.values())
    for entry in _searched():
        if entry.name in ("site-packages", "dist-packages"):
            yield entry
        else:
            yield from (path for path in _modules(entry) if not _is_kept(path, hidden))


def _is_kept(path: Path, workspace: Path) -> bool:
    """Whether a path is one of the folders in which a workspace keeps things, whatever lies in them beside."""
    return path.name in _KEPT and path.parent.resolve() == workspace.resolve()


def _searched() -> Iterable[Path]:
    """Return the folders and archives that Python searches for modules."""
    return [path for path in dict.fromkeys(Path(entry or ".").absolute() for entry in sys.path) if path.exists()]


def _modules(entry: Path) -> Iterator[Path]:
    """Yield the modules and packages of a folder, and what describes them; of an archive, the archive."""
    if entry.is_file():
        yield entry
        return
    for path in entry.iterdir():
        if path.suffix in (".dist-info", ".egg-info") or (path / "__init__.py").is_file():
            yield path
        elif path.suffix in (".py", ".pyc", ".so") and path.is_file():
            yield path
        elif path.name == "__pycache__":
            yield path
