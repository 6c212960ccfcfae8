"""Utility of a model before and after a removal, and whether enough of it is left.

A loss of use does not refuse a removal for good: a person can accept it. That is asked for where the release keeps
less than the share a pack demands, where nothing trained is left in it, and where a classifier that was better than
chance no longer is. Chance is the accuracy of always answering the most frequent label of the items measured on, not
one over the number of classes: with uneven labels, a model that learned nothing but their frequencies beats the latter.

Generators have no level of chance. Of their measure only the demanded share, and that nothing trained is left, ask for
a person's word.
"""

from collections import Counter
from collections.abc import Iterable
from math import isfinite

from disgorge.evidence.checks import Check, Utility, Verdict
from disgorge.method import Items
from lineage.plural import counted

NO_FLOOR = "no floor demanded"
"""The threshold of a check that only reports what was measured, because no pack demands a share."""
_QUESTION = "How good is the release on data it never saw, before and after?"


def headline_of(utility: Iterable[Utility]) -> Utility | None:
    """Return the measure to speak of: the first on held-out data, or the first there is."""
    measures = tuple(utility)
    return next((measure for measure in measures if measure.shard == "held-out"), measures[0] if measures else None)


def headlines(utility: Iterable[Utility]) -> tuple[Utility, ...]:
    """Return the measure to speak of for every release, in the order in which they were measured."""
    measures = tuple(utility)
    names = dict.fromkeys(measure.release for measure in measures)
    measured = (headline_of(measure for measure in measures if measure.release == name) for name in names)
    return tuple(measure for measure in measured if measure is not None)


def change_words(measure: Utility) -> str:
    """Return a measure before and after in words.

    >>> change_words(Utility("digits", "held-out", "accuracy", 30, 1.0, 0.1667))
    'accuracy on held-out data went from 1.0000 to 0.1667 (30 items)'
    """
    before, after = ("no model" if value is None else f"{value:.4f}" for value in (measure.before, measure.after))
    return f"{measure.metric} on {measure.shard} data went from {before} to {after} ({counted(measure.n, 'item')})"


def chance_level(task: str, metric: str, items: Items) -> float | None:
    """Return the accuracy of always answering the most frequent label, None where that is no question.

    >>> from types import SimpleNamespace as Of
    >>> items = Items(("a", "b", "c"), {"label": Of(ndim=1, tolist=lambda: [1, 1, 2])})
    >>> round(chance_level("classify", "accuracy", items), 3), chance_level("generate", "loss", items)
    (0.667, None)
    """
    labels = items.arrays.get("label")
    if task != "classify" or metric != "accuracy" or labels is None or labels.ndim != 1 or not items:
        return None
    ((_, most),) = Counter(labels.tolist()).most_common(1)
    return float(most / len(items))


def utility_check(
    release: str,
    utility: tuple[Utility, ...],
    floor: float | None,
    *,
    accepted: bool,
    emptied: bool = False,
    chance: float | None = None,
) -> Check:
    """Return whether the headline kept the share a pack demands and is of use at all; measured in any case.

    ``emptied`` says that no weighted part that learned from removable data is left, ``chance`` what a model without use
    reaches on the headline's items. Not measured is inconclusive. A person may accept any loss.
    """
    headline, unmeasured = headline_of(utility), ""
    share = None
    losses = ["nothing that was trained on removable data is left in the release"] if emptied else []
    if headline is None or headline.before is None or headline.after is None:
        unmeasured = "there were no items to measure on, or the model gave no measure of them"
    elif not (isfinite(headline.before) and isfinite(headline.after)):
        unmeasured = f"{headline.metric} on {headline.shard} data is not a finite number"
    else:
        share = round(share_kept(headline.before, headline.after), 6)
        losses += _losses(headline.before, headline.after, floor=floor, chance=chance)
    asks = bool(losses) or (bool(unmeasured) and floor is not None)  # a person's word is needed
    if losses:
        verdict = Verdict.PASS if accepted else Verdict.FAIL
    else:
        verdict = Verdict.INCONCLUSIVE if unmeasured and not (asks and accepted) else Verdict.PASS
    said = [unmeasured or change_words(headline) if headline else unmeasured, *losses]
    if asks and accepted:
        said.append("the approver accepted the loss" + (", whatever it is" if unmeasured else ""))
    elif asks:
        said.append("a person must accept the loss first")
    return Check(
        name="utility",
        subject=release,
        question=_QUESTION,
        answer="; ".join(said if floor is not None else [*said, NO_FLOOR]),
        value=share,
        threshold=NO_FLOOR if floor is None else floor,
        n=0 if headline is None or unmeasured else headline.n,
        verdict=verdict,
        detail={"metric": headline.metric if headline else None, "accepted": accepted, "losses": list(losses)},
    )


def _losses(before: float, after: float, *, floor: float | None, chance: float | None) -> list[str]:
    """Return, in words, each loss of what was measured that a person has to accept."""
    losses = []
    if floor is not None and share_kept(before, after) < floor:
        losses.append(f"that is below the floor of {floor:.0%} of what it was")
    if chance is not None and after <= chance < before:
        losses.append(f"that is no better than always answering the most frequent label, which reaches {chance:.4f}")
    return losses


def reading_of(check: Check) -> str:
    """Return a check's verdict as people read it: a utility that nothing is demanded of passes nothing.

    >>> measures = (Utility("digits", "held-out", "accuracy", 30, 0.9, 0.8),)
    >>> [reading_of(utility_check("digits", measures, floor, accepted=False)) for floor in (None, 0.5, 0.95)]
    ['no floor demanded', 'pass', 'fail']
    """
    if check.name != "utility" or check.verdict is not Verdict.PASS:
        return check.verdict.value
    if check.detail.get("losses"):
        return "loss accepted"
    return NO_FLOOR if check.threshold in (None, NO_FLOOR) else check.verdict.value


def share_kept(before: float, after: float) -> float:
    """Return utility after as a share of before; for measures below zero (negative losses) the inverse ratio.

    >>> share_kept(0.9, 0.45), share_kept(-0.5, -1.0)
    (0.5, 0.5)
    """
    if before == after:
        return 1.0
    if before > 0:
        return after / before
    return before / after if after < 0 else 1.0
