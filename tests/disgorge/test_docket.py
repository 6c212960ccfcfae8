"""A docket is read from facts of the known form; another is named, with its line."""

import datetime as dt
import re
from pathlib import Path
from typing import Any

import pytest

from disgorge.audit.findings import OVERDUE
from disgorge.audit.rules import audit
from disgorge.errors import DisgorgeError
from disgorge.request.case import docket
from disgorge.request.holds.purge_hold import hold_purge
from disgorge.request.workflow.decide import decide_request
from disgorge.request.workflow.filing import file_request
from lineage.errors import BadInput, LedgerBroken
from lineage.records import Selector, plain
from lineage.workspace import Workspace
from policies.packs.load import load_packs
from policies.request import RemovalRequest, Standing
from policies.taxonomy import Defect
from tests.disgorge.report_cases import request


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("request", {}),
        ("request", {"request": {"id": "R-2"}}),
        ("decision", {"request": "R-7"}),
        ("plan", {"request": "R-7"}),
        ("plan", {"request": "R-7", "plan": ["a"]}),
        ("approval", {"request": "R-7"}),
        ("deadline-extended", {"request": "R-7", "until": "soon"}),
        ("hold", {"request": ["R-7"]}),
    ],
)
def test_a_fact_of_another_form_is_named(tmp_path: Path, kind: str, body: dict[str, Any]) -> None:
    workspace = Workspace.init(tmp_path)
    workspace.ledger.append("request", {"request": plain(request())})
    assert list(docket(workspace)) == ["R-7"]
    workspace.ledger.append(kind, body)
    with pytest.raises(LedgerBroken, match=f"line 3 of the ledger, a '{kind}', has not the form of one"):
        docket(workspace)


# Days are those of the controller


ROOT = Path(__file__).parent.parent.parent
LATE = dt.datetime(2026, 11, 30, 23, 30, tzinfo=dt.UTC)
"""December 1 in Berlin, November 30 in Los Angeles."""


def workspace_folder(tmp_path: Path, zone: str, now: dt.datetime = LATE) -> Workspace:
    """Return a workspace in a time zone."""
    if not (tmp_path / ".disgorge").exists():
        Workspace.init(tmp_path)
    (tmp_path / ".disgorge" / "config.toml").write_text(f'time_zone = "{zone}"\n')
    return Workspace.open(tmp_path, clock=lambda: now)


def filed(workspace: Workspace, received: dt.date | None = None) -> RemovalRequest:
    """File a request for data that nobody has."""
    return file_request(
        workspace,
        standing=Standing.DATA_SUBJECT,
        ground=Defect.PRIVACY,
        regime="gdpr",
        selectors=[Selector("subject", "7f3a")],
        received=received,
        identity_verified=True,
        request_id="R-1",
    )


@pytest.mark.parametrize(
    ("zone", "today"),
    [
        ("Europe/Berlin", "2026-12-01"),
        ("America/Los_Angeles", "2026-11-30"),
        ("Pacific/Kiritimati", "2026-12-01"),
        ("UTC", "2026-11-30"),
    ],
)
def test_today_is_the_day_of_the_configured_zone(tmp_path: Path, zone: str, today: str) -> None:
    workspace = workspace_folder(tmp_path, zone)
    assert workspace.today() == dt.date.fromisoformat(today)
    assert filed(workspace).received == workspace.today()
    assert decide_request(workspace, "R-1", load_packs()).decided == workspace.today()


def test_without_a_zone_the_machine_says_which_day_it_is(tmp_path: Path) -> None:
    workspace = Workspace.init(tmp_path, clock=lambda: LATE)
    assert workspace.today() == LATE.astimezone().date()


def test_what_arrives_on_any_day_that_is_today_somewhere_is_accepted(tmp_path: Path) -> None:
    """At 10:30 UTC on December 1 it is November 30 in Niue (UTC-11) and December 2 in Kiritimati (UTC+14)."""
    workspace = workspace_folder(tmp_path, "Pacific/Niue", dt.datetime(2026, 12, 1, 10, 30, tzinfo=dt.UTC))
    assert workspace.today() == dt.date(2026, 11, 30)
    with pytest.raises(DisgorgeError, match="after today, 2026-11-30"):
        filed(workspace, dt.date(2026, 12, 3))
    filed(workspace, dt.date(2026, 12, 2))
    assert decide_request(workspace, "R-1", load_packs()).decided == dt.date(2026, 11, 30)


def test_overdue_is_counted_in_the_controllers_days(tmp_path: Path) -> None:
    workspace = workspace_folder(tmp_path, "UTC", dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC))
    filed(workspace, dt.date(2026, 11, 1))  # nobody decides it; after 28 days it is overdue
    evening = dt.datetime(2026, 11, 29, 23, 30, tzinfo=dt.UTC)
    late = {
        zone: any(finding.rule is OVERDUE for finding in audit(workspace_folder(tmp_path, zone, evening)))
        for zone in ("Europe/Berlin", "America/Los_Angeles")
    }
    assert late == {"Europe/Berlin": True, "America/Los_Angeles": False}


def test_a_purge_waits_for_the_controllers_day(tmp_path: Path) -> None:
    workspace = workspace_folder(tmp_path, "Europe/Berlin")
    filed(workspace)
    with pytest.raises(DisgorgeError, match="2026-12-01 is not after today"):
        hold_purge(workspace, "R-1", until=dt.date(2026, 12, 1), because="the court may ask for it", by="Ann")


@pytest.mark.parametrize("zone", ["Europe/Atlantis", "", "../../etc/passwd", "/etc"])
def test_an_unknown_zone_is_named(tmp_path: Path, zone: str) -> None:
    with pytest.raises(BadInput, match=r"unknown time_zone .* use a name of the IANA database, such as Europe/Berlin"):
        workspace_folder(tmp_path, zone)


def test_no_source_takes_its_day_from_utc() -> None:
    """Only :meth:`Workspace.local_time` knows the zone; ``now().date()`` would be a day of UTC."""
    for path in [*(ROOT / "disgorge").rglob("*.py"), *(ROOT / "lineage").rglob("*.py")]:
        assert not re.search(r"now\(\)\.date\(\)|date\.today\(\)|utcnow\(\)", path.read_text()), path
