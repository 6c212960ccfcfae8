"""Carries jobs out in sandboxed processes of their own, a few at a time.

Each job has a process that saw no other job and is given its inputs and nothing else
(:mod:`disgorge.training.runners.box`); the next one is started while a job runs. Every job states the variables that
steer kernels, and its process reads back what was taken: one that got others is a failure of the machine, and is tried
again. Closing stops the jobs; a result that was not yet handed over leaves no trace but its job's last checkpoint.
"""

import atexit
import datetime as dt
import itertools
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from queue import Empty, Queue
from threading import Thread
from types import TracebackType
from typing import Any

from disgorge.errors import ExecutionFailed, KernelsDiffer
from disgorge.method import libraries_for, unused_by
from disgorge.training.code.distributions import distributions_used, require_installed
from disgorge.training.code.kept import refuse_unnamed
from disgorge.training.code.known import KnownMethod
from disgorge.training.kernels import chosen
from disgorge.training.recipe import Done, Job, OnProgress, device_of, no_more, trains, unseen
from disgorge.training.runners.box import Box
from disgorge.training.runners.checkpoints import SECONDS_BETWEEN, KeptCheckpoints, unsaid
from disgorge.training.runners.declared import exposed_by, method_for
from disgorge.training.runners.received import ENDED, Received
from disgorge.training.sandbox.levels import Level, reached
from disgorge.training.sandbox.nvidia import DEVICE, gpu, lacking
from disgorge.training.sandbox.staged import Staged, items_as_bytes
from lineage.errors import LineageError
from lineage.plural import seconds
from lineage.records import Json
from lineage.workspace import Workspace

SILENT = 1800.0
"""Seconds without progress or output after which a job is named; it goes on."""
_LOOK = 10.0
"""Most seconds between two looks for silent jobs."""
TRIES = 3
"""How often a job is begun whose process got other kernels than were set, before the machine is said to fail."""


class Workers:
    """A few jobs at a time, each in a process of its own; use as ``with Workers(workspace, count=2) as workers``.

    ``say`` takes what the operator is told meanwhile, as that a job is ``silent`` for so many seconds. Jobs keep
    checkpoints every ``keeps`` seconds.
    """

    def __init__(
        self,
        workspace: Workspace,
        *,
        count: int = 2,
        say: Callable[[str], None] = unsaid,
        keeps: float = SECONDS_BETWEEN,
        silent: float = SILENT,
    ) -> None:
        self.workspace = workspace
        self.count = count
        self.checkpoints = KeptCheckpoints(workspace, say)
        self._keeps = keeps
        self._say = say
        self._silent = silent
        self._waiting: list[tuple[_Setting, Box]] = []
        self._running: dict[int, _Order] = {}
        _open.add(self)

    def __enter__(self) -> "Workers":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop what still runs and what waits."""
        self._stop(self._running)
        while self._waiting:
            self._waiting.pop()[1].close()
        _open.discard(self)

    def run(
        self, jobs: Iterable[Job], *, on_progress: OnProgress = unseen, more: Callable[[], Iterable[Job]] = no_more
    ) -> Iterator[Done]:
        """Yield each job as it is done. Raises :class:`ExecutionFailed` with the worker's own words.

        Nothing is started where one of them trains on a device that is not there; a question is answered on the CPU.
        """
        todo, heard = deque(_orders(jobs)), _Heard()
        running: set[int] = set()
        try:
            while todo or running:
                while todo and len(running) < self.count:
                    running.add(self._begin(todo.popleft(), heard))
                    self._start_ahead(todo)
                number, message, data = self._next(heard)
                order = self._running[number]
                if "done" in message:
                    on_progress(order.job.name, message["done"], message["total"])
                    continue
                if "checkpoint" in message:
                    if order.job.resumes and isinstance(data, bytes):
                        self.checkpoints.keep(_done(order, message, sha256(data).hexdigest()), data)
                    continue
                running.discard(number)
                if message.get("kernels") and order.tries < TRIES:
                    self._let_go(order)
                    running.add(self._begin(_Order(order.job, order.tries + 1, order.method), heard))
                    continue
                if "error" in message:
                    if not message.get("machine") or (order.is_confined is not None and order.box.raised):
                        self.checkpoints.delete(order.job)  # what it went on from, or kept, may be why
                    raise _failed(order, message)
                digest = _kept(order, data) if isinstance(data, Received) else ""
                order.box.note_modules(message.get("uncompiled"))
                self._let_go(order)
                yield _done(order, message, digest, data)
                todo += _orders(more())
                self._start_ahead(todo)
        finally:
            self._stop(running)

    def _next(self, heard: "_Heard") -> "_Message":
        """Return what a job says next; one that has said nothing for long is named meanwhile, and goes on."""
        while True:
            try:
                return heard.get(timeout=min(self._silent, _LOOK))
            except Empty:
                now = time.monotonic()
                for order in self._running.values():
                    if now - max(order.box.heard_at, order.named_at) >= self._silent:
                        order.named_at = now
                        self._say(
                            f"{order.job.name} has shown neither progress nor output for "
                            f"{seconds(now - order.box.heard_at)}; it goes on, stop it with Ctrl-C if it hangs"
                        )

    def _stop(self, numbers: Iterable[int]) -> None:
        for number in list(numbers):
            if (order := self._running.get(number)) is not None:
                self._let_go(order)

    def _begin(self, order: "_Order", heard: "_Heard") -> int:
        """Hand a job to a process that waits, or to a fresh one."""
        job, setting = order.job, self._setting(order)
        code = order.method.code if order.method else None
        order.box = box = self._take(setting)
        box.stage.furnish(job.recipe, code.tree if code else None)
        if (last := self.checkpoints.last(job, setting.imports, box.reached)) is not None:
            Staged(box.stage.inputs).write_component(last.digest, last.data)
            order.checkpoint = last.digest
        self._running[order.number] = order
        told: dict[str, Json] = {
            "recipe": job.recipe,
            "method": order.method.entry if order.method else job.entry,
            "libraries": list(setting.imports),
            "variables": dict(setting.variables),
            "keeps": self._keeps if job.resumes else None,
            "checkpoint": order.checkpoint,
            "gpu": found.plain() if setting.gpu and (found := gpu()) else None,
        }
        Thread(target=_listen, args=(order, told, heard), daemon=True).start()
        return order.number

    def _setting(self, order: "_Order") -> "_Setting":
        """Return what an order's process is started with, its method found when that is asked first."""
        job = order.job
        if job.entry is None and order.method is None:
            try:
                order.method = method_for(self.workspace, job.recipe)
                refuse_unnamed(job.recipe, order.method.code)
            except (ExecutionFailed, LineageError) as error:
                raise ExecutionFailed(f"{_doing(job)} {job.name} failed: {error}") from error
        require_installed(exposed := _exposed(order))
        variables = chosen() if job.variables is None else job.variables
        on_gpu = device_of(job.recipe) == DEVICE and not lacking()
        without = unused_by(order.method) if order.method else ()
        return _Setting(tuple(sorted(variables.items())), _libraries(order), without, on_gpu, exposed)

    def _take(self, setting: "_Setting") -> Box:
        for place, (of, box) in enumerate(self._waiting):
            if of == setting and box.is_alive:
                del self._waiting[place]
                return box
        return self._start(setting)

    def _start_ahead(self, todo: Iterable["_Order"]) -> None:
        """Start what the next jobs need while others run, as many processes as run at a time."""
        wanted = [self._setting(order) for order in itertools.islice(todo, self.count)]
        for of, _ in self._waiting:
            if of in wanted:
                wanted.remove(of)
        self._waiting += [(setting, self._start(setting)) for setting in wanted]

    def _start(self, setting: "_Setting") -> Box:
        return Box(
            self.workspace,
            reached(),
            variables=dict(setting.variables),
            imports=setting.imports,
            without=setting.without,
            gpu=setting.gpu,
            exposed=setting.exposed,
        )

    def _let_go(self, order: "_Order") -> None:
        self._running.pop(order.number, None)
        order.box.close()
        if order.received is not None:
            order.received.discard()


@dataclass(frozen=True, slots=True)
class _Setting:
    """What a process is started with: the variables that steer kernels, the libraries it loads, a GPU or none.

    ``without`` are installed packages that it does without, ``exposed`` those whose data files it may read.
    """

    variables: tuple[tuple[str, str], ...]
    imports: tuple[str, ...]
    without: tuple[str, ...]
    gpu: bool
    exposed: tuple[str, ...]


def _orders(jobs: Iterable[Job]) -> "list[_Order]":
    """Return jobs as orders; :class:`ExecutionFailed` where one trains on a device that is not there."""
    orders = [_Order(job) for job in jobs]
    for job in (order.job for order in orders):
        if trains(job.recipe) and device_of(job.recipe) == DEVICE and (why := lacking()):
            raise ExecutionFailed(
                f"training {job.name} was not started: its recipe trains on device {DEVICE}, and {why}; run this on a "
                "machine that has one, or train with `device: cpu`, which is another recipe"
            )
    return orders


_numbers = itertools.count(1)
_Message = tuple[int, dict[str, Any], bytes | Received]
_Heard = Queue[_Message]


@dataclass(slots=True, eq=False)
class _Order:
    """A job to do, the method that does it, and the process; a job with an entry point of its own has no method."""

    job: Job
    tries: int = 1
    method: KnownMethod | None = None
    number: int = field(default_factory=lambda: next(_numbers))
    box: Box = field(init=False)
    is_confined: bool | None = None
    """Whether the process confined itself, None until it is ready."""
    checkpoint: str = ""
    """The digest of the one that it goes on from, "" if it begins from nothing."""
    named_at: float = 0.0
    """When the operator was told that it is silent."""
    received: Received | None = None
    """The component that it made, aside until it is kept."""


def _libraries(order: _Order) -> tuple[str, ...]:
    """Return the modules of libraries that a job's method uses; laying out takes none."""
    method, recipe = order.method, order.job.recipe
    if method is None or "layout" in recipe:
        return ()
    return libraries_for(method, recipe["kind"]) if trains(recipe) else method.libraries


def _exposed(order: _Order) -> tuple[str, ...]:
    """Return the installed packages whose data files a job may read."""
    return exposed_by(order.job.recipe) if order.method else ()


def _listen(order: _Order, told: Mapping[str, Json], heard: _Heard) -> None:
    """Give a process its order and pass on what it says; one that ends without a result has failed."""
    order.box.order(told, *map(items_as_bytes, order.job.given))
    try:
        _pass_on(order, heard)
    except LineageError as problem:  # of a result that cannot be taken
        machine = isinstance(problem.__cause__, OSError)
        heard.put((order.number, {"error": str(problem), "machine": machine}, b""))
    except BaseException as problem:  # a fault of this program, which must not leave its caller waiting
        heard.put((order.number, {"error": f"{type(problem).__name__}: {problem}", "machine": False}, b""))
        raise


def _pass_on(order: _Order, heard: _Heard) -> None:
    box = order.box
    said: Iterator[tuple[dict[str, Any], bytes | Received]] = box.frames()
    if box.stage.source is not None and trains(order.job.recipe):
        said = box.components(box.stage.source.objects)
    for message, data in said:
        if isinstance(data, Received):
            order.received = data
        if "ready" in message:
            order.is_confined = bool(message.get("confined"))
        elif "error" in message or ("result" in message and _is_dated(message)):
            heard.put((order.number, message, data))
            return
        elif isinstance(message.get("done"), int) and isinstance(message.get("total"), int):
            heard.put((order.number, message, data))
        elif "checkpoint" in message and _is_dated(message):
            heard.put((order.number, message, data))
        else:  # nothing that a worker says
            break
    heard.put((order.number, {"error": ENDED, "machine": True}, b""))


def _is_dated(message: Mapping[str, Any]) -> bool:
    """Whether a message has all that a result, or a checkpoint, comes with."""
    times = [message.get(name) for name in ("started", "ended")]
    return isinstance(message.get("environment"), dict) and all(map(_is_time, times))


def _is_time(value: Json) -> bool:
    try:
        return dt.datetime.fromisoformat(value).tzinfo is not None
    except (TypeError, ValueError):
        return False


def _kept(order: _Order, received: Received) -> str:
    try:
        return received.keep()
    except LineageError as error:
        raise ExecutionFailed(f"{_doing(order.job)} {order.job.name} failed: {error}") from error.__cause__


def _done(order: _Order, message: Mapping[str, Any], digest: str, data: bytes | Received = b"") -> Done:
    came = order.box.reached
    if came.level is Level.LANDLOCK and not order.is_confined:
        came = replace(came, level=Level.PROCESS)
    started, ended = (dt.datetime.fromisoformat(message[name]) for name in ("started", "ended"))
    used = distributions_used(_paths(message.get("loaded")), _libraries(order), exposed=_exposed(order))
    environment = message["environment"] | {"distributions": used}
    answer, files = (b"", data.files) if isinstance(data, Received) else (data, False)
    return Done(order.job, digest, started, ended, came, environment, answer, order.checkpoint, files)


def _paths(said: Any) -> list[str]:
    return [path for path in said if isinstance(path, str)] if isinstance(said, list) else []


def _doing(job: Job) -> str:
    return "training" if trains(job.recipe) else "asking"


def _failed(order: _Order, message: Mapping[str, Any]) -> ExecutionFailed:
    kind = KernelsDiffer if message.get("kernels") else ExecutionFailed
    error = kind(f"{_doing(order.job)} {order.job.name} failed: {message['error']}{order.box.last_words()}")
    error.__cause__ = OSError(message["error"]) if message.get("machine") else None
    return error


_open: set[Workers] = set()


@atexit.register
def close_all() -> None:
    """Stop every job and every process that waits for one."""
    for workers in list(_open):
        workers.close()
