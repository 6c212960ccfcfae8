"""A training that was killed goes on from what it kept, to the same bits; nothing else is ever gone on from.

Processes are really killed. The states that methods keep are tested in :mod:`tests.disgorge.methods.test_every_method`.
"""

import datetime as dt
import hashlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from disgorge.attestation.checkpoints import Checkpoint, checkpoint_of
from disgorge.attestation.record import attest_done, attested_facts
from disgorge.attestation.standing import Attested, open_attestation, standing
from disgorge.attestation.workspace_key import trusted_keys
from disgorge.errors import ExecutionFailed
from disgorge.locations.every import search
from disgorge.locations.location import Target
from disgorge.method import Toy, as_resumable, recipe_for
from disgorge.methods.tangent_composition.method import METHOD, TangentComposition
from disgorge.release.attest import attest_releases
from disgorge.removal.dry_run import preview
from disgorge.training.code.distributions import distributions_used
from disgorge.training.environment import environment
from disgorge.training.kernels import chosen, of_libraries
from disgorge.training.make import make
from disgorge.training.recipe import Done, Job, OnProgress, unseen
from disgorge.training.runners.checkpoints import KeptCheckpoints
from disgorge.training.runners.declared import declared
from disgorge.training.runners.local import Workers
from disgorge.training.sandbox.levels import Level, Reached, reached
from lineage.records import Component, Json, digest_of
from lineage.storage.tensors import load_tensors, save_tensors
from lineage.workspace import Workspace
from tests.in_process import InProcessRunner
from tests.tier import FULL
from tests.toys import (
    carry,
    component_of,
    granted_plan,
    live_shards,
    no_file_larger_than,
    person,
    populate,
    toy_of,
    trained_toy,
)

EPOCHS = 200
KILLED = """
import os, signal, sys
from pathlib import Path
from disgorge.training.make import make
from disgorge.training.runners.checkpoints import KeptCheckpoints
from disgorge.training.runners.declared import declared
from disgorge.training.runners.local import Workers
from lineage.workspace import Workspace
from tests.disgorge.test_checkpoints import long_toy
from tests.toys import carry, live_shards

class Killed(KeptCheckpoints):
    def keep(self, reached, data):
        super().keep(reached, data)
        os.kill(os.getpid(), signal.SIGKILL)

workspace = Workspace.open(Path(sys.argv[1]))
with Workers(workspace, count=1, keeps=0.05) as workers:
    workers.checkpoints = Killed(workspace)
    {}
"""
TRAINING = (
    "make(workspace, long_toy().spec, workers, method=declared('tangent_composition'), shards=live_shards(workspace))"
)
REMOVING = "carry(workspace, runner=workers, independent=lambda: Workers(workspace, count=1))"


def killed(workspace: Workspace, doing: str) -> None:
    """Kill a command, by SIGKILL, when it has kept a checkpoint."""
    command = [sys.executable, "-c", KILLED.format(doing), str(workspace.root)]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == -signal.SIGKILL, ran.stderr


def long_toy(core_epochs: int = EPOCHS, **more: Json) -> Toy:
    """A tangent composition whose backbone takes some seconds."""
    toy = toy_of("tangent_composition", 3)
    parameters = dict(toy.spec.parameters) | {"core_epochs": core_epochs} | more
    return replace(toy, spec=replace(toy.spec, parameters=parameters))


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A workspace with that toy's shards, of which nothing was trained."""
    found = Workspace.init(tmp_path / "workspace")
    populate(found, long_toy(), tmp_path / "sources")
    return found


def backbone(workspace: Workspace, epochs: int = EPOCHS, **changes: Any) -> Job:
    """The job that trains its backbone."""
    spec, shards = long_toy(epochs).spec, live_shards(workspace)
    blueprint = METHOD.layout(spec, shards)[0]
    digests = {("shard", name): shard.digest for name, shard in shards.items()}
    recipe = recipe_for(METHOD, blueprint, digests, spec)
    return replace(Job("toy-tangent/backbone", recipe, blueprint.steps, resumes=True), **changes)


def file_of(workspace: Workspace, job: Job) -> Path:
    """Where a job's checkpoint lies."""
    return workspace.private.folder / "checkpoints" / digest_of(job.recipe)


def here() -> dict[str, Json]:
    """The environment that the toy would be trained in."""
    names, variables = ("numpy", "torch"), of_libraries(chosen(), ("numpy", "torch"))
    return environment(names) | {"variables": variables, "distributions": distributions_used((), names)}


STATE = save_tensors({"done": np.asarray(7)})


def keep(workspace: Workspace, job: Job, data: bytes = STATE, *, at: Reached | None = None, **about: Json) -> Path:
    """Keep a checkpoint as a run of a job does that is confined so, in an environment that differs in what is said."""
    now = dt.datetime.now(dt.UTC)
    run = Done(job, hashlib.sha256(data).hexdigest(), now, now, at or reached(), here() | about)
    KeptCheckpoints(workspace, pytest.fail).keep(run, data)
    return file_of(workspace, job)


@dataclass
class Carried:
    """A job carried out: what was said, which steps were reported, and what came of it."""

    said: list[str] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    done: Done | None = None


def carried(workspace: Workspace, job: Job, *, keeps: float = 60.0) -> Carried:
    """Carry a job out as every command does."""
    found = Carried()
    with Workers(workspace, count=1, say=found.said.append, keeps=keeps) as workers:
        (found.done,) = workers.run([job], on_progress=lambda name, done, total: found.steps.append(done))
    return found


def test_a_killed_training_goes_on_to_the_same_bits_and_its_checkpoint_goes(workspace: Workspace) -> None:
    job, spec = backbone(workspace), long_toy().spec
    killed(workspace, TRAINING)
    kept = checkpoint_of(workspace, job.recipe)
    assert kept is not None
    before = int(load_tensors(kept.data)["done"])
    assert 0 < before < EPOCHS * 3
    assert not attested_facts(workspace)  # nothing is half recorded

    said, steps = list[str](), list[int]()
    with Workers(workspace, count=1, say=said.append) as workers:
        runner = Reporting(workers, lambda name, done: steps.append(done) if name == job.name else None)
        made = make(workspace, spec, runner, method=declared(spec.method), shards=live_shards(workspace))
    component = next(each for each in made.components if each.name == job.name)
    assert [each.partition(" of 20")[0] for each in said] == ["toy-tangent/backbone goes on from its checkpoint"]
    assert min(steps) > before  # what was done is not done again
    assert not list(file_of(workspace, job).parent.iterdir())

    (fact,) = (each for each in attested_facts(workspace) if each.component == component.digest)
    run = open_attestation(workspace.objects.get(fact.attestation), trusted_keys(workspace))
    assert (run.checkpoint, run.resumed, run.run) == (kept.digest, True, 1)
    dependencies = run.statement()["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert f"urn:x-disgorge:checkpoint:{kept.digest}" in [each["uri"] for each in dependencies[:2]]

    anew = carried(workspace, replace(job, resumes=False), keeps=0.2)  # the run that shows equal bits
    assert anew.done is not None
    assert (anew.done.digest, anew.done.checkpoint, anew.said) == (component.digest, "", [])
    assert not file_of(workspace, job).exists()
    judged = standing(Attested.of(workspace), component, accepts=reached().level)
    assert not judged.reproducible
    workspace.ledger.record(*attest_done(workspace, component, anew.done))
    judged = standing(Attested.of(workspace), component, accepts=reached().level, equal_bits=True)
    assert (judged.stands, judged.reproducible) == (True, True)


@pytest.mark.skipif(not FULL, reason="the second tier takes a removal through")
def test_a_killed_removal_goes_on_from_where_its_retraining_stood(tmp_path: Path) -> None:
    """With equal bits: the run that shows them began from nothing."""
    workspace = trained_toy(tmp_path, method="tangent_composition", parameters=long_toy(6, epochs=400).spec.parameters)
    granted_plan(workspace, [person(workspace, "shard-2", 0)])
    before, said = len(attested_facts(workspace)), list[str]()
    killed(workspace, REMOVING)
    with Workers(workspace, count=1, say=said.append) as workers:
        done = carry(workspace, runner=workers, independent=lambda: Workers(workspace, count=1))
    assert done.verdict == "certified"
    assert [each.partition(" of 20")[0] for each in said] == ["toy-tangent/tangent/shard-2 goes on from its checkpoint"]
    assert not list((workspace.private.folder / "checkpoints").iterdir())
    keys = trusted_keys(workspace)
    runs = [open_attestation(workspace.objects.get(each.attestation), keys) for each in attested_facts(workspace)]
    made = [(each.run, each.resumed) for each in runs[before:] if each.name == "toy-tangent/tangent/shard-2"]
    assert made == [(1, True), (2, False)]


@dataclass
class Reporting:
    """A runner that says which steps of which job are reported."""

    workers: Workers
    saw: Callable[[str, int], None]

    def run(self, jobs: Iterable[Job], *, on_progress: OnProgress = unseen, **how: Any) -> Iterator[Done]:
        """Yield each job as it is done."""
        return self.workers.run(jobs, on_progress=lambda name, done, total: self.saw(name, done), **how)

    def close(self) -> None:
        """Close the workers."""
        self.workers.close()


def test_a_run_that_shows_equal_bits_is_given_none_and_keeps_none(workspace: Workspace) -> None:
    job = backbone(workspace, 2)
    path = keep(workspace, job)
    kept = path.read_bytes()
    with Workers(workspace, count=1, say=pytest.fail, keeps=0.0) as workers:
        (done,) = workers.run([replace(job, resumes=False)])
    assert done.checkpoint == ""
    assert path.read_bytes() == kept
    with Workers(workspace, count=1, keeps=0.0) as workers, pytest.raises(ExecutionFailed):
        list(workers.run([job]))  # the control: a run that takes it fails of that state


class Noting(InProcessRunner):
    """A runner that claims a level and notes the jobs it is given."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(workspace, claims=Level.NAMESPACE)
        self.jobs: list[Job] = []

    def run(self, jobs: Iterable[Job], *, on_progress: OnProgress = unseen, **how: Any) -> Iterator[Done]:
        """Yield each job as it is done."""
        for done in super().run(jobs, on_progress=on_progress, **how):
            self.jobs += [done.job] if done.job.entry is None and "uses" in done.job.recipe else []
            yield done


def test_runs_to_compare_never_go_on_from_one_and_a_retraining_may(trained: Path, tmp_path: Path) -> None:
    """In a removal, and in ``attest --again``."""
    workspace, other = (
        Workspace.open(Path(shutil.copytree(trained, tmp_path / name / "workspace"))) for name in ("removal", "attest")
    )
    granted_plan(workspace, [person(workspace, "shard-2", 0)])
    training, comparing, again = Noting(workspace), Noting(workspace), Noting(other)
    assert carry(workspace, runner=training, independent=lambda: comparing).verdict == "certified"
    attest_releases(other, again, level=Level.NAMESPACE, again=True)
    assert [job.resumes for job in training.jobs] == [True]
    assert comparing.jobs
    assert again.jobs
    assert not any(job.resumes for job in (*comparing.jobs, *again.jobs))


# What is no checkpoint of this job


def _flip_state(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


def _flip_statement(path: Path) -> None:
    data = bytearray(path.read_bytes())
    place = data.index(b'"payload":"') + 40
    data[place] ^= 1
    path.write_bytes(bytes(data))


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _of_another_recipe(path: Path) -> None:
    workspace = Workspace.open(path)
    keep(workspace, backbone(workspace, 3)).rename(path)


def _of_another_workspace(path: Path, *, same_key: bool = False) -> None:
    workspace = Workspace.open(path)
    other = Workspace.init(workspace.root.parent / "other")
    populate(other, long_toy(), workspace.root.parent / "others")
    if same_key:
        shutil.copy(workspace.private.folder / "signing.pem", other.private.folder)
    shutil.copy(keep(other, backbone(other)), path)


def _of_a_component(path: Path) -> None:
    """Weights that are attested, as a component, in the place of a checkpoint."""
    workspace, now = Workspace.open(path), dt.datetime.now(dt.UTC)
    job = backbone(workspace)
    component = Component(workspace.objects.put(STATE), job.name, "backbone", (), job.recipe, environment=here())
    *_, fact = attest_done(workspace, component, Done(job, component.digest, now, now, reached()))
    path.write_bytes(workspace.objects.get(getattr(fact, "attestation")) + STATE)  # noqa: B009


WEAKER = Reached(Level.PROCESS)
NO_CHECKPOINTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "state edited": (_flip_state, "its attestation is for other bytes"),
    "statement edited": (_flip_statement, "its attestation was edited"),
    "nothing": (lambda path: path.write_bytes(b""), "its attestation is not a signed envelope"),
    "unsigned": (lambda path: path.write_bytes(STATE), "its attestation is not a signed envelope"),
    "cut short": (lambda path: path.write_bytes(path.read_bytes()[:-3]), "its attestation is for other bytes"),
    "of another recipe": (_of_another_recipe, "its attestation is for another recipe"),
    "of another workspace": (_of_another_workspace, "its attestation is signed by a foreign key"),
    "of a twin": (lambda path: _of_another_workspace(path, same_key=True), "its attestation is of another workspace"),
    "of a component": (_of_a_component, "its attestation does not say what an attestation of a checkpoint says"),
    "less confined": (
        lambda path: keep(Workspace.open(path), backbone(Workspace.open(path)), at=WEAKER),
        "it was made at level process, and this run is confined more closely",
    ),
    "other gaps": (
        lambda path: keep(
            Workspace.open(path), backbone(Workspace.open(path)), at=Reached(Level.NAMESPACE, ("without walls",))
        ),
        "it was made at level namespace, without walls, and this run is confined more closely",
    ),
    "other library": (
        lambda path: keep(Workspace.open(path), backbone(Workspace.open(path)), libraries={"torch": "0.1"}),
        "it was made in another environment (",
    ),
    "other code installed": (
        lambda path: keep(
            Workspace.open(path),
            backbone(Workspace.open(path)),
            distributions={"torch": {"version": "0.1", "record": "5e" * 32}},
        ),
        "it was made in another environment (torch is not installed as it was)",
    ),
    "a folder": (_folder, "it cannot be read"),
}


@pytest.mark.parametrize("what", NO_CHECKPOINTS)
def test_what_is_no_checkpoint_of_this_run_is_not_used(workspace: Workspace, what: str) -> None:
    said = list[str]()
    job, checkpoints, level = backbone(workspace), KeptCheckpoints(workspace, said.append), Reached(Level.NAMESPACE)
    path = keep(workspace, job, at=level)
    found = checkpoints.last(job, declared("tangent_composition").libraries, level)
    assert isinstance(found, Checkpoint)
    assert found.data == STATE
    said.clear()
    change, words = NO_CHECKPOINTS[what]
    change(path)
    assert checkpoints.last(job, declared("tangent_composition").libraries, level) is None
    (line,) = said
    assert line.startswith(f"toy-tangent/backbone begins anew, its checkpoint is not used: {words}")


def test_old_weights_put_in_the_place_of_a_checkpoint_reach_no_training(workspace: Workspace) -> None:
    """What a training on all items had reached, for a part that is made again without some of them."""
    old, new = backbone(workspace, 20), backbone(workspace, 20)
    used = live_shards(workspace)["shard-1"].digest
    new.recipe["uses"] = [{"of": "shard", "digest": used, "role": "train"}]
    honest = carried(workspace, replace(new, resumes=False)).done
    assert honest is not None
    state = state_of(workspace, old)
    shutil.copy(keep(workspace, old, state), file_of(workspace, new))
    found = carried(workspace, new)
    assert found.done is not None
    assert found.done.digest == honest.digest
    assert found.said == [
        "toy-tangent/backbone begins anew, its checkpoint is not used: its attestation is for another recipe"
    ]
    keep(workspace, new, state)  # the control: signed as its own it is believed, so it could have been
    lied = carried(workspace, new).done
    assert lied is not None
    assert lied.digest != honest.digest


class Intercepted(KeptCheckpoints):
    """Checkpoints of which the first one stops the command."""

    def keep(self, reached: Done, data: bytes) -> None:
        """Hand it over."""
        raise StoppedAt(data)


class StoppedAt(Exception):  # noqa: N818 (no error: where the training stood)
    """Where a training stood when it was stopped."""


def state_of(workspace: Workspace, job: Job) -> bytes:
    """The first state that a job keeps."""
    with Workers(workspace, count=1, keeps=0.0) as workers:
        workers.checkpoints = Intercepted(workspace)
        with pytest.raises(StoppedAt) as stopped:
            list(workers.run([job]))
    return bytes(stopped.value.args[0])


def test_a_method_whose_training_takes_none_is_trained_as_before() -> None:
    """One that is built on ours, as before there were checkpoints, and one that passes on what comes."""

    class Older(TangentComposition):
        def train(self, kind: Any, parameters: Any, items: Any, parts: Any, *, progress: Any = None) -> Any:  # type: ignore[override]
            return {}

    class Passing(TangentComposition):
        def train(self, kind: Any, parameters: Any, items: Any, parts: Any, **more: Any) -> Any:
            return {}

    assert as_resumable(METHOD) is METHOD
    assert as_resumable(Older()) is None
    assert as_resumable(Passing()) is None


# When checkpoints go


def test_one_that_was_left_when_its_part_was_recorded_goes_with_the_next_training(
    trained: Path, tmp_path: Path
) -> None:
    workspace = Workspace.open(Path(shutil.copytree(trained, tmp_path / "workspace")))
    mean = component_of(workspace, "toy-averages/mean/shard-1")
    path = keep(workspace, Job(mean.name, mean.recipe, 1, resumes=True))
    (path.parent / ".aside-0123").write_bytes(b"what a killed writer left")
    spec, runner = toy_of("averages", 3).spec, InProcessRunner(workspace)
    make(workspace, spec, runner, method=declared(spec.method), shards=live_shards(workspace))
    assert not list(path.parent.iterdir())


def test_a_purge_deletes_those_of_removed_data_and_no_other(trained: Path, tmp_path: Path) -> None:
    workspace = Workspace.open(Path(shutil.copytree(trained, tmp_path / "workspace")))
    paths = {}
    for name in ("shard-1", "shard-2"):  # of a training with another seed, killed and forgotten
        mean = component_of(workspace, f"toy-averages/mean/{name}")
        recipe = {**mean.recipe, "parameters": {**mean.recipe["parameters"], "seed": 99}}
        paths[name] = keep(workspace, Job(mean.name, recipe, 1, resumes=True))
    stray = paths["shard-1"].parent / ("ab" * 32)
    stray.write_bytes(save_tensors({"sums": np.ones(3)}))
    going = [paths["shard-2"], stray]
    granted_plan(workspace, [person(workspace, "shard-2", 0)])
    assert paths["shard-1"] not in preview(workspace, "R-1").paths
    assert set(going) <= set(preview(workspace, "R-1").paths)
    assert carry(workspace).verdict == "certified"
    assert list(paths["shard-1"].parent.iterdir()) == [paths["shard-1"]]


def test_one_that_comes_back_is_a_trace(trained: Path, tmp_path: Path) -> None:
    workspace = Workspace.open(Path(shutil.copytree(trained, tmp_path / "workspace")))
    mean, shard = component_of(workspace, "toy-averages/mean/shard-2"), live_shards(workspace)["shard-2"]
    granted_plan(workspace, [person(workspace, "shard-2", 0)])
    carry(workspace)
    target = Target(shards=(shard.digest,), weights=(mean.digest,))
    assert search(workspace, target).left == ()
    path = keep(workspace, Job(mean.name, mean.recipe, 1, resumes=True))
    assert search(workspace, target).left == (f"{path.relative_to(workspace.root).as_posix()} is there",)


def test_a_run_that_fails_of_its_checkpoint_leaves_none_and_one_that_was_killed_leaves_it(workspace: Workspace) -> None:
    job = backbone(workspace, 2_000)
    keep(workspace, job)  # it says how many steps were done, and nothing else
    with pytest.raises(ExecutionFailed, match="process ended"):
        carried(workspace, job)
    assert checkpoint_of(workspace, job.recipe) is None

    def kill(name: str, done: int, total: int) -> None:
        if file_of(workspace, job).exists():
            for order in workers._running.values():
                os.kill(order.box.process.pid, signal.SIGKILL)

    with Workers(workspace, count=1, keeps=0.05) as workers, pytest.raises(ExecutionFailed, match="process ended"):
        list(workers.run([job], on_progress=kill))
    assert isinstance(checkpoint_of(workspace, job.recipe), Checkpoint)


# Bad luck


def test_a_full_disk_costs_one_line_and_the_one_that_was_kept_stays(workspace: Workspace) -> None:
    said = list[str]()
    job = backbone(workspace)
    path = keep(workspace, job)
    kept, checkpoints = path.read_bytes(), KeptCheckpoints(workspace, said.append)
    now, large = dt.datetime.now(dt.UTC), save_tensors({"done": np.zeros(10_000)})
    run = Done(job, hashlib.sha256(large).hexdigest(), now, now, reached(), here())
    for _ in range(2):
        with no_file_larger_than(50_000):
            checkpoints.keep(run, large)
    (line,) = said
    assert line.startswith("toy-tangent/backbone goes on without a checkpoint, a kill would cost all it did: ")
    assert "cannot be written" in line
    assert path.read_bytes() == kept
    assert list(path.parent.iterdir()) == [path]


def test_a_training_that_can_keep_none_is_carried_out_all_the_same(workspace: Workspace) -> None:
    job = backbone(workspace, 20)
    file_of(workspace, job).parent.write_bytes(b"no folder")
    found = carried(workspace, job, keeps=0.0)
    assert found.done is not None
    assert len(found.said) == 1
    assert "goes on without a checkpoint" in found.said[0]
    assert found.done.digest == carried(workspace, replace(job, resumes=False)).done.digest  # type: ignore[union-attr]


def test_keeping_is_refused_where_the_run_cannot_be_attested(workspace: Workspace) -> None:
    """A recipe that is none of ours must not be kept under a statement that no reader takes."""
    now = dt.datetime.now(dt.UTC)
    job = Job("nonsense", {"kind": "nonsense", "uses": 7}, 1, resumes=True)
    said = list[str]()
    KeptCheckpoints(workspace, said.append).keep(Done(job, "ab" * 32, now, now, reached(), here()), STATE)
    assert "cannot be attested" in said[0]
    assert not file_of(workspace, job).exists()
