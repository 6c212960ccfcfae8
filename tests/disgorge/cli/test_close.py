"""``request close`` as it is typed: how requests end without a removal of their own, and how that is shown."""

from pathlib import Path

from disgorge.statement.bundle_zip import read_members
from lineage.records import Selector
from lineage.workspace import Workspace
from tests.disgorge.cli.conftest import filed, fine, planned, refused
from tests.toys import remove


def test_what_another_request_removed_is_closed_shown_and_verified(workspace_folder: Path) -> None:
    filed("R-2", "--subject", "shard-2-person-0")
    workspace = Workspace.open(workspace_folder)
    remove(workspace, [Selector("shard", "shard-2")])
    assert "request close R-2 --fulfilled-by R-1" in fine("request decide R-2").out
    assert "close it with `disgorge request close R-2 --fulfilled-by R-1`" in refused("request plan R-2")
    assert "has no certificate" in refused("request close R-2 --fulfilled-by R-2")
    told = fine("request close R-2 --fulfilled-by R-1").out
    assert told.startswith("R-2 is fulfilled by R-1; the report is ")
    assert "fulfilled by R-1" in fine("request list --all").out
    assert "R-2" not in fine("request list").out
    shown = fine("request show R-2").out
    assert "R-2: fulfilled" in shown
    assert "fulfilled by R-1" in shown
    assert "next:" not in shown
    assert fine("request show R-2 --json").json["ending"]["by_request"] == "R-1"
    checked = fine("verify reports/R-2 --key .disgorge/public.pem --level ledger --workspace .").out
    assert "was removed by request R-1" in checked
    assert fine("audit").out.startswith("no findings")
    assert "trained nothing" in refused("request report R-2 --with-inputs")
    assert "closed (fulfilled)" in refused("request deny R-2 --reason no-match")
    page = read_members(Path("reports/R-2"))["report.html"].decode()
    for words in (
        "Fulfilled by another removal, and certified",
        "the removal for request R-1 had taken every item that it selects",
        "Nothing live matched it any more",
    ):
        assert words in page
    assert "as approved" not in page
    assert "0 items" not in page


def test_what_its_requester_took_back_is_closed_without_a_report(workspace_folder: Path) -> None:
    planned("R-1")
    assert fine("request close R-1 --taken-back --by Ann").out == "R-1 is taken back\n"
    assert "taken back (said by pseudonym " in fine("request list --all").out
    assert "Ann" not in (workspace_folder / ".disgorge" / "ledger.jsonl").read_text()
    assert "closed (taken-back)" in refused("request close R-1 --taken-back --by ann")
    assert "closed (taken-back)" in refused("request execute R-1")
