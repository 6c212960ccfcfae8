"""The process that carries out one job. It plans, judges and signs nothing, and knows no workspace.

Started by :mod:`disgorge.training.runners.box` ahead of its job: it loads the libraries, is confined, and waits for one
order on standard input, a JSON line with ``recipe``, the ``method`` as the entry point that names it, its
``libraries``, the ``variables`` that steer kernels, the ``gpu`` it is given, None without one, and the ``sizes`` of the
sets of items that follow it; perhaps with ``keeps``, the seconds after which its state is kept, and the ``checkpoint``
among its inputs that it goes on from. What it says leaves as JSON lines: ``ready``; ``done`` of ``total``;
``checkpoint``, and in the end ``result``, whose bytes follow them, or ``error``. Of a result with ``files`` these are a
listing of paths and sizes, which the bytes of the files follow. It ends when standard input does.
"""

import datetime as dt
import json
import os
import re
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from importlib.metadata import EntryPoint
from io import BytesIO
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, BinaryIO

from disgorge.errors import DisgorgeError
from disgorge.method import NO_CHECKPOINTS, Items, Method
from disgorge.training.carry_out import carry_out
from disgorge.training.environment import environment_in_use, processor
from disgorge.training.kernels import not_as_asked
from disgorge.training.sandbox.landlock import confine
from disgorge.training.sandbox.nvidia import DEVICE
from disgorge.training.sandbox.staged import Staged, items_from
from lineage.errors import LineageError
from lineage.records import Json
from lineage.storage.components import files_in
from lineage.storage.objects import PIECE
from lineage.storage.tensors import save_tensors

if TYPE_CHECKING:
    from disgorge.method import Tensors

_SECONDS_BETWEEN_REPORTS = 0.1
_REST_AFTER_KEEPING = 99
"""How many times as long as keeping a checkpoint took, no other one is kept: it costs at most a hundredth."""
_LIBRARY = re.compile(
    r"(torch|numpy|diffusers|transformers|scipy|safetensors|pyarrow|sklearn|pandas|lightgbm|peft)(\.[A-Za-z0-9_]+)*"
)
"""What may be loaded before a job is known."""
_EVERY_JOB = ("numpy", "safetensors.numpy")
"""What reading inputs and writing weights takes, whatever the method."""
_PACKAGES = frozenset(("site-packages", "dist-packages"))
_CONFINES = "landlockpy"
"""Loaded to confine this process at one level and not at another: not what it trains with."""
_ALLOWED = "a job may read its inputs and installed code, and nothing else"


def main(told: Mapping[str, Any]) -> None:
    """Get ready, carry one order out, and end at once: nothing that a job registered to run later runs."""
    answers = _take_standard_output()
    processor()  # read before this process is confined
    sys.modules.update(dict.fromkeys(told["without"]))  # an import of None says that it is not there
    preload((*_EVERY_JOB, *told["imports"]))
    confined = bool(told["landlock"]) and confine(Path(told["folder"]), hidden=Path(told["hidden"]), gpu=told["gpu"])
    say = _Voice(answers)
    say(ready=True, confined=confined)
    line = sys.stdin.buffer.readline()
    code = 1
    if line.endswith(b"\n"):
        order = json.loads(line)
        given = [items_from(BytesIO(sys.stdin.buffer.read(size))) for size in order["sizes"]]
        Thread(target=_end_with_parent, daemon=True).start()
        try:
            serve(order, Staged(Path(told["inputs"])), say, given)
            code = 0
        except BaseException:
            traceback.print_exc()
    sys.stderr.flush()
    os._exit(code)


def serve(order: Mapping[str, Json], inputs: Staged, say: "_Voice", given: Sequence[Items] = ()) -> None:
    """Carry one job out and say how far it is, and in the end its result or what went wrong."""
    recipe = order["recipe"]
    started, last = dt.datetime.now(dt.UTC), time.perf_counter()

    def progress(done: int, total: int) -> None:
        nonlocal last
        now = time.perf_counter()
        if now - last >= _SECONDS_BETWEEN_REPORTS:
            last = now
            say(done=done, total=total)

    try:
        _search(inputs.code)
        method = _method(order["method"])
        device = "cpu" if order.get("gpu") is None else DEVICE
        kept = _Kept(order, inputs, say, started) if order.get("keeps") is not None else NO_CHECKPOINTS
        made = carry_out(inputs, recipe, method=method, given=given, device=device, progress=progress, checkpoints=kept)
        files = [] if isinstance(made, bytes) else files_in(made)
        environment = environment_in_use(order["libraries"], given=order.get("gpu"))
        if other := not_as_asked(order["variables"], environment["kernels"]):
            say(error=f"{other}; run the command again", machine=True, kernels=True)
            return
    except (DisgorgeError, LineageError, OSError) as error:
        if isinstance(error, PermissionError):
            say(error=f"{error}: {_ALLOWED}", machine=False)
        else:
            say(error=str(error), machine=isinstance(error, OSError) or isinstance(error.__cause__, OSError))
    else:
        ended = dt.datetime.now(dt.UTC)
        told = {
            "result": True, "started": started.isoformat(), "ended": ended.isoformat(), "environment": environment,
            "uncompiled": _uncompiled(inputs.code), "loaded": _loaded(),
        }  # fmt: skip
        if isinstance(made, bytes):
            say(made, size=len(made), **told)
        else:
            say(listing := json.dumps(files).encode(), size=len(listing), files=True, **told)
            for path, size in files:
                say.send(made / path, size)


class _Kept:
    """Checkpoints that leave as bytes, like a result: nothing that a job writes outlives it."""

    def __init__(self, order: Mapping[str, Json], inputs: Staged, say: "_Voice", started: dt.datetime) -> None:
        last = inputs.tensors(order["checkpoint"]) if order.get("checkpoint") else None
        self.last = None if isinstance(last, Path) else last
        self._order = order
        self._say = say
        self._started = started
        self._next = time.perf_counter() + order["keeps"]

    def keep(self, state: "Callable[[], Tensors]") -> None:
        """Say what ``state`` returns where it is time to; that takes a small share of all time, however large it is."""
        if (now := time.perf_counter()) < self._next:
            return
        environment = environment_in_use(self._order["libraries"], given=self._order.get("gpu"))
        if not not_as_asked(self._order["variables"], environment["kernels"]):
            data, ended = save_tensors(state()), dt.datetime.now(dt.UTC)
            self._say(
                data, checkpoint=True, size=len(data), started=self._started.isoformat(), ended=ended.isoformat(),
                environment=environment, loaded=_loaded(),
            )  # fmt: skip
        took = time.perf_counter() - now
        self._next = now + took + max(self._order["keeps"], took * _REST_AFTER_KEEPING)


def _search(code: Path) -> None:
    """Have local code found where it lies, after what is Python's and ours and before installed packages."""
    if code.is_dir():
        packages = (place for place, path in enumerate(sys.path) if os.path.basename(path) in _PACKAGES)
        sys.path.insert(next(packages, len(sys.path)), str(code))


def _method(entry: str) -> Method:
    """Return the method that an entry point names."""
    found: Method = EntryPoint("method", entry, "disgorge.methods").load()
    return found


def _uncompiled(code: Path) -> list[str]:
    """Return the modules, local ones aside, that were loaded here without bytecode: it is made before the next job."""
    found = []
    for name, module in list(sys.modules.items()):
        path, cached = getattr(module, "__file__", None), getattr(module, "__cached__", None)
        if isinstance(path, str) and isinstance(cached, str) and not path.startswith(f"{code}{os.sep}"):
            found += [] if os.path.exists(cached) else [name]
    return found


def _loaded() -> list[str]:
    """Return from where among installed packages modules were loaded: their folders, or files that lie in none."""
    found = set[str]()
    for name, module in list(sys.modules.items()):
        path = getattr(module, "__file__", None)
        if isinstance(path, str) and not name.startswith(_CONFINES):
            folder = os.path.dirname(path)
            found.add(path if os.path.basename(folder) in _PACKAGES else folder)
    return sorted(path for path in found if not _PACKAGES.isdisjoint(path.split(os.sep)))


class _Voice:
    """Says things to the process that gave the order."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def __call__(self, data: bytes = b"", /, **message: Any) -> None:
        self._stream.write(json.dumps(message).encode() + b"\n")
        self._stream.write(data)
        self._stream.flush()

    def send(self, path: Path, size: int) -> None:
        """Send the bytes of a file, piece by piece, as many as were announced; fewer end this process."""
        with path.open("rb") as file:
            while size and (piece := file.read(min(PIECE, size))):
                self._stream.write(piece)
                size -= len(piece)
        self._stream.flush()
        if size:
            raise OSError(f"{path} became shorter while it was sent")


def _take_standard_output() -> BinaryIO:
    """Return standard output for answers alone: what a library prints goes to standard error."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answers


def _end_with_parent() -> None:
    """End this process when the one that gave the order ends, and with it standard input.

    Read without Python's buffer: a process that the job forks closes that first, and would wait for its lock for ever.
    """
    while os.read(0, 1):
        pass
    if hasattr(os, "killpg"):
        os.killpg(0, signal.SIGKILL)  # what it started ends with it
    os._exit(1)


def preload(modules: Iterable[str]) -> None:
    """Import what a method names, where it is a library that may be loaded before a job is known."""
    for name in modules:
        if name not in sys.modules and _LIBRARY.fullmatch(name):
            try:
                import_module(name)
            except Exception:
                continue


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
