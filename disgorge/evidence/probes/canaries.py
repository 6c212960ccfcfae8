"""Whether the model still tells planted canaries from withheld ones; where none were planted there is no check.

Canaries carry a wrong label, and a fair coin decided, one each, which were trained on. So whatever a model that never
saw them does, guessing "planted" or "withheld" from its answers is right half of the time: no reference and no
assumption about scores is needed for that. Source: Steinke, Nasr, Jagielski, "Privacy Auditing with One (1) Training
Run", NeurIPS 2023, arXiv:2305.08846. With m canaries, score s_i = model's score of canary i under its wrong label minus
the never-trained references' mean score of it, the half with the highest s_i are guessed planted, the others withheld:

(1)  v = number of right guesses;  under no memory v ~ Binomial(m, 1/2), exactly;
     under pure eps-differential privacy v is at most Binomial(m, e^eps / (1 + e^eps))
(2)  Clopper-Pearson: [p_low, p_high] with P(Bin(m, p_low) >= v) = P(Bin(m, p_high) <= v) = (1 - level) / 2
(3)  eps is at least log(p_low / (1 - p_low))
(4)  exposure of a planted canary = log2(w + 1) - log2(1 + number of the w withheld ones with a higher score)
     (Carlini et al., "The Secret Sharer", USENIX Security 2019)

- positive control: before removal p_low > 1/2; negative: the first reference, calibrated by the others, has 1/2 within;
- ``after`` fails when 1/2 lies outside its interval, on either side; all of these at level 0.995, so that an honest
  removal fails in 0.5 % at the most. It passes when 1/2 lies within its interval at level 0.95, which ends below where
  the interval of ``before`` begins. Else inconclusive.

The calibration is (1): it needs no simulation. It holds when whole plantings are removed; where only some of the
planted ones are, which ones must not depend on the model's answers, and the detail says how many.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from disgorge.evidence.checks import Check, Control, ProbeCase, Verdict
from disgorge.method import Model, Progress, no_progress

if TYPE_CHECKING:
    from disgorge.method import Array

FAIL_LEVEL, PASS_LEVEL = 0.995, 0.95
MIN_REFERENCES = 2
"""One to calibrate by, one for the negative control."""
MIN_CANARIES = 10
"""With eight, not even right guesses throughout would exclude luck at level 0.995; this leaves room for one wrong."""
NAME = "canaries"
QUESTION = "Can the planted wrong labels still be told from those that a coin kept out of training?"


@dataclass(frozen=True, slots=True)
class Guesses:
    """What guessing one model's memory came to: right guesses of how many, and mean exposure in bits."""

    right: int
    count: int
    exposure: float

    @property
    def share(self) -> float:
        """The share of right guesses."""
        return self.right / self.count

    def interval(self, level: float) -> tuple[float, float]:
        """Equation (2)."""
        return clopper_pearson(self.right, self.count, level=level)

    @property
    def plain(self) -> dict[str, float | int | list[float]]:
        """As JSON, with equation (3)."""
        low, high = self.interval(FAIL_LEVEL)
        epsilon = math.log(low / (1 - low)) if 0.5 < low < 1 else 0.0
        return {
            "right": self.right,
            "of": self.count,
            "interval": [low, high],
            "least_epsilon": epsilon,
            "mean_exposure_bits": self.exposure,
        }


@dataclass(frozen=True, slots=True)
class CanaryProbe:
    """The probe as registered."""

    name: str = NAME
    version: str = "1"

    def run(self, case: ProbeCase, *, progress: Progress = no_progress) -> Check | None:
        """Return the check, None where no planted canary is among the removed items."""
        if case.canaries is None:
            return None
        begun = time.perf_counter()
        planted, withheld = len(case.canaries.planted), len(case.canaries.withheld)
        why = ""
        if len(case.references) < MIN_REFERENCES:
            why = f"there are {len(case.references)} never-trained references and {MIN_REFERENCES} are needed"
        elif planted + withheld < MIN_CANARIES or not planted or not withheld:
            why = f"{planted} planted and {withheld} withheld canaries are too few"
        if not why:
            models = (case.before, case.after, *case.references)
            scores = np.stack([_scores(model, case) for model in models])  # (models, planted + withheld)
            progress(len(models), len(models))
            if np.isfinite(scores).all():
                check = judge(scores, planted, release=case.release, commitment=case.canaries.commitment)
                return replace(check, seconds=time.perf_counter() - begun)
            why = "a model gave scores that are not finite numbers"
        detail = {"planted": planted, "withheld": withheld, "references": len(case.references)}
        answer = f"Not measured: {why}."
        return Check(
            NAME, case.release, QUESTION, answer, None, None, planted, Verdict.INCONCLUSIVE, detail=dict(detail)
        )


def judge(scores: "Array", planted: int, *, release: str, commitment: str) -> Check:
    """Return the check for scores (before, after and at least two references; planted canaries first); pure."""
    references = scores[2:]
    before = guess(scores[0] - references.mean(axis=0), planted)
    after = guess(scores[1] - references.mean(axis=0), planted)
    reference = guess(references[0] - references[1:].mean(axis=0), planted)
    controls = (
        Control(
            "positive",
            f"The model before removal must tell them apart: {before.right} of {before.count} guesses are right, the "
            f"interval from {before.interval(FAIL_LEVEL)[0]:.2f} must lie above 0.5.",
            before.share,
            before.interval(FAIL_LEVEL)[0] > 0.5,
        ),
        Control(
            "negative",
            f"A model that never saw them must not: {reference.right} of {reference.count} guesses are right, which "
            f"luck must explain.",
            reference.share,
            _luck(reference, FAIL_LEVEL),
        ),
    )
    verdict, answer = _verdict(before, after, controls)
    return Check(
        name=NAME,
        subject=release,
        question=QUESTION,
        answer=answer,
        value=after.share,
        threshold=list(_lucky(after.count, FAIL_LEVEL)),
        n=after.count,
        verdict=verdict,
        controls=controls,
        detail={
            "planted": planted,
            "withheld": after.count - planted,
            "references": len(references),
            "commitment": commitment,
            "before": before.plain,
            "after": after.plain,
            "reference": reference.plain,
            "calibrated": f"exactly, by the coin: Clopper-Pearson at {FAIL_LEVEL:g} to fail, {PASS_LEVEL:g} to pass",
        },
    )


def guess(scores: "Array", planted: int) -> Guesses:
    """Guess planted for the half of ``scores`` that is highest; the first ``planted`` of them are. Ties go by a hash.

    Of an odd number the middle one is guessed planted.

    >>> guess(np.array([3.0, 2.0, 0.0, 1.0]), 2)
    Guesses(right=4, count=4, exposure=1.584962500721156)
    """
    count = len(scores)
    order = np.random.default_rng(count).permutation(count)  # among equals; the same whatever the model
    ranked = order[np.argsort(-np.round(scores[order], 12), kind="stable")]  # (canaries,), highest first
    said = np.zeros(count, dtype=bool)
    said[ranked[: (count + 1) // 2]] = True
    truth = np.arange(count) < planted
    higher = (scores[None, planted:] > scores[:planted, None]).sum(axis=1)  # (planted,)
    bits = np.log2(count - planted + 1) - np.log2(1 + higher)
    return Guesses(int((said == truth).sum()), count, float(bits.mean()))


def _luck(guesses: Guesses, level: float) -> bool:
    low, high = guesses.interval(level)
    return low <= 0.5 <= high


@cache
def _lucky(count: int, level: float) -> tuple[float, float]:
    """Return the least and the greatest share of right guesses that luck explains."""
    fits = [right for right in range(count + 1) if _luck(Guesses(right, count, 0.0), level)]
    return fits[0] / count, fits[-1] / count


def _verdict(before: Guesses, after: Guesses, controls: tuple[Control, Control]) -> tuple[Verdict, str]:
    where = (
        f"{after.right} of {after.count} guesses are right, {before.right} were before the removal; "
        f"a coin gets about {after.count / 2:g}."
    )
    failed = [control.name for control in controls if not control.held]
    if failed:
        meaning = {
            "positive": "the canaries could not be told apart even before the removal",
            "negative": "a model that never saw them seems to tell them apart",
        }
        return Verdict.INCONCLUSIVE, f"Not shown: {' and '.join(meaning[name] for name in failed)}. {where}"
    if not _luck(after, FAIL_LEVEL):
        if after.share > 0.5:
            return Verdict.FAIL, f"Yes, the model still believes planted wrong labels more than chance allows. {where}"
        return Verdict.FAIL, f"Yes, the model shuns the planted wrong labels, which gives them away as well. {where}"
    if _luck(after, PASS_LEVEL) and after.interval(PASS_LEVEL)[1] < before.interval(PASS_LEVEL)[0]:
        return Verdict.PASS, f"No, guessing is as good as a coin. {where}"
    return Verdict.INCONCLUSIVE, f"Not shown: more canaries are needed to tell. {where}"


def _scores(model: Model, case: ProbeCase) -> "Array":
    assert case.canaries is not None  # run() has asked already
    both = (case.canaries.planted, case.canaries.withheld)
    return np.concatenate([np.asarray(model.scores(items), dtype=np.float64).reshape(len(items)) for items in both])


@cache
def clopper_pearson(right: int, count: int, *, level: float) -> tuple[float, float]:
    """Return the interval of equation (2), by bisection on the exact binomial tail.

    >>> [round(end, 4) for end in clopper_pearson(9, 10, level=0.95)]
    [0.555, 0.9975]
    >>> [round(end, 4) for end in clopper_pearson(0, 10, level=0.95)]
    [0.0, 0.3085]
    """
    alpha = (1 - level) / 2
    low = 0.0 if right == 0 else _solve(lambda p: at_least(right, count, p), alpha)
    high = 1.0 if right == count else 1 - _solve(lambda q: at_least(count - right, count, q), alpha)
    return low, high


def at_least(right: int, count: int, p: float) -> float:
    """Return P(Binomial(count, p) >= right).

    >>> at_least(2, 2, 0.5), at_least(0, 5, 0.1)
    (0.25, 1.0)
    """
    if right <= 0:
        return 1.0
    if p <= 0 or p >= 1:
        return float(p >= 1)
    whole = math.lgamma(count + 1)
    terms = [
        math.exp(
            whole - math.lgamma(k + 1) - math.lgamma(count - k + 1) + k * math.log(p) + (count - k) * math.log1p(-p)
        )
        for k in range(right, count + 1)
    ]
    return min(1.0, round(math.fsum(terms), 15))


def _solve(rising: Callable[[float], float], target: float) -> float:
    """Return where a rising function of a probability reaches ``target``."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < target else (low, middle)
    return low


PROBE = CanaryProbe()
