"""``disgorge request``: decisions about a request, by the packs and by people, up to an approved plan; and holds."""

from enum import StrEnum
from typing import Annotated

from disgorge import api
from disgorge.api import Refusal
from disgorge.cli.options import (
    AsJson,
    By,
    Id,
    Many,
    MaybeBy,
    Packs,
    Reason,
    Text,
    ToScope,
    argument,
    option,
    parse_date,
    selected,
)  # fmt: skip
from disgorge.cli.output import tables as show
from disgorge.cli.request import app
from disgorge.errors import WrongUse


class Code(StrEnum):
    """Which code of the user's a removal trains again with."""

    STORED = "stored"
    CURRENT = "current"


@app.command()
def decide(request: Id, packs: Packs = None, as_json: AsJson = False) -> None:
    """Judge a request by the policy packs and record the decision with its reasons.

    A request under a regime of your own is decided, and decided again, with the --packs that it was filed with.
    """
    show.result(api.decisions.decide(api.workspace.open_workspace(), request, packs=packs), as_json)


@app.command()
def grant(
    request: Id,
    by: By,
    reason: Reason,
    scope: ToScope = None,
    claim: Annotated[
        Many, option("--claim", "Grant this pack's claim; all grants each that waits.", metavar="PACK")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Grant a request that the rules left to a person, with a reason that reports show. To refuse one, deny it.

    Where the claims of several packs wait, --claim says which are granted; the others wait on.
    """
    workspace = api.workspace.open_workspace()
    granted = api.decisions.grant(workspace, request, by=by, reason=reason, scope=scope, claims=claim or ())
    show.result(granted, as_json)


@app.command()
def plan(
    requests: Annotated[list[str], argument("REQUEST...", "Ids of the requests; several are planned together.")],
    withdraw: Annotated[Many, option("--withdraw", "Destroy this release, whatever else could be done.")] = None,
    probes: Annotated[
        Many,
        option(
            "--probes",
            "Also run this statistical probe, against models trained without the items; all for each.",
            metavar="NAME",
        ),
    ] = None,
    retrain_untouched: Annotated[
        bool, option("--retrain-untouched", "Also train again what is not touched and was made in another environment.")
    ] = False,
    code: Annotated[
        Code, option("--code", "Train again with the code that was stored, or with that of the working folder today.")
    ] = Code.STORED,
    as_json: AsJson = False,
) -> None:
    """Plan a granted request: the cheapest remedy per component that is strong enough, and what it costs.

    Several requests get one plan: their items are withdrawn together, each part is trained once, each has its report.
    Exit 4 where components that it leaves alone were made in another environment and cannot be compared here.
    """
    planned = api.plans.plan(
        api.workspace.open_workspace(),
        requests,
        withdraw=withdraw or (),
        probes=probes or (),
        retrain_untouched=retrain_untouched,
        current_code=code is Code.CURRENT,
    )
    show.result(planned, as_json)


@app.command()
def approve(
    request: Id,
    digest: Annotated[str, argument("DIGEST", "Digest of the plan that was read, its first 12 characters at least.")],
    by: By,
    accept_utility_loss: Annotated[
        bool,
        option(
            "--accept-utility-loss", "Release it even if it falls below the utility floor or is of no use any more."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Record the approval of exactly one plan, by its digest. The name is as typed and not authenticated."""
    workspace = api.workspace.open_workspace()
    approved = api.plans.approve(workspace, request, digest, by=by, accept_utility_loss=accept_utility_loss)
    show.result(approved, as_json)


@app.command()
def deny(
    request: Id,
    reason: Annotated[Refusal, option("--reason", "Why, from the fixed list.")],
    claim: Annotated[Many, option("--claim", "Refuse this pack's claim; the request goes on.", metavar="PACK")] = None,
    by: MaybeBy = None,
    as_json: AsJson = False,
) -> None:
    """Close a request without doing anything, and say what is owed with the refusal, and by when.

    With --claim only that pack's claim is refused, and the request stays open. A hold that its data is under lasts
    until it is lifted. One with a mistake in it is better amended: request amend.
    """
    if by is not None and not claim:
        raise WrongUse("--by goes with --claim: who refuses that claim")
    workspace = api.workspace.open_workspace()
    if claim:
        show.result(api.decisions.deny_claims(workspace, request, by=by, reason=reason, claims=claim), as_json)
    else:
        show.result(api.decisions.deny(workspace, request, reason=reason), as_json)


@app.command()
def extend(
    request: Id,
    reason: Annotated[str, option("--reason", "Why; the requester must be told it.")],
    packs: Packs = None,
    as_json: AsJson = False,
) -> None:
    """Extend the deadline as far as the rules allow."""
    show.result(api.decisions.extend(api.workspace.open_workspace(), request, reason=reason, packs=packs), as_json)


@app.command()
def hold(
    request: Id,
    reason: Reason,
    key: Annotated[Many, option("--key", "Hold the items with this key, not the whole request.")] = None,
    shard: Annotated[Many, option("--shard", "Hold the items of this shard.")] = None,
    item: Annotated[Many, option("--item", "Hold the item with this digest.")] = None,
    artifact: Annotated[Many, option("--artifact", "Hold this artifact, and so what is built on it.")] = None,
    held_by: Annotated[Text, option("--held-by", "Leave out what another request holds.", metavar="REQUEST")] = None,
    until: Annotated[Text, option("--until", "The first day on which it no longer holds, YYYY-MM-DD.")] = None,
    by: MaybeBy = None,
    serving: Annotated[
        Text, option("--serving", "Whether models that learned from it go on serving: keep or stop.")
    ] = None,
    held_for: Annotated[Text, option("--held-for", "With --lift: the reason of the one that ends, of several.")] = None,
    lift: Annotated[bool, option("--lift", "Lift the hold on just these items, or on the request.")] = False,
    as_json: AsJson = False,
) -> None:
    """Put a request on hold, or some items only, or lift that; a running execution stops before its next step.

    A hold binds the data: other requests for the same items wait, too. One for another reason stands beside those there
    are and ends by itself; the same reason again says its terms anew. With --key, --shard, --item, --artifact or
    --held-by the rest of the request goes on without those items, and its report says that they stay.

    Data that must be kept although no request asks for its removal is held by a request of its own: `request file
    --ground own-decision --hold --shard NAME`; when that ends, `hold --lift` and `close --taken-back`.
    """
    said = api.holds.hold(
        api.workspace.open_workspace(),
        request,
        reason=reason,
        selectors=selected(key=key, shard=shard, item=item, artifact=artifact),
        held_by=held_by,
        until=parse_date(until, option="--until"),
        by=by,
        serving=serving,
        held_for=held_for,
        lift=lift,
    )
    show.result(said, as_json)
