"""How often :mod:`disgorge.evidence.probes.memorization` accuses an honest removal, and how often it passes one.

``python -m benchmarks.calibrate_band [CASES]`` simulates that many honest removals a setting (by default 400,000) and
writes ``calibrate_band.json`` beside itself. A case is one number a model: the model after removal and its references
are drawn alike, which is what honest means, and the model before lies *gap* standard deviations above their mean.
Settings cross 3, 5 and 8 references with gaps of 1 to 40 and five kinds of noise, each of variance 1: normal, uniform,
Student's t with 5 degrees, and a log-normal with shape 0.6, skewed to either side. Seeds: (1, place of the setting).

Cases are judged all at once, by the equations of that module written for arrays; in each setting the first
:data:`COMPARED` are judged by the module itself too, and must come out the same.
"""

import itertools
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from disgorge.evidence.probes.band import MATTERS, student
from disgorge.evidence.probes.memorization import FAIL_LEVEL, LEAST, PASS_LEVEL, Numbers, judge

CASES, COMPARED = 400_000, 300
REFERENCES = (3, 5, 8)
GAPS = (1.0, 2.0, 4.0, 6.0, 9.0, 12.0, 16.0, 20.0, 30.0, 40.0)
STRONG = 40.0
"""The gap whose passes are told: where a removal has something to show."""

Vector = np.ndarray[Any, np.dtype[np.float64]]
Draw = Callable[[np.random.Generator, tuple[int, int]], Vector]


def skewed(chance: np.random.Generator, shape: tuple[int, int]) -> Vector:
    """Draw log-normal noise with shape 0.6, mean 0 and variance 1."""
    spread = np.exp(0.36)
    drawn: Vector = (chance.lognormal(0.0, 0.6, shape) - np.sqrt(spread)) / np.sqrt(spread * (spread - 1))
    return drawn


NOISE: dict[str, Draw] = {
    "normal": lambda chance, shape: chance.normal(size=shape),
    "uniform": lambda chance, shape: chance.uniform(-np.sqrt(3), np.sqrt(3), size=shape),
    "t with 5 degrees": lambda chance, shape: chance.standard_t(5, size=shape) / np.sqrt(5 / 3),
    "log-normal": skewed,
    "log-normal, turned round": lambda chance, shape: -skewed(chance, shape),
}


def verdicts(before: float, after: Vector, references: Vector) -> tuple[Vector, Vector, Vector]:
    """Return where the controls hold, where ``after`` fails and where it passes; ``references`` is (cases, models)."""
    count = references.shape[1]
    middle, gap, flags, passes = _band(references, before)
    total = references.sum(axis=1)  # (cases,)
    away = np.abs(references - (total[:, None] - references) / (count - 1)).max(axis=1)  # (cases,)
    others, _, theirs, _ = _band(references[:, 1:], before, gap)
    held = (before - middle > flags) & (gap > 0) & (away < 0.5 * gap)
    held &= np.abs(references[:, 0] - others) <= theirs
    return held, held & (np.abs(after - middle) > flags), held & (np.abs(after - middle) <= passes)


def _band(references: Vector, before: float, gap: Vector | None = None) -> tuple[Vector, Vector, Vector, Vector]:
    """Return the middle, what there is to forget, and the distances that flag and that pass, (cases,) each."""
    count = references.shape[1]
    middle = references.mean(axis=1)  # (cases,)
    if gap is None:
        gap = before - middle
    spread = references.std(axis=1, ddof=1) * np.sqrt(1 + 1 / count)  # (cases,)
    flags = np.maximum(max(student(count - 1, FAIL_LEVEL), LEAST) * spread, MATTERS * np.maximum(gap, 0.0))
    return middle, gap, flags, student(count - 1, PASS_LEVEL) * spread


def simulate(references: int, gap: float, noise: str, cases: int, *seed: int) -> dict[str, Any]:
    """Return what came of one setting's honest removals."""
    drawn = NOISE[noise](np.random.default_rng(seed), (cases, references + 1))  # (cases, after and references)
    held, failed, passed = verdicts(gap, drawn[:, 0], drawn[:, 1:])
    for row, *found in zip(drawn[:COMPARED], held, failed, passed, strict=False):
        check = judge(Numbers(gap, float(row[0]), tuple(map(float, row[1:]))), subject="", n=1, detail={})
        able = all(control.held for control in check.controls)
        if [able, check.verdict == "fail", check.verdict == "pass"] != [bool(each) for each in found]:
            raise SystemExit(f"{references} references, gap {gap}, {noise}: arrays and module disagree on {row}")
    return {
        "references": references,
        "gap": gap,
        "noise": noise,
        "controls held": int(held.sum()),
        "failed": int(failed.sum()),
        "passed": int(passed.sum()),
    }


def main(cases: int) -> None:
    """Simulate every setting and write what was found."""
    settings = itertools.product(REFERENCES, GAPS, NOISE)
    rows = [simulate(*setting, cases, 1, place) for place, setting in enumerate(settings)]
    worst = {noise: max(row["failed"] for row in rows if row["noise"] == noise) / cases for noise in NOISE}
    strong = [row for row in rows if row["gap"] == STRONG]
    summary = {
        "cases a setting": cases,
        "failed at worst, by noise": worst,
        "passed of those whose controls held, at the largest gap": round(
            sum(row["passed"] for row in strong) / max(1, sum(row["controls held"] for row in strong)), 5
        ),
    }
    text = json.dumps({"seed": 1, "summary": summary, "settings": rows}, indent=1, sort_keys=True) + "\n"
    Path(__file__).with_suffix(".json").write_text(text, encoding="utf-8")
    print(json.dumps(summary, indent=1))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else CASES)
