"""Review: a person grants or refuses the claims that the packs left to a person.

The packs decide alone wherever they can. Where they end in *needs review* (an identity not shown, data of more than
one person, a rule that could not be evaluated), a person looks, and grants; refusing the whole request needs no rule
and closes it. What a person adds is one reason, in their words, beside those of the packs: nothing that fired is taken
out, and what is owed stays what the rules say.

Where the claims of several packs wait, a person says which are decided, one by one or all of them. What is owed then is
owed by the granted claims; the others wait on, each with its day, and are granted or refused later. What a pack refused
under its own claim stays refused, with its day for the answer.

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
import re
from collections.abc import Collection
from dataclasses import replace

from policies.decision import Claim, Decision, Owed, Reason
from policies.errors import BadRequest
from policies.judging.claims import strongest
from policies.taxonomy import CARRIED_OUT, Outcome, Refusal, Scope

PACK, RULE = "review", "person"
"""How the reason that a person adds is called, where rules have their pack and name."""
ALL = "all"
"""What a person says instead of packs to grant every claim that waits."""


def is_decided_on_review(decision: Decision) -> bool:
    """Return whether a person decided what the packs had left to one."""
    return bool(decision.reasons) and (decision.reasons[-1].pack, decision.reasons[-1].rule) == (PACK, RULE)


def waiting(decision: Decision) -> tuple[Claim, ...]:
    """Return the claims that a person can still decide.

    Those that no pack refused while the request needs review, also where its own pack grants one and a guard of the
    house stands before it; once it is granted, those that were left to a person.
    """
    if decision.outcome is Outcome.NEEDS_REVIEW:
        return tuple(claim for claim in decision.claims if claim.outcome is not Outcome.DENIED)
    if decision.outcome is Outcome.GRANTED:
        return tuple(claim for claim in decision.claims if claim.outcome is Outcome.NEEDS_REVIEW)
    return ()


def grant(
    decision: Decision,
    *,
    by: str,
    reason: str,
    today: dt.date,
    scope: Scope | None = None,
    claims: Collection[str] = (),
    learned: bool = True,
) -> Decision:
    """Return the decision as granted by a person; ``by`` is their pseudonym, never a name.

    ``claims`` are the packs whose claims are granted, :data:`ALL` for each that waits; they may be left out where one
    waits alone. ``scope`` goes beyond the one that is owed, as a person may where that one cannot be carried out; a
    plan is never made for another scope than the decision names. ``learned`` is whether models learned from the data:
    where none did, removing it takes nothing else, and any scope is carried out.

    Raises :class:`BadRequest` for a decision in which nothing waits for a person, for claims of which no rule says what
    is owed, for a scope that is weaker or cannot be carried out, and for a ``reason`` that says nothing.
    """
    name = f"request {decision.request}"
    granted = _named(decision, claims, does="grants")
    before = decision.owed if decision.outcome is Outcome.GRANTED else None
    whole = len(granted) == len(waiting(decision)) and before is None
    if (owed := decision.owed if whole else _owed_by(granted, before)) is None:
        raise BadRequest(
            f"{name}: no rule says what would be owed, so there is nothing to grant; deny it, and file it under a "
            f"regime that a pack covers"
        )
    if not reason.strip():
        raise BadRequest(f"{name}: a person who grants it gives a reason")
    wider, beyond = _beyond(owed, scope, name, learned=learned)
    packs = [] if whole else [claim.pack for claim in granted]
    apart = {claim.pack for claim in decision.claims} - set(packs) if packs else set[str]()
    doubts = ", ".join(
        dict.fromkeys(
            f"{each.pack}/{each.rule}"
            for each in decision.reasons
            if each.outcome is Outcome.NEEDS_REVIEW and each.pack not in apart
        )
    )
    on = f" on {' and '.join(packs)}" if packs else ""
    return replace(
        decision,
        claims=tuple(_decided(claim, granted, decision) for claim in decision.claims),
        outcome=Outcome.GRANTED,
        owed=replace(owed, scope=wider),
        category="granted on review",
        reasons=(*decision.reasons, _said(reason, by, today, Outcome.GRANTED, on)),
        decided=today,
        overrides=(
            *decision.overrides,
            f"outcome{on}: granted ({PACK}/{RULE}) beats needs-review{f' ({doubts})' if doubts else ''}",
            *beyond,
        ),
    )


def refuse(decision: Decision, *, by: str, reason: Refusal, today: dt.date, claims: Collection[str]) -> Decision:
    """Return the decision with some claims refused by a person, for ``reason``; ``by`` is their pseudonym.

    The request goes on with the claims that are left. Raises :class:`BadRequest` where none would be: refusing them all
    is denying the request, which closes it.
    """
    refused = _named(decision, claims, does="refuses")
    packs = [claim.pack for claim in refused]
    left = [c.pack for c in decision.claims if c.outcome is not Outcome.DENIED and c.pack not in packs]
    if not left:
        raise BadRequest(
            f"request {decision.request}: no claim is left but {' and '.join(packs)}; deny the whole request, with "
            f"`disgorge request deny {decision.request} --reason {reason.value}`"
        )
    claimed = tuple(
        replace(claim, outcome=Outcome.DENIED, refusal=reason, owed=None) if claim in refused else claim
        for claim in decision.claims
    )
    still = [claim for claim in claimed if claim.outcome is not Outcome.DENIED]
    said = _said(f"refused as {reason.value}", by, today, Outcome.DENIED, f" on {' and '.join(packs)}")
    duties = (*decision.duties, *(duty for claim in refused for duty in claim.on_refusal))
    return replace(
        decision,
        claims=claimed,
        owed=decision.owed if decision.outcome is Outcome.GRANTED else _owed_by(still, None),
        reasons=(
            *decision.reasons,
            said,
        ),
        decided=today,
        duties=tuple(dict.fromkeys(duties)),
        overrides=(
            *decision.overrides,
            *(
                f"refused under {pack} ({PACK}/{RULE}): this ends that claim only, not what {' and '.join(left)} gives"
                for pack in packs
            ),
        ),
    )


def _named(decision: Decision, claims: Collection[str], *, does: str) -> tuple[Claim, ...]:
    """Return the claims that a person names, or the only one there is; :class:`BadRequest` if they have to say which.

    None where a decision of an earlier version, or one without a claim, is granted as a whole.
    """
    name, open_ = f"request {decision.request}", waiting(decision)
    if decision.outcome is not Outcome.NEEDS_REVIEW and not open_:
        raise BadRequest(f"{name} is {decision.outcome.value}; a person {does} only what needs review")
    names = [claim.pack for claim in open_]
    if strange := sorted(set(claims) - {*names, ALL}):
        there = f"waiting: {', '.join(names)}" if names else "no claim does"
        raise BadRequest(f"{name}: no claim under {' or '.join(strange)} waits for a person; {there}")
    if ALL in claims or not names:
        return open_
    if not claims and len(names) > 1:
        raise BadRequest(
            f"{name}: claims under {' and '.join(names)} wait for a person; say which with "
            f"{' or '.join(f'--claim {each}' for each in names)} (repeat it for more than one), or --claim {ALL}"
        )
    return tuple(claim for claim in open_ if not claims or claim.pack in claims)


def _owed_by(claims: Collection[Claim], before: Owed | None) -> Owed | None:
    """Return what claims owe together, with what was owed before; None if no rule says anything of it."""
    owed = [*([before] if before else []), *(claim.owed for claim in claims if claim.owed is not None)]
    return strongest(owed) if owed else None


def _said(words: str, by: str, today: dt.date, outcome: Outcome, on: str) -> Reason:
    return Reason(PACK, RULE, " ".join(words.split()), f"a person's decision{on}, pseudonym {by[:12]}", today, outcome)


def _decided(claim: Claim, granted: Collection[Claim], decision: Decision) -> Claim:
    """Return a claim as it stands once a person has granted some: one that was refused or granted before stays so.

    One that its own pack grants, and that a guard of the house left to a person who does not name it, waits on.
    """
    if claim in granted:
        return replace(claim, outcome=Outcome.GRANTED)
    if claim.outcome is Outcome.GRANTED and decision.outcome is Outcome.NEEDS_REVIEW:
        return replace(claim, outcome=Outcome.NEEDS_REVIEW)
    return claim


def beyond_owed(decision: Decision) -> tuple[str, ...]:
    """Return in words where a person granted more than is owed, as :func:`grant` records it."""
    matches = (_GOES_BEYOND.fullmatch(words) for words in decision.overrides)
    return tuple(f"{said[1]} where {said[2]} is, by a person's decision" for said in matches if said)


_GOES_BEYOND = re.compile(rf"scope: (\S+) \({PACK}/{RULE}\) goes beyond the (\S+) that is owed")


def _beyond(owed: Owed, scope: Scope | None, name: str, *, learned: bool) -> tuple[Scope, tuple[str, ...]]:
    """Return the scope to carry out, and in words that it goes beyond the one that is owed."""
    asked, can = scope or owed.scope, ", ".join(sorted(CARRIED_OUT))
    if asked not in CARRIED_OUT and learned:
        raise BadRequest(
            f"{name}: models learned from the data, and what is owed is {owed.scope.value}, which is not carried out "
            f"here; grant more than that with --scope ({can}), or deny the request: the data does not go from here "
            f"without what models learned from it"
        )
    if list(Scope).index(asked) < list(Scope).index(owed.scope):
        raise BadRequest(
            f"{name}: {asked.value} is less than the {owed.scope.value} that is owed; a grant cannot narrow it"
        )
    return asked, () if asked is owed.scope else (
        f"scope: {asked.value} ({PACK}/{RULE}) goes beyond the {owed.scope.value} that is owed",
    )
