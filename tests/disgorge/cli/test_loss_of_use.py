"""A removal that leaves nothing trained: the plan warns, a person accepts the loss, and the page says so."""

from pathlib import Path

import pytest

from lineage.workspace import Workspace
from tests.disgorge.cli.conftest import RELEASE, fine, planned, refused
from tests.toys import served

EVERY_SHARD = [argument for number in range(1, 5) for argument in ("--shard", f"shard-{number}")]
LOST = f"nothing that was trained on removable data is left in {RELEASE}"


@pytest.mark.usefixtures("no_mlflow")
def test_a_plan_that_leaves_nothing_trained_warns_and_waits_for_a_persons_word(workspace_folder: Path) -> None:
    before = served(Workspace.open(), RELEASE)
    digest = planned("R-1", *EVERY_SHARD)
    for printed in (fine("request plan R-1"), fine("request show R-1")):
        assert f"warning: {LOST}" in printed.out
    (warning,) = fine("request plan R-1 --json").json["warnings"]
    assert warning.startswith(LOST)
    approved = fine(f"request approve R-1 {digest} --by ann")
    assert f"warning: {LOST}" in approved.err
    assert f"next: disgorge request approve R-1 {digest[:12]} --by NAME --accept-utility-loss" in approved.out

    said = refused("request execute R-1")
    assert said.startswith(LOST)
    assert f"`disgorge request approve R-1 {digest[:12]} --by NAME --accept-utility-loss`" in said
    assert f"--withdraw {RELEASE}`" in said
    assert served(Workspace.open(), RELEASE) == before
    assert not [fact for fact in Workspace.open().ledger.facts() if fact.kind in ("step", "release-contained")]

    fine(f"request approve R-1 {digest} --by ann --accept-utility-loss")
    executed = fine("request execute R-1 --references 0").out
    went = f"utility of {RELEASE}: accuracy on held-out data went from "
    assert went in executed
    assert served(Workspace.open(), RELEASE) != before
    assert went in fine("verify reports/R-1 --key .disgorge/public.pem").out
    (measure,) = fine("verify reports/R-1 --json").json["utility"]
    assert measure["before"] > measure["after"]
    page = Path("reports/R-1/report.html").read_text()
    assert "nothing that was trained on removable data is left in the release; " in page
    assert "the approver accepted the loss" in page
    assert ">loss accepted</span>" in page


def test_an_ordinary_removal_is_asked_for_no_word(workspace_folder: Path) -> None:
    digest = planned("R-1")
    plan = fine("request plan R-1")
    assert "warning:" not in plan.out + plan.err
    assert fine("request plan R-1 --json").json["warnings"] == []
    approved = fine(f"request approve R-1 {digest} --by ann")
    assert (approved.err, approved.out) == (
        "",
        "approval recorded, 1 of 1; carry it out with `disgorge request execute R-1`\n",
    )
