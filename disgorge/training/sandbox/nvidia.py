"""NVIDIA GPUs of this machine: device nodes, libraries of the driver, model and version; CUDA is not started.

A process that has started CUDA can no longer fork and holds memory on the device, so the one that plans, judges and
signs only looks at files and asks ``nvidia-smi``. A job whose recipe names the device :data:`DEVICE` is given the
nodes, and nobody else is. Nodes are not made here: what lacks one says by which command it is.

Which nodes, files and calls CUDA needs was read in NVIDIA's documents; ``python -m benchmarks.gpu`` tries it.

>>> driver_of("NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024")
'550.54.15'
"""

import csv
import os
import re
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

DEVICE = "cuda"
"""How a recipe names the GPU that a job is given."""
SHARED = "given a GPU: devices are shared, and residues on the device are not excluded"
"""A gap at every level: memory of a device outlives the process that wrote it."""
STEERING = ("CUDA_VISIBLE_DEVICES",)
"""Variables of this shell that jobs get too: which of several GPUs they see."""
ENVIRON = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_CACHE_PATH": "/tmp/.nv"}
"""Variables of a job: GPUs numbered as ``nvidia-smi`` numbers them, and compiled kernels kept where the job ends."""

_NODES = ("nvidiactl", "nvidia[0-9]*", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-caps/*")
_FIRST, _MEMORY = "nvidiactl", "nvidia-uvm"
_LIBRARY, _LIBRARIES = "libcuda.so.1", ("libcuda*.so*", "libnvidia-*.so*")
_ELSEWHERE = ("/usr/local/nvidia/lib64", "/usr/local/nvidia/lib", "/run/opengl-driver/lib")
_BOUND = ("/usr/lib", "/usr/lib32", "/usr/lib64", "/lib", "/lib32", "/lib64")
"""Folders of libraries that a box has anyway."""
_ASK = ("nvidia-smi", "--query-gpu=index,uuid,name,driver_version", "--format=csv,noheader")
_SECONDS = 60
_VERSION = re.compile(r"^NVRM version:.*?\s(\d+(?:\.\d+)+)\s", re.MULTILINE)
_TOLD = Path("/proc/driver/nvidia/version")


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU as its driver names it: model, "" where that is not told, and the driver's version."""

    model: str
    driver: str

    def plain(self) -> dict[str, str]:
        """Return what an environment says of it."""
        return {name: value for name, value in (("model", self.model), ("driver", self.driver)) if value}


def device_nodes(dev: Path = Path("/dev")) -> list[Path]:
    """Return the device nodes of NVIDIA's GPUs that there are."""
    return sorted({path for pattern in _NODES for path in dev.glob(pattern) if not path.is_dir()})


def lacking(dev: Path = Path("/dev"), environ: Mapping[str, str] = os.environ) -> str:
    """Return why no job can be given a GPU here, "" where one can."""
    if not (dev / _FIRST).exists():
        return f"this machine has no NVIDIA GPU, or its driver is not loaded ({dev / _FIRST} is missing)"
    if not (dev / _MEMORY).exists():
        return f"{dev / _MEMORY} is missing, and jobs cannot make it; run `nvidia-modprobe -u -c=0`"
    if environ.get(STEERING[0], "0") in ("", "-1"):
        return f"{STEERING[0]} hides every GPU; unset it, or name one"
    return ""


def gpu() -> Gpu | None:
    """Return the GPU that a job sees first, None where no job can be given one."""
    return None if lacking() else _gpu(os.environ.get(STEERING[0], "0"))


@cache
def _gpu(visible: str) -> Gpu:
    """Return what is told of the first of the visible GPUs, asked once a process."""
    try:
        ran = subprocess.run(_ASK, capture_output=True, text=True, timeout=_SECONDS, check=False)
        found = gpu_of(ran.stdout, visible) if ran.returncode == 0 else None
    except (OSError, subprocess.SubprocessError):
        found = None
    if found is not None:
        return found
    try:
        return Gpu("", driver_of(_TOLD.read_text(encoding="utf-8", errors="replace")))
    except OSError:
        return Gpu("", "")


def gpu_of(told: str, visible: str) -> Gpu | None:
    """Return the first visible GPU of those that ``nvidia-smi`` lists; None where it lists none.

    ``visible`` is a value of CUDA_VISIBLE_DEVICES: numbers, or beginnings of ids. Where it names another, such as a
    part of a GPU, the model is not told.

    >>> told = "0, GPU-5e3b, NVIDIA H100 80GB HBM3, 550.54.15"
    >>> gpu_of(told, "GPU-5e"), gpu_of(told, "MIG-7a").model
    (Gpu(model='NVIDIA H100 80GB HBM3', driver='550.54.15'), '')
    """
    rows = [row for row in csv.reader(told.splitlines(), skipinitialspace=True) if len(row) == 4]
    first = visible.partition(",")[0].strip()
    for index, uuid, name, driver in rows:
        if first == index or (first.startswith("GPU-") and uuid.startswith(first)):
            return Gpu(name, driver)
    return Gpu("", rows[0][3]) if rows else None


def driver_of(told: str) -> str:
    """Return the version in the text of ``/proc/driver/nvidia/version``, "" where it names none."""
    found = _VERSION.search(told)
    return found[1] if found else ""


def driver_libraries(environ: Mapping[str, str] = os.environ, elsewhere: Iterable[str] = _ELSEWHERE) -> list[Path]:
    """Return the driver's libraries where they lie outside of the system's folders, of which a box has the whole.

    Single files and no folder, because LD_LIBRARY_PATH may name one with other things in it.
    """
    named = [path for path in environ.get("LD_LIBRARY_PATH", "").split(os.pathsep) if os.path.isabs(path)]
    for folder in map(Path, (*named, *elsewhere)):
        if (folder / _LIBRARY).is_file():
            if any(folder.resolve().is_relative_to(bound) for bound in _BOUND):
                return []
            return sorted({path for pattern in _LIBRARIES for path in folder.glob(pattern) if path.is_file()})
    return []


def variables(scratch: str = "", environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the variables of a job that is given a GPU, compiled kernels kept in ``scratch`` where that is given."""
    found = ENVIRON | {name: environ[name] for name in STEERING if name in environ}
    found |= {"CUDA_CACHE_PATH": scratch} if scratch else {}
    libraries = driver_libraries(environ)
    return found | ({"LD_LIBRARY_PATH": str(libraries[0].parent)} if libraries else {})
