"""A job that is re-executed finds its inputs and nothing of other jobs: no file, no memory, no file's margin."""

import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from disgorge.errors import CertificateRefused, ExecutionFailed
from disgorge.method import methods
from disgorge.training.recipe import Job
from disgorge.training.runners.local import Workers
from lineage.catalog.catalog import Catalog
from lineage.storage.objects import load_tensors
from lineage.workspace import Workspace
from tests.tier import tally
from tests.toys import carry, granted_plan, live_shards, person, populate, toy_of, train

PLUGINS = Path(__file__).parents[1] / "plugins"
RELEASE = "toy-prying"


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace with a model of a method that looks around, trained in processes that let it."""
    from prying import METHOD

    monkeypatch.setenv("PYTHONPATH", str(PLUGINS / "lying"), prepend=":")
    monkeypatch.setitem(methods(), METHOD.name, METHOD)
    found = Workspace.init(tmp_path / "workspace")
    toy = toy_of("prying", 5)
    populate(found, toy, tmp_path / "sources")
    monkeypatch.chdir(found.root)
    train(found, toy)
    return found


def jobs(workspace: Workspace) -> list[Job]:
    """The recipes of all parts, as they are re-executed."""
    with Catalog.of(workspace) as catalog:
        components = [component for component in catalog.components() if component.name.startswith(RELEASE)]
    return [Job(component.name, component.recipe, 1) for component in components]


def seen(workspace: Workspace, digest: str) -> dict[str, int]:
    """What a part says that it saw."""
    tensors = load_tensors(workspace.objects.get(digest))
    return {name: int(tensors[name]) for name in ("shards", "objects", "jobs", "kept")}


@pytest.mark.parametrize("count", [1, 2])
def test_each_job_sees_its_own_inputs_alone(workspace: Workspace, count: int) -> None:
    for shard in live_shards(workspace).values():
        path = workspace.content_path(shard.digest)
        table = pq.read_table(path)
        pq.write_table(table.replace_schema_metadata({**(table.schema.metadata or {}), b"kept": b"old weights"}), path)
    wanted = jobs(workspace)
    with Workers(workspace, count=count, apart=True) as workers:
        done = {each.job.name: each.digest for each in workers.run(wanted)}
    assert len(done) == len(wanted) > 4
    for name, digest in done.items():
        part = 0 if name.endswith("/scale") else 1
        assert seen(workspace, digest) == {"shards": 1, "objects": part, "jobs": 0, "kept": 0}, name


def test_in_the_process_that_trains_there_was_more_to_see(workspace: Workspace) -> None:
    """The control: where jobs are not set apart, the method sees what the others left."""
    with Catalog.of(workspace) as catalog:
        last = catalog.component(f"{RELEASE}/mean/shard-4")
    found = seen(workspace, last.digest)
    assert found["shards"] > 1
    assert found["objects"] > 1
    assert found["jobs"] > 0


def test_what_was_learned_from_what_lay_about_is_no_removal(workspace: Workspace) -> None:
    granted_plan(workspace, [person(workspace, "shard-2", 0)])
    with pytest.raises((CertificateRefused, ExecutionFailed), match="check never-trained is fail"):
        carry(workspace, independent=lambda: Workers(workspace, count=1, apart=True))
    tally("liars", "looks around - averages", where="hiding", caught=True)


def test_a_process_that_is_killed_by_its_job_is_told_in_words(workspace: Workspace) -> None:
    """The process that bears the others goes on; whoever waits hears of it."""
    (job, *_) = jobs(workspace)
    broken = Job(job.name, {**job.recipe, "parameters": {**job.recipe["parameters"], "die": True}}, 1)
    with Workers(workspace, count=1, apart=True) as workers, pytest.raises(ExecutionFailed, match="process ended"):
        list(workers.run([broken]))


def test_memory_holds_libraries_and_nothing_else() -> None:
    from disgorge.training.sandbox.process import preload

    before = set(sys.modules)
    preload(["os; print(1)", "this", "antigravity", "../prying", "numpy.nothing_there", "numpy.fft"])
    assert "numpy.fft" in sys.modules
    assert not {"this", "antigravity"} & (set(sys.modules) - before)
