"""Puts the components of a composition together into the model that answers."""

from collections.abc import Mapping

from disgorge.layout import blueprint_name
from disgorge.method import Method, Model, ModelSpec, Part, method_named
from disgorge.training.recipe import Inputs
from lineage.activity import activity
from lineage.records import Composition, restore


def spec_of(composition: Composition) -> ModelSpec:
    """Return the model description a composition was made from."""
    return restore(ModelSpec, composition.spec)


@activity("loading the weights and libraries of a model")
def put_together(
    inputs: Inputs,
    composition: Composition,
    kinds: Mapping[str, str],
    *,
    title: str | None = None,
    method: Method | None = None,
) -> Model:
    """Return the model a composition describes; ``kinds`` has the kind of each member by digest.

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
    return (method or method_named(composition.method)).assemble(spec, parts)
