"""``disgorge request amend``: what a request should have said, before anything is done for it."""

from typing import Annotated, Any

import typer

from disgorge.cli.output import tables as show
from disgorge.cli.output.case import print_next
from disgorge.cli.output.errors import WrongUse
from disgorge.cli.output.tables import AsJson
from disgorge.cli.request.options import (
    AsksAs,
    Ground,
    Id,
    Item,
    Key,
    License,
    Many,
    Packs,
    Regime,
    Shard,
    Source,
    Subject,
    require_reason,
)


def amend(
    request: Id,
    standing: AsksAs = None,
    ground: Ground = None,
    regime: Regime = None,
    subject: Subject = None,
    source: Source = None,
    shard: Shard = None,
    item: Item = None,
    key: Key = None,
    license: License = None,
    received: Annotated[str | None, typer.Option("--received", help="The day it arrived.")] = None,
    verified: Annotated[
        bool | None, typer.Option("--verified/--not-verified", help="Whether who asks was identified.")
    ] = None,
    fact: Annotated[Many, typer.Option("--fact", help="Set a fact: name=value.")] = None,
    without_fact: Annotated[Many, typer.Option("--without-fact", help="Take a fact out, by name.")] = None,
    reason: Annotated[
        str | None, typer.Option("--reason", help="Why; no personal data, it is recorded for good.")
    ] = None,
    unmatched: Annotated[bool, typer.Option("--unmatched", help="Though it selects no item then.")] = False,
    packs: Packs = None,
    as_json: AsJson = False,
) -> None:
    """Correct a request before it is carried out. It is decided and planned anew; what it said before stays on record.

    Selectors that are given replace all there were; everything that is not given stays.
    """
    from disgorge.cli.request.filing import (
        checked_lines,
        one_regime,
        parse_date,
        parse_facts,
        require_match,
        selectors_from,
    )
    from disgorge.request.case import case_of
    from disgorge.request.workflow.amend import amend_request, changes_of
    from lineage.workspace import Workspace
    from policies.packs.load import load_packs

    chosen = {"subject": subject, "source": source, "shard": shard, "item": item, "key": key, "license": license}
    given: dict[str, str | list[str]] = {field: values for field, values in chosen.items() if values}
    options: tuple[Any, ...] = (standing, ground, regime, received, given, fact, without_fact)
    if not any(options) and verified is None:
        raise WrongUse("nothing is given to amend; `disgorge request amend --help` lists what can be")
    if reason is not None:
        require_reason(reason)
    workspace = Workspace.open()
    before = len(changes_of(case_of(workspace, request)))
    selectors = selectors_from(workspace, given)
    if selectors and not unmatched:
        require_match(workspace, selectors)
    first, facts = one_regime(regime, parse_facts(fact or [])) if regime else (None, parse_facts(fact or []))
    amended = amend_request(
        workspace,
        request,
        standing=standing,
        ground=ground,
        regime=first,
        selectors=selectors,
        received=parse_date(received, option="--received"),
        identity_verified=verified,
        facts=checked_lines(facts),
        without_facts=without_fact or (),
        because=reason or "",
        packs=load_packs(packs),
    )
    case = case_of(workspace, request)
    changes = changes_of(case)[before:]
    if as_json:
        show.write_json({"request": amended, "changes": changes})
        return
    for change in changes:
        show.line(f"{request}: {change_words(change)}")
    print_next(case)


def change_words(change: Any) -> str:
    """Return in words what an amendment changed."""
    before, after = (_said(change.name, value) for value in (change.before, change.after))
    because = f" ({change.because})" if change.because else ""
    return f"{change.name} was {before}, is {after}{because}"


def _said(name: str, value: Any) -> str:
    if name == "selectors":
        from disgorge.cli.output.case import selected_value

        return ", ".join(f"{each['field']} {selected_value(each['field'], each['value'])}" for each in value)
    if value is None:
        return "absent"
    return {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)
