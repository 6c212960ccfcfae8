"""Results of the steps of a plan, a frozen value for each kind of step, as the ledger records it."""

from dataclasses import dataclass, field

from disgorge.evidence.checks import Check
from disgorge.plan.plan import Action
from lineage.records import LEFT_OUT, Cost, Json, restore


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The result of a step; ``residuals`` is what it could not reach, in words."""

    residuals: tuple[str, ...] = field(default=(), metadata={LEFT_OUT: True})


@dataclass(frozen=True, slots=True)
class ItemsWithdrawn(Result):
    """How many shards changed, rows were taken out, and different items are withdrawn by now."""

    shards: int
    rows: int
    items: int


@dataclass(frozen=True, slots=True)
class Retired(Result):
    """How many components were retired."""

    retired: int


@dataclass(frozen=True, slots=True)
class Recomposed(Result):
    """Digests of a composition, or of a component, and of the one that replaces it."""

    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Retrained(Recomposed):
    """A component that was trained again, and what that took."""

    cost: Cost


@dataclass(frozen=True, slots=True)
class Probed(Result):
    """The digests of an examination and of the composition that it examined."""

    examination: str
    after: str


@dataclass(frozen=True, slots=True)
class Adopted(Result):
    """The digest of the composition that a release serves from now on."""

    composition: str


@dataclass(frozen=True, slots=True)
class Searched(Result):
    """What a search for the items found, and whether anything live learned from them.

    ``residuals_of`` are residuals of single requests of a joint plan.
    """

    residue: Check
    closures: tuple[Check, ...]
    residuals_of: dict[str, tuple[str, ...]] = field(default_factory=dict, metadata={LEFT_OUT: True})


@dataclass(frozen=True, slots=True)
class Purged(Searched):
    """How many entries were deleted, and what was kept, in words."""

    deleted: int = 0
    kept: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reported(Result):
    """Where the report lies, and its verdict."""

    bundle: str
    verdict: str


_RESULTS: dict[Action, type[Result]] = {
    Action.CONTAIN: Result,
    Action.WITHDRAW_ITEMS: ItemsWithdrawn,
    Action.DROP: Retired,
    Action.SUBTRACT: Retired,
    Action.RETRAIN: Retrained,
    Action.RECOMPOSE: Recomposed,
    Action.PROBE: Probed,
    Action.ADOPT: Adopted,
    Action.WITHDRAW: Retired,
    Action.PURGE: Purged,
    Action.CONFIRM: Searched,
    Action.REPORT: Reported,
}


def result_of(action: Action, body: Json) -> Result:
    """Return what a step of this action came to, as it was recorded; ``ValueError`` if it has another form."""
    return restore(_RESULTS[action], body)
