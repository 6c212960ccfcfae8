"""A worker process: reads jobs as JSON lines, carries each out, answers in JSON lines.

Started by :mod:`disgorge.workers` as ``python -m disgorge.work WORKSPACE [FOLDER HIDDEN]``. Opens the workspace only to
read shards and components by digest and to put the result into the object store; it never writes to the ledger. Where a
folder is given, the workspace is one in it, and the process confines itself to that folder before it does anything:
HIDDEN is the workspace whose data it must not see.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

from disgorge.confine import confine
from disgorge.errors import DisgorgeError
from disgorge.jobs import carry_out
from lineage.errors import LineageError
from lineage.ledger import Ledger

_SECONDS_BETWEEN_REPORTS = 0.1
_ALLOWED = "what is re-executed may read its inputs and installed code, and nothing else"


def main(workspace: str, folder: str | None = None, hidden: str | None = None) -> None:
    """Serve jobs from standard input until it closes."""
    confined = folder is not None and hidden is not None and confine(Path(folder), hidden=Path(hidden))
    ledger = Ledger.open(Path(workspace))
    answer, sys.stdout = sys.stdout, sys.stderr  # whatever a library prints must not be read as an answer

    def say(**message: Any) -> None:
        answer.write(json.dumps(message) + "\n")
        answer.flush()

    for line in sys.stdin:
        job = json.loads(line)
        start = last = time.perf_counter()

        def progress(done: int, total: int) -> None:
            nonlocal last
            now = time.perf_counter()
            if now - last >= _SECONDS_BETWEEN_REPORTS:
                last = now
                say(done=done, total=total)

        try:
            digest = ledger.objects.put(
                carry_out(ledger, job["recipe"], progress=progress, any_libraries=job["any_libraries"])
            )
        except (DisgorgeError, LineageError, OSError) as error:
            if confined and isinstance(error, PermissionError):
                say(error=f"{error}: {_ALLOWED}", machine=False)
            else:
                say(error=str(error), machine=isinstance(error, OSError) or isinstance(error.__cause__, OSError))
        else:
            say(digest=digest, seconds=time.perf_counter() - start, confined=confined)


if __name__ == "__main__":
    main(*sys.argv[1:])
