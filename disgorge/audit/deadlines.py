"""Whether every request was answered in time."""

import datetime as dt
from collections.abc import Iterator

from disgorge.audit.look import Look, is_late
from disgorge.findings import ON_HOLD, OVERDUE, Finding
from policies.taxonomy import Outcome

UNDECIDED_DAYS = 28
"""Days after which a request nobody decided is overdue: the shortest calendar month, for the month that GDPR
Art. 12(3) gives; other regimes in the packs give longer to decide."""


def overdue(look: Look) -> Iterator[Finding]:
    """Yield an error per open request whose time is up, and a note per open request on hold."""
    for case in look.cases.values():
        request, place = case.request.id, case.facts[0].seq
        outcome = case.decision.outcome if case.decision else None
        if case.closed or outcome is Outcome.DENIED:
            continue
        if case.hold is not None or outcome is Outcome.ON_HOLD:
            yield Finding(
                ON_HOLD,
                request,
                "waits for a hold to end, and its data stays meanwhile",
                "lift the hold, or decide again, when its reason has gone",
                fact=place,
            )
        elif is_late(case, look.today):
            yield Finding(
                OVERDUE,
                request,
                f"had to be done by {case.deadline} and is {case.state}",
                f"carry it out, or extend it as its regime allows: `disgorge request show {request}`",
                fact=place,
            )
        elif case.decision is not None and case.decision.owed is not None and case.decision.owed.stands_still:
            continue  # the decision says what its clock waits for
        elif case.deadline is None and look.today > case.request.received + dt.timedelta(days=UNDECIDED_DAYS):
            yield Finding(
                OVERDUE,
                request,
                f"was received on {case.request.received} and has no decision that sets a deadline",
                f"decide it with `disgorge request decide {request}`",
                fact=place,
            )
