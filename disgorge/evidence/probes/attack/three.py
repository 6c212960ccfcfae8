"""The three attacks as standings: RMIA and U-LiRA by AUC, IAM by the degree, and IAM where references are few.

RMIA and U-LiRA need three references, two that make a band and a third to try it on. IAM's degree needs one. With one
or two there is no spread to speak of, and two assumptions stand in for it, stated because they are not measured: what
seeds do to the removed items as a whole is no larger (in standard deviations) than what they do to single items, and
``after`` differs from the references in its seed alone, so the two can be swapped. Then, with w the spread over
held-out items of the signal before removal around the references':

- positive control: place_original - place_out is at least 3 w. Negative: two halves of the held-out items, taken for
  removed and held-out ones, give ``before`` and ``after`` a degree within a quarter of what there is to forget;
- flagged is a degree above 0.75, or below -3, which is 0.75 with ``after`` and reference swapped, when the item
  interval lies beyond 0.5, or -1, too. It can only accuse: nothing passes by it.
"""

from functools import partial
from typing import Protocol

from disgorge.evidence.checks import Control
from disgorge.evidence.probes.attack import interpolation, likelihood, rmia
from disgorge.evidence.probes.attack.curve import Curve, Pair, measure
from disgorge.evidence.probes.attack.standing import Band, Reading, Scores, Standing, band_of, leave_one_out, standing
from disgorge.evidence.probes.band import MIN_REFERENCES


class Score(Protocol):
    """How an attack scores a target's items, given models that never saw them."""

    def __call__(self, target: Pair, references: tuple[Pair, ...], *, task: str) -> Pair:
        """Return scores that are higher the more an item looks trained on."""


BY_AUC: dict[str, Score] = {"RMIA": rmia.scores, "U-LiRA": likelihood.scores}
FEW_FLAGS, FEW_FLAGS_BELOW = 0.75, 3.0
"""Degrees that flag with fewer than three references; -3 is what 0.75 becomes when the two are swapped."""
FEW_PASSES = 0.5
"""The degree the interval must lie beyond."""
STANDS_CLEAR = 3.0
"""What there must be to forget with few references, in w."""
HALVES = 0.25
"""How far the two halves of the held-out items may lie apart, as a share of what there is to forget."""


def attacks(scores: Scores, *, seed: int, resamples: int) -> tuple[Standing, ...]:
    """Return every attack's standing that the number of references allows, RMIA first."""
    enough = len(scores.references) >= MIN_REFERENCES
    found = []
    for name, score in BY_AUC.items() if enough else ():
        read = partial(_read_auc, score=score, task=scores.task, seed=seed, resamples=resamples)
        found.append(standing(name, scores, read, leave_one_out(read), measure="AUC", certifies=True))
    return (*found, _by_degree(scores, seed=seed, resamples=resamples))


def _read_auc(
    target: Pair, references: tuple[Pair, ...], resample: bool, *, score: Score, task: str, seed: int, resamples: int
) -> Reading:
    curve = measure(score(target, references, task=task), seed=seed, resamples=resamples if resample else 0)
    return Reading(curve.auc, curve.auc_interval, curve.auc_variance, curve)


def _by_degree(scores: Scores, *, seed: int, resamples: int) -> Standing:
    """Return IAM's standing, its readings being places; with three references the attack's usual rule."""
    task = scores.task
    references = tuple(interpolation.signals(reference, task=task) for reference in scores.references)
    before, after = (interpolation.signals(pair, task=task) for pair in (scores.before, scores.after))
    signals = Scores(task, before, after, references)
    curve = partial(_curve, original=before, seed=seed, resamples=resamples)
    read = partial(_read_place, seed=seed, resamples=resamples, curve=curve)
    if len(references) < MIN_REFERENCES:
        return _by_degree_of_few(signals, read(before, references, True), read(after, references, True))
    return standing("IAM", signals, read, _judge_places, measure="place", certifies=False)


def _curve(target: Pair, out: Pair, *, original: Pair, seed: int, resamples: int) -> Curve:
    return measure(interpolation.scores(target, original, out), seed=seed, resamples=resamples)


def _read_place(
    target: Pair, references: tuple[Pair, ...], resample: bool, *, seed: int, resamples: int, curve: "partial[Curve]"
) -> Reading:
    out = interpolation.out_of(references)
    value, variance = interpolation.place(target), interpolation.variance(target, out)
    if not resample:
        return Reading(value, (value, value), variance)
    low, high = interpolation.place_interval(target, out, seed=seed, resamples=resamples)
    middle = interpolation.place(out)
    return Reading(value, (middle + low, middle + high), variance, curve(target, out))


def _judge_places(references: tuple[Pair, ...], before: float) -> tuple[Band, tuple[float, ...]]:
    """Return the band that places make, which no reference shares with another."""
    count = len(references)
    values = [interpolation.place(reference) for reference in references]
    middle = sum(values) / count
    spread = (sum((value - middle) ** 2 for value in values) / (count - 1) * (1 + 1 / count)) ** 0.5
    variances = [
        interpolation.variance(reference, interpolation.out_of(references[:place] + references[place + 1 :]))
        for place, reference in enumerate(references)
    ]
    return band_of(values, spread, sum(variances) / count, before - middle), tuple(values)


def _by_degree_of_few(signals: Scores, before: Reading, after: Reading) -> Standing:
    out = interpolation.out_of(signals.references)
    middle, wide = interpolation.place(out), interpolation.width(signals.before, out)
    gap = before.value - middle
    band = Band(middle, FEW_PASSES * gap, FEW_FLAGS * gap, FEW_FLAGS_BELOW * gap)
    apart = 0.0
    for target in (signals.before, signals.after):
        away = target[1] - out[1]  # (held_out,)
        apart = max(apart, abs(float(away[0::2].mean() - away[1::2].mean())))
    controls = (
        Control(
            "positive",
            f"IAM: the model before removal must stand clear of the references: by {gap:.2f}, where {STANDS_CLEAR:g} "
            f"times the spread over single items is {STANDS_CLEAR * wide:.2f}.",
            before.value,
            gap > 0 and gap >= STANDS_CLEAR * wide and before.interval[0] > middle + band.passes,
        ),
        Control(
            "negative",
            f"IAM: two halves of items that no model saw must look alike: {apart:.2f} apart, at most "
            f"{HALVES * gap:.2f}.",
            apart,
            apart <= HALVES * gap,
        ),
    )
    values = tuple(interpolation.place(reference) for reference in signals.references)
    return Standing("IAM", "place", False, before, after, values, band, controls)
