"""The machine a removal was carried out on, as far as the bits of what it trains depend on it.

Equal recipes give equal bits on equal machines. What makes two machines equal here: the kind of processor, the set of
its instructions that the tensor library uses, and the versions of the libraries. The processor's name is written down
for people; bits are not expected to depend on it beyond that.
"""

import platform
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from disgorge.method import library_versions
from lineage.records import Json

DECIDES_BITS = ("machine", "system", "capability", "libraries")
"""What of an environment may decide bits: where one of these differs, other bits are no finding by themselves."""


def environment() -> dict[str, Json]:
    """Return what evidence records about where it was made."""
    return {
        "libraries": library_versions(),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "system": platform.system(),
        "processor": processor(),
        "capability": capability(),
    }


@cache
def capability() -> str:
    """Return the processor's instructions that torch's kernels use, ``none`` where torch is not installed.

    ``ATEN_CPU_CAPABILITY`` in the environment holds torch to fewer, and this says so.
    """
    if find_spec("torch") is None:
        return "none"
    import torch

    return str(torch.backends.cpu.get_cpu_capability())


@cache
def processor() -> str:
    """Return the processor's name as the system tells it, ``unknown`` if it does not."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return (named[0] if named else platform.processor()) or "unknown"


def differences(recorded: Mapping[str, Json], here: Mapping[str, Json]) -> tuple[str, ...]:
    """Return, in words, where this machine differs from the recorded one in what may decide bits.

    >>> differences({"machine": "x86_64"}, {"machine": "aarch64"})
    ('machine was x86_64 and is aarch64',)
    """
    told = []
    for name in DECIDES_BITS:
        was, now = recorded.get(name), here.get(name)
        if was != now:
            told.append(f"{name} was {_words(was)} and is {_words(now)}")
    return tuple(told)


def _words(value: Json) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {version}" for name, version in sorted(value.items())) or "none"
    return "not recorded" if value is None else str(value)
