"""The fixed cost of a removal that trains nothing: ``python -m benchmarks.fixed_cost [--times 3] [FILE.json]``.

A toy whose only framework is NumPy, in a git and DVC repository with MLflow's registry, where one removal was carried
out before. Two requests are taken from filing to the signed report, each command a process of its own, as it is typed:

- *subtract*: a contributor's whole shard goes, its part leaves the model's sum;
- *unlearned*: a shard that no model ever learned from.

Each command is run in a fresh copy of the workspace, always at the same path, and the least of some runs counts: other
programs may run beside it. CPU seconds are user and system time of the process and of all it started, those too
that outlive it. What imports take is Python's own account (``-X importtime``): of each package named in
:data:`PACKAGES`, with all that it brings; the lines overlap. The last table opens each store once in a process of its
own, imports left out.
"""

import argparse
import ctypes
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.removal_cost import MODEL, PLUGINS

FILE = "request file --id {id} --standing contributor --ground contract --regime contract --verified --shard {shard} "
FILE += "--fact all_theirs=true --fact license_irrevocable=false"
VERBS = {
    "file": FILE,
    "impact": "request impact {id}",
    "decide": "request decide {id}",
    "plan": "request plan {id}",
    "approve": "request approve {id} {plan} --by ann",
    "execute": "request execute {id}",
}
"""The commands from an arrived request to its signed report."""
BEFORE = ("R-0", "shard-3")
"""The removal that the workspace has seen."""
REMOVALS = {"subtract": ("R-1", "shard-2"), "unlearned": ("R-2", "spare")}
"""The removals that are measured, each with the request's id and the shard that goes."""
PACKAGES = (
    "mlflow", "sqlalchemy", "pandas", "dvc", "dvc_data", "fsspec", "pygit2", "duckdb", "pyarrow", "pydantic", "numpy",
    "weasyprint", "cryptography", "jinja2", "cel", "yaml", "typer", "rich", "lineage", "policies", "disgorge",
)  # fmt: skip
"""Packages whose import is told, by the name of their outermost module."""
STORES = {
    "ledger": (
        "from lineage.workspace import Workspace",
        "Workspace.open().ledger.state()",
    ),
    "catalog (DuckDB)": (
        "from lineage.workspace import Workspace; from lineage.catalog.catalog import Catalog; import duckdb, pyarrow",
        "with Catalog.of(Workspace.open()) as catalog: catalog.shards()",
    ),
    "MLflow's SQLite": (
        "from pathlib import Path; from disgorge.tracking.client import Store; import mlflow; from mlflow.tracking "
        "import MlflowClient",
        "with Store(Path.cwd()).client() as client: client.search_registered_models()",
    ),
    "DVC": (
        "from pathlib import Path; from lineage.dvc.repo import opened; import dvc.repo",
        "with opened(Path.cwd()): pass",
    ),
}  # fmt: skip
"""How each store is opened: the imports that are left out, and the statement that is measured."""
_SUBREAPER = 36
"""Linux's ``PR_SET_CHILD_SUBREAPER``: processes that outlive their parent become children of this one."""

Figures = dict[str, Any]


def typed(
    folder: Path, words: list[str], *, options: tuple[str, ...] = ()
) -> tuple[subprocess.CompletedProcess[str], Figures]:
    """Run one command in a process of its own; return what it said, and its wall and CPU seconds."""
    start, before = time.perf_counter(), _children()
    ran = subprocess.run(
        [sys.executable, *options, *words], cwd=folder, env=_environment(), capture_output=True, text=True, check=False
    )
    wall = time.perf_counter() - start
    with suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)
    if ran.returncode:
        raise SystemExit(f"{' '.join(words)} ended with {ran.returncode}:\n{ran.stdout}{ran.stderr}")
    return ran, {"wall": wall, "cpu": _children() - before}


def disgorge(
    folder: Path, line: str, *, options: tuple[str, ...] = ()
) -> tuple[subprocess.CompletedProcess[str], Figures]:
    """Run one line of disgorge as it is typed."""
    return typed(folder, ["-c", "from disgorge.cli import main; main()", *line.split()], options=options)


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _environment() -> dict[str, str]:
    paths = os.pathsep.join(filter(None, [str(PLUGINS), *sys.path]))
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "DVC_NO_ANALYTICS": "1", "GIT_CONFIG_GLOBAL": os.devnull}
    left_out = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "DISGORGE_FULL", "PYTHONDONTWRITEBYTECODE")
    return {name: value for name, value in os.environ.items() if name not in left_out} | quiet | {"PYTHONPATH": paths}


# The workspace ---------------------------------------------------------------------------------------------------


def prepare(folder: Path) -> None:
    """Make a git and DVC repository with a trained toy, and carry one removal out in it."""
    from tests.toys import toy_of, write_rows

    subprocess.run(["git", "init", "--quiet", str(folder)], check=True)
    typed(folder, ["-m", "dvc", "init", "--quiet"])
    disgorge(folder, "init")
    items = toy_of("averages", 3).items
    for name, own in {**items, "spare": items["shard-4"]}.items():
        own.arrays["x"] = own.arrays["x"] + (1 if name == "spare" else 0)
        write_rows(folder / f"{name}.npz", name, own, range(len(own)))
        basis = "--core --basis public-domain" if name == "core" else "--basis consent"
        fields = "--key key --subject subject --license MIT --no-check"
        disgorge(folder, f"shard add {name}.npz --name {name} {fields} {basis}")
    (folder / "model.yaml").write_text(MODEL)
    disgorge(folder, "train model.yaml")
    for verb in VERBS:
        disgorge(folder, line_of(folder, verb, *BEFORE))


def line_of(folder: Path, verb: str, request: str, shard: str) -> str:
    """Return the command line of a verb; an approval names the plan that was made last."""
    plan = ""
    if verb == "approve":
        shown, _ = disgorge(folder, f"request show {request} --json")
        plan = json.loads(shown.stdout)["plan_digest"]
    return VERBS[verb].format(id=request, shard=shard, plan=plan)


# Figures ---------------------------------------------------------------------------------------------------------


def removal(folder: Path, kept: Path, request: str, shard: str, *, times: int) -> Figures:
    """Return, by verb, the least seconds of some runs and what imports took; each run starts from the same files."""
    found: Figures = {}
    for verb in VERBS:
        line = line_of(folder, verb, request, shard)
        _replace(kept, folder)
        runs = []
        for _ in range(times):
            _replace(folder, kept)
            runs.append(disgorge(folder, line)[1])
        _replace(folder, kept)
        told, _ = disgorge(folder, line, options=("-X", "importtime"))
        least = {clock: round(min(run[clock] for run in runs), 2) for clock in ("wall", "cpu")}
        found[verb] = least | {"imports": imports_of(told.stderr)}
    return found


def _replace(folder: Path, other: Path) -> None:
    """Make a folder the same as another one; a workspace stays at its path, which MLflow's records name."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(other, folder, symlinks=True)


def imports_of(told: str) -> dict[str, float]:
    """Return, by package, the seconds its import took with all that it brought, from what ``-X importtime`` wrote."""
    rows = [
        (len(indent), name, int(own), int(whole))
        for own, whole, indent, name in re.findall(r"import time: +(\d+) \| +(\d+) \|( +)(\S+)", told)
    ]
    found = dict.fromkeys(PACKAGES, 0)
    above: list[tuple[int, str]] = []
    total = 0
    for depth, name, own, whole in reversed(rows):  # a module is written after what it imports
        total += own
        while above and above[-1][0] >= depth:
            above.pop()
        package = name.partition(".")[0]
        if package in found and package not in [each for _, each in above]:
            found[package] += whole
        above.append((depth, package))
    return {name: round(micros / 1e6, 3) for name, micros in {**found, "everything": total}.items()}


def opened(folder: Path, *, times: int) -> dict[str, float]:
    """Return the CPU seconds that opening each store takes, imports left out: the least of some runs."""
    found = {}
    for name, (imports, statement) in STORES.items():
        code = f"import time\n{imports}\nstart = time.process_time()\n{statement}\nprint(time.process_time() - start)"
        runs = [typed(folder, ["-c", code])[0].stdout for _ in range(times)]
        found[name] = round(min(float(run.split()[-1]) for run in runs), 3)
    return found


def table(figures: Figures) -> str:
    """Return the figures as text: a line per verb, per import, per store."""
    lines = []
    for name, rows in figures["removals"].items():
        lines += [f"{name:<20}{'wall s':>8}{'CPU s':>8}"]
        lines += [f"  {verb:<18}{row['wall']:>8.2f}{row['cpu']:>8.2f}" for verb, row in rows.items()]
        lines += ["", f"  imports, s{'':<8}" + "".join(f"{verb:>9}" for verb in rows)]
        for package in [*PACKAGES, "everything"]:
            taken = [row["imports"][package] for row in rows.values()]
            if any(taken):
                lines.append(f"  {package:<18}" + "".join(f"{seconds:>9.3f}" for seconds in taken))
        lines.append("")
    lines.append("opening a store, CPU s")
    return "\n".join([*lines, *(f"  {name:<18}{seconds:>8.3f}" for name, seconds in figures["stores"].items())])


def main() -> None:
    """Measure, print, and write the figures to a file if one is named."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("file", nargs="?", type=Path, help="where to write the figures")
    parser.add_argument("--times", type=int, default=3, help="runs of each command, of which the least counts")
    given = parser.parse_args()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    sys.path.insert(0, str(PLUGINS))
    with tempfile.TemporaryDirectory() as name:
        folder, ready, kept = (Path(name).resolve() / part for part in ("workspace", "ready", "kept"))
        folder.mkdir()
        prepare(folder)
        _replace(ready, folder)
        figures: Figures = {"removals": {}, "stores": opened(folder, times=given.times)}
        for what, (request, shard) in REMOVALS.items():
            _replace(folder, ready)
            figures["removals"][what] = removal(folder, kept, request, shard, times=given.times)
    print(table(figures))
    if given.file:
        given.file.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
