"""Several requests in one plan, as it is typed: plan, approve, execute, report, with MLflow and worker processes."""

import json
from pathlib import Path

import pytest

from disgorge.tracking.client import Store
from tests.disgorge.cli.conftest import filed, fine, refused, run, untouched


def digest_of_plan() -> str:
    """File, decide and plan two requests together."""
    for request, selector in (("R-1", ("--key", "shard-2-1")), ("R-2", ("--subject", "shard-3-person-1"))):
        filed(request, *selector)
        fine(f"request decide {request}")
    return str(fine("request plan R-1 R-2 --json").json["digest"])


@pytest.mark.usefixtures("mlflow_store")
def test_two_requests_are_planned_approved_and_carried_out_together(workspace_folder: Path) -> None:
    digest = digest_of_plan()
    planned = fine("request plan R-1 R-2").out
    assert f"plan {digest}" in planned
    assert "R-1: 1 item\nR-2: 3 items\n" in planned
    assert f"next: disgorge request approve R-1 {digest[:12]} --by NAME" in planned
    assert [one["state"] for one in fine("request list --json").json] == ["planned", "planned"]
    approved = fine(f"request approve R-2 {digest[:12]} --by ann --json").json
    assert (approved["request"], approved["plan"], approved["approvals"], approved["needed"]) == ("R-2", digest, 1, 1)
    shown = fine("request show R-1 --json").json
    assert (shown["state"], shown["planned_with"], shown["plan_digest"]) == ("approved", ["R-2"], digest)
    assert [share["request"] for share in shown["plan"]["together"]] == ["R-1", "R-2"]
    assert "planned with" in fine("request show R-2").out

    executed = fine("request execute R-2 --json").json
    assert (executed["request"], executed["verdict"]) == ("R-2", "certified")
    reports = {name: str(workspace_folder / "reports" / name) for name in ("R-1", "R-2")}
    assert (executed["reports"], executed["bundle"]) == (reports, reports["R-2"])
    for name, bundle in reports.items():
        verified = fine("verify", bundle, "--level", "ledger", "--workspace", ".", "--json").json
        assert (verified["request"], verified["verdict"]) == (name, "certified")
        assert fine(f"request report {name} --json").json["bundle"] == bundle
        assert fine(f"request show {name}").out.startswith(f"{name}: done")
        assert "there is nothing to" in fine(f"request resume {name}").out
        kinds = [json.loads(line)["kind"] for line in fine(f"ledger export --request {name}").out.splitlines()]
        assert (kinds[0], kinds.count("shard-withdrawn"), kinds.count("request-closed")) == ("request", 2, 1)
    fine("audit")
    with Store(workspace_folder).client() as client:
        found = client.search_runs([one.experiment_id for one in client.search_experiments()])
        (parent,) = [one for one in found if one.data.tags.get("disgorge.kind") == "execution"]
        artifacts = {entry.path for entry in client.list_artifacts(parent.info.run_id, "report")}
    assert (parent.info.status, parent.info.run_name) == ("FINISHED", "removal R-1, R-2")
    assert parent.data.tags["disgorge.requests"] == "R-1, R-2"
    assert artifacts == {"report/R-1", "report/R-2"}


def test_what_is_wrong_with_one_of_several_is_one_line(workspace_folder: Path) -> None:
    digest_of_plan()
    with untouched(workspace_folder):
        assert "R-2 is named twice" in refused("request plan R-2 R-1 R-2")
        assert "unknown request 'R-9'" in refused("request plan R-1 R-9")
        assert run("request plan").code == 2
    fine("request hold R-2 --reason litigation --by ann")
    with untouched(workspace_folder):
        assert "R-2 is on hold" in refused("request plan R-1 R-2")
