"""What a removal could not look into stands in its report by name, and nowhere in the ledger."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from disgorge.audit.rules import audit
from disgorge.report.bundle import verify_bundle
from disgorge.report.compile import evidence_of, gather, write_with_inputs
from disgorge.request.case import case_of, plan_of
from disgorge.statement.limitations import not_reached
from lineage.dvc.storage import md5_of
from lineage.errors import UnknownRecord
from lineage.records import Selector
from lineage.shards.add import add_shard
from lineage.workspace import Workspace
from tests.toys import person, populate, remove, toy_of, train


@pytest.fixture(scope="module")
def removed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certified removal in a workspace in which the sources lie, one tracked by DVC, and an old checkpoint."""
    workspace = Workspace.init(tmp_path_factory.mktemp("unsearched") / "workspace")
    toy = toy_of("averages", 3)
    populate(workspace, toy, workspace.root / "data")
    train(workspace, toy)
    source = workspace.root / "data" / "shard-3.npz"
    source.with_name("shard-3.npz.dvc").write_text(
        f"outs:\n- md5: {md5_of(source)}\n  hash: md5\n  path: shard-3.npz\n"
    )
    (workspace.root / "mlartifacts" / "run").mkdir(parents=True)
    (workspace.root / "mlartifacts" / "run" / "model.pt").write_bytes(b"PK\3\4\0")
    assert remove(workspace, [person(workspace, "shard-3", 1)]).verdict == "certified"
    return workspace.root


@pytest.fixture
def workspace(removed: Path, tmp_path: Path) -> Workspace:
    """A copy of it."""
    return Workspace.open(Path(shutil.copytree(removed, tmp_path / "workspace")))


def residue_in(bundle: Path) -> dict[str, Any]:
    """Return what the residue check of a report tells in detail."""
    checks = json.loads((bundle / "evidence.json").read_text())["checks"]
    (detail,) = [check["detail"] for check in checks if check["name"] == "residue"]
    return dict(detail)


def test_the_report_names_what_was_not_looked_into(workspace: Workspace) -> None:
    detail = residue_in(workspace.root / "reports" / "R-1")
    named = [f"data/{name}.npz" for name in sorted(toy_of("averages", 3).items)]
    assert detail["not enumerated"] == {
        "places": [],
        "files": len(named) + 1,
        "named": [*named, "mlartifacts/run/model.pt"],
    }
    assert (detail["residual"], detail["erased"] > 0) == ([], True)
    (copies, source, looked, unread) = not_reached(
        evidence_of(workspace, case_of(workspace, "R-1").last_report.evidence)
    )
    assert copies.endswith(
        f"1 unsupported (they lie where nothing is deleted), 0 residual; {len(named) + 1} files and "
        "0 places not enumerated, so the list is not complete."
    )
    assert source == (
        "Unsupported: shard shard-3 was read from data/shard-3.npz, which still holds what was removed; DVC "
        "tracks it, and keeps it in its cache."
    )
    counts = detail["looked at"]
    assert looked.startswith(f"Compared: {counts['compared']} files, tables by the items they list, texts by the rows")
    assert f"Only opened: {counts['only opened']} files of text" in looked
    assert counts["compared"] > 0
    assert counts["only opened"] > 0
    assert f"{len(named) + 1} files were not looked into" in unread
    assert unread.endswith("data/shard-4.npz, mlartifacts/run/model.pt.")
    text = (workspace.home / "ledger.jsonl").read_text()
    assert '"detail":{"kept":' in text
    assert not [word for word in (".npz", "model.pt", "still holds") if word in text], "the ledger has numbers only"
    page = (workspace.root / "reports" / "R-1" / "report.html").read_text()
    assert "mlartifacts/run/model.pt" in page
    assert source in re.sub(r"\s+", " ", page)


def test_items_that_name_no_person_are_told_where_one_was_asked_for(workspace: Workspace) -> None:
    """A request by person cannot find what was recorded without one; one by shard does not look for persons."""
    assert "name no person" not in (workspace.root / "reports" / "R-1" / "report.html").read_text()
    for name, count in (("crawl", 3), ("more", 2)):
        source = workspace.root.parent / f"{name}.npz"
        np.savez(source, x=np.arange(count * 4.0).reshape(count, 4) + count, label=np.zeros(count, int))
        add_shard(workspace, source, name=name, license="MIT", check=False)
    by_person = remove(workspace, [person(workspace, "shard-1", 1)], request_id="R-2")
    told = "Items that name no person were not searched for the person asked for: 3 of crawl, 2 of more"
    assert told in re.sub(r"\s+", " ", (by_person.bundle / "report.html").read_text())
    by_shard = remove(workspace, [Selector("shard", "shard-2")], request_id="R-3")
    assert "name no person" not in (by_shard.bundle / "report.html").read_text()


def test_a_report_with_inputs_names_the_same(workspace: Workspace) -> None:
    case = case_of(workspace, "R-1")
    path = write_with_inputs(workspace, plan_of(workspace, case), case)
    found = verify_bundle(path, public_key=(workspace.home / "public.pem").read_bytes())
    assert found.verdict == "certified"


def test_the_check_is_an_object_and_a_lost_one_is_said(workspace: Workspace) -> None:
    case = case_of(workspace, "R-1")
    plan = plan_of(workspace, case)
    assert gather(workspace, plan, case).checks == evidence_of(workspace, case.last_report.evidence).checks
    (fact,) = (fact for fact in workspace.ledger.facts("step") if "residue" in fact.body["result"])
    workspace.objects.path(fact.body["result"]["residue"]["detail"]["kept"]).unlink()
    with pytest.raises(UnknownRecord):
        gather(workspace, plan, case)
    assert [found.words for found in audit(workspace) if "the residue check" in found.words]
