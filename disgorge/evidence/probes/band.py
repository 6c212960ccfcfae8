"""Where models that never saw the removed items lie on one number, and the verdict that follows for another model.

Probes that have one number a model share this. The number is *higher the more a model seems to have been trained on the
removed items*: x0 before removal, x after it, x_1 ... x_R of never-trained references that differ from ``after`` in
their seeds alone, with mean m and standard deviation s (R - 1 degrees). With g = x0 - m, what there is to forget, and

(1)  h(level) = t(R - 1, level) s sqrt(1 + 1/R)      Student's two-sided prediction interval for one more such model
(2)  h' = max(t(R - 1, 0.996), 9) s sqrt(1 + 1/R)    and never under 9, because seeds' effects need not be normal

- *flagged* is who lies further from m than max(h', g / 2), on either side: too far for chance, and enough to matter;
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
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from disgorge.evidence.checks import Check, Control, Verdict
from lineage.records import Json

MIN_REFERENCES = 3
"""Two make a band; a third is the negative control's target."""
FAIL_LEVEL, PASS_LEVEL = 0.996, 0.95
LEAST = 9.0
"""Standard deviations that flag at the least: see (2)."""
MATTERS = 0.5
"""The share of what there is to forget below which a difference is not called a failure."""
LOST = {
    "positive": "not even the model before removal stood out, so silence proves nothing",
    "negative": "models that never saw the items differ among themselves too much to compare with",
}
"""What it means that a control of a probe that compares with references did not hold."""


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

    def side(self, value: float) -> int:
        """Return 1 if ``value`` is flagged above, -1 below, 0 if it is not."""
        away = value - self.middle
        return 0 if abs(away) <= self.flags else 1 if away > 0 else -1


@dataclass(frozen=True, slots=True)
class Words:
    """What a probe says in its own terms."""

    name: str
    question: str
    measure: str
    """What the number is, as in "the mean score while training again"."""
    above: str
    below: str
    passed: str
    unit: str = ""


def band_of(references: Sequence[float], gap: float) -> Band:
    """Return the band that at least two references make, given what there is to forget."""
    count = len(references)
    middle = math.fsum(references) / count
    spread = math.sqrt(math.fsum((value - middle) ** 2 for value in references) / (count - 1) * (1 + 1 / count))
    flags = max(max(student(count - 1, FAIL_LEVEL), LEAST) * spread, MATTERS * max(gap, 0.0))
    return Band(middle, flags, student(count - 1, PASS_LEVEL) * spread)


def controls_of(numbers: Numbers, band: Band, words: Words) -> tuple[Control, Control]:
    """Return the positive and the negative control."""
    gap = numbers.before - band.middle
    shares = [abs(one - _mean_without(numbers.references, place)) for place, one in enumerate(numbers.references)]
    farthest = max(shares) / gap if gap > 0 else math.inf
    others = band_of(numbers.references[1:], gap)
    return (
        Control(
            "positive",
            f"The model before removal must be recognized: {words.measure} {numbers.before:.4g} must lie above "
            f"{band.middle + band.flags:.4g}.",
            numbers.before,
            band.side(numbers.before) > 0,
        ),
        Control(
            "negative",
            f"No model that never saw the items may be: {words.measure} {numbers.references[0]:.4g} must lie within "
            f"{others.flags:.4g} of {others.middle:.4g}, and every reference within half of {max(gap, 0.0):.4g} of the "
            f"others.",
            numbers.references[0],
            others.side(numbers.references[0]) == 0 and farthest < 0.5,
        ),
    )


def judge(numbers: Numbers, words: Words, *, subject: str, n: int, detail: dict[str, Json]) -> Check:
    """Return the check for the numbers of one case; pure."""
    if len(numbers.references) < MIN_REFERENCES:
        why = f"there are {len(numbers.references)} never-trained references and at least {MIN_REFERENCES} are needed"
        return not_measured(words, subject, why, n=n, detail=detail)
    if not all(math.isfinite(value) for value in (numbers.before, numbers.after, *numbers.references)):
        return not_measured(words, subject, "a model's number is not finite", n=n, detail=detail)
    middle = math.fsum(numbers.references) / len(numbers.references)
    band = band_of(numbers.references, numbers.before - middle)
    controls = controls_of(numbers, band, words)
    verdict, answer = _verdict(numbers, band, controls, words, n)
    return Check(
        name=words.name,
        subject=subject,
        question=words.question,
        answer=answer,
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


def not_measured(words: Words, subject: str, why: str, *, n: int, detail: dict[str, Json]) -> Check:
    """Return an inconclusive check that says why."""
    answer = f"Not measured: {why}."
    return Check(words.name, subject, words.question, answer, None, None, n, Verdict.INCONCLUSIVE, detail=detail)


def _verdict(
    numbers: Numbers, band: Band, controls: tuple[Control, Control], words: Words, n: int
) -> tuple[Verdict, str]:
    where = (
        f"On {n} removed items {words.measure} is {numbers.after:.4g}{words.unit}; never-trained models lie around "
        f"{band.middle:.4g}, the model before removal at {numbers.before:.4g}."
    )
    failed = [control.name for control in controls if not control.held]
    if failed:
        return Verdict.INCONCLUSIVE, f"Not shown: {' and '.join(LOST[name] for name in failed)}. {where}"
    side = band.side(numbers.after)
    if side:
        return Verdict.FAIL, f"{words.above if side > 0 else words.below} {where}"
    if abs(numbers.after - band.middle) <= band.passes:
        return Verdict.PASS, f"{words.passed} {where}"
    return Verdict.INCONCLUSIVE, f"Not shown: neither clearly alike nor clearly apart; use more references. {where}"


def _mean_without(values: Sequence[float], place: int) -> float:
    rest = [value for index, value in enumerate(values) if index != place]
    return math.fsum(rest) / len(rest)


@cache
def student(freedom: int, level: float) -> float:
    """Return the t that Student's distribution lies within, on both sides, with probability ``level``; by bisection.

    >>> round(student(2, 0.95), 3), round(student(2, 0.99), 3), round(student(7, 0.99), 3)
    (4.303, 9.925, 3.499)
    """
    low, high = 0.0, 1e6
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, freedom) < level else (low, middle)
    return high


def _within(t: float, freedom: int) -> float:
    """Return P(|T| <= t) for a whole number of degrees (Abramowitz and Stegun 26.7.3 and 26.7.4)."""
    theta = math.atan(t / math.sqrt(freedom))
    sine, cosine = math.sin(theta), math.cos(theta)
    odd = freedom % 2 == 1
    term = total = cosine if odd else 1.0
    if freedom == 1:
        return 2 / math.pi * theta
    for k in range(3 if odd else 2, freedom - 1, 2):
        term *= cosine**2 * (k - 1) / k
        total += term
    return 2 / math.pi * (theta + sine * total) if odd else sine * total
