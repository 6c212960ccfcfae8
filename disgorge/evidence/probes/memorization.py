"""Whether a generator's samples come nearer to the removed items than a never-trained generator's do.

For generators alone; of a classifier the question is not asked and there is no check. Every model draws the same number
of samples S from the same seed. The number compared is

    near = - mean over removed items r of  min over samples x of  |x - r| / sqrt(pixels)

root mean square, in units of the brightest value in the data: how close each removed item's nearest sample comes,
rather than each sample's nearest item, because a few removed items among many are near few samples. Verdict, controls
and thresholds are those of :mod:`disgorge.evidence.probes.band`; samples that shun the removed items fail too.

What it does not show: that no seed, no prompt and no attack brings an item back; and with few removed items among many
retained ones the model before removal seldom stands out, and then the answer is inconclusive.
"""

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from disgorge.evidence.checks import Check, ProbeCase
from disgorge.evidence.probes.band import MIN_REFERENCES, Numbers, Words, judge, not_measured
from disgorge.method import Items, Progress, no_progress
from lineage.records import Json

if TYPE_CHECKING:
    from disgorge.method import Array

SAMPLES = 48
"""Samples of each model: one to two seconds a model on small images, so less than ten for five."""
MIN_REMOVED = 5

WORDS = Words(
    name="memorization",
    question="Does the generator draw pictures that are nearer to the removed ones than chance?",
    measure="minus the distance of a removed item to its nearest sample, on average,",
    above="Yes, its samples come nearer to the removed items than those of a generator that never saw them.",
    below="Its samples shun the removed items more than those of a generator that never saw them.",
    passed="No, its samples are as far from them as those of a generator that never saw them.",
)


@dataclass(frozen=True, slots=True)
class Memorization:
    """The probe as registered."""

    name: str = "memorization"
    version: str = "1"

    def run(self, case: ProbeCase, *, progress: Progress = no_progress) -> Check | None:
        """Return the check, None for a classifier; every model samples once."""
        if case.after.task != "generate":
            return None
        begun = time.perf_counter()
        n = len(case.removed)
        detail: dict[str, Json] = {"seed": case.seed, "samples": SAMPLES, "items": n}
        if len(case.references) < MIN_REFERENCES or n < MIN_REMOVED:
            why = (
                f"there are {len(case.references)} never-trained references and {n} removed items; at least "
                f"{MIN_REFERENCES} and {MIN_REMOVED} are needed"
            )
            return not_measured(WORDS, case.release, why, n=n, detail=detail)
        near = []
        models = (case.before, case.after, *case.references)
        for done, model in enumerate(models):
            progress(done, len(models))
            samples = np.asarray(model.sample(SAMPLES, seed=case.seed % 2**32), dtype=np.float64)
            field = _field(case.removed, samples.shape[1:])
            if field is None:
                why = "removed items hold nothing of the shape of a sample"
                return not_measured(WORDS, case.release, why, n=n, detail=detail)
            scale = _brightest(case, field)
            near.append(-float(nearest(np.asarray(case.removed.arrays[field]) / scale, samples).mean()))
        progress(len(models), len(models))
        numbers = Numbers(near[0], near[1], tuple(near[2:]))
        check = judge(numbers, WORDS, subject=case.release, n=n, detail=detail | {"scale": scale})
        return replace(check, seconds=time.perf_counter() - begun)


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
    return max(float(max(np.abs(array).max() for array in sets)), 1e-12)


PROBE = Memorization()
