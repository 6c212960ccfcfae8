"""Worker processes that end: what waits for them is told so in words, and nothing else goes wrong on the way out."""

from pathlib import Path

import pytest

from disgorge.errors import ExecutionFailed
from disgorge.jobs import Job
from disgorge.workers import Workers
from lineage.catalog import Catalog
from lineage.ledger import Ledger
from tests.toys import populate, toy_of, train


def test_a_process_that_died_while_it_waited_is_said_to_be_out_of_reach(tmp_path: Path) -> None:
    ledger = Ledger.init(tmp_path / "workspace")
    toy = toy_of("averages", 3)
    populate(ledger, toy, tmp_path / "sources")
    train(ledger, toy)
    with Catalog.of(ledger) as catalog:
        scale = catalog.component("toy-averages/scale")
    job = Job(scale.name, scale.recipe, 1)
    with pytest.raises(ExecutionFailed, match="run the command again"):
        run_killed_in_between(ledger, job)


def run_killed_in_between(ledger: Ledger, job: Job) -> None:
    """Run a job, kill the process that did it, and run it again."""
    with Workers(ledger, count=1) as workers:
        assert len(list(workers.run([job]))) == 1
        for process in workers._processes:
            process.kill()
            process.wait()
        list(workers.run([job]))
