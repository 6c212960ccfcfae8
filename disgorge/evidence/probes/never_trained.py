"""Whether each component is what its recipe makes from the retained data alone.

A component that the removal did not touch stands on its attestation: it was made by a confined run that could read its
named inputs and installed code, and it has the bytes it had then. One that the removal made was made by such a run too,
and where the plan demands equal bits its recipe is run once more, in a fresh process that has only the retained shards,
and the digests are compared. So is whatever does not stand on an attestation.

Where a component differs, the check says by how much (:func:`~disgorge.evidence.tolerance.apart`). It fails all the
same: a small difference may be a library's, or all that is left of what was to be removed. Only where
every part that differs was made in another environment (:mod:`disgorge.training.environment`) is that no verdict: the
check is inconclusive, names both, and the way out is to train those parts again here.

Controls: the model *before* removal must be flagged, each of its parts that learned from the removed data being no part
of what the removal makes, or one of other bytes, or one that a confined run left unchanged. Confinement is tried: a
planted job must find nothing of what it must not reach, and must find its input. And where parts were run again,
retraining must pass against retraining: a part whose making is attested ran twice, then and now. Where none is, the one
that takes least, by its recorded seconds, is executed once more in a process of its own and must reach the same digest;
it speaks for the machine and its libraries, not for each recipe. Without them there is no pass. A difference stays a
failure without them, lest noise become a way not to fail.

What it rests on: that the operator runs it (an honest operator), or that an auditor runs it again from the same
retained data. What it cannot cover: a component with an empty recipe, recorded by foreign code. Such a component fails.
A machine that fails while re-executing is no evidence either way: its error passes through.
"""

from collections.abc import Iterator
from math import isfinite

from disgorge.evidence.checks import Check, Control, ReexecutionCase, Verdict
from disgorge.evidence.tolerance import apart
from lineage.records import Component

NAME = "never-trained"
QUESTION = "Is every part of the model what training without the removed data produces?"

Outcome = tuple[Component, str | None, str]
"""A component, the digest its recipe reached, and why that does not do."""


def never_trained(case: ReexecutionCase) -> Check:
    """Return the check over all components of one release, naming those that differ.

    No component at all is inconclusive: nothing could have differed.
    """
    components = sorted(case.components, key=lambda component: (component.name, component.digest))
    outcomes = list(_outcomes(case, components))
    different = [component.name for component, _, why in outcomes if why]
    total, equal = len(components), len(components) - len(different)
    attested = sum(_stands(case, component) for component in components)
    tried = () if case.confinement is None else (case.confinement,)
    controls = (_positive(case, outcomes), *_negative(case, outcomes), *tried)
    verdict, answer = _verdict(case, outcomes, controls)
    elsewhere = {words for name in different for words in case.elsewhere.get(name, ())}
    return Check(
        name=NAME,
        subject=case.release,
        question=QUESTION,
        answer=answer,
        value=f"{equal} of {total} shown",
        threshold=f"{total} of {total} shown",
        n=total,
        verdict=verdict,
        controls=controls,
        detail={
            "components": [
                {
                    "name": component.name,
                    "recorded": component.digest,
                    "reexecuted": reached,
                    "recipe": component.recipe_digest if component.recipe else None,
                    "attested": _stands(case, component),
                    "shown by": case.shown_by.get(component.name),
                }
                for component, reached, _ in outcomes
            ],
            "differ": different,
            "run now": total - attested,
            "standing on attestations": attested,
            "unchanged": sorted(case.unchanged),
            **({"elsewhere": sorted(elsewhere)} if verdict is Verdict.INCONCLUSIVE and different else {}),
        },
    )


def _verdict(case: ReexecutionCase, outcomes: list[Outcome], controls: tuple[Control, ...]) -> tuple[Verdict, str]:
    """Return the verdict, and why in words."""
    total, different = len(outcomes), [outcome for outcome in outcomes if outcome[2]]
    equal = f"{total - len(different)} of {total} components"
    unshown = "; ".join(why for _, why in sorted(case.unshown.items()))
    if not total:
        return Verdict.INCONCLUSIVE, "Not shown: the release has no component to train again."
    if different:
        differences = "; ".join(f"{one.name} {why}{_how_far(case, one, reached)}" for one, reached, why in different)
        names = [component.name for component, _, _ in different]
        if all(case.elsewhere.get(name) for name in names):
            return Verdict.INCONCLUSIVE, f"Not shown, {equal} are equal; {differences}. {_elsewhere(case, names)}"
        return Verdict.FAIL, f"No, {equal} are equal; {differences}."
    if unshown:
        return Verdict.INCONCLUSIVE, f"Not shown as closely as the plan demands: {unshown}."
    lost = [control.words for control in controls if not control.held]
    untried = case.demands and case.confinement is None
    if lost or untried or len(controls) < 2:
        why = " ".join(lost) or (
            "Jobs must be confined, and whether they are was not tried."
            if untried
            else "No part was executed twice, so it is not known whether training repeats here."
        )
        return Verdict.INCONCLUSIVE, f"Not shown, though {equal} are equal: a control did not hold. {why}"
    attested = sum(_stands(case, component) for component, _, _ in outcomes)
    return Verdict.PASS, f"Yes, {equal}: {_shown(total - attested, attested, len(case.unchanged))}."


def _shown(again: int, attested: int, unchanged: int) -> str:
    """Say how components were shown to come from the retained data."""
    parts = [
        (again, "trained again from nothing without the data, equal bit for bit"),
        (attested, "by attestations of the runs that made them"),
        (unchanged, "came out unchanged: the removed items did not influence them"),
    ]
    return "; ".join(f"{count} {words}" for count, words in parts if count)


def _outcomes(case: ReexecutionCase, components: list[Component]) -> Iterator[Outcome]:
    """Yield each component, the digest its recipe reached, and why that does not do ("" if it does)."""
    for component in components:
        if not component.recipe:
            yield component, None, "has no recipe and cannot be trained again"
            continue
        attested = case.standing.get(component.recipe_digest)
        reached = attested if attested is not None else case.reexecute(component)
        when = "attested" if attested is not None else "re-executed now"
        why = "" if reached == component.digest else f"differs from what its recipe makes ({when})"
        yield component, reached, why


def _stands(case: ReexecutionCase, component: Component) -> bool:
    """Whether a component stands on its attestation and was not run now."""
    return bool(component.recipe) and component.recipe_digest in case.standing


def _elsewhere(case: ReexecutionCase, names: list[str]) -> str:
    """Say that the environment is another one, how, and what to do."""
    reasons = dict.fromkeys(words for name in names for words in case.elsewhere[name])
    return (
        f"The environment is not the one they were made in ({'; '.join(reasons)}), so this says nothing about the "
        f"removal: go back to that environment and resume, or have them trained again here with `disgorge request plan "
        f"{case.request} --retrain-untouched`."
    )


def _positive(case: ReexecutionCase, outcomes: list[Outcome]) -> Control:
    """Return whether each part of the model before removal that learned from the removed data is told from the new."""
    again = {component.name: reached for component, reached, _ in outcomes}
    flagged = sum(name in case.unchanged or again.get(name) != digest for name, digest in case.learned.items())
    return Control(
        "positive",
        f"The model before removal must be recognized: of its {len(case.learned)} parts that learned from the removed "
        f"data, each must be other bytes than what training without it makes, or unchanged by a confined run, and "
        f"{flagged} are.",
        flagged,
        flagged == len(case.learned) > 0,
    )


def _negative(case: ReexecutionCase, outcomes: list[Outcome]) -> Iterator[Control]:
    """Yield whether a part that was executed twice, the cheapest, has the same bytes; nothing where none was run.

    A run that is attested and the one now are two. Otherwise the part is executed once more. Parts that stand on
    attestations rest on confinement, which has a control of its own; without it one of them is run.
    """
    ran = [
        (component, reached)
        for component, reached, _ in outcomes
        if reached is not None and (case.confinement is None or not _stands(case, component))
    ]
    twice = [(component, reached) for component, reached in ran if component.name in case.attested_before]
    if twice:
        component, reached = min(twice, key=_cost)
        other = component.digest
    elif ran and case.again is not None:
        component, reached = min(ran, key=_cost)
        other = case.again(component)
    else:
        return
    same = reached == other
    yield Control(
        "negative",
        f"Training without the data must pass against itself: {component.name}, executed twice, each time in a process "
        f"of its own, must be equal bit for bit, and {'is' if same else 'is not'}.",
        float(same),
        same,
    )


def _cost(ran: tuple[Component, str]) -> tuple[float, str]:
    component, _ = ran
    return component.cost.seconds, component.name


def _how_far(case: ReexecutionCase, component: Component, reached: str | None) -> str:
    """Say how far a component's weights lie from those re-executed, "" if either are not there."""
    if reached is None or case.tensors is None:
        return ""
    recorded, again = case.tensors(component.digest), case.tensors(reached)
    if recorded is None or again is None:
        return ""
    distance = apart(recorded, again)
    return f", weights by {distance:.3g} of their size" if isfinite(distance) else ", in shape or to no finite number"
