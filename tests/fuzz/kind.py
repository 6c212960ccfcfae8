"""A kind of case, and how its cases are run: the known ones, then those that Hypothesis draws."""

import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.place import Place
from tests.tier import FULL

BOTH = frozenset({"taken", "refused"})
SECONDS = 5.0
"""Processor time that a case may take: what is refused is refused at once."""
SHARE = 8
"""Cases that the first tier draws of each kind, besides every third known one."""


@dataclass(frozen=True)
class Kind:
    """One way in. ``attempt`` hands a case to the product and returns what became of it, in a word."""

    name: str
    attempt: Callable[[Place, Any], str]
    drawn: st.SearchStrategy[Any]
    known: Callable[[], Iterable[Any]] = tuple
    full: int = 200
    """Cases of the full tier."""
    outcomes: frozenset[str] = BOTH
    """What must come out at least once."""
    template: str = "empty"
    isolated: bool = False
    """Whether its cases may hang, crash or eat memory, and run in a process of their own."""


@dataclass
class Batch:
    """What became of the cases of one kind."""

    cases: int = 0
    outcomes: list[str] = field(default_factory=list)
    failure: str = ""
    slowest: float = 0.0


def run(kind: Kind, place: Place, *, before: Callable[[str], object] = lambda case: None) -> Batch:
    """Run the cases of a kind until one fails; ``before`` hears each case before it runs."""
    batch, last = Batch(), ""
    place.fresh(kind.template)  # which is made on its first use, and takes no case's time

    def one(case: Any, name: str) -> None:
        nonlocal last
        last = name
        place.fresh(kind.template)
        before(last)
        started = time.process_time()
        outcome = place.watched(kind.attempt, case)
        seconds = time.process_time() - started
        batch.cases, batch.slowest = batch.cases + 1, max(batch.slowest, round(seconds, 3))
        if outcome not in batch.outcomes:
            batch.outcomes.append(outcome)
        assert seconds <= SECONDS, f"took {seconds:.1f} s"

    try:
        for number, case in enumerate(islice(kind.known(), 0, None, 1 if FULL else 3)):
            one(case, f"known case {number}")
        count = max(SHARE, kind.full - batch.cases) if FULL else SHARE
        check = settings(
            max_examples=count, derandomize=True, database=None, deadline=None,
            suppress_health_check=list(HealthCheck),
        )(given(kind.drawn)(lambda case: one(case, repr(case)[:300])))  # fmt: skip
        check()
    except BaseException as problem:  # SystemExit too: a case must not end the run
        batch.failure = f"{kind.name}, {last}: {''.join(traceback.format_exception(problem))[-2_000:]}"
    return batch
