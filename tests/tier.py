"""Two tiers: ``make test`` does a seeded share of what counts, ``make test-full`` all of it and counts it."""

import json
import os
from pathlib import Path

FULL = os.environ.get("DISGORGE_FULL") == "1"
"""Whether this is the second tier."""


def amount(share: int, full: int) -> int:
    """Return how many cases this tier runs."""
    return full if FULL else share


def tally(kind: str, name: str, **figures: int | float | str | bool) -> None:
    """Append one test's figures to the file that ``DISGORGE_TALLY`` names, in the second tier, for `tests.summary`."""
    where = os.environ.get("DISGORGE_TALLY")
    if FULL and where:
        line = json.dumps({"kind": kind, "name": name, **figures}, sort_keys=True) + "\n"
        with Path(where).open("a", encoding="utf-8") as file:  # one short write, which appending keeps whole
            file.write(line)
