"""What a decision is: the outcome, what is owed, and every rule that fired as a reason."""

import datetime as dt
from dataclasses import dataclass

from lineage.records import digest_of
from policies.taxonomy import Family, Guarantee, Outcome, Refusal, Scope


@dataclass(frozen=True, slots=True)
class Reason:
    """One rule that fired: where it stands, what it says in words, and the source it rests on.

    ``outcome`` is what the rule alone would decide, if it decides anything. A rule that could not be evaluated is
    kept too, with ``fired`` false and the reason in ``words``.
    """

    pack: str
    rule: str
    words: str
    citation: str
    dated: dt.date
    outcome: Outcome | None = None
    fired: bool = True


@dataclass(frozen=True, slots=True)
class Owed:
    """What a granted request is owed.

    ``approvals`` is how many different people must approve a plan. ``evidence`` names required checks beyond those a
    guarantee always requires. ``utility_floor`` is the least a release's utility may be afterwards, as a share of
    before; below it the plan goes back to a person. ``notices`` are who must be told, in words.
    """

    guarantee: Guarantee
    families: tuple[Family, ...]
    scope: Scope
    deadline: dt.date | None
    acknowledge_by: dt.date | None
    approvals: int
    evidence: tuple[str, ...]
    notices: tuple[str, ...]
    utility_floor: float | None


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided about one request, and why. ``packs`` is the digest of the packs it was judged by.

    ``owed`` of a request on hold or in review is what it would be owed once granted; its deadline runs all the same.
    ``overrides`` say in words which rule prevailed over which.
    """

    request: str
    outcome: Outcome
    category: str
    owed: Owed | None
    refusal: Refusal | None
    reasons: tuple[Reason, ...]
    packs: str
    decided: dt.date
    overrides: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Digest of the decision as recorded."""
        return digest_of(self)
