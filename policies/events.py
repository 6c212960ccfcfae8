"""Events of a request after it was filed, each with the day on which it happened.

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
from typing import Any, Self

from lineage.records import LEFT_OUT, canonical


class EventKind(StrEnum):
    """What can happen in a request, in the order in which events of one day count."""

    words: str
    """What an event of this kind means, in one line."""

    def __new__(cls, value: str, words: str = "") -> Self:
        """Return a member with its words."""
        kind = str.__new__(cls, value)
        kind._value_, kind.words = value, words
        return kind

    NOTED = "noted", "facts became known; nothing else happened"
    IDENTITY_ASKED = "identity-asked", "the requester was asked for what identifies them, because of reasonable doubts"
    IDENTITY_FAILED = "identity-failed", "what was given does not identify the requester"
    IDENTITY_SHOWN = "identity-shown", "the requester was identified"
    CLARIFICATION_ASKED = "clarification-asked", "the requester was asked which data they mean"
    CLARIFICATION_GIVEN = "clarification-given", "the requester said which data they mean"
    FEE_ASKED = "fee-asked", "a fee that the law allows was asked for"
    FEE_PAID = "fee-paid", "the fee was paid"
    ACKNOWLEDGED = "acknowledged", "receipt was confirmed to the requester"
    INTERIM_ANSWER = "interim-answer", "the requester was told how far the matter is"
    EXTENSION_TOLD = "extension-told", "the requester was told that it takes longer, and why"
    REFUSAL_TOLD = "refusal-told", "the requester was told of a refusal, its reasons and the ways of complaint"
    ANSWERED = "answered", "the requester was told what was done"
    TOLD_ON = "told-on", "recipients of the data, or of models built on it, were told"
    COMPLAINT = "complaint", "the requester complained, to the controller or to an authority"
    COMPLAINT_ANSWERED = "complaint-answered", "the complaint was answered"
    ORDER_CHANGED = "order-changed", "the order was changed; its new dates and scope come as facts"
    ORDER_WITHDRAWN = "order-withdrawn", "the order was withdrawn or set aside"
    COUNTER_NOTICE_WITHDRAWN = "counter-notice-withdrawn", "the counter-notice was withdrawn"
    PUT_BACK = "put-back", "the material was put back, access to it restored"
    SETTLED = "settled", "the parties settled; what they agreed comes as facts"
    JUDGMENT = "judgment", "the court decided; what it decided comes as facts"
    STAY_LIFTED = "stay-lifted", "the stay ended"
    APPEAL_DECIDED = "appeal-decided", "the appeal was decided; how comes as facts"
    COUNTER_NOTICE = "counter-notice", "a valid counter-notice was received"
    SUIT_FILED = "suit-filed", "an action about the matter was filed in court, and we have notice of it"
    STAYED = "stayed", "a court or authority stayed the order"
    APPEAL_FILED = "appeal-filed", "an appeal against the order, or against our answer, was filed"

    @property
    def confirms_receipt(self) -> bool:
        """Whether the requester knows by it that the request was received."""
        return self in _CONFIRMING

    @property
    def answers_request(self) -> bool:
        """Whether it is part of dealing with the request, so that it cannot come before receipt."""
        return self in _ANSWERING


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
    """Return events sorted by their days."""
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
    """Return the facts that hold: for each name the one of the latest day, those filed counting as of receipt.

    Of several of one day that which was recorded last counts: it corrects the others. None takes a fact out.
    """
    facts = dict(filed)
    for event in sorted(events, key=lambda event: event.on):
        facts |= {name: value for name, value in event.facts.items() if event.on >= received or name not in filed}
    return {name: value for name, value in facts.items() if value is not None}


def fact_given_by(name: str, received: dt.date, events: Iterable[Event], *, filed: bool) -> Event | None:
    """Return the event that says what a fact is, None where the request as filed does, or nothing."""
    saying = [event for event in events if name in event.facts and (event.on >= received or not filed)]
    return max(reversed(saying), key=lambda event: event.on, default=None)


def identified(filed: bool, events: Iterable[Event]) -> bool:
    """Return whether the requester is identified: as the last event about it says, or as it was filed."""
    about = [event for event in in_order(events) if event.kind in _ABOUT_IDENTITY]
    return about[-1].kind is EventKind.IDENTITY_SHOWN if about else filed


_ABOUT_IDENTITY = (EventKind.IDENTITY_ASKED, EventKind.IDENTITY_FAILED, EventKind.IDENTITY_SHOWN)
