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
are in the answer, because not having been told apart is absence of evidence: a high p says that n items were too few to
show a difference, not that there is none. And a distribution can match while items trade places within it: pairs are
what ``membership`` looks at.

Calibrated by ``python -m benchmarks.calibrate_probes``: false accusations, power, and with what seeds, beside it.
"""

import math
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from disgorge.evidence.checks import Check, Control, ProbeCase, Verdict
from disgorge.evidence.probes.band import LOST, MATTERS, MIN_REFERENCES, student
from disgorge.method import Progress, no_progress

Vector = np.ndarray[Any, np.dtype[np.float64]]

MIN_REMOVED = 8
"""With fewer, the critical value is near or above 1, which no distance reaches."""
PASS_LEVEL, FLAG_LEVEL = 0.95, 0.998
"""The levels of (2) and (3); the second so that at most one honest removal in two hundred is accused."""
POWER_QUANTILE = 0.8416
"""The normal quantile of a power of 0.8."""
DIGITS = 9
"""Decimals of a score that count, so that models that answer alike have distance 0."""

QUESTION = "Are the scores of the removed items distributed as those of a model that never saw them?"
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


def probability(distance: float, n: int) -> float:
    """Return the p of a distance between two independent samples of n, asymptotically; too high for the same items.

    >>> round(probability(0.192, 100), 2), probability(0.0, 100)
    (0.05, 1.0)
    """
    x = distance * math.sqrt(n / 2)
    if x < 0.2:  # the series converges too slowly, and the answer is 1 to twelve decimals
        return 1.0
    total = math.fsum((1 if k % 2 else -1) * math.exp(-2 * k * k * x * x) for k in range(1, 101))
    return min(1.0, max(0.0, 2 * total))


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
    why = ""
    if count < MIN_REFERENCES:
        why = f"there are {count} never-trained references and at least {MIN_REFERENCES} are needed"
    elif n < MIN_REMOVED:
        why = f"{n} removed items are too few: at least {MIN_REMOVED} are needed"
    elif not all(np.isfinite(each).all() for each in (before, after, *references)):
        why = "a model gave scores that are not finite numbers"
    if why:
        answer = f"Not measured: {why}."
        return Check("forget-quality", release, QUESTION, answer, None, None, n, Verdict.INCONCLUSIVE, detail=detail)

    before, after = np.round(before, DIGITS), np.round(after, DIGITS)
    references = tuple(np.round(reference, DIGITS) for reference in references)
    pool = np.concatenate(references)
    signed, start = gap(after, pool), abs(gap(before, pool))
    found, limits = abs(signed), limits_of(references, start)
    least = min(1.0, limits.flags + POWER_QUANTILE * 0.5 * math.sqrt((1 + 1 / count) / n))
    controls = _controls(start, limits, limits_of(references[1:], start))
    p = probability(found, n)
    verdict, words = _verdict(signed, limits, controls)
    where = (
        f"Kolmogorov-Smirnov distance {found:.2f} on {n} removed items (p {p:.2g}); {start:.2f} before removal. A "
        f"distance under {least:.2f} would mostly have gone unseen: a high p is absence of evidence."
    )
    return Check(
        name="forget-quality",
        subject=release,
        question=QUESTION,
        answer=f"{words} {where}",
        value=found,
        threshold=limits.flags,
        n=n,
        verdict=verdict,
        controls=controls,
        detail=detail
        | {
            "p": p,
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


def _verdict(signed: float, limits: Limits, controls: tuple[Control, Control]) -> tuple[Verdict, str]:
    lost = [control.name for control in controls if not control.held]
    if lost:
        return Verdict.INCONCLUSIVE, f"Not shown: {' and '.join(LOST[name] for name in lost)}."
    if signed > limits.flags:
        return Verdict.FAIL, "No, they are higher: the model fits them better than one that never saw them."
    if signed < -limits.flags:
        return Verdict.FAIL, "No, they are lower than those of a model that never saw them, which marks them as well."
    if abs(signed) <= limits.passes:
        return Verdict.PASS, "As far as can be seen, yes."
    return Verdict.INCONCLUSIVE, "Not shown: neither clearly alike nor clearly apart; use more references."


@dataclass(frozen=True, slots=True)
class ForgetQuality:
    """The probe as registered."""

    name: str = "forget-quality"
    version: str = "1"

    def run(self, case: ProbeCase, *, progress: Progress = no_progress) -> Check:
        """Return the check; every model answers once on the removed items."""
        begun = time.perf_counter()
        models = (case.before, case.after, *case.references)
        found: list[Vector] = []
        for done, model in enumerate(models):
            progress(done, len(models))
            scores = model.scores(case.removed) if len(case.removed) else np.empty(0)
            found.append(np.asarray(scores, dtype=np.float64).reshape(len(case.removed)))  # (items,)
        progress(len(models), len(models))
        check = judge(found[0], found[1], tuple(found[2:]), release=case.release, seed=case.seed)
        return replace(check, seconds=time.perf_counter() - begun)


PROBE = ForgetQuality()
