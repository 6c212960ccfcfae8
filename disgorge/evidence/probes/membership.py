"""Whether an attacker can tell that the removed items were trained on: RMIA against never-trained references.

The attack (:mod:`disgorge.evidence.probes.rmia`) gives each model one AUC, removed items against held-out ones. An AUC
is not 0.5 for an honest model: removed items may be harder, or of a kind no longer seen at all. So the band comes from
references against references: each in turn is the target, the others are what it is compared with. With m the
references' mean, s their spread as it holds for one more such model (R - 1 degrees), u the variance from sampling items
alone and g the distance from m to the model before removal, what there is to forget,

(1)  passes = max( t(R - 1, 0.95) s,  z(0.95) sqrt(u) )
(2)  flags  = max( t(R - 1, 0.99) s,  z(0.99) sqrt(u),  g / 2,  passes )

- *inside* is an AUC within ``passes`` of m. *Flagged* is one further than ``flags`` from m whose interval, too, lies
  wholly beyond ``passes``: too far for seeds, too far for the draw of items, and enough to matter;
- positive control: the model before removal is flagged, above. Negative: the first reference, judged by (1) as the
  others make it, has an interval that touches the band; and each reference, judged so, lies within g / 2 of the middle;
- without both controls the check is inconclusive. ``after`` flagged fails, above or below, for a model that shuns what
  it was told to forget tells an attacker as much as one that remembers. A pass needs ``after`` inside the band and room
  below the band to have seen over-forgetting. All else is inconclusive.

As a failure refuses a certificate even for a bit-exact removal, (2) keeps false accusations at 1 % or less. The price
is paid in power: a model that kept less than half is not failed, only not passed; and where seeds shift all removed
items at once, three references recognize little. The level of (2) is less strict than that of
:mod:`disgorge.evidence.probes.memorization`, because here the draw of items guards too.

Calibrated by ``python -m benchmarks.calibrate_probes``, which writes its figures beside it. What this does not show:
that no stronger attack exists. The AUCs that would have been flagged are in the detail.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from disgorge.evidence.checks import Check, Control, ProbeCase, Verdict
from disgorge.evidence.probes import rmia
from disgorge.evidence.probes.band import MATTERS, Words, scores_of, student, why_not
from disgorge.evidence.probes.rmia import LEVEL, RESAMPLES, Curve, Pair, normal_quantile

FLAG_LEVEL = 0.99
"""The level of (2)."""
MIN_REMOVED = 5
"""With fewer, even perfect separation lies inside the band of sampling noise."""
MIN_HELD_OUT = 20
"""With fewer, RMIA's population cannot rank."""

WORDS = Words(
    name="membership",
    question="Can an attacker still tell that the removed items were used to train the model?",
    above="Yes, the model still behaves as if trained on the removed items.",
    below="Yes, the model treats the removed items worse than a model that never saw them, which gives them away as "
    "well.",
    passed="No, it cannot be told from a model that never saw them.",
)
CALIBRATED = (
    f"references against references: a pass within Student's {LEVEL:g} interval, a failure beyond its {FLAG_LEVEL:g} "
    f"and {MATTERS:g} of what there is to forget; false accusations simulated by benchmarks/calibrate_probes.py"
)


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of every model of a case on the removed and the held-out items."""

    task: str
    before: Pair
    after: Pair
    references: tuple[Pair, ...]


@dataclass(frozen=True, slots=True)
class Band:
    """Where never-trained models lie: their own AUCs, and the distances from the middle that pass and that flag."""

    aucs: tuple[float, ...]
    middle: float
    passes: float
    flags: float

    def side(self, curve: Curve) -> int:
        """Return 1 if a curve is flagged above, -1 below, 0 if it is not."""
        low, high = curve.auc_interval
        if curve.auc > self.middle + self.flags and low > self.middle + self.passes:
            return 1
        return -1 if curve.auc < self.middle - self.flags and high < self.middle - self.passes else 0

    def inside(self, curve: Curve) -> bool:
        """Whether a curve passes."""
        return abs(curve.auc - self.middle) <= self.passes * (1 + 1e-9) + 1e-9  # models that answer alike

    def touches(self, curve: Curve) -> bool:
        """Whether a curve's interval reaches into what passes."""
        low, high = curve.auc_interval
        return low <= self.middle + self.passes + 1e-9 and high >= self.middle - self.passes - 1e-9


@dataclass(frozen=True, slots=True)
class Attack:
    """RMIA with one case's settings."""

    task: str
    seed: int
    resamples: int

    def read(self, target: Pair, references: tuple[Pair, ...], *, resample: bool = True) -> Curve:
        """Return the target's curve against models that never saw the items."""
        scores = rmia.scores(target, references, task=self.task)
        return rmia.measure(scores, seed=self.seed, resamples=self.resamples if resample else 0)

    def band(self, references: tuple[Pair, ...], before: float) -> Band:
        """Return equations (1) and (2) for at least two references, given the AUC before removal.

        The deviations of AUCs that compare with the other models sum to nearly zero and each is larger by R / (R - 1)
        than that of one more model, so their mean square, divided by R, is already the variance of one more model's.
        """
        found = [
            self.read(reference, _others(references, place), resample=False)
            for place, reference in enumerate(references)
        ]
        aucs = [each.auc for each in found]
        middle, freedom = math.fsum(aucs) / len(aucs), len(aucs) - 1
        spread = float(np.std(aucs))
        noise = math.sqrt(math.fsum(each.auc_variance for each in found) / len(found))
        passes = max(student(freedom, LEVEL) * spread, normal_quantile(LEVEL) * noise)
        far = max(student(freedom, FLAG_LEVEL) * spread, normal_quantile(FLAG_LEVEL) * noise)
        return Band(tuple(aucs), middle, passes, max(far, MATTERS * max(before - middle, 0.0), passes))


def _others(references: tuple[Pair, ...], place: int) -> tuple[Pair, ...]:
    return references[:place] + references[place + 1 :]


def judge(scores: Scores, *, release: str, seed: int, resamples: int = RESAMPLES) -> Check:
    """Return the check for the scores of one case; pure."""
    removed, held_out = (len(part) for part in scores.after)
    detail: dict[str, Any] = {
        "seed": seed, "removed": removed, "held_out": held_out, "references": len(scores.references),
    }  # fmt: skip
    few = removed < MIN_REMOVED or held_out < MIN_HELD_OUT
    every = (scores.before, scores.after, *scores.references)
    finite = all(np.isfinite(part).all() for pair in every for part in pair)
    enough = (
        f"{removed} removed and {held_out} held-out items are too few: at least {MIN_REMOVED} and {MIN_HELD_OUT} are "
        "needed"
    )
    if why := why_not(len(scores.references), finite=finite, enough=enough if few else ""):
        return WORDS.not_measured(release, why, n=removed, detail=detail)
    attack = Attack(scores.task, seed, resamples)
    before, after = (attack.read(target, scores.references) for target in (scores.before, scores.after))
    band = attack.band(scores.references, before.auc)
    controls = _controls(attack, scores.references, before, band)
    verdict, words = WORDS.verdict(controls, side=band.side(after), inside=band.inside(after))
    if verdict is Verdict.PASS and band.middle - band.passes <= 0:
        verdict = Verdict.INCONCLUSIVE
        words = "Not shown: over-forgetting could not have been seen; use more references."
    return WORDS.check(
        release,
        f"{words} The AUC of RMIA is {after.auc:.2f} on {removed} removed items; models never trained on them "
        f"lie between {max(0.0, band.middle - band.passes):.2f} and {min(1.0, band.middle + band.passes):.2f}, the "
        f"model before removal at {before.auc:.2f}.",
        value=after.auc,
        threshold=[band.middle - band.passes, band.middle + band.passes],
        n=removed,
        verdict=verdict,
        controls=controls,
        detail=detail
        | {
            "before": before.plain,
            "after": after.plain,
            "reference_aucs": list(band.aucs),
            "flags": [band.middle - band.flags, band.middle + band.flags],
            "calibrated": CALIBRATED,
            "a": rmia.A.get(scores.task, 1.0),
            "gamma": 1,
            "level": LEVEL,
            "resamples": resamples,
        },
    )


def _controls(attack: Attack, references: tuple[Pair, ...], before: Curve, band: Band) -> tuple[Control, Control]:
    """Return the positive and the negative control; at least three references."""
    first, others = attack.read(references[0], references[1:]), attack.band(references[1:], before.auc)
    farthest = abs(first.auc - others.middle)
    for place, auc in enumerate(band.aucs[1:], start=1):
        farthest = max(farthest, abs(auc - attack.band(_others(references, place), before.auc).middle))
    gap = before.auc - band.middle
    return (
        Control(
            "positive",
            f"The model before removal must be recognized as having been trained on the removed items: AUC "
            f"{before.auc:.2f}, interval {before.auc_interval[0]:.2f} to {before.auc_interval[1]:.2f}, must lie above "
            f"{band.middle + band.flags:.2f}.",
            before.auc,
            band.side(before) > 0,
        ),
        Control(
            "negative",
            f"A model that never saw them must not be: AUC {first.auc:.2f}, interval {first.auc_interval[0]:.2f} to "
            f"{first.auc_interval[1]:.2f}, must touch {others.middle - others.passes:.2f} to "
            f"{others.middle + others.passes:.2f}, and every reference lie within {gap / 2:.2f} of the others.",
            first.auc,
            others.touches(first) and farthest < MATTERS * gap,
        ),
    )


@dataclass(frozen=True, slots=True)
class Membership:
    """The probe as registered: takes a case's scores and judges them."""

    name: str = "membership"
    version: str = "3"

    def run(self, case: ProbeCase) -> Check:
        """Return the check; every model answers once on the removed and once on the held-out items."""
        models = (case.before, case.after, *case.references)
        pairs = [(scores_of(model, case.removed), scores_of(model, case.held_out)) for model in models]
        scores = Scores(case.after.task, pairs[0], pairs[1], tuple(pairs[2:]))
        return judge(scores, release=case.release, seed=case.seed)


PROBE = Membership()
