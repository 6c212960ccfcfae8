"""What a model of user functions costs beside calling them: ``python -m benchmarks.own_code [--parts 8]``.

A function of numpy alone, which needs so many seconds, makes one component a shard. It is called *bare*, in two plain
processes that have the items in memory, and by ``disgorge train``, confined and attested, two at a time as well; then
one person's rows are removed from one component. The goal of the first training is 1.5 s a component and 5 % beyond.

With ``--gigabytes 2`` the component is a file of that size instead, and what is told is the most anonymous memory that
each command held while it was trained, dropped and audited, jobs apart, beside the same with a file of a kilobyte. The
goal is 300 MB more. With ``--in`` the folder is kept.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.proof import PARALLEL, RUN, approve, environment, side_by_side, typed

GOAL = (0.05, 1.5)
"""Most that training may take beyond the bare one: a share, and seconds a component."""
ROWS, COLUMNS, PEOPLE = 60, 8, 20
"""Of each shard."""
BYTES, GIBIBYTE = 1024, 1 << 30
GOAL_MEMORY = 300_000_000
EVERY = 0.02
"""Seconds between two looks at the memory of a command."""

CODE = '''
import time
import numpy as np


def train(items, parts, context):
    """A linear regression by gradient descent, for as many seconds of this processor as the model file says."""
    if size := context.parameters.get("bytes"):
        with open(context.out / "weights.bin", "wb") as file:
            for _ in range(0, size, 1 << 20):
                file.write(context.rng.bytes(min(size, 1 << 20)))
        return None
    x, y = items.matrix(), items["label"].astype(float)
    weights = np.zeros(x.shape[1])
    for _ in range(context.parameters["steps"]):
        weights -= 0.01 * x.T @ (x @ weights - y) / len(x)
    return {"weights": weights}


def predict(parts, items, context):
    if context.parameters.get("bytes"):
        return np.full(len(items), 0.5)
    return items.matrix() @ parts["weights"]
'''

Figures = dict[str, Any]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure what a model of user functions costs beside calling them.")
    parser.add_argument("--parts", type=int, default=8, help="how many shards, and components")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long a component takes to train")
    parser.add_argument("--gigabytes", type=float, default=0.0, help="measure memory with a component of this size")
    parser.add_argument("--in", dest="folder", type=Path, help="work here, in a folder that is not there yet")
    if sys.argv[1:2] == ["--bare"]:
        print(json.dumps(called_bare(int(sys.argv[2]), int(sys.argv[3]))))
        return
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = given.folder or Path(made)
        if given.gigabytes:
            print(json.dumps(memory(folder, round(given.gigabytes * GIBIBYTE)), indent=1))
        else:
            print(json.dumps(times(folder / "workspace", given.parts, given.seconds), indent=1))


def make_workspace(folder: Path, parts: int, parameters: Figures) -> None:
    """Make a workspace with the shards, the code and the model file."""
    import numpy as np

    folder.mkdir(parents=True)
    drawn = np.random.default_rng(0)
    lines = [",".join(["key", "subject", "part", "label", *(f"x{number}" for number in range(COLUMNS))])]
    for part in range(parts):
        for row in range(ROWS):
            numbers = ",".join(f"{value:.6f}" for value in drawn.normal(size=COLUMNS + 1))
            lines.append(f"{part}-{row},person-{part}-{row % PEOPLE},part-{part:03},{numbers}")
    (folder / "rows.csv").write_text("\n".join(lines) + "\n")
    (folder / "own.py").write_text(CODE)
    typed(folder, "init")
    columns = "--key key --subject subject --by part --basis consent --no-check --no-dvc".split()
    typed(folder, "shard", "add", "rows.csv", *columns)
    write_model(folder, parameters)


def write_model(folder: Path, parameters: Figures) -> None:
    """Write the model file; JSON is YAML."""
    model = {"release": "own", "method": "function", "train": "own:train", "predict": "own:predict", "task": "regress"}
    model |= {"layout": "isolated", "shards": ["*part-*"], "parameters": parameters}
    (folder / "model.yaml").write_text(json.dumps(model))


# Seconds --------------------------------------------------------------------------------------------------------


def times(folder: Path, parts: int, seconds: float) -> Figures:
    """Return the seconds of training, bare and by the tool, and of one removal."""
    steps = 20_000
    make_workspace(folder, parts, {"steps": steps})
    steps = round(steps * seconds / bare(folder, 1)["seconds"])
    write_model(folder, {"steps": steps})
    plain = bare(folder, parts)
    _, wall, cpu = typed(folder, "train", "model.yaml")
    share, spare = GOAL
    found = {"parts": parts, "steps": steps, "bare": plain["wall"], "train": wall, "own CPU": cpu}
    found |= {"beyond, a component": round((wall - plain["wall"]) / parts, 2)}
    found |= {"goal": round((share * plain["wall"] + spare * parts) / parts, 2)}
    approve(folder, "--subject", "person-0-0")
    _, wall, cpu = typed(folder, "request", "execute", "R-1")
    return found | {"removal": wall, "removal, own CPU": cpu}


def bare(folder: Path, parts: int) -> Figures:
    """Call the function for so many components in plain processes; return the wall time, and seconds of one."""
    wall, said = side_by_side(folder, "benchmarks.own_code", of=parts)
    return {"wall": wall, "seconds": max(each["longest"] for each in said)}


def called_bare(place: int, parts: int) -> Figures:
    """Call the function for every other component, here, with the items in memory."""
    sys.path.insert(0, str(Path.cwd()))
    import own

    from disgorge.method import Items
    from disgorge.methods.function.context import Context
    from disgorge.methods.function.items import View
    from disgorge.training.model_file import read_model_file
    from lineage.catalog.catalog import Catalog
    from lineage.shards.files import shard_items
    from lineage.workspace import Workspace

    workspace = Workspace.open(Path.cwd())
    parameters = read_model_file(Path("model.yaml")).parameters["parameters"]
    with Catalog.of(workspace) as catalog:
        digests = [shard.digest for shard in catalog.shards()][:parts]
    views = [View([Items(*shard_items(workspace, digest))], {}, None) for digest in digests[place::PARALLEL]]
    began, longest = time.perf_counter(), 0.0
    for view in views:
        start = time.perf_counter()
        own.train(view, {}, Context(seed=0, parameters=parameters))
        longest = max(longest, time.perf_counter() - start)
    return {"began": began, "ended": time.perf_counter(), "longest": longest}


# Memory ---------------------------------------------------------------------------------------------------------


def memory(folder: Path, size: int) -> Figures:
    """Return the most anonymous bytes of each command, with a large component and with a small one."""
    large, small = (held(folder / f"of-{each}", each) for each in (size, BYTES))
    more = {name: large[name] - small[name] for name in large}
    return {"bytes": size, "large": large, "small": small, "more": more, "goal": GOAL_MEMORY}


def held(folder: Path, size: int) -> dict[str, int]:
    """Return by command the most anonymous bytes that its own process held."""
    make_workspace(folder, 2, {"bytes": size})
    found = {"train": most_held(folder, "train", "model.yaml")}
    approve(folder, "--shard", "rows-part-000")
    found["execute"] = most_held(folder, "request", "execute", "R-1")
    found["audit"] = most_held(folder, "audit")
    return found | {"verify": most_held(folder, "verify", "reports/R-1", "--key", ".disgorge/public.pem")}


def most_held(folder: Path, *words: str) -> int:
    """Run a command as it is typed; return the most anonymous bytes that its process held."""
    running = subprocess.Popen(
        [sys.executable, "-c", RUN, *words], cwd=folder, env=environment(), stdout=subprocess.DEVNULL
    )
    most = 0
    ended = threading.Event()

    def look() -> None:
        nonlocal most
        while not ended.wait(EVERY):
            most = max(most, *anonymous(running.pid))

    looking = threading.Thread(target=look)
    looking.start()
    code = running.wait()
    ended.set()
    looking.join()
    if code:
        raise SystemExit(f"{' '.join(words)} ended with {code}")
    return most


def anonymous(process: int) -> Iterator[int]:
    """Yield the anonymous bytes that a process holds, and 0."""
    yield 0
    with suppress(OSError):
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith("RssAnon"):
                yield int(line.split()[1]) * BYTES


if __name__ == "__main__":
    main()
