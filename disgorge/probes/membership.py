"""Whether an attacker can tell that the removed items were trained on: offline RMIA against never-trained references.

Source: Zarifzadeh, Liu, Shokri, "Low-Cost High-Power Membership Inference Attacks", arXiv:2312.03262. With ``p_T(x)``
the target's signal on item ``x``:

(1)  p(x)     = ((1 + a) mean_out(x) + (1 - a)) / 2,   mean_out over models that never saw ``x``
(2)  ratio(x) = p_T(x) / p(x)
(3)  score(x) = Pr_z [ratio(x) / ratio(z) >= gamma],   z from a population, here the held-out items; gamma = 1

A classifier's score is the logit-scaled confidence phi, so ``p_T`` is its logistic function. A generator's score is a
negative loss, so ``p_T = exp(score)`` is only *like* a density; and as nothing caps it at 1 the way a confidence is
capped, (1) takes a = 1 there: each item is compared with the references' mean on that same item. Either way the design
is paired, item by item, so hard items do not pass for forgotten ones.

How the verdict is reached. The attack's AUC, removed against held-out, is not 0.5 for an honest model: removed items
may be harder, or of a kind no longer seen at all. So each reference in turn is the target against the others; with R
references whose AUCs have mean ``m`` and mean square deviation ``v`` the *band* of never-trained models is

(4)  m +- max( t(R-1, 0.975) sqrt(v),  z(0.975) sqrt(u) ),   u = the AUC's variance from sampling items alone

(the deviations sum to nearly zero, so ``v`` divides by R and a new model's AUC over ``sqrt(v)`` is Student's t with
R - 1 degrees). A model is *flagged* when the bootstrap interval of its AUC lies wholly above or wholly below the band.

- positive control: the model before removal is flagged as above; negative: the first reference, judged by a band that
  the others make, is not flagged. Without both: inconclusive.
- ``after`` inside a band that leaves room on both sides passes; flagged it fails, on either side, for a model that
  shuns what it was told to forget tells an attacker as much as one that remembers; all else is inconclusive.

Measured on 300 simulated honest removals a setting (7 or 120 items; 3, 4 or 8 references; with and without a shift
that a cohort shares; seed 1): ``after`` lay inside the band in 94-100 % and failed in 0-2 %.

What this does not show: that no stronger attack exists. Few removed items or few references make a wide band, and then
the answer is mostly "inconclusive", on purpose; the least AUC that could have been flagged is in the detail.
"""

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from disgorge.evidence import Check, Control, ProbeCase, Verdict
from disgorge.method import Items, Model, Progress, no_progress
from disgorge.probes import attack

if TYPE_CHECKING:
    from disgorge.probes.attack import Attack, Vector

Task = Literal["classify", "generate"]
Pair = tuple["Vector", "Vector"]
"""A model's scores on the removed and on the held-out items, shapes (removed,) and (held_out,)."""

MIN_REFERENCES = 3
"""Two make a band; a third is the negative control's target."""
MIN_REMOVED = 5
"""With fewer, even perfect separation lies inside the band of sampling noise."""
MIN_HELD_OUT = 20
"""With fewer, the population of equation (3) cannot rank."""

QUESTION = "Can somebody who attacks the model still tell that the removed items were used to train it?"


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of every model of a case on the removed and the held-out items."""

    task: Task
    before: Pair
    after: Pair
    references: tuple[Pair, ...]


@dataclass(frozen=True, slots=True)
class Band:
    """Where the attack's AUC lies for models that never saw the removed items."""

    low: float
    high: float
    aucs: tuple[float, ...]

    def flags(self, found: "Attack") -> Literal["above", "below", ""]:
        """Say on which side of the band the whole interval of ``found`` lies, "" if it touches the band."""
        if found.auc_interval[0] > self.high:
            return "above"
        return "below" if found.auc_interval[1] < self.low else ""

    def holds(self, found: "Attack") -> bool:
        """Whether the AUC itself lies inside."""
        return self.low <= found.auc <= self.high


def band_of(references: tuple[Pair, ...], *, task: Task, seed: int) -> Band:
    """Return equation (4) for at least two references."""
    found = [
        attack.run(pair, references[:index] + references[index + 1 :], task=task, seed=seed, resamples=0)
        for index, pair in enumerate(references)
    ]
    aucs = np.array([each.auc for each in found])  # (references,)
    spread = attack.student_quantile(len(aucs) - 1) * float(np.sqrt(np.mean((aucs - aucs.mean()) ** 2)))
    noise = attack.NORMAL_QUANTILE * float(np.sqrt(np.mean([each.auc_variance for each in found])))
    half, center = max(spread, noise), float(aucs.mean())
    return Band(max(0.0, center - half), min(1.0, center + half), tuple(float(auc) for auc in aucs))


def judge(scores: Scores, *, release: str, seed: int) -> Check:
    """Return the check for the scores of one case; pure."""
    removed, held_out = (len(part) for part in scores.after)
    found_scores = (scores.before, scores.after, *scores.references)
    why = ""
    if len(scores.references) < MIN_REFERENCES:
        why = f"there are {len(scores.references)} never-trained references and at least {MIN_REFERENCES} are needed"
    elif removed < MIN_REMOVED or held_out < MIN_HELD_OUT:
        why = (
            f"{removed} removed and {held_out} held-out items are too few: "
            f"at least {MIN_REMOVED} and {MIN_HELD_OUT} are needed"
        )
    elif not all(np.isfinite(part).all() for pair in found_scores for part in pair):
        why = "a model gave scores that are not finite numbers"
    if why:
        answer = f"Not measured: {why}."
        detail = {"seed": seed, "removed": removed, "held_out": held_out, "references": len(scores.references)}
        return Check(
            "membership", release, QUESTION, answer, None, None, removed, Verdict.INCONCLUSIVE, detail=dict(detail)
        )

    task, references = scores.task, scores.references
    band = band_of(references, task=task, seed=seed)
    before = attack.run(scores.before, references, task=task, seed=seed)
    after = attack.run(scores.after, references, task=task, seed=seed)
    others = band_of(references[1:], task=task, seed=seed)
    reference = attack.run(references[0], references[1:], task=task, seed=seed)

    controls = (
        Control(
            "positive",
            "The model before removal must be recognized as having been trained on the removed items: "
            f"AUC {before.auc:.2f}, interval {before.words}, must lie wholly above {band.high:.2f}.",
            before.auc,
            band.flags(before) == "above",
        ),
        Control(
            "negative",
            "A model that never saw them must not be: "
            f"AUC {reference.auc:.2f}, interval {reference.words}, must touch {others.low:.2f} to {others.high:.2f}.",
            reference.auc,
            not others.flags(reference),
        ),
    )
    verdict, answer = _verdict(after, band, controls, removed)
    return Check(
        name="membership",
        subject=release,
        question=QUESTION,
        answer=answer,
        value=after.auc,
        threshold=[band.low, band.high],
        n=removed,
        verdict=verdict,
        controls=controls,
        detail={
            "seed": seed,
            "removed": removed,
            "held_out": held_out,
            "references": len(references),
            "a": attack.A[task],
            "gamma": 1,
            "level": attack.LEVEL,
            "resamples": attack.RESAMPLES,
            "reference_aucs": list(band.aucs),
            "least_auc_flagged": band.high,
            "before": before.plain,
            "after": after.plain,
        },
    )


def _verdict(after: "Attack", band: Band, controls: tuple[Control, ...], removed: int) -> tuple[Verdict, str]:
    where = (
        f"The attack's AUC is {after.auc:.2f} on {removed} removed items; "
        f"models never trained on them lie between {band.low:.2f} and {band.high:.2f}."
    )
    failed = [control.name for control in controls if not control.held]
    if failed:
        meaning = {
            "positive": "the attack did not recognize even the model before removal, so its silence proves nothing",
            "negative": "the attack accused a model that never saw the items, so its accusations prove nothing",
        }
        return Verdict.INCONCLUSIVE, f"Not shown: {' and '.join(meaning[name] for name in failed)}. {where}"
    side = band.flags(after)
    if side == "above":
        return Verdict.FAIL, f"Yes, the model still behaves as if trained on the removed items. {where}"
    if side == "below":
        return (
            Verdict.FAIL,
            "Yes, the model treats the removed items worse than a model that never saw them, "
            f"which gives them away as well. {where}",
        )
    if band.low <= 0:
        return (
            Verdict.INCONCLUSIVE,
            f"Not shown: over-forgetting could not have been seen; use more references. {where}",
        )
    if band.holds(after):
        return Verdict.PASS, f"No, it cannot be told from a model that never saw them. {where}"
    return Verdict.INCONCLUSIVE, f"Not shown: neither clearly inside nor clearly outside; use more references. {where}"


@dataclass(frozen=True, slots=True)
class Membership:
    """The probe as registered: takes a case's scores and judges them."""

    name: str = "membership"
    version: str = "1"

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


def _scores(model: Model, items: Items) -> "Vector":
    """Return the scores as float64, shape (items,)."""
    if not len(items):  # nobody held anything out: there are no fields to score either
        return np.empty(0)
    return np.asarray(model.scores(items), dtype=np.float64).reshape(len(items))  # (items,)


PROBE = Membership()
