"""A person grants what the packs left to a person.

The packs decide alone wherever they can. Where they end in *needs review* (an identity not shown, data of more than
one person, a rule that could not be evaluated), somebody looks, and grants; refusing needs no rule and closes the
request. What a person adds is one reason, in their words, beside those of the packs: nothing that fired is taken out,
and what is owed stays what the rules say. It grants every claim that waited for a person; what a pack refused under
its own claim stays refused, with its day for the answer.

A person cannot grant here what a rule denied or put on hold. Such a request is decided again once its facts are other
ones: it is amended, and what it said before stays on record.

>>> from policies.decision import Owed
>>> from policies.taxonomy import Guarantee, Scope
>>> owed = Owed(Guarantee.EXACT, (), Scope.INFLUENCE, None, None, 1, (), (), None)
>>> asked = Decision("r-1", Outcome.NEEDS_REVIEW, "identity", owed, None, (), "", dt.date(2026, 3, 3))
>>> granted = grant(asked, by="9f2a", reason="seen in person, passport", today=dt.date(2026, 3, 5))
>>> granted.outcome.value, granted.reasons[-1].words
('granted', 'seen in person, passport')
"""

import datetime as dt
from dataclasses import replace

from policies.decision import Claim, Decision, Owed, Reason
from policies.errors import BadRequest
from policies.taxonomy import CARRIED_OUT, Outcome, Scope

PACK, RULE = "review", "person"
"""How the reason that a person adds is called, where rules have their pack and name."""


def is_granted_on_review(decision: Decision) -> bool:
    """Return whether a person granted what the packs had left to one."""
    return bool(decision.reasons) and (decision.reasons[-1].pack, decision.reasons[-1].rule) == (PACK, RULE)


def grant(decision: Decision, *, by: str, reason: str, today: dt.date, scope: Scope | None = None) -> Decision:
    """Return the decision as granted by a person; ``by`` is their pseudonym, never a name.

    ``scope`` goes beyond the one that is owed, as a person may where that one cannot be carried out; a plan is never
    made for another scope than the decision names. Raises :class:`BadRequest` for a decision that is not in review, for
    one of which no rule says what is owed, for a scope that is weaker or cannot be carried out, and for a ``reason``
    that says nothing.
    """
    name = f"request {decision.request}"
    if decision.outcome is not Outcome.NEEDS_REVIEW:
        raise BadRequest(f"{name} is {decision.outcome.value}; a person grants only what needs review")
    if decision.owed is None:
        raise BadRequest(
            f"{name}: no rule says what would be owed, so there is nothing to grant; deny it, and file it under a "
            f"regime that a pack covers"
        )
    if not reason.strip():
        raise BadRequest(f"{name}: a person who grants it gives a reason")
    wider, beyond = _beyond(decision.owed, scope, name)
    said = Reason(
        PACK, RULE, " ".join(reason.split()), f"a person's decision, pseudonym {by[:12]}", today, Outcome.GRANTED
    )
    doubts = ", ".join(
        dict.fromkeys(f"{each.pack}/{each.rule}" for each in decision.reasons if each.outcome is Outcome.NEEDS_REVIEW)
    )
    return replace(
        decision,
        claims=tuple(_granted(claim) for claim in decision.claims),
        outcome=Outcome.GRANTED,
        owed=replace(decision.owed, scope=wider),
        category="granted on review",
        reasons=(*decision.reasons, said),
        decided=today,
        overrides=(
            *decision.overrides,
            f"outcome: granted ({PACK}/{RULE}) beats needs-review{f' ({doubts})' if doubts else ''}",
            *beyond,
        ),
    )


def _granted(claim: Claim) -> Claim:
    """Return a pack's claim as it stands once a person has granted the request: one that was refused stays so."""
    return replace(claim, outcome=Outcome.GRANTED) if claim.outcome is Outcome.NEEDS_REVIEW else claim


def _beyond(owed: Owed, scope: Scope | None, name: str) -> tuple[Scope, tuple[str, ...]]:
    """Return the scope to carry out, and in words that it goes beyond the one that is owed."""
    wanted, can = scope or owed.scope, ", ".join(sorted(CARRIED_OUT))
    if wanted not in CARRIED_OUT:
        raise BadRequest(
            f"{name}: what is owed is {owed.scope.value}, which is not carried out here; grant more than that with "
            f"--scope ({can}), or remove the data by hand and deny the request"
        )
    if list(Scope).index(wanted) < list(Scope).index(owed.scope):
        raise BadRequest(
            f"{name}: {wanted.value} is less than the {owed.scope.value} that is owed; a grant cannot narrow it"
        )
    return wanted, () if wanted is owed.scope else (
        f"scope: {wanted.value} ({PACK}/{RULE}) goes beyond the {owed.scope.value} that is owed",
    )
