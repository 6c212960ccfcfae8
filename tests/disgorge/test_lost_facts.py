"""A removal goes on after the ledger lost its last facts, wherever in a step that was, and reports say that it did."""

import shutil
from pathlib import Path

import pytest

from disgorge.audit import audit
from disgorge.errors import NotApproved
from disgorge.plan.plan import Action
from disgorge.request.case import case_of, plan_of
from disgorge.request.lost_facts import accept_loss
from disgorge.request.plan_request import approve_plan
from lineage.errors import LedgerBroken
from lineage.workspace import Ledger
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
    ledger, toy = Ledger.init(folder), toy_of("averages", 3)
    populate(ledger, toy, folder / "sources")
    train(ledger, toy)
    granted_plan(ledger, [person(ledger, "shard-2", 1), person(ledger, "shard-3", 1)])
    stopped(ledger, Action.RETRAIN)
    return folder


@pytest.fixture(scope="module")
def finished(withdrawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, carried out to the end."""
    folder = Path(shutil.copytree(withdrawn, tmp_path_factory.mktemp("finished") / "workspace"))
    assert carry(Ledger.open(folder)).verdict == "certified"
    return folder


def lose(workspace: Path, count: int) -> Ledger:
    """Lose the last facts of a ledger, and return it as whoever comes next opens it."""
    file = workspace / ".disgorge" / "ledger.jsonl"
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:-count]))
    ledger = Ledger.open(workspace)
    with pytest.raises(LedgerBroken, match="was cut"):
        ledger.verify()
    return ledger


def approve_again(ledger: Ledger) -> None:
    """Approve the plan once more, having looked."""
    approve_plan(ledger, "R-1", plan_of(ledger, case_of(ledger, "R-1")).digest, approver="ann")


@pytest.mark.parametrize("count", [1, 3, 4])
def test_withdrawn_items_are_withdrawn_again_where_the_step_is_not_whole(
    withdrawn: Path, finished: Path, tmp_path: Path, count: int
) -> None:
    """The step recorded two shards, their withdrawals and itself; as many of these are lost."""
    ledger = lose(Path(shutil.copytree(withdrawn, tmp_path / "workspace")), count)
    accepted = accept_loss(ledger)
    assert accepted.loss.last - accepted.loss.first + 1 == (5 if count < 4 else count)
    assert accepted.open == {"R-1": "executing"}
    with pytest.raises(NotApproved, match="0 of 1 approvals since facts were lost, holds perhaps among them"):
        carry(ledger)
    approve_again(ledger)
    done = carry(ledger)
    assert done.verdict == "certified"
    assert served(ledger, RELEASE) == served(Ledger.open(finished), RELEASE)
    assert [(each.id, each.level.value) for each in audit(ledger)] == [("DSG016", "warning")]
    assert [words for words in residuals(done) if "The ledger is not complete" in words]


@pytest.mark.parametrize("count", [1, 3])
def test_a_request_whose_end_is_lost_is_closed_again(finished: Path, tmp_path: Path, count: int) -> None:
    """The report step recorded itself, the report and the end of the request; as many of these are lost."""
    ledger = lose(Path(shutil.copytree(finished, tmp_path / "workspace")), count)
    assert accept_loss(ledger).open == {"R-1": "executing"}
    approve_again(ledger)
    assert carry(ledger).verdict == "certified"
    assert case_of(ledger, "R-1").closed == "done"
    assert {each.id for each in audit(ledger)} == {"DSG016"}


def test_a_report_from_before_the_loss_is_explained_by_it(finished: Path, tmp_path: Path) -> None:
    """It names facts that the ledger does not have, and the ledger says why; without that it was rewritten."""
    workspace = Path(shutil.copytree(finished, tmp_path / "workspace"))
    ledger = lose(workspace, 4)
    accept_loss(ledger)
    told = {(each.id, each.where) for each in audit(ledger) if each.id in ("DSG013", "DSG015", "DSG016")}
    assert told == {("DSG016", "ledger"), ("DSG016", "reports/R-1")}


def test_a_withdrawal_that_another_request_overlaps_is_withdrawn_again_too(tmp_path: Path) -> None:
    """What is lost is the step behind the fact that says how the two requests overlap."""
    ledger, toy = Ledger.init(tmp_path / "workspace"), toy_of("averages", 3)
    populate(ledger, toy, tmp_path / "sources")
    train(ledger, toy)
    filed_and_decided(ledger, [person(ledger, "shard-2", 0)], request_id="R-2")
    granted_plan(ledger, [person(ledger, "shard-2", 0)])
    stopped(ledger, Action.RECOMPOSE)
    kinds = [fact.kind for fact in ledger.facts()]
    assert "overlap" in kinds
    ledger = lose(ledger.workspace, len(kinds) - 1 - kinds.index("overlap"))
    accept_loss(ledger)
    approve_again(ledger)
    assert carry(ledger).verdict == "certified"
