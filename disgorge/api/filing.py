"""Filing requests and correcting them."""

import datetime as dt
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from disgorge.errors import WrongUse
from disgorge.removal.conflicts import keepers
from disgorge.request.case import case_of
from disgorge.request.history.case_words import change_words, next_lines
from disgorge.request.history.earlier import Earlier, asked_before, earlier_requests, said
from disgorge.request.particulars import selectors_of
from disgorge.request.workflow.amend import Change, changes_of
from disgorge.request.workflow.amend import amend_request as amend
from disgorge.request.workflow.draft import (
    LONGEST,
    Draft,
    Fact,
    checked_lines,
    one_regime,
    read_draft,
    require_line,
    selectors_from,
)
from disgorge.request.workflow.filing import file_request as record
from disgorge.result import Result, require_reason, several, with_words
from lineage.catalog.catalog import Catalog
from lineage.catalog.selection import selected_artifacts
from lineage.plural import counted
from lineage.records import Json, Selector, is_unicode, plain
from lineage.shown import Attention
from lineage.workspace import Workspace
from policies.packs.facts import regime_named, require_regimes, typed_facts
from policies.packs.load import load_packs
from policies.request import RemovalRequest, Standing
from policies.taxonomy import Defect

__all__ = ["Amended", "Draft", "Filed", "amend_request", "file_request", "read_draft"]

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")


@dataclass(frozen=True, slots=True)
class Filed(Result):
    """A request as it was recorded, what looks mistaken about it, and earlier requests for the same data."""

    request: RemovalRequest
    warnings: tuple[str, ...]
    earlier: tuple[Earlier, ...]

    def plain(self) -> Json:
        """Return the request, the warnings, and the earlier requests with their words."""
        return {"request": plain(self.request), "warnings": self.warnings, "earlier": with_words(self.earlier)}


def file_request(workspace: Workspace, draft: Draft, *, unmatched: bool = False, packs: Path | None = None) -> Filed:
    """Record a draft as a request; nothing is recorded for one that is not well formed, or that selects no item.

    ``unmatched`` records the latter all the same: a requester who asks for nothing we hold is owed an answer, too.
    ``packs`` say which facts and regimes there are.
    """
    judging = load_packs(packs)
    if draft.id is not None and not _ID.fullmatch(draft.id):
        raise WrongUse(f"invalid id {draft.id!r}: use up to 80 letters, digits, dots, hyphens, underscores")
    first, facts = one_regime(draft.regime, draft.facts)
    require_line("regime", first)
    for name, value in draft.particulars.items():
        if not is_unicode(name + value):
            raise WrongUse(f"{name!r} of the particulars is not Unicode; write it in UTF-8")
        if len(value) > 10 * LONGEST:
            raise WrongUse(f"{name} has {len(value):,} characters; keep it below {10 * LONGEST:,}")
    regime = regime_named(first, judging)
    require_regimes([regime], judging, ground=draft.ground)
    facts = typed_facts(checked_lines(facts), judging)
    selectors = selectors_from(workspace, draft.selectors)
    if not unmatched:
        require_match(workspace, selectors)
    request = record(
        workspace,
        standing=draft.standing,
        ground=draft.ground,
        regime=regime,
        selectors=selectors,
        received=draft.received,
        identity_verified=draft.verified,
        legal_hold=draft.hold,
        facts=facts,
        particulars={name: value for name, value in draft.particulars.items() if value},
        request_id=draft.id,
        packs=judging,
    )
    warnings, earlier = doubts(workspace, request), earlier_requests(workspace, request.id)
    notes = said(earlier, case_of(workspace, request.id))
    lines = (
        *map(Attention, warnings),
        *(f"note: {words}" for words in notes),
        f"filed {request.id}; see what it touches with `disgorge request impact {request.id}`",
    )
    return Filed(request, warnings, earlier, shown=lines)


@dataclass(frozen=True, slots=True)
class Amended(Result):
    """A request as it is now, and what this amendment changed."""

    request: RemovalRequest
    changes: tuple[Change, ...]


def amend_request(
    workspace: Workspace,
    request: str,
    *,
    standing: Standing | None = None,
    ground: Defect | None = None,
    regime: str | Sequence[str] = (),
    selectors: Mapping[str, str | list[str]] | None = None,
    received: dt.date | None = None,
    verified: bool | None = None,
    facts: Mapping[str, Fact] | None = None,
    without_facts: str | Collection[str] = (),
    reason: str | None = None,
    unmatched: bool = False,
    packs: Path | None = None,
) -> Amended:
    """Correct a request before it is carried out. It is decided and planned anew; what it said before stays on record.

    Selectors that are given replace all there were; what is not given stays.
    """
    if not any((standing, ground, regime, received, selectors, facts, without_facts)) and verified is None:
        raise WrongUse("nothing is given to amend; `disgorge request amend --help` lists what can be")
    if reason is not None:
        require_reason(reason)
    before = len(changes_of(case_of(workspace, request)))
    selected = selectors_from(workspace, selectors or {})
    if selected and not unmatched:
        require_match(workspace, selected)
    first, given = one_regime(regime, facts or {}) if regime else (None, dict(facts or {}))
    amended = amend(
        workspace,
        request,
        standing=standing,
        ground=ground,
        regime=first,
        selectors=selected,
        received=received,
        identity_verified=verified,
        facts=checked_lines(given),
        without_facts=several(without_facts),
        because=reason or "",
        packs=load_packs(packs),
    )
    case = case_of(workspace, request)
    changes = tuple(changes_of(case)[before:])
    lines = (*(f"{request}: {change_words(change)}" for change in changes), *next_lines(case))
    return Amended(amended, changes, shown=lines)


def require_match(workspace: Workspace, selectors: Sequence[Selector]) -> None:
    """Raise :class:`WrongUse` for selectors that select no item, and that no request asked for before."""
    if not selectors or not all(selector.value for selector in selectors):
        return  # what is not well formed is for the request itself to refuse
    with Catalog.of(workspace) as catalog:
        if catalog.selected(selectors) or selected_artifacts(catalog.artifacts(), selectors):
            return
    if asked_before(workspace, selectors):
        return  # no mistake in typing: it is asked again
    asked = ", ".join(f"{selector.field} {_shown(selector)}" for selector in selectors)
    holders = "".join(f"; {words}" for words in (*ids_alike(workspace, selectors), *keepers(workspace, selectors)))
    raise WrongUse(
        f"no item is selected by {asked}; correct it, or record the request all the same with --unmatched, to be "
        f"denied as no-match{holders}"
    )


def doubts(workspace: Workspace, request: RemovalRequest) -> tuple[str, ...]:
    """Return in words what looks mistaken about a recorded request: selectors without items."""
    selectors = selectors_of(workspace, request)
    with Catalog.of(workspace) as catalog:
        artifacts = catalog.artifacts()
        alone = [
            each for each in selectors if not catalog.selected([each]) and not selected_artifacts(artifacts, [each])
        ]
        nothing = not catalog.selected(selectors) and not selected_artifacts(artifacts, selectors)
    warnings = [f"nothing is selected by {selector.field} {_shown(selector)}" for selector in alone]
    if nothing and not alone:
        warnings.append("no item has all that is selected by together; selectors of different fields must all hold")
    if nothing:
        warnings[-1] += "; the request is recorded and will be denied as no-match"
        warnings += keepers(workspace, selectors)
    warnings += ids_alike(workspace, selectors)
    return tuple(warnings)


def ids_alike(workspace: Workspace, selectors: Sequence[Selector]) -> Iterator[str]:
    """Yield in words how many items have an id that differs from a selected one in case or spaces alone."""
    with Catalog.of(workspace) as catalog:
        for selector in selectors:
            folded, _, mark = selector.value.partition(":")
            if selector.field != "subject" or not mark:
                continue
            alike, these = (
                frozenset[str]().union(*catalog.selected([each]).values())
                for each in (replace(selector, value=folded), selector)
            )
            if more := len(alike - these):
                yield (
                    f"{counted(more, 'item')} of ids that differ from (pseudonym {folded[:12]}) in case or "
                    "spaces alone are of other persons, and not selected; if an id was mistyped, correct it"
                )


def _shown(selector: Selector) -> str:
    """Return a selector's value as a warning may show it: a person's is a pseudonym, and said to be one."""
    return f"(pseudonym {selector.value[:12]})" if selector.field == "subject" else repr(selector.value)
