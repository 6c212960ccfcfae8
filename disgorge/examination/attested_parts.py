"""Which parts of a release stand on their attestations, as closely as a plan demands."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from disgorge.attestation.standing import Attested, Proof, Refusal, Standing, standing, standings
from disgorge.method import libraries_for
from disgorge.plan.plan import Plan
from disgorge.training.environment import can_be_reused
from disgorge.training.make import recordings
from disgorge.training.runners.declared import declared_methods
from lineage.records import Component
from lineage.workspace import Workspace
from policies.taxonomy import Confinement


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a release under a plan; those named in ``twice`` need a second run that made the same bytes."""

    components: tuple[Component, ...]
    plan: Plan
    withdrawn: frozenset[str]
    twice: Collection[str] = ()

    def judge(self, workspace: Workspace) -> "Judged":
        """Return what the attestations recorded by now show."""
        attested = Attested.of(workspace)
        found = standings(attested, self.components, accepts=self.plan.confinement, withdrawn=self.withdrawn)
        least = min((each.level or Confinement.PROCESS for each in found), key=lambda level: level.rank, default=None)
        shown_by: dict[str, str] = {}
        unshown: dict[str, str] = {}
        for component, each in zip(self.components, found, strict=True):
            shown_by[component.name] = each.shown_by
            if not each.stands:
                unshown[component.name] = each.why
            elif component.name in self.twice and not ((proof := proof_of(attested, component)) and proof.reproducible):
                unshown[component.name] = f"{component.name}: equal bits are demanded, and no second run reached them"
        return Judged(shown_by, unshown, least, _gaps(attested, found))


@dataclass(frozen=True, slots=True)
class Judged:
    """By name of a part: what shows where its bytes came from, and why that is less than is demanded."""

    shown_by: dict[str, str]
    unshown: dict[str, str]
    level: Confinement | None
    """The level of the least confined run."""
    gaps: tuple[str, ...]
    """What any of the boxes did without."""


def _gaps(attested: Attested, found: Iterable[Standing]) -> tuple[str, ...]:
    named = {each.attestation for each in found}
    gaps = (attested.opened(fact).gaps for fact in attested.facts if fact.attestation in named)
    return tuple(sorted({gap for each in gaps for gap in each}))


def proof_of(attested: Attested, component: Component) -> Proof | None:
    """Return what an attestation that holds says of how a component was made, None where none does."""
    try:
        return attested.proof(component)
    except Refusal:
        return None


def ran_confined(attested: Attested, component: Component) -> bool:
    """Whether a confined run of its recipe made a component, by an attestation that holds."""
    proof = proof_of(attested, component)
    return proof is not None and proof.level is not Confinement.PROCESS


def stands_as_recorded(attested: Attested, recorded: Iterable[Component], accepts: Confinement) -> Component | None:
    """Return the last of the recordings of one component that stands on its attestation, None if none does."""
    found = [each for each in recorded if standing(attested, each, accepts=accepts).stands]
    return found[-1] if found else None


def recordings_for_here(
    workspace: Workspace, components: Iterable[Component], accepts: Confinement
) -> tuple[Component, ...]:
    """Return of each component the recording to look at: one that stands, else one of this environment, else the last.

    Two recipes, or two environments, may make the same bytes.
    """
    recorded, attested = recordings(workspace), Attested.of(workspace)
    methods, chosen = declared_methods(), []
    for component in components:
        several = recorded.get((component.name, component.digest), [component])
        method = methods.get(several[-1].recipe.get("method", ""))
        libraries = libraries_for(method, several[-1].kind) if method else ()
        here = [each for each in several if can_be_reused(each, libraries)]
        chosen.append(stands_as_recorded(attested, several, accepts) or (here or several)[-1])
    return tuple(chosen)
