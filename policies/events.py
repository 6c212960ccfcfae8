"""Events of a request: what happened after it was filed, each with the day on which it happened.

A request is a sequence. Deadlines stop and start with events, packs read them in conditions, and facts that became
known later come with one. Events are kept in the order of their days, not in that in which they were recorded: one
that was entered late gives what it would have given in time.

On one day the order is that of :class:`EventKind`. What ends a protection (``stay-lifted``) goes before what begins one
(``stayed``), so a stay that ends and begins again on one day goes on. Negative consequence: a stay that was put on and
lifted within one day counts until ``stay-lifted`` is recorded with a later day.

>>> asked = Event(EventKind.IDENTITY_ASKED, dt.date(2026, 3, 4))
>>> shown = Event(EventKind.IDENTITY_SHOWN, dt.date(2026, 3, 11))
>>> [kind.value for kind in pending([asked])], pending([shown, asked])
(['identity-asked'], ())
"""

import datetime as dt
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from lineage.records import LEFT_OUT, canonical


class EventKind(StrEnum):
    """What can happen in a request, in the order in which events of one day count."""

    NOTED = "noted"
    IDENTITY_ASKED = "identity-asked"
    IDENTITY_FAILED = "identity-failed"
    IDENTITY_SHOWN = "identity-shown"
    CLARIFICATION_ASKED = "clarification-asked"
    CLARIFICATION_GIVEN = "clarification-given"
    FEE_ASKED = "fee-asked"
    FEE_PAID = "fee-paid"
    ACKNOWLEDGED = "acknowledged"
    INTERIM_ANSWER = "interim-answer"
    EXTENSION_TOLD = "extension-told"
    REFUSAL_TOLD = "refusal-told"
    ANSWERED = "answered"
    TOLD_ON = "told-on"
    COMPLAINT = "complaint"
    COMPLAINT_ANSWERED = "complaint-answered"
    ORDER_CHANGED = "order-changed"
    ORDER_WITHDRAWN = "order-withdrawn"
    COUNTER_NOTICE_WITHDRAWN = "counter-notice-withdrawn"
    PUT_BACK = "put-back"
    SETTLED = "settled"
    JUDGMENT = "judgment"
    STAY_LIFTED = "stay-lifted"
    APPEAL_DECIDED = "appeal-decided"
    COUNTER_NOTICE = "counter-notice"
    SUIT_FILED = "suit-filed"
    STAYED = "stayed"
    APPEAL_FILED = "appeal-filed"

    @property
    def words(self) -> str:
        """What an event of this kind means, in one line."""
        return _WORDS[self]

    @property
    def confirms_receipt(self) -> bool:
        """Whether the requester knows by it that the request was received."""
        return self in _CONFIRMING

    @property
    def answers_request(self) -> bool:
        """Whether it is part of dealing with the request, so that it cannot come before receipt."""
        return self in _ANSWERING


_WORDS = {
    EventKind.NOTED: "facts became known; nothing else happened",
    EventKind.IDENTITY_ASKED: "the requester was asked for what identifies them, because of reasonable doubts",
    EventKind.IDENTITY_FAILED: "what was given does not identify the requester",
    EventKind.IDENTITY_SHOWN: "the requester was identified",
    EventKind.CLARIFICATION_ASKED: "the requester was asked which data they mean",
    EventKind.CLARIFICATION_GIVEN: "the requester said which data they mean",
    EventKind.FEE_ASKED: "a fee that the law allows was asked for",
    EventKind.FEE_PAID: "the fee was paid",
    EventKind.ACKNOWLEDGED: "receipt was confirmed to the requester",
    EventKind.INTERIM_ANSWER: "the requester was told how far the matter is",
    EventKind.EXTENSION_TOLD: "the requester was told that it takes longer, and why",
    EventKind.REFUSAL_TOLD: "the requester was told of a refusal, its reasons and the ways of complaint",
    EventKind.ANSWERED: "the requester was told what was done",
    EventKind.TOLD_ON: "recipients of the data, or of models built on it, were told",
    EventKind.COMPLAINT: "the requester complained, to the controller or to an authority",
    EventKind.COMPLAINT_ANSWERED: "the complaint was answered",
    EventKind.ORDER_CHANGED: "the order was changed; its new dates and scope come as facts",
    EventKind.ORDER_WITHDRAWN: "the order was withdrawn or set aside",
    EventKind.COUNTER_NOTICE_WITHDRAWN: "the counter-notice was withdrawn",
    EventKind.PUT_BACK: "the material was put back, access to it restored",
    EventKind.SETTLED: "the parties settled; what they agreed comes as facts",
    EventKind.JUDGMENT: "the court decided; what it decided comes as facts",
    EventKind.STAY_LIFTED: "the stay ended",
    EventKind.APPEAL_DECIDED: "the appeal was decided; how comes as facts",
    EventKind.COUNTER_NOTICE: "a valid counter-notice was received",
    EventKind.SUIT_FILED: "an action about the matter was filed in court, and we have notice of it",
    EventKind.STAYED: "a court or authority stayed the order",
    EventKind.APPEAL_FILED: "an appeal against the order, or against our answer, was filed",
}

_DISPUTE_OVER = (EventKind.SETTLED, EventKind.JUDGMENT)
ENDS: dict[EventKind, tuple[EventKind, ...]] = {
    EventKind.IDENTITY_ASKED: (EventKind.IDENTITY_SHOWN, EventKind.IDENTITY_FAILED),
    EventKind.CLARIFICATION_ASKED: (EventKind.CLARIFICATION_GIVEN,),
    EventKind.FEE_ASKED: (EventKind.FEE_PAID,),
    EventKind.COMPLAINT: (EventKind.COMPLAINT_ANSWERED,),
    EventKind.COUNTER_NOTICE: (
        EventKind.COUNTER_NOTICE_WITHDRAWN, EventKind.PUT_BACK, EventKind.SUIT_FILED, *_DISPUTE_OVER,
    ),
    EventKind.SUIT_FILED: _DISPUTE_OVER,
    EventKind.STAYED: (EventKind.STAY_LIFTED, EventKind.ORDER_WITHDRAWN, EventKind.SETTLED),
    EventKind.APPEAL_FILED: (EventKind.APPEAL_DECIDED, EventKind.ORDER_WITHDRAWN, EventKind.SETTLED),
}  # fmt: skip
"""What ends the matter that an event begins; any one of them."""

_RANK = {kind: rank for rank, kind in enumerate(EventKind)}
_ANSWERING = frozenset(list(EventKind)[_RANK[EventKind.IDENTITY_ASKED] : _RANK[EventKind.ORDER_CHANGED]])
_CONFIRMING = frozenset(
    (EventKind.ACKNOWLEDGED, EventKind.INTERIM_ANSWER, EventKind.EXTENSION_TOLD, EventKind.ANSWERED)
)
"""A question about identity is not among them: a confirmation also says how the request is dealt with."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its kind, the day on which it happened, and the facts that became known with it."""

    kind: EventKind
    on: dt.date
    facts: dict[str, Any] = field(default_factory=dict, metadata={LEFT_OUT: True})


def in_order(events: Iterable[Event]) -> tuple[Event, ...]:
    """Return events by their days, whatever the order in which they were recorded."""
    return tuple(sorted(events, key=lambda event: (event.on, _RANK[event.kind], canonical(event.facts))))


def first_day(events: Iterable[Event], kind: EventKind) -> dt.date | None:
    """Return the first day on which an event of a kind happened, None if none did."""
    return min((event.on for event in events if event.kind is kind), default=None)


def open_events(events: Iterable[Event]) -> Iterator[Event]:
    """Yield the events that began a matter which none has ended since, in order."""
    ordered = in_order(events)
    for place, event in enumerate(ordered):
        ends = ENDS.get(event.kind)
        if ends is not None and not any(later.kind in ends for later in ordered[place + 1 :]):
            yield event


def receipt_confirmed(events: Iterable[Event]) -> dt.date | None:
    """Return the day on which the requester was first told that the request was received, None if that never was."""
    return min((event.on for event in events if event.kind.confirms_receipt), default=None)


def pending(events: Iterable[Event]) -> tuple[EventKind, ...]:
    """Return the kinds of :func:`open_events`, each once."""
    return tuple(dict.fromkeys(event.kind for event in open_events(events)))


def spans(
    events: Sequence[Event], begins: EventKind, ends: Collection[EventKind]
) -> Iterator[tuple[dt.date, dt.date | None]]:
    """Yield from which day to which something lasted; None for one that goes on. Events in order."""
    since: dt.date | None = None
    for event in events:
        if event.kind is begins and since is None:
            since = event.on
        elif event.kind in ends and since is not None:
            yield since, event.on
            since = None
    if since is not None:
        yield since, None


def facts_by_day(filed: dict[str, Any], received: dt.date, events: Iterable[Event]) -> dict[str, Any]:
    """Return the facts that hold: for each name the one of the latest day, those filed counting as of receipt."""
    known = dict(filed)
    for event in in_order(events):
        known |= {name: value for name, value in event.facts.items() if event.on >= received or name not in filed}
    return known


def identified(filed: bool, events: Iterable[Event]) -> bool:
    """Return whether the requester is identified: as the last event about it says, or as it was filed."""
    about = [event for event in in_order(events) if event.kind in _ABOUT_IDENTITY]
    return about[-1].kind is EventKind.IDENTITY_SHOWN if about else filed


_ABOUT_IDENTITY = (EventKind.IDENTITY_ASKED, EventKind.IDENTITY_FAILED, EventKind.IDENTITY_SHOWN)
