"""Worker processes that end: what waits for them is told so in words, and nothing else goes wrong on the way out."""

from pathlib import Path

import pytest

from disgorge.errors import ExecutionFailed
from disgorge.jobs import Job
from disgorge.workers import Workers, _spawners
from lineage.catalog import Catalog
from lineage.ledger import Ledger
from tests.toys import populate, toy_of, train


def test_a_process_that_died_between_two_jobs_is_started_again(tmp_path: Path) -> None:
    ledger = Ledger.init(tmp_path / "workspace")
    toy = toy_of("averages", 3)
    populate(ledger, toy, tmp_path / "sources")
    train(ledger, toy)
    with Catalog.of(ledger) as catalog:
        scale = catalog.component("toy-averages/scale")
    job = Job(scale.name, scale.recipe, 1)
    with Workers(ledger, count=1) as workers:
        (first,) = workers.run([job])
        for spawner in _spawners.values():
            spawner.process.kill()
            spawner.process.wait()
        (second,) = workers.run([job])
    assert first.digest == second.digest == scale.digest
