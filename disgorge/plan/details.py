"""What the steps of a plan are about: a frozen value for each kind of step.

:class:`~disgorge.plan.plan.Step` restores it by the step's action.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from lineage.records import LEFT_OUT, Artifact, Component, ShardChange


@dataclass(frozen=True, slots=True)
class Detail:
    """What a step is about; that of a report has no fields."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Callable[[Any], Any]) -> Any:
        """Leave a detail as it was read where nothing says of which action it is."""
        from pydantic_core import core_schema  # read on use: printing help needs no validation

        return core_schema.any_schema() if cls is Detail else handler(source)


@dataclass(frozen=True, slots=True)
class Part:
    """A component that a step retires, by name and digest."""

    name: str
    component: str


@dataclass(frozen=True, slots=True)
class ReleaseDetail(Detail):
    """A release under a name and alias: what is contained."""

    name: str
    alias: str


@dataclass(frozen=True, slots=True)
class RenewalDetail(ReleaseDetail):
    """A release that is composed, examined or adopted anew; ``before`` is the composition that it replaces."""

    before: str


@dataclass(frozen=True, slots=True)
class WithdrawalDetail(RenewalDetail):
    """A release that is destroyed, with the components that go with it."""

    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class ShardsDetail(Detail):
    """What becomes of the shards that hold the items, and the artifacts that are withdrawn as a whole."""

    changes: tuple[ShardChange, ...]
    artifacts: tuple[Artifact, ...] = field(default=(), metadata={LEFT_OUT: True})


@dataclass(frozen=True, slots=True)
class PartsDetail(Detail):
    """The components that are retired: dropped, subtracted, or trained again.

    ``untouched`` is the digest of one that is trained again though the removal does not reach it.
    """

    parts: tuple[Part, ...]
    untouched: str = ""


@dataclass(frozen=True, slots=True)
class PurgeDetail(Detail):
    """Digests of what is deleted."""

    objects: tuple[str, ...]
    shards: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ConfirmationDetail(Detail):
    """The removal that covered a request: of which request and plan, its report, how many items of how many it took."""

    request: str
    plan: str
    statement: str
    removed: int
    of: int


def parts_of(components: Iterable[Component]) -> tuple[Part, ...]:
    """Return components as steps name them."""
    return tuple(Part(component.name, component.digest) for component in components)
