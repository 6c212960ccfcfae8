"""Which components a release of recorded components has: those that removed data did not shape, or that can do without.

One that a function of the user's made is laid out over what is left of its shards, in the order in which its recipe had
them, and so trained again; one without a recipe stays as long as every shard that shaped it is the one it was.
"""

from collections.abc import Iterator, Mapping

from disgorge.method import RECORDED, Blueprint, Input, ModelSpec
from disgorge.methods.function.settings import Settings, Shaping, Used
from lineage.records import Json, Role, Shard

FITTED = "fitted"
"""The kind of what a user's function trains."""


def composed(spec: ModelSpec, given: Settings, shards: Mapping[str, Shard]) -> Iterator[Blueprint]:
    """Yield the components there should be, by name."""
    laid_out = []
    for name in sorted(given.components):
        if (inputs := _inputs(given.components[name], shards)) is not None:
            laid_out.append((name.removeprefix(f"{spec.release}/"), given.components[name], inputs))
    for name, component, inputs in laid_out:
        examples = sum(shards[each.name].count for each in inputs if each.of == "shard")
        kind = RECORDED if component.parameters is None else FITTED
        parameters = _parameters(spec, component, inputs)
        yield Blueprint(name, kind, inputs, parameters, 1 / len(laid_out), 1, examples)


def _inputs(component: Shaping, shards: Mapping[str, Shard]) -> tuple[Input, ...] | None:
    """Return what a component is made from, None where it is not laid out."""
    there = [use for use in component.uses if use.of == "artifact" or _is_there(use, shards)]
    if component.parameters is None:
        if len(there) < len(component.uses) or any(use.of == "shard" and not _as_it_was(use, shards) for use in there):
            return None
    elif _trains(component.uses) and not _trains(there):
        return None
    return tuple(Input(use.of, str(use.name), Role(use.role)) for use in there)


def _parameters(spec: ModelSpec, component: Shaping, inputs: tuple[Input, ...]) -> dict[str, Json]:
    """Return those of a recipe, with how many of the shards there are only choose."""
    if component.parameters is None:
        return {"seed": spec.seed}
    select = sum(each.role is Role.SELECT for each in inputs)
    others = {name: value for name, value in component.parameters.items() if name != "select"}
    return others | ({"select": select} if select else {})


def _is_there(use: Used, shards: Mapping[str, Shard]) -> bool:
    return use.name is not None and use.name in shards and shards[use.name].count > 0


def _as_it_was(use: Used, shards: Mapping[str, Shard]) -> bool:
    return use.name is not None and shards[use.name].digest == use.digest


def _trains(uses: list[Used]) -> bool:
    return any(use.of == "shard" and use.role == Role.TRAIN.value for use in uses)
