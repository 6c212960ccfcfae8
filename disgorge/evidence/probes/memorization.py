"""Whether a generator's samples come nearer to the removed items than a never-trained generator's do.

For generators alone; of a classifier the question is not asked and there is no check. Every model draws the same number
of samples S from the same seed. The number compared is

    near = - mean over removed items r of  min over samples x of  |x - r| / sqrt(pixels)

root mean square, in units of the brightest value in the data: how close each removed item's nearest sample comes,
rather than each sample's nearest item, because a few removed items among many are near few samples. With x0 before
removal, x after it, x_1 ... x_R of the references with mean m and standard deviation s (R - 1 degrees), and g = x0 - m,
what there is to forget,

(1)  h(level) = t(R - 1, level) s sqrt(1 + 1/R)      Student's two-sided prediction interval for one more such model
(2)  h' = max(t(R - 1, 0.996), 9) s sqrt(1 + 1/R)    and never under 9, because seeds' effects need not be normal

- *flagged* is a model further from m than max(h', g / 2), on either side: too far for chance, and enough to matter;
- positive control: the model before removal is flagged above. Negative: each reference, judged by the others, lies
  within half of g of them, and the first is not flagged by theirs;
- ``after`` flagged fails, above or below; within h(0.95) it passes; else inconclusive.

As the positive control wants g above h', a pass lies within 0.36 g of the middle, however wide the band is. Without
both controls, with fewer than three references, or with a number that is not finite, nothing is shown. The price: a
removal that left less than half of what there was is not failed by this, only not passed.

Calibrated by ``python -m benchmarks.calibrate_band``, whose figures lie beside it: 400,000 simulated honest removals a
setting (3, 5 or 8 references; g of 1 to 40 standard deviations; seed 1). Failed, in the worst setting: 0.29 % where
seeds' effects are normal or uniform or of Student's t with 5 degrees, 0.46 % where they are as skewed as a log-normal
with shape 0.6, to either side. Of those whose controls held, with g of 40, 94 % pass.

What it does not show: that no seed, no prompt and no attack brings an item back; and with few removed items among many
retained ones the model before removal seldom stands out, and then the answer is inconclusive.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from disgorge.evidence.checks import Check, Control, ProbeCase
from disgorge.evidence.probes.band import MATTERS, MIN_REFERENCES, Words, student, why_not
from disgorge.method import Items
from lineage.records import Json

if TYPE_CHECKING:
    from disgorge.method import Array

SAMPLES = 48
"""Samples of each model: one to two seconds a model on small images, so less than ten for five."""
MIN_REMOVED = 5
FAIL_LEVEL, PASS_LEVEL = 0.996, 0.95
LEAST = 9.0
"""Standard deviations that flag at the least: see (2)."""
WORDS = Words(
    name="memorization",
    question="Does the generator draw pictures that are nearer to the removed ones than chance?",
    above="Yes, its samples come nearer to the removed items than those of a generator that never saw them.",
    below="Its samples shun the removed items more than those of a generator that never saw them.",
    passed="No, its samples are as far from them as those of a generator that never saw them.",
)
_MEASURE = "minus the distance of a removed item to its nearest sample, on average,"


@dataclass(frozen=True, slots=True)
class Numbers:
    """One number a model, higher the more it seems to have been trained on the removed items."""

    before: float
    after: float
    references: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Band:
    """Where never-trained models lie: the middle, what flags and what passes, as distances from it."""

    middle: float
    flags: float
    passes: float

    @classmethod
    def of(cls, references: Sequence[float], before: float) -> "Band":
        """Return the band that at least two references make, given the number before removal."""
        count = len(references)
        middle = math.fsum(references) / count
        spread = math.sqrt(math.fsum((value - middle) ** 2 for value in references) / (count - 1) * (1 + 1 / count))
        flags = max(max(student(count - 1, FAIL_LEVEL), LEAST) * spread, MATTERS * max(before - middle, 0.0))
        return Band(middle, flags, student(count - 1, PASS_LEVEL) * spread)

    def side(self, value: float) -> int:
        """Return 1 if ``value`` is flagged above, -1 below, 0 if it is not."""
        away = value - self.middle
        return 0 if abs(away) <= self.flags else 1 if away > 0 else -1


def _controls(numbers: Numbers, band: Band) -> tuple[Control, Control]:
    """Return the positive and the negative control."""
    gap, first, total = numbers.before - band.middle, numbers.references[0], math.fsum(numbers.references)
    rest = len(numbers.references) - 1
    farthest = max(abs(one - (total - one) / rest) for one in numbers.references)
    others = Band.of(numbers.references[1:], numbers.before)
    return (
        Control(
            "positive",
            f"The model before removal must be recognized: {_MEASURE} {numbers.before:.4g} must lie above "
            f"{band.middle + band.flags:.4g}.",
            numbers.before,
            band.side(numbers.before) > 0,
        ),
        Control(
            "negative",
            f"No model that never saw the items may be: {_MEASURE} {first:.4g} must lie within {others.flags:.4g} of "
            f"{others.middle:.4g}, and every reference within half of {max(gap, 0.0):.4g} of the others.",
            first,
            others.side(first) == 0 and farthest < MATTERS * gap,
        ),
    )


def judge(numbers: Numbers, *, subject: str, n: int, detail: dict[str, Json]) -> Check:
    """Return the check for the numbers of one case; pure."""
    every = (numbers.before, numbers.after, *numbers.references)
    if why := why_not(len(numbers.references), finite=all(map(math.isfinite, every))):
        return WORDS.not_measured(subject, why, n=n, detail=detail)
    band = Band.of(numbers.references, numbers.before)
    controls = _controls(numbers, band)
    inside = abs(numbers.after - band.middle) <= band.passes
    verdict, words = WORDS.verdict(controls, side=band.side(numbers.after), inside=inside)
    return WORDS.check(
        subject,
        f"{words} On {n} removed items {_MEASURE} is {numbers.after:.4g}; never-trained models lie around "
        f"{band.middle:.4g}, the model before removal at {numbers.before:.4g}.",
        value=numbers.after,
        threshold=[band.middle - band.flags, band.middle + band.flags],
        n=n,
        verdict=verdict,
        controls=controls,
        detail=detail
        | {
            "before": numbers.before,
            "references": list(numbers.references),
            "passes": [band.middle - band.passes, band.middle + band.passes],
            "calibrated": f"Student's prediction interval of {len(numbers.references)} references: {FAIL_LEVEL:g}, at "
            f"least {LEAST:g} standard deviations and {MATTERS:g} of what there is to forget, to flag; {PASS_LEVEL:g} "
            f"to pass",
        },
    )


@dataclass(frozen=True, slots=True)
class Memorization:
    """The probe as registered."""

    name: str = "memorization"
    version: str = "1"

    def run(self, case: ProbeCase) -> Check | None:
        """Return the check, None for a classifier; every model samples once."""
        if case.after.task != "generate":
            return None
        n = len(case.removed)
        detail: dict[str, Json] = {"seed": case.seed, "samples": SAMPLES, "items": n}
        if len(case.references) < MIN_REFERENCES or n < MIN_REMOVED:
            why = (
                f"there are {len(case.references)} never-trained references and {n} removed items; at least "
                f"{MIN_REFERENCES} and {MIN_REMOVED} are needed"
            )
            return WORDS.not_measured(case.release, why, n=n, detail=detail)
        near = []
        for model in (case.before, case.after, *case.references):
            samples = np.asarray(model.sample(SAMPLES, seed=case.seed % 2**32), dtype=np.float64)
            field = _field(case.removed, samples.shape[1:])
            if field is None:
                why = "removed items hold nothing of the shape of a sample"
                return WORDS.not_measured(case.release, why, n=n, detail=detail)
            scale = _brightest(case, field)
            near.append(-float(nearest(np.asarray(case.removed.arrays[field]) / scale, samples).mean()))
        numbers = Numbers(near[0], near[1], tuple(near[2:]))
        return judge(numbers, subject=case.release, n=n, detail=detail | {"scale": scale})


def nearest(items: "Array", samples: "Array") -> "Array":
    """Return each item's root-mean-square distance to its nearest sample, (items,), from (items, ...), (samples, ...).

    >>> nearest(np.array([[0.0, 1.0]]), np.array([[0.0, 0.0], [0.0, 1.0]]))
    array([0.])
    """
    flat, drawn = items.reshape(len(items), -1), samples.reshape(len(samples), -1)
    least: Array = np.array([((drawn - one) ** 2).mean(axis=1).min() for one in flat])  # (items,)
    return np.sqrt(least)


def _field(items: Items, shape: tuple[int, ...]) -> str | None:
    """Return the field that is what is sampled: by its shape, ``image`` first."""
    fits = [name for name, array in items.arrays.items() if array.shape[1:] == shape and array.dtype.kind in "iufb"]
    return "image" if "image" in fits else min(fits, default=None)


def _brightest(case: ProbeCase, field: str) -> float:
    """Return the greatest value in the data, which is what 1 is in a sample."""
    sets = [items.arrays[field] for items in (case.removed, case.retained, case.held_out) if len(items)]
    return max(float(max(np.nan_to_num(np.abs(array)).max() for array in sets)), 1e-12)


PROBE = Memorization()
