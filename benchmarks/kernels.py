"""Which settings of CPU kernels give the same bits, and what they cost: ``python -m benchmarks.kernels``.

Trains the toy of every method once under each setting, in a process of its own, and compares the digests of all parts
with those under the portable setting. Then times what networks spend their time on. The processor is one; that another
one agrees under the portable setting was not tried. Writes ``benchmarks/kernels.json``.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from disgorge.training.kernels import PORTABLE, STEERING

HELD = {"ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2", "ONEDNN_MAX_CPU_ISA": "AVX2"}
"""An AVX2 processor, as far as the environment can pretend one: nothing is asked for, everything is held down."""
SETTINGS: dict[str, dict[str, str]] = {
    "portable": PORTABLE,
    "portable, MKL held to AVX2": PORTABLE | {"MKL_ENABLE_INSTRUCTIONS": "AVX2"},
    "portable, ATen at AVX-512": PORTABLE | {"ATEN_CPU_CAPABILITY": "avx512"},
    "portable, MKL free": {name: value for name, value in PORTABLE.items() if name != "MKL_CBWR"},
    "portable, oneDNN free": {name: value for name, value in PORTABLE.items() if name != "ONEDNN_MAX_CPU_ISA"},
    "held to AVX2": HELD,
    "free": {},
    "ATen at default": {"ATEN_CPU_CAPABILITY": "default"},
    "MKL compatible": PORTABLE | {"MKL_CBWR": "COMPATIBLE"},
}
METHODS = ("tangent_composition", "shard_graph", "compartmental_diffusion")
SEED = 5
TIMES = 7


def _parts(method: str) -> dict[str, str]:
    """Return the digest of every part of a toy, trained here."""
    import tempfile

    from disgorge.method import method_named
    from lineage.workspace import Workspace
    from tests.toys import populate, train

    toy = method_named(method).toy(SEED)
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace.init(Path(folder) / "workspace")
        populate(workspace, toy, Path(folder) / "sources")
        return {component.name: component.digest for component in train(workspace, toy).components}


def _speeds() -> dict[str, float]:
    """Return milliseconds of the slowest things small networks do, the median of :data:`TIMES`."""
    import torch
    from torch.nn import functional

    torch.manual_seed(SEED)
    x, w = torch.randn(256, 512), torch.randn(512, 512)
    images, kernels = torch.randn(32, 16, 16, 16), torch.randn(32, 16, 3, 3)
    layers = torch.nn.Sequential(torch.nn.Linear(64, 256), torch.nn.GELU(), torch.nn.Linear(256, 10))
    batch = torch.randn(128, 64)

    def step() -> None:
        layers.zero_grad()
        layers(batch).square().mean().backward()

    work: dict[str, Any] = {
        "matrix product 256x512x512": lambda: x @ w,
        "convolution 32x16x16x16": lambda: functional.conv2d(images, kernels, padding=1),
        "GELU 131,072": lambda: functional.gelu(x),
        "training step of an MLP": step,
    }
    found = {}
    for name, one in work.items():
        seconds = []
        for _ in range(TIMES + 1):
            start = time.perf_counter()
            for _ in range(50):
                one()
            seconds.append((time.perf_counter() - start) / 50)
        found[name] = round(statistics.median(seconds[1:]) * 1000, 4)
    return found


def _child() -> None:
    from disgorge.training.kernels import in_use

    start = time.perf_counter()
    parts = {method: _parts(method) for method in METHODS}
    trained = time.perf_counter() - start
    print(json.dumps({"parts": parts, "seconds": round(trained, 2), "speeds": _speeds(), "in_use": in_use()}))


def main() -> None:
    """Run every setting and write what came of it."""
    environ = {name: value for name, value in os.environ.items() if name not in STEERING}
    environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    found: dict[str, Any] = {}
    for name, variables in SETTINGS.items():
        ran = subprocess.run(
            [sys.executable, "-m", "benchmarks.kernels", "child"], env=environ | variables, capture_output=True,
            text=True, check=True,
        )  # fmt: skip
        found[name] = json.loads(ran.stdout.splitlines()[-1]) | {"variables": variables}
    portable = found["portable"]["parts"]
    for name, each in found.items():
        parts = each.pop("parts")
        each["equal_to_portable"] = {
            method: f"{sum(parts[method][part] == digest for part, digest in own.items())} of {len(own)}"
            for method, own in portable.items()
        }
        print(name, each["in_use"], each["equal_to_portable"], each["seconds"], each["speeds"], sep="\n  ")
    Path(__file__).with_suffix(".json").write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    _child() if "child" in sys.argv else main()
