"""House rules, which hold under every pack and guard what cannot be undone.

- A legal hold keeps the data; a selector that matches nothing removes nothing.
- *Guards of data* send every removal to a person: a shard that a law or a public task says to keep, and anything
  about the request that could not be understood or evaluated. A pack that grants nothing (an organization's own
  reservations) guards in the same way.
- *Guards of a claim* send one pack's grant to a person: the requester was not identified; data of several people is
  reached; data declared not removable is reached. They follow what is reached and what is known, not the standing of
  the requester, for a standing is only what is said: official requests are forged, agents ask for too much. The
  rule that grants may say that it needs no identity, or reaches everyone, or the core; no other pack's rule can say it
  for it.

An **own decision** of the operator has no claimant, so there is no person to identify, no claim to exceed with several
people's data: these two guards do not apply to it. Holds, retention by law, the core and doubts are about the data
itself, and do.

The cost: a pack whose claim is about many people by its nature has to say so, or each such request is reviewed.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from lineage.records import Impact
from policies.judging.claims import scope_of
from policies.judging.fired import Fired, PackResult, doubt, of_the_house, outcomes
from policies.packs.rules import ConfinementSpec
from policies.request import OWN_DECISION, RemovalRequest, Standing
from policies.taxonomy import CARRIED_OUT, Confinement, Defect, Family, Outcome, Refusal, Scope
from policies.vocabulary.legal_basis import LegalBasis, basis_of

_REVIEW = Outcome.NEEDS_REVIEW
_KEPT_BY_LAW = (LegalBasis.LEGAL_OBLIGATION, LegalBasis.PUBLIC_TASK)

OWN_FAMILIES = (Family.RETRAINING, Family.SELECTIVE_FORGETTING, Family.COMPARTMENTALIZATION)


def held(request: RemovalRequest) -> Iterator[Fired]:
    """Yield the legal hold that the request itself records."""
    if request.legal_hold or request.facts.get("legal_hold") is True:
        words = (
            "the data is under a legal hold: it must be preserved, and the hold beats every removal until it is lifted"
        )
        yield of_the_house("legal-hold", words, Outcome.ON_HOLD, category="legal-hold")


def unmatched(impact: Impact) -> Iterator[Fired]:
    """Yield the refusal of a request that selects nothing."""
    if impact.items == 0 and not impact.artifacts:
        words = "no item matches the selectors, so there is nothing to remove"
        yield of_the_house("no-match", words, Outcome.DENIED, refusal=Refusal.NO_MATCH)


def doubts(found: Iterable[str]) -> Iterator[Fired]:
    """Yield what about the facts was not understood."""
    yield from (doubt("facts", words) for words in found)


def guards(impact: Impact) -> Iterator[Fired]:
    """Yield the guards of the data itself."""
    bases = {(each.name, each.legal_basis) for each in impact.selected if each.legal_basis}
    kept = sorted({name for name, text in bases if basis_of(text) in _KEPT_BY_LAW})
    if kept:
        words = (
            f"held on a legal obligation or for a public task: {', '.join(kept)}. A law may say that it must be kept "
            "(GDPR Art. 6(1)(c) and (e), Art. 17(3)(b)), and removal cannot be undone, so a person looks"
        )
        yield of_the_house("kept-by-law", words, _REVIEW, category="retention")
    unknown = sorted({repr(text) for _, text in bases if basis_of(text) is None})
    if unknown:
        yield doubt(
            "unknown-basis",
            f"the data is held on {', '.join(unknown)}, an unknown legal basis, so whether it must be kept is unclear",
        )


_BEYOND = {
    Scope.DATA_ONLY: (
        "the removal of the data alone, and a removal here always takes its influence on models along, so it would "
        "destroy models that no one meant"
    ),
    Scope.NEXT_VERSION: (
        "the removal from each model's next version on, and a removal here takes the versions in service along at once"
    ),
}


def beyond(request: str, impact: Impact, fired: Sequence[Fired]) -> Iterator[Fired]:
    """Yield the guards of what the rules that fired ask for and this software cannot carry out of itself.

    An order for the data alone can be carried out where no model learned from it: nothing else goes then. What rules
    spare is a person's to name: ``request`` is held on those items, which stay when the rest is removed.
    """
    scope = scope_of(fired)
    if scope is not None and scope not in CARRIED_OUT and models_learned(impact):
        words = f"what is owed is {_BEYOND[scope]}; a person decides whether to remove more than that"
        yield of_the_house("scope", words, _REVIEW)
    for spared in dict.fromkeys(words for item in fired for words in item.spared):
        words = (
            f"spared: {spared}. Which items those are is not looked up here: a person leaves them out with `disgorge "
            f"request hold {request} --key KEY --by NAME --reason TEXT` (or --item, --shard; each repeatable), and "
            f"grants the rest with `disgorge request grant {request} --by NAME --reason TEXT`. They stay, and the "
            "report says so. Where nothing is spared, or all of it, grant or deny the request as it is"
        )
        yield of_the_house("spared", words, _REVIEW)


def models_learned(impact: Impact) -> bool:
    """Return whether a recorded model learned from what is selected."""
    return bool(impact.affected or impact.releases)


def guards_of_claim(request: RemovalRequest, impact: Impact, result: PackResult) -> Iterator[Fired]:
    """Yield the guards of one pack's claim, which would be granted without them."""
    grants = [item for item in result.fired if item.outcome is Outcome.GRANTED]
    pack = result.pack.pack
    if not grants or max(outcomes(result.fired), key=list(Outcome).index) is not Outcome.GRANTED:
        return
    if not request.identity_verified and not any(item.effect.without_identity for item in grants):
        words = (
            f"the requester was not identified, and {pack} grants to the one who is entitled; removal cannot be undone"
        )
        yield of_the_house("identity", words, _REVIEW, category="identity")
    if impact.subjects > 1 and not any(item.effect.reaches_everyone for item in result.fired):
        words = (
            f"the selectors reach data of {impact.subjects} people, and no rule of {pack} that fired holds for all of "
            "them; whether the claim does is for a person to say, for removal cannot be undone"
        )
        yield of_the_house("several-people", words, _REVIEW, category="several subjects")
    if impact.hits_core and not any(item.effect.reaches_core for item in result.fired):
        yield _core()


def _core() -> Fired:
    words = (
        "an item is in a shard declared not removable (core): everything built on it is affected, and no rule that "
        "fired reaches that far; a person decides"
    )
    return of_the_house("core", words, _REVIEW)


def own_decision(request: RemovalRequest, impact: Impact) -> Iterator[Fired]:
    """Yield what an operator's own decision comes to; nothing for a request on another ground."""
    if request.ground is not Defect.OWN_DECISION:
        return
    words = (
        "the operator removes the data of its own will: no claim was decided, and none is answered by it. It needs no "
        "pack's grant and yields to every hold. What is owed is our default: exact, shown by equal bits, with one "
        "approval"
    )
    granted = of_the_house(
        "own-decision", words, Outcome.GRANTED, category=OWN_DECISION, guarantee="exact", families=OWN_FAMILIES,
        approvals=1, evidence=("lineage-closure", "residue"),
    )  # fmt: skip
    yield replace(granted, confinement=ConfinementSpec(Confinement.PROCESS))
    if request.standing is not Standing.INTERNAL:
        words = (
            f"a {request.standing.value} asks, and an own decision is the operator's alone: file what they claim under "
            "the regime and on the ground it has, so that it is answered, or this one as internal"
        )
        yield of_the_house("own-decision-of-others", words, _REVIEW, category="standing")
    if impact.hits_core:
        yield _core()


def undecided(request: RemovalRequest) -> Fired:
    """Return that no rule decides the request."""
    words = f"no rule decides this request (regime {request.regime}, {request.standing.value}); a person decides"
    return of_the_house("nothing-fired", words, _REVIEW)
