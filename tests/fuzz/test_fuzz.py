"""Generated cases of every kind: none crashes, none shows a traceback, none leaves a trace where it has no business."""

from pathlib import Path

import pytest

from tests.fuzz.child import Batch, run_batch
from tests.fuzz.kinds import KINDS, Kind
from tests.tier import amount, tally


@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_every_case_is_taken_whole_or_refused_in_one_line(kind: Kind, tmp_path: Path) -> None:
    """Taken or refused, both must happen; the ledger holds, nothing outside changes, no planted code runs."""
    batch = run_batch(kind.name, amount(kind.share, kind.full), tmp_path)
    assert not batch.failures, "\n".join(batch.failures[:10])
    assert batch.cases == amount(kind.share, kind.full)
    assert set(batch.outcomes) >= kind.outcomes, batch.outcomes
    tally("fuzz", kind.name, cases=batch.cases, crashes=0, slowest=batch.slowest)


@pytest.fixture(scope="module")
def misbehaved(tmp_path_factory: pytest.TempPathFactory) -> Batch:
    """A batch of a kind that does what none may."""
    return run_batch("misbehaved", 6, tmp_path_factory.mktemp("misbehaved"))


@pytest.mark.parametrize(
    ("number", "told"),
    [(0, "SIGSEGV"), (1, "planted code ran"), (2, "nobody thought of"), (3, "printed"), (4, "changed outside")],
)
def test_what_must_not_happen_is_noticed(misbehaved: Batch, number: int, told: str) -> None:
    assert [said for said in misbehaved.failures if said.startswith(f"misbehaved {number}:") and told in said]


def test_after_a_dead_process_the_next_case_runs(misbehaved: Batch) -> None:
    assert misbehaved.cases == 6
    assert misbehaved.outcomes["fine"] == 1
