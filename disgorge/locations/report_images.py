"""Images that a generator drew for a report, kept as objects, and which of them no report may show any more.

An examination keeps what the model before a removal drew and what the one after it did. Both learned from everything
that was retained, and may show it; when a later request removes some of that, the pictures go with the old weights. The
request's own pictures stay, because they are what its report shows, and the report says so.

Which models drew, and from what they learned, is read off the ledger. Negative consequence: pictures go whether or not
they show anything, and a report that is written again after that has none.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from disgorge.facts import ExaminationFact, PlanFact, StepFact
from disgorge.locations.location import Copy, Deletion, Location, Spare, Target, Traces
from lineage.catalog.influence import by_digest, influences
from lineage.errors import LineageError
from lineage.ledger.chain import Fact
from lineage.ledger.fact_kinds import ArtifactWithdrawnFact, ShardWithdrawnFact, said
from lineage.ledger.state import State, cut_from, state_of
from lineage.records import Component
from lineage.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Drawing:
    """An object with pictures, by digest, a request whose report shows it, and the later ones that it outlived."""

    samples: str
    request: str
    outlived: tuple[str, ...]


class ReportImages(Location):
    """The location of the images of reports; deletes those that no report may show any more."""

    name = "report images"

    def search(self, target: Target, spare: Spare) -> Traces:
        """Find nothing more: the images are objects, and are found there."""
        return Traces()

    def plan(self, target: Target, spare: Spare) -> Deletion:
        """List the images that go, and name the earlier reports that show them."""
        going = sorted(spare.outlived - spare.served.keys() - spare.objects.keys())
        paths = tuple(path for path in map(self.workspace.objects.path, going) if path.is_file())
        shown = (each.request for each in drawings(self.workspace) if target.request in each.outlived)
        left = (
            f"the report of request {request}, in reports/{request} and with its recipients, shows pictures that "
            f"a model drew after learning from them; look at them, and delete it where they show what was removed"
            for request in dict.fromkeys(shown)  # part of what was signed and handed out: no purge reaches them
        )
        return Deletion(paths=paths, left=Copy.UNSUPPORTED.words(left))


def drawings(workspace: Workspace, coming: Sequence[Fact] = ()) -> tuple[Drawing, ...]:
    """Return every drawing that an examination shows once these facts have come, whether or not it is still there."""
    facts = [*workspace.ledger.facts(), *coming]
    shown = [examined for _, examined in said(facts, ExaminationFact)]
    drawn = [(each.plan, samples) for each in shown if (samples := _samples_of(workspace, each.examination))]
    if not drawn:
        return ()
    state = state_of(coming, after=workspace.ledger.state())
    components = by_digest(entry.record for entry in state.components.values())
    asked = {planned.plan: (planned.request, *planned.others) for _, planned in said(facts, PlanFact)}
    gone = _gone(facts, state)
    told = []
    for plan, samples in drawn:
        requests, learned = asked.get(plan, ("",)), _learned_from(facts, plan, state, components)
        outlived = tuple(other for other, shards in gone.items() if other != requests[0] and shards & learned)
        told += [Drawing(samples, request, outlived) for request in requests]
    return tuple(told)


def outlived(told: Iterable[Drawing]) -> frozenset[str]:
    """Return the pictures, by digest, that no report may show any more; equal ones that one still may are not."""
    told = tuple(told)
    shown = {each.samples for each in told if not each.outlived}
    return frozenset(each.samples for each in told if each.outlived) - shown


def _gone(facts: Sequence[Fact], state: State) -> dict[str, frozenset[str]]:
    """Return what each request withdrew: shards by digest, those each was cut from, and artifacts."""
    withdrawn: dict[str, list[str]] = {}
    for _, each in said(facts, ShardWithdrawnFact):
        withdrawn.setdefault(each.request, []).append(each.shard)
    for _, artifact in said(facts, ArtifactWithdrawnFact):
        withdrawn.setdefault(artifact.request, []).append(artifact.artifact)
    recorded = [entry.record for entry in state.shards.values()]
    return {request: frozenset(cut_from(recorded, shards)) for request, shards in withdrawn.items()}


def _learned_from(
    facts: Sequence[Fact], plan: str, state: State, components: Mapping[str, Sequence[Component]]
) -> frozenset[str]:
    """Return the digests of all that shaped a model which a plan replaced or composed."""
    results = [done.result for _, done in said(facts, StepFact) if done.plan == plan]
    composed = state.compositions.keys() & {result.get(side) for result in results for side in ("before", "after")}
    members = [member.component for digest in composed for member in state.compositions[digest].members]
    return influences((each for digest in members for each in components.get(digest, ())), components)


def _samples_of(workspace: Workspace, examination: str) -> str | None:
    """Return the object with the pictures that an examination shows; None where there is none or it cannot be read."""
    try:
        document = json.loads(workspace.objects.get(examination))
    except (LineageError, ValueError):
        return None  # the check of digests reports it
    samples = document.get("samples") if isinstance(document, dict) else None
    return samples if isinstance(samples, str) else None
