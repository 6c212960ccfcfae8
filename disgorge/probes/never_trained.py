"""Whether each component is, bit for bit, what its recipe makes from the retained data alone.

The strongest check there is: run the recipe again in a fresh process that has only the retained shards, and compare
digests. A recipe names its inputs by digest, so one that reached the same digest before need not run again; that
earlier run is what ``proved`` holds.

What it rests on: that whoever runs it runs it (an honest operator), or that an outsider runs it himself from the same
retained data. What it cannot cover: a component with an empty recipe, recorded by foreign code. Such a component fails.
A machine that fails while re-executing is no evidence either way: its error passes through.
"""

import time
from collections.abc import Iterator

from disgorge.evidence import Check, ReexecutionCase, Verdict
from disgorge.method import Progress, no_progress
from lineage.records import Component

NAME = "never-trained"
QUESTION = "Is every part of the model, bit for bit, what training without the removed data produces?"


def never_trained(case: ReexecutionCase, *, progress: Progress = no_progress) -> Check:
    """Return the check over all components of one release, naming those that differ.

    Deterministic, so without controls. No component at all is inconclusive: nothing could have differed.
    """
    begun = time.perf_counter()
    components = sorted(case.components, key=lambda component: (component.name, component.digest))
    outcomes = list(_outcomes(case, components, progress))
    equal = sum(not why for _, _, why in outcomes)
    different = [(component.name, why) for component, _, why in outcomes if why]
    total = len(components)
    if not total:
        verdict, answer = Verdict.INCONCLUSIVE, "Not shown: the release has no component to train again."
    elif different:
        verdict = Verdict.FAIL
        named = "; ".join(f"{name} {why}" for name, why in different)
        answer = f"No, {equal} of {total} components are equal; {named}."
    else:
        verdict = Verdict.PASS
        answer = (
            f"Yes, {total} of {total} components, trained again from nothing without the data, are equal bit for bit."
        )
    return Check(
        name=NAME,
        subject=case.release,
        question=QUESTION,
        answer=answer,
        value=f"{equal} of {total} equal",
        threshold=f"{total} of {total} equal",
        n=total,
        verdict=verdict,
        seconds=time.perf_counter() - begun,
        detail={
            "components": [
                {
                    "name": component.name,
                    "recorded": component.digest,
                    "reexecuted": reached,
                    "recipe": component.recipe_digest if component.recipe else None,
                    "earlier": bool(component.recipe) and component.recipe_digest in case.proved,
                }
                for component, reached, _ in outcomes
            ],
            "differ": [name for name, _ in different],
        },
    )


def _outcomes(
    case: ReexecutionCase, components: list[Component], progress: Progress
) -> Iterator[tuple[Component, str | None, str]]:
    """Yield each component, the digest its recipe reached, and why that does not do ("" if it does)."""
    for done, component in enumerate(components):
        progress(done, len(components))
        if not component.recipe:
            yield component, None, "has no recipe and cannot be trained again"
            continue
        earlier = case.proved.get(component.recipe_digest)
        reached = earlier if earlier is not None else case.reexecute(component)
        when = "earlier" if earlier is not None else "now"
        why = "" if reached == component.digest else f"differs from what its recipe makes (re-executed {when})"
        yield component, reached, why
    progress(len(components), len(components))
