"""What live records still need, and so no location deletes, with who needs it: two components may share one object.

A component that was retired and is served all the same is not deleted either, and yet no release may serve it: it is
kept apart, in :attr:`Spare.served`, so that a purge spares it and the search for residue reports it.
"""

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from disgorge.locations.fingerprints import digests_by_name, tensors_of
from disgorge.locations.location import Spare, Target
from disgorge.locations.report_images import drawings, outlived
from lineage.artifacts.files import objects_of
from lineage.ledger.chain import Fact
from lineage.ledger.state import state_of
from lineage.storage.components import files_of
from lineage.storage.tensor_samples import TensorSample, is_float, products_of, sample_of
from lineage.storage.tensors import map_tensor, places_of
from lineage.storage.tree import listed
from lineage.workspace import Workspace


def tensors_that_go(workspace: Workspace, objects: Collection[str], coming: Sequence[Fact] = ()) -> frozenset[str]:
    """Return the digests of the tensors that only these objects hold, of those needed once these facts have come."""
    spare = spare_of(workspace, coming)
    going = frozenset(objects) | files_that_go(workspace, objects).keys()
    going = going - spare.objects.keys() - spare.served.keys()
    return tensors_of(map(workspace.objects.path, going)) - _needed_tensors(workspace, spare) if going else going


def samples_that_go(
    workspace: Workspace, objects: Collection[str], tensors: Collection[str]
) -> tuple[TensorSample, ...]:
    """Return samples of those of the tensors, by digest, that these objects hold, and of the products of adapters."""
    found = list[TensorSample]()
    for each in dict.fromkeys((*objects, *files_that_go(workspace, objects))) if tensors else ():
        path = workspace.objects.path(each)
        digests = {name: digest for name, digest in digests_by_name(path).items() if digest in tensors}
        if digests:
            places = [place for place in places_of(path)[0] if place.name in digests and is_float(place)]
            found += [
                sample_of(map_tensor(path, place), name=place.name, digest=digests[place.name], of=each)
                for place in places
            ]
            found += products_of({p.name: map_tensor(path, p) for p in places}, digests=digests, of=each)
    return tuple(found)


def of_tensors(samples: Iterable[TensorSample], tensors: Collection[str]) -> tuple[TensorSample, ...]:
    """Return the samples of these tensors, by digest."""
    return tuple(sample for sample in samples if sample.digest in tensors)


def retained_files(workspace: Workspace, spare: Spare, target: Target) -> tuple[Path, ...]:
    """Return where the objects lie that something live needs or serves, and that are not to go."""
    return tuple(map(workspace.objects.path, sorted({*spare.objects, *spare.served}.difference(target.weights))))


def files_that_go(workspace: Workspace, components: Iterable[str]) -> dict[str, int]:
    """Return the files of those of these components, by digest, that are folders, with their sizes."""
    return {file.sha256: file.size for each in components for file in files_of(workspace.objects, each)}


def still_gone(workspace: Workspace, tensors: Collection[str]) -> frozenset[str]:
    """Return those of the tensors that nothing live holds by now: a public part may have been recorded since."""
    return frozenset(tensors) - _needed_tensors(workspace, spare_of(workspace)) if tensors else frozenset()


def _needed_tensors(workspace: Workspace, spare: Spare) -> frozenset[str]:
    return tensors_of(map(workspace.objects.path, {*spare.objects, *spare.served}))


def spare_of(workspace: Workspace, coming: Sequence[Fact] = ()) -> Spare:
    """Return what the ledger says is needed, once these facts have come too."""
    facts = (*workspace.ledger.facts(), *coming)
    state = state_of(coming, after=workspace.ledger.state())
    shards, objects, served = dict[str, str](), dict[str, str](), dict[str, str]()
    for shard in state.shards.values():
        if shard.live:
            shards[shard.record.digest] = f"it is live as {shard.record.name}"
    for artifact in state.artifacts.values():
        if artifact.live:
            needed = f"artifact {artifact.record.name} has it"
            objects |= dict.fromkeys(objects_of(workspace, artifact.record), needed)
    for component in state.components.values():
        if component.live:
            needed = f"it is live as {component.record.name}"
            objects |= dict.fromkeys(_objects_of(workspace, component.record.digest), needed)
            if isinstance(code := component.record.recipe.get("code"), str):
                needed = f"it is code that {component.record.name} was made with"
                objects |= {code: needed} | {file.sha256: needed for file in listed(workspace.objects, code)}
    for release in state.releases.values():
        composition = state.compositions.get(release.record.composition)
        if release.live and composition is not None:
            if isinstance(code := composition.stored_code.get("code"), str):
                needed = f"it is code that release {release.record.name} answers by"
                objects |= {code: needed} | {file.sha256: needed for file in listed(workspace.objects, code)}
            for member in composition.members:
                needed = f"release {release.record.name} serves it"
                served |= dict.fromkeys(_objects_of(workspace, member.component), needed)
    for fact in facts:
        for kind in ("plan", "impact", "evidence", "examination", "validation"):
            if isinstance(digest := fact.body.get(kind), str):
                objects[digest] = f"a fact names it as {kind}"
    images = drawings(workspace, coming)
    objects |= {image.samples: "an examination shows it" for image in images if not image.outlived}
    return Spare(shards, objects, served, outlived(images) - objects.keys(), facts, state)


def _objects_of(workspace: Workspace, component: str) -> tuple[str, ...]:
    """Return the objects that a component takes: itself, and the files of one that is a folder."""
    return (component, *(file.sha256 for file in files_of(workspace.objects, component)))
