"""A shard graph's parameters: names, defaults, ranges. An unknown or unfit one is refused by name."""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass

from disgorge.errors import BadModel
from disgorge.methods.shard_graph.graph import BadGraph, build
from disgorge.methods.shared.parameters import Ranges, check_number, picked, types_of
from lineage.records import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderSettings:
    """What determines the encoder."""

    seed: int
    classes: int = 10
    scale: float = 16.0
    """What pixel values are divided by."""
    filters: int = 16
    """Channels of the first layer; tokens have twice as many dimensions."""
    batch: int = 32
    core_epochs: int = 30
    core_learning_rate: float = 3e-3
    core_weight_decay: float = 1e-2
    adapter: str = "attention"
    """``attention``: learned queries over the encoder's tokens; ``linear``: a linear map of all tokens."""
    queries: int = 8
    """Learned queries of an attention adapter; the paper's formula has one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterSettings:
    """What determines an adapter, besides its shards and the encoder."""

    seed: int
    classes: int = 10
    scale: float = 16.0
    batch: int = 32
    epochs: int = 60
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    neighbor_weight: float = 1.0
    """Weight in the loss of an item of a neighbor's shard, against 1 for the node's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrototypeSettings:
    """What determines a shard's prototypes. They draw nothing at random; the seed is there to name references apart."""

    seed: int
    classes: int = 10
    scale: float = 16.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerSettings:
    """What determines how adapters and prototypes answer together. Chosen, not calibrated on any shard."""

    scale: float = 16.0
    temperature: float = 2.0
    """An adapter votes with softmax(logits / temperature), so that its margins still tell when it is sure."""
    sharpness: float = 3.0
    """The mixture is raised to this power and normalized; a mean of soft votes is less sure than it is right."""
    prototype_weight: float = 0.1
    """Share of the prototypes in the probabilities; the adapters' mean has the rest."""
    prototype_sharpness: float = 10.0
    """Prototype probabilities are softmax(sharpness * cosine)."""


_PARTS = (EncoderSettings, AdapterSettings, PrototypeSettings, AnswerSettings)
_MOST = 1e6
_RANGES: Ranges = {
    "classes": (2, 10_000),
    "scale": (1e-6, _MOST),
    "filters": (1, 1024),
    "batch": (1, _MOST),
    "core_epochs": (1, _MOST),
    "core_learning_rate": (1e-9, 1),
    "core_weight_decay": (0, 1),
    "queries": (1, 1024),
    "epochs": (1, _MOST),
    "learning_rate": (1e-9, 1),
    "weight_decay": (0, 1),
    "neighbor_weight": (0, 1),
    "temperature": (1e-3, 1e3),
    "sharpness": (1e-3, 1e3),
    "prototype_weight": (0, 1),
    "prototype_sharpness": (1e-3, 1e3),
}
_ADAPTERS = ("attention", "linear")
_GRAPH_KEYS: Mapping[str, frozenset[str]] = {
    "isolated": frozenset(),
    "ring": frozenset(),
    "regular": frozenset({"degree"}),
    "star": frozenset({"center"}),
    "bilevel": frozenset({"degree"}),
    "explicit": frozenset({"edges"}),
}


@dataclass(frozen=True, slots=True)
class Settings:
    """All parameters of a model, by what they determine, and the graph over every shard the model names."""

    encoder: EncoderSettings
    adapter: AdapterSettings
    prototypes: PrototypeSettings
    answer: AnswerSettings
    graph: Mapping[str, tuple[str, ...]]


def read_settings(
    parameters: Mapping[str, Json], *, seed: int = 0, nodes: Collection[str] = (), safe: Collection[str] = ()
) -> Settings:
    """Return the settings a model file gives, defaults filled in; ``BadModel`` names the parameter that is wrong."""
    numbers = {name: value for name, value in parameters.items() if name != "graph"}
    for name, value in numbers.items():
        check(name, value)
    return Settings(
        EncoderSettings(seed=seed, **picked(EncoderSettings, numbers)),
        AdapterSettings(seed=seed, **picked(AdapterSettings, numbers)),
        PrototypeSettings(seed=seed, **picked(PrototypeSettings, numbers)),
        AnswerSettings(**picked(AnswerSettings, numbers)),
        read_graph(parameters.get("graph", {"kind": "ring"}), nodes, safe),
    )


def check(name: str, value: Json) -> None:
    """Refuse a parameter nobody knows or a value out of its range."""
    if name == "adapter":
        if value not in _ADAPTERS:
            raise BadModel(f"parameters.adapter: {value!r} is not one of {', '.join(_ADAPTERS)}")
        return
    check_number(name, value, ranges=_RANGES, types=types_of(*_PARTS), others=("adapter", "graph"))


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


def as_parameters(settings: EncoderSettings | AdapterSettings | PrototypeSettings) -> dict[str, Json]:
    """Return the settings as a recipe holds them."""
    return asdict(settings)
