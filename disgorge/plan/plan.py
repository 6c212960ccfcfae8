"""A plan as a value: printed, compared, and approved by its digest. :mod:`disgorge.plan.planner` makes them."""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from typing import TypeVar

from disgorge.errors import DisgorgeError
from disgorge.plan.details import (
    ConfirmationDetail,
    Detail,
    Part,
    PartsDetail,
    PurgeDetail,
    ReleaseDetail,
    RenewalDetail,
    ShardsDetail,
    WithdrawalDetail,
)
from lineage.records import LEFT_OUT, Artifact, Cost, Shard, ShardChange, digest_of, restore
from policies.taxonomy import Confinement, Guarantee, Remedy, shown_by


class Action(StrEnum):
    """What a step does, in the order in which steps run."""

    CONTAIN = "contain"
    WITHDRAW_ITEMS = "withdraw-items"
    DROP = "drop"
    SUBTRACT = "subtract"
    RETRAIN = "retrain"
    RECOMPOSE = "recompose"
    PROBE = "probe"
    ADOPT = "adopt"
    WITHDRAW = "withdraw"
    PURGE = "purge"
    CONFIRM = "confirm"
    """Another request's removal covered this one: look that it did. The only step of its plan but the report."""
    REPORT = "report"


_REMEDIES = {Action(remedy.value) for remedy in Remedy}
_DETAILS: dict[Action, type[Detail]] = {
    Action.CONTAIN: ReleaseDetail,
    Action.WITHDRAW_ITEMS: ShardsDetail,
    Action.DROP: PartsDetail,
    Action.SUBTRACT: PartsDetail,
    Action.RETRAIN: PartsDetail,
    Action.RECOMPOSE: RenewalDetail,
    Action.PROBE: RenewalDetail,
    Action.ADOPT: RenewalDetail,
    Action.WITHDRAW: WithdrawalDetail,
    Action.PURGE: PurgeDetail,
    Action.CONFIRM: ConfirmationDetail,
    Action.REPORT: Detail,
}
AnyDetail = TypeVar("AnyDetail", bound=Detail)


@dataclass(frozen=True, slots=True)
class Alternative:
    """A remedy that was not chosen: what it would have cost and why not."""

    remedy: Remedy
    guarantee: Guarantee
    cost: Cost
    why_not: str


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do. ``subject`` is the name of a shard, component or release; ``detail`` says what of it.

    ``cost`` is what is expected; ``full_cost`` what training that subject's model from nothing would take.
    """

    id: str
    action: Action
    subject: str
    release: str | None
    guarantee: Guarantee
    cost: Cost
    words: str
    caveat: str = ""
    alternatives: tuple[Alternative, ...] = ()
    detail: Detail = field(default_factory=Detail)

    def __post_init__(self) -> None:
        """Restore a detail that was read; ``ValueError`` if it has another form than its action's."""
        read: object = self.detail
        if not isinstance(read, Detail):
            object.__setattr__(self, "detail", restore(_DETAILS[self.action], read))

    def detail_as(self, kind: type[AnyDetail]) -> AnyDetail:
        """Return the detail of a step whose action has this kind of it; :class:`DisgorgeError` for another."""
        if not isinstance(self.detail, kind):
            raise DisgorgeError(f"step {self.id} of the plan does not fit its action; plan the request again")
        return self.detail

    @property
    def parts(self) -> tuple[Part, ...]:
        """The components that it retires."""
        return self.detail.parts if isinstance(self.detail, PartsDetail | WithdrawalDetail) else ()


@dataclass(frozen=True, slots=True)
class Expected:
    """Seconds, reckoned beforehand: how long the evidence of a release takes, and how long it is out of service."""

    evidence: float
    out_of_service: float


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Items that a request selects and its plan leaves where they are: how many, under whose hold, why, until when.

    A joint plan does not say why: it is in the report on each of its requests, and the reason is of one of them.
    """

    items: int
    held_by: str
    reason: str
    until: dt.date | None = None

    @property
    def words(self) -> str:
        """What stays, in words."""
        stays = "1 item stays" if self.items == 1 else f"{self.items:,} items stay"
        when = f"until {self.until}" if self.until else "until that hold is lifted"
        why = f" ({self.reason})" if self.reason else ""
        return f"{stays}, under a hold of {self.held_by}{why}, {when}"


@dataclass(frozen=True, slots=True)
class Share:
    """One request of a joint plan: the decision it rests on, and how many of the items are those that it selects."""

    request: str
    decision: str
    items: int
    left_out: tuple[LeftOut, ...] = field(default=(), metadata={LEFT_OUT: True})


@dataclass(frozen=True)  # no slots: its digest is kept once it is known
class Plan:
    """What will be done about one request, or several together, bound to the lineage it was made from.

    ``lineage_head`` must still be the ledger's when the plan is approved and executed. ``required`` names the checks
    that must pass for each release before its alias moves, ``probes`` the statistical ones that are run besides, each
    against never-trained references; ``expected`` is how long the evidence will take, by release. ``full_cost`` is that
    of retraining every model hit. ``confinement`` and ``equal_bits`` are what the decision accepts of the runs that
    show the removal; a plan that was recorded without them is held to the strictest.
    """

    request: str
    decision: str
    lineage_head: str
    guarantee: Guarantee
    steps: tuple[Step, ...]
    required: tuple[str, ...]
    approvals: int
    utility_floor: float | None
    full_cost: Cost
    probes: tuple[str, ...] = field(default=(), metadata={LEFT_OUT: True})
    expected: dict[str, Expected] = field(default_factory=dict, metadata={LEFT_OUT: True})
    left_out: tuple[LeftOut, ...] = field(default=(), metadata={LEFT_OUT: True})
    """What holds keep of the request's items: the plan removes the others, and fulfills the request only in part."""
    together: tuple[Share, ...] = field(default=(), metadata={LEFT_OUT: True})
    """The requests of a joint plan, the one that ``request`` names first; nothing where a plan is for one request."""
    choices: tuple[str, ...] = field(default=(), metadata={LEFT_OUT: True})
    """Which releases people chose parameters and code for on what is removed, in sentences: no step undoes that."""
    confinement: Confinement = field(default=Confinement.NAMESPACE, metadata={LEFT_OUT: True})
    equal_bits: bool = field(default=True, metadata={LEFT_OUT: True})
    code: dict[str, dict[str, str]] = field(default_factory=dict, metadata={LEFT_OUT: True})
    """By composition whose parts are trained again with other code than they were made with: ``code`` and ``entry``."""

    @cached_property
    def digest(self) -> str:
        """What a person approves."""
        return digest_of(self)

    @property
    def requests(self) -> tuple[str, ...]:
        """The ids of all requests that it is for."""
        return tuple(share.request for share in self.together) or (self.request,)

    @property
    def whole(self) -> "Plan":
        """A joint plan as it was recorded; see :meth:`seen_by`."""
        return self.seen_by(self.requests[0])

    @property
    def others(self) -> tuple[str, ...]:
        """The ids of the requests that are carried out together with ``request``."""
        return tuple(name for name in self.requests if name != self.request)

    def share_of(self, request: str) -> Share | None:
        """Return the share of a request in a joint plan, None where it has none."""
        return next((share for share in self.together if share.request == request), None)

    def seen_by(self, request: str) -> "Plan":
        """Return the plan as one of its requests reads it: its own decision, and what is left out of its own items.

        The digest stays that of the whole plan, which people approved. A plan for one request is returned as it is.
        Raises :class:`DisgorgeError` for a request that it is not for.
        """
        share = self.share_of(request)
        if share is None and (self.together or request != self.request):
            raise DisgorgeError(f"the plan {self.digest[:12]} is not for request {request}; plan that request")
        if share is None or request == self.request:
            return self
        view = replace(self, request=request, decision=share.decision, left_out=share.left_out)
        view.__dict__["digest"] = self.digest
        return view

    @property
    def shown_by(self) -> str:
        """How the removal must be shown, in words."""
        return shown_by(self.confinement, equal_bits=self.equal_bits)

    @property
    def other_code(self) -> tuple[str, ...]:
        """A sentence for each release whose parts are trained again with other code than they were made with."""
        return tuple(
            f"Parts of {step.subject} are trained again with code {self.code[step.detail.before]['code'][:12]}, which "
            "differs from the code that the model was trained with before."
            for step in self.steps
            if isinstance(step.detail, RenewalDetail) and step.action is Action.RECOMPOSE
            if step.detail.before in self.code
        )

    @property
    def cost(self) -> Cost:
        """What all steps together are expected to take."""
        return sum((step.cost for step in self.steps), Cost())

    @property
    def remedies(self) -> tuple[Step, ...]:
        """The steps that do something to a component or a release."""
        return tuple(step for step in self.steps if step.action in _REMEDIES)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Which losses of use the plan foresees, in sentences: an approval has to accept them."""
        return tuple(step.caveat for step in self.steps if step.action is Action.ADOPT and step.caveat)

    @property
    def shard_changes(self) -> tuple[ShardChange, ...]:
        """What the plan does to shards."""
        details = [step.detail for step in self.steps if isinstance(step.detail, ShardsDetail)]
        return tuple(change for detail in details for change in detail.changes)

    @property
    def artifacts(self) -> tuple[Artifact, ...]:
        """The artifacts that the plan withdraws."""
        details = [step.detail for step in self.steps if isinstance(step.detail, ShardsDetail)]
        return tuple(artifact for detail in details for artifact in detail.artifacts)

    @property
    def purges(self) -> PurgeDetail:
        """The digests of what the plan deletes."""
        details = [step.detail for step in self.steps if isinstance(step.detail, PurgeDetail)]
        return PurgeDetail(
            tuple(digest for detail in details for digest in detail.objects),
            tuple(digest for detail in details for digest in detail.shards),
        )

    @property
    def confirmation(self) -> ConfirmationDetail | None:
        """The removal that a plan confirms which removes nothing itself, None for every other plan."""
        details = [step.detail for step in self.steps if step.action is not Action.REPORT]
        return details[0] if len(details) == 1 and isinstance(details[0], ConfirmationDetail) else None

    def step_for(self, action: Action, subject: str | None) -> Step:
        """Return the step that does ``action`` to ``subject``; :class:`DisgorgeError` if the plan has none."""
        for step in self.steps:
            if step.action is action and step.subject == subject:
                return step
        raise DisgorgeError(f"the plan of {self.request} has no step {action.value} for {subject}; plan it again")


def shards_after(shards: Mapping[str, Shard], changes: Iterable[ShardChange]) -> dict[str, Shard]:
    """Return the live shards by name as they are once a removal's changes are made, or stay where they were made."""
    changed = {change.before.digest: change.after for change in changes}
    after = {name: changed.get(shard.digest, shard) for name, shard in shards.items()}
    return {name: shard for name, shard in after.items() if shard is not None}
