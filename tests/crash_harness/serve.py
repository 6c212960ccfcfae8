"""The process that forks children: ``python -m tests.crash_harness.serve MODULE...``; orders come as JSON lines.

Imports once what removals need and forks for every order, so that a test can afford to kill a hundred processes. Each
child is a process of its own that shares nothing with the one before but what was imported. See
:mod:`tests.crash_harness.nursery` for the other side.
"""

import gc
import importlib
import json
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.tier import FULL

Order = Mapping[str, Any]

CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.link", "shutil.rmtree"}
"""Audit events of what changes a file system; opening counts as well, if it is for writing."""
_PATIENCE = 60.0  # seconds to wait for another child before giving up


def main() -> None:
    """Serve orders until standard input closes."""
    for module in sys.argv[1:]:
        importlib.import_module(module)
    if not FULL:  # as in the process that gives orders, see tests/conftest.py
        importlib.import_module("disgorge.report.bundle").can_draw = lambda: False  # type: ignore[attr-defined]
        os.fsync = lambda descriptor: None
    gc.freeze()  # else every child looks through all that was imported, and copies the pages, whenever it collects
    for line in sys.stdin:
        pids = [_child(order) for order in json.loads(line)]
        codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
        sys.stdout.write(json.dumps([pids, codes]) + "\n")
        sys.stdout.flush()


def _child(order: Order) -> int:
    """Fork; the child obeys and leaves without a word to whoever waits for orders."""
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        for stream, path in ((0, os.devnull), (1, order["out"]), (2, order["err"])):
            os.dup2(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), stream)
        code = obey(order)
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 1
    except BaseException as error:
        sys.stderr.write(f"{type(error).__module__}.{type(error).__qualname__}: {error}\n")
        code = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def obey(order: Order) -> int:
    """Carry one order out and return an exit code."""
    os.umask(order.get("umask", 0o022))
    if (limit := order.get("limit")) is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    if (path := order.get("waits_for")) is not None:
        _wait(Path(path))
    if not order.get("workers") and order["do"] != "cli":
        _load_methods()
    try:
        return int(_ORDERS[order["do"]](order))
    finally:
        if (path := order.get("signals")) is not None:
            Path(path).touch()


def _load_methods() -> None:
    """Have this child, which trains by itself, lay models out by itself as well: it is killed a hundred times."""
    from averages import METHOD

    from disgorge.method import own_methods

    own_methods()[METHOD.name] = (METHOD, "averages:METHOD")


def _carry(order: Order) -> int:
    """Execute, or go on with, a removal; say the verdict."""
    from disgorge.tracking.registry import registry_or_none
    from disgorge.tracking.runs import tracking_or_none
    from disgorge.training.runners.local import Workers
    from lineage.workspace import Workspace
    from tests.toys import carry

    workspace = Workspace.open(Path(order["workspace"]))
    mlflow = order.get("mlflow", False)
    watch = Watch(workspace.root, order)
    with Workers(workspace, count=2) as workers:
        done = carry(
            workspace,
            order["request"],
            runner=workers if order.get("workers") else None,
            independent=(lambda: Workers(workspace, count=2)) if order.get("workers") else None,
            references=order.get("references", 0),
            registrar=registry_or_none(workspace) if mlflow else None,
            observer=tracking_or_none(workspace) if mlflow else None,
            on_step=watch.step,
        )
    watch.end()
    sys.stdout.write(done.verdict)
    return 0


def _store(order: Order) -> int:
    """Train a toy in a workspace that has DVC and MLflow."""
    from dataclasses import replace

    from tests.stores import with_stores
    from tests.toys import toy_of

    toy = toy_of("averages", 3)
    toy = replace(toy, spec=replace(toy.spec, parameters=order["parameters"]))
    with_stores(Path(order["workspace"]).parent, toy, learned=order["learned"])
    return 0


def _cli(order: Order) -> int:
    """Run a command as if it were typed in the workspace, perhaps where some libraries are not installed."""
    for library in order.get("without", ()):
        sys.modules[library] = None  # type: ignore[assignment]
    from disgorge.cli import main as command

    workspace_folder = Path(order["workspace"]).resolve()
    os.chdir(workspace_folder)
    sys.argv[1:] = order["arguments"]
    watch = Watch(workspace_folder, order)
    command()
    watch.end()
    return 0


def _file(order: Order) -> int:
    """File requests, one after the other; a line for each, with what was said if it was refused."""
    from disgorge.errors import DisgorgeError
    from lineage.errors import LineageError
    from lineage.records import Selector
    from lineage.workspace import Workspace
    from tests.toys import UNVERIFIED, file

    workspace = Workspace.open(Path(order["workspace"]))
    watch = Watch(workspace.root, order)
    for number, request in enumerate(order["ids"]):
        selectors = [Selector("shard", f"shard-{number % 4 + 1}")]
        try:
            file(workspace, selectors, UNVERIFIED, request_id=request, particulars=order.get("particulars"))
            sys.stdout.write(f"filed {request}\n")
        except (DisgorgeError, LineageError) as refusal:
            sys.stdout.write(f"refused {request}: {refusal}\n")
    watch.end()
    return 0


def _file_and_read(order: Order) -> int:
    """File requests and read after each, docket and catalog; say how many seconds each took, as JSON.

    The packs are read once before, as a command does.
    """
    from disgorge.request.case import docket
    from lineage.catalog.catalog import Catalog
    from lineage.records import Selector
    from lineage.workspace import Workspace
    from policies.packs.load import load_packs
    from tests.toys import UNVERIFIED, file

    workspace, packs = Workspace.open(Path(order["workspace"])), load_packs()
    took: dict[str, list[float]] = {"filing": [], "reading": []}
    selectors = [Selector("shard", "shard-1")]
    for request in order["ids"]:
        start = time.perf_counter()
        file(workspace, selectors, UNVERIFIED, request_id=request, particulars={"name": request}, packs=packs)
        filed = time.perf_counter()
        if request not in docket(workspace):
            raise LookupError(f"{request} was filed and is not there")
        with Catalog.of(workspace) as catalog:
            catalog.shards()
        took["filing"].append(filed - start)
        took["reading"].append(time.perf_counter() - filed)
    sys.stdout.write(json.dumps(took))
    return 0


_ORDERS: dict[str, Callable[[Order], int]] = {
    "carry": _carry,
    "cli": _cli,
    "file": _file,
    "file-and-read": _file_and_read,
    "store": _store,
}


class Watch:
    """Counts what a child does to its workspace, and lets it die, or be interrupted, where the order says.

    ``die_at_step`` kills before that step, ``die_at`` before the n-th change to the workspace, ``die_after`` after so
    many seconds; ``kill_worker_after`` kills one of its worker processes so many seconds after that was seen;
    ``interrupt_at`` presses Ctrl-C instead. ``record`` writes down every change with its step. At the
    step ``at``, ``touches_at`` and ``holds_until`` let another child come in between.
    """

    def __init__(self, workspace_folder: Path, order: Order) -> None:
        self.prefix = str(workspace_folder.resolve())
        self.order = order
        self.changes: list[tuple[str, str, str]] = []
        self.now = ""
        sys.addaudithook(self._hear)
        if (seconds := order.get("die_after")) is not None:
            threading.Thread(target=self._die_after, args=(seconds,), daemon=True).start()
        if (seconds := order.get("kill_worker_after")) is not None:
            threading.Thread(target=self._kill_worker_after, args=(seconds,), daemon=True).start()

    def step(self, step: Any) -> None:
        """Hear that a step begins."""
        self.now = step.id
        if step.id == self.order.get("die_at_step"):
            os.kill(os.getpid(), signal.SIGKILL)
        if step.id == self.order.get("at"):
            Path(self.order["touches_at"]).touch()
            _wait(Path(self.order["holds_until"]))

    def end(self) -> None:
        """Write down what was heard."""
        if (path := self.order.get("record")) is not None:
            changes, self.changes = self.changes, []
            Path(path).write_text(json.dumps(changes))

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            if not isinstance(arguments[2], int) or not arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                return
        elif event not in CHANGES:
            return
        path = str(arguments[1 if event == "os.rename" else 0])
        if not path.startswith(self.prefix):
            return
        self.changes.append((self.now, event, path.removeprefix(self.prefix)))
        if len(self.changes) == self.order.get("die_at"):
            os.kill(os.getpid(), signal.SIGKILL)
        if len(self.changes) == self.order.get("interrupt_at"):
            os.kill(os.getpid(), signal.SIGINT)

    def _die_after(self, seconds: float) -> None:
        time.sleep(seconds)
        os.kill(os.getpid(), signal.SIGKILL)

    def _kill_worker_after(self, seconds: float) -> None:
        while not (workers := _workers()):
            time.sleep(0.01)
        time.sleep(seconds)
        with suppress(ProcessLookupError):
            os.kill(workers[0], signal.SIGKILL)
            if (path := self.order.get("touches_killed")) is not None:
                Path(path).touch()


def _workers() -> list[int]:
    """Return the ids of this process's workers."""
    found = []
    for task in Path("/proc/self/task").iterdir():
        for child in (task / "children").read_text().split():
            with suppress(OSError):
                if b"disgorge.training.runners.worker" in Path("/proc", child, "cmdline").read_bytes().split(b"\0"):
                    found.append(int(child))
    return found


def _wait(path: Path) -> None:
    """Wait until a file is there."""
    until = time.monotonic() + _PATIENCE
    while not path.exists():
        if time.monotonic() > until:
            raise TimeoutError(f"{path.name} never came")
        time.sleep(0.002)


if __name__ == "__main__":
    main()
