"""One process for one job, started ahead of it, confined as far as this machine can.

The process loads the libraries that the job will need, confines itself or was started confined, and waits. Its inputs
are written into its folder, the order goes to its standard input, and the result comes as bytes from its standard
output: what it writes anywhere else goes with it. What it says is read as data and never trusted to be well formed.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from threading import Thread
from typing import IO, Any

import disgorge
from disgorge.training.kernels import steered
from disgorge.training.sandbox.inputs import Stage
from disgorge.training.sandbox.levels import Level, Reached
from lineage.records import Json
from lineage.workspace import Workspace

WORKER = "disgorge.training.runners.worker"
_MOST_OF_A_LINE = 1 << 20
_MOST_OF_A_RESULT = 1 << 40
_LAST_LINES = 20

_FIXED = {
    "LANG": "C.UTF-8", "TZ": "UTC", "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1", "MLFLOW_DISABLE_TELEMETRY": "true", "DVC_NO_ANALYTICS": "1", "GX_ANALYTICS_ENABLED": "false",
}  # fmt: skip
"""Threads beyond one only get in each other's way; recipes set torch's own count. No library reports its use."""
_INHERITED = ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT", "VIRTUAL_ENV")
_FOLDERS = (
    "HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "HF_HOME", "TORCH_HOME", "MPLCONFIGDIR",
)  # fmt: skip
"""Variables that say where programs keep things."""


class Box:
    """A process that waits for one order; use :meth:`order`, then read :meth:`frames`, then :meth:`close`."""

    def __init__(
        self, workspace: Workspace, reached: Reached, *, variables: Mapping[str, str], imports: Sequence[str]
    ) -> None:
        self.stage = Stage(workspace)
        self.reached = reached
        self._said: deque[bytes] = deque(maxlen=_LAST_LINES)
        told = {
            "folder": str(self.stage.folder),
            "inputs": str(self.stage.inputs),
            "hidden": str(workspace.root.absolute()),
            "landlock": reached.level is Level.LANDLOCK,
            "imports": list(imports),
            "last": os.getcwd(),
        }
        self.process = subprocess.Popen(  # its last word names this program in a list of processes
            [sys.executable, "-P", "-s", "-m", WORKER, json.dumps(told), str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.stage.scratch,
            env=_environ(variables, self.stage.scratch),
            start_new_session=True,
        )
        self._listener = Thread(target=self._listen, args=(self.process.stderr,), daemon=True)
        self._listener.start()

    @property
    def is_alive(self) -> bool:
        """Whether it can be given an order."""
        return self.process.poll() is None

    def order(self, order: Mapping[str, Json]) -> None:
        """Give it its one order."""
        with contextlib.suppress(OSError):  # it ended: its frames say so
            self._stdin.write(json.dumps(order).encode() + b"\n")
            self._stdin.flush()

    def frames(self) -> Iterator[tuple[dict[str, Any], bytes]]:
        """Yield what it says, each message with the bytes that come with it; ends when it does, or says nonsense."""
        stream = self.process.stdout
        assert stream is not None
        while True:
            with contextlib.suppress(ValueError, OSError):  # closed meanwhile; or not what a worker says
                line = stream.readline(_MOST_OF_A_LINE)
                message = json.loads(line) if line.endswith(b"\n") else None
                if isinstance(message, dict):
                    size = message.get("size", 0)
                    if isinstance(size, int) and 0 <= size <= _MOST_OF_A_RESULT:
                        data = stream.read(size) if size else b""
                        if len(data) == size:
                            yield message, data
                            continue
            return

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


def _environ(variables: Mapping[str, str], scratch: Path) -> dict[str, str]:
    """Return the whole environment of a process: nothing of this one's but where programs and libraries are found."""
    found = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    found |= _FIXED | dict.fromkeys(_FOLDERS, str(scratch)) | _importable()
    return steered(found, variables)


def _importable() -> dict[str, str]:
    """Return the variables by which what can be imported from here can be imported from there.

    Our own packages come first, unless they are installed, and what lies in the working folder last (``last`` of what a
    worker is told): a file of the user's that is called as one of ours, or of Python's, hides nothing.
    """
    ours = str(Path(disgorge.__file__).absolute().parents[1])
    paths = [os.path.abspath(path) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    there = [path for path in paths if os.path.exists(path)]  # nothing but folders is told by this variable
    first = [ours] if "site-packages" not in Path(ours).parts else []
    return {"PYTHONPATH": os.pathsep.join([*first, *there])}
