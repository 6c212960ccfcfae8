"""Whether each component is, bit for bit, what its recipe makes from the retained data alone.

The strongest check there is: run the recipe again in a fresh process that has only the retained shards, and compare
digests. A recipe names its inputs by digest, so one that reached the same digest before need not run again; that
earlier run is what ``proved`` holds.

Where a component differs, the check says by how much: the largest absolute difference of any weight, and the largest
difference between the scores that the recorded model and the one made of re-executed components give held-out items.
It fails all the same: a small difference may be a library's, or all that is left of what was to be removed. Only where
every part that differs was made in another environment (:mod:`disgorge.training.environment`) is that no verdict: the
check is inconclusive, names both, and the way out is to train those parts again here.

Controls: the model *before* removal must be flagged, each of its parts that learned from the removed data being either
no part of what re-execution makes or one of other bytes. And retraining must pass against retraining: the part that
takes least, by its recorded seconds, is executed once more in a process of its own and must reach the same digest. One
part speaks for the machine and its libraries, not for each recipe: a second run of every part would cost a whole
training more, and that *every* recipe repeats is what a pass says anyway, since each part was made and re-executed.
Without both controls there is no pass. A difference stays a failure without them, lest noise become a way not to fail.

What it rests on: that whoever runs it runs it (an honest operator), or that an outsider runs it himself from the same
retained data. What it cannot cover: a component with an empty recipe, recorded by foreign code. Such a component fails.
A machine that fails while re-executing is no evidence either way: its error passes through.
"""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from disgorge.evidence.checks import Check, Control, ReexecutionCase, Verdict
from disgorge.method import Progress, no_progress
from lineage.records import Component, Json

if TYPE_CHECKING:
    from disgorge.method import Tensors

NAME = "never-trained"
QUESTION = "Is every part of the model, bit for bit, what training without the removed data produces?"

Outcome = tuple[Component, str | None, str]
"""A component, the digest its recipe reached, and why that does not do."""


def never_trained(case: ReexecutionCase, *, progress: Progress = no_progress) -> Check:
    """Return the check over all components of one release, naming those that differ.

    No component at all is inconclusive: nothing could have differed.
    """
    begun = time.perf_counter()
    components = sorted(case.components, key=lambda component: (component.name, component.digest))
    outcomes = list(_outcomes(case, components, progress))
    equal = sum(not why for _, _, why in outcomes)
    earlier = sum(_is_earlier(case, component) for component in components)
    different = [(component.name, why) for component, _, why in outcomes if why]
    apart = _weights_apart(case, outcomes)
    outputs = _outputs_apart(case, outcomes) if different else {}
    total = len(components)
    controls = [_positive(case, outcomes), *_negative(case, outcomes)]
    lost = [control.words for control in controls if not control.held]
    if not total:
        verdict, answer = Verdict.INCONCLUSIVE, "Not shown: the release has no component to train again."
    elif different:
        named = "; ".join(f"{name} {why}{_how_far(apart.get(name, {}))}" for name, why in different)
        machine = all(case.elsewhere.get(name) for name, _ in different)
        verdict = Verdict.INCONCLUSIVE if machine else Verdict.FAIL
        begin = "Not shown" if machine else "No"
        answer = f"{begin}, {equal} of {total} components are equal; {named}."
        if "max" in outputs:
            answer += f" Scores on {outputs['n']} held-out items differ by up to {outputs['max']:.3g}."
        if machine:
            answer += f" {_elsewhere(case, [name for name, _ in different])}"
    elif lost or len(controls) < 2:
        verdict = Verdict.INCONCLUSIVE
        why = " ".join(lost) or "No part was executed twice, so that nobody knows whether training repeats here."
        answer = f"Not shown, though {total} of {total} components are equal: a control did not hold. {why}"
    else:
        verdict = Verdict.PASS
        answer = (
            f"Yes, {total} of {total} components, trained again from nothing without the data, are equal bit for bit"
            f" ({total - earlier} run now, {earlier} standing on earlier runs)."
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
        controls=tuple(controls),
        seconds=time.perf_counter() - begun,
        detail={
            "components": [
                {
                    "name": component.name,
                    "recorded": component.digest,
                    "reexecuted": reached,
                    "recipe": component.recipe_digest if component.recipe else None,
                    "earlier": _is_earlier(case, component),
                    **({"weights": apart[component.name]} if component.name in apart else {}),
                }
                for component, reached, _ in outcomes
            ],
            "differ": [name for name, _ in different],
            "run now": total - earlier,
            "standing on earlier runs": earlier,
            **(
                {"elsewhere": sorted({words for name, _ in different for words in case.elsewhere.get(name, ())})}
                if verdict is Verdict.INCONCLUSIVE and different
                else {}
            ),
            **({"outputs": outputs} if outputs else {}),
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


def _is_earlier(case: ReexecutionCase, component: Component) -> bool:
    """Whether a component stands on an earlier re-execution and was not run now."""
    return bool(component.recipe) and component.recipe_digest in case.proved


def _elsewhere(case: ReexecutionCase, names: list[str]) -> str:
    """Say that the environment is another one, how, and what to do."""
    found = dict.fromkeys(words for name in names for words in case.elsewhere[name])
    return (
        f"The environment is not the one they were made in ({'; '.join(found)}), so this says nothing about the "
        f"removal: go back to that environment and resume, or have them trained again here with `disgorge request plan "
        f"{case.request} --retrain-untouched`."
    )


def _positive(case: ReexecutionCase, outcomes: list[Outcome]) -> Control:
    """Return whether each part of the model before removal that learned from the removed data is told from the new."""
    again = {component.name: reached for component, reached, _ in outcomes}
    flagged = sum(again.get(name) != digest for name, digest in case.learned.items())
    return Control(
        "positive",
        f"The model before removal must be recognized: of its {len(case.learned)} parts that learned from the removed "
        f"data, each must be other bytes than what training without it makes, and {flagged} are.",
        flagged,
        flagged == len(case.learned) > 0,
    )


def _negative(case: ReexecutionCase, outcomes: list[Outcome]) -> Iterator[Control]:
    """Yield whether the cheapest part, executed again and once more, has the same bytes; nothing where none can be."""
    ran = [(component, reached) for component, reached, _ in outcomes if reached is not None]
    if case.again is None or not ran:
        return
    component, first = min(ran, key=lambda pair: (pair[0].cost.seconds, pair[0].name))
    same = case.again(component) == first
    yield Control(
        "negative",
        f"Training without the data must pass against itself: {component.name}, executed again twice, each time in a "
        f"process of its own, must be equal bit for bit, and {'is' if same else 'is not'}.",
        float(same),
        same,
    )


def _weights_apart(case: ReexecutionCase, outcomes: list[Outcome]) -> dict[str, dict[str, Json]]:
    """Return, by component that differs, how far its weights are from those re-executed; nothing where none can say."""
    found: dict[str, dict[str, Json]] = {}
    for component, reached, why in outcomes:
        if not why or reached is None or case.tensors is None:
            continue
        recorded, again = case.tensors(component.digest), case.tensors(reached)
        if recorded is None or again is None:
            found[component.name] = {"why": "the bytes of one of the two are no longer there to compare"}
        else:
            found[component.name] = weights_apart(recorded, again)
    return found


def weights_apart(recorded: "Tensors", again: "Tensors") -> dict[str, Json]:
    """Return ``max``, the largest absolute difference, the tensor it is in, and the tensors that cannot be compared.

    Tensors of unequal shape or present on one side alone are listed under ``shapes``; NaN against a number, which no
    difference measures, under ``undefined``.

    >>> import numpy as np
    >>> weights_apart({"w": np.array([1.0, 2.0])}, {"w": np.array([1.0, 2.5])})
    {'max': 0.5, 'tensor': 'w', 'shapes': {}, 'undefined': []}
    >>> weights_apart({"w": np.zeros(2)}, {"w": np.zeros((2, 1)), "v": np.zeros(3)})["shapes"]
    {'v': [None, [3]], 'w': [[2], [2, 1]]}
    """
    import numpy as np

    shapes: dict[str, Json] = {}
    undefined: list[Json] = []
    largest, where = 0.0, None
    for name in sorted({*recorded, *again}):
        one, other = recorded.get(name), again.get(name)
        if one is None or other is None or one.shape != other.shape:
            shapes[name] = [None if one is None else list(one.shape), None if other is None else list(other.shape)]
            continue
        with np.errstate(invalid="ignore"):
            gap = np.abs(np.asarray(one, dtype=np.float64) - np.asarray(other, dtype=np.float64))
        same = np.asarray(one == other) | ((one != one) & (other != other))  # NaN in both is no difference
        gap = np.where(same, 0.0, gap)
        if not np.isfinite(gap).all():
            undefined.append(name)
            gap = gap[np.isfinite(gap)]
        if gap.size and float(gap.max()) > largest:
            largest, where = float(gap.max()), name
    return {"max": largest, "tensor": where, "shapes": shapes, "undefined": undefined}


def _how_far(apart: dict[str, Json]) -> str:
    """Say how far a component's weights are, "" where nobody could compare."""
    if "max" not in apart:
        return ""
    said = f", weights by up to {apart['max']:.3g}"
    if apart["shapes"]:
        said += f", shapes of {', '.join(sorted(apart['shapes']))} differ"
    if apart["undefined"]:
        said += f", {', '.join(apart['undefined'])} not a finite number"
    return said


def _outputs_apart(case: ReexecutionCase, outcomes: list[Outcome]) -> dict[str, Json]:
    """Return the largest difference of scores between the model recorded and the model re-executed, or why not."""
    import numpy as np

    if case.outputs is None:
        return {}
    if any(reached is None for _, reached, _ in outcomes):
        return {"why": "a component cannot be trained again, so there is no second model"}
    try:
        recorded = case.outputs({component.name: component.digest for component, _, _ in outcomes})
        again = case.outputs({component.name: reached or "" for component, reached, _ in outcomes})
    except Exception as problem:  # parts that fit each other before may not fit now; the check fails either way
        return {"why": f"the re-executed components make no model that answers ({type(problem).__name__})"}
    if recorded is None or again is None:
        return {"why": "there are no held-out items, or the bytes of a component are no longer there"}
    gap = np.abs(np.asarray(recorded, dtype=np.float64) - np.asarray(again, dtype=np.float64))
    if not np.isfinite(gap).all():
        return {"why": "a score is not a finite number", "n": len(gap)}
    return {"max": float(gap.max(initial=0.0)), "n": len(gap)}
