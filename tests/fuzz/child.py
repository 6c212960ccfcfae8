"""The process in which cases run, and the batch of them as its parent sees it.

``python -m tests.fuzz.child KIND FIRST COUNT FOLDER`` runs cases one after the other and writes a line to
``FOLDER/log.jsonl`` before and after each, so that the parent knows which case a dead or silent process was in, and
goes on with the next one in a new process.
"""

import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SECONDS = 5.0
"""Processor time that a case may take: what is refused is refused at once."""
SILENCE = 60.0
"""Seconds without a word after which the process is stuck, however busy the machine is."""
MEMORY = 9 * 2**29
"""Bytes of address space: 4.5 GiB, of which the libraries reserve 2.1 before anything is read."""


@dataclass
class Batch:
    """What became of the cases of one kind."""

    cases: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    slowest: float = 0.0


def run_batch(kind: str, count: int, folder: Path) -> Batch:
    """Run cases 0 to ``count`` of a kind in child processes and return what became of them."""
    batch, first, turn = Batch(), 0, 0
    while first < count:
        place = folder / f"{kind}-{turn}"
        place.mkdir(parents=True)
        first = _one_process(batch, kind, first, count - first, place)
        turn += 1
        if turn > 40:
            batch.failures.append(f"{kind}: gave up after {turn} dead processes, {count - first} cases not run")
            break
    return batch


def _one_process(batch: Batch, kind: str, first: int, count: int, place: Path) -> int:
    """Run cases in one process until they are done or it dies; return the number of the first case not run."""
    log = place / "log.jsonl"
    log.touch()
    with (place / "said.txt").open("wb") as said:
        command = [sys.executable, "-m", "tests.fuzz.child", kind, str(first), str(count), str(place)]
        process = subprocess.Popen(command, stdout=said, stderr=said, start_new_session=True)
        stuck = False
        heard, at = log.stat().st_size, time.monotonic()
        while process.poll() is None:
            time.sleep(0.05)
            if log.stat().st_size != heard:
                heard, at = log.stat().st_size, time.monotonic()
            elif time.monotonic() - at > SILENCE:
                stuck = True
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    return _account(batch, kind, first, count, log, process.returncode, stuck=stuck)


def _account(batch: Batch, kind: str, first: int, count: int, log: Path, code: int, *, stuck: bool) -> int:
    begun = first - 1
    ended = first - 1
    for line in log.read_text().splitlines():
        said = json.loads(line)
        if "begin" in said:
            begun = said["begin"]
            continue
        ended = said["end"]
        batch.cases += 1
        batch.outcomes[said["outcome"]] += 1
        batch.slowest = max(batch.slowest, said["seconds"])
        if said.get("failure"):
            batch.failures.append(f"{kind} {ended}: {said['failure']}")
    if ended == first + count - 1 and code == 0:
        return first + count
    if begun == ended:
        words = log.with_name("said.txt").read_text(errors="replace").strip()[-500:]
        batch.failures.append(f"{kind}: the process ended with {code} between cases: {words}")
        return first + count if ended < first else ended + 1
    batch.cases += 1
    how = f"said nothing for {SILENCE:g} s" if stuck else f"killed the process ({_signal(code)})"
    batch.failures.append(f"{kind} {begun}: {how}")
    return begun + 1


def _signal(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit {code}"


def main(kind: str, first: int, count: int, folder: Path) -> None:
    """Run cases in this process."""
    import resource

    from tests.fuzz import misbehaved
    from tests.fuzz.kinds import KINDS
    from tests.fuzz.place import Place

    place = Place(folder)
    run = misbehaved.case if kind == "misbehaved" else KINDS[kind].case
    log = os.open(folder / "log.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def say(**line: Any) -> None:
        os.write(log, json.dumps(line).encode() + b"\n")

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for number in range(first, first + count):
        say(begin=number)
        started, failure, outcome = time.process_time(), "", ""
        try:
            outcome = run(place, number)
            place.check_outside()
        except BaseException as problem:  # SystemExit and KeyboardInterrupt too: a case must not end the run
            where = traceback.extract_tb(problem.__traceback__)[-1]
            failure = f"{type(problem).__name__}: {problem} ({where.filename}:{where.lineno})"[:1500]
        seconds = time.process_time() - started
        if seconds > SECONDS:
            failure = failure or f"took {seconds:.1f} s"
        say(end=number, outcome=outcome, failure=failure, seconds=round(seconds, 3))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
