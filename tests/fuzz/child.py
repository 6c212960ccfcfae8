"""The crash and limit harness: a process with little memory, in which cases that may hang or crash it run.

``python -m tests.fuzz.child FOLDER KIND:FIRST:LAST ...`` runs cases of several kinds one after the other and writes a
line to ``FOLDER/log.jsonl`` before each case and after each kind. A process that dies or says nothing for too long
fails the kind it was in, by the number of its case; the kinds after it run in a new process.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

SECONDS = 5.0
"""Processor time that a case may take: what is refused is refused at once."""
SILENCE = 60.0
"""Seconds without a word after which the process is stuck, however busy the machine is."""
LOOK = 0.05
MEMORY = 9 * 2**29
"""Bytes of address space: 4.5 GiB, of which the libraries reserve 2.1 before anything is read."""


@dataclass
class Batch:
    """What became of the cases of one kind."""

    cases: int = 0
    outcomes: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    slowest: float = 0.0

    def run(self, case: Callable[[], str]) -> str:
        """Run and count one case; return what is wrong with it, or an empty string."""
        failure, started = "", time.process_time()
        try:
            if (outcome := case()) not in self.outcomes:
                self.outcomes.append(outcome)
        except BaseException as problem:  # SystemExit and KeyboardInterrupt too: a case must not end the run
            where = traceback.extract_tb(problem.__traceback__)[-1]
            failure = f"{type(problem).__name__}: {problem} ({where.filename}:{where.lineno})"[:1500]
        seconds = time.process_time() - started
        self.cases, self.slowest = self.cases + 1, max(self.slowest, round(seconds, 3))
        return failure or (f"took {seconds:.1f} s" if seconds > SECONDS else "")


def run_batches(counts: Mapping[str, int], folder: Path) -> dict[str, Batch]:
    """Run as many cases of each kind as ``counts`` says, in child processes; return what became of them."""
    batches: dict[str, Batch] = {}
    while left := [kind for kind in counts if kind not in batches]:
        place = folder / f"from-{left[0]}"
        place.mkdir(parents=True)
        code, stuck = _wait([f"{kind}:0:{counts[kind]}" for kind in left], place)
        last = (left[0], -1)
        for line in map(json.loads, (place / "log.jsonl").read_text().splitlines()):
            last = (line["kind"], line.get("number", last[1]))
            if "batch" in line:
                batches[line["kind"]] = Batch(**line["batch"])
        dead = next((kind for kind in left if kind not in batches), None)
        if dead is not None:
            how = f"said nothing for {SILENCE:g} s" if stuck else f"killed the process ({_signal(code)})"
            words = (place / "said.txt").read_text(errors="replace").strip()[-500:]
            batches[dead] = Batch(failures=[f"{dead} {last[1] if last[0] == dead else 0}: {how} {words}"])
    return batches


def _wait(jobs: list[str], place: Path) -> tuple[int, bool]:
    """Run jobs in one process; return its exit code, and whether it was killed because it was stuck."""
    log = place / "log.jsonl"
    log.touch()
    with (place / "said.txt").open("wb") as said:
        command = [sys.executable, "-m", "tests.fuzz.child", str(place), *jobs]
        process = subprocess.Popen(command, stdout=said, stderr=said, start_new_session=True)
        heard, silent = 0, 0.0
        while process.poll() is None:
            time.sleep(LOOK)
            silent += LOOK  # counted, not read off a clock: a machine that slept is not a case that hangs
            if log.stat().st_size != heard:
                heard, silent = log.stat().st_size, 0.0
            elif silent > SILENCE:
                os.killpg(process.pid, signal.SIGKILL)
                return process.wait(), True
    return process.returncode, False


def _signal(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit {code}"


def main(folder: Path, *jobs: str) -> None:
    """Run cases in this process."""
    from tests.fuzz import harness_selftest
    from tests.fuzz.kinds import KINDS
    from tests.fuzz.place import Place

    cases = {name: kind.case for name, kind in KINDS.items()}
    cases |= {harness_selftest.CRASH: harness_selftest.crash, harness_selftest.BREACHES: harness_selftest.breach}
    place = Place(folder)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    with (folder / "log.jsonl").open("a", buffering=1, encoding="utf-8") as log:
        for job in jobs:
            kind, first, last = job.split(":")
            batch = Batch()
            for number in range(int(first), int(last)):
                log.write(json.dumps({"kind": kind, "number": number}) + "\n")
                if failure := batch.run(lambda kind=kind, number=number: place.watched(cases[kind], number)):
                    batch.failures.append(f"{kind} {number}: {failure}")
            log.write(json.dumps({"kind": kind, "batch": asdict(batch)}) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
