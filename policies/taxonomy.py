"""The terms of the disgorgement taxonomy, as types that packs, plans and reports share.

Source: Achille, Kearns, Klingenberg, Soatto, "AI Model Disgorgement: Methods and Choices", arXiv:2304.03545,
PNAS 121(18), 2024. The order of :class:`Guarantee` is ours; so is ``WITHDRAW``, which regulators' orders need.

>>> Guarantee.NONE < Guarantee.APPROXIMATE < Guarantee.CERTIFIED < Guarantee.EXACT
True
>>> max(Guarantee.EXACT, Guarantee.APPROXIMATE).words
'exact: distributed as if the data had never been there'
"""

from enum import IntEnum, StrEnum


class Defect(StrEnum):
    """The ground a request names: what is wrong with the data."""

    INTELLECTUAL_PROPERTY = "intellectual-property"
    PRIVACY = "privacy"
    BIAS = "bias"
    TOXICITY = "toxicity"
    LOW_FIDELITY = "low-fidelity"
    REGULATOR_ORDER = "regulator-order"
    CONTRACT = "contract"
    OWN_DECISION = "own-decision"
    """The operator removes data of its own will; no claim is decided, and no pack has to grant it."""


class Family(StrEnum):
    """The families of disgorgement methods."""

    RETRAINING = "retraining"
    SELECTIVE_FORGETTING = "selective-forgetting"
    COMPARTMENTALIZATION = "compartmentalization"
    DIFFERENTIAL_PRIVACY = "differential-privacy"
    DATASET_EMULATION = "dataset-emulation"


class Guarantee(IntEnum):
    """How sure a removal is, weakest first; packs write the lower-case name."""

    NONE = 0
    APPROXIMATE = 1
    CERTIFIED = 2
    EXACT = 3

    @property
    def label(self) -> str:
        """The name as packs and reports write it."""
        return self.name.lower()

    @property
    def words(self) -> str:
        """What the guarantee promises, as a report prints it."""
        return _WORDS[self]

    @classmethod
    def named(cls, label: str) -> "Guarantee":
        """Return the guarantee a pack writes as ``label``; KeyError if there is none."""
        return cls[label.upper()]


_WORDS = {
    Guarantee.NONE: "none: the content is hidden, not removed",
    Guarantee.APPROXIMATE: "approximate: influence reduced, shown by measurement only",
    Guarantee.CERTIFIED: "certified: indistinguishable from never trained within a stated bound",
    Guarantee.EXACT: "exact: distributed as if the data had never been there",
}


class Confinement(StrEnum):
    """How closely a job was confined when it trained a part, weakest first.

    >>> Confinement.NAMESPACE.at_least(Confinement.LANDLOCK), Confinement.PROCESS.at_least(Confinement.LANDLOCK)
    (True, False)
    """

    PROCESS = "process"
    LANDLOCK = "landlock"
    NAMESPACE = "namespace"
    """Alone called hermetic."""

    @property
    def words(self) -> str:
        """What may be said of a job that ran so, and what that does not exclude."""
        return _CONFINED[self]

    @property
    def rank(self) -> int:
        """Its place in the order, 0 for the weakest."""
        return list(Confinement).index(self)

    def at_least(self, other: "Confinement") -> bool:
        """Whether this is as close as another, or closer."""
        return self.rank >= other.rank


_CONFINED = {
    Confinement.PROCESS: (
        "it was not confined, which excludes nothing that it could read or reach: a copy of the data or of old weights "
        "that a method keeps at a place of its own would have gone unnoticed"
    ),
    Confinement.LANDLOCK: (
        "it could not open the contents of other files; it could see their names, link targets, times and attributes, "
        "so old weights hidden there are not excluded, nor a copy in installed code: not hermetic"
    ),
    Confinement.NAMESPACE: (
        "it could read its inputs, the interpreter and the distributions named by digest, and nothing else; it had no "
        "network; nothing that it wrote outlived it but the result. Not excluded: a copy of the data or of old weights "
        "in installed code, cache timing, counters of the machine, metadata of installed files"
    ),
}


def shown_by(confinement: Confinement, *, equal_bits: bool) -> str:
    """Return in words how a removal must be shown: in which confinement at least, and whether by equal bits too.

    A run that is confined less than ``namespace`` shows a removal by equal bits only, whatever is asked.

    >>> shown_by(Confinement.LANDLOCK, equal_bits=True)
    'a confined run (landlock or better) and equal bits'
    >>> shown_by(Confinement.LANDLOCK, equal_bits=False)
    'a confined run (namespace, or landlock and equal bits)'
    """
    if confinement is Confinement.PROCESS:
        return "equal bits, of a run that need not be confined" if equal_bits else "a recorded run"
    if confinement is Confinement.LANDLOCK and not equal_bits:
        return "a confined run (namespace, or landlock and equal bits)"
    better = " or better" if confinement is not Confinement.NAMESPACE else ""
    return f"a confined run ({confinement.value}{better}){' and equal bits' if equal_bits else ''}"


class Remedy(StrEnum):
    """What can happen to a component, cheapest first; ``WITHDRAW`` takes the whole release down and destroys it."""

    DROP = "drop"
    SUBTRACT = "subtract"
    RETRAIN = "retrain"
    WITHDRAW = "withdraw"


class Scope(StrEnum):
    """How much must go, weakest first; of several that rules ask for the strongest holds.

    The data alone; the data now and its influence from the next version of each model on; its influence on every
    component; everything built on it "in whole or in part". See :data:`CARRIED_OUT`.
    """

    DATA_ONLY = "data-only"
    NEXT_VERSION = "from-next-version"
    INFLUENCE = "influence"
    WHOLE_LINEAGE = "whole-lineage"


CARRIED_OUT = frozenset({Scope.INFLUENCE, Scope.WHOLE_LINEAGE})
"""The scopes that this software can carry out whatever models learned; a person decides a request that is owed another
one where models learned from the data. Where none did, the data is all that a removal takes, under any scope."""


class Part(StrEnum):
    """What a deadline is about: the data, the models built on it, both, or putting material back."""

    ALL = "all"
    DATA = "data"
    MODELS = "models"
    PUT_BACK = "put-back"


class Outcome(StrEnum):
    """What a decision says, in the order in which one overrides another, weakest first."""

    GRANTED = "granted"
    NEEDS_REVIEW = "needs-review"
    DENIED = "denied"
    ON_HOLD = "on-hold"


class Refusal(StrEnum):
    """Why a request is refused. Source: Data Rights Protocol, status reasons; ``FILED_IN_ERROR`` is ours."""

    SUSPECTED_FRAUD = "suspected-fraud"
    INSUFFICIENT_VERIFICATION = "insufficient-verification"
    NO_MATCH = "no-match"
    CLAIM_NOT_COVERED = "claim-not-covered"
    OUTSIDE_JURISDICTION = "outside-jurisdiction"
    TOO_MANY_REQUESTS = "too-many-requests"
    FILED_IN_ERROR = "filed-in-error"
    OTHER = "other"
