"""What must not be deleted, and who needs it: an object is named by its bytes, so two components may rest on one.

A component that was retired and is served all the same is not deleted either, and yet no release may serve it: it is
kept apart, in :attr:`Needs.served`, so that a purge spares it and the search for residue reports it.
"""

from dataclasses import dataclass, field, replace

from disgorge.locations.report_images import drawings, outlived
from lineage.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Needs:
    """What must not be deleted: digest to who needs it."""

    shards: dict[str, str] = field(default_factory=dict)
    objects: dict[str, str] = field(default_factory=dict)
    served: dict[str, str] = field(default_factory=dict)
    """Retired components that a live release serves all the same: not deleted, yet a residue."""
    outlived: frozenset[str] = frozenset()
    """Pictures that no report may show any more (:mod:`disgorge.locations.report_images`): needed by nobody."""


def needs_of(workspace: Workspace) -> Needs:
    """Return what the ledger says is needed now."""
    facts = list(workspace.ledger.facts())
    state = workspace.ledger.state()
    needs = Needs()
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
