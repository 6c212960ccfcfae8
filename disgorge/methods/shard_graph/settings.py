"""A shard graph's settings, which of them determine which part, and the graph that a model file describes."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from disgorge.errors import BadModel
from disgorge.methods.shard_graph.graph import BadGraph, build
from disgorge.methods.shared.settings import choice, number
from lineage.records import Json


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
_GRAPH_KEYS: Mapping[str, frozenset[str]] = {
    "isolated": frozenset(),
    "ring": frozenset(),
    "regular": frozenset({"degree"}),
    "star": frozenset({"center"}),
    "bilevel": frozenset({"degree"}),
    "explicit": frozenset({"edges"}),
}


def read_graph(value: Json, nodes: Collection[str], safe: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Return the graph that ``{"kind": ..., ...}`` describes over ``nodes``."""
    if not isinstance(value, dict):
        raise BadModel(f"parameters.graph: {value!r} is not a mapping; write for example {{kind: ring}}")
    kind = value.get("kind", "ring")
    if not isinstance(kind, str) or kind not in _GRAPH_KEYS:
        raise BadModel(f"parameters.graph.kind: {kind!r} is not one of {', '.join(_GRAPH_KEYS)}")
    extra = sorted(set(value) - {"kind"} - _GRAPH_KEYS[kind])
    if extra:
        raise BadModel(f"parameters.graph.{extra[0]}: a graph of kind {kind} takes no such key; remove it")
    degree = value.get("degree", 1)
    if not isinstance(degree, int) or isinstance(degree, bool) or degree < 1:
        raise BadModel(f"parameters.graph.degree: {degree!r} is not a whole number from 1")
    edges = value.get("edges", {})
    if not isinstance(edges, dict) or not all(isinstance(ends, list | tuple) for ends in edges.values()):
        raise BadModel("parameters.graph.edges: must map a shard's name to a list of names of shards")
    for name, ends in edges.items():
        if not all(isinstance(end, str) for end in ends):
            raise BadModel(f"parameters.graph.edges.{name}: must be a list of names of shards, not {ends!r}")
    center = value.get("center")
    if center is not None and not isinstance(center, str):
        raise BadModel(f"parameters.graph.center: {center!r} is not the name of a shard")
    try:
        return build(kind, nodes, degree=degree, center=center, edges=edges, safe=safe)
    except BadGraph as error:
        raise BadModel(f"parameters.graph.{error}") from None
