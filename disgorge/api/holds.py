"""Holds: on a request, on some of its items, or on the purge that ends its removal."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from disgorge.api.requests import hold_values
from disgorge.errors import TrackingFailed, WrongUse
from disgorge.release.serving import Settled, settle
from disgorge.request.case import case_of
from disgorge.request.history.case_words import lifted_lines, next_lines, put_on_lines
from disgorge.request.holds import purge_hold
from disgorge.request.holds.hold import SERVING, hold_request
from disgorge.request.holds.open import Hold, is_held, open_holds
from disgorge.result import Result, require_name, require_reason
from disgorge.tracking.registry import registry_or_none
from lineage.records import Json, Selector
from lineage.shown import Attention
from lineage.workspace import Workspace


@dataclass(frozen=True, slots=True)
class HoldSaid(Result):
    """What holds a request is under after one was put on or lifted, and which releases that stopped or served again."""

    request: str
    on_hold: bool
    reason: str
    lifted: bool
    stopped: tuple[str, ...]
    served_again: tuple[str, ...]
    notes: tuple[str, ...]
    holds: tuple[Hold, ...]

    def plain(self) -> Json:
        """Return the fields, each hold as what was said with it."""
        return Result.plain(self) | {"holds": hold_values(self.holds)}


def hold(
    workspace: Workspace,
    request: str,
    *,
    reason: str,
    selectors: Mapping[str, Sequence[str]] | None = None,
    held_by: str | None = None,
    until: dt.date | None = None,
    by: str | None = None,
    serving: str | None = None,
    held_for: str | None = None,
    lift: bool = False,
) -> HoldSaid:
    """Put a request on hold, or some items only, or lift that; a running execution stops before its next step.

    A hold binds the data: other requests for the same items wait, too. One for another reason stands beside those there
    are and ends by itself; the same reason again says its terms anew. With ``selectors`` or ``held_by`` the rest of the
    request goes on without those items, and its report says that they stay. ``serving`` says whether models that
    learned from it go on serving: keep or stop. ``held_for`` is, to ``lift`` one of several, the reason of the one that
    ends.
    """
    require_reason(reason)
    if serving is not None and serving not in SERVING:
        raise WrongUse(f"--serving {serving!r}: use {' or '.join(SERVING)}")
    if lift and (until or serving):
        raise WrongUse("--lift ends a hold: leave out --until and --serving")
    if held_for is not None and not lift:
        raise WrongUse("--held-for says which hold --lift ends; why this one is put on, --reason says")
    chosen = _selectors(selectors or {}, held_by)
    if by is not None or ((chosen or held_by) and not lift):
        by = require_name(by, "holds them")
    holds = hold_request(
        workspace, request, on=not lift, reason=reason, by=by, until=until, serving=serving,
        selectors=chosen, held_by=held_by, held_for=held_for,
    )  # fmt: skip
    try:
        settled = settle(workspace, registry_or_none(workspace))
    except TrackingFailed as problem:
        raise TrackingFailed(
            f"what was said of the hold is recorded, and not every release was stopped or served again: {problem}; "
            f"then run `disgorge release serve-again`"
        ) from problem
    case, partial = case_of(workspace, request), bool(chosen or held_by)
    if lift:
        said = (*lifted_lines(workspace, request, holds, partial=partial), *settled_lines(settled), *next_lines(case))
    else:
        said = (*put_on_lines(workspace, case, reason, holds, partial=partial), *settled_lines(settled))
    released = tuple(settled.stopped), tuple(settled.served), tuple(settled.words)
    return HoldSaid(request, is_held(case), reason, lift, *released, open_holds(case), shown=said)


def _selectors(given: Mapping[str, Sequence[str]], held_by: str | None) -> list[Selector]:
    chosen = [Selector(field, value) for field, values in given.items() for value in values]
    for selector in chosen:
        if not selector.value or not selector.value.isprintable():
            raise WrongUse(f"--{selector.field} must be one line of text; say which items are held")
    if chosen and held_by is not None:
        raise WrongUse("give either --held-by, or --key, --shard, --item and --artifact")
    return chosen


def settled_lines(settled: Settled) -> Iterator[str]:
    """Yield which releases were taken out of service and which are served again, and what a person has to do."""
    for release in settled.stopped:
        yield f"{release} learned from what is held and is taken out of service"
    for release in settled.served:
        yield f"{release} is served again, as it was before a hold stopped it"
    yield from map(Attention, settled.words)


@dataclass(frozen=True, slots=True)
class PurgeHold(Result):
    """Until when the purge of a request waits; None if it does not wait any more."""

    request: str
    purge_held_until: dt.date | None


def hold_purge(workspace: Workspace, request: str, *, until: dt.date, because: str, by: str) -> PurgeHold:
    """Keep old weights and withdrawn items until a day; the request is not certified before."""
    require_reason(because, option="--because")
    case = purge_hold.hold_purge(workspace, request, until=until, because=because, by=require_name(by, "keeps it"))
    lines = [f"the purge of {request} waits until {until}; no certificate before"]
    if case.deadline is not None and case.deadline < until:
        lines.append(Attention(f"{request} must be done by {case.deadline}, before this hold ends"))
    return PurgeHold(request, until, shown=tuple(lines))


def release_purge(workspace: Workspace, request: str, *, because: str, by: str) -> PurgeHold:
    """End the hold on a purge at once."""
    require_reason(because, option="--because")
    purge_hold.release_purge(workspace, request, because=because, by=require_name(by, "ends the hold"))
    return PurgeHold(request, None, shown=(f"the hold is ended; next: disgorge purge {request}",))
