"""Shard graphs: adapters on a frozen encoder, each trained on its own shard and those it has an edge to.

Dukler, Bowman, Achille, Golatkar, Swaminathan, Soatto, "SAFE: Machine Unlearning With Shard Graphs", ICCV 2023,
arXiv:2304.13169.

    (1)  N(i) = {i} and its out-neighbours;   R(j) = {i : j in N(i)};   M_i = sum over N(i) of |S_k|
    (2)  E[cost] = sum_j pi_j sum over R(j) of (M_i - 1)          items to process again; see :mod:`.graph`
    (3)  p(x) ~ ((1 - w) mean_i softmax(adapter_i(z) / t) + w softmax(s cos(z, prototypes)))^g,   z = encoder(x), once
    (4)  forget F in J: train again each i with N(i) meeting J, from its own seed, on what is retained

Components: ``encoder`` (trained on the core, with the adapter all nodes start from), one ``adapter`` per shard, one set
of ``prototypes`` per shard. An edge i -> k is a use of shard k's *data* by adapter i, never of adapter k, so a removal
reaches R(j) and goes no further.

The graph is a function of all the names in the model file, restricted to the shards there are: a shard that goes takes
its edges with it and adds none.

Without any removable shard left, the adapter trained on the core answers, with the core's prototypes. t and g are 1 in
the paper; they change no winner of a vote that is sure, and are chosen in the model file, not calibrated on data.

>>> METHOD.name, sorted({o.kind for o in METHOD.offers}), {o.guarantee.label for o in METHOD.offers}
('shard_graph', ['adapter', 'encoder', 'prototypes'], {'exact'})

What it does not guarantee is in :attr:`ShardGraph.promises_not`.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from disgorge.errors import BadModel
from disgorge.method import Blueprint, Input, Items, Method, Model, ModelSpec, Offer, Part, Progress, Toy, no_progress
from disgorge.methods.shard_graph.graph import restricted
from disgorge.methods.shard_graph.settings import (
    AdapterSettings,
    EncoderSettings,
    PrototypeSettings,
    Settings,
    as_parameters,
    read_settings,
)
from lineage.records import Json, Role, Shard
from policies.taxonomy import Family, Guarantee, Remedy

if TYPE_CHECKING:
    from disgorge.method import Tensors

ENCODER = "encoder"
ADAPTER = "adapter"
PROTOTYPES = "prototypes"


class ShardGraph:
    """The method. See the module's docstring."""

    name = "shard_graph"
    version = "1"
    libraries: tuple[str, ...] = ("numpy", "torch")
    citation = (
        "Dukler, Bowman, Achille, Golatkar, Swaminathan, Soatto. SAFE: Machine Unlearning With Shard Graphs. "
        "ICCV 2023, arXiv:2304.13169."
    )
    promises_not: tuple[str, ...] = (
        "The encoder is trained on the core and keeps what it learned there; removing core data retrains everything.",
        "An adapter that reads a removed shard must not answer until it is trained again.",
        "The graph, the prototypes' weight and other hyper-parameters are read from the model file; if they were "
        "chosen by looking at a shard, that choice stays.",
        "Nodes that read exactly the same shards differ by seed and by the weight of their own items only; such a "
        "graph costs more than its number of distinct adapters is worth.",
    )
    offers: tuple[Offer, ...] = (
        Offer(
            ADAPTER,
            Remedy.DROP,
            Guarantee.EXACT,
            Family.COMPARTMENTALIZATION,
            "The node's own shard is gone and the node with it; nodes that also read the shard are trained again.",
        ),
        Offer(
            ADAPTER,
            Remedy.RETRAIN,
            Guarantee.EXACT,
            Family.RETRAINING,
            "The adapter is trained again from its own seed on what is retained of the shards it reads; it rests on "
            "deterministic training and on an encoder that never saw a removable shard.",
        ),
        Offer(
            PROTOTYPES,
            Remedy.DROP,
            Guarantee.EXACT,
            Family.COMPARTMENTALIZATION,
            "The shard's sums and counts leave the pool, which is added up anew from the others.",
        ),
        Offer(
            PROTOTYPES,
            Remedy.RETRAIN,
            Guarantee.EXACT,
            Family.RETRAINING,
            "The shard's sums and counts are added up anew from the retained items.",
        ),
        Offer(
            ENCODER,
            Remedy.RETRAIN,
            Guarantee.EXACT,
            Family.RETRAINING,
            "The encoder and, because they read its activations, all adapters and prototypes are trained again.",
        ),
    )

    def layout(self, spec: ModelSpec, shards: Mapping[str, Shard]) -> tuple[Blueprint, ...]:
        """Return the encoder, and per removable shard that has items its adapter and its prototypes.

        Nothing without a core. A shard in a neighbor's inputs follows the node's own, by digest.
        """
        settings = _settings(spec)
        existing = _existing(spec, shards)
        core = _by_digest(existing[name] for name in spec.core if name in existing)
        if not core:
            return ()
        encoder = settings.encoder
        count = sum(shard.count for shard in core)
        blueprints = [
            Blueprint(
                name=ENCODER,
                kind=ENCODER,
                inputs=tuple(Input("shard", shard.name, Role.TRAIN) for shard in core),
                parameters=as_parameters(encoder),
                weight=0.0,
                steps=encoder.core_epochs * -(-count // encoder.batch),
                examples=encoder.core_epochs * count,
            )
        ]
        graph = restricted(settings.graph, existing)
        nodes = _by_digest(existing[name] for name in graph)
        share = settings.answer.prototype_weight
        for node in nodes:
            seen = [node, *_by_digest(existing[name] for name in graph[node.name])]
            blueprints.append(_adapter(settings.adapter, seen, weight=(1 - share) / len(nodes)))
        blueprints += [_prototypes(settings.prototypes, node, weight=share / len(nodes)) for node in nodes]
        return tuple(blueprints)

    def train(
        self,
        kind: str,
        parameters: Mapping[str, Json],
        items: tuple[Items, ...],
        parts: tuple["Tensors", ...],
        *,
        progress: Progress = no_progress,
    ) -> "Tensors":
        """Return the tensors of an encoder, an adapter (own shard first) or a shard's prototypes."""
        if kind not in (ENCODER, ADAPTER, PROTOTYPES):
            raise BadModel(f"shard_graph makes no {kind!r}; it makes {ENCODER!r}, {ADAPTER!r} and {PROTOTYPES!r}")
        from disgorge.methods.shard_graph import adapting, encoding

        if kind == ENCODER:
            return encoding.fit_encoder(EncoderSettings(**parameters), items, progress)
        if kind == ADAPTER:
            return adapting.fit_adapter(AdapterSettings(**parameters), items, parts[0], progress)
        return adapting.gather_prototypes(PrototypeSettings(**parameters), items[0], parts[0])

    def assemble(self, spec: ModelSpec, parts: tuple[Part, ...]) -> Model:
        """Return the classifier these parts make, each adapter weighing the same."""
        from disgorge.methods.shard_graph.answering import classifier

        of_kind = {
            kind: [part.tensors for part in parts if part.kind == kind] for kind in (ENCODER, ADAPTER, PROTOTYPES)
        }
        settings = _settings(spec)
        return classifier(settings.answer, of_kind[ENCODER], of_kind[ADAPTER], of_kind[PROTOTYPES])

    def toy(self, seed: int) -> Toy:
        """Return a model of three classes of 6x6 images: a core and a ring of five shards of 12 to 20 items."""
        from disgorge.methods.shard_graph.toys import toy

        return toy(seed)


def _settings(spec: ModelSpec) -> Settings:
    return read_settings(spec.parameters, seed=spec.seed, nodes=spec.shards, safe=spec.core)


def _adapter(settings: AdapterSettings, seen: list[Shard], *, weight: float) -> Blueprint:
    count = sum(shard.count for shard in seen)
    return Blueprint(
        name=f"{ADAPTER}/{seen[0].name}",
        kind=ADAPTER,
        inputs=(
            *(Input("shard", shard.name, Role.TRAIN) for shard in seen),
            Input("component", ENCODER, Role.INITIALIZE),
        ),
        parameters=as_parameters(settings),
        weight=weight,
        steps=settings.epochs * -(-count // settings.batch),
        examples=settings.epochs * count,
    )


def _prototypes(settings: PrototypeSettings, node: Shard, *, weight: float) -> Blueprint:
    return Blueprint(
        name=f"{PROTOTYPES}/{node.name}",
        kind=PROTOTYPES,
        inputs=(Input("shard", node.name, Role.CALIBRATE), Input("component", ENCODER, Role.INITIALIZE)),
        parameters=as_parameters(settings),
        weight=weight,
        steps=1,
        examples=node.count,
    )


def _by_digest(shards: Iterable[Shard]) -> list[Shard]:
    """Return shards in order of digest, not of name: renaming one changes nothing that is learned."""
    return sorted(shards, key=lambda shard: (shard.digest, shard.name))


def _existing(spec: ModelSpec, shards: Mapping[str, Shard]) -> dict[str, Shard]:
    """Return the shards this model trains on that exist and have items, by name; ``BadModel`` for an unfit spec."""
    if not spec.core:
        raise BadModel("core: names no shard; a shard graph needs one, to train its encoder on")
    both = sorted(set(spec.core) & set(spec.shards))
    if both:
        raise BadModel(f"shards: {both[0]} is listed under core too; list it once")
    existing = {name: shards[name] for name in (*spec.core, *spec.shards) if name in shards and shards[name].count}
    for shard in existing.values():
        lacking = {"image", "label"} - set(shard.fields)
        if shard.fields and lacking:
            raise BadModel(
                f"shard {shard.name}: items have no {min(lacking)!r}; shard_graph trains on images: "
                "add items with the fields image (height x width) and label, as NPZ or Parquet can hold them"
            )
    return existing


METHOD: Method = ShardGraph()
