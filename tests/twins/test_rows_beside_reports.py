"""Done: a withdrawn row, or a bundle that somebody changed, lies in reports/ beside the bundles that were recorded.
Must: it is found; bundles that are what was recorded are left out by digest, so that no report refuses a removal.
Follows: mandiant/ioc-scanner-CVE-2019-19781#12
"""

from disgorge.locations.rows.search import recorded_reports
from lineage.records import Selector
from lineage.workspace import Workspace
from tests import toys


def test_only_recorded_bundles_are_left_out(workspace: Workspace) -> None:
    toys.granted_plan(workspace, [Selector("shard", "shard-3")])
    bundle = toys.carry(workspace).bundle
    files = {path for path in (workspace.root / "reports").rglob("*") if path.is_file()}
    assert recorded_reports(workspace) == files
    page = bundle / "report.html"
    page.write_text(page.read_text() + "<!-- more -->")
    beside = bundle / "rows.json"
    beside.write_text("{}")
    assert recorded_reports(workspace) == files - {page}
    bundle.with_suffix(".zip").write_bytes(b"PK\3\4")
    assert recorded_reports(workspace) == set()
