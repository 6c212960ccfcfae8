"""Generated cases of every kind: none crashes, none shows a traceback, none leaves a trace where it has no business.

Kinds that may hang, crash or eat memory run in the harness (:mod:`tests.fuzz.child`); the others by Hypothesis, which
shrinks what fails.
"""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.child import Batch, run_batches
from tests.fuzz.harness_selftest import BREACHES, CRASH
from tests.fuzz.kinds import KINDS, Kind
from tests.fuzz.place import Place
from tests.tier import amount, tally

DRAWN = 0.2
"""The share of a kind's cases that Hypothesis draws; the others are those of its numbers, all hostile ones first."""
APART = [kind for kind in KINDS.values() if kind.apart]
HERE = [kind for kind in KINDS.values() if not kind.apart]


@pytest.fixture(scope="module")
def batches(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Batch]:
    """The cases that run apart, of all kinds that are tested in this run, and the harness's test of itself."""
    calls = [getattr(item, "callspec", None) for item in request.session.items]
    kinds = [call.params["kind"] for call in calls if call is not None and isinstance(call.params.get("kind"), Kind)]
    counts = {kind.name: amount(kind.share, kind.full) for kind in kinds if kind.apart}
    return run_batches(counts | {CRASH: 1, BREACHES: 5}, tmp_path_factory.mktemp("fuzz"))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A watched tree in this process."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HOME", "TMPDIR", "TERM", "COLUMNS", "CANARY"):
            patch.setenv(name, "")
        patch.chdir(Path.cwd())
        yield Place(tmp_path_factory.mktemp("place"))


def account(kind: Kind, batch: Batch) -> None:
    """Hold that no case failed and that what must come out did."""
    assert not batch.failures, "\n".join(batch.failures[:10])
    assert batch.cases >= amount(kind.share, kind.full)
    assert set(batch.outcomes) >= kind.outcomes, batch.outcomes
    tally("fuzz", kind.name, cases=batch.cases, crashes=0, slowest=batch.slowest)


@pytest.mark.timeout(1800)  # the first test waits for all of them
@pytest.mark.parametrize("kind", APART, ids=lambda kind: kind.name)
def test_every_case_is_taken_whole_or_refused_in_one_line(kind: Kind, batches: dict[str, Batch]) -> None:
    """Taken or refused, both must happen; the ledger holds, nothing outside changes, no planted code runs."""
    account(kind, batches[kind.name])


@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("kind", HERE, ids=lambda kind: kind.name)
def test_every_drawn_case_is_taken_whole_or_refused_in_one_line(kind: Kind, place: Place) -> None:
    """As above, by Hypothesis: the numbered cases, then drawn ones."""
    count, batch = amount(kind.share, kind.full), Batch()

    def one(number: int, drawn: random.Random | None) -> None:
        place.drawn = drawn
        assert not (failure := batch.run(lambda: place.watched(kind.case, number))), f"{kind.name} {number}: {failure}"

    for number in range(count):
        one(number, None)
    check = given(st.integers(0, 10_000), st.randoms(use_true_random=False))(one)
    settings(max_examples=max(5, int(DRAWN * count)), suppress_health_check=list(HealthCheck))(check)()
    account(kind, batch)


def test_there_are_ten_thousand_cases() -> None:
    assert sum(kind.full for kind in KINDS.values()) >= 10_000


@pytest.mark.parametrize(
    ("number", "told"),
    [(0, "planted code ran"), (1, "nobody thought of"), (2, "printed"), (4, "changed outside")],
)
def test_a_breach_is_noticed(batches: dict[str, Batch], number: int, told: str) -> None:
    assert [said for said in batches[BREACHES].failures if said.startswith(f"{BREACHES} {number}:") and told in said]


def test_a_dead_process_fails_its_kind_and_the_next_one_runs(batches: dict[str, Batch]) -> None:
    assert "SIGSEGV" in batches[CRASH].failures[0]
    assert batches[BREACHES].cases == 5
    assert batches[BREACHES].outcomes == ["fine"]
