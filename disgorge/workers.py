"""Carries jobs out in fresh processes, a few at a time.

Every process starts with nothing but the workspace's path, so a result cannot depend on what this process has in
memory. For a re-execution the jobs are set *apart* as well: each gets a process of its own (:mod:`disgorge.alone`), a
bare workspace with its inputs alone (:mod:`disgorge.stage`), the variables this program was started with, working,
home, temporary and cache folders that are empty and its own, and where the kernel can, it can open nothing else
(:mod:`disgorge.confine`). So nothing that a method left anywhere is found again, unless it lies among the installed
code. Closing stops the processes; a job cut short leaves no trace but, at worst, an unreferenced object.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from queue import Queue
from threading import Thread
from types import TracebackType
from typing import Any

from disgorge.alone import FOLDERS
from disgorge.errors import ExecutionFailed
from disgorge.jobs import Done, Job, OnProgress, unseen
from disgorge.stage import Stage
from lineage.ledger import Ledger
from lineage.records import Json


class Workers:
    """A few worker processes; use as ``with Workers(ledger, count=2) as workers``."""

    def __init__(self, ledger: Ledger, *, count: int = 2, apart: bool = False) -> None:
        self.ledger = ledger
        self.count = count
        self.apart = apart
        self._errors = tempfile.NamedTemporaryFile(prefix="disgorge-said-")
        self._folder = tempfile.TemporaryDirectory(prefix="disgorge-apart-") if apart else None
        self._stages: set[Stage] = set()
        self._processes: list[subprocess.Popen[str]] = []

    def __enter__(self) -> "Workers":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop every process and wait for it."""
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with contextlib.suppress(BrokenPipeError):  # a job that a dead process never took is still in it
                        pipe.close()
        self._processes.clear()
        for stage in self._stages:
            stage.close()
        self._stages.clear()
        if self._folder is not None:
            self._folder.cleanup()
        self._errors.close()

    def run(self, jobs: Iterable[Job], *, on_progress: OnProgress = unseen) -> Iterator[Done]:
        """Yield each job as it is done. Raises :class:`ExecutionFailed` with the worker's own words."""
        todo = list(jobs)
        while len(self._processes) < min(self.count, len(todo)):
            self._processes.append(self._start())
        left, following = len(todo), iter(todo)
        waiting: Queue[_Order | None] = Queue()
        heard: Queue[tuple[_Order, dict[str, Any]]] = Queue()
        try:
            for process in self._processes:
                Thread(target=_converse, args=(process, waiting, heard), daemon=True).start()
                self._hand_out(following, waiting)
            while left:
                order, message = heard.get()
                if "error" in message:
                    cause = OSError(message["error"]) if message.get("machine") else None
                    raise ExecutionFailed(
                        f"training {order.job.name} failed: {message['error']}{self._last_words()}"
                    ) from cause
                if "digest" in message:
                    left -= 1
                    digest = self._taken(order, message)
                    self._hand_out(following, waiting)
                    yield Done(order.job, digest, message["seconds"], message["confined"])
                else:
                    on_progress(order.job.name, message["done"], message["total"])
        finally:
            for _ in self._processes:
                waiting.put(None)

    def _hand_out(self, jobs: "Iterator[Job]", waiting: "Queue[_Order | None]") -> None:
        """Give the next job to whichever process is free; one that is set apart gets its inputs only now."""
        job = next(jobs, None)
        if job is None:
            return
        stage = Stage(self.ledger) if self.apart else None
        if stage is not None:
            self._stages.add(stage)
            stage.furnish(job.recipe)
        waiting.put(_Order(job, stage, _used.get(_method_of(job), ())))

    def _taken(self, order: "_Order", message: Mapping[str, Any]) -> str:
        """Return the digest of a result that is in the store by now; of a job set apart nothing else stays."""
        _used[_method_of(order.job)] = tuple(message["libraries"])
        if order.stage is None:
            return str(message["digest"])
        digest = order.stage.take(message["digest"])
        order.stage.close()
        self._stages.discard(order.stage)
        return digest

    def _last_words(self) -> str:
        """Return what the processes last said on standard error, for whoever looks for the cause of a death."""
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace").strip().splitlines()
        return f" (it said: {said[-1][:300]})" if said else ""

    def _start(self) -> "subprocess.Popen[str]":
        folder = None if self._folder is None else self._folder.name
        words = [sys.executable, "-m", "disgorge.work", str(self.ledger.workspace.absolute())]
        with open(self._errors.name, "ab") as errors:  # only to be written to: what one says is no other's to read
            return subprocess.Popen(
                [*words, "apart"] if self.apart else words,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                cwd=folder,
                env=os.environ | _ALONE if folder is None else _at_the_start() | _ALONE | _apart_in(folder),
            )


_used: dict[str, tuple[str, ...]] = {}
"""Which libraries jobs of a method turned out to use, in this program so far: kept in memory for those to come."""


def _method_of(job: Job) -> str:
    asked = job.recipe.get("question")
    return str(asked["composition"]["method"] if asked else job.recipe["method"])


@dataclass(frozen=True, slots=True, eq=False)
class _Order:
    """A job on its way to a process; one that is set apart with the stage it is carried out in."""

    job: Job
    stage: Stage | None = None
    libraries: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """The order as a process reads it."""
        told: dict[str, Json] = {"recipe": self.job.recipe, "any_libraries": self.job.any_libraries}
        if self.stage is not None:
            told |= {"folder": str(self.stage.folder), "libraries": list(self.libraries)}
        return json.dumps(told) + "\n"


def _apart_in(folder: str) -> dict[str, str]:
    """Return what sets a process apart; what can be imported from here can be imported from there."""
    paths = [os.path.abspath(path) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    there = [path for path in paths if os.path.exists(path)]  # nothing but folders is told by this variable
    return dict.fromkeys(FOLDERS, folder) | {"PYTHONPATH": os.pathsep.join([*there, os.getcwd()])}


def _at_the_start() -> dict[str, str]:
    """Return the environment this program was started with: what was put into it since is nobody's input."""
    try:
        told = Path("/proc/self/environ").read_bytes()
    except OSError:
        return dict(os.environ)
    pairs = (pair.partition(b"=") for pair in told.split(b"\0") if b"=" in pair)
    return {os.fsdecode(name): os.fsdecode(value) for name, _, value in pairs}


_ALONE = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
_ALONE |= {"MLFLOW_DISABLE_TELEMETRY": "true", "DVC_NO_ANALYTICS": "1", "GX_ANALYTICS_ENABLED": "false"}
"""Threads beyond one only get in each other's way here; recipes set torch's own count. No library reports its use."""


def _converse(
    process: "subprocess.Popen[str]", waiting: "Queue[_Order | None]", heard: "Queue[tuple[_Order, dict[str, Any]]]"
) -> None:
    """Hand one process order after order and pass its answers on, until there is none any more."""
    assert process.stdin is not None
    assert process.stdout is not None
    while (order := waiting.get()) is not None:
        try:
            process.stdin.write(order.line)
            process.stdin.flush()
            for line in process.stdout:
                message = json.loads(line)
                heard.put((order, message))
                if "digest" in message or "error" in message:
                    break
            else:
                heard.put((order, {"error": "the worker process ended; run the command again to go on"}))
                return
        except (OSError, ValueError) as error:
            heard.put((order, {"error": f"the worker process could not be reached ({error}); run the command again"}))
            return
