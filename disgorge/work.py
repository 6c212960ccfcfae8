"""A worker process: reads jobs as JSON lines, carries each out, answers in JSON lines.

Started by :mod:`disgorge.workers` as ``python -m disgorge.work WORKSPACE [apart]``. Opens the workspace only to read
shards and components by digest and to put the result into the object store; it never writes to the ledger. With
``apart``, each job is carried out by a process of its own (:mod:`disgorge.alone`), and WORKSPACE is what that must not
see.
"""

import json
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from disgorge.alone import bear, libraries_in_use, remember
from disgorge.errors import DisgorgeError
from disgorge.jobs import carry_out
from disgorge.stage import WORKSPACE
from lineage.errors import LineageError
from lineage.ledger import Ledger
from lineage.records import Json

_SECONDS_BETWEEN_REPORTS = 0.1
_ALLOWED = "what is re-executed may read its inputs and installed code, and nothing else"


def main(workspace: str, apart: str | None = None) -> None:
    """Serve jobs from standard input until it closes."""
    answer, sys.stdout = sys.stdout, sys.stderr  # whatever a library prints must not be read as an answer

    def say(**message: Any) -> None:
        answer.write(json.dumps(message) + "\n")
        answer.flush()

    for line in sys.stdin:
        job = json.loads(line)
        if not apart:
            serve(Path(workspace), job, say)
            continue
        remember(job["libraries"])
        work = partial(_serve_alone, job, say)
        if not bear(Path(job["folder"]), hidden=Path(workspace).absolute(), work=work):
            say(error="the worker process ended; run the command again to go on")


def _serve_alone(job: Mapping[str, Json], say: Callable[..., None], confined: bool) -> None:
    serve(Path(job["folder"]) / WORKSPACE, job, say, confined=confined)


def serve(workspace: Path, job: Mapping[str, Json], say: Callable[..., None], *, confined: bool = False) -> None:
    """Carry one job out and say how far it is, and in the end its digest or what went wrong."""
    start = last = time.perf_counter()

    def progress(done: int, total: int) -> None:
        nonlocal last
        now = time.perf_counter()
        if now - last >= _SECONDS_BETWEEN_REPORTS:
            last = now
            say(done=done, total=total)

    try:
        ledger = Ledger.open(workspace)
        made = carry_out(ledger, job["recipe"], progress=progress, any_libraries=job["any_libraries"])
        digest = ledger.objects.put(made)
    except (DisgorgeError, LineageError, OSError) as error:
        if confined and isinstance(error, PermissionError):
            say(error=f"{error}: {_ALLOWED}", machine=False)
        else:
            say(error=str(error), machine=isinstance(error, OSError) or isinstance(error.__cause__, OSError))
    else:
        say(digest=digest, seconds=time.perf_counter() - start, confined=confined, libraries=libraries_in_use())


if __name__ == "__main__":
    main(*sys.argv[1:])
