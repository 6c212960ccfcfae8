"""Whether what was to be kept for a while only is still kept."""

from collections.abc import Iterator

from disgorge.audit.look import Look
from disgorge.findings import PURGE_OVERDUE, Finding, Level


def purges(look: Look) -> Iterator[Finding]:
    """Yield an error per open request whose purge was on hold until a day that has come, a note where it is to come."""
    for case in look.cases.values():
        if case.closed or case.purge_held is None or not case.steps:
            continue
        name, come = case.request.id, case.purge_held <= look.today
        yield Finding(
            PURGE_OVERDUE,
            name,
            f"old weights and withdrawn items were to be kept until {case.purge_held}"
            if come
            else f"old weights and withdrawn items are kept until {case.purge_held}, and nothing is certified before",
            f"carry it out with `disgorge purge {name}`" if come else f"on that day, `disgorge purge {name}`",
            None if come else Level.NOTE,
        )
