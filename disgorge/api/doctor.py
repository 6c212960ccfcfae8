"""What this machine has and lacks for confined training; reads only."""

import platform
import shutil
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from disgorge.errors import ExecutionFailed
from disgorge.result import Result
from disgorge.training.sandbox import landlock
from disgorge.training.sandbox.installed import strays
from disgorge.training.sandbox.levels import Reached, reached
from disgorge.training.sandbox.namespace import bwrap, bwrap_version, package_folders
from disgorge.training.sandbox.nvidia import gpu, lacking
from lineage.errors import NoWorkspace
from lineage.plural import counted
from lineage.records import Json, plain
from lineage.shown import Attention, table
from lineage.workspace import Workspace

_LIBRARIES = ("torch", "mlflow", "dvc")
_SHARED = Path("/dev/shm")
_MEBIBYTE = 1 << 20
_LEAST_SHARED = 64 * _MEBIBYTE
"""Free bytes of shared memory below which loaders with several processes are known to fail."""
_SHOWN = 5
NO_KEY = "none yet; the first training makes it"


@dataclass(frozen=True, slots=True)
class Diagnosis(Result):
    """The level of confinement that jobs reach here, and what it rests on."""

    confinement: Reached
    python: str
    libraries: dict[str, str | None]
    """Versions of libraries; None where one is not installed."""
    bwrap: str | None
    """Version and path of the program that starts a box, None where there is none that is new enough."""
    landlock: int
    """The version of the kernel's Landlock, 0 without it."""
    gpu: dict[str, str] | None
    """Model and driver of the GPU that a job would be given, None without one."""
    shared_memory: tuple[int, int] | None
    """Free and all bytes of ``/dev/shm``."""
    strays: tuple[str, ...]
    """Files and links among the installed packages that no distribution lists."""
    signing_key: str | None
    """Whether this workspace has one, None outside of a workspace."""

    def plain(self) -> Json:
        """Return the fields, with the words that a report may use of this level."""
        return Result.plain(self) | {"confinement": plain(self.confinement) | {"words": self.confinement.words}}


def doctor(workspace: Workspace | None = None) -> Diagnosis:
    """Find what this machine has and lacks for confined training. Changes nothing."""
    confinement = reached()
    libraries = {name: _version(name) for name in _LIBRARIES}
    usage = shutil.disk_usage(_SHARED) if _SHARED.is_dir() else None
    shared = (usage.free, usage.total) if usage else None
    found = tuple(str(folder / path) for folder in package_folders() for path in strays(folder))
    try:
        program = f"{bwrap_version()} ({bwrap()})"
    except ExecutionFailed:
        program = None
    device = gpu()
    key = None
    if workspace is not None:
        key = "there" if (workspace.private.folder / "signing.pem").is_file() else NO_KEY
    rows = (
        ("confinement", confinement.words),
        ("why", confinement.why),
        ("to raise it", confinement.raise_by),
        ("python", f"{platform.python_version()} ({sys.executable})"),
        *((name, number or "not installed") for name, number in libraries.items()),
        ("bwrap", program or "not found"),
        ("Landlock", f"version {landlock.abi()}" if landlock.abi() else "not in this kernel"),
        ("GPU", f"{device.model or 'there'}, driver {device.driver or 'unknown'}" if device else lacking()),
        ("shared memory", f"{shared[0] // _MEBIBYTE} of {shared[1] // _MEBIBYTE} MiB free" if shared else "none"),
        ("signing key", key),
    )
    return Diagnosis(
        confinement,
        platform.python_version(),
        libraries,
        program,
        landlock.abi(),
        device.plain() if device else None,
        shared,
        found,
        key,
        shown=(table(rows=rows), *_attention(shared, found)),
    )


def workspace_here() -> Workspace | None:
    """Return the workspace that holds the current folder, None outside of one."""
    try:
        return Workspace.open()
    except NoWorkspace:
        return None


def _attention(shared: tuple[int, int] | None, found: tuple[str, ...]) -> list[Attention]:
    lines = []
    if shared is not None and shared[0] < _LEAST_SHARED:
        lines.append(
            f"{_SHARED} has {shared[0] // _MEBIBYTE} MiB free, and training with several processes may fail outside of "
            f"a box; delete what is left in it, or enlarge it (mount -o remount,size=1G {_SHARED})"
        )
    if found:
        more = f", and {counted(len(found) - _SHOWN, 'more')}" if len(found) > _SHOWN else ""
        lines.append(
            f"no installed distribution lists {', '.join(found[:_SHOWN])}{more}; jobs in a box do not see them, others "
            "do; delete them"
        )
    return [Attention(line) for line in lines]


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
