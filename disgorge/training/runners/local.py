"""Carries jobs out in fresh processes, a few at a time.

One process a command and setting of kernels has the libraries in memory (:mod:`disgorge.training.runners.worker`) and
forks one process a job from it, so a result cannot depend on what another job, or this process, has in memory. For a
re-execution the jobs are set *apart* as well: each sees a bare workspace with its inputs alone
(:mod:`disgorge.training.sandbox.inputs`), the variables this program was started with, working, home, temporary and
cache folders that are empty and its own, and where the kernel can, it can open nothing else
(:mod:`disgorge.training.sandbox.landlock`). So nothing that a method left anywhere is found again, unless it lies among
the installed code.

Every job states the variables that steer kernels, and its process reads back what was taken: one that got others is a
failure of the machine, and is tried again. Closing stops the jobs; one cut short leaves no trace but, at worst, an
unreferenced object.
"""

import atexit
import contextlib
import itertools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from queue import Queue
from threading import Lock, Thread
from types import TracebackType
from typing import Any

import disgorge
from disgorge.errors import ExecutionFailed, KernelsDiffer
from disgorge.training.kernels import chosen, steered
from disgorge.training.recipe import Done, Job, OnProgress, libraries_of, unseen
from disgorge.training.runners.worker import ENDED, IMPORTED_LAST
from disgorge.training.sandbox.inputs import Stage
from lineage.records import Json
from lineage.workspace import Workspace

TRIES = 3
"""How often a job is begun whose process got other kernels than were set, before the machine is said to fail."""
_HAS_PROC = os.path.isdir("/proc/self/fd")
_MOST_SPAWNERS = 3
"""Processes with libraries in memory that are kept: some 200 MB each."""

_ALONE = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
_ALONE |= {"MLFLOW_DISABLE_TELEMETRY": "true", "DVC_NO_ANALYTICS": "1", "GX_ANALYTICS_ENABLED": "false"}
"""Threads beyond one only get in each other's way here; recipes set torch's own count. No library reports its use."""


class Workers:
    """A few jobs at a time, each in a process; use as ``with Workers(ledger, count=2) as workers``."""

    def __init__(self, workspace: Workspace, *, count: int = 2, apart: bool = False) -> None:
        self.workspace = workspace
        self.count = count
        self.apart = apart
        self._running: dict[int, _Order] = {}

    def __enter__(self) -> "Workers":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop what still runs."""
        self._stop(self._running)

    def run(self, jobs: Iterable[Job], *, on_progress: OnProgress = unseen) -> Iterator[Done]:
        """Yield each job as it is done. Raises :class:`ExecutionFailed` with the worker's own words."""
        todo, heard = iter(list(jobs)), _Heard()
        running: set[int] = set()
        try:
            for job in itertools.islice(todo, self.count):
                running.add(self._begin(_Order(job), heard))
            while running:
                number, message = heard.get()
                order = self._running[number]
                if "done" in message:
                    on_progress(order.job.name, message["done"], message["total"])
                    continue
                running.discard(number)
                if message.get("kernels") and order.tries < TRIES:
                    self._let_go(order)
                    order.spawner.retire()  # its libraries chose when they were first used: another one chooses anew
                    running.add(self._begin(_Order(order.job, order.tries + 1), heard))
                    continue
                if "error" in message:
                    raise _failed(order, message)
                digest = order.stage.take(message["digest"]) if order.stage else str(message["digest"])
                self._let_go(order)
                for job in itertools.islice(todo, 1):
                    running.add(self._begin(_Order(job), heard))
                yield Done(order.job, digest, message["seconds"], message["confined"], message["environment"])
        finally:
            self._stop(running)

    def _stop(self, numbers: Iterable[int]) -> None:
        for number in list(numbers):
            if (order := self._running.get(number)) is not None:
                order.spawner.stop(order)
                self._let_go(order)

    def _begin(self, order: "_Order", heard: "_Heard") -> int:
        """Hand a job to the process that starts others; one that is set apart gets its inputs only now."""
        job = order.job
        variables = chosen() if job.variables is None else dict(job.variables)
        told: dict[str, Json] = {
            "recipe": job.recipe,
            "variables": variables,
            "imports": list(libraries_of(job.recipe)),
            "workspace": str(self.workspace.root.absolute()),
        }
        if self.apart:
            order.stage = stage = Stage(self.workspace)
            told |= {"folder": str(stage.folder), "hidden": str(self.workspace.root.absolute())}
            stage.furnish(job.recipe)
        else:
            told["environ"] = steered(os.environ, variables) | _ALONE | _importable()
        order.spawner = _spawner(variables)
        self._running[order.number] = order
        order.spawner.begin(order, told, heard)
        return order.number

    def _let_go(self, order: "_Order") -> None:
        self._running.pop(order.number, None)
        if order.stage is not None:
            order.stage.close()


def _failed(order: "_Order", message: Mapping[str, Any]) -> ExecutionFailed:
    kind = KernelsDiffer if message.get("kernels") else ExecutionFailed
    error = kind(f"training {order.job.name} failed: {message['error']}{order.spawner.last_words()}")
    error.__cause__ = OSError(message["error"]) if message.get("machine") else None
    return error


_numbers = itertools.count(1)
_Heard = Queue[tuple[int, dict[str, Any]]]


@dataclass(slots=True, eq=False)
class _Order:
    """A job that is being done; one that is set apart with the stage it is carried out in."""

    job: Job
    tries: int = 1
    number: int = field(default_factory=lambda: next(_numbers))
    stage: Stage | None = None
    spawner: "_Spawner" = field(init=False)


class _Spawner:
    """The process that has the libraries in memory and starts the others, and the thread that listens to it."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._lock = Lock()
        self._waiting: dict[int, _Heard] = {}
        self._said = tempfile.TemporaryFile()  # no name: nothing is left of it, however this program ends
        errors = os.open(f"/proc/self/fd/{self._said.fileno()}", os.O_WRONLY | os.O_APPEND) if _HAS_PROC else None
        try:  # only to be written to: what one job says is no other's to read
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "disgorge.training.runners.worker", str(os.getpid())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._said if errors is None else errors,
                text=True,
                cwd=tempfile.gettempdir(),
                env=dict(environ),
            )
        finally:
            if errors is not None:
                os.close(errors)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._orders, self._answers = self.process.stdin, self.process.stdout
        self._listener = Thread(target=self._listen, daemon=True)
        self._listener.start()

    @property
    def is_alive(self) -> bool:
        """Whether it can be given orders."""
        return self.process.poll() is None

    @property
    def is_busy(self) -> bool:
        """Whether an order is not done yet."""
        return bool(self._waiting)

    def begin(self, order: _Order, told: Mapping[str, Json], heard: _Heard) -> None:
        """Have a job begun; what comes of it is heard under the order's number."""
        with self._lock:
            self._waiting[order.number] = heard
        self._tell({"id": order.number, **told})

    def stop(self, order: _Order) -> None:
        """Have a job stopped whose result is no longer needed."""
        with self._lock:
            self._waiting.pop(order.number, None)
        self._tell({"id": order.number, "stop": True})

    def last_words(self) -> str:
        """Return the last line on standard error, in parentheses: the likely cause of an unexpected end."""
        if self._said.closed:
            return ""
        self._said.seek(0)
        said = self._said.read().decode(errors="replace").strip().splitlines()
        return f" (it said: {said[-1][:300]})" if said else ""

    def retire(self) -> None:
        """Start no more jobs from this process; those that run go on."""
        for key in [key for key, each in _spawners.items() if each is self]:
            _retired.append(_spawners.pop(key))

    def close(self) -> None:
        """Stop the process, and so all it started."""
        self.process.kill()
        self.process.wait()
        self._listener.join()
        with contextlib.suppress(OSError):  # an order that a dead process never took may still be in it
            self._orders.close()
        self._answers.close()
        self._said.close()

    def _tell(self, order: Mapping[str, Json]) -> None:
        try:
            with self._lock:
                self._orders.write(json.dumps(order) + "\n")
                self._orders.flush()
        except (OSError, ValueError) as error:
            self._end(f"the worker process could not be reached ({error}); run the command again")

    def _listen(self) -> None:
        with contextlib.suppress(ValueError, OSError):  # a line cut short by its death
            for line in self._answers:
                message = json.loads(line)
                with self._lock:
                    heard = self._waiting.get(message["id"])
                    if "digest" in message or "error" in message:
                        self._waiting.pop(message["id"], None)
                if heard is not None:
                    heard.put((message["id"], message))
        self._end(ENDED)

    def _end(self, why: str) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        for number, heard in waiting.items():
            heard.put((number, {"error": why, "machine": True}))


_spawners: dict[tuple[tuple[str, str], ...], _Spawner] = {}
"""Those of this program, by the environment they were started with, the one used last at the end."""


_retired: list[_Spawner] = []


def _spawner(variables: Mapping[str, str]) -> _Spawner:
    """Return a process to start jobs from, under these variables; one that was started before, if it lives."""
    environ = steered(_at_the_start(), variables) | _ALONE | _importable()
    key = tuple(sorted(environ.items()))
    spawner = _spawners.pop(key, None)
    if spawner is not None and not spawner.is_alive:
        spawner.close()
        spawner = None
    if spawner is None:
        idle = [old for old, each in _spawners.items() if not each.is_busy]
        for old in idle[: max(len(_spawners) - _MOST_SPAWNERS + 1, 0)]:
            _spawners.pop(old).close()
        spawner = _Spawner(environ)
    _spawners[key] = spawner
    return spawner


@atexit.register
def close_spawners() -> None:
    """Stop every process that starts jobs, and so the jobs."""
    for spawner in (*_spawners.values(), *_retired):
        spawner.close()


def _importable() -> dict[str, str]:
    """Return the variables by which what can be imported from here can be imported from there.

    Our own packages come first, unless they are installed, and what lies in the working folder last: a file of the
    user's that is called as one of ours, or of Python's, hides nothing.
    """
    ours = str(Path(disgorge.__file__).absolute().parents[1])
    paths = [os.path.abspath(path) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    there = [path for path in paths if os.path.exists(path)]  # nothing but folders is told by this variable
    first = [ours] if "site-packages" not in Path(ours).parts else []
    return {"PYTHONPATH": os.pathsep.join([*first, *there]), IMPORTED_LAST: os.getcwd()}


def _at_the_start() -> dict[str, str]:
    """Return the environment this program was started with, without what was put into it since."""
    try:
        told = Path("/proc/self/environ").read_bytes()
    except OSError:
        return dict(os.environ)
    pairs = (pair.partition(b"=") for pair in told.split(b"\0") if b"=" in pair)
    return {os.fsdecode(name): os.fsdecode(value) for name, _, value in pairs}
