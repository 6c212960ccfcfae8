"""Memorization: samples near what was removed are found, near what was kept are not, and classifiers are not asked."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from disgorge.evidence.checks import ProbeCase, Verdict
from disgorge.evidence.probes.memorization import PROBE, SAMPLES
from disgorge.method import Items
from tests.disgorge.probe_cases import case_of, few
from tests.tier import FULL


@dataclass(frozen=True)
class Copier:
    """A generator that draws what it knows, with noise; ``hue`` is its seed's doing."""

    knows: Any
    hue: float
    task: str = "generate"

    def sample(self, count: int, *, seed: int) -> Any:
        """Known pictures, disturbed."""
        chance = np.random.default_rng(seed)
        rows = chance.integers(len(self.knows), size=count)
        return np.clip(self.knows[rows] + chance.normal(0, 0.05, size=(count, *self.knows.shape[1:])) + self.hue, 0, 1)


def items(pictures: Any) -> Items:
    """Pictures as items in values up to 16."""
    return Items(tuple(f"{row:064x}" for row in range(len(pictures))), {"image": pictures * 16})


@pytest.fixture
def case() -> ProbeCase:
    """Removed pictures are dark at the top, kept ones at the bottom."""
    chance = np.random.default_rng(5)
    pictures = chance.uniform(size=(60, 6, 6))
    removed, kept = pictures[:20].copy(), pictures[20:].copy()
    removed[:, :3] = 0
    kept[:, 3:] = 0
    kept[0, 0, 0] = 1.0
    models = [Copier(kept, hue) for hue in (0.0, 0.002, -0.001, 0.001)]
    return ProbeCase(
        "toy", Copier(np.concatenate([removed, kept]), 0.0),
        models[0], tuple(models[1:]), items(removed), items(kept), items(kept[:5]), 3,
    )  # fmt: skip


def test_an_honest_removal_passes(case: ProbeCase) -> None:
    check = PROBE.run(case)
    assert check is not None
    assert check.verdict is Verdict.PASS, check
    assert check.n == 20
    assert check.detail["samples"] == SAMPLES
    assert check.detail["scale"] == 16


def test_nothing_done_fails(case: ProbeCase) -> None:
    check = PROBE.run(replace(case, after=case.before))
    assert check is not None
    assert check.verdict is Verdict.FAIL
    assert "nearer" in check.answer


def test_shunning_fails(case: ProbeCase) -> None:
    inverted = 1 - np.asarray(case.removed.arrays["image"]) / 16
    check = PROBE.run(replace(case, after=Copier(np.where(inverted > 0.5, 1.0, 0.0), 0.0)))
    assert check is not None
    assert check.verdict is Verdict.FAIL
    assert "shun" in check.answer


@pytest.mark.parametrize(
    "change",
    [
        lambda case: {"removed": few(case.removed, 4)},
        lambda case: {"references": case.references[:2]},
        lambda case: {"removed": Items(case.removed.digests, {"image": np.zeros((20, 3, 3))})},
        lambda case: {"before": case.after},
    ],
    ids=["few items", "few references", "other shape", "nothing to see before"],
)
def test_too_little_to_tell_is_inconclusive(case: ProbeCase, change: Any) -> None:
    check = PROBE.run(replace(case, **change(case)))
    assert check is not None
    assert check.verdict is Verdict.INCONCLUSIVE


def test_a_classifier_is_not_asked(tmp_path: Path) -> None:
    assert PROBE.run(case_of("averages", tmp_path)) is None


@pytest.mark.skipif(not FULL, reason="samples 240 pictures twice: in the second tier")
def test_a_real_generator_that_was_not_changed_is_found(tmp_path: Path) -> None:
    case = case_of("compartmental_diffusion", tmp_path, gone="north")
    honest, lying = PROBE.run(case), PROBE.run(replace(case, after=case.before))
    assert honest is not None
    assert lying is not None
    assert honest.verdict is not Verdict.FAIL
    assert lying.verdict is Verdict.FAIL
