"""Answers through the whole pass: what the check carries where the old model can be told from the new, or cannot."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from disgorge.evidence.checks import STAND_IN, Check, Verdict
from disgorge.removal.actions import examination_of
from lineage.workspace import Workspace
from tests.toys import carry, granted_plan, person, populate, toy_of, train


def removed(folder: Path, **parameters: Any) -> tuple[str, dict[str, Check], Path]:
    """Remove a person from the second shard of the averages; return the verdict, the checks and the report."""
    workspace, toy = Workspace.init(folder / "workspace"), toy_of("averages", 3)
    toy = replace(toy, spec=replace(toy.spec, parameters=parameters))
    populate(workspace, toy, folder / "sources")
    train(workspace, toy)
    granted_plan(workspace, [person(workspace, "shard-2", 0)])
    done = carry(workspace)
    (*_, last) = workspace.ledger.facts("examination")
    checks = {check.name: check for check in examination_of(workspace, last.body["examination"]).checks}
    return done.verdict, checks, done.bundle


def test_the_old_model_is_asked_too_and_told_apart(tmp_path: Path) -> None:
    verdict, checks, bundle = removed(tmp_path)
    assert verdict == "certified"
    (control,) = checks["answers"].controls
    assert (control.name, control.held) == ("positive", True)
    assert checks["answers"].detail["old model differs by"] > 1e-4
    assert "1e-05" in f"{checks['answers'].threshold}"
    assert "calibrate_answers" in checks["answers"].detail["calibrated"]
    assert [(c.name, c.held) for c in checks["never-trained"].controls] == [("positive", True), ("negative", True)]
    evidence = json.loads((bundle / "evidence.json").read_text())
    told = [check["detail"]["calibrated"] for check in evidence["checks"] if check["name"] == "residue"]
    assert all("21 of 256 bits" in line and "from 64 bytes on" in line for line in told)
    assert told
    assert "shows nothing by itself" not in (bundle / "report.html").read_text()


def test_a_part_no_answer_depends_on_is_removed_with_a_certificate_that_says_so(tmp_path: Path) -> None:
    verdict, checks, bundle = removed(tmp_path, idle=["shard-2"])
    assert verdict == "certified"
    check = checks["answers"]
    assert [(control.name, control.held) for control in check.controls] == [(STAND_IN, True)]
    assert check.verdict is Verdict.PASS
    assert "rests on never-trained alone" in check.answer
    assert checks["never-trained"].verdict is Verdict.PASS
    assert "shows nothing by itself about toy-averages" in (bundle / "report.html").read_text()
