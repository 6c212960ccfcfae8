"""How people are told which duties of a request are done, by the events recorded, and how late."""

from typing import TYPE_CHECKING, Any

from disgorge.cli.output import tables as show
from lineage.plural import counted

if TYPE_CHECKING:
    import datetime as dt

    from disgorge.request.case import Case


def answer_words(case: "Case") -> str:
    """Return in words that the requester was answered, and how late; "" if that is not recorded."""
    if case.answered is None:
        return ""
    return f"answered on {case.answered}{_late_words(case.answered, case.deadline)}"


def _days_late(done: "dt.date", by: "dt.date | None") -> int:
    return max((done - by).days, 0) if by is not None else 0


def _late_words(done: "dt.date", by: "dt.date | None") -> str:
    late = _days_late(done, by)
    return f" ({counted(late, 'day')} late)" if late else ""


def done_values(case: "Case") -> list[dict[str, Any]]:
    """Return the duties that are done as plain values."""
    return [
        {"words": duty.words, "rule": duty.rule, "by": duty.by, "done_on": on, "days_late": _days_late(on, duty.by)}
        for duty, on in case.duties_done
    ]


def print_owed_on_refusal(case: "Case") -> None:
    """Print what is owed with a refusal, the day of each first, and when it was done."""
    if case.owed_on_refusal:
        show.line("owed with the refusal:")
    for duty in case.owed_on_refusal:
        done = duty.done_on(case.events)
        was = f"; done on {done}{_late_words(done, duty.by)}" if done else ""
        show.paragraph(f"  - {duty.said} [{duty.rule}]{was}", indent=2)


def print_done(case: "Case") -> None:
    """Print what is done of what is owed, by the events recorded: duties, the answer, receipt, recipients."""
    from policies.events import EventKind, first_day, receipt_confirmed

    words = [
        f"{duty.words} [{duty.rule}]: done on {done}{_late_words(done, duty.by)}" for duty, done in case.duties_done
    ]
    if answer := answer_words(case):
        words.append(f"the requester: {answer}")
    if confirmed := receipt_confirmed(case.events):
        by = case.decision.owed.acknowledge_by if case.decision and case.decision.owed else None
        words.append(f"receipt: confirmed on {confirmed}{_late_words(confirmed, by)}")
    if told := first_day(case.events, EventKind.TOLD_ON):
        words.append(f"recipients of the data, or of models built on it: told on {told}")
    if words:
        show.line("done of what is owed:")
    for each in words:
        show.paragraph(f"  - {each}", indent=2)
