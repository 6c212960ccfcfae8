"""Whether the model learns the removed items back faster, or slower, than a model that never saw them.

A model whose outputs were filtered answers as if it had forgotten, and needs but a few steps to remember. So a copy of
each model is trained on the removed items, by the same steps from the same seed, and the number compared is the

    area = mean over steps 1 ... K of the mean score on the removed items

which is high for whoever learns fast, and less a matter of chance than the step at which some loss is reached. That
step, the *steps to regain* the score that the model before removal had, is reported beside it. Step 0 is left out: that
is what ``membership`` looks at. Verdict, controls and thresholds are those of :mod:`disgorge.evidence.probes.band`.

Budget: K = 10 steps on at most 100 removed items, the first by digest, which is a draw at random; under 3 seconds a
model on small images. A model that cannot be trained so (:class:`~disgorge.method.Relearnable`) gives an inconclusive
check that says so.

What it does not show: that nothing else regains the items faster. Few steps of one optimizer are a weak adversary.
"""

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from disgorge.evidence.checks import Check, ProbeCase
from disgorge.evidence.probes.band import MIN_REFERENCES, Numbers, Words, judge, not_measured
from disgorge.method import Items, Model, Progress, Relearnable, no_progress
from lineage.records import Json

if TYPE_CHECKING:
    from disgorge.method import Array

STEPS = 10
MOST_ITEMS = 100
MIN_REMOVED = 5
"""With fewer, one odd item decides."""

WORDS = Words(
    name="relearning",
    question="Does the model learn the removed items back faster than one that never saw them?",
    measure="the mean score while training on them again",
    above="Yes, it regains them faster than a model that never saw them.",
    below="It regains them slower than a model that never saw them, which gives them away as well.",
    passed="No, it learns them as a model does that never saw them.",
)


@dataclass(frozen=True, slots=True)
class Relearning:
    """The probe as registered."""

    name: str = "relearning"
    version: str = "1"

    def run(self, case: ProbeCase, *, progress: Progress = no_progress) -> Check:
        """Return the check; every model's copy is trained once."""
        begun = time.perf_counter()
        items = first(case.removed, MOST_ITEMS)
        models = (case.before, case.after, *case.references)
        detail: dict[str, Json] = {
            "seed": case.seed,
            "steps": STEPS,
            "items": len(items),
            "of_removed": len(case.removed),
        }
        why = ""
        if not all(isinstance(model, Relearnable) for model in models):
            why = "this method's models cannot be trained further, which relearning needs"
        elif len(case.references) < MIN_REFERENCES:
            why = f"there are {len(case.references)} never-trained references; at least {MIN_REFERENCES} are needed"
        elif len(items) < MIN_REMOVED:
            why = f"{len(items)} removed items are too few: at least {MIN_REMOVED} are needed"
        if why:
            return not_measured(WORDS, case.release, why, n=len(items), detail=detail)
        curves = []
        for done, model in enumerate(models):
            progress(done, len(models))
            curves.append(_curve(model, items, case.seed))
        progress(len(models), len(models))
        areas = [float(curve[1:].mean()) for curve in curves]
        regained = [steps_to(curve, float(curves[0][0])) for curve in curves]
        detail |= {
            "target": float(curves[0][0]),
            "steps_to_regain": {"after": regained[1], "references": regained[2:]},
            "curves": {"before": curves[0].tolist(), "after": curves[1].tolist()},
        }
        numbers = Numbers(areas[0], areas[1], tuple(areas[2:]))
        check = judge(numbers, WORDS, subject=case.release, n=len(items), detail=detail)
        return replace(check, seconds=time.perf_counter() - begun)


def _curve(model: Model, items: Items, seed: int) -> "Array":
    if not isinstance(model, Relearnable):  # run() has asked already
        raise TypeError("the model cannot be trained further")
    return np.asarray(model.relearn(items, steps=STEPS, seed=seed), dtype=np.float64).reshape(STEPS + 1)


def steps_to(curve: "Array", target: float) -> int | None:
    """Return after how many steps the score is at least ``target``; None if that takes longer.

    >>> steps_to(np.array([-3.0, -2.0, -0.5, 0.1]), -1.0), steps_to(np.array([-3.0]), -1.0)
    (2, None)
    """
    reached = np.flatnonzero(curve >= target)
    return int(reached[0]) if len(reached) else None


def first(items: Items, most: int) -> Items:
    """Return at most so many items, in their order."""
    return Items(items.digests[:most], {field: array[:most] for field, array in items.arrays.items()})


PROBE = Relearning()
