"""The lineage-closure check: no live path from what was withdrawn to what is released.

Looks at what the ledger says, and at whether the ledger agrees with itself: a component's recorded uses must be those
of its recipe, and no withdrawn shard's digest may stand anywhere in one, as a seed's origin or a remark.
It cannot see a training input that was not recorded; the never-trained check is what catches that.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from disgorge.evidence.checks import Check, Control, Verdict
from lineage.catalog.influence import first_named, influences
from lineage.ledger.state import influences_of
from lineage.records import Component, Use


def lineage_closure(
    release: str,
    *,
    before: Sequence[Component],
    after: Sequence[Component],
    known: Mapping[str, Sequence[Component]],
    withdrawn: frozenset[str],
    shards: frozenset[str] | None = None,
) -> Check:
    """Return whether any withdrawn shard still reaches the components of a release.

    Positive control: the same search over the components before removal must reach one. Where ``shards``, all that were
    ever recorded, are given, a lineage that ends in something that was not recorded is inconclusive.
    """
    reached_before = len(influences(before, known) & withdrawn)
    shaped_by = influences(after, known)
    reached = shaped_by & withdrawn
    unknown = sorted(shaped_by - shards - known.keys()) if shards is not None else []
    crooked = [component.name for component in after if component.recipe and not _agrees(component)]
    naming = naming_in_recipes((*after, *(each for digest in shaped_by for each in known.get(digest, ()))), withdrawn)
    control = Control(
        "positive", "the same search, before removal, finds the withdrawn data", reached_before, reached_before > 0
    )
    if reached or crooked or naming:
        verdict = Verdict.FAIL
        if reached:
            answer = f"{len(reached)} withdrawn shards still reach {release}"
        elif crooked:
            answer = f"the recorded uses of {', '.join(crooked)} are not those of the recipe"
        else:
            answer = f"a withdrawn shard's digest stands in the recipe of {', '.join(naming)}"
    elif unknown:
        verdict = Verdict.INCONCLUSIVE
        answer = f"{release} learned from {unknown[0]}, which is not recorded, so what that learned from is unknown"
    elif not control.held:
        verdict, answer = Verdict.INCONCLUSIVE, "the search found nothing before removal either, so it shows nothing"
    else:
        verdict, answer = Verdict.PASS, f"no recorded path leads from the withdrawn data to {release}"
    return Check(
        name="lineage-closure",
        subject=release,
        question="Does any recorded path lead from the withdrawn data to the release?",
        answer=answer,
        value=len(reached) + len(crooked) + len(naming),
        threshold=0,
        n=len(after),
        verdict=verdict,
        controls=(control,),
        detail={"reached": sorted(reached), "disagreeing": crooked, "naming": naming},
    )


def naming_in_recipes(components: Iterable[Component], withdrawn: Collection[str]) -> list[str]:
    """Return the names of components in whose recipe one of these digests stands, anywhere."""
    return sorted({each.name for each in components if each.recipe and first_named(each.recipe, withdrawn)})


def _recipe_uses(component: Component) -> set[Use]:
    return set(influences_of(replace(component, uses=())))


def _agrees(component: Component) -> bool:
    return set(component.uses) == _recipe_uses(component)
