"""What a box costs: ``python -m benchmarks.box``. Writes ``benchmarks/box.json``.

Times, each the median and the extremes of several runs: a *ready* box, from the order to its result and the end of
everything in it; a *cold* start, until libraries are imported; the same with all data of packages exposed, and in a
process that is not confined, on bytecode that was compiled before. Then, once each, what comes before the first box of
an environment: the view of the installed packages, found as it was or made anew, and the probe of the level.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from disgorge.training.sandbox.bytecode import bytecode_of
from disgorge.training.sandbox.installed import view_of
from disgorge.training.sandbox.levels import reached
from disgorge.training.sandbox.namespace import FILTERED, PYTHON, command, package_folders
from disgorge.training.sandbox.seccomp import filter_descriptor, filter_program

TIMES = 15
COLD = 5
LIBRARIES = ("torch", "sklearn.linear_model")
WORKER = f"""
import os, sys, {", ".join(LIBRARIES)}
os.write(1, b"ready\\n")
order = sys.stdin.readline()
data = open("/in/weights", "rb").read()
os.write(1, b"%d\\n" % len(data))
os._exit(0)
"""


def _start(inputs: Path, exposed: tuple[str, ...] = ()) -> subprocess.Popen[bytes]:
    gaps = reached().gaps
    descriptor = filter_descriptor(filter_program(sockets=True, namespaces=FILTERED not in gaps))
    try:
        compiled = bytecode_of(LIBRARIES, gaps=gaps)
        words = command(inputs, environ={}, filter_fd=descriptor, pycache=compiled, gaps=gaps, exposed=exposed)
        return subprocess.Popen(
            [*words, *PYTHON, "-c", WORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[descriptor]
        )
    finally:
        os.close(descriptor)


def _bare(inputs: Path) -> subprocess.Popen[bytes]:
    code = WORKER.replace("/in/", f"{inputs}/")
    return subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def _timed(start: Callable[[Path], subprocess.Popen[bytes]], inputs: Path) -> tuple[float, float, float]:
    """Return milliseconds until a worker is ready, from its order to its result, and to its end."""
    for file in inputs.iterdir():
        file.unlink()
    began = time.perf_counter()
    process = start(inputs)
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    ready = time.perf_counter()
    (inputs / "weights").write_bytes(b"w" * 100_000)
    ordered = time.perf_counter()
    process.stdin.write(b"go\n")
    process.stdin.flush()
    assert process.stdout.readline() == b"100000\n"
    answered = time.perf_counter()
    process.wait()
    ended = time.perf_counter()
    process.stdin.close()
    process.stdout.close()
    return (ready - began) * 1e3, (answered - ordered) * 1e3, (ended - ordered) * 1e3


def _figures(values: list[float]) -> dict[str, float]:
    return {"median": round(statistics.median(values), 1), "min": round(min(values), 1), "max": round(max(values), 1)}


def _seconds(deed: Callable[[], object]) -> float:
    began = time.perf_counter()
    deed()
    return round(time.perf_counter() - began, 2)


def _made_anew() -> float:
    """Return seconds that a view takes that is made for the first time, every file hashed."""
    with tempfile.TemporaryDirectory(dir=Path.home()) as folder:
        before = os.environ.get("XDG_CACHE_HOME")
        os.environ["XDG_CACHE_HOME"] = folder
        view_of.cache_clear()
        try:
            return _seconds(lambda: [view_of(each) for each in package_folders()])
        finally:
            view_of.cache_clear()
            os.environ.pop("XDG_CACHE_HOME")
            os.environ.update({} if before is None else {"XDG_CACHE_HOME": before})


def main() -> None:
    """Measure and write."""
    figures: dict[str, object] = {"level": str(reached().level), "gaps": list(reached().gaps), "milliseconds": {}}
    reached.cache_clear()
    seconds = {"probe of the level": _seconds(reached)}
    for folder in package_folders():
        view_of(folder)
    view_of.cache_clear()
    seconds["view of packages, found as it was"] = _seconds(lambda: [view_of(each) for each in package_folders()])
    seconds["view of packages, made anew"] = _made_anew()
    shown = tuple(
        sorted({path.name.partition("-")[0] for each in package_folders() for path in each.glob("*.dist-info")})
    )
    with tempfile.TemporaryDirectory() as temporary:
        inputs = Path(temporary)
        view_of(package_folders()[0], shown)  # made before it is timed
        _timed(_start, inputs)
        runs = [_timed(_start, inputs) for _ in range(TIMES)]
        exposed = [_timed(lambda each: _start(each, shown), inputs) for _ in range(COLD)]
        bare = [_timed(_bare, inputs) for _ in range(COLD)]
    figures["milliseconds"] = {
        "order to result": _figures([run[1] for run in runs]),
        "order to the end of the box": _figures([run[2] for run in runs]),
        "cold start, data hidden": _figures([run[0] for run in runs]),
        "cold start, data exposed": _figures([run[0] for run in exposed]),
        "start of a bare process": _figures([run[0] for run in bare]),
    }
    figures |= {"seconds": seconds, "libraries": list(LIBRARIES), "runs": TIMES, "load": round(os.getloadavg()[0], 1)}
    Path(__file__).with_suffix(".json").write_text(json.dumps(figures, indent=1, sort_keys=True) + "\n")
    print(json.dumps(figures, indent=1, sort_keys=True))


if __name__ == "__main__":
    main()
