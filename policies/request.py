"""A removal request: who asks, with what standing, on what ground, and for which data.

Holds no personal particulars: a name, an address, a letter are written to the private, erasable file and referred to
here by ``particulars``, the digest of a random salt and that file's bytes.
"""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from lineage.records import LEFT_OUT, SELECTABLE, Selector, digest_of
from policies.errors import BadRequest
from policies.events import Event, facts_by_day, identified, in_order
from policies.taxonomy import Defect


class Standing(StrEnum):
    """The capacity in which the requester asks."""

    DATA_SUBJECT = "data-subject"
    CONTRIBUTOR = "contributor"
    RIGHTS_HOLDER = "rights-holder"
    CUSTOMER = "customer"
    REGULATOR = "regulator"
    INTERNAL = "internal"


OWN_DECISION = "own-decision"
"""The regime of a request on the ground of the same name: the operator's own will, which needs no pack."""


@dataclass(frozen=True, slots=True)
class RemovalRequest:
    """One request, as the ledger keeps it.

    ``received`` starts the deadlines. ``facts`` are what else a rule may ask for, such as ``order_deadline`` (ISO
    date) or ``counter_notice`` (bool): flat, JSON scalars, no personal data. Raises :class:`BadRequest` when made
    without a selector or with one that names no known field.
    """

    id: str
    standing: Standing
    ground: Defect
    regime: str
    selectors: tuple[Selector, ...]
    received: dt.date
    identity_verified: bool = False
    legal_hold: bool = False
    particulars: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    events: tuple[Event, ...] = field(default=(), metadata={LEFT_OUT: True})
    """What happened since, in the order of the days; the request as filed has none."""

    def __post_init__(self) -> None:
        if not self.selectors:
            raise BadRequest(f"request {self.id} selects nothing: give at least one of {', '.join(SELECTABLE)}")
        for selector in self.selectors:
            if selector.field not in SELECTABLE:
                raise BadRequest(
                    f"request {self.id}: unknown field {selector.field!r} to select by; "
                    f"use one of {', '.join(SELECTABLE)}"
                )
            if not selector.value:
                raise BadRequest(f"request {self.id}: the selector {selector.field!r} has an empty value")

    def after(self, events: Iterable[Event]) -> "RemovalRequest":
        """Return the request as it stands after these events, recorded in any order.

        That order tells only which of two facts of one name and one day corrects the other.
        """
        recorded = tuple(events)
        ordered = in_order(recorded)
        return replace(
            self,
            events=ordered,
            facts=facts_by_day(self.facts, self.received, recorded),
            identity_verified=identified(self.identity_verified, ordered),
        )

    @property
    def digest(self) -> str:
        """Digest of the request as recorded."""
        return digest_of(self)
