"""What must not be deleted, and who needs it: an object is named by its bytes, so two components may rest on one.

A component that was retired and is served all the same is not deleted either, and yet no release may serve it: it is
kept apart, in :attr:`Spare.served`, so that a purge spares it and the search for residue reports it.
"""

from collections.abc import Collection
from dataclasses import replace

from disgorge.locations import fingerprints
from disgorge.locations.location import Spare
from disgorge.locations.report_images import drawings, outlived
from lineage.workspace import Workspace


def tensors_that_go(workspace: Workspace, objects: Collection[str]) -> frozenset[str]:
    """Return the digests of the tensors that only these objects, of those still needed, hold."""
    going = frozenset(objects) - _live_objects(workspace)
    return fingerprints.tensors_of(map(workspace.objects.path, going)) - _live_tensors(workspace) if going else going


def still_gone(workspace: Workspace, tensors: Collection[str]) -> frozenset[str]:
    """Return those of the tensors that nothing live holds by now: a public part may have been recorded since."""
    return frozenset(tensors) - _live_tensors(workspace) if tensors else frozenset()


def _live_objects(workspace: Workspace) -> frozenset[str]:
    spare = spare_of(workspace)
    return frozenset(spare.objects.keys() | spare.served.keys())


def _live_tensors(workspace: Workspace) -> frozenset[str]:
    return fingerprints.tensors_of(map(workspace.objects.path, _live_objects(workspace)))


def spare_of(workspace: Workspace) -> Spare:
    """Return what the ledger says is needed now."""
    facts = list(workspace.ledger.facts())
    state = workspace.ledger.state()
    needs = Spare()
    for shard in state.shards.values():
        if shard.live:
            needs.shards[shard.record.digest] = f"it is live as {shard.record.name}"
    for component in state.components.values():
        if component.live:
            needs.objects[component.record.digest] = f"it is live as {component.record.name}"
    for release in state.releases.values():
        composition = state.compositions.get(release.record.composition)
        if release.live and composition is not None:
            for member in composition.members:
                needs.served[member.component] = f"release {release.record.name} serves it"
    for fact in facts:
        for kind in ("plan", "impact", "evidence", "examination", "validation"):
            if isinstance(digest := fact.body.get(kind), str):
                needs.objects[digest] = f"a fact names it as {kind}"
    told = drawings(workspace)
    for drawing in told:
        if not drawing.outlived:
            needs.objects[drawing.samples] = "an examination shows it"
    return replace(needs, outlived=outlived(told) - needs.objects.keys())
