"""What ten requests cost in one plan, and one after another: ``python -m benchmarks.joint [METHOD]``.

Trains a method's toy (shard graph by default), in which ten requests each ask for one item of one shard, and carries
them out in one workspace by a joint plan, in a copy of it one by one. Counts the trainings of both, of the removal and
of its evidence, and the seconds from the first plan to the last report. Everything runs in this process, so that the
start of workers is not what is compared. Writes ``benchmarks/joint.json``.
"""

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from disgorge.removal.execute import execute
from disgorge.request.case import docket
from disgorge.request.workflow.approval import approve_plan
from disgorge.request.workflow.plan_request import plan_requests
from disgorge.tracking.registry import Registrar
from disgorge.tracking.runs import Observer
from disgorge.training.kernels import steer_this_process
from disgorge.training.recipe import Done, Job, OnProgress, trains, unseen
from lineage.catalog.catalog import Catalog
from lineage.records import Json, Selector
from lineage.workspace import Workspace
from tests.in_process import InProcessRunner

REQUESTS = 10
_ASKED = [f"R-{number}" for number in range(REQUESTS)]


class Counting(InProcessRunner):
    """Carries jobs out in this process, and counts those that train."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(workspace)
        self.trainings = 0

    def run(self, jobs: Iterable[Job], *, on_progress: OnProgress = unseen) -> Iterator[Done]:
        """Carry the jobs out; questions to models train nothing."""
        wanted = list(jobs)
        self.trainings += sum(trains(job.recipe) for job in wanted)
        return super().run(wanted, on_progress=on_progress)


def carried_out(workspace: Workspace, plans: Sequence[Sequence[str]]) -> dict[str, Json]:
    """Plan, approve and carry out requests, those that share a plan together; say what that took."""
    removal, evidence = Counting(workspace), Counting(workspace)
    start = time.perf_counter()
    for requests in plans:
        plan = plan_requests(workspace, requests)
        approve_plan(workspace, requests[0], plan.digest, approver="ann", accept_utility_loss=bool(plan.warnings))
        execute(
            workspace, requests[0], runner=removal, independent=lambda: evidence, references=0,
            registrar=Registrar(), observer=Observer(),
        )  # fmt: skip
    seconds = round(time.perf_counter() - start, 1)
    if {case.closed for case in docket(workspace).values()} != {"done"}:
        raise SystemExit("not every request was carried out; the figures would say nothing")
    return {"trainings": removal.trainings, "trainings for evidence": evidence.trainings, "seconds": seconds}


def served(workspace: Workspace, release: str) -> str:
    """Return the digest of the composition that a release serves."""
    with Catalog.of(workspace) as catalog:
        return catalog.release(release).composition


def main(method: str) -> None:
    """Measure both ways and write them down; they must come to the same weights."""
    from tests.toys import filed_and_decided, populate, toy_of, train

    steer_this_process()
    toy = toy_of(method, 5)
    with tempfile.TemporaryDirectory() as folder:
        together = Workspace.init(Path(folder) / "together")
        populate(together, toy, Path(folder) / "sources")
        train(together, toy)
        for number, request in enumerate(_ASKED):
            filed_and_decided(together, [Selector("key", f"{toy.spec.shards[0]}-{number}")], request_id=request)
        apart = Workspace.open(Path(shutil.copytree(together.root, Path(folder) / "apart")))
        figures = {
            "method": method,
            "requests": REQUESTS,
            "together": carried_out(together, [_ASKED]),
            "one after another": carried_out(apart, [[request] for request in _ASKED]),
        }
        if served(together, toy.spec.release) != served(apart, toy.spec.release):
            raise SystemExit("the two ways came to other weights")
    Path(__file__).with_suffix(".json").write_text(json.dumps(figures, indent=1) + "\n")
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "shard_graph")
