"""Whether training on a GPU repeats, and what it takes: ``python -m benchmarks.gpu``. On a machine that has one.

Trains the tangents of the digits, each part in a confined process of its own, attests every run, and runs each part
once more: on the CPU, on the GPU with deterministic kernels, and on the GPU with any. Prints a table and a line of
JSON: equal bits or not, the level of confinement and its gaps, seconds of training, and the GPU as the environment of
the parts names it. Where a job cannot use the GPU, its own words stand in place of figures. Without a GPU it says in
one line what is missing, and exits with 0.

``DISGORGE_CONFINEMENT=landlock`` or ``process`` tries another level. A part of the digits is small: a GPU need not be
the faster one.
"""

import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from disgorge.attestation.record import attest_done
from disgorge.attestation.standing import Attested, standings
from disgorge.errors import ExecutionFailed
from disgorge.method import Toy
from disgorge.training.kernels import setting_of
from disgorge.training.make import make
from disgorge.training.recipe import Job
from disgorge.training.runners.declared import declared
from disgorge.training.runners.local import Workers
from disgorge.training.sandbox.levels import reached
from disgorge.training.sandbox.nvidia import DEVICE, lacking
from lineage.workspace import Workspace

SETTINGS = {"cpu": ("cpu", True), "GPU, deterministic": (DEVICE, True), "GPU, any kernel": (DEVICE, False)}
"""What is measured: device, and whether only deterministic kernels are taken."""


@dataclass(frozen=True)
class Measured:
    """What one setting came to; ``failed`` is why it could not be measured, and then the rest says nothing."""

    setting: str
    failed: str = ""
    parts: int = 0
    equal: int = 0
    """Parts that a second run made again, bit for bit."""
    standing: int = 0
    """Parts that stand on their attestations."""
    level: str = ""
    gaps: tuple[str, ...] = ()
    seconds: float = 0.0
    again: float = 0.0
    gpu: dict[str, Any] | None = None


def measure(setting: str, toy: Toy, *, device: str, deterministic: bool) -> Measured:
    """Train a model twice in a workspace of its own, and return what came of it."""
    from tests.toys import live_shards, populate

    spec = replace(toy.spec, device=device, deterministic=deterministic)
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace.init(Path(folder) / "workspace")
        populate(workspace, toy, Path(folder) / "sources")
        try:
            with Workers(workspace, count=1) as workers:
                made = make(workspace, spec, workers, method=declared(spec.method), shards=live_shards(workspace))
                jobs = [Job(each.name, each.recipe, 0, setting_of(each.environment)) for each in made.components]
                again = list(workers.run(jobs))
        except ExecutionFailed as failed:
            return Measured(setting, failed=str(failed))
        parts = {each.name: each for each in made.components}
        for done in again:
            run = replace(parts[done.job.name], digest=done.digest, environment=done.environment)
            workspace.ledger.record(*attest_done(workspace, run, done))
        found = standings(Attested.of(workspace), made.components, accepts=reached().level)
        return Measured(
            setting,
            parts=len(parts),
            equal=sum(done.digest == parts[done.job.name].digest for done in again),
            standing=sum(each.stands for each in found),
            level=str(again[0].confinement.level),
            gaps=again[0].confinement.gaps,
            seconds=round(sum(each.cost.seconds for each in made.components), 2),
            again=round(sum(done.seconds for done in again), 2),
            gpu=again[0].environment.get("gpu"),
        )


def rows(found: list[Measured]) -> Iterator[str]:
    """Yield the table, a line for each setting."""
    yield f"{'setting':20}{'equal bits':>12}{'attested':>10}{'level':>11}{'seconds':>9}{'again':>8}"
    for each in found:
        if each.failed:
            yield f"{each.setting:20}not measured: {each.failed}"
            continue
        equal, attested = f"{each.equal} of {each.parts}", f"{each.standing} of {each.parts}"
        yield f"{each.setting:20}{equal:>12}{attested:>10}{each.level:>11}{each.seconds:>9.2f}{each.again:>8.2f}"


def main() -> int:
    """Measure every setting, and print what came of them; 1 where one could not be measured."""
    if why := lacking():
        print(f"nothing was measured: {why}")
        return 0
    from benchmarks.klom import data_sets

    toy = dict(data_sets())["digits"]
    found = [measure(name, toy, device=device, deterministic=only) for name, (device, only) in SETTINGS.items()]
    print(*rows(found), json.dumps([each.__dict__ for each in found], sort_keys=True), sep="\n")
    return int(any(each.failed for each in found))


if __name__ == "__main__":
    sys.exit(main())
