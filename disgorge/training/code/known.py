"""A method as the process knows it that plans, judges and signs: what it declares, and where its code is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields

from disgorge.declaration import Declaration
from disgorge.method import Blueprint, ModelSpec
from disgorge.training.code.local import LocalCode
from lineage.records import Shard

LayOut = Callable[[ModelSpec, Mapping[str, Shard]], tuple[Blueprint, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownMethod(Declaration):
    """What a method declares, the entry point that names it, and its code where that is local.

    ``layouts`` is :meth:`~disgorge.method.Method.layout`, asked of a process that loads that code.
    """

    entry: str
    code: LocalCode | None
    layouts: LayOut

    @classmethod
    def of(cls, said: Declaration, *, entry: str, code: LocalCode | None, layouts: LayOut) -> "KnownMethod":
        """Return a method that declares this."""
        values = {each.name: getattr(said, each.name) for each in fields(Declaration)}
        return cls(**values, entry=entry, code=code, layouts=layouts)

    def layout(self, spec: ModelSpec, shards: Mapping[str, Shard]) -> tuple[Blueprint, ...]:
        """Return the components there should be; see :class:`~disgorge.method.Declared`."""
        return self.layouts(spec, shards)
