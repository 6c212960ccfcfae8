"""The process in which cases run, and the batches of them as its parent sees them.

``python -m tests.fuzz.child FOLDER KIND:FIRST:COUNT ...`` runs cases one after the other and writes a line to
``FOLDER/log.jsonl`` before and after each, so that the parent knows which case a dead or silent process was in, and
goes on with the next one in a new process. All kinds share a process, because starting one takes seconds.
"""

import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SECONDS = 5.0
"""Processor time that a case may take: what is refused is refused at once."""
SILENCE = 60.0
"""Seconds without a word after which the process is stuck, however busy the machine is."""
LOOK = 0.05
MOST_PROCESSES = 40
MEMORY = 9 * 2**29
"""Bytes of address space: 4.5 GiB, of which the libraries reserve 2.1 before anything is read."""


@dataclass
class Batch:
    """What became of the cases of one kind."""

    cases: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    slowest: float = 0.0
    seconds: float = 0.0


Job = tuple[str, int, int]
"""A kind, the number of its first case, and the number after its last."""


def run_batches(counts: Mapping[str, int], folder: Path) -> dict[str, Batch]:
    """Run cases from 0 of each kind, as many as ``counts`` says, in child processes; return what became of them."""
    batches = {kind: Batch() for kind in counts}
    jobs: list[Job] = [(kind, 0, count) for kind, count in counts.items()]
    for turn in range(MOST_PROCESSES):
        if not jobs:
            return batches
        place = folder / f"process-{turn}"
        place.mkdir(parents=True)
        jobs = _one_process(batches, jobs, place)
    for kind, first, last in jobs:
        batches[kind].failures.append(f"{kind}: {last - first} cases not run, {MOST_PROCESSES} processes died before")
    return batches


def _one_process(batches: dict[str, Batch], jobs: list[Job], place: Path) -> list[Job]:
    """Run jobs in one process until they are done or it dies; return those that are left."""
    log = place / "log.jsonl"
    log.touch()
    with (place / "said.txt").open("wb") as said:
        command = [sys.executable, "-m", "tests.fuzz.child", str(place), *(f"{k}:{a}:{b}" for k, a, b in jobs)]
        process = subprocess.Popen(command, stdout=said, stderr=said, start_new_session=True)
        heard, silent, stuck = 0, 0.0, False
        while process.poll() is None:
            time.sleep(LOOK)
            silent += LOOK  # counted, not read off a clock: a machine that slept is not a case that hangs
            if log.stat().st_size != heard:
                heard, silent = log.stat().st_size, 0.0
            elif silent > SILENCE:
                stuck = True
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    return _account(batches, jobs, log, process.returncode, stuck=stuck)


def _account(batches: dict[str, Batch], jobs: list[Job], log: Path, code: int, *, stuck: bool) -> list[Job]:
    """Take what a process wrote into the batches; a case that began and never ended is one that killed it."""
    begun: tuple[str, int] | None = None
    following = {kind: first for kind, first, _ in jobs}
    for line in log.read_text().splitlines():
        said = json.loads(line)
        kind, number = said["kind"], said["number"]
        following[kind] = number + 1
        if "outcome" not in said:
            begun = (kind, number)
            continue
        begun, batch = None, batches[kind]
        batch.cases += 1
        batch.outcomes[said["outcome"]] += 1
        batch.slowest = max(batch.slowest, said["seconds"])
        batch.seconds += said["seconds"]
        if said["failure"]:
            batch.failures.append(f"{kind} {number}: {said['failure']}")
    left = [(kind, following[kind], last) for kind, _, last in jobs if following[kind] < last]
    if begun is not None:
        kind, number = begun
        how = f"said nothing for {SILENCE:g} s" if stuck else f"killed the process ({_signal(code)})"
        batches[kind].cases += 1
        batches[kind].failures.append(f"{kind} {number}: {how}")
    elif left:
        words = log.with_name("said.txt").read_text(errors="replace").strip()[-500:]
        batches[left[0][0]].failures.append(f"the process ended between cases ({_signal(code)}): {words}")
    return left


def _signal(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit {code}"


def main(folder: Path, *jobs: str) -> None:
    """Run cases in this process."""
    import resource

    from tests.fuzz import misbehaved
    from tests.fuzz.kinds import KINDS
    from tests.fuzz.place import Place

    place = Place(folder)
    log = os.open(folder / "log.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def say(**line: Any) -> None:
        os.write(log, json.dumps(line).encode() + b"\n")

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for job in jobs:
        kind, first, last = job.split(":")
        run = misbehaved.case if kind == misbehaved.NAME else KINDS[kind].case
        for number in range(int(first), int(last)):
            say(kind=kind, number=number)
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
            say(kind=kind, number=number, outcome=outcome, failure=failure, seconds=round(seconds, 3))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
