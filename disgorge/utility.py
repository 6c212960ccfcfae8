"""How good a model is before and after a removal, and whether enough of that is left."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite

from disgorge.evidence import Check, Utility, Verdict
from disgorge.method import Items, Model
from lineage.records import Json

_QUESTION = "How good is the release on data it never saw, before and after?"


@dataclass(frozen=True, slots=True)
class Measures:
    """What a model came to on a set of ``n`` items: values by name, the headline first."""

    n: int
    values: dict[str, float]


def measures_of(model: Model, items: Items) -> dict[str, Json]:
    """Return the measures of a model on items, in plain form."""
    values = {name: float(value) for name, value in model.utility(items).items()}
    return {"n": len(items), "values": values}


def compared(release: str, before: Mapping[str, Measures], after: Mapping[str, Measures]) -> list[Utility]:
    """Return every measure of two models on sets of items by name, the headline of each set first."""
    return [
        Utility(release, shard, metric, found.n, before[shard].values[metric], value)
        for shard, found in after.items()
        for metric, value in found.values.items()
    ]


def utility_check(release: str, utility: tuple[Utility, ...], floor: float | None, *, accepted: bool) -> Check:
    """Return whether the headline on held-out data kept the least share a pack demands; measured in any case.

    Not measured is inconclusive, unless a person accepted whatever loss there is.
    """
    headline = next((u for u in utility if u.shard == "held-out"), utility[0] if utility else None)
    why = ""
    if headline is None or headline.before is None or headline.after is None:
        why = "there were no items to measure on"
    elif not (isfinite(headline.before) and isfinite(headline.after)):
        why = f"{headline.metric} on {headline.shard} data is not a finite number"
    if why or headline is None or headline.before is None or headline.after is None:
        accepts = accepted and floor is not None
        verdict = Verdict.PASS if accepts else Verdict.INCONCLUSIVE
        said = why + ("; the approver accepted the loss, whatever it is" if accepts else "")
        return Check("utility", release, _QUESTION, said, None, floor, 0, verdict, detail={"accepted": accepted})
    kept = share_kept(headline.before, headline.after)
    low = floor is not None and kept < floor
    answer = f"{headline.metric} on {headline.shard} data went from {headline.before:.4f} to {headline.after:.4f}"
    if low:
        answer += f", below the floor of {floor:.0%} of what it was"
        answer += "; the approver accepted the loss" if accepted else "; a person must accept the loss first"
    return Check(
        name="utility",
        subject=release,
        question=_QUESTION,
        answer=answer,
        value=round(kept, 6),
        threshold=floor,
        n=headline.n,
        verdict=Verdict.FAIL if low and not accepted else Verdict.PASS,
        detail={"metric": headline.metric, "accepted": accepted},
    )


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
