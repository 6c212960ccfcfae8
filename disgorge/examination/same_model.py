"""Whether a process that starts from nothing lays out the very model that was recorded, of the retained data alone.

Equal bytes of every component (:mod:`disgorge.evidence.probes.never_trained`) say nothing about another place where a
method may keep what it was to forget: in a recipe, as a seed, a threshold or a list of numbers chosen when the removed
data was still there, or in the choice of parts and their weights. So a fresh process that is told the records of the
retained shards, and nothing of what is in them, lays the model out; parts, recipes and weights must be those recorded.

What the model answers need not be compared: whoever asks it, asks a fresh process that is given these parts and no
other (:mod:`disgorge.training.ask`), so that a filter, a cache or an older model that a process remembers has nowhere
to be. Old and new model are asked all the same, each in a process of its own, for utility and for what a report says.

Positive control: of the parts of the model from before removal that learned from the removed data, by the recipes that
they were recorded with, the layout must tell at least one from its own. A part that came out with its old bytes has two
recipes recorded, of which only the second is laid out.

A method that hides things in installed code, or a model that is served elsewhere, is beyond this; reports say on whose
honesty that rests.
"""

import time
from collections.abc import Mapping, Sequence

from disgorge.evidence.checks import Check, Control, Utility, Verdict
from disgorge.examination.samples import Samples
from disgorge.layout import component_name
from disgorge.method import Blueprint, Declared, Items, ModelSpec, determining, recipe_for
from disgorge.training.ask import Answered, Answers, laid_out
from disgorge.training.assemble import spec_of
from disgorge.training.code.kept import code_of
from disgorge.training.make import recordings
from disgorge.training.recipe import Runner
from disgorge.training.runners.declared import maker_of
from lineage.activity import activity
from lineage.artifacts.named import usable_artifacts
from lineage.catalog.catalog import Catalog
from lineage.plural import counted
from lineage.records import Component, Composition, Json, Shard
from lineage.workspace import Workspace

NAME = "answers"
QUESTION = (
    "Does a process that knows only the records of the retained data lay out the very model that is to be released: "
    "its parts, their recipes and their weights?"
)


@activity("comparing the model with its layout by a process of its own")
def check_layout(
    workspace: Workspace,
    runner: Runner,
    release: str,
    recorded: tuple[Composition, Sequence[Component]],
    *,
    learned: Sequence[Component],
    shards: Mapping[str, Shard],
) -> tuple[Check, tuple[Blueprint, ...]]:
    """Return the check on a composition with its recorded members, and the layout it was held against.

    ``learned`` are the parts of the model from before removal, as they were recorded, that learned from the removed
    data, ``shards`` those there are, by name.
    """
    start = time.perf_counter()
    composition, components = recorded
    code = code_of(workspace, composition)
    spec = spec_of(composition)
    blueprints = laid_out(runner, spec, shards, code=code)
    digests = {each.name: each.digest for each in components}
    with Catalog.of(workspace) as catalog:
        inputs = usable_artifacts(catalog, spec.artifact_names, of=spec.release)
    inputs |= {("shard", shard.name): shard.digest for shard in shards.values()}
    recipes = _recipes(maker_of(workspace, composition), blueprints, spec, digests, inputs)
    strange = _not_laid_out(blueprints, composition, recipes, _ways(workspace, components))
    told = {each.name for each in learned if recipes.get(each.name) != determining(each.recipe)}
    control = Control(
        "positive",
        f"The model from before removal must be told from what is laid out: of its "
        f"{counted(len({each.name for each in learned}), 'part')} that learned from the removed data, "
        f"{len(told)} are not laid out, or by another recipe.",
        len(told),
        bool(told),
    )
    if strange:
        verdict = Verdict.FAIL
        answer = f"No: from the retained data alone the method does not lay out {'; '.join(strange)}."
    elif not told:
        verdict, answer = Verdict.INCONCLUSIVE, "Not shown: the model from before removal is laid out alike."
    else:
        verdict, answer = Verdict.PASS, "Yes: these parts, by these recipes and with these weights."
    check = Check(
        name=NAME,
        subject=release,
        question=QUESTION,
        answer=answer,
        value=len(strange),
        threshold=0,
        n=len(blueprints),
        verdict=verdict,
        controls=(control,),
        seconds=time.perf_counter() - start,
        detail={"parts": len(blueprints), "not laid out": strange},
    )
    return check, blueprints


def asked_about(samples: Samples, before: Answers, after: Answers) -> str:
    """Return in a sentence what both models were asked about, and how often they answered otherwise."""
    differing = sum(map(_differing, samples.sets, before.sets, after.sets))
    total = sum(map(len, samples.sets))
    return (
        f"Asked about {samples.words}, each in a process of its own, the models before and after answer otherwise on "
        f"{differing:,} of {total:,}."
    )


def _differing(items: Items, before: Answered, after: Answered) -> int:
    """Return how many items two models answer otherwise about, in any bit."""
    pairs = ((before.scores, after.scores), (before.predictions, after.predictions))
    rows = set[int]()
    for old, new in pairs:
        if old is None or new is None:
            continue
        if old.shape != new.shape:
            return len(items)
        rows |= {row for row in range(len(items)) if old[row].tobytes() != new[row].tobytes()}
    return len(rows)


def compared(release: str, samples: Samples, before: Answers, after: Answers) -> tuple[Utility, ...]:
    """Return every measure of two models on held-out and on retained items, the headline of each first."""
    _, retained, held_out = zip(before.sets, after.sets, strict=True)
    return tuple(
        Utility(release, name, metric, len(sample.items), old.measures.get(metric), value)
        for name, sample, (old, new) in (
            ("held-out", samples.held_out, held_out),
            ("retained", samples.retained, retained),
        )
        for metric, value in new.measures.items()
    )


def _ways(workspace: Workspace, components: Sequence[Component]) -> dict[str, list[Json]]:
    """Return, by name, what determines each component, of all recipes it was recorded with."""
    recorded = recordings(workspace)
    return {
        each.name: [determining(one.recipe) for one in recorded.get((each.name, each.digest), [each])]
        for each in components
    }


def _recipes(
    method: Declared,
    blueprints: Sequence[Blueprint],
    spec: ModelSpec,
    components: Mapping[str, str],
    inputs: Mapping[tuple[str, str], str],
) -> dict[str, Json]:
    """Return, by name, what determines each part that is laid out, None where something it learns from is not there.

    ``inputs`` has the digests of shards and artifacts, as recipes name them.
    """
    digests = dict(inputs)
    found: dict[str, Json] = {}
    for blueprint in blueprints:
        name = component_name(spec.release, blueprint.name)
        if name in components:
            digests["component", blueprint.name] = components[name]
        there = all((use.of, use.name) in digests for use in blueprint.inputs)
        found[name] = determining(recipe_for(method, blueprint, digests, spec)) if there else None
    return found


def _not_laid_out(
    blueprints: Sequence[Blueprint],
    composition: Composition,
    recipes: Mapping[str, Json],
    ways: Mapping[str, list[Json]],
) -> list[str]:
    """Return, in words, what a composition has or lacks that the layout from the retained data says otherwise."""
    strange = []
    for name, recipe in recipes.items():
        if name not in ways:
            strange.append(f"the model without {name}")
        elif recipe not in ways[name]:
            strange.append(f"{name} by the recipe recorded")
    weights = {component_name(spec_of(composition).release, each.name): each.weight for each in blueprints}
    extra = sorted({member.name for member in composition.members} - weights.keys())
    if extra and not strange:
        strange.append(", ".join(extra))
    elif not strange and any(member.weight != weights[member.name] for member in composition.members):
        strange.append("its parts with the weights recorded")
    return strange
