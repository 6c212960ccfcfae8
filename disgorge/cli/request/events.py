"""``disgorge request event``: what happened in a request after it was filed."""

from typing import TYPE_CHECKING, Annotated

import typer

from disgorge.cli.output import tables as show
from disgorge.cli.output.case import print_next
from disgorge.cli.output.errors import WrongUse
from disgorge.cli.output.tables import AsJson
from disgorge.cli.request.options import Packs, require_name
from policies.events import EventKind

if TYPE_CHECKING:
    from disgorge.request.case import Case


def event(
    request: Annotated[
        str | None, typer.Argument(help="Id of the request; not needed with --kinds.", metavar="REQUEST")
    ] = None,
    kind: Annotated[
        str | None,
        typer.Argument(help="What happened, as --kinds lists it; leave it out to add facts alone.", metavar="KIND"),
    ] = None,
    on: Annotated[str | None, typer.Option("--on", help="The day it happened; today by default.")] = None,
    by: Annotated[str | None, typer.Option("--by", help="Who records it, as typed; kept as a pseudonym.")] = None,
    fact: Annotated[
        list[str] | None, typer.Option("--fact", help="A fact that became known with it: name=value; no personal data.")
    ] = None,
    without_fact: Annotated[
        list[str] | None, typer.Option("--without-fact", help="A fact that holds no more or was mistaken, by name.")
    ] = None,
    kinds: Annotated[bool, typer.Option("--kinds", help="List the kinds of events, and what each means.")] = False,
    packs: Packs = None,
    as_json: AsJson = False,
) -> None:
    """Record what happened in a request, with its day. The request has to be decided again afterwards."""
    from disgorge.cli.request.filing import checked_lines, parse_date, parse_facts
    from disgorge.request.workflow.events import record_event
    from lineage.workspace import Workspace
    from policies.packs.load import load_packs

    if kinds:
        list_kinds(as_json)
        return
    if request is None:
        raise WrongUse("give a REQUEST and a KIND of event; `disgorge request event --kinds` lists kinds")
    if by is None:
        raise WrongUse("give --by NAME: who records it")
    require_name(by, "records it")
    facts = checked_lines(parse_facts(fact or []))
    if both := sorted(set(facts) & set(without_fact or ())):
        raise WrongUse(f"--fact and --without-fact both name {both[0]}; give one of them")
    if kind is None and not facts and not without_fact:
        raise WrongUse("give a KIND of event, a --fact, or both; `disgorge request event --kinds` lists kinds")
    chosen, day = kind_named(kind) if kind else EventKind.NOTED, parse_date(on, option="--on")
    case = record_event(
        Workspace.open(), request, chosen, on=day, by=by.strip(), facts=facts, without_facts=without_fact or (),
        packs=load_packs(packs),
    )  # fmt: skip
    recorded = case.events[-1]
    if as_json:
        show.write_json({"request": request, "event": recorded, "outdated": case.outdated, "closed": case.closed})
        return
    show.line(f"recorded of {request}: {event_words(recorded.kind, str(recorded.on), recorded.facts)}")
    _warn_of_outweighed(case)
    if case.closed:
        show.line(
            f"{request} is closed ({case.closed}): nothing is decided again; file a new request if more must be done"
        )
    else:
        print_next(case)


def kind_named(text: str) -> EventKind:
    """Return the kind of event of this name; :class:`WrongUse` with the nearest if there is none."""
    from policies.vocabulary.nearest import or_nearest

    names = [kind.value for kind in EventKind]
    if text.casefold() in names:
        return EventKind(text.casefold())
    raise WrongUse(
        f"no kind of event {text!r}{or_nearest(text, names)}; `disgorge request event --kinds` lists them all"
    )


def _warn_of_outweighed(case: "Case") -> None:
    """Say which facts of the event that was recorded last count for nothing, because of what a later day brought."""
    known = case.request.after(case.events).facts
    for name, value in case.events[-1].facts.items():
        if known.get(name) != value:
            stays = f"stays {show.clean(str(known[name]))}" if name in known else "stays taken out"
            show.warn(f"{name} {stays}, as said of a later day; record it with that day if it is to count from then on")


def list_kinds(as_json: bool) -> None:
    """Print every kind of event and what it means."""
    if as_json:
        show.write_json({kind.value: kind.words for kind in EventKind})
    else:
        show.table(("kind", "means"), [(kind.value, kind.words) for kind in EventKind])


def event_words(kind: EventKind, on: str, facts: dict[str, object]) -> str:
    """Return an event in one line."""
    said = ", ".join(
        f"{name} taken out" if value is None else f"{name}={str(value).lower() if isinstance(value, bool) else value}"
        for name, value in facts.items()
    )
    return f"{on} {kind.value}: {kind.words}" + (f" ({said})" if said else "")


def print_events(case: "Case") -> None:
    """Print the events of a case in the order of their days, and whether the decision knows them."""
    from policies.events import in_order

    for happened in in_order(case.events):
        show.line_with_indent("  ", show.clean(event_words(happened.kind, str(happened.on), happened.facts)))


def print_decisions(case: "Case") -> None:
    """Print the earlier decisions of a case, oldest first, a line each."""
    for made in case.decisions[:-1]:
        due = made.owed.deadline if made.owed else None
        words = f"{made.decided}: {made.outcome.value}, {made.category}" + (f", due {due}" if due else "")
        show.line_with_indent("  ", show.clean(words))
