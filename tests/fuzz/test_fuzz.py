"""Generated cases of every kind: none crashes, none shows a traceback, none leaves a trace where it has no business."""

import pytest

from tests.fuzz.child import Batch, run_batches
from tests.fuzz.kinds import KINDS, Kind
from tests.fuzz.misbehaved import NAME
from tests.tier import amount, tally

MISDEEDS = 6


@pytest.fixture(scope="module")
def batches(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Batch]:
    """The cases of all kinds that are tested in this run, and of one that does what none may, in one go."""
    calls = [getattr(item, "callspec", None) for item in request.session.items]
    wanted = [call.params["kind"] for call in calls if call is not None and isinstance(call.params.get("kind"), Kind)]
    counts = {kind.name: amount(kind.share, kind.full) for kind in wanted}
    return run_batches(counts | {NAME: MISDEEDS}, tmp_path_factory.mktemp("fuzz"))


@pytest.mark.timeout(1800)  # the first test waits for all of them
@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_every_case_is_taken_whole_or_refused_in_one_line(kind: Kind, batches: dict[str, Batch]) -> None:
    """Taken or refused, both must happen; the ledger holds, nothing outside changes, no planted code runs."""
    batch = batches[kind.name]
    assert not batch.failures, "\n".join(batch.failures[:10])
    assert batch.cases == amount(kind.share, kind.full)
    assert set(batch.outcomes) >= kind.outcomes, batch.outcomes
    tally("fuzz", kind.name, cases=batch.cases, crashes=0, slowest=batch.slowest)


def test_there_are_ten_thousand_cases() -> None:
    assert sum(kind.full for kind in KINDS.values()) >= 10_000


@pytest.mark.parametrize(
    ("number", "told"),
    [(0, "SIGSEGV"), (1, "planted code ran"), (2, "nobody thought of"), (3, "printed"), (4, "changed outside")],
)
def test_what_must_not_happen_is_noticed(batches: dict[str, Batch], number: int, told: str) -> None:
    assert [said for said in batches[NAME].failures if said.startswith(f"{NAME} {number}:") and told in said]


def test_after_a_dead_process_the_next_case_runs(batches: dict[str, Batch]) -> None:
    assert batches[NAME].cases == MISDEEDS
    assert batches[NAME].outcomes["fine"] == 1
