"""The input of `Method.layout`, and what is required of its result.

A layout is a function of the model file and of *the shards there are*. So a method is shown of a shard what its
components may depend on, and nothing that tells what was there before: not which shard it was cut from, not where its
rows came from, not the file they lie in. And a model file keeps the names of shards that are gone, so the model is
laid out a second time without them: the same parts, by the same parameters and with the same weights, must come out.

Which of the *retained* shards a part reads may follow from the names in the file, as the edges of a shard graph do:
that is the negative consequence, and what :mod:`disgorge.methods.shard_graph` says of its graph.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from disgorge.errors import BadModel
from disgorge.method import Blueprint, Declared, ModelSpec
from lineage.records import Json, Member, Shard


def layout_of(method: Declared, spec: ModelSpec, shards: Mapping[str, Shard]) -> tuple[Blueprint, ...]:
    """Return the components there should be over ``shards``, those that exist by name: what every caller uses.

    Raises :class:`BadModel` for a part without a seed that a removable shard has influence on, since references could
    not be told from it, and for a layout that depends on names of shards that are gone.
    """
    shown = {name: as_shown(shard) for name, shard in shards.items()}
    blueprints = method.layout(spec, shown)
    _require_seeds(method, spec, blueprints)
    gone = {name for name in (*spec.core, *spec.shards, *spec.evaluate) if name not in shards}
    if gone:
        _require_the_same(method, spec, blueprints, method.layout(without_names(spec, gone), shown))
    return blueprints


def component_name(release: str, blueprint: str) -> str:
    """Return the name under which a release's component is recorded."""
    return f"{release}/{blueprint}"


def blueprint_name(release: str, component: str) -> str:
    """Return the layout's name of a recorded component: the inverse of :func:`component_name`."""
    return component.removeprefix(f"{release}/")


def reference_release(release: str, number: int | str) -> str:
    """Return the name under which the components of a never-trained reference are recorded."""
    return f"{release}~reference-{number}"


def of_reference(component: str) -> bool:
    """Whether a component is called as one of a never-trained reference is.

    >>> of_reference(component_name(reference_release("digits", 2), "head")), of_reference("digits/head")
    (True, False)
    """
    return re.search(r"~reference-[0-9]+/", component) is not None


def as_shown(shard: Shard) -> Shard:
    """Return of a shard what a layout may depend on: its name, what is in it, and on what terms."""
    return replace(shard, source=None, derived_from=None, dvc=None, manifest=None)


def touched_by_removable(spec: ModelSpec, blueprints: Collection[Blueprint]) -> frozenset[str]:
    """Return the names of the blueprints that a removable shard has influence on, directly or through others."""
    removable, touched = set(spec.shards), set[str]()
    for blueprint in blueprints:
        of = {"shard": removable, "component": touched}
        if any(use.name in of.get(use.of, ()) for use in blueprint.inputs):
            touched.add(blueprint.name)
    return frozenset(touched)


def is_emptied(spec: ModelSpec, before: Iterable[Member], blueprints: Collection[Blueprint]) -> bool:
    """Whether a removal takes away every weighted part that learned from removable data, where there was one.

    ``before`` are the members of the composition as it was, ``blueprints`` the layout over the shards that stay. A part
    whose weight is 0, such as a frozen backbone, answers nothing by itself and does not count.
    """
    touched = touched_by_removable(spec, blueprints)
    if any(blueprint.weight and blueprint.name in touched for blueprint in blueprints):
        return False
    remaining = {f"{spec.release}/{blueprint.name}" for blueprint in blueprints}
    return any(member.weight and member.name not in remaining for member in before)


def without_names(spec: ModelSpec, gone: Collection[str]) -> ModelSpec:
    """Return a model's description as it would be without these shards.

    >>> without_names(ModelSpec("r", "m", (), ("a", "b"), parameters={"edges": {"a": ["b"], "b": []}}), {"b"})
    ModelSpec(release='r', method='m', core=(), shards=('a',), evaluate=(), alias='live', seed=0, threads=1, \
parameters={'edges': {'a': []}}, device='cpu', deterministic=True, artifacts={})
    """

    def kept(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: kept(each) for key, each in value.items() if key not in gone and not _names(each, gone)}
        if isinstance(value, list | tuple):
            return [kept(each) for each in value if not _names(each, gone)]
        return value

    def there(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name for name in names if name not in gone)

    return replace(
        spec,
        core=there(spec.core),
        shards=there(spec.shards),
        evaluate=there(spec.evaluate),
        parameters=kept(spec.parameters),
    )


def _names(value: Json, gone: Collection[str]) -> bool:
    return isinstance(value, str) and value in gone


def _require_seeds(method: Declared, spec: ModelSpec, blueprints: tuple[Blueprint, ...]) -> None:
    touched = touched_by_removable(spec, blueprints)
    for blueprint in blueprints:
        seed = blueprint.parameters.get("seed")
        if blueprint.name in touched and (not isinstance(seed, int) or isinstance(seed, bool)):
            raise BadModel(
                f"method {method.name} lays {blueprint.name} out without a whole number as parameter 'seed', which "
                "models to compare with are trained by; a part that draws nothing still names one"
            )


def _require_the_same(
    method: Declared, spec: ModelSpec, found: tuple[Blueprint, ...], unnamed: tuple[Blueprint, ...]
) -> None:
    """Raise :class:`BadModel` where parts, parameters or weights differ once the removed shards are no longer named."""

    def by_name(blueprints: tuple[Blueprint, ...]) -> dict[str, Any]:
        return {b.name: (b.kind, b.parameters, b.weight) for b in blueprints}

    here, there = by_name(found), by_name(unnamed)
    differing = sorted(name for name in here.keys() | there.keys() if here.get(name) != there.get(name))
    if differing:
        raise BadModel(
            f"method {method.name} lays {', '.join(differing[:3])} of {spec.release} out by names of shards that are "
            "gone, so the model would differ from one whose file never named them; mend the method, or destroy the "
            f"release (`disgorge request plan REQUEST --withdraw {spec.release}`)"
        )
