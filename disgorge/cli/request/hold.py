"""``disgorge request hold``: putting a request, or some of its items, on hold, and lifting that."""

from typing import TYPE_CHECKING, Annotated

import typer

from disgorge.cli.output import tables as show
from disgorge.cli.output.case import hold_lines, hold_values, print_next
from disgorge.cli.output.errors import WrongUse
from disgorge.cli.output.tables import AsJson
from disgorge.cli.request.options import Id, Many, require_name, require_reason

if TYPE_CHECKING:
    from disgorge.release.serving import Settled
    from disgorge.request.holds.open import Hold
    from lineage.records import Selector
    from lineage.workspace import Workspace


def hold(
    request: Id,
    reason: Annotated[str, typer.Option("--reason", help="Why; no personal data, it is recorded for good.")],
    key: Annotated[Many, typer.Option("--key", help="Hold the items with this key, not the whole request.")] = None,
    shard: Annotated[Many, typer.Option("--shard", help="Hold the items of this shard.")] = None,
    item: Annotated[Many, typer.Option("--item", help="Hold the item with this digest.")] = None,
    held_by: Annotated[
        str | None, typer.Option("--held-by", help="Leave out what another request holds.", metavar="REQUEST")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", help="The first day on which it no longer holds, YYYY-MM-DD.")
    ] = None,
    by: Annotated[str | None, typer.Option("--by", help="Who says so, as typed; kept as a pseudonym.")] = None,
    serving: Annotated[
        str | None, typer.Option("--serving", help="Whether models that learned from it go on serving: keep or stop.")
    ] = None,
    held_for: Annotated[
        str | None, typer.Option("--held-for", help="With --lift: the reason of the one that ends, of several.")
    ] = None,
    lift: Annotated[bool, typer.Option("--lift", help="Lift the hold on just these items, or on the request.")] = False,
    as_json: AsJson = False,
) -> None:
    """Put a request on hold, or some items only, or lift that; a running execution stops before its next step.

    A hold binds the data: other requests for the same items wait, too. One for another reason stands beside those there
    are and ends by itself; the same reason again says its terms anew. With --key, --shard, --item or --held-by the
    rest of the request goes on without those items, and its report says that they stay.

    Data that must be kept though nobody asked to have it removed is held by a request of its own: `request file
    --ground own-decision --hold --shard NAME`; when that ends, `hold --lift` and `close --taken-back`.
    """
    from disgorge.cli.request.filing import parse_date
    from disgorge.errors import TrackingFailed
    from disgorge.release.serving import settle
    from disgorge.request.case import case_of
    from disgorge.request.holds.hold import SERVING, hold_request
    from disgorge.request.holds.open import is_held
    from disgorge.tracking.registry import registry_or_none
    from lineage.workspace import Workspace

    require_reason(reason)
    if serving is not None and serving not in SERVING:
        raise WrongUse(f"--serving {serving!r}: use {' or '.join(SERVING)}")
    if lift and (until or serving):
        raise WrongUse("--lift ends a hold: leave out --until and --serving")
    if held_for is not None and not lift:
        raise WrongUse("--held-for says which hold --lift ends; why this one is put on, --reason says")
    selectors = _selectors(key=key, shard=shard, item=item)
    if selectors and held_by is not None:
        raise WrongUse("give either --held-by, or --key, --shard and --item")
    if by is not None or ((selectors or held_by) and not lift):
        require_name(by or "", "holds them")
    workspace = Workspace.open()
    holds = hold_request(
        workspace, request, on=not lift, reason=reason, by=by.strip() if by else None,
        until=parse_date(until, option="--until"), serving=serving, selectors=selectors, held_by=held_by,
        held_for=held_for,
    )  # fmt: skip
    try:
        settled = settle(workspace, registry_or_none(workspace))
    except TrackingFailed as problem:
        raise TrackingFailed(
            f"what was said of the hold is recorded, and not every release was stopped or served again: {problem}; "
            f"then run `disgorge release serve-again`"
        ) from problem
    if as_json:
        case = case_of(workspace, request)
        told = {"request": request, "on_hold": is_held(case), "reason": reason, "lifted": lift}
        told |= {"stopped": settled.stopped, "served_again": settled.served, "notes": settled.words}
        show.write_json(told | {"holds": hold_values(case)})
        return
    if lift:
        _say_lifted(workspace, request, holds, partial=bool(selectors or held_by))
    else:
        _say_put_on(workspace, request, reason, holds, partial=bool(selectors or held_by))
    print_settled(settled)
    if lift:
        print_next(case_of(workspace, request))


def print_settled(settled: "Settled") -> None:
    """Print which releases were taken out of service and which are served again, and what a person has to do."""
    for release in settled.stopped:
        show.line(f"{release} learned from what is held and is taken out of service")
    for release in settled.served:
        show.line(f"{release} is served again, as it was before a hold stopped it")
    for words in settled.words:
        show.warn(words)


def _selectors(**given: Many) -> "list[Selector]":
    from lineage.records import Selector

    found = [Selector(field, value) for field, values in given.items() for value in values or ()]
    for selector in found:
        if not selector.value or not selector.value.isprintable():
            raise WrongUse(f"--{selector.field} must be one line of text; say which items are held")
    return found


def _say_lifted(workspace: "Workspace", request: str, holds: "tuple[Hold, ...]", *, partial: bool) -> None:
    """Say which hold was lifted, which are left, and which requests waited for it: they are decided again."""
    from disgorge.request.case import docket
    from policies.judging.held import waits_for, waits_for_others

    show.line(f"the hold on those items of {request} is lifted" if partial else f"the hold on {request} is lifted")
    for each in holds:
        what = "some of its items are" if each.terms.is_partial else "it is"
        show.line(f"note: {what} still on hold: {each.words}")
    for other in docket(workspace).values():
        decision = other.decision
        if decision is not None and not other.closed and waits_for_others(decision) and waits_for(decision, request):
            name = other.request.id
            show.line(f"note: {name} waited for it: decide it again with `disgorge request decide {name}`")


def _say_put_on(workspace: "Workspace", request: str, reason: str, holds: "tuple[Hold, ...]", *, partial: bool) -> None:
    """Say what the hold that was put on last owes, and which others are on the same items."""
    said = (partial, reason)
    put_on = next(each for each in reversed(holds) if (each.terms.is_partial, each.terms.reason) == said)
    _say_held(workspace, request, reason, put_on)
    for other in holds:
        if other is not put_on and other.terms.covers_the_same(put_on.terms):
            show.line(f"note: it stays on hold as well: {other.words}")


def _say_held(workspace: "Workspace", request: str, reason: str, hold: "Hold") -> None:
    """Say what is held, what holding owes, and ask whether models that learned from it go on serving."""
    from disgorge.request.case import case_of
    from disgorge.request.holds.hold import count_held, releases_that_learned
    from policies.judging.held import duties

    count = count_held(workspace, hold)
    if hold.terms.is_partial:
        items = "some items are" if count is None else "1 item is" if count == 1 else f"{count:,} items are"
        show.line(f"{items} on hold, and {request} leaves out those that it selects: {reason}")
    else:
        show.line(f"{request} is on hold: {reason}")
    for words in hold_lines(hold):
        show.line_with_indent("  ", words)
    for words in duties(case_of(workspace, request).request):
        show.paragraph(f"while it is held: {words}", indent=2)
    learned = releases_that_learned(workspace, hold)
    if learned and hold.terms.serving is None:
        show.warn(
            f"{', '.join(learned)} learned from what is held: decide whether to go on serving, and record it with "
            f"--serving keep or --serving stop"
        )
