"""A removal goes on after the ledger lost its last facts, wherever in a step that was, and reports say that it did."""

import shutil
from pathlib import Path

import pytest

from disgorge.audit.rules import audit
from disgorge.errors import NotApproved
from disgorge.plan.plan import Action
from disgorge.request.case import case_of, plan_of
from disgorge.request.history.lost_facts import accept_loss
from disgorge.request.workflow.approval import approve_plan
from lineage.errors import LedgerBroken
from lineage.workspace import Workspace
from tests.toys import (
    carry,
    filed_and_decided,
    granted_plan,
    person,
    populate,
    residuals,
    served,
    stopped,
    toy_of,
    train,
)

RELEASE = "toy-averages"


@pytest.fixture(scope="module")
def withdrawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace whose removal of a person, from two shards, was killed after the items were withdrawn."""
    folder = tmp_path_factory.mktemp("withdrawn")
    workspace, toy = Workspace.init(folder), toy_of("averages", 3)
    populate(workspace, toy, folder / "sources")
    train(workspace, toy)
    granted_plan(workspace, [person(workspace, "shard-2", 1), person(workspace, "shard-3", 1)])
    stopped(workspace, Action.RETRAIN)
    return folder


@pytest.fixture(scope="module")
def finished(withdrawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, carried out to the end."""
    folder = Path(shutil.copytree(withdrawn, tmp_path_factory.mktemp("finished") / "workspace"))
    assert carry(Workspace.open(folder)).verdict == "certified"
    return folder


def lose(workspace_folder: Path, count: int) -> Workspace:
    """Lose the last facts of a ledger, and return it as whoever comes next opens it."""
    file = workspace_folder / ".disgorge" / "ledger.jsonl"
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:-count]))
    workspace = Workspace.open(workspace_folder)
    with pytest.raises(LedgerBroken, match="was cut"):
        workspace.ledger.verify()
    return workspace


def approve_again(workspace: Workspace) -> None:
    """Approve the plan once more, having looked."""
    approve_plan(workspace, "R-1", plan_of(workspace, case_of(workspace, "R-1")).digest, approver="ann")


@pytest.mark.parametrize("count", [1, 3, 4])
def test_withdrawn_items_are_withdrawn_again_where_the_step_is_not_whole(
    withdrawn: Path, finished: Path, tmp_path: Path, count: int
) -> None:
    """The step recorded two shards, their withdrawals and itself; as many of these are lost."""
    workspace = lose(Path(shutil.copytree(withdrawn, tmp_path / "workspace")), count)
    accepted = accept_loss(workspace)
    assert accepted.loss.last - accepted.loss.first + 1 == (5 if count < 4 else count)
    assert accepted.open == {"R-1": "executing"}
    with pytest.raises(NotApproved, match="0 of 1 approvals since facts were lost, holds perhaps among them"):
        carry(workspace)
    approve_again(workspace)
    done = carry(workspace)
    assert done.verdict == "certified"
    assert served(workspace, RELEASE) == served(Workspace.open(finished), RELEASE)
    assert [(each.id, each.level.value) for each in audit(workspace)] == [("DSG016", "warning")]
    assert [words for words in residuals(done) if "The ledger is not complete" in words]


@pytest.mark.parametrize("count", [1, 3])
def test_a_request_whose_end_is_lost_is_closed_again(finished: Path, tmp_path: Path, count: int) -> None:
    """The report step recorded itself, the report and the end of the request; as many of these are lost."""
    workspace = lose(Path(shutil.copytree(finished, tmp_path / "workspace")), count)
    assert accept_loss(workspace).open == {"R-1": "executing"}
    approve_again(workspace)
    assert carry(workspace).verdict == "certified"
    assert case_of(workspace, "R-1").closed == "done"
    assert {each.id for each in audit(workspace)} == {"DSG016"}


def test_a_report_from_before_the_loss_is_explained_by_it(finished: Path, tmp_path: Path) -> None:
    """It names facts that the ledger does not have, and the ledger says why; without that it was rewritten."""
    workspace_folder = Path(shutil.copytree(finished, tmp_path / "workspace"))
    workspace = lose(workspace_folder, 4)
    accept_loss(workspace)
    told = {(each.id, each.where) for each in audit(workspace) if each.id in ("DSG013", "DSG015", "DSG016")}
    assert told == {("DSG016", "ledger"), ("DSG016", "reports/R-1")}


def test_a_withdrawal_that_another_request_overlaps_is_withdrawn_again_too(tmp_path: Path) -> None:
    """What is lost is the step behind the fact that says how the two requests overlap."""
    workspace, toy = Workspace.init(tmp_path / "workspace"), toy_of("averages", 3)
    populate(workspace, toy, tmp_path / "sources")
    train(workspace, toy)
    filed_and_decided(workspace, [person(workspace, "shard-2", 0)], request_id="R-2")
    granted_plan(workspace, [person(workspace, "shard-2", 0)])
    stopped(workspace, Action.RECOMPOSE)
    kinds = [fact.kind for fact in workspace.ledger.facts()]
    assert "overlap" in kinds
    workspace = lose(workspace.root, len(kinds) - 1 - kinds.index("overlap"))
    accept_loss(workspace)
    approve_again(workspace)
    assert carry(workspace).verdict == "certified"
