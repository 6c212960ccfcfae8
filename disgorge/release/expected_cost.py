"""Expected yearly cost of removals under a layout, before anything is trained.

The model: removals are spread evenly over people, and each is carried out at once and by itself. What reads a shard in
which a person has items is trained again, with all that reads it, and costs in proportion to its items.

Left out: what evidence takes, what starting a process takes, and that parts shrink and are dropped over the years.

>>> from lineage.records import Role
>>> def part(name, *shards):
...     inputs = tuple(Input("shard", shard, Role.TRAIN) for shard in shards)
...     return Blueprint(name, "fitted", inputs, {}, examples=100 * len(shards))
>>> people = {frozenset("a"): 50, frozenset("b"): 40, frozenset("ab"): 10}
>>> expected_cost([part("joint", "a", "b")], people, 20, {})
YearlyCost(components=1, retrained=20.0, items=4000.0, seconds=None, share=1.0)
>>> expected_cost([part("a", "a"), part("b", "b")], people, 20, {"fitted": 0.5})
YearlyCost(components=2, retrained=22.0, items=2200.0, seconds=1100.0, share=0.55)
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from disgorge.errors import WrongUse
from disgorge.method import Blueprint, Input

_RATE = re.compile(r"(\d+(?:\.\d+)?)(%?)/year")


@dataclass(frozen=True, slots=True)
class Rate:
    """How many people ask for removal in a year: ``amount`` of them or, as a ``share``, of each hundred."""

    amount: float
    share: bool

    def of(self, people: int) -> float:
        """Return how many of these people ask in a year."""
        return self.amount * people / 100 if self.share else self.amount


@dataclass(frozen=True, slots=True)
class YearlyCost:
    """What removals cost in a year: components and items trained again, and seconds where they can be told.

    ``components`` are those of the model, ``share`` is what one removal costs of training all of them.
    """

    components: int
    retrained: float
    items: float
    seconds: float | None
    share: float


def read_rate(text: str) -> Rate:
    """Return the rate that a text gives; :class:`~disgorge.errors.WrongUse` for another text.

    >>> read_rate("2%/year").of(600), read_rate("20/year").of(600)
    (12.0, 20.0)
    """
    found = _RATE.fullmatch(text.strip())
    if found is None:
        raise WrongUse(f"--expect: {text!r} is no rate of removals; write 2%/year, of all people, or 20/year, so many")
    return Rate(float(found[1]), bool(found[2]))


def expected_cost(
    blueprints: Sequence[Blueprint], people: Mapping[frozenset[str], int], removals: float, pace: Mapping[str, float]
) -> YearlyCost:
    """Return what so many removals a year cost; ``people`` counts those with items in exactly some shards, by name.

    ``pace`` has the seconds that an item takes, by :func:`kind_of_work`; seconds are told if it has all there are.
    """
    touched = {shards: _touched(blueprints, shards) for shards in people}
    whole = sum(people.values())

    def a_removal(value: Callable[[Blueprint], float]) -> float:
        """Return the mean over people of what a removal trains again."""
        of = {shards: sum(value(each) for each in blueprints if each.name in touched[shards]) for shards in people}
        return sum(count * of[shards] for shards, count in people.items()) / whole if whole else 0.0

    def seconds(blueprint: Blueprint) -> float:
        return pace[kind_of_work(blueprint)] * size_of(blueprint)

    is_told = all(kind_of_work(each) in pace for each in blueprints)
    cost = seconds if is_told else size_of
    full = sum(map(cost, blueprints))
    return YearlyCost(
        components=len(blueprints),
        retrained=removals * a_removal(lambda _: 1.0),
        items=removals * a_removal(size_of),
        seconds=removals * a_removal(seconds) if is_told else None,
        share=a_removal(cost) / full if full else 0.0,
    )


def size_of(blueprint: Blueprint) -> float:
    """Return what the cost of training a component is proportional to: its items, or its steps."""
    return float(blueprint.examples or blueprint.steps or 1)


def kind_of_work(blueprint: Blueprint) -> str:
    """Return what components have in common that take as long for an item: their kind and their user's function."""
    return " ".join((blueprint.kind, *([train] if isinstance(train := blueprint.parameters.get("train"), str) else [])))


def _touched(blueprints: Sequence[Blueprint], shards: frozenset[str]) -> frozenset[str]:
    """Return the names of the components that read one of these shards, or another such component."""
    found = set[str]()
    for blueprint in blueprints:
        if any(_reads(use, shards, found) for use in blueprint.inputs):
            found.add(blueprint.name)
    return frozenset(found)


def _reads(use: Input, shards: frozenset[str], components: set[str]) -> bool:
    return use.name in (shards if use.of == "shard" else components if use.of == "component" else ())
