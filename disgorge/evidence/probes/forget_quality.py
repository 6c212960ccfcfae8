"""Whether the removed items' scores are distributed as a retrained model's are: two-sample Kolmogorov-Smirnov.

Source of the measure: Maini, Feng, Schwarzschild, Lipton, Kolter, "TOFU: A Task of Fictitious Unlearning for LLMs",
arXiv:2401.06121, section 2.2.2. The samples are the scores of one and the same n removed items, from the model after
removal and from never-trained references:

(1)  D(x) = sup_t | F_x(t) - F_out(t) |,   F_x over n scores, F_out over those of all references together

Pooling weighs each reference alike and makes F_out the steadier side; a reference's own distance D_r is to the others.
As every model scores the same items, what is hard for one is hard for all: honest distances are smaller than those of
independent samples, and the test's own critical value, taken for n against n, is conservative. What it does not cover,
a shift by the seed of all removed items at once, the references show. With t' = t(R - 1, level) sqrt(1 + 1/R), and mean
and standard deviation over the D_r,

(2)  passes = min( max( critical(0.05),   mean + t'(0.95) sd ),  D(before) / 2 )
(3)  flags  = max( critical(0.002),  mean + t'(0.998) sd,  2 max D_r,  D(before) / 2 ),   critical(a) = sqrt(-ln(a/2)/n)

- D(after) above (3) fails, on either side: the distance has no sign, and over-forgetting makes it large as well;
- positive control: D(before) lies above (3). Negative: the first reference does not lie above (3) as the others make
  it, and every D_r lies below D(before) / 2;
- within (2) it passes, else, or without both controls, it is inconclusive.

The *least detectable distance* is the D that a model must truly have for (3) to flag it with probability 0.8; it and n
are in the answer, because not having been told apart is absence of evidence. The test's p is not told: for the same
items it would come out too high. And a distribution can match while items trade places within it: pairs are
what ``membership`` looks at.

Calibrated by ``python -m benchmarks.calibrate_probes``: false accusations, power, and with what seeds, beside it.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from disgorge.evidence.checks import Check, Control, ProbeCase
from disgorge.evidence.probes.band import MATTERS, Vector, Words, scores_of, student, why_not

MIN_REMOVED = 8
"""With fewer, the critical value is near or above 1, which no distance reaches."""
PASS_LEVEL, FLAG_LEVEL = 0.95, 0.998
"""The levels of (2) and (3); the second so that at most one honest removal in two hundred is accused."""
POWER_QUANTILE = 0.8416
"""The normal quantile of a power of 0.8."""
DIGITS = 9
"""Decimals of a score that count, so that models that answer alike have distance 0."""

WORDS = Words(
    name="forget-quality",
    question="Are the scores of the removed items distributed as those of a model that never saw them?",
    above="No, they are higher: the model fits them better than one that never saw them.",
    below="No, they are lower than those of a model that never saw them, which marks them as well.",
    passed="As far as can be seen, yes.",
)
CALIBRATED = (
    f"references against references: a pass within Student's {PASS_LEVEL:g} interval or the test's own critical value, "
    f"a failure beyond {FLAG_LEVEL:g}, twice the largest distance between references and {MATTERS:g} of the distance "
    f"before removal; false accusations simulated by benchmarks/calibrate_probes.py"
)


@dataclass(frozen=True, slots=True)
class Limits:
    """What passes and what flags, and the references' own distances."""

    passes: float
    flags: float
    distances: tuple[float, ...]


def gap(target: Vector, pool: Vector) -> float:
    """Return (1) with a sign, positive where ``target`` scores higher; shapes (items,) and (others,)."""
    points = np.concatenate([target, pool])  # (items + others,)
    own = np.searchsorted(np.sort(target), points, side="right") / len(target)
    out = np.searchsorted(np.sort(pool), points, side="right") / len(pool)
    apart = out - own  # (items + others,)
    return float(apart[int(np.abs(apart).argmax())])


def critical(n: int, level: float) -> float:
    """Return the distance that two independent samples of n exceed with probability 1 - ``level``, asymptotically.

    >>> round(critical(100, 0.95), 3), round(critical(100, 0.998), 3)
    (0.192, 0.263)
    """
    return math.sqrt(-math.log((1 - level) / 2) / n)


def limits_of(references: tuple[Vector, ...], before: float) -> Limits:
    """Return (2) and (3) for at least two references and the distance before removal."""
    count, n = len(references), len(references[0])
    distances = [abs(gap(reference, others_of(references, place))) for place, reference in enumerate(references)]
    mean, spread = float(np.mean(distances)), float(np.std(distances, ddof=1)) * math.sqrt(1 + 1 / count)
    wide = max(critical(n, PASS_LEVEL), mean + student(count - 1, PASS_LEVEL) * spread)
    far = max(critical(n, FLAG_LEVEL), mean + student(count - 1, FLAG_LEVEL) * spread, 2 * max(distances))
    return Limits(min(wide, MATTERS * before), max(far, MATTERS * before), tuple(distances))


def others_of(references: tuple[Vector, ...], place: int) -> Vector:
    """Return the scores of all references but one, pooled."""
    return np.concatenate(references[:place] + references[place + 1 :])


def judge(before: Vector, after: Vector, references: tuple[Vector, ...], *, release: str, seed: int) -> Check:
    """Return the check for the scores of every model on the removed items, shape (items,) each; pure."""
    n, count = len(after), len(references)
    detail: dict[str, Any] = {"seed": seed, "removed": n, "references": count, "calibrated": CALIBRATED}
    enough = f"{n} removed items are too few: at least {MIN_REMOVED} are needed" if n < MIN_REMOVED else ""
    finite = all(np.isfinite(each).all() for each in (before, after, *references))
    if why := why_not(count, finite=finite, enough=enough):
        return WORDS.not_measured(release, why, n=n, detail=detail)

    before, after = np.round(before, DIGITS), np.round(after, DIGITS)
    references = tuple(np.round(reference, DIGITS) for reference in references)
    pool = np.concatenate(references)
    signed, start = gap(after, pool), abs(gap(before, pool))
    found, limits = abs(signed), limits_of(references, start)
    least = min(1.0, limits.flags + POWER_QUANTILE * 0.5 * math.sqrt((1 + 1 / count) / n))
    controls = _controls(start, limits, limits_of(references[1:], start))
    side = 0 if found <= limits.flags else 1 if signed > 0 else -1
    verdict, words = WORDS.verdict(controls, side=side, inside=found <= limits.passes)
    where = (
        f"Kolmogorov-Smirnov distance {found:.2f} on {n} removed items; {start:.2f} before removal. A distance under "
        f"{least:.2f} would mostly have gone unseen: absence of evidence."
    )
    return WORDS.check(
        release,
        f"{words} {where}",
        value=found,
        threshold=limits.flags,
        n=n,
        verdict=verdict,
        controls=controls,
        detail=detail
        | {
            "before": start,
            "side": "above" if signed > 0 else "below" if signed < 0 else "neither",
            "reference_distances": list(limits.distances),
            "passes": limits.passes,
            "critical": critical(n, FLAG_LEVEL),
            "least_detectable": least,
            "power": 0.8,
        },
    )


def _controls(start: float, limits: Limits, others: Limits) -> tuple[Control, Control]:
    first, most = limits.distances[0], max(limits.distances)
    return (
        Control(
            "positive",
            f"The model before removal must be told apart: distance {start:.2f} must lie above {limits.flags:.2f}.",
            start,
            start > limits.flags,
        ),
        Control(
            "negative",
            f"A model that never saw the items must not be: distance {first:.2f} must lie within {others.flags:.2f}, "
            f"and every reference's, at most {most:.2f}, below half of {start:.2f}.",
            first,
            first <= others.flags and most < MATTERS * start,
        ),
    )


@dataclass(frozen=True, slots=True)
class ForgetQuality:
    """The probe as registered."""

    name: str = "forget-quality"
    version: str = "1"

    def run(self, case: ProbeCase) -> Check:
        """Return the check; every model answers once on the removed items."""
        models = (case.before, case.after, *case.references)
        before, after, *references = [scores_of(model, case.removed) for model in models]
        return judge(before, after, tuple(references), release=case.release, seed=case.seed)


PROBE = ForgetQuality()
