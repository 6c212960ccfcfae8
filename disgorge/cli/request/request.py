"""``disgorge request``: what happens to a request before anything is removed."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from disgorge.cli.output import tables as show
from disgorge.cli.output.case import (
    earlier_values,
    ending_words,
    hold_lines,
    paragraphs,
    print_earlier,
    print_held_meanwhile,
    print_impact,
    print_next,
    print_plan,
    selected_value,
    state_words,
    summary,
)
from disgorge.cli.output.duties import answer_words, print_done, print_owed_on_refusal
from disgorge.cli.output.errors import WrongUse
from disgorge.cli.output.tables import AsJson
from disgorge.cli.request.amend import change_words
from disgorge.cli.request.events import print_decisions, print_events
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
    said,
)
from policies.request import OWN_DECISION, Standing
from policies.taxonomy import Defect, Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from disgorge.request.case import Case
    from disgorge.request.history.timeline import Now
    from disgorge.request.workflow.amend import Change

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
    received: Annotated[str | None, typer.Option("--received", help="The day it arrived; today by default.")] = None,
    verified: Annotated[
        bool, typer.Option("--verified", help="Record that who asks was identified; nothing is checked.")
    ] = False,
    hold: Annotated[bool, typer.Option("--hold", help="The data is under a legal hold.")] = False,
    fact: Annotated[
        Many, typer.Option("--fact", help="What a rule may ask for: name=value; yes and no will do.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="Who asks; kept in private/ only.")] = None,
    contact: Annotated[str | None, typer.Option("--contact", help="How to reach them; private.")] = None,
    note: Annotated[str | None, typer.Option("--note", help="Anything else; private.")] = None,
    request_id: Annotated[str | None, typer.Option("--id", help="Id; a new one by default.")] = None,
    from_: Annotated[Path | None, typer.Option("--from", help="Read all of it from a YAML file.")] = None,
    unmatched: Annotated[bool, typer.Option("--unmatched", help="Record it though it selects no item.")] = False,
    packs: Packs = None,
    as_json: AsJson = False,
) -> None:
    """Record a removal request. Different selectors must all hold; repeated ones are alternatives.

    Which regimes and facts there are, the packs say: `disgorge policy facts` lists them.
    """
    from disgorge.cli.request.filing import Draft, doubts, file_draft, one_regime, parse_date, parse_facts, read_draft
    from disgorge.request.case import case_of
    from disgorge.request.history.earlier import earlier_requests
    from lineage.workspace import Workspace
    from policies.packs.load import load_packs

    chosen = {"subject": subject, "source": source, "shard": shard, "item": item, "key": key, "license": license}
    selectors: dict[str, str | list[str]] = {field: values for field, values in chosen.items() if values}
    given = (standing, ground, regime)
    if ground is Defect.OWN_DECISION:
        standing, regime = standing or Standing.INTERNAL, regime or [OWN_DECISION]
    typed = (*given, selectors, received, verified, hold, fact, name, contact, note, request_id)
    workspace = Workspace.open()
    if from_ is not None:
        if any(typed):
            raise WrongUse("--from holds the whole request; give either that file or the other options")
        draft = read_draft(from_)
    elif standing is None or ground is None or not regime:
        wanted = {"--standing": standing, "--ground": ground, "--regime": regime}
        *others, last = [name for name, value in wanted.items() if not value]
        missing = f"{', '.join(others)} and {last}" if others else last
        raise WrongUse(f"give {missing}, or --from FILE; `disgorge request file --help` lists them")
    else:
        first, facts = one_regime(regime, parse_facts(fact or []))
        draft = Draft(
            standing=standing,
            ground=ground,
            regime=first,
            selectors=selectors,
            received=parse_date(received, option="--received"),
            verified=verified,
            hold=hold,
            id=request_id,
            facts=facts,
            particulars={"name": name or "", "contact": contact or "", "note": note or ""},
        )
    request = file_draft(workspace, draft, unmatched=unmatched, packs=load_packs(packs))
    warnings = doubts(workspace, request)
    for words in warnings:
        show.warn(words)
    earlier = earlier_requests(workspace, request.id)
    if as_json:
        show.write_json({"request": request, "warnings": warnings, "earlier": earlier_values(earlier)})
        return
    print_earlier(earlier, case_of(workspace, request.id))
    show.line(f"filed {request.id}; see what it touches with `disgorge request impact {request.id}`")


@app.command("list")
def list_(
    every: Annotated[bool, typer.Option("--all", help="Closed ones too.")] = False, as_json: AsJson = False
) -> None:
    """List requests, where each stands and by when it is due."""
    from disgorge.request.case import docket
    from lineage.workspace import Workspace
    from policies.packs.facts import regimes_of

    cases = [case for case in docket(Workspace.open()).values() if every or not case.closed]
    if as_json:
        show.write_json([summary(case) for case in cases])
        return
    rows = [
        (
            c.request.id,
            "; ".join(words for words in (ending_words(c), answer_words(c)) if words) if c.closed else state_words(c),
            ", ".join(regimes_of(c.request, c.request.facts)),
            c.request.ground.value,
            c.request.received,
            c.deadline,
        )
        for c in cases
    ]
    columns = ("request", "state", "regime", "ground", "received", "due")
    show.table(columns, rows, empty="no request" if every else "no open request")


@app.command("show")
def show_(request: Id, as_json: AsJson = False) -> None:
    """Show everything about one request: what was asked, decided, planned, approved and done."""
    from disgorge.request.case import case_of, plan_of
    from disgorge.request.history.earlier import earlier_requests
    from disgorge.request.history.timeline import now
    from disgorge.request.workflow.amend import changes_of
    from lineage.workspace import Workspace

    workspace = Workspace.open()
    case = case_of(workspace, request)
    plan = plan_of(workspace, case) if case.plan else None
    changes, holds, earlier = changes_of(case), now(case, workspace.day_of), earlier_requests(workspace, request)
    if as_json:
        value: dict[str, Any] = {
            "request": case.request, "decision": case.decision, "decisions": case.decisions, "changes": changes,
            "earlier": earlier_values(earlier), "now": holds,
            "plan": plan and plan.whole, "warnings": plan.warnings if plan else (),
        }  # fmt: skip
        show.write_json(summary(case) | value)
        return
    _print_asked(case, holds, changes)
    print_earlier(earlier, case)
    _print_decided(case)
    if plan is not None:
        typer.echo()
        print_plan(plan, done=case.steps.get(plan.digest, {}))
        show.line(f"approvals: {len(set(case.approvals.get(plan.digest, [])))} of {max(plan.approvals, 1)}")
    print_next(case, plan)


def _print_asked(case: "Case", holds: "Now", changes: "Sequence[Change]") -> None:
    """Print what was asked, and where it stands."""
    from policies.packs.facts import regimes_of

    asked = case.request
    show.line(f"{asked.id}: {state_words(case)}")
    selected = [f"{selector.field} {selected_value(selector.field, selector.value)}" for selector in asked.selectors]
    show.pairs(
        [
            ("asked by", f"{asked.standing.value}, {'' if asked.identity_verified else 'not '}recorded as identified"),
            ("ground", asked.ground.value),
            ("regime", ", ".join(regimes_of(asked, asked.facts))),
            ("selects", selected),
            ("received", asked.received),
            ("due", case.deadline or (case.decision.no_due if case.decision else None)),
            ("extended", holds.extension.words if holds.extension else None),
            ("facts", [f"{name}={value}" for name, value in asked.facts.items()]),
            ("amended", [f"{change.on[:10]}: {change_words(change)}" for change in changes]),
            ("outdated", case.outdated),
            ("legal hold", ("lifted" if case.lifted else "yes") if asked.legal_hold else None),
            ("on hold", _holds(case)),
            ("planned with", [name for name in case.together if name != asked.id]),
            ("closed", ending_words(case)),
            ("report", case.report["bundle"] if case.report else None),
            ("verdict", case.report["verdict"] if case.report else None),
        ]
    )


def _print_decided(case: "Case") -> None:
    """Print what happened, and what was decided before and last."""
    if case.events:
        typer.echo()
        show.line("what happened since:")
        print_events(case)
    if len(case.decisions) > 1:
        typer.echo()
        show.line("decided before:")
        print_decisions(case)
    if case.decision is not None:
        from policies.judging.explain import explain

        typer.echo()
        if case.closed == "denied":
            show.line("What was decided before a person denied it:")
        paragraphs(explain(case.decision, case.judged))
        print_held_meanwhile(case)
        if case.closed == "denied" and case.decision.outcome is not Outcome.DENIED:
            print_owed_on_refusal(case)
        print_done(case)


def _holds(case: "Case") -> list[str]:
    from disgorge.request.holds.open import open_holds

    return ["; ".join((each.terms.reason, *hold_lines(each))) for each in open_holds(case)]


@app.command()
def impact(
    request: Id,
    svg: Annotated[Path | None, typer.Option("--svg", help="Also draw the lineage into this file.")] = None,
    every: Annotated[bool, typer.Option("--all", help="List references of probes too; JSON always has them.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what a request touches: items, shards, components with the paths that lead there, releases."""
    from disgorge.request.case import case_of
    from disgorge.request.near.find import near_now
    from disgorge.request.workflow.impact import impact_of
    from lineage.workspace import Workspace

    workspace = Workspace.open()
    case = case_of(workspace, request)
    found = impact_of(workspace, case.request)
    if svg is not None:
        from lineage.catalog.svg import draw_impact

        svg.write_text(draw_impact(found), encoding="utf-8")
    if as_json:
        show.write_json(found)
        return
    print_impact(found, every=every)
    near = near_now(workspace, case, [change.before for change in found.shards])
    if near.unjudged:
        show.warn(f"{near.words}; see them with `disgorge request near {request}`")


@app.command("erase-particulars")
def erase_particulars(request: Id, as_json: AsJson = False) -> None:
    """Delete the name, contact and note of whoever asked. The chain of facts holds none of it and still verifies."""
    from disgorge.request.case import case_of
    from disgorge.request.holds.open import forget_hidden, is_held
    from disgorge.request.particulars import HIDDEN
    from disgorge.request.particulars import erase_particulars as erase
    from lineage.workspace import Workspace

    workspace = Workspace.open()
    case = case_of(workspace, request)
    hidden = any(selector.field in HIDDEN for selector in case.request.selectors)
    if case.closed and hidden and is_held(case):
        raise WrongUse(
            f"request {request} is closed and its data is on hold; only its private file says which items that covers: "
            f"lift the hold first with `disgorge request hold {request} --lift --reason TEXT`"
        )
    if not case.closed and hidden:
        raise WrongUse(
            f"request {request} selects by {' or '.join(HIDDEN)}, and only its private file says which; close it "
            f"first, then erase"
        )
    erased = erase(workspace, request)
    forget_hidden(workspace, case, over=bool(case.closed))
    words = "the particulars are erased" if erased else "there are no particulars to erase"
    said(as_json, f"{request}: {words}", request=request, erased=erased)
