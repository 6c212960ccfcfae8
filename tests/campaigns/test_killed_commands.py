"""The verbs before an execution are killed before every change they make, and repeated until they get through.

A request is filed once, decided, planned and approved, and what is carried out then ends in the digests of a request
that nobody disturbed.
"""

import json
import shutil
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from disgorge.request.case import docket
from lineage.workspace import Workspace
from tests.crash_harness import aftermath
from tests.crash_harness.nursery import Ended, the_nursery
from tests.crash_harness.removals import KILLED, survived
from tests.tier import amount
from tests.toys import populate, toy_of, train

STRIDE = amount(5, 1)
"""Every so manieth change is died at."""
DONE = {"file": "exists", "approve": "approved this plan already"}
"""What a verb says that was killed after its fact: there is nothing left to do."""


@cache
def trained() -> Path:
    """A workspace with a model and no request."""
    folder = Path(mkdtemp(prefix="verbs-", dir=the_nursery().folder))
    workspace, toy = Workspace.init(folder / "trained"), toy_of("averages", 3)
    populate(workspace, toy, folder / "sources")
    train(workspace, toy)
    return folder


def through(workspace_folder: Path, *arguments: str, stride: int | None) -> Ended:
    """Run a verb of ``request``, killed at ever later changes until it gets through; ``None`` kills nothing."""
    place = 1
    while True:
        order = {} if stride is None else {"die_at": place}
        with aftermath.nothing_lost(workspace_folder):
            ended = the_nursery().run(
                "cli", workspace_folder, arguments=["request", *arguments], without=["mlflow"], **order
            )
        KILLED[workspace_folder] += ended.killed
        if not ended.killed:
            assert ended.code == 0 or DONE.get(arguments[0], "never said") in ended.err, ended
            return ended
        place += stride or 1


def request_and_remove(workspace_folder: Path, *, stride: int | None) -> None:
    """One request through every verb, and carried out."""
    through(workspace_folder, "file", "--id", "R-1", "--standing", "contributor", "--ground", "contract", "--regime",
            "contract", "--verified", "--subject", "shard-3-person-1", "--name", "Ada", stride=stride)  # fmt: skip
    through(workspace_folder, "decide", "R-1", stride=stride)
    digest = json.loads(through(workspace_folder, "plan", "R-1", "--json", stride=stride).out)["digest"]
    through(workspace_folder, "approve", "R-1", digest, "--by", "ann", stride=stride)
    ended = the_nursery().run("carry", workspace_folder, request="R-1")
    assert (ended.code, ended.out) == (0, "certified"), ended


def test_killed_while_filing_deciding_planning_and_approving() -> None:
    calm, killed = (Path(shutil.copytree(trained() / "trained", trained() / name)) for name in ("calm", "killed"))
    request_and_remove(calm, stride=None)
    request_and_remove(killed, stride=STRIDE)
    workspace = Workspace.open(killed)
    assert list(docket(workspace)) == ["R-1"]
    assert len(list(workspace.ledger.facts("request"))) == 1
    assert len(docket(workspace)["R-1"].approvals[docket(workspace)["R-1"].plan or ""]) == 1
    assert aftermath.served(workspace) == aftermath.served(Workspace.open(calm))
    assert aftermath.live(workspace) == aftermath.live(Workspace.open(calm))
    assert KILLED[killed] >= 4
    survived("file, decide, plan, approve", killed)
