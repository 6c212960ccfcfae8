"""Puts components into what ``predict`` is given: those of the last stage, each with those of the stages before."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from disgorge.errors import BadModel
from disgorge.method import RECORDED, ModelSpec, Part
from disgorge.methods.function.answer import FunctionModel
from disgorge.methods.function.composed import FITTED
from disgorge.methods.function.layout import BASE, CLASSES
from disgorge.methods.function.settings import Settings, read_settings
from disgorge.methods.function.train import read_classes
from disgorge.methods.shared.digest import tensors_digest


def model_of(spec: ModelSpec, parts: tuple[Part, ...], artifacts: Sequence[Path]) -> FunctionModel:
    """Return the model that these parts make; their order carries no meaning."""
    given = read_settings(spec.parameters)
    if strange := [part for part in parts if part.kind not in (CLASSES, FITTED, RECORDED)]:
        raise BadModel(f"component {strange[0].name} is of kind {strange[0].kind!r}, which function has no use for")
    if given.components:
        all_answer = sorted(parts, key=lambda part: (_digest(part.tensors), part.name))
        return FunctionModel(spec, given, [(part.weight, part.tensors) for part in all_answer], None, artifacts)
    ordered = sorted(parts, key=lambda part: (part.name.partition("/")[0], _digest(part.tensors), part.name))
    named: dict[str, dict[str, Part]] = {}
    for part in ordered:
        stage, _, node = part.name.partition("/")
        named.setdefault(stage, {})[node] = part
    found = named.get(CLASSES, {}).get("")
    classes = read_classes(found.tensors) if found is not None else None
    declared = given.classes if isinstance(given.classes, list) else None
    last = named.get(given.last, {})
    answering = [
        (part.weight, _with_stages(given, node, part, named))
        for node, part in last.items()
        if node != BASE or len(last) == 1
    ]
    return FunctionModel(spec, given, answering, declared if classes is None else classes, artifacts)


def _with_stages(given: Settings, node: str, part: Part, named: dict[str, dict[str, Part]]) -> Any:
    """Return the component itself, or by the name of its stage with those of the other stages."""
    if not given.is_staged:
        return part.tensors
    found: dict[str, Any] = {}
    for name in given.stages:
        there = named.get(name, {})
        if name == given.last:
            found[name] = part.tensors
        elif "" in there or node in there:
            found[name] = (there.get(node) or there[""]).tensors
        elif there:
            several = [each.tensors for other, each in there.items() if other != BASE]
            found[name] = tuple(several or (each.tensors for each in there.values()))
    return found


def _digest(component: Any) -> str:
    """Return what orders components: the digest of arrays, or the name of a folder, which is called by its digest."""
    return component.name if isinstance(component, Path) else tensors_digest(component)
