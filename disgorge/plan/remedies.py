"""Which remedy a component gets: the cheapest that its method offers, that fits, and that is strong enough.

Pure, as :mod:`disgorge.plan.planner`, which makes a plan of what is chosen here.
"""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, replace

from disgorge.errors import DisgorgeError
from disgorge.layout import is_emptied, layout_of
from disgorge.method import Blueprint, Declared, ModelSpec, Offer, offers_for
from disgorge.plan.details import PartsDetail, parts_of
from disgorge.plan.plan import Action, Alternative, Step
from lineage.records import Affected, Artifact, Component, Cost, Impact, Member, ReleaseHit, Shard, restore
from policies.decision import Owed
from policies.taxonomy import Guarantee, Remedy

_CHEAPEST_FIRST = (Remedy.DROP, Remedy.SUBTRACT, Remedy.RETRAIN)
_ACTIONS = {Remedy.DROP: Action.DROP, Remedy.SUBTRACT: Action.SUBTRACT, Remedy.RETRAIN: Action.RETRAIN}


@dataclass(frozen=True, slots=True)
class AgainHere:
    """A component that is trained again though nothing of the request reaches it: why, and whether it stays.

    It stays where a release has it that the plan does not renew.
    """

    component: Component
    why: str
    stays: bool


Again = Mapping[str, Mapping[str, AgainHere]]
"""By release and name, the components that are trained again though nothing of the request reaches them."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A release that is hit, with its members and which of them are affected, inputs first.

    ``label`` is what steps and evidence call it: its name, with the alias where several aliases of it are hit.
    """

    release: str
    alias: str
    label: str
    composition: str
    spec: ModelSpec
    members: tuple[Component, ...]
    affected: tuple[Affected, ...]
    places: tuple[Member, ...]
    """The members with the weights they have in the composition."""

    @classmethod
    def of(
        cls, hit: ReleaseHit, impact: Impact, components: Mapping[str, Component], known: Container[str], *, twice: bool
    ) -> "Hit":
        """Return what is hit; the description of a release whose composition is not among ``known`` is not read."""
        ours = hit.release.composition in known and hit.composition.spec
        names = {(member.name, member.component) for member in hit.composition.members}
        return cls(
            hit.release.name,
            hit.release.alias,
            f"{hit.release.name}@{hit.release.alias}" if twice else hit.release.name,
            hit.release.composition,
            restore(ModelSpec, hit.composition.spec) if ours else ModelSpec(hit.release.name, "", (), ()),
            tuple(replace(components[member.component], name=member.name) for member in hit.composition.members),
            tuple(a for a in impact.affected if (a.component.name, a.component.digest) in names),
            hit.composition.members,
        )

    def built_on(self, artifacts: Iterable[Artifact]) -> tuple[str, ...]:
        """Return the names of those of these artifacts that shaped some of the release.

        Every layout of its description names them, so no part that they shaped can be trained again without them.
        """
        starts = {path.nodes[0] for affected in self.affected for path in affected.paths}
        return tuple(artifact.name for artifact in artifacts if artifact.digest in starts)

    @property
    def full_cost(self) -> Cost:
        """What training every member again would take, by what it took."""
        return sum((member.cost for member in self.members), Cost())


def has_nothing_left(hit: Hit, methods: Mapping[str, Declared], shards: Mapping[str, Shard]) -> bool:
    """Whether nothing is left to train any component of a release on."""
    method = methods.get(hit.composition)
    return method is not None and not layout_of(method, hit.spec, shards)


def remedies_for(
    hit: Hit,
    owed: Owed,
    methods: Mapping[str, Declared],
    shards: Mapping[str, Shard],
    *,
    again: Again,
) -> list[Step] | None:
    """Return one step per affected component, or None where one has no remedy that is strong enough, or none is left.

    With them come the components that are only trained again, ``again``; what is trained comes after its inputs.
    """
    method = methods.get(hit.composition)
    if method is None:
        return None
    target = {f"{hit.release}/{blueprint.name}": blueprint for blueprint in layout_of(method, hit.spec, shards)}
    if not target:
        return None
    steps = []
    for affected in hit.affected:
        step = _remedy(hit, affected.component, target.get(affected.component.name), owed, method)
        if step is None:
            return None
        steps.append(step)
    steps += [_again(hit, part, target[name], method) for name, part in again.get(hit.label, {}).items()]
    order = {name: place for place, name in enumerate(target)}
    return sorted(steps, key=lambda step: order.get(step.subject, -1))


def _again(hit: Hit, again: AgainHere, blueprint: Blueprint, method: Declared) -> Step:
    """Return the step that trains a component again that the removal does not touch.

    Raises :class:`DisgorgeError` for one that its method cannot train.
    """
    component = again.component
    if all(offer.remedy is not Remedy.RETRAIN for offer in offers_for(method, blueprint.kind)):
        raise DisgorgeError(
            f"component {component.name} cannot be trained again: {again.why}; give it the model that makes it with "
            f"`disgorge attest --component {component.name} --recipe MODEL.yaml`, or have {hit.label} destroyed"
        )
    return Step(
        id=f"retrain-{component.name}",
        action=Action.RETRAIN,
        subject=component.name,
        release=hit.label,
        guarantee=Guarantee.EXACT,
        cost=_cost(Remedy.RETRAIN, component, blueprint),
        words=f"Train {component.name} again here, though the removal does not touch it: {again.why}.",
        detail=PartsDetail(parts_of([] if again.stays else [component]), untouched=component.digest),
    )


def loss_of_use(hit: Hit, method: Declared, shards: Mapping[str, Shard]) -> str:
    """Warn, in one sentence, of a removal that leaves nothing trained in a release; "" where something is left.

    ``shards`` are those there will be. The sentence is part of the plan, and so of the digest that is approved.
    """
    if not is_emptied(hit.spec, hit.places, layout_of(method, hit.spec, shards)):
        return ""
    return (
        f"nothing that was trained on removable data is left in {hit.label}; at best, what was trained on the declared "
        "core answers, and an approval must accept that loss"
    )


def _remedy(hit: Hit, component: Component, blueprint: Blueprint | None, owed: Owed, method: Declared) -> Step | None:
    """Return the cheapest remedy for one component that fits the target and is strong enough, with those rejected."""
    offers = sorted(offers_for(method, component.kind), key=lambda offer: _CHEAPEST_FIRST.index(offer.remedy))
    chosen: Offer | None = None
    rejected = []
    for offer in offers:
        why_not = _unfit(offer, blueprint, owed) or ("costs more than the remedy chosen" if chosen else "")
        if why_not:
            cost = _cost(offer.remedy, component, blueprint)
            rejected.append(Alternative(offer.remedy, offer.guarantee, cost, why_not))
        else:
            chosen = offer
    if chosen is None:
        return None
    everything = Alternative(
        Remedy.RETRAIN, Guarantee.EXACT, hit.full_cost, "trains the whole model again, untouched parts too"
    )
    return Step(
        id=f"{chosen.remedy.value}-{component.name}",
        action=_ACTIONS[chosen.remedy],
        subject=component.name,
        release=hit.label,
        guarantee=chosen.guarantee,
        cost=_cost(chosen.remedy, component, blueprint),
        words=_words(chosen.remedy, component),
        caveat=chosen.caveat,
        alternatives=(*rejected, everything),
        detail=PartsDetail(parts_of([component])),
    )


def _unfit(offer: Offer, blueprint: Blueprint | None, owed: Owed) -> str:
    """Say why an offer cannot be used here, or nothing."""
    if offer.guarantee < owed.guarantee:
        return f"its guarantee is {offer.guarantee.label}, owed is {owed.guarantee.label}"
    if offer.family not in owed.families:
        return f"the decision does not admit {offer.family.value}"
    if blueprint is None and offer.remedy is Remedy.RETRAIN:
        return "nothing is left to train it on"
    if blueprint is not None and offer.remedy is not Remedy.RETRAIN:
        return "would also remove items that are to be retained"
    return ""


def _cost(remedy: Remedy, component: Component, blueprint: Blueprint | None) -> Cost:
    """Return the expected cost: nothing for a drop, the layout's steps at the recorded pace for a retraining."""
    if remedy is not Remedy.RETRAIN or blueprint is None:
        return Cost()
    recorded = component.cost
    pace = recorded.seconds / recorded.steps if recorded.steps else 0.0
    seconds = pace * blueprint.steps if pace else recorded.seconds
    return Cost(blueprint.examples, blueprint.steps, round(seconds, 3))


def _words(remedy: Remedy, component: Component) -> str:
    return {
        Remedy.DROP: f"Take {component.name} out of the model and destroy it.",
        Remedy.SUBTRACT: f"Take the vector of {component.name} out and recompose the model from the vectors kept.",
        Remedy.RETRAIN: f"Train {component.name} again, from nothing, on the retained items.",
    }[remedy]
