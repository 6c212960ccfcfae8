"""Puts the components of a composition together into the model that answers."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from disgorge.errors import ExecutionFailed
from disgorge.layout import blueprint_name
from disgorge.method import Method, Model, ModelSpec, Part, method_named, takes_artifacts
from disgorge.training.recipe import Inputs
from lineage.activity import activity
from lineage.records import Composition, restore


def spec_of(composition: Composition) -> ModelSpec:
    """Return the model description a composition was made from."""
    return restore(ModelSpec, composition.spec)


def artifacts_for(function: Callable[..., Any], folders: tuple[Path, ...], *, of: str) -> dict[str, Any]:
    """Return the argument by which a method's function is given artifacts, none where it takes none.

    Raises :class:`ExecutionFailed` where there are some to be used and it takes none.
    """
    if takes_artifacts(function):
        return {"artifacts": folders}
    if folders and of.endswith(".train"):
        raise ExecutionFailed(f"{of} is to be given artifacts and takes no argument of that name; mend the method")
    return {}


@activity("loading the weights and libraries of a model")
def put_together(
    inputs: Inputs,
    composition: Composition,
    kinds: Mapping[str, str],
    *,
    title: str | None = None,
    method: Method | None = None,
    artifacts: Sequence[str] = (),
) -> Model:
    """Return the model a composition describes; ``kinds`` has the kind of each member by digest.

    ``artifacts`` are the digests of those that its description names, in the order of their names.

    ``title`` is the name its components are recorded under, the release's by default; ``method`` is the composition's,
    where it is loaded already.
    """
    spec = spec_of(composition)
    parts = tuple(
        Part(
            blueprint_name(title or spec.release, member.name),
            kinds[member.component],
            member.weight,
            inputs.tensors(member.component),
        )
        for member in composition.members
    )
    maker = method or method_named(composition.method)
    folders = tuple(map(inputs.artifact, artifacts)) if takes_artifacts(maker.assemble) else ()
    return maker.assemble(spec, parts, **artifacts_for(maker.assemble, folders, of=f"{maker.name}.assemble"))
