"""Puts the components of a composition together into the model that answers."""

from collections.abc import Mapping

from disgorge.layout import blueprint_name
from disgorge.method import Model, ModelSpec, Part, method_named
from disgorge.training.kernels import steer_this_process
from lineage.activity import activity
from lineage.catalog.catalog import Catalog
from lineage.records import Composition, restore
from lineage.storage.objects import load_tensors
from lineage.workspace import Workspace


def spec_of(composition: Composition) -> ModelSpec:
    """Return the model description a composition was made from."""
    return restore(ModelSpec, composition.spec)


@activity("loading the weights and libraries of a model")
def assemble(
    workspace: Workspace, composition: Composition, *, title: str | None = None, kinds: Mapping[str, str] | None = None
) -> Model:
    """Return the model a composition describes, its components read from the object store and verified.

    ``kinds`` has the kind of each member by digest; the catalog is asked where it is not given.
    """
    spec = spec_of(composition)
    if kinds is None:
        with Catalog.of(workspace) as catalog:
            kinds = {component.digest: component.kind for component in catalog.components(live=False)}
    steer_this_process()
    parts = tuple(
        Part(
            blueprint_name(title or spec.release, member.name),
            kinds[member.component],
            member.weight,
            load_tensors(workspace.objects.get(member.component)),
        )
        for member in composition.members
    )
    return method_named(composition.method).assemble(spec, parts)
