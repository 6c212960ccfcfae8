"""The band: who is like models that never saw the items, who is not, and when nobody can tell."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from disgorge.evidence.checks import Check, Near, NearItem, ResidueCase, Verdict
from disgorge.evidence.probes import memorization
from disgorge.evidence.probes.memorization import Numbers, judge
from disgorge.evidence.probes.residue import residue
from tests.tier import amount, tally

REFERENCES = (0.0, 0.01, -0.01)


def check(before: float, after: float, references: tuple[float, ...] = REFERENCES) -> Check:
    """Judge plain numbers."""
    return judge(Numbers(before, after, references), subject="toy", n=20, detail={})


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        (1.0, 0.005, Verdict.PASS),
        (1.0, -0.02, Verdict.PASS),
        (1.0, 1.0, Verdict.FAIL),
        (1.0, 0.6, Verdict.FAIL),
        (1.0, -0.6, Verdict.FAIL),
        (1.0, 0.3, Verdict.INCONCLUSIVE),
        (0.1, 0.005, Verdict.INCONCLUSIVE),
        (-1.0, 0.005, Verdict.INCONCLUSIVE),
        (math.nan, 0.005, Verdict.INCONCLUSIVE),
        (1.0, math.inf, Verdict.INCONCLUSIVE),
    ],
    ids=["like", "like, below", "nothing done", "half done", "over-forgotten", "between", "weak", "wrong way", "nan",
         "infinite"],
)  # fmt: skip
def test_the_verdict_follows_the_band(before: float, after: float, verdict: Verdict) -> None:
    assert check(before, after).verdict is verdict


def test_two_references_show_nothing() -> None:
    found = check(1.0, 1.0, (0.0, 0.01))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "at least 3" in found.answer


def test_equal_references_still_tell_nothing_done_from_done() -> None:
    assert check(1.0, 1.0, (0.0, 0.0, 0.0)).verdict is Verdict.FAIL
    assert check(1.0, 0.0, (0.0, 0.0, 0.0)).verdict is Verdict.PASS


def test_references_that_disagree_fail_the_negative_control() -> None:
    found = check(1.0, 0.0, (0.0, 0.0, 0.9))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert not next(control for control in found.controls if control.name == "negative").held


def test_controls_are_named_and_thresholds_explained() -> None:
    found = check(1.0, 0.0)
    assert [control.name for control in found.controls] == ["positive", "negative"]
    assert "0.996" in found.detail["calibrated"]
    low, high = found.threshold
    assert low < 0 < high < 1


def test_honest_removals_hardly_ever_fail() -> None:
    """At the effect where it fails most, four standard deviations of a seed, and where it is strong: under 0.5 %."""
    cases = amount(4000, 40000)
    chance = np.random.default_rng(3)
    for gap in (4.0, 100.0):
        drawn = chance.normal(size=(cases, 5))
        found = [check(gap + row[0], row[1], tuple(row[2:])) for row in drawn]
        failed = sum(one.verdict is Verdict.FAIL for one in found)
        tally("probes, honest", f"band, effect {gap:g}", cases=cases, accused=failed)
        assert failed <= 0.005 * cases
        held = [one for one in found if all(control.held for control in one.controls)]
        if gap == 100.0:
            assert len(held) > 0.95 * cases
            assert sum(one.verdict is Verdict.PASS for one in held) > 0.93 * len(held)


def test_the_module_tells_the_figures_of_its_simulation() -> None:
    written = Path(__file__).parents[2] / "benchmarks" / "calibrate_band.json"
    summary = json.loads(written.read_text())["summary"]
    told = str(memorization.__doc__)
    by = {name: math.ceil(share * 1e4) / 100 for name, share in summary["failed at worst, by noise"].items()}
    assert f"{summary['cases a setting']:,} simulated" in told
    assert f"{max(by[name] for name in ('normal', 'uniform', 't with 5 degrees')):.2f} % where" in told
    assert f"{max(by['log-normal'], by['log-normal, turned round']):.2f} % where" in told
    assert f"{summary['passed of those whose controls held, at the largest gap']:.0%} pass".replace("%", " %") in told


# The residue check: by what is left, what could not be searched, and what the searches can find


COPY = NearItem("shard-2", "a" * 64, ("b" * 64,), 5)


def case(**changes: Any) -> ResidueCase:
    """A search that found four traces before the purge and none after it."""
    known: dict[str, Any] = {
        "request": "R-1", "before": 4, "left": (), "places": 90, "blind": (), "seconds": 0.5, "items": 3,
    }  # fmt: skip
    return ResidueCase(**(known | changes))


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, Verdict.PASS),
        ({"left": ("object x is there",)}, Verdict.FAIL),
        ({"blind": ("MLflow could not be opened",)}, Verdict.INCONCLUSIVE),
        ({"left": ("object x is there",), "blind": ("MLflow could not be opened",)}, Verdict.FAIL),
        ({"before": 0}, Verdict.INCONCLUSIVE),
        ({"near": Near(3), "recognized": 3}, Verdict.PASS),
        ({"near": Near(3), "recognized": 2}, Verdict.INCONCLUSIVE),
        ({"near": Near(3, unjudged=(COPY,)), "recognized": 3}, Verdict.FAIL),
        ({"near": Near(3, distinct=(COPY,)), "recognized": 3}, Verdict.PASS),
        ({"near": Near(3, unseen=("shard-4",)), "recognized": 3}, Verdict.PASS),
    ],
)
def test_the_verdict(changes: dict[str, Any], verdict: Verdict) -> None:
    assert residue(case(**changes)).verdict is verdict


def test_the_check_says_how_far_the_search_by_likeness_reached() -> None:
    check = residue(case(near=Near(2, distinct=(COPY,), unseen=("shard-4",)), recognized=2))
    assert check.detail["near-duplicates"] == {
        "removed items": 3,
        "of these with a likeness": 2,
        "not judged": 0,
        "judged to be other items": 1,
        "shards without likenesses": ["shard-4"],
    }
    assert [control.held for control in check.controls] == [True, True]
    assert len(residue(case()).controls) == 1
