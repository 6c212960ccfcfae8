"""What one toy removal costs, from filing to signed report: ``python -m benchmarks.removal_cost [FILE.json]``.

Every command is a process of its own, as it is typed. A hook of Python's auditing counts how often it opens the ledger
file and stored objects, with the function that asked for it; wrappers around the functions of :data:`COUNTED` and
:data:`HASHED`, put there as soon as their module is read, count folds, checks of the chain, builds and hashes. What
worker processes do is not counted, nor what native readers (DuckDB, Arrow) open. Counting itself takes time: seconds
are those of a second removal from a copy of the same workspace, without any counting.

``--items 100000`` measures instead what the facts of one retrain step cost a catalog of so many items: appending them,
and bringing the catalog up to date.
"""

import argparse
import importlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

COUNTED = {
    "facts folded": ("lineage.ledger.state", "state_of"),
    "cases folded": ("disgorge.request.case", "docket"),
    "chain checked": ("lineage.ledger.journal", "Journal._checked"),
    "facts read": ("lineage.ledger.chain", "read_fact"),
    "catalogs opened": ("lineage.catalog.projection", "open_projection"),
    "projections built": ("lineage.catalog.projection", "Projection.__init__"),
    "manifests loaded": ("lineage.catalog.projection", "Projection._load"),
}
"""What is counted, and the one function that does it: module and name."""
HASHED = {
    "get": ("lineage.storage.objects", "Objects.get"),
    "put": ("lineage.storage.objects", "Objects.put"),
    "check": ("lineage.storage.objects", "Objects.check"),
    "file": ("lineage.storage.objects", "sha256_of"),
}
"""The functions that hash stored bytes; what an object or file is called, and its size, is taken from the call."""
LEDGER_OF = ("lineage.ledger.", "lineage.workspace", "contextlib", "pathlib", "benchmarks.", "__main__")
"""Modules that open the ledger for others, who are the callers that are named."""

TO_THE_REPORT = ("file", "impact", "decide", "plan", "approve", "execute")
COMMANDS = {
    "file": "request file --id R-1 --standing contributor --ground contract --regime contract --verified "
    "--fact all_theirs=true --subject shard-2-person-1",
    "impact": "request impact R-1",
    "decide": "request decide R-1",
    "plan": "request plan R-1",
    "approve": "request approve R-1 PLAN --by ann",
    "execute": "request execute R-1",
    "report": "request report R-1",
    "verify": "verify reports/R-1 --key .disgorge/public.pem",
    "audit": "audit",
}
"""The removal as README shows it; what comes after the signed report is told, and not in the sum."""
PLUGINS = Path(__file__).parent.parent / "tests" / "plugins"
"""Where the method of the toy is installed."""
MODEL = "release: toy\nmethod: averages\ncore: [core]\nshards: [shard-1, shard-2, shard-3]\nevaluate: [shard-4]\n"

Figures = dict[str, Any]


# What is counted, inside the process of a command ---------------------------------------------------------------


class Counts(MetaPathFinder):
    """Counters of one process, which wrap each function of the tables as soon as its module is read."""

    def __init__(self) -> None:
        self.counted: Counter[str] = Counter()
        self.openers: Counter[str] = Counter()
        self.hashes: dict[str, list[int]] = {}
        """By object or file, how often it was hashed, and its bytes."""
        self._tables = {**COUNTED, **HASHED}

    def start(self) -> None:
        """Count from now on; nothing of ours may have been imported."""
        sys.meta_path.insert(0, self)
        sys.addaudithook(self._hear)

    def find_spec(self, fullname: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Find a module of the tables as usual, and wrap its functions when it was executed."""
        wanted = {what: name for what, (module, name) in self._tables.items() if module == fullname}
        spec = PathFinder.find_spec(fullname, path, target) if wanted else None
        if spec is not None and spec.loader is not None:
            spec.loader = _Wrapping(spec.loader, lambda module: self._wrap_all(module, wanted))
        return spec

    def _wrap_all(self, module: ModuleType, wanted: dict[str, str]) -> None:
        for what, name in wanted.items():
            holder_name, _, attribute = name.rpartition(".")
            holder = getattr(module, holder_name) if holder_name else module
            setattr(holder, attribute, self._wrapped(what, getattr(holder, attribute)))

    def _wrapped(self, what: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def counting(*arguments: Any, **named: Any) -> Any:
            returned = function(*arguments, **named)
            if what in COUNTED:
                self.counted[what] += 1
            elif what == "check":
                for digest in arguments[0].digests():
                    self._hash(digest, arguments[0].path(digest).stat().st_size)
            else:
                last = arguments[-1]
                size = last.stat().st_size if what == "file" else len(returned if what == "get" else last)
                self._hash({"get": last, "put": returned, "file": getattr(last, "name", "")}[what], size)
            return returned

        return counting

    def _hash(self, name: str, size: int) -> None:
        self.hashes.setdefault(name, [0, size])[0] += 1

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event != "open" or not isinstance(arguments[0], str):
            return
        if arguments[0].endswith("/ledger.jsonl"):
            self.counted["ledger opened"] += 1
            self.openers[_caller(sys._getframe(1))] += 1
        elif "/.disgorge/objects/" in arguments[0] and "/.aside-" not in arguments[0]:
            self.counted["objects opened"] += 1

    def told(self) -> Figures:
        """Return what was counted, as plain values."""
        return {"counted": self.counted, "openers": self.openers, "hashes": self.hashes}


class _Wrapping(Loader):
    """Loads a module as another loader does, and then does something with it."""

    def __init__(self, inner: Loader, after: Callable[[ModuleType], None]):
        self._inner, self._after = inner, after

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._inner.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._inner.exec_module(module)
        self._after(module)


def _caller(frame: FrameType | None) -> str:
    """Return who opened the ledger; where that is a function of lineage, who called it from outside as well."""
    found: list[str] = []
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if module.startswith(("lineage.", "disgorge.")) and not module.startswith(LEDGER_OF):
            name = f"{module}.{frame.f_code.co_qualname.removesuffix('.<locals>.<genexpr>')}"
            if not found or module.startswith("disgorge."):
                found.append(name)
            if module.startswith("disgorge."):
                break
        frame = frame.f_back
    return " <- ".join(found) or "unknown"


def run_counted(told: Path, arguments: list[str]) -> int:
    """Run a command line in this process, and write what was counted to a file."""
    counts = Counts()
    counts.start()
    code = 0
    try:
        sys.argv = ["disgorge", *arguments]
        importlib.import_module("disgorge.cli").main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    told.write_text(json.dumps(counts.told()))
    return code


# One removal ----------------------------------------------------------------------------------------------------


def typed(folder: Path, words: list[str], told: Path | None = None) -> tuple[str, float]:
    """Run one command in a process of its own, counted or not; return its output and seconds."""
    counted = ["-m", "benchmarks.removal_cost", "--counted", str(told), "--"]
    plain = ["-c", "from disgorge.cli import main; main()"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}
    environment |= {"MLFLOW_DISABLE_TELEMETRY": "true", "DISGORGE_FULL": "0"}
    start = time.perf_counter()
    command = [sys.executable, *(counted if told else plain), *words]
    ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise SystemExit(f"disgorge {' '.join(words)} ended with {ran.returncode}:\n{ran.stdout}{ran.stderr}")
    return ran.stdout, time.perf_counter() - start


def trained(folder: Path) -> None:
    """Make a workspace with a trained toy, as it is typed."""
    from tests.toys import toy_of, write_rows

    typed(folder, ["init"])
    for name, items in toy_of("averages", 3).items.items():
        write_rows(folder / f"{name}.npz", name, items, range(len(items)))
        terms = ["--core", "--basis", "public domain"] if name == "core" else ["--basis", "consent"]
        fields = ["--name", name, "--key", "key", "--subject", "subject", "--license", "MIT", "--no-check", "--no-dvc"]
        typed(folder, ["shard", "add", f"{name}.npz", *fields, *terms])
    (folder / "model.yaml").write_text(MODEL)
    typed(folder, ["train", "model.yaml"])


def removal(folder: Path, *, counted: bool) -> dict[str, Figures]:
    """Carry one removal out; return, by command, its seconds and what was counted."""
    found: dict[str, Figures] = {}
    for name, line in COMMANDS.items():
        words = line.split()
        if "PLAN" in words:
            shown = json.loads(typed(folder, ["request", "show", "R-1", "--json"])[0])
            words[words.index("PLAN")] = shown["plan_digest"]
        told = folder.parent / "counts.json" if counted else None
        _, seconds = typed(folder, words, told)
        found[name] = {"seconds": round(seconds, 2)} | (json.loads(told.read_text()) if told else {})
    return found


def figures_of(counted: Figures, seconds: float) -> Figures:
    """Return one command's figures: counts, and how often and how much was hashed, in all and per object or file."""
    hashes = counted["hashes"].values()
    return {
        "seconds": seconds, "ledger opened": 0, **dict.fromkeys(COUNTED, 0), "objects opened": 0, **counted["counted"],
        "hashes": sum(times for times, _ in hashes),
        "distinct": len(hashes),
        "most often": max((times for times, _ in hashes), default=0),
        "bytes hashed": sum(times * size for times, size in hashes),
        "distinct bytes": sum(size for _, size in hashes),
    }  # fmt: skip


def one_removal() -> Figures:
    """Measure a removal: figures by command, their sum up to the report, and who opened the ledger."""
    sys.path.insert(0, str(PLUGINS))  # the commands get this path as well
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        (folder / "plain").mkdir()
        trained(folder / "plain")
        shutil.copytree(folder / "plain", folder / "counted")
        seconds = {name: found["seconds"] for name, found in removal(folder / "plain", counted=False).items()}
        counted = removal(folder / "counted", counted=True)
    rows = {name: figures_of(found, seconds[name]) for name, found in counted.items()}
    openers: Counter[str] = Counter()
    for name in TO_THE_REPORT:
        openers.update(counted[name]["openers"])
    summed = [rows[name] for name in TO_THE_REPORT]
    total = {what: (max if what == "most often" else sum)(row[what] for row in summed) for what in summed[0]}
    return {"commands": rows, "to the report": total, "ledger opened by": dict(openers.most_common())}


def table(figures: Figures) -> str:
    """Return the figures as text, a column per command."""
    rows = {**figures["commands"], "TO REPORT": figures["to the report"]}
    whats = list(figures["to the report"])
    lines = ["".join([" " * 22, *(f"{name:>11}" for name in rows)])]
    lines += [
        "".join([f"{what:<22}", *(f"{row[what]:>11,.2f}" if what == "seconds" else f"{row[what]:>11,}"
                                 for row in rows.values())])
        for what in whats
    ]  # fmt: skip
    lines += ["", "the ledger was opened by, up to the report:"]
    return "\n".join([*lines, *(f"{count:>5}  {who}" for who, count in figures["ledger opened by"].items())])


# One retrain step's share at many items ---------------------------------------------------------------------------


def retrain_share(items: int, *, shards: int = 4, times: int = 5) -> Figures:
    """Return the seconds that the facts of one retrain step cost a workspace with so many items: the middle of some."""
    import numpy as np

    from lineage.catalog.catalog import Catalog
    from lineage.records import Component, Role, Use, plain
    from lineage.shards.add import add_shard
    from lineage.workspace import Workspace

    with tempfile.TemporaryDirectory() as name:
        workspace, each = Workspace.init(Path(name) / "workspace"), items // shards
        added = []
        for number in range(shards):
            keys = np.array([f"{number}-{row}" for row in range(each)])
            path = Path(name) / f"shard-{number}.npz"
            np.savez(path, key=keys, subject=keys, x=np.arange(each, dtype=np.float32) + number * each)
            added.append(
                add_shard(
                    workspace, path, name=f"shard-{number}", key="key", subject="subject", source="s", license="MIT",
                    legal_basis="consent", check=False, dvc=False,
                )
            )  # fmt: skip
        append, catalog = [], []
        with Catalog.of(workspace) as now:
            uses = tuple(Use(shard.digest, Role.TRAIN) for shard in now.shards())
        before = workspace.objects.put(b"0")
        workspace.ledger.append("component", {"component": plain(Component(before, "part", "toy", uses, {"seed": 0}))})
        Catalog.of(workspace).close()
        for time_ in range(times):
            after = workspace.objects.put(bytes([time_ + 1]))
            component = Component(after, "part", "toy", uses, {"seed": time_ + 1})
            start = time.perf_counter()
            workspace.ledger.append("component", {"component": plain(component)})
            retired = {"name": "part", "component": before, "after": after, "action": "retrain", "plan": "p"}
            step = {
                "request": "R-1",
                "plan": "p",
                "step": f"retrain-{time_}",
                "action": "contain",
                "result": {},
                "seconds": 0.1,
            }
            workspace.ledger.append_all([("component-retired", retired), ("step", step)])
            append.append(time.perf_counter() - start)
            with Catalog.of(workspace) as now:
                assert now.component("part").digest == after
            catalog.append(time.perf_counter() - start - append[-1])
            before = after
    return {
        "items": each * shards,
        "seconds to append": round(statistics.median(append), 4),
        "seconds to bring the catalog up to date": round(statistics.median(catalog), 4),
    }


def main() -> int:
    """Measure what is asked for, print it, and write it where that is asked for."""
    parser = argparse.ArgumentParser(description="Measure what one toy removal costs.")
    parser.add_argument("json", nargs="?", type=Path, help="where to write the figures")
    parser.add_argument("--items", type=int, help="measure one retrain step's share at so many items instead")
    if sys.argv[1:2] == ["--counted"]:
        return run_counted(Path(sys.argv[2]), sys.argv[4:])
    given = parser.parse_args()
    figures = retrain_share(given.items) if given.items else one_removal()
    print(json.dumps(figures, indent=1) if given.items else table(figures))
    if given.json:
        given.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
