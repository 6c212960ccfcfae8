"""Which releases are out of service, and for what: a removal that contained them, or a hold that stopped them.

A hold may say that models which learned from held items are not served (``--serving stop``). A release is reached by it
if a component of it learned, in any role and through other components, from a shard that has a held item; so a release
made later is reached too. A ``release-contained`` fact with ``hold`` records that a hold stopped one, without it that
a removal contained one; a later ``release`` fact under the same name and alias ends both.

Negative consequence: a held item reaches every component that learned from its shard, also where that component's own
part of the shard did not have the item.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from disgorge.request.case import Case
from disgorge.request.holds.open import Hold, open_holds
from lineage.catalog.influence import by_digest, influences
from lineage.ledger.chain import Fact
from lineage.ledger.fact_kinds import FACT_KINDS, ReleaseContainedFact, ReleaseFact
from lineage.ledger.state import State
from lineage.records import Composition

STOP = "stop"
"""What a hold says of serving where models that learned from its items are taken out of service."""

Key = tuple[str, str]
"""A release by name and alias."""


@dataclass(slots=True)
class KeptOut:
    """The requests whose removals contained a release, and those whose holds stopped it, since it was released last."""

    removals: set[str] = field(default_factory=set)
    holds: set[str] = field(default_factory=set)


def kept_out(facts: Iterable[Fact]) -> dict[Key, KeptOut]:
    """Return what was recorded of releases taken out of service, by name and alias."""
    by_release: dict[Key, KeptOut] = {}
    for fact in (each for each in facts if each.kind in ("release", "release-contained")):
        match FACT_KINDS[fact.kind].read(fact):
            case ReleaseFact(name, alias):
                by_release.pop((name, alias), None)
            case ReleaseContainedFact(name, alias, request, hold):
                reasons = by_release.setdefault((name, alias), KeptOut())
                (reasons.holds if hold else reasons.removals).add(request)
    return by_release


def stopping_holds(cases: Mapping[str, Case]) -> tuple[Hold, ...]:
    """Return the open holds that say that models which learned from their items are not served."""
    return tuple(hold for case in cases.values() for hold in open_holds(case) if hold.terms.serving == STOP)


def stopped_releases(facts: Iterable[Fact], cases: Mapping[str, Case]) -> dict[Key, tuple[str, ...]]:
    """Return the releases that holds stopped, with the requests whose holds are open and still say so."""
    still = {hold.request for hold in stopping_holds(cases)}
    stopped = {key: tuple(sorted(reasons.holds & still)) for key, reasons in kept_out(facts).items()}
    return {key: requests for key, requests in stopped.items() if requests}


def stopped_words(requests: Iterable[str]) -> str:
    """Say which holds stopped a release."""
    return f"stopped by the hold of {' and of '.join(requests)}"


def learned_from(composition: Composition, state: State, shards: Collection[str]) -> bool:
    """Return whether a member of a composition learned from one of these shards, through any role and any component."""
    components = by_digest(entry.record for entry in state.components.values())
    members = [each for member in composition.members for each in components.get(member.component, ())]
    return not influences(members, components).isdisjoint(shards)
