"""Two tiers: ``make test`` does a seeded share of what counts, ``make test-full`` all of it, and says what it counted.

``amount(12, 200)`` is 12 in the first tier and 200 in the second. ``tally`` writes one line of figures, in the second
tier only, to the file that ``DISGORGE_TALLY`` names; :mod:`tests.summary` adds the lines up into the table of the
README. A figure that is not counted while a test runs is not in the table.
"""

import json
import os
from pathlib import Path

FULL = os.environ.get("DISGORGE_FULL") == "1"
"""Whether this is the second tier."""


def amount(share: int, full: int) -> int:
    """Return how many cases this tier runs."""
    return full if FULL else share


def tally(kind: str, name: str, **figures: int | float | str | bool) -> None:
    """Note what one test counted: ``kind`` is a row of the summary, ``name`` the case; processes may note at once."""
    where = os.environ.get("DISGORGE_TALLY")
    if FULL and where:
        line = json.dumps({"kind": kind, "name": name, **figures}, sort_keys=True) + "\n"
        with Path(where).open("a", encoding="utf-8") as file:  # one short write, which appending keeps whole
            file.write(line)
