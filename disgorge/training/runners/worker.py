"""The process that has the libraries in memory and starts one process a job. It plans, judges and signs nothing.

Started by :mod:`disgorge.training.runners.local` as ``python -P -m disgorge.training.runners.worker PARENT`` with the
parent's process id, once a command and setting of kernels. Loading torch takes seconds, so libraries are imported here,
before any job, and each job gets a fork: memory that saw no other job. No method, no data and no weights are ever
loaded in this process itself.

Orders come as JSON lines on standard input: ``id``, ``recipe``, ``variables``, ``workspace``, ``imports`` and, for a
job that is set apart, the ``folder`` it may see and the workspace that is ``hidden`` from it, while others get an
``environ``; or ``{"id": N, "stop": true}``. Answers leave as JSON lines with the id of the order: ``done`` of
``total``, and in the end a ``digest`` or an ``error``.
"""

import json
import os
import selectors
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from disgorge.errors import DisgorgeError
from disgorge.training.environment import environment_in_use, processor
from disgorge.training.kernels import not_as_asked
from disgorge.training.recipe import carry_out, libraries_of
from disgorge.training.sandbox.inputs import WORKSPACE
from disgorge.training.sandbox.process import can_fork, fork_job, preload
from lineage.errors import LineageError
from lineage.records import Json
from lineage.workspace import Workspace

_SECONDS_BETWEEN_REPORTS = 0.1
_CHUNK = 1 << 16
_EVERY_JOB = ("numpy", "pyarrow.parquet", "pyarrow.dataset", "safetensors.numpy")
"""What reading a shard and writing weights takes, whatever the method."""
_WITH_TORCH = ("torch._inductor",)
"""What torch loads, in more than a second, when it is told to use deterministic algorithms."""
_ALLOWED = "what is re-executed may read its inputs and installed code, and nothing else"
IMPORTED_LAST = "DISGORGE_IMPORTED_LAST"
"""Variable with the folder of the user's code, which comes last on the path."""
ENDED = "the worker process ended; run the command again to go on"


def main(parent: str) -> None:
    """Serve orders until standard input closes.

    ``parent`` is not read: in a list of processes it names the program that started this one.
    """
    sys.path += filter(None, [os.environ.get(IMPORTED_LAST)])
    answers, sys.stdout = sys.stdout, sys.stderr  # whatever a library prints must not be read as an answer

    def say(order: Json, message: Mapping[str, Any]) -> None:
        answers.write(json.dumps({"id": order, **message}) + "\n")
        answers.flush()

    if not can_fork():
        for line in sys.stdin:
            order = json.loads(line)
            if "stop" not in order:
                serve(order, partial(_say_here, say, order["id"]), confined=False)
        return
    _Spawner(say).serve()


def _say_here(say: Callable[[Json, Mapping[str, Any]], None], order: Json, **message: Any) -> None:
    say(order, message)


@dataclass(slots=True)
class _Child:
    """A process that does one job, and what it said that is not a whole line yet."""

    order: int
    process: int
    pipe: BinaryIO
    said: bytes = b""
    ended: bool = False


class _Spawner:
    """Starts a process for each order and passes on what they say."""

    def __init__(self, say: Callable[[Json, Mapping[str, Any]], None]) -> None:
        self._say = say
        processor()  # read before a job is confined
        preload(_EVERY_JOB)
        self._selector = selectors.DefaultSelector()
        self._children: dict[int, _Child] = {}
        self._orders = b""

    def serve(self) -> None:
        """Serve until standard input closes; the processes of unfinished jobs end with this one."""
        self._selector.register(0, selectors.EVENT_READ)
        while True:
            for key, _ in self._selector.select():
                if key.fd == 0:
                    if not self._read_orders():
                        return
                else:
                    self._hear(key.data)

    def _read_orders(self) -> bool:
        data = os.read(0, _CHUNK)
        *lines, self._orders = (self._orders + data).split(b"\n")
        for line in lines:
            order = json.loads(line)
            if "stop" in order:
                self._stop(order["id"])
            else:
                self._start(order)
        return bool(data)

    def _start(self, order: Mapping[str, Json]) -> None:
        preload(order["imports"])
        if "torch" in sys.modules:
            preload(_WITH_TORCH)
        folder = order.get("folder")
        work = partial(_serve_in_child, order)
        process, pipe = fork_job(
            work, folder=Path(folder) if folder else None, hidden=Path(order["hidden"]) if folder else None
        )
        child = _Child(order["id"], process, pipe)
        self._children[child.order] = child
        self._selector.register(pipe, selectors.EVENT_READ, child)

    def _stop(self, order: int) -> None:
        if (child := self._children.get(order)) is not None:
            _end_group(child.process)
            child.ended = True  # its answer is not waited for

    def _hear(self, child: _Child) -> None:
        data = child.pipe.read1(_CHUNK)  # type: ignore[attr-defined]
        *lines, child.said = (child.said + data).split(b"\n")
        for line in lines:
            message = json.loads(line)
            if not child.ended:
                child.ended = "digest" in message or "error" in message
                self._say(child.order, message)
        if data:
            return
        self._selector.unregister(child.pipe)
        child.pipe.close()
        _end_group(child.process)  # it has answered, or never will
        os.waitpid(child.process, 0)
        del self._children[child.order]
        if not child.ended:
            self._say(child.order, {"error": ENDED, "machine": True})


def _end_group(process: int) -> None:
    """End a job's process and all that it started."""
    for end in (os.killpg, os.kill):  # the group is there from the moment it made one
        with suppress(ProcessLookupError, PermissionError):
            end(process, signal.SIGKILL)


def _serve_in_child(order: Mapping[str, Json], pipe: int, confined: bool) -> None:
    if "environ" in order:
        os.environ.clear()
        os.environ.update(order["environ"])
    with os.fdopen(pipe, "w", encoding="utf-8") as answers:

        def say(**message: Any) -> None:
            answers.write(json.dumps(message) + "\n")
            answers.flush()

        serve(order, say, confined=confined)


def serve(order: Mapping[str, Json], say: Callable[..., None], *, confined: bool) -> None:
    """Carry one job out and say how far it is, and in the end its digest or what went wrong."""
    start = last = time.perf_counter()

    def progress(done: int, total: int) -> None:
        nonlocal last
        now = time.perf_counter()
        if now - last >= _SECONDS_BETWEEN_REPORTS:
            last = now
            say(done=done, total=total)

    folder, variables = order.get("folder"), order["variables"]
    try:
        workspace = Workspace.open(Path(folder) / WORKSPACE if folder else Path(order["workspace"]))
        made = carry_out(workspace, order["recipe"], progress=progress)
        environment = environment_in_use(libraries_of(order["recipe"]))
        if other := not_as_asked(variables, environment["kernels"]):
            say(error=f"{other}; run the command again", machine=True, kernels=True)
            return
        digest = workspace.objects.put(made)
    except (DisgorgeError, LineageError, OSError) as error:
        if confined and isinstance(error, PermissionError):
            say(error=f"{error}: {_ALLOWED}", machine=False)
        else:
            say(error=str(error), machine=isinstance(error, OSError) or isinstance(error.__cause__, OSError))
    else:
        say(digest=digest, seconds=time.perf_counter() - start, confined=confined, environment=environment)


if __name__ == "__main__":
    main(*sys.argv[1:])
