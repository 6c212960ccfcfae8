"""``disgorge request``: filing, correcting and reading requests, and what happens in them."""

from pathlib import Path
from typing import Annotated

import typer

from disgorge import api
from disgorge.api import Defect, Standing
from disgorge.cli.options import (
    AsJson,
    AsksAs,
    ByArtifact,
    Ground,
    Id,
    Item,
    Key,
    License,
    Many,
    MaybeBy,
    MaybeReason,
    Packs,
    References,
    Regime,
    Shard,
    Source,
    Subject,
    Svg,
    Text,
    Unmatched,
    argument,
    option,
    parse_date,
    parse_facts,
    selected,
)  # fmt: skip
from disgorge.cli.output import tables as show
from disgorge.errors import WrongUse

app = typer.Typer(help="Removal requests, from filing to report.", no_args_is_help=True)


@app.command("file")
def file_(
    standing: AsksAs = None,
    ground: Ground = None,
    regime: Regime = None,
    subject: Subject = None,
    source: Source = None,
    shard: Shard = None,
    item: Item = None,
    key: Key = None,
    license: License = None,
    artifact: ByArtifact = None,
    received: Annotated[Text, option("--received", "The day it arrived; today by default.")] = None,
    verified: Annotated[
        bool, option("--verified", "Record that the requester was identified; nothing is checked.")
    ] = False,
    hold: Annotated[bool, option("--hold", "The data is under a legal hold.")] = False,
    fact: Annotated[Many, option("--fact", "What a rule may ask for: name=value; yes and no will do.")] = None,
    name: Annotated[Text, option("--name", "Who asks; kept in private/ only.")] = None,
    contact: Annotated[Text, option("--contact", "How to reach them; private.")] = None,
    note: Annotated[Text, option("--note", "Anything else; private.")] = None,
    request_id: Annotated[Text, option("--id", "Id; a new one by default.")] = None,
    from_: Annotated[Path | None, option("--from", "Read all of it from a YAML file.")] = None,
    unmatched: Unmatched = False,
    packs: Packs = None,
    as_json: AsJson = False,
) -> None:
    """Record a removal request. Different selectors must all hold; repeated ones are alternatives.

    Which regimes and facts there are, the packs say: `disgorge policy facts` lists them.
    """
    selectors = selected(
        subject=subject, source=source, shard=shard, item=item, key=key, license=license, artifact=artifact
    )
    particulars = {"name": name or "", "contact": contact or "", "note": note or ""}
    typed = (standing, ground, regime, selectors, received, verified, hold, fact, request_id, *particulars.values())
    workspace = api.workspace.open_workspace()
    if ground is Defect.OWN_DECISION:
        standing, regime = standing or Standing.INTERNAL, regime or [api.OWN_DECISION]
    if from_ is not None:
        if any(typed):
            raise WrongUse("--from holds the whole request; give either that file or the other options")
        draft = api.filing.read_draft(from_)
    elif standing is None or ground is None or not regime:
        required = {"--standing": standing, "--ground": ground, "--regime": regime}
        *others, last = [option for option, value in required.items() if not value]
        missing = f"{', '.join(others)} and {last}" if others else last
        raise WrongUse(f"give {missing}, or --from FILE; `disgorge request file --help` lists them")
    else:
        day, facts = parse_date(received, option="--received"), parse_facts(fact)
        draft = api.filing.Draft(
            standing, ground, regime, selectors, day, verified, hold, request_id, {**facts}, particulars
        )
    show.result(api.filing.file_request(workspace, draft, unmatched=unmatched, packs=packs), as_json)


@app.command()
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
    artifact: ByArtifact = None,
    received: Annotated[Text, option("--received", "The day it arrived.")] = None,
    verified: Annotated[
        bool | None, option("--verified/--not-verified", "Whether the requester was identified.")
    ] = None,
    fact: Annotated[Many, option("--fact", "Set a fact: name=value.")] = None,
    without_fact: Annotated[Many, option("--without-fact", "Take a fact out, by name.")] = None,
    reason: MaybeReason = None,
    unmatched: Unmatched = False,
    packs: Packs = None,
    as_json: AsJson = False,
) -> None:
    """Correct a request before it is carried out. It is decided and planned anew; what it said before stays on record.

    Selectors that are given replace all there were; everything that is not given stays.
    """
    amended = api.filing.amend_request(
        api.workspace.open_workspace(),
        request,
        standing=standing,
        ground=ground,
        regime=regime or (),
        selectors=selected(
            subject=subject, source=source, shard=shard, item=item, key=key, license=license, artifact=artifact
        ),
        received=parse_date(received, option="--received"),
        verified=verified,
        facts=parse_facts(fact),
        without_facts=without_fact or (),
        reason=reason,
        unmatched=unmatched,
        packs=packs,
    )
    show.result(amended, as_json)


@app.command("list")
def list_(every: Annotated[bool, option("--all", "Closed ones too.")] = False, as_json: AsJson = False) -> None:
    """List requests, where each stands and by when it is due."""
    show.result(api.requests.list_requests(api.workspace.open_workspace(), closed=every), as_json)


@app.command("show")
def show_(request: Id, as_json: AsJson = False) -> None:
    """Show everything about one request: what was asked, decided, planned, approved and done."""
    show.result(api.requests.show_request(api.workspace.open_workspace(), request), as_json)


@app.command()
def impact(request: Id, svg: Svg = None, every: References = False, as_json: AsJson = False) -> None:
    """Show what a request touches: items, shards, components with the paths that lead there, releases."""
    show.result(api.lineage.impact(api.workspace.open_workspace(), request, references=every, svg=svg), as_json)


@app.command()
def near(
    request: Id,
    same: Annotated[bool, option("--same", "They are the same: remove them too.")] = False,
    distinct: Annotated[bool, option("--distinct", "They are other items: let them stay.")] = False,
    item: Annotated[Many, option("--item", "Say it of this one, by digest or its beginning; else of all.")] = None,
    by: MaybeBy = None,
    reason: MaybeReason = None,
    pictures: Annotated[
        Path | None, option("--pictures", "Also write a page that shows each beside what it looks like.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List unjudged near-duplicates of what a request removes; judge them with --same or --distinct."""
    if same and distinct:
        raise WrongUse("--same and --distinct contradict each other; give one, with --item for each it is true of")
    judge, workspace = "same" if same else "distinct" if distinct else None, api.workspace.open_workspace()
    duplicates = api.requests.near_duplicates(
        workspace, request, judge=judge, items=item or (), by=by, reason=reason, pictures=pictures
    )
    show.result(duplicates, as_json)


@app.command()
def event(
    request: Annotated[Text, argument("REQUEST", "Id of the request; not needed with --kinds.")] = None,
    kind: Annotated[
        Text, argument("KIND", "What happened, as --kinds lists it; leave it out to add facts alone.")
    ] = None,
    on: Annotated[Text, option("--on", "The day it happened; today by default.")] = None,
    by: MaybeBy = None,
    fact: Annotated[Many, option("--fact", "A fact that became known with it: name=value; no personal data.")] = None,
    without_fact: Annotated[
        Many, option("--without-fact", "A fact that holds no more or was mistaken, by name.")
    ] = None,
    kinds: Annotated[bool, option("--kinds", "List the kinds of events, and what each means.")] = False,
    packs: Packs = None,
    as_json: AsJson = False,
) -> None:
    """Record what happened in a request, with its day. The request has to be decided again afterwards."""
    if kinds:
        return show.result(api.requests.event_kinds(), as_json)
    if request is None:
        raise WrongUse("give a REQUEST and a KIND of event; `disgorge request event --kinds` lists kinds")
    if by is None:
        raise WrongUse("give --by NAME: who records it")
    day, facts, workspace = parse_date(on, option="--on"), parse_facts(fact), api.workspace.open_workspace()
    recorded = api.requests.record_event(
        workspace, request, kind=kind, on=day, by=by, facts=facts, without_facts=without_fact or (), packs=packs
    )
    show.result(recorded, as_json)


@app.command()
def close(
    request: Id,
    fulfilled_by: Annotated[
        Text, option("--fulfilled-by", "Another request, done and certified, that removed all its items.")
    ] = None,
    taken_back: Annotated[bool, option("--taken-back", "The requester took the request back.")] = False,
    by: MaybeBy = None,
    as_json: AsJson = False,
) -> None:
    """Close a request that another one fulfilled, with a report of its own, or that its requester took back."""
    if (fulfilled_by is None) != taken_back:
        raise WrongUse("give either --fulfilled-by REQUEST or --taken-back --by NAME; to refuse it, use request deny")
    if by is not None and not taken_back:
        raise WrongUse("--by goes with --taken-back; what --fulfilled-by rests on is shown, and not said by a person")
    workspace = api.workspace.open_workspace()
    if fulfilled_by is None:
        show.result(api.decisions.take_back(workspace, request, by=by or ""), as_json)
    else:
        show.result(api.decisions.close_fulfilled(workspace, request, by_request=fulfilled_by), as_json)


@app.command("erase-particulars")
def erase_particulars(request: Id, as_json: AsJson = False) -> None:
    """Delete the requester's name, contact and note. The chain of facts holds none of it and still verifies."""
    show.result(api.requests.erase_particulars(api.workspace.open_workspace(), request), as_json)
