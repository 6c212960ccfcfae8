"""Makes a plan from a decision and an impact.

The target of a removal is the layout of each model over the shards as they will be. A component that the layout no
longer has is dropped or subtracted, one that it still has is trained again, and a component nothing released uses is
dropped. Where a method offers no remedy that is strong enough, the whole release is withdrawn, and the plan says so.

Pure: reads no clock, no file and no ledger.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from disgorge.errors import DisgorgeError
from disgorge.method import Declared
from disgorge.plan.details import (
    PartsDetail,
    PurgeDetail,
    ReleaseDetail,
    RenewalDetail,
    ShardsDetail,
    WithdrawalDetail,
    parts_of,
)
from disgorge.plan.plan import Action, Plan, Share, Step, shards_after
from disgorge.plan.remedies import Again, Hit, has_nothing_left, loss_of_use, remedies_for
from disgorge.plan.required_checks import ALWAYS, required_checks
from lineage.records import Component, Cost, Impact, Shard
from policies.decision import Decision, Owed
from policies.judging.house import models_learned
from policies.taxonomy import CARRIED_OUT, Guarantee, Outcome, Remedy, Scope

NOTHING: Again = {}
NO_TREES: Mapping[str, Collection[str]] = {}


def make_plan(
    decision: Decision,
    impact: Impact,
    methods: Mapping[str, Declared],
    *,
    shards: Mapping[str, Shard],
    components: Mapping[str, Component],
    references: Mapping[str, Sequence[Component]] | None = None,
    unfinished: Sequence[Plan] = (),
    withdraw: Collection[str] = (),
    again: Again = NOTHING,
    probes: Collection[str] = (),
    named: Collection[str] = (),
    costly: Collection[str] = (),
    owed: Owed | None = None,
    together: Sequence[Share] = (),
    trees: Mapping[str, Collection[str]] = NO_TREES,
) -> Plan:
    """Return what will be done about a granted request; its guarantee is the weakest of the remedies chosen.

    ``methods`` are those that made the releases hit, by composition; ``shards`` are the live ones by name, before the
    removal; ``components`` every member of the releases hit, by digest, whose recorded costs are the estimate.
    ``references`` are the live never-trained references, by release, of
    those that are hit under every alias they have. ``unfinished`` are earlier plans of the request that were begun:
    what they were still to purge, this one purges. ``withdraw`` are releases that a person wants destroyed although a
    cheaper remedy may do, as when a check of one does not pass. ``again`` are, by release, parts that it leaves alone
    and that are to be trained again all the same, each with the reason. ``probes`` are the statistical probes there
    are: those ``named`` and those that the decision or the guarantee requires are run, and for a guarantee below exact
    all that are not ``costly``. ``together`` are the requests of a joint plan, that of ``decision`` first, and ``owed``
    what all of them are owed. ``trees`` are the objects of the artifacts that go, by digest. Raises
    :class:`DisgorgeError` when the decision grants nothing, or one of them is not hit.
    """
    # Long: half of it is what each argument means, and the rest one pass over the releases hit.
    if decision.outcome is not Outcome.GRANTED or decision.owed is None:
        raise DisgorgeError(f"request {decision.request} is {decision.outcome.value}; only a granted one is planned")
    owed = owed or decision.owed
    if owed.scope not in CARRIED_OUT and models_learned(impact):
        raise DisgorgeError(
            f"request {decision.request} is owed {owed.scope.value}, which cannot be planned: models learned from the "
            f"data, and a removal here takes what they learned along; decide it again with `disgorge request decide "
            f"{decision.request}`, and a person grants more than that, or denies it"
        )
    after = shards_after(shards, impact.shards)
    reached = {(affected.component.name, affected.component.digest) for affected in impact.affected}
    names = [hit.release.name for hit in impact.releases]
    hits = [
        Hit.of(hit, impact, components, methods, twice=names.count(hit.release.name) > 1) for hit in impact.releases
    ]
    if strange := sorted(set(withdraw) - {hit.label for hit in hits}):
        raise DisgorgeError(
            f"{', '.join(strange)} cannot be withdrawn by {decision.request}: it reaches "
            f"{', '.join(hit.label for hit in hits) or 'no release'}; name one of those"
        )
    remedies: list[Step] = []
    endings: list[Step] = []
    for hit in hits:
        asked = hit.label in withdraw
        gone = hit.built_on(impact.artifacts)
        destroyed = asked or gone or owed.scope is Scope.WHOLE_LINEAGE
        found = None if destroyed else remedies_for(hit, owed, methods, after, again=again)
        if found is None:
            kept_apart = [c for c in (references or {}).get(hit.release, ()) if (c.name, c.digest) not in reached]
            emptied = not destroyed and has_nothing_left(hit, methods, after)
            why = _why_withdrawn(owed, asked=asked, built_on=gone, emptied=emptied)
            endings.append(_withdrawal(hit, kept_apart, why))
        else:
            remedies.extend(found)
            loss = loss_of_use(hit, methods[hit.composition], after)
            endings.extend(_renewal(hit, owed, loss=loss))
    remedies.extend(_unreleased(impact, hits))
    retired = [part.component for step in (*remedies, *endings) for part in step.parts]
    steps = [
        *(_contain(hit) for hit in hits),
        *_withdraw_items(impact),
        *remedies,
        *endings,
        _purge(impact, retired, unfinished, trees),
        *_reports(decision, together),
    ]
    chosen = [step for step in (*remedies, *endings) if step.action.value in _REMEDIES]
    guarantee = min((step.guarantee for step in chosen), default=owed.guarantee)
    remedied = {Remedy(step.action.value) for step in chosen if step.release is not None}
    if any(step.action is Action.ADOPT for step in endings):
        remedied.add(Remedy.RETRAIN)  # an earlier plan may have done it, and only its examination is left
    required = required_checks(guarantee, remedied) if remedied else ALWAYS
    required = tuple(dict.fromkeys((*required, *owed.evidence, *(["utility"] if owed.utility_floor else []))))
    renews = any(step.action is Action.PROBE for step in endings)
    usual = set(probes) - set(costly) if guarantee < Guarantee.EXACT else set()
    wanted = [name for name in sorted(probes) if name in {*named, *required, *usual}]
    return Plan(
        request=decision.request,
        decision=decision.digest,
        lineage_head=impact.lineage_head,
        guarantee=guarantee,
        steps=tuple(replace(step, id=f"{n:02d}-{step.id}") for n, step in enumerate(steps, start=1)),
        required=required,
        approvals=owed.approvals,
        utility_floor=owed.utility_floor,
        full_cost=sum((hit.full_cost for hit in hits), Cost()),
        probes=tuple(wanted) if renews else (),
        together=tuple(together),
        confinement=owed.confinement,
        equal_bits=owed.equal_bits,
    )


_REMEDIES = {remedy.value for remedy in Remedy}


def _contain(hit: Hit) -> Step:
    return Step(
        f"contain-{hit.label}", Action.CONTAIN, hit.label, hit.label, Guarantee.NONE, Cost(),
        f"Stop serving {hit.label} until its next release is checked.",
        detail=ReleaseDetail(hit.release, hit.alias),
    )  # fmt: skip


def _withdraw_items(impact: Impact) -> Iterator[Step]:
    if not impact.selected:
        return
    names = ", ".join(change.before.name for change in impact.shards)
    artifacts = ", ".join(artifact.name for artifact in impact.artifacts)
    words = []
    if names:
        words.append(f"Write new shards without {impact.items} {'item' if impact.items == 1 else 'items'} of {names}.")
    if artifacts:
        words.append(f"Withdraw {artifacts}: nothing is built on it any more.")
    yield Step(
        "withdraw-items", Action.WITHDRAW_ITEMS, ", ".join(filter(None, (names, artifacts))), None, Guarantee.EXACT,
        Cost(), " ".join(words), caveat=impact.twins and f"{impact.twins}.",
        detail=ShardsDetail(impact.shards, impact.artifacts),
    )  # fmt: skip


def _renewal(hit: Hit, owed: Owed, *, loss: str) -> Iterator[Step]:
    def step(action: Action, words: str, caveat: str = "") -> Step:
        return Step(
            f"{action.value}-{hit.label}", action, hit.label, hit.label, owed.guarantee, Cost(), words,
            caveat=caveat, detail=RenewalDetail(hit.release, hit.alias, hit.composition),
        )  # fmt: skip

    yield step(Action.RECOMPOSE, f"Compose {hit.label} from what was kept and what was trained again.")
    yield step(Action.PROBE, f"Train the components of {hit.label} again without the items, and compare.")
    words = f"Move {hit.release}@{hit.alias} to the new composition, if every required check passed."
    yield step(Action.ADOPT, words, caveat=loss)


def _why_withdrawn(owed: Owed, *, asked: bool, built_on: Sequence[str], emptied: bool) -> str:
    if built_on:
        return f"it was built on {', '.join(built_on)}, and cannot be trained again without"
    if owed.scope is Scope.WHOLE_LINEAGE:
        return (
            "the decision wants everything built on the data in whole or in part to go; partial removal is not enough"
        )
    if asked:
        return "its destruction was asked for when the request was planned"
    if emptied:
        return "nothing is left to train any of its components on"
    return "no registered remedy is strong enough for one of its components"


def _withdrawal(hit: Hit, references: Sequence[Component], why: str) -> Step:
    """Return the step that destroys a release, its members, and the references that only its probes had a use for."""
    return Step(
        id=f"withdraw-{hit.label}",
        action=Action.WITHDRAW,
        subject=hit.label,
        release=hit.label,
        guarantee=Guarantee.EXACT,
        cost=Cost(),
        words=f"Take {hit.label} down and destroy it: {why}.",
        detail=WithdrawalDetail(hit.release, hit.alias, hit.composition, parts_of((*hit.members, *references))),
    )


def _unreleased(impact: Impact, hits: Sequence[Hit]) -> Iterator[Step]:
    """Yield one drop for all affected components no live release uses: references of probes, recorded leftovers."""
    released = {(member.name, member.digest) for hit in hits for member in hit.members}
    left = [a.component for a in impact.affected if (a.component.name, a.component.digest) not in released]
    if left:
        noun = "component" if len(left) == 1 else "components"
        yield Step(
            "drop-unreleased", Action.DROP, f"{len(left)} unreleased {noun}", None, Guarantee.EXACT, Cost(),
            f"Destroy {len(left)} {noun} that learned from the items and that no live release uses.",
            detail=PartsDetail(parts_of(left)),
        )  # fmt: skip


def _purge(
    impact: Impact, retired: Sequence[str], unfinished: Sequence[Plan], trees: Mapping[str, Collection[str]]
) -> Step:
    owed = [plan.purges for plan in unfinished]
    objects = [*retired, *(digest for detail in owed for digest in detail.objects)]
    objects += [digest for artifact in impact.artifacts for digest in trees.get(artifact.digest, ())]
    shards = [
        *(change.before.digest for change in impact.shards),
        *(digest for detail in owed for digest in detail.shards),
    ]
    return Step(
        "purge", Action.PURGE, "old weights and withdrawn items", None, Guarantee.EXACT, Cost(),
        "Delete what was retired and the shards as they were, and look whether they are gone.",
        detail=PurgeDetail(tuple(dict.fromkeys(objects)), tuple(dict.fromkeys(shards))),
    )  # fmt: skip


def _reports(decision: Decision, together: Sequence[Share]) -> Iterator[Step]:
    words = "Write and sign the report"
    for request in [share.request for share in together] or [decision.request]:
        name, about = (f"report-{request}", f" on {request}") if together else ("report", "")
        yield Step(name, Action.REPORT, request, None, Guarantee.NONE, Cost(), f"{words}{about}.")
