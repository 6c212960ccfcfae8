"""KLoM: how far the margins on the removed items lie from those of models that never saw them, over several seeds.

Source: Georgiev et al., "Attribute-to-Delete", arXiv:2410.23232, as in Rinberg, Puigdemont, Pawelczyk, Cevher, "Easy
Data Unlearning Bench", arXiv:2602.16400: the KL divergence of margins, N removed models against N never-trained ones.
There N is a hundred and margins are counted in bins; here it is eight or more, and each item's margins are taken as
normal. A margin is phi = log p_y - log(1 - p_y), a
classifier's score; for other models the measure does not apply. With mean m and variance v of phi(x) over models,

(1)  KL(x)  = ( log(v_out / v) + (v + (m - m_out)^2) / v_out - 1 ) / 2,   v of one model alone: v_out
(2)  K      = mean over the removed items x of min(KL(x), 50)

Variances of so few models are unsteady: each is drawn towards their mean over all items as if four more models had
said that, and none is under (0.001)^2, where a difference no longer matters.

What is compared: ``removed``, the model to be released together with what the same removal makes from other seeds,
with ``references``, trained from other seeds still. For an exact retraining both are the retained data trained again,
and the only model that can be found out is the one to be released, so that is also compared alone. The distances of
never-trained models say what is usual: each alone against the rest, S_r, and every half against the other, H_j. With g
= K(before), of the model before removal alone, t' = Student's t(R - 1) sqrt(1 + 1/R) and
q(S) = mean S + (g - mean S) / 4,

(3)  alone:     passes = min( exp(mean log S + t'(0.95) sd log S), q(S) )
                flags  = max( exp(mean log S + t'(0.99) sd log S), 2 max S, q(S) )
(4)  together:  passes = min( max H, q(H) ),   flags = max( 2 max H, q(H) )

A divergence grows with the square of a distance: a quarter is half of what there is to forget, as in other probes.

- either above its flag fails, whichever side it lies on: a divergence is two-sided;
- positive control: g lies above both flags. Negative: no S_r reaches q(S) and no H_j q(H);
- both within (3) and (4) passes; else, or without both controls, it is inconclusive.

Calibrated by ``python -m benchmarks.calibrate_probes`` on simulated margins; ``python -m benchmarks.klom`` states what
it catches on models that were trained, and which forget sets leave it nothing to see.
"""

import math
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from disgorge.evidence.checks import Check, Control, ProbeCase
from disgorge.evidence.probes.band import MATTERS, Vector, Words, scores_of, student

MODELS = 8
"""Removed models, and references, at the least: with six, models trained on digits were seldom told apart."""
MIN_REMOVED = 8
"""With fewer items a divergence rests on a handful of margins."""
CAP = 50.0
"""The most that one item counts: beyond it there is nothing left to confuse."""
PRIOR = 4.0
"""As many more models as the mean variance over all items counts for in each item's own."""
LEAST_SPREAD = 1e-3
"""Standard deviation of a margin, in units of log odds, below which models are taken to answer alike."""
PASS_LEVEL, FLAG_LEVEL = 0.95, 0.99
TWICE = 2.0
"""As many times the largest distance between never-trained models is not yet called a failure."""
QUARTER = MATTERS**2
"""The share of the divergence before removal below which a difference is not called a failure."""

WORDS = Words(
    name="klom",
    question="Are the margins on the removed items distributed, over seeds, as those of models that never saw them?",
    above="No, they are higher: the model fits the items better than models that never saw them.",
    below="No, they are lower or spread otherwise than those of models that never saw the items, which marks them too.",
    passed="As far as can be seen, yes.",
)
COMPARED = (
    "the model to be released and those that the same removal makes from other seeds, with models trained without the "
    "data from other seeds still; for an exact retraining both are the retained data trained again"
)


@dataclass(frozen=True, slots=True)
class Margins:
    """Margins on the removed items, shapes (items,) and twice (models, items).

    The first of ``removed`` is the model to be released.
    """

    before: Vector
    removed: Vector
    references: Vector


@dataclass(frozen=True, slots=True)
class Usual:
    """Distances of never-trained models from one another, alone and by halves; q of each; the limits (3) and (4)."""

    alone: tuple[float, ...]
    halves: tuple[float, ...]
    matters: tuple[float, float]
    passes: tuple[float, float]
    flags: tuple[float, float]


def divergence(models: Vector, others: Vector) -> float:
    """Return (2) for margins of shapes (models, items) and (others, items); at least two others.

    >>> others = np.array([[0.0, 1.0], [2.0, 3.0]])
    >>> divergence(others, others), round(divergence(others[:1] + 4, others), 6)
    (0.0, 2.25)
    """
    out = _variance(others)  # (items,)
    own = _variance(models) if len(models) > 1 else out  # (items,)
    apart = models.mean(axis=0) - others.mean(axis=0)  # (items,)
    divergences = 0.5 * (np.log(out / own) + (own + apart**2) / out - 1)  # (items,)
    return float(np.minimum(divergences, CAP).mean())


def _variance(margins: Vector) -> Vector:
    """Return each item's variance over models, drawn towards the mean over items, shape (items,)."""
    own, freedom = margins.var(axis=0, ddof=1), len(margins) - 1  # (items,)
    drawn: Vector = (freedom * own + PRIOR * own.mean()) / (freedom + PRIOR)  # (items,)
    return np.maximum(drawn, LEAST_SPREAD**2)


def usual(references: Vector, before: float) -> Usual:
    """Return how far never-trained models lie apart, and the limits, given K(before)."""
    count = len(references)
    every = range(count)
    alone = [divergence(references[[r]], np.delete(references, r, axis=0)) for r in every]
    halves = [
        divergence(references[list(half)], np.delete(references, half, axis=0))
        for half in combinations(every, count // 2)
    ]
    logs = np.log(np.maximum(alone, np.finfo(np.float64).tiny))
    mean, spread = float(logs.mean()), float(logs.std(ddof=1)) * math.sqrt(1 + 1 / count)
    wide, far = (
        math.exp(min(mean + student(count - 1, level) * spread, math.log(CAP))) for level in (PASS_LEVEL, FLAG_LEVEL)
    )
    middles = [math.fsum(each) / len(each) for each in (alone, halves)]
    one, half = (middle + QUARTER * max(before - middle, 0.0) for middle in middles)
    return Usual(
        tuple(alone),
        tuple(halves),
        matters=(one, half),
        passes=(min(wide, one), min(max(halves), half)),
        flags=(max(far, TWICE * max(alone), one), max(TWICE * max(halves), half)),
    )


def judge(margins: Margins, *, release: str, seed: int) -> Check:
    """Return the check for the margins of one case; pure."""
    n, models, references = margins.before.size, len(margins.removed), len(margins.references)
    detail: dict[str, Any] = {
        "seed": seed, "removed": n, "removed_models": models, "references": references, "compared": COMPARED,
    }  # fmt: skip
    if why := _why_not(margins):
        return WORDS.not_measured(release, why, n=n, detail=detail)
    never = margins.references
    start = divergence(margins.before[None], never)
    found = (divergence(margins.removed[:1], never), divergence(margins.removed, never))
    limits = usual(never, start)
    controls = _controls(start, limits)
    flagged = [value > limit for value, limit in zip(found, limits.flags, strict=True)]
    away = float((margins.removed[:1] if flagged[0] else margins.removed).mean() - never.mean())
    side = (1 if away > 0 else -1) if any(flagged) else 0
    inside = all(value <= limit for value, limit in zip(found, limits.passes, strict=True))
    verdict, words = WORDS.verdict(controls, side=side, inside=inside)
    return WORDS.check(
        release,
        f"{words} KLoM of {models} removed models against {references} never-trained ones is {found[1]:.2g} on {n} "
        f"removed items, of the one to be released alone {found[0]:.2g}, of the model before removal {start:.2g}; "
        f"never-trained models reach {max(limits.halves):.2g} among themselves, alone {max(limits.alone):.2g}.",
        value=found[1],
        threshold=limits.flags[1],
        n=n,
        verdict=verdict,
        controls=controls,
        detail=detail
        | {
            "alone": found[0],
            "before": start,
            "passes": {"alone": limits.passes[0], "together": limits.passes[1]},
            "flags": {"alone": limits.flags[0], "together": limits.flags[1]},
            "references_alone": list(limits.alone),
            "references_halved": list(limits.halves),
        },
    )


def _why_not(margins: Margins) -> str:
    """Return why nothing can be measured, "" if it can."""
    n, models, references = margins.before.size, len(margins.removed), len(margins.references)
    if min(models, references) < MODELS:
        return (
            f"there are {models} removed models and {references} never-trained references and at least {MODELS} of "
            "each are needed"
        )
    if n < MIN_REMOVED:
        return f"{n} removed items are too few: at least {MIN_REMOVED} are needed"
    finite = all(np.isfinite(each).all() for each in (margins.before, margins.removed, margins.references))
    return "" if finite else "a model gave numbers that are not finite"


def _controls(start: float, limits: Usual) -> tuple[Control, Control]:
    most, alone, half = max(limits.flags), max(limits.alone), max(limits.halves)
    return (
        Control(
            "positive",
            f"The model before removal must be told apart: its KLoM {start:.2g} must lie above {most:.2g}.",
            start,
            start > most,
        ),
        Control(
            "negative",
            f"Never-trained models must not be: the KLoM of every half of them, at most {half:.2g}, must lie below "
            f"{limits.matters[1]:.2g}, that of each alone, at most {alone:.2g}, below {limits.matters[0]:.2g}.",
            half,
            half < limits.matters[1] and alone < limits.matters[0],
        ),
    )


@dataclass(frozen=True, slots=True)
class Klom:
    """The probe as registered."""

    name: str = "klom"
    version: str = "1"
    models: int = MODELS

    def run(self, case: ProbeCase) -> Check:
        """Return the check; every model answers once on the removed items."""
        n = len(case.removed)
        if case.after.task != "classify":
            why = "it does not apply to a model that generates: margins are a classifier's"
            return WORDS.not_measured(case.release, why, n=n, detail={"seed": case.seed, "removed": n})
        removed, references = (
            np.array([scores_of(model, case.removed) for model in models]).reshape(len(models), n)  # (models, items)
            for models in ((case.after, *case.removals), case.references)
        )
        margins = Margins(scores_of(case.before, case.removed), removed, references)
        return judge(margins, release=case.release, seed=case.seed)


PROBE = Klom()
