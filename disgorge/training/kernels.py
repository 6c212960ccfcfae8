"""CPU kernels: which instruction sets torch's libraries may use here, set by environment and read back.

ATen, MKL and oneDNN each choose kernels for the processor when they are first used, and another choice changes the last
bits of what is trained. ATen's choice can fail: it reads ``/proc/cpuinfo``, and where that cannot be read it falls back
to its plainest kernels without an error. A confined process loses that file when the kernel drops its cached entry of
it (memory pressure is enough), because Landlock's permission belongs to the entry. So the choice is never left to the
libraries: every worker is started with :func:`chosen`, or with the variables that a recorded part was made under, and
:func:`in_use` reads back what ATen took.

The setting is AVX2 throughout, which every x86 server of the last ten years has; ``benchmarks/kernels.py`` measures
what it costs and which other dispatch gives the same bits, on one processor. Processors without AVX2 use their
libraries' own choice.
"""

import os
import re
import sys
from collections.abc import Iterable, Mapping
from functools import cache

from lineage.records import Json

PORTABLE = {"ATEN_CPU_CAPABILITY": "avx2", "MKL_CBWR": "AVX2", "ONEDNN_MAX_CPU_ISA": "AVX2"}
"""What holds ATen, MKL and oneDNN to AVX2."""
_OF_TORCH = (
    *PORTABLE,
    "DNNL_MAX_CPU_ISA",
    "MKL_DEBUG_CPU_TYPE",
    "MKL_ENABLE_INSTRUCTIONS",
    "ONEDNN_CPU_ISA_HINTS",
    "ONEDNN_DEFAULT_FPMATH_MODE",
)
_OF_NUMPY = ("NPY_DISABLE_CPU_FEATURES", "NPY_ENABLE_CPU_FEATURES", "OPENBLAS_CORETYPE")
STEERING = (*_OF_TORCH, *_OF_NUMPY)
"""Variables that steer which kernels torch, its libraries and numpy use; workers inherit none of them."""
_VALUE = re.compile(r"[A-Za-z0-9_,. -]{1,200}")


@cache
def has_avx2() -> bool:
    """Whether this processor has AVX2 and FMA, asked of the processor itself and not of ``/proc``."""
    try:
        from numpy._core._multiarray_umath import __cpu_features__ as features
    except ImportError:  # another numpy keeps them elsewhere
        return False
    return bool(features.get("AVX2") and features.get("FMA3"))


def chosen() -> dict[str, str]:
    """Return the variables under which parts are trained here: AVX2, and what this shell says of numpy's kernels."""
    inherited = {name: os.environ[name] for name in _OF_NUMPY if name in os.environ}
    return {**(PORTABLE if has_avx2() else {}), **inherited}


def steered(environ: Mapping[str, str], variables: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which ``variables``, and no other, steer the choice of kernels.

    Values may come out of a bundle: names that steer nothing, and values that no setting has, are left out.
    """
    taken = {
        name: value
        for name, value in variables.items()
        if name in STEERING and isinstance(value, str) and _VALUE.fullmatch(value)
    }
    return {name: value for name, value in environ.items() if name not in STEERING} | taken


def steer_this_process() -> None:
    """Hold torch to :func:`chosen` in this process too, unless it is loaded already and has made its choice."""
    if "torch" not in sys.modules:
        variables = chosen()
        for name in _OF_TORCH:
            os.environ.pop(name, None)
        os.environ.update({name: value for name, value in variables.items() if name in _OF_TORCH})


def of_libraries(variables: Mapping[str, str], libraries: Iterable[str]) -> dict[str, str]:
    """Return those of the variables that steer one of these libraries.

    >>> of_libraries({"MKL_CBWR": "AVX2", "OPENBLAS_CORETYPE": "Haswell"}, ["numpy"])
    {'OPENBLAS_CORETYPE': 'Haswell'}
    """
    known = {*libraries}
    names = (*(_OF_TORCH if "torch" in known else ()), *(_OF_NUMPY if known & {"numpy", "torch"} else ()))
    return {name: variables[name] for name in names if name in variables}


def setting_of(environment: Mapping[str, Json]) -> dict[str, str]:
    """Return the variables to set where a part is made again that was made in a recorded environment.

    One that torch had no part in is made under this machine's own, so that no process is started for it alone.
    """
    found = environment.get("variables")
    recorded = found if isinstance(found, dict) else {}
    if "torch" in (environment.get("libraries") or {}):
        return dict(recorded)
    return {**(PORTABLE if has_avx2() else {}), **recorded}


def is_unusable(variables: Mapping[str, str]) -> bool:
    """Whether a recorded setting asks for AVX2 and this processor has none."""
    return variables.get("ATEN_CPU_CAPABILITY") == "avx2" and not has_avx2()


def in_use() -> dict[str, str]:
    """Return the kernels that ATen chose in this process, which loads torch if it did not yet.

    MKL's and oneDNN's choices follow from the processor, the variables and torch's version, which are recorded.
    """
    import torch

    return {"aten": torch.backends.cpu.get_cpu_capability()}


def not_as_asked(variables: Mapping[str, str], used: Mapping[str, str]) -> str:
    """Say that ATen uses other kernels than were set, "" if it does not: the choice that is known to fail.

    >>> not_as_asked(PORTABLE, {"aten": "DEFAULT"})
    'aten uses DEFAULT kernels where AVX2 was set'
    >>> not_as_asked({}, {"aten": "AVX512"}), not_as_asked(PORTABLE, {})
    ('', '')
    """
    asked, took = variables.get("ATEN_CPU_CAPABILITY", "").upper(), used.get("aten", "")
    if asked not in ("AVX2", "AVX512", "DEFAULT") or took in ("", asked):
        return ""
    return f"aten uses {took} kernels where {asked} was set"
