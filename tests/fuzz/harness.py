"""The crash and limit harness: a process with little memory, in which kinds that may hang or crash it run.

``python -m tests.fuzz.harness FOLDER KIND ...`` runs the kinds one after the other and writes a line to
``FOLDER/log.jsonl`` before each case and after each kind. A process that dies or says nothing for too long fails the
kind it was in, by its case; the kinds after it run in a new process.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from hypothesis import strategies as st

from tests.fuzz import bundles, conditions, documents, files, shown, stored, words
from tests.fuzz.kind import Batch, Kind, run
from tests.fuzz.place import Place

SILENCE = 60.0
"""Seconds without a word after which the process is stuck, however busy the machine is."""
LOOK = 0.05
MEMORY = 9 * 2**29
"""Bytes of address space: 4.5 GiB, of which the libraries reserve 2.1 before anything is read."""

KINDS = {
    kind.name: kind
    for module in (files, documents, conditions, words, stored, shown, bundles)
    for kind in module.KINDS
}  # fmt: skip


def _die(place: Place, case: None) -> str:
    """End the process as a native library does."""
    os.kill(os.getpid(), signal.SIGSEGV)
    return "survived"


CRASH = Kind("crash", _die, st.none())
"""The harness's test of itself."""


def run_isolated(kinds: Sequence[str], folder: Path) -> dict[str, Batch]:
    """Run kinds in child processes; return what became of their cases."""
    batches: dict[str, Batch] = {}
    while left := [kind for kind in kinds if kind not in batches]:
        place = folder / f"from-{left[0]}"
        place.mkdir(parents=True)
        code, stuck = _wait(left, place)
        last = {"kind": left[0], "case": "none"}
        for line in map(json.loads, (place / "log.jsonl").read_text().splitlines()):
            last = line
            if "batch" in line:
                batches[line["kind"]] = Batch(**line["batch"])
        dead = next((kind for kind in left if kind not in batches), None)
        if dead is not None:
            ended = signal.Signals(-code).name if code < 0 else f"exit {code}"
            how = f"said nothing for {SILENCE:g} s" if stuck else f"killed the process ({ended})"
            words = (place / "said.txt").read_text(errors="replace").strip()[-500:]
            batches[dead] = Batch(failure=f"{dead}, {last.get('case')}: {how} {words}")
    return batches


def _wait(kinds: Sequence[str], place: Path) -> tuple[int, bool]:
    """Run kinds in one process; return its exit code, and whether it was killed because it was stuck."""
    log = place / "log.jsonl"
    log.touch()
    with (place / "said.txt").open("wb") as said:
        command = [sys.executable, "-m", "tests.fuzz.harness", str(place), *kinds]
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


def main(folder: Path, *kinds: str) -> None:
    """Run kinds in this process."""
    place = Place(folder)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    with (folder / "log.jsonl").open("a", buffering=1, encoding="utf-8") as log:
        for name in kinds:

            def note(what: str, value: object, kind: str = name) -> None:
                log.write(json.dumps({"kind": kind, what: value}) + "\n")

            note("batch", asdict(run((KINDS | {CRASH.name: CRASH})[name], place, before=partial(note, "case"))))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
