"""What a job reads, by digest: from a workspace, or from the folder that a sandboxed job is given."""

from typing import TYPE_CHECKING, Protocol

from disgorge.method import Items

if TYPE_CHECKING:
    from disgorge.method import Tensors


class Inputs(Protocol):
    """Items of shards and tensors of components, by digest."""

    def items(self, shard: str) -> Items:
        """Return a shard's items, in digest order."""

    def tensors(self, component: str) -> "Tensors":
        """Return a component's tensors."""
