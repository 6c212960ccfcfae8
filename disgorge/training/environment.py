"""The environment that a part was trained in, as far as its bits depend on it.

A recipe is what was asked; an environment is what it ran on: versions of the libraries *that its method uses*, the
interpreter, the processor, the kernels that torch's libraries took and the variables that steer that choice. Equal
recipes give equal bits in equal environments. So a finished part is reused only where both are equal, and where bits
differ in an environment that differs, that is a finding about the machine and none about the removal.

An environment also names, by the digest of their RECORD, all distributions that a job was seen to load
(:mod:`disgorge.training.code.distributions`). They say what ran and decide nothing here: an upgrade of what was merely
loaded makes no part unusable. A method whose bits depend on a library declares it in ``libraries``.

Where the recipe's device is a GPU, ``gpu`` names its model, the driver, and the versions of CUDA and cuDNN.
"""

import os
import platform
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from disgorge.training.kernels import chosen, in_use, is_unusable, of_libraries
from disgorge.training.sandbox.nvidia import gpu
from disgorge.training.torch_settings import gpu_in_use
from lineage.records import Component, Json

DECIDES_BITS = ("machine", "system", "processor", "python", "libraries", "kernels", "variables", "gpu")
"""What of an environment may decide bits: where one of these differs, other bits are no finding by themselves."""
UNREPEATED = "it was trained with `deterministic: false`, which promises no equal bits"
"""Why other bits of a part are no finding, whatever the environment."""
_AS_TOLD = ("libraries", "gpu")
"""What this process need not know the whole of: what it does not name is not compared."""
_BROUGHT_BY = {
    "sklearn": "scikit-learn", "skimage": "scikit-image", "PIL": "pillow", "cv2": "opencv-python", "yaml": "PyYAML",
    "bs4": "beautifulsoup4", "dateutil": "python-dateutil", "faiss": "faiss-cpu",
}  # fmt: skip
"""Modules whose distribution has another name. One that is missing here is named among the distributions alone."""
_KNOWN = ("torch", "numpy", "diffusers", "transformers", "scipy")
"""The libraries whose versions are named where no method is there to say which it uses."""


def environment(libraries: Iterable[str] = _KNOWN) -> dict[str, Json]:
    """Return what this machine is and which of these libraries are installed; loads none of them.

    ``libraries`` are names of modules, of which the first part names the library.
    """
    return {
        "libraries": library_versions(libraries),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "system": platform.system(),
        "processor": processor(),
    }


def environment_in_use(libraries: Iterable[str], *, given: Mapping[str, Json] | None = None) -> dict[str, Json]:
    """Return the environment of what was trained in this very process, its kernels read back.

    ``given`` is the GPU that the job was given, as this machine names it; None without one.
    """
    names = tuple(library_versions(libraries))
    kernels = in_use() if "torch" in names else {}
    found = environment(names) | {"kernels": kernels, "variables": of_libraries(os.environ, names)}
    return found if given is None else found | {"gpu": gpu_in_use() | dict(given)}


def library_versions(modules: Iterable[str]) -> dict[str, str]:
    """Return the installed versions of the libraries these modules are of, read from metadata without importing."""
    found: dict[str, str] = {}
    for name in sorted({module.partition(".")[0] for module in modules}):
        try:
            found[name] = version(_BROUGHT_BY.get(name, name))
        except PackageNotFoundError:
            continue
    return found


def can_be_reused(component: Component, libraries: Iterable[str]) -> bool:
    """Whether training a part here would happen in the environment that it was recorded with."""
    return bool(component.environment) and not unlike_here(component.environment, libraries)


def unlike_here(recorded: Mapping[str, Json], libraries: Iterable[str]) -> tuple[str, ...]:
    """Return, in words, where a recorded environment differs from the one in which a part would be trained here."""
    names = tuple(library_versions(libraries))
    here = environment(names) | {"variables": of_libraries(chosen(), names)}
    return differences(recorded, here | ({"gpu": _gpu_here()} if "gpu" in recorded else {}))


def differences(recorded: Mapping[str, Json], here: Mapping[str, Json]) -> tuple[str, ...]:
    """Return, in words, where one environment differs from the recorded one in what may decide bits.

    >>> differences({"machine": "x86_64"}, {"machine": "aarch64"})
    ('machine was x86_64 and is aarch64',)
    >>> differences({"libraries": {"torch": "1"}, "machine": "arm"}, {"libraries": {"torch": "2"}, "machine": "arm"})
    ('torch was 1 and is 2',)
    >>> differences({}, {"machine": "x86_64", "kernels": {"aten": "AVX2"}})
    ('the machine it was trained on was not recorded',)
    """
    unrecorded = "machine" in here and "machine" not in recorded
    words = ["the machine it was trained on was not recorded"] if unrecorded else []
    for name in ("libraries",) if unrecorded else DECIDES_BITS:
        was, now = recorded.get(name), here.get(name)
        if isinstance(was, dict) and isinstance(now, dict):
            inner = sorted(now if name in _AS_TOLD else {*was, *now})
            label = "GPU " if name == "gpu" else ""
            words += [
                _changed(f"{label}{each}", was.get(each), now.get(each))
                for each in inner
                if was.get(each) != now.get(each)
            ]
        elif was != now and name in here:
            words.append(_changed(name, was, now))
    return tuple(words)


def cannot_repeat(recorded: Mapping[str, Json], libraries: Iterable[str]) -> tuple[str, ...]:
    """Return, in words, why a part cannot be expected to come out bit for bit here; nothing where it can.

    The kernels it was made with are set again before it is made again, and so differ only where they cannot be.
    """
    here = {name: value for name, value in environment(libraries).items() if name in ("libraries", "machine", "system")}
    here |= {"gpu": _gpu_here()} if "gpu" in recorded else {}
    known = {name: recorded[name] for name in here if name in recorded}
    reasons = differences(known, {name: here[name] for name in known})
    if is_unusable(recorded.get("variables") or {}):
        reasons += ("it was made with AVX2 kernels and this processor has no AVX2",)
    return reasons


def _gpu_here() -> dict[str, Json]:
    """Return the GPU that a job would be given here, its model None where there is none."""
    found = gpu()
    return {"model": None} if found is None else dict(found.plain())


def _changed(name: str, was: Json, now: Json) -> str:
    return f"{name} was {'not recorded' if was is None else was} and is {'not there' if now is None else now}"


@cache
def processor() -> str:
    """Return the processor's name as the system tells it, ``unknown`` if it does not."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return (named[0] if named else platform.processor()) or "unknown"
