"""A docket is read from facts of the known form; another is named, with its line."""

from pathlib import Path
from typing import Any

import pytest

from disgorge.request.case import docket
from lineage.errors import LedgerBroken
from lineage.records import plain
from lineage.workspace import Workspace
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
