"""The answers' rule: who is told from the old model, by how much, and what is said where nobody can tell."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from disgorge.evidence.checks import STAND_IN, Check, Examination, Verdict
from disgorge.examination.compare_outputs import CALIBRATED, CLEAR, TOLERANCE, compare, judge
from disgorge.request.stored_records import kept_record
from tests.toys import carry, granted_plan, person, trained_toy

Answers = dict[str, Any]


def answers(*numbers: float) -> Answers:
    """One set of answers."""
    return {"scores": np.array(numbers, np.float64)}


NEW, OLD = answers(1.0, 0.5), answers(1.0, 0.7)
ROUNDED = answers(1.0, 0.5 + 1e-12)


def by(distance: float) -> Answers:
    """The new answers, one of them moved."""
    return answers(1.0, 0.5 + distance)


@pytest.mark.parametrize(
    ("served", "old", "verdict", "control"),
    [
        (NEW, OLD, Verdict.PASS, ("positive", True)),
        (ROUNDED, OLD, Verdict.PASS, ("positive", True)),
        (OLD, OLD, Verdict.FAIL, ("positive", True)),
        (NEW, by(1e-9), Verdict.PASS, ("positive", True)),
        (by(1e-9), by(1e-9), Verdict.INCONCLUSIVE, ("positive", False)),
        (by(0.9 * TOLERANCE), by(TOLERANCE), Verdict.INCONCLUSIVE, ("positive", False)),
        (by(0.9 * TOLERANCE), by(1.1 * CLEAR * TOLERANCE), Verdict.PASS, ("positive", True)),
        (ROUNDED, NEW, Verdict.INCONCLUSIVE, ("positive", False)),
        (NEW, NEW, Verdict.PASS, (STAND_IN, True)),
        (by(1.0), NEW, Verdict.FAIL, ("positive", False)),
    ],
    ids=[
        "the new one", "the new one, rounded", "the old one", "a small removal, the new one",
        "a small removal, the old one behind", "nine tenths of the old one", "a tenth of the old one at most",
        "the old one answers like the new one, and rounding", "the old one answers like the new one", "neither",
    ],
)  # fmt: skip
def test_who_answers(served: Answers, old: Answers, verdict: Verdict, control: tuple[str, bool]) -> None:
    found = judge(compare(served, NEW, old), Verdict.PASS)
    assert found[0] is verdict
    assert (found[2].name, found[2].held) == control


def test_answers_that_show_nothing_rest_on_never_trained_and_say_so() -> None:
    alike = compare(NEW, NEW, NEW)
    verdict, words, control = judge(alike, Verdict.PASS)
    assert verdict is Verdict.PASS
    assert "shows nothing by itself and rests on never-trained alone" in words
    assert control.held
    for other in (Verdict.FAIL, Verdict.INCONCLUSIVE):
        verdict, words, control = judge(alike, other)
        assert verdict is Verdict.INCONCLUSIVE
        assert "did not pass" in words
        assert not control.held


@pytest.mark.parametrize("strange", [{}, answers(1.0), answers(1.0, np.nan), {"scores": np.zeros((2, 1))}])
def test_answers_that_cannot_be_compared_are_not_the_same(strange: Answers) -> None:
    assert judge(compare(NEW, strange, OLD), Verdict.PASS)[0] is Verdict.FAIL


def test_a_zero_that_changed_its_sign_is_another_bit() -> None:
    found = compare(answers(0.0), answers(0.0), answers(-0.0))
    assert (found.old, found.bits_equal, found.old_bits_equal) == (0.0, True, False)


def test_the_tolerance_lies_where_its_benchmark_put_it() -> None:
    """Rounding lies well within it, and one item's removal well beyond what tells the old model."""
    written = Path(__file__).parents[2] / "benchmarks" / "calibrate_answers.json"
    summary = json.loads(written.read_text())["summary"]
    assert summary["one and two threads, at most"] < 3e-7 < TOLERANCE / 10
    assert summary["one item removed, at least"] > 0.03 > 100 * CLEAR * TOLERANCE
    assert "within 3e-07" in CALIBRATED
    assert "by 0.03 or more" in CALIBRATED


# Through the whole pass


def removed(folder: Path, **parameters: Any) -> tuple[str, dict[str, Check], Path]:
    """Remove a person from the second shard of the averages; return the verdict, the checks and the report."""
    workspace = trained_toy(folder, parameters=parameters)
    granted_plan(workspace, [person(workspace, "shard-2", 0)])
    done = carry(workspace)
    (*_, last) = workspace.ledger.facts("examination")
    checks = {check.name: check for check in kept_record(workspace, Examination, last.body["examination"]).checks}
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
