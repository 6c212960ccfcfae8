"""``disgorge request event``: what happened in a request after it was filed."""

from typing import TYPE_CHECKING, Annotated

import typer

from disgorge.cli import show
from disgorge.cli.case_views import print_next
from disgorge.cli.deciding import require_name
from disgorge.cli.failures import WrongUse
from disgorge.cli.request import Packs
from disgorge.cli.show import AsJson
from policies.events import EventKind

if TYPE_CHECKING:
    from disgorge.docket import Case


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
    kinds: Annotated[bool, typer.Option("--kinds", help="List the kinds of events, and what each means.")] = False,
    packs: Packs = None,
    as_json: AsJson = False,
) -> None:
    """Record what happened in a request, with its day. The request has to be decided again afterwards."""
    from disgorge.cli.filing import checked_lines, parse_date, parse_facts
    from disgorge.request_events import record_event
    from lineage.ledger import Ledger
    from policies.pack import load_packs

    if kinds:
        list_kinds(as_json)
        return
    if request is None:
        raise WrongUse("give a REQUEST and a KIND of event; `disgorge request event --kinds` lists kinds")
    if by is None:
        raise WrongUse("give --by NAME: who records it")
    require_name(by, "records it")
    facts = checked_lines(parse_facts(fact or []))
    if kind is None and not facts:
        raise WrongUse("give a KIND of event, a --fact, or both; `disgorge request event --kinds` lists kinds")
    chosen, day = kind_named(kind) if kind else EventKind.NOTED, parse_date(on, option="--on")
    case = record_event(Ledger.open(), request, chosen, on=day, by=by.strip(), facts=facts, packs=load_packs(packs))
    recorded = case.events[-1]
    if as_json:
        show.write_json({"request": request, "event": recorded, "outdated": case.outdated, "closed": case.closed})
        return
    show.line(f"recorded of {request}: {event_words(recorded.kind, str(recorded.on), recorded.facts)}")
    if case.closed:
        show.line(
            f"{request} is closed ({case.closed}): nothing is decided again; file a new request if more must be done"
        )
    else:
        print_next(case)


def kind_named(text: str) -> EventKind:
    """Return the kind of event of this name; :class:`WrongUse` with the nearest if there is none."""
    from policies.nearest import or_nearest

    names = [kind.value for kind in EventKind]
    if text.casefold() in names:
        return EventKind(text.casefold())
    raise WrongUse(
        f"no kind of event {text!r}{or_nearest(text, names)}; `disgorge request event --kinds` lists them all"
    )


def list_kinds(as_json: bool) -> None:
    """Print every kind of event and what it means."""
    if as_json:
        show.write_json({kind.value: kind.words for kind in EventKind})
    else:
        show.table(("kind", "means"), [(kind.value, kind.words) for kind in EventKind])


def event_words(kind: EventKind, on: str, facts: dict[str, object]) -> str:
    """Return an event in one line."""
    said = ", ".join(
        f"{name}={str(value).lower() if isinstance(value, bool) else value}" for name, value in facts.items()
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
