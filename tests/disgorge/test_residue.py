"""How the residue check judges: by what is left, by what could not be searched, and by what the searches can find."""

from typing import Any

import pytest

from disgorge.evidence.checks import Near, NearItem, ResidueCase, Verdict
from disgorge.evidence.probes.residue import residue

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
