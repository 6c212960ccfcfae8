"""One process for one job, started ahead of it, confined as far as this machine can.

The process loads the libraries that the job will need, confines itself or was started confined, and waits. Its inputs
are written into its folder, the order goes to its standard input, and the result comes as bytes from its standard
output: what it writes anywhere else goes with it. What it says is read as data and never trusted to be well formed.
"""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from threading import Thread
from typing import IO, Any

import disgorge
from disgorge.training.kernels import steered
from disgorge.training.runners.output import Output
from disgorge.training.runners.received import Received, receive
from disgorge.training.sandbox import nvidia
from disgorge.training.sandbox.bytecode import bytecode_of
from disgorge.training.sandbox.inputs import Stage
from disgorge.training.sandbox.levels import Level, Reached, with_gpu
from disgorge.training.sandbox.namespace import FILTERED, PYTHON, command, package_folders
from disgorge.training.sandbox.seccomp import filter_descriptor, filter_program
from lineage.records import Json
from lineage.storage.objects import Objects
from lineage.workspace import Workspace

WORKER = "disgorge.training.runners.worker"
_MOST_OF_A_LINE = 1 << 20
_MOST_OF_A_RESULT = 1 << 40
_LAST_LINES = 20
_LAST_SECONDS = 1.0
"""Seconds in which a process ends that has said its last."""

_FIXED = {
    "LANG": "C.UTF-8", "TZ": "UTC", "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1", "MLFLOW_DISABLE_TELEMETRY": "true", "DVC_NO_ANALYTICS": "1", "GX_ANALYTICS_ENABLED": "false",
}  # fmt: skip
"""Threads beyond one only get in each other's way; recipes set torch's own count. No library reports its use."""
_PIPES: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
_INHERITED = ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT", "VIRTUAL_ENV")
_FOLDERS = (
    "HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "HF_HOME", "TORCH_HOME", "MPLCONFIGDIR",
)  # fmt: skip
"""Variables that say where programs keep things."""


class Box:
    """A process that waits for one order; use :meth:`order`, then read :meth:`frames`, then :meth:`close`."""

    def __init__(
        self,
        workspace: Workspace | None,
        reached: Reached,
        *,
        variables: Mapping[str, str],
        imports: Sequence[str],
        without: Sequence[str] = (),
        gpu: bool = False,
        exposed: Sequence[str] = (),
    ) -> None:
        """Start it. Without a ``workspace`` it is given no data, and only code to load.

        ``without`` are packages that it acts as if they were not installed, ``exposed`` those whose data files it may
        read, by name.
        """
        self.stage = Stage(workspace)
        self.reached = with_gpu(reached) if gpu else reached
        self._gpu, self._exposed = gpu, tuple(exposed)
        self._said: deque[bytes] = deque(maxlen=_LAST_LINES)
        self.heard_at = time.monotonic()
        """When it last said anything, printed lines too."""
        self._imports = tuple(imports)
        is_boxed = reached.level is Level.NAMESPACE
        told = {
            "folder": str(self.stage.folder),
            "inputs": "/in" if is_boxed else str(self.stage.inputs),
            "hidden": str(workspace.root.absolute() if workspace else self.stage.folder),
            "landlock": reached.level is Level.LANDLOCK,
            "gpu": gpu,
            "imports": list(imports),
            "without": list(without),
        }
        job = ("-m", WORKER, json.dumps(told), str(os.getpid()))  # the last word names this program to people
        try:
            self.process = self._boxed(job, workspace, variables, imports) if is_boxed else self._bare(job, variables)
        except BaseException:
            self.stage.close()
            raise
        self._listener = Thread(target=self._listen, args=(self.process.stderr,), daemon=True)
        self._listener.start()

    def _bare(self, job: Sequence[str], variables: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """Start the job's process in this world; it confines itself, or nothing does."""
        folders = dict.fromkeys(_FOLDERS, str(self.stage.scratch))
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        inherited |= nvidia.variables(str(self.stage.scratch)) if self._gpu else {}
        environ = steered(inherited | _FIXED | folders | _search_path(), variables)
        return subprocess.Popen(
            [sys.executable, "-P", "-s", *job], cwd=self.stage.scratch, env=environ, start_new_session=True, **_PIPES
        )

    def _boxed(
        self, job: Sequence[str], workspace: Workspace | None, variables: Mapping[str, str], imports: Sequence[str]
    ) -> subprocess.Popen[bytes]:
        """Start the job's process in namespaces of its own."""
        gaps, of_gpu = self.reached.gaps, nvidia.variables() if self._gpu else {}
        descriptor = filter_descriptor(filter_program(sockets=True, namespaces=FILTERED not in gaps))
        try:
            box = command(
                self.stage.inputs,
                environ=steered(_FIXED | _search_path() | of_gpu, variables),
                filter_fd=descriptor,
                code=nvidia.driver_libraries() if self._gpu else (),
                devices=nvidia.device_nodes() if self._gpu else (),
                pycache=_bytecode(_loaded_late.get(tuple(imports), frozenset()) | {WORKER, *imports}, gaps),
                gaps=gaps,
                exposed=self._exposed,
                workspace=workspace.root if workspace else None,
            )
            return subprocess.Popen(
                [*box, *PYTHON, *job], pass_fds=[descriptor], env={}, start_new_session=True, **_PIPES
            )
        finally:
            os.close(descriptor)

    @property
    def is_alive(self) -> bool:
        """Whether it can be given an order."""
        return self.process.poll() is None

    @property
    def raised(self) -> bool:
        """Whether it ended because of an error that it had no words for; one that was killed did not."""
        try:
            return self.process.wait(_LAST_SECONDS) == 1
        except subprocess.TimeoutExpired:
            return False

    def order(self, order: Mapping[str, Json], *data: bytes) -> None:
        """Give it its one order, and the data that comes with it; waits until that is taken."""
        with contextlib.suppress(OSError, ValueError):  # it ended, or was stopped: its frames say so
            self._stdin.write(json.dumps({**order, "sizes": [len(each) for each in data]}).encode() + b"\n")
            for each in data:
                self._stdin.write(each)
            self._stdin.flush()

    def components(self, objects: Objects) -> Iterator[tuple[dict[str, Any], bytes | Received]]:
        """Yield what it says, as :meth:`frames` does, and with its result the component it made, aside among objects.

        Raises :class:`~lineage.errors.LineageError` for a result that is no component, or that there is no room for.
        """
        return self._frames(_MOST_OF_A_RESULT, objects)

    def frames(self, most: int = _MOST_OF_A_RESULT) -> Iterator[tuple[dict[str, Any], bytes]]:
        """Yield what it says, each message with the bytes that come with it, of which there are at ``most`` so many.

        Ends when it does, or says nonsense.
        """
        return ((message, data) for message, data in self._frames(most) if isinstance(data, bytes))

    def _frames(self, most: int, objects: Objects | None = None) -> Iterator[tuple[dict[str, Any], bytes | Received]]:
        with contextlib.closing(Output(self.process)) as output:
            while True:
                with contextlib.suppress(ValueError, OSError):  # not what a worker says
                    line = output.readline(_MOST_OF_A_LINE)
                    self.heard_at = time.monotonic()
                    message = json.loads(line) if line.endswith(b"\n") else None
                    if isinstance(message, dict):
                        if objects is not None and "result" in message:
                            yield message, receive(output, message, objects)
                            continue
                        size = message.get("size", 0)
                        if isinstance(size, int) and 0 <= size <= most:
                            data = output.read(size) if size else b""
                            if len(data) == size:
                                yield message, data
                                continue
                return

    def note_modules(self, names: Any) -> None:
        """Have bytecode made, before the next start, of modules that the job loaded and that had none."""
        if isinstance(names, list) and len(names) <= _MOST_MODULES:
            found = frozenset(name for name in names if isinstance(name, str) and _MODULE.fullmatch(name))
            _loaded_late[self._imports] = _loaded_late.get(self._imports, frozenset()) | found

    def last_words(self) -> str:
        """Return the last line on standard error, in parentheses: the likely cause of an unexpected end."""
        if self.process.poll() is not None:
            self._listener.join(1)
        said = b"".join(self._said).decode(errors="replace").strip().splitlines()
        return f" (it said: {said[-1][:300]})" if said else ""

    def close(self) -> None:
        """End the process and all that it started, and delete its folder."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.kill()
        self.process.wait()
        self._listener.join(1)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):  # an order that a dead process never took may still be in it
                    stream.close()
        self.stage.close()

    @property
    def _stdin(self) -> IO[bytes]:
        assert self.process.stdin is not None
        return self.process.stdin

    def _listen(self, stream: IO[bytes]) -> None:
        with contextlib.suppress(ValueError, OSError):
            while line := stream.readline(4096):
                self._said.append(line)
                self.heard_at = time.monotonic()


@cache
def _bytecode(modules: frozenset[str], gaps: tuple[str, ...]) -> Path:
    """Return the bytecode of these modules, looked up once a process."""
    return bytecode_of(modules, gaps=gaps)


_loaded_late: dict[tuple[str, ...], frozenset[str]] = {}
"""Modules that jobs loaded and that had no bytecode, by the libraries that a job names."""
_MODULE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
_MOST_MODULES = 5_000


def _search_path() -> dict[str, str]:
    """Return the variable by which our own packages are found first, unless they are installed.

    Of the folders of PYTHONPATH those of installed packages stay. Local code is searched for where a job's inputs are
    (:mod:`disgorge.training.code`), and nowhere else.
    """
    ours = Path(disgorge.__file__).absolute().parents[1]
    packages = {folder.resolve() for folder in package_folders()}
    named = [Path(os.path.abspath(path)) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    found = [path for path in named if path.resolve() in packages]
    own = [] if ours.name in ("site-packages", "dist-packages") else [ours]
    return {"PYTHONPATH": os.pathsep.join(map(str, (*own, *found)))}
