"""Whether an attacker can tell that the removed items were trained on: three attacks against never-trained references.

- **RMIA**, offline (:mod:`disgorge.evidence.probes.attack.rmia`), and per-example **U-LiRA**, offline
  (:mod:`disgorge.evidence.probes.attack.likelihood`), each by its AUC, removed items against held-out ones;
- **IAM** (:mod:`disgorge.evidence.probes.attack.interpolation`), which places ``after`` between never trained (degree
  0) and nothing done (1), and works with one reference.

An AUC is not 0.5 for an honest model: removed items may be harder, or of a kind no longer seen at all. So each attack
has a band of its own, from references against references, and a positive and a negative control of its own
(:mod:`disgorge.evidence.probes.attack.standing`). True-positive rates at 1 % and 0.1 % false positives, with intervals,
are in the detail of each.

How the verdict is reached. Both sides count, for a model that shuns what it was told to forget tells an attacker as
much as one that remembers.

1. An attack whose two controls held and that flags ``after`` fails it. One attack is enough: an attacker picks his own.
2. An attack that flags without both its controls proves nothing, but it forbids a pass.
3. A pass needs RMIA or U-LiRA, with both controls held, ``after`` inside its band, and room below the band to have seen
   over-forgetting. IAM alone passes nothing: its mean can hide a few items that are remembered well.
4. All else is inconclusive.

As a failure refuses a certificate even for a bit-exact removal, (1) keeps false accusations by all three attacks
together at 1 % or less. The price is paid in power, not in passes: few references or a shift that all removed items
share widen the bands until the controls do not hold, and then the answer is "inconclusive".

Calibrated by ``python -m benchmarks.calibrate_probes``, which writes its figures beside it: see there for what was
simulated, how often, and with which seeds. What this does not show: that no stronger attack exists. The least AUC that
could have been flagged is in the detail.
"""

import time
from dataclasses import dataclass, replace

import numpy as np

from disgorge.evidence.checks import Check, ProbeCase, Verdict
from disgorge.evidence.probes.attack import likelihood, rmia
from disgorge.evidence.probes.attack.curve import LEVEL, RESAMPLES, Pair, Vector
from disgorge.evidence.probes.attack.standing import FLAG_LEVEL, Scores, Standing
from disgorge.evidence.probes.attack.three import attacks
from disgorge.evidence.probes.band import MATTERS, MIN_REFERENCES
from disgorge.method import Items, Model, Progress, no_progress

MIN_REMOVED = 5
"""With fewer, even perfect separation lies inside the band of sampling noise."""
MIN_HELD_OUT = 20
"""With fewer, RMIA's population cannot rank."""

QUESTION = "Can somebody who attacks the model still tell that the removed items were used to train it?"
CALIBRATED = (
    f"references against references, each attack on its own: a pass within Student's {LEVEL:g} interval, a failure "
    f"beyond its {FLAG_LEVEL:g} and {MATTERS:g} of what there is to forget; false accusations by all attacks together "
    f"simulated by benchmarks/calibrate_probes.py"
)


def judge(scores: Scores, *, release: str, seed: int, resamples: int = RESAMPLES) -> Check:
    """Return the check for the scores of one case; pure."""
    removed, held_out = (len(part) for part in scores.after)
    why = _why_not(scores)
    if why:
        detail = {"seed": seed, "removed": removed, "held_out": held_out, "references": len(scores.references)}
        return Check(
            "membership", release, QUESTION, f"Not measured: {why}.", None, None, removed, Verdict.INCONCLUSIVE,
            detail=dict(detail),
        )  # fmt: skip
    found = attacks(scores, seed=seed, resamples=resamples)
    verdict, words, chosen = _verdict(found)
    band = chosen.band
    return Check(
        name="membership",
        subject=release,
        question=QUESTION,
        answer=f"{words} {_where(chosen, removed)}",
        value=chosen.after.value,
        threshold=[band.middle - band.passes, band.middle + band.passes],
        n=removed,
        verdict=verdict,
        controls=chosen.controls,
        detail={
            "seed": seed,
            "removed": removed,
            "held_out": held_out,
            "references": len(scores.references),
            "decided_by": chosen.attack,
            "attacks": {each.attack: each.plain for each in found},
            "calibrated": CALIBRATED,
            "a": rmia.A[scores.task],
            "gamma": 1,
            "prior": likelihood.PRIOR,
            "level": LEVEL,
            "resamples": resamples,
        },
    )


def _why_not(scores: Scores) -> str:
    """Return why nothing can be measured, "" if it can."""
    removed, held_out = (len(part) for part in scores.after)
    every = (scores.before, scores.after, *scores.references)
    if not scores.references:
        return f"there are 0 never-trained references; one is the least, and {MIN_REFERENCES} the least that can pass"
    if removed < MIN_REMOVED or held_out < MIN_HELD_OUT:
        return (
            f"{removed} removed and {held_out} held-out items are too few: "
            f"at least {MIN_REMOVED} and {MIN_HELD_OUT} are needed"
        )
    if not all(np.isfinite(part).all() for pair in every for part in pair):
        return "a model gave scores that are not finite numbers"
    return ""


def _verdict(found: tuple[Standing, ...]) -> tuple[Verdict, str, Standing]:
    """Return the verdict, why in words, and the attack whose value and controls the check shows."""
    accusers = [each for each in found if each.trusted and each.side]
    if accusers:
        first = accusers[0]
        by = f" (so say {_listed(accusers)})" if len(accusers) > 1 else ""
        return Verdict.FAIL, (
            f"Yes, the model still behaves as if trained on the removed items{by}."
            if first.side > 0
            else f"Yes, the model treats the removed items worse than a model that never saw them{by}, which gives "
            "them away as well."
        ), first  # fmt: skip
    able = [each for each in found if each.certifies and each.trusted]
    if not able:
        return Verdict.INCONCLUSIVE, _unable(found), found[0]
    shady = [each for each in found if each.side]
    if shady:
        return (
            Verdict.INCONCLUSIVE,
            f"Not shown: {_listed(shady)} would accuse the model, but cannot be relied on here, as a control of it did "
            "not hold.",
            able[0],
        )
    inside = [each for each in able if each.band.inside(each.after)]
    for each in inside:
        if each.band.middle - each.band.passes > 0:
            return Verdict.PASS, "No, it cannot be told from a model that never saw them.", each
    if inside:
        words = "Not shown: over-forgetting could not have been seen; use more references."
        return Verdict.INCONCLUSIVE, words, inside[0]
    return (
        Verdict.INCONCLUSIVE,
        "Not shown: neither clearly inside nor clearly outside; use more references.",
        able[0],
    )


def _unable(found: tuple[Standing, ...]) -> str:
    """Say why no attack that could pass the model is able to speak."""
    certifying = [each for each in found if each.certifies]
    if not certifying:
        return (
            f"Not shown: a band of never-trained models takes at least {MIN_REFERENCES} references, and IAM, which "
            "does with fewer, only accuses; it did not."
        )
    lost = {control.name for each in certifying for control in each.controls if not control.held}
    meaning = {
        "positive": "an attack did not recognize even the model before removal, so its silence proves nothing",
        "negative": "an attack accused a model that never saw the items, so its accusations prove nothing",
    }
    return f"Not shown: {' and '.join(words for name, words in meaning.items() if name in lost)}."


def _where(chosen: Standing, removed: int) -> str:
    band = chosen.band
    if chosen.measure == "AUC":
        return (
            f"The AUC of {chosen.attack} is {chosen.after.value:.2f} on {removed} removed items; models never trained "
            f"on them lie between {max(0.0, band.middle - band.passes):.2f} and "
            f"{min(1.0, band.middle + band.passes):.2f}, the model before removal at {chosen.before.value:.2f}."
        )
    degree = "not to be told" if chosen.degree is None else f"{chosen.degree:.2f}"
    return (
        f"By {chosen.attack} the degree to which {removed} removed items are still remembered is {degree}, where 0 is "
        "never trained on them and 1 is nothing done."
    )


def _listed(standings: list[Standing]) -> str:
    return " and ".join(each.attack for each in standings)


@dataclass(frozen=True, slots=True)
class Membership:
    """The probe as registered: takes a case's scores and judges them."""

    name: str = "membership"
    version: str = "2"

    def run(self, case: ProbeCase, *, progress: Progress = no_progress) -> Check:
        """Return the check; every model answers once on the removed and once on the held-out items."""
        begun = time.perf_counter()
        models = (case.before, case.after, *case.references)
        pairs: list[Pair] = []
        for done, model in enumerate(models):
            progress(done, len(models))
            pairs.append((_scores(model, case.removed), _scores(model, case.held_out)))
        scores = Scores(case.after.task, pairs[0], pairs[1], tuple(pairs[2:]))
        check = judge(scores, release=case.release, seed=case.seed)
        progress(len(models), len(models))
        return replace(check, seconds=time.perf_counter() - begun)


def _scores(model: Model, items: Items) -> Vector:
    """Return the scores as float64, shape (items,)."""
    if not len(items):  # nobody held anything out: there are no fields to score either
        return np.empty(0)
    return np.asarray(model.scores(items), dtype=np.float64).reshape(len(items))  # (items,)


PROBE = Membership()
