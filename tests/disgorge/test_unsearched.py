"""What a removal could not look into stands in its report by name, and nowhere in the ledger."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from disgorge.errors import BundleBroken, DisgorgeError
from disgorge.report.bundle import verify_bundle, write_bundle
from disgorge.report.compile import evidence_of, gather, key_of, report_case, write_with_inputs
from disgorge.request.case import case_of, plan_of
from disgorge.statement.limitations import not_reached
from lineage.dvc.storage import md5_of
from lineage.records import Selector
from lineage.shards.add import add_shard
from lineage.workspace import Ledger
from tests.toys import person, populate, remove, toy_of, train


@pytest.fixture(scope="module")
def removed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certified removal in a workspace in which the sources lie, one tracked by DVC, and an old checkpoint."""
    ledger = Ledger.init(tmp_path_factory.mktemp("unsearched") / "workspace")
    toy = toy_of("averages", 3)
    populate(ledger, toy, ledger.workspace / "data")
    train(ledger, toy)
    source = ledger.workspace / "data" / "shard-3.npz"
    source.with_name("shard-3.npz.dvc").write_text(
        f"outs:\n- md5: {md5_of(source)}\n  hash: md5\n  path: shard-3.npz\n"
    )
    (ledger.workspace / "mlartifacts" / "run").mkdir(parents=True)
    (ledger.workspace / "mlartifacts" / "run" / "model.pt").write_bytes(b"PK\3\4\0")
    assert remove(ledger, [person(ledger, "shard-3", 1)]).verdict == "certified"
    return ledger.workspace


@pytest.fixture
def ledger(removed: Path, tmp_path: Path) -> Ledger:
    """A copy of it."""
    return Ledger.open(Path(shutil.copytree(removed, tmp_path / "workspace")))


def residue_in(bundle: Path) -> dict[str, Any]:
    """Return what the residue check of a report tells in detail."""
    checks = json.loads((bundle / "evidence.json").read_text())["checks"]
    (detail,) = [check["detail"] for check in checks if check["name"] == "residue"]
    return dict(detail)


def test_the_report_names_what_was_not_looked_into(ledger: Ledger) -> None:
    detail = residue_in(ledger.workspace / "reports" / "R-1")
    named = [f"data/{name}.npz" for name in sorted(toy_of("averages", 3).items)]
    assert detail["not looked into"] == {"files": len(named) + 1, "named": [*named, "mlartifacts/run/model.pt"]}
    assert detail["left"] == []
    (source, unread) = not_reached(evidence_of(ledger, case_of(ledger, "R-1").report["evidence"]))
    assert source == (
        "Shard shard-3 was read from data/shard-3.npz, which still holds what was removed; DVC tracks it, and keeps it "
        "in its cache."
    )
    assert f"{len(named) + 1} files were not looked into" in unread
    assert unread.endswith("data/shard-4.npz, mlartifacts/run/model.pt.")
    page = (ledger.workspace / "reports" / "R-1" / "report.html").read_text()
    assert "mlartifacts/run/model.pt" in page
    assert source in re.sub(r"\s+", " ", page)


def test_items_that_name_no_person_are_told_where_one_was_asked_for(ledger: Ledger) -> None:
    """A request by person cannot find what was recorded without one; one by shard does not look for persons."""
    assert "name no person" not in (ledger.workspace / "reports" / "R-1" / "report.html").read_text()
    for name, count in (("crawl", 3), ("more", 2)):
        source = ledger.workspace.parent / f"{name}.npz"
        np.savez(source, x=np.arange(count * 4.0).reshape(count, 4) + count, label=np.zeros(count, int))
        add_shard(ledger, source, name=name, license="MIT", check=False)
    by_person = remove(ledger, [person(ledger, "shard-1", 1)], request_id="R-2")
    told = "Items that name no person were not searched for the person asked for: 3 of crawl, 2 of more"
    assert told in re.sub(r"\s+", " ", (by_person.bundle / "report.html").read_text())
    by_shard = remove(ledger, [Selector("shard", "shard-2")], request_id="R-3")
    assert "name no person" not in (by_shard.bundle / "report.html").read_text()


def test_the_ledger_has_numbers_only(ledger: Ledger) -> None:
    text = (ledger.home / "ledger.jsonl").read_text()
    assert '"not looked into":{"files":' in text
    assert not [word for word in (".npz", "model.pt", "still holds") if word in text]


def test_a_report_with_inputs_names_the_same(ledger: Ledger) -> None:
    case = case_of(ledger, "R-1")
    shutil.rmtree(ledger.home / "private" / "unsearched")
    path = write_with_inputs(ledger, plan_of(ledger, case), case)
    found = verify_bundle(path, public_key=(ledger.home / "public.pem").read_bytes())
    assert found.verdict == "certified"


def test_without_the_private_file_files_are_counted_and_a_damaged_one_is_said(ledger: Ledger) -> None:
    case = case_of(ledger, "R-1")
    plan = plan_of(ledger, case)
    (file,) = (ledger.home / "private" / "unsearched").iterdir()
    assert gather(ledger, plan, case).checks == evidence_of(ledger, case.report["evidence"]).checks
    file.write_text("[")
    with pytest.raises(DisgorgeError, match="restore the private folder"):
        gather(ledger, plan, case)
    file.unlink()
    (words,) = not_reached(gather(ledger, plan, case))
    assert words.endswith("can be compared with what was removed.")


def test_a_report_that_leaves_it_out_does_not_verify(ledger: Ledger, tmp_path: Path) -> None:
    case = case_of(ledger, "R-1")
    report = report_case(ledger, plan_of(ledger, case), case, evidence_of(ledger, case.report["evidence"]))
    with pytest.raises(BundleBroken, match="leaves out what every report must say"):
        write_bundle(tmp_path / "R-1", replace(report, residuals=()), key=key_of(ledger))


@pytest.mark.parametrize("told", [{"files": "many", "named": []}, {"files": 1}], ids=["no number", "no names"])
def test_details_in_another_form_are_said_in_one_line(ledger: Ledger, tmp_path: Path, told: dict[str, Any]) -> None:
    case = case_of(ledger, "R-1")
    evidence = evidence_of(ledger, case.report["evidence"])
    report = report_case(ledger, plan_of(ledger, case), case, evidence)
    detail = {"not looked into": told, "still there": []}
    checks = tuple(replace(check, detail=detail) if check.name == "residue" else check for check in evidence.checks)
    odd = replace(report, evidence=replace(evidence, checks=checks), certificate=None, refusal="nobody asked")
    with pytest.raises(BundleBroken, match="in a form not known here"):
        write_bundle(tmp_path / "R-1", odd, key=key_of(ledger))
