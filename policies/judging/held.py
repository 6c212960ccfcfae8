"""Decisions under a hold, and what the operator owes while it lasts.

A hold binds data: a request for items that another request's hold covers waits, whatever its own packs say. Only a
refusal stands beside it, because a refusal destroys nothing.

Sources, as the sentences name them: GDPR Art. 17(3)(e), Art. 18(1) to (3) and Art. 12(4); Fed. R. Civ. P. 37(e);
"preserve and segregate" are the words of the order of 13 May 2025 in In re OpenAI, Inc. Copyright Infringement
Litigation (S.D.N.Y., 25-md-03143; The New York Times v. Microsoft, 23-cv-11195).

>>> from policies.decision import Decision
>>> asked = Decision("r-2", Outcome.GRANTED, "withdrawn", None, None, (), "", dt.date(2026, 3, 3))
>>> waits = put_on_hold(asked, ["request h-1 holds 3 of its 7 items"], today=dt.date(2026, 3, 5))
>>> waits.outcome.value, waits.reasons[-1].words, waits_for_others(waits)
('on-hold', 'request h-1 holds 3 of its 7 items', True)
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace

from policies.decision import Decision, Reason
from policies.request import RemovalRequest
from policies.taxonomy import Outcome

PACK, RULE, LEGAL_HOLD = "house", "held-elsewhere", "legal-hold"
"""How the house's rules about holds are called, where rules have their pack and name."""

_CITATION = "rule of this software (ours): a hold binds data; Fed. R. Civ. P. 37(e), GDPR Art. 17(3)(e)"


def put_on_hold(decision: Decision, words: Sequence[str], *, today: dt.date) -> Decision:
    """Return a decision as it is while other requests' holds cover its items; ``words`` name each of those holds.

    A refusal stays one.
    """
    if not words or decision.outcome is Outcome.DENIED:
        return decision
    said = tuple(Reason(PACK, RULE, each, _CITATION, today, Outcome.ON_HOLD) for each in words)
    beaten = [] if decision.outcome is Outcome.ON_HOLD else [
        f"outcome: {Outcome.ON_HOLD.value} ({PACK}/{RULE}) beats {decision.outcome.value}"
    ]  # fmt: skip
    owed = (*decision.duties, *(duty for claim in decision.claims for duty in claim.on_refusal))  # nothing is done now
    return replace(
        decision,
        outcome=Outcome.ON_HOLD,
        category=decision.category if decision.outcome is Outcome.ON_HOLD else "held for another request",
        reasons=(*decision.reasons, *said),
        overrides=(*decision.overrides, *beaten),
        duties=tuple(dict.fromkeys(owed)),
    )


def holding_reasons(decision: Decision) -> tuple[Reason, ...]:
    """Return the reasons for which a decision's own packs, or a legal hold, keep the data."""
    on_hold = (said for said in decision.reasons if said.fired and said.outcome is Outcome.ON_HOLD)
    return tuple(said for said in on_hold if (said.pack, said.rule) != (PACK, RULE))


def waits_for_others(decision: Decision) -> bool:
    """Whether a request is on hold only because other requests' holds cover its items."""
    held = [said for said in decision.reasons if (said.pack, said.rule) == (PACK, RULE)]
    return decision.outcome is Outcome.ON_HOLD and bool(held) and not holding_reasons(decision)


def waits_for(decision: Decision, request: str) -> bool:
    """Whether a hold of this other request is among those that a decision names."""
    named = (said.words for said in decision.reasons if (said.pack, said.rule) == (PACK, RULE))
    return any(words.startswith(f"request {request} ") for words in named)


def duties(request: RemovalRequest) -> tuple[str, ...]:
    """Return in sentences what is owed while a request's data is held."""
    apart = (
        "Keep the held items apart from other data and do not use them: no training, no evaluation and no selection on "
        "them while they are held (GDPR Art. 18(2) allows storage; court orders say “preserve and segregate”)."
    )
    sentences = (
        "Tell the person without delay, at the latest within one month of receipt, that the data is kept, why, and how "
        "to complain (GDPR Art. 12(4)); tell them before a restriction is lifted (GDPR Art. 18(3))."
        if request.regime in GDPR_LIKE
        else "Tell the requester that the data is kept for now, and why."
    )
    return (apart, sentences)


GDPR_LIKE = frozenset({"gdpr", "uk-gdpr"})
"""Regimes with a right to restriction of processing."""
