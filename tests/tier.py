"""Two tiers: ``make test`` does a seeded share of what counts, ``make test-full`` all of it and counts it."""

import json
import os
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

FULL = os.environ.get("DISGORGE_FULL") == "1"
"""Whether this is the second tier."""


def amount(share: int, full: int) -> int:
    """Return how many cases this tier runs."""
    return full if FULL else share


def lies_at(level: str) -> str:
    """Return the kind under which lies told at a level count: what a lower one lets through certifies nothing alone."""
    return "liars" if level == "namespace" else "liars below namespace"


def tally(kind: str, name: str, **figures: int | float | str | bool) -> None:
    """Append one test's figures to the file that ``DISGORGE_TALLY`` names, in the second tier, for `tests.summary`."""
    where = os.environ.get("DISGORGE_TALLY")
    if FULL and where:
        line = json.dumps({"kind": kind, "name": name, **figures}, sort_keys=True) + "\n"
        with Path(where).open("a", encoding="utf-8") as file:  # one short write, which appending keeps whole
            file.write(line)


def made_once(temporary: Path, name: str, make: Callable[[Path], object]) -> Path:
    """Return a folder that the first of a session's processes makes; the others wait for it, and nobody changes it.

    ``temporary`` is where pytest keeps this process's temporary folders.
    """
    folder = (temporary.parent if "PYTEST_XDIST_WORKER" in os.environ else temporary) / name
    done = folder.with_name(f"{name}.done")
    with FileLock(folder.with_name(f"{name}.lock")):
        if not done.exists():
            folder.mkdir()
            make(folder)
            done.touch()
    return folder
