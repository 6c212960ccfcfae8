"""How often a re-execution differs on one machine: ``python -m benchmarks.reexecutions [JOBS]``.

Trains the toy of tangent composition, then makes one part of it again, each time in a process of its own: first with
nothing beside it, then beside two programs that burn the processors, the kernel's cached entries dropped every tenth
job (as root), and the libraries loaded anew after each drop. Writes how many digests differ to
``benchmarks/reexecutions.json``, after each of the two; what is in that file already, of as many jobs, is kept.
"""

import json
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from disgorge.training.kernels import setting_of, steer_this_process
from disgorge.training.recipe import Job
from disgorge.training.runners.local import Workers, close_all
from lineage.catalog.catalog import Catalog
from lineage.workspace import Workspace

PART = "toy-tangent/tangent/shard-1"
BETWEEN_DROPS = 10


def differing(workspace: Workspace, count: int, *, drop: bool) -> int:
    """Return how many of ``count`` re-executions do not reach the recorded digest."""
    with Catalog.of(workspace) as catalog:
        part = catalog.component(PART)
    found = 0
    for number in range(count):
        if drop and number % BETWEEN_DROPS == 0:
            close_all()
            with suppress(OSError):  # only root may
                Path("/proc/sys/vm/drop_caches").write_text("2\n")
        with Workers(workspace, count=1) as workers:
            (done,) = workers.run([Job(part.name, part.recipe, 1, setting_of(part.environment))])
        found += done.digest != part.digest
    return found


def main(jobs: int) -> None:
    """Count both and write them down."""
    from disgorge.method import method_named
    from tests.toys import populate, train

    steer_this_process()
    toy = method_named("tangent_composition").toy(5)
    file = Path(__file__).with_suffix(".json")
    figures = json.loads(file.read_text()) if file.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace.init(Path(folder) / "workspace")
        populate(workspace, toy, Path(folder) / "sources")
        train(workspace, toy)
        for name in ("idle", "beside two busy programs, caches dropped"):
            if figures.get(name, {}).get("jobs") == jobs:
                continue
            busy = name != "idle"
            burners = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2 * busy)]
            start = time.perf_counter()
            try:
                other = differing(workspace, jobs, drop=busy)
            finally:
                for burner in burners:
                    burner.kill()
                    burner.wait()
            figures[name] = {"jobs": jobs, "differ": other, "seconds": round(time.perf_counter() - start, 1)}
            print(name, figures[name], flush=True)
            file.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
