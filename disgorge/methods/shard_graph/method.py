"""Shard graphs: adapters on a frozen encoder, each trained on its own shard and those it has an edge to.

Dukler, Bowman, Achille, Golatkar, Swaminathan, Soatto, "SAFE: Machine Unlearning With Shard Graphs", ICCV 2023,
arXiv:2304.13169.

    (1)  N(i) = {i} and its out-neighbors;   R(j) = {i : j in N(i)};   M_i = sum over N(i) of |S_k|
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

from collections.abc import Mapping
from typing import TYPE_CHECKING

from disgorge.errors import BadModel
from disgorge.method import (
    NO_CHECKPOINTS,
    Blueprint,
    Checkpoints,
    Items,
    Method,
    Model,
    ModelSpec,
    Offer,
    Part,
    Progress,
    Toy,
    no_progress,
)
from disgorge.methods.shard_graph import settings
from disgorge.methods.shard_graph.graph import read_graph, restricted
from disgorge.methods.shard_graph.settings import Settings
from disgorge.methods.shared.parts import exact, existing_shards, part_on, parts_by_kind
from disgorge.methods.shared.settings import read_settings, recorded, restored
from lineage.records import Json, Role, Shard
from policies.taxonomy import Remedy

if TYPE_CHECKING:
    from disgorge.method import Tensors

ENCODER = "encoder"
ADAPTER = "adapter"
PROTOTYPES = "prototypes"


class ShardGraph:
    """The method. See the module's docstring."""

    name = "shard_graph"
    version = "2"
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
        exact(
            ADAPTER,
            Remedy.DROP,
            "The node's own shard is gone and the node with it; nodes that also read the shard are trained again.",
        ),
        exact(
            ADAPTER,
            Remedy.RETRAIN,
            "The adapter is trained again from its own seed on what is retained of the shards it reads; it rests on "
            "deterministic training and on an encoder that never saw a removable shard.",
        ),
        exact(
            PROTOTYPES,
            Remedy.DROP,
            "The shard's sums and counts leave the pool, which is added up anew from the others.",
        ),
        exact(
            PROTOTYPES,
            Remedy.RETRAIN,
            "The shard's sums and counts are added up anew from the retained items.",
        ),
        exact(
            ENCODER,
            Remedy.RETRAIN,
            "The encoder and, because they read its activations, all adapters and prototypes are trained again.",
        ),
    )

    def layout(self, spec: ModelSpec, shards: Mapping[str, Shard]) -> tuple[Blueprint, ...]:
        """Return the encoder, and per removable shard that has items its adapter and its prototypes.

        Nothing without a core. A shard in a neighbor's inputs follows the node's own, by digest.
        """
        given, edges = _read(spec), read_graph(spec.parameters.get("graph", {}), spec.shards, spec.core)
        core, removable = existing_shards(spec, shards, ("image", "label"))
        if not core:
            return ()
        encoder = part_on(core, ENCODER, recorded(given, settings.ENCODER), epochs=given.core_epochs, batch=given.batch)
        graph = restricted(edges, [shard.name for shard in (*core, *removable)])
        share = given.prototype_weight
        readable = sorted((*core, *removable), key=lambda shard: (shard.digest, shard.name))
        adapters, prototypes = [], []
        for node in removable:
            seen = [node, *(shard for shard in readable if shard.name in graph[node.name])]
            adapters.append(
                part_on(
                    seen, ADAPTER, recorded(given, settings.ADAPTER), of=node.name, starts_at=ENCODER,
                    weight=(1 - share) / len(removable), epochs=given.epochs, batch=given.batch,
                )
            )  # fmt: skip
            prototypes.append(
                part_on(
                    [node], PROTOTYPES, recorded(given, settings.PROTOTYPES), of=node.name, role=Role.CALIBRATE,
                    starts_at=ENCODER, weight=share / len(removable),
                )
            )  # fmt: skip
        return (encoder, *adapters, *prototypes)

    def train(
        self,
        kind: str,
        parameters: Mapping[str, Json],
        items: tuple[Items, ...],
        parts: tuple["Tensors", ...],
        *,
        progress: Progress = no_progress,
        checkpoints: Checkpoints = NO_CHECKPOINTS,
    ) -> "Tensors":
        """Return the tensors of an encoder, an adapter (own shard first) or a shard's prototypes."""
        if kind not in (ENCODER, ADAPTER, PROTOTYPES):
            raise BadModel(f"shard_graph makes no {kind!r}; it makes {ENCODER!r}, {ADAPTER!r} and {PROTOTYPES!r}")
        from disgorge.methods.shard_graph.train import fit_adapter, fit_encoder, gather_prototypes

        given = restored(Settings, parameters)
        if kind == ENCODER:
            return fit_encoder(given, items, progress, checkpoints)
        if kind == ADAPTER:
            return fit_adapter(given, items, parts[0], progress, checkpoints)
        return gather_prototypes(given, items[0], parts[0])

    def assemble(self, spec: ModelSpec, parts: tuple[Part, ...]) -> Model:
        """Return the classifier these parts make, each adapter weighing the same."""
        from disgorge.methods.shard_graph.answer import ShardGraphClassifier

        found = parts_by_kind(spec, parts, one=(ENCODER,), any_number=(ADAPTER, PROTOTYPES))
        tensors = {kind: [part.tensors for part in found[kind]] for kind in found}
        return ShardGraphClassifier(_read(spec), tensors[ENCODER][0], tensors[ADAPTER], tensors[PROTOTYPES])

    def toy(self, seed: int) -> Toy:
        """Return a model of three classes of 6x6 images: a core and a ring of five shards of 12 to 20 items."""
        from disgorge.methods.shared.toy import classifier_toy

        return classifier_toy(self.name, seed, release="toy-graph", queries=2)


def _read(spec: ModelSpec) -> Settings:
    return read_settings(Settings, spec.parameters, seed=spec.seed, beside=("graph",))


METHOD: Method = ShardGraph()
