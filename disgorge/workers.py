"""Carries jobs out in fresh processes, a few at a time.

Every process starts with nothing but the workspace's path, so a result cannot depend on what this process has in
memory. For a re-execution the processes are set *apart* as well: they get a bare workspace with their inputs alone
(:mod:`disgorge.stage`), the variables this program was started with, working, home, temporary and cache folders that
are empty and their own, and where the kernel can, they can open nothing else (:mod:`disgorge.confine`). So nothing that
a method left anywhere is found again, unless it lies among the installed code. Closing stops the processes; a job cut
short leaves no trace but, at worst, an unreferenced object.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from types import TracebackType
from typing import Any

from disgorge.errors import ExecutionFailed
from disgorge.jobs import Done, Job, OnProgress, unseen
from disgorge.stage import Stage
from lineage.ledger import Ledger


class Workers:
    """A few worker processes; use as ``with Workers(ledger, count=2) as workers``."""

    def __init__(self, ledger: Ledger, *, count: int = 2, apart: bool = False) -> None:
        self.ledger = ledger
        self.count = count
        self._errors = tempfile.TemporaryFile()
        self._stage = Stage(ledger) if apart else None
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
        if self._stage is not None:
            self._stage.close()
        self._errors.close()

    def run(self, jobs: Iterable[Job], *, on_progress: OnProgress = unseen) -> Iterator[Done]:
        """Yield each job as it is done. Raises :class:`ExecutionFailed` with the worker's own words."""
        waiting: Queue[Job] = Queue()
        count = 0
        for job in jobs:
            if self._stage is not None:
                self._stage.furnish(job.recipe)
            waiting.put(job)
            count += 1
        while len(self._processes) < min(self.count, count):
            self._processes.append(self._start())
        heard: Queue[tuple[Job, dict[str, Any]]] = Queue()
        for process in self._processes:
            Thread(target=_converse, args=(process, waiting, heard), daemon=True).start()
        while count:
            job, message = heard.get()
            if "error" in message:
                cause = OSError(message["error"]) if message.get("machine") else None
                raise ExecutionFailed(f"training {job.name} failed: {message['error']}{self._last_words()}") from cause
            if "digest" in message:
                count -= 1
                digest = message["digest"] if self._stage is None else self._stage.take(message["digest"])
                yield Done(job, digest, message["seconds"], message["confined"])
            else:
                on_progress(job.name, message["done"], message["total"])

    def _last_words(self) -> str:
        """Return what the processes last said on standard error, for whoever looks for the cause of a death."""
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace").strip().splitlines()
        return f" (it said: {said[-1][:300]})" if said else ""

    def _start(self) -> "subprocess.Popen[str]":
        folder = None if self._stage is None else str(self._stage.folder)
        ledger = self.ledger if self._stage is None else self._stage.ledger
        apart = [] if folder is None else [folder, str(self.ledger.workspace)]
        return subprocess.Popen(
            [sys.executable, "-m", "disgorge.work", str(ledger.workspace.absolute()), *apart],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            cwd=folder,
            env=os.environ | _ALONE if folder is None else _at_the_start() | _ALONE | _apart_in(folder),
        )


def _apart_in(folder: str) -> dict[str, str]:
    """Return what sets a process apart; what can be imported from here can be imported from there."""
    paths = [os.path.abspath(path) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    return dict.fromkeys(_FOLDERS, folder) | {"PYTHONPATH": os.pathsep.join([*paths, os.getcwd()])}


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
_FOLDERS = ("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "HF_HOME", "TORCH_HOME")
"""Where programs keep things between runs."""


def _converse(
    process: "subprocess.Popen[str]", waiting: "Queue[Job]", heard: "Queue[tuple[Job, dict[str, Any]]]"
) -> None:
    """Hand one process job after job and pass its answers on, until none is waiting."""
    assert process.stdin is not None
    assert process.stdout is not None
    while True:
        try:
            job = waiting.get_nowait()
        except Empty:
            return
        try:
            process.stdin.write(json.dumps({"recipe": job.recipe, "any_libraries": job.any_libraries}) + "\n")
            process.stdin.flush()
            for line in process.stdout:
                message = json.loads(line)
                heard.put((job, message))
                if "digest" in message or "error" in message:
                    break
            else:
                heard.put((job, {"error": "the worker process ended; run the command again to go on"}))
                return
        except (OSError, ValueError) as error:
            heard.put((job, {"error": f"the worker process could not be reached ({error}); run the command again"}))
            return
