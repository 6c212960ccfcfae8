"""``disgorge request near``: see what looks like the items a request removes, and say whether it is the same."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from disgorge.cli.output import tables as show
from disgorge.cli.output.case import print_next
from disgorge.cli.output.errors import WrongUse
from disgorge.cli.output.tables import AsJson
from disgorge.cli.request.options import Id, require_name, require_reason
from lineage.plural import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from disgorge.evidence.checks import NearItem


def near(
    request: Id,
    same: Annotated[bool, typer.Option("--same", help="They are the same: remove them too.")] = False,
    distinct: Annotated[bool, typer.Option("--distinct", help="They are other items: let them stay.")] = False,
    item: Annotated[
        list[str] | None, typer.Option("--item", help="Say it of this one, by digest or its beginning; else of all.")
    ] = None,
    by: Annotated[str | None, typer.Option("--by", help="Who says so, as typed; kept as a pseudonym.")] = None,
    reason: Annotated[
        str | None, typer.Option("--reason", help="Why; no personal data, it is recorded for good.")
    ] = None,
    pictures: Annotated[
        Path | None, typer.Option("--pictures", help="Also write a page that shows each beside what it looks like.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List near-duplicates of what a request removes that nobody has judged; judge them with --same or --distinct."""
    from disgorge.request.case import case_of, open_case
    from disgorge.request.near.find import near_now
    from disgorge.request.near.review import judge_distinct, judge_same
    from disgorge.request.workflow.impact import impact_of
    from disgorge.workspace_lock import turn
    from lineage.workspace import Workspace

    if same and distinct:
        raise WrongUse("--same and --distinct contradict each other; give one, with --item for each it is true of")
    workspace = Workspace.open()
    case = case_of(workspace, request)
    if case.closed:
        raise WrongUse(f"request {request} is closed ({case.closed}); there is nothing to judge any more")
    impact = impact_of(workspace, case.request)
    found = near_now(workspace, case, [change.before for change in impact.shards])
    chosen = _chosen(found.unjudged, item or [])
    if pictures is not None:
        from disgorge.locations.exports import write_page
        from disgorge.report.near_duplicates_page import near_page

        write_page(workspace, case.request.id, pictures, *near_page(workspace, case.request.id, chosen))
    if same or distinct:
        require_name(by or "", "says so")
        require_reason(reason or "")
        if not chosen:
            raise WrongUse(f"request {request} has no near-duplicate that nobody has judged")
        with turn(workspace, then="say it again"):
            case = open_case(workspace, request)  # as it is now that nobody else changes it
            if same:
                judge_same(workspace, case, [each.digest for each in chosen], by=str(by).strip(), because=str(reason))
            else:
                pairs = [(each.digest, each.near) for each in chosen]
                judge_distinct(workspace, case, pairs, by=str(by).strip(), because=str(reason))
    if as_json:
        judged = "same" if same else "distinct" if distinct else None
        show.write_json({"request": request, "judged": judged, "items": chosen, "near": found})
        return
    _print(chosen, sought=found.sought, unseen=found.unseen)
    if same or distinct:
        words = "are removed too" if same else "stay, as other items"
        show.line(f"{counted(len(chosen), 'item')} {words}")
        print_next(case_of(workspace, request))


def _chosen(unjudged: "Sequence[NearItem]", named: "Sequence[str]") -> "list[NearItem]":
    for name in named:
        hits = {each.digest for each in unjudged if each.digest.startswith(name)}
        if len(hits) != 1 or len(name) < 6:
            what = "no near-duplicate that nobody has judged" if not hits else "more than one, or may"
            raise WrongUse(f"--item {name[:64]!r} names {what}; give a digest as the list shows it, or more of it")
    return [each for each in unjudged if not named or each.digest.startswith(tuple(named))]


def _print(items: "Sequence[NearItem]", *, sought: int, unseen: "Sequence[str]") -> None:
    if not sought:
        show.line("no likeness was recorded for what it removes, so near-duplicates cannot be looked for")
        return
    rows = [(i.shard, show.short(i.digest), i.bits, show.short(i.near[0]), len(i.near)) for i in items]
    empty = "no near-duplicate that nobody has judged"
    show.table(("shard", "item", "bits apart", "nearest removed", "near to"), rows, empty=empty)
    if unseen:
        show.line(f"not looked into, because no likeness was recorded for every item: {', '.join(unseen)}")
