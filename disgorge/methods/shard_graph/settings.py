"""A shard graph's settings, and which of them determine which part."""

from dataclasses import dataclass

from disgorge.methods.shared.settings import choice, number


@dataclass(frozen=True, slots=True)
class Settings:
    """What a model file may say under ``parameters``, its ``graph`` aside."""

    seed: int = 0
    classes: int = number(10, 2, 10_000)
    scale: float = number(16.0, 1e-6, 1e6)
    """What pixel values are divided by."""
    filters: int = number(16, 1, 1024)
    """Channels of the encoder's first layer; tokens have twice as many dimensions."""
    batch: int = number(32, 1, 1e6)
    core_epochs: int = number(30, 1, 1e6)
    core_learning_rate: float = number(3e-3, 1e-9, 1)
    core_weight_decay: float = number(1e-2, 0, 1)
    adapter: str = choice("attention", "linear")
    """``attention``: learned queries over the encoder's tokens; ``linear``: a linear map of all tokens."""
    queries: int = number(8, 1, 1024)
    """Learned queries of an attention adapter; the paper's formula has one."""
    epochs: int = number(60, 1, 1e6)
    learning_rate: float = number(1e-3, 1e-9, 1)
    weight_decay: float = number(1e-2, 0, 1)
    neighbor_weight: float = number(1.0, 0, 1)
    """Weight in the loss of an item of a neighbor's shard, against 1 for the node's own."""
    temperature: float = number(2.0, 1e-3, 1e3)
    """An adapter votes with softmax(logits / temperature), so that its margins still tell when it is sure."""
    sharpness: float = number(3.0, 1e-3, 1e3)
    """The mixture is raised to this power and normalized; a mean of soft votes is less sure than it is right."""
    prototype_weight: float = number(0.1, 0, 1)
    """Share of the prototypes in the probabilities; the adapters' mean has the rest."""
    prototype_sharpness: float = number(10.0, 1e-3, 1e3)
    """Prototype probabilities are softmax(sharpness * cosine)."""


PROTOTYPES = ("classes", "scale")
"""What determines a shard's prototypes. They draw nothing at random; the seed is there to name references apart."""
ADAPTER = (*PROTOTYPES, "batch", "epochs", "learning_rate", "weight_decay", "neighbor_weight")
"""What determines an adapter, besides its shards and the encoder."""
ENCODER = (
    *PROTOTYPES, "filters", "batch", "core_epochs", "core_learning_rate", "core_weight_decay", "adapter", "queries",
)  # fmt: skip
"""What determines the encoder."""
