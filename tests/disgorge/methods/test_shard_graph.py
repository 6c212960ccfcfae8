"""Shard graphs: adapters against the formula, removal bit for bit, bad parameters."""

import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from disgorge.methods.shard_graph import METHOD, graph
from disgorge.methods.shard_graph import encoder as encoding
from disgorge.methods.shard_graph.adapter import adapt, attend, initial_adapter
from disgorge.methods.shard_graph.answer import pooled
from disgorge.methods.shared.digest import tensors_digest
from disgorge.methods.shared.tensors import as_tensors, images_of
from tests.disgorge.methods.taught import Taught, assembled, cut, digests, recorded, taught, train


@pytest.fixture
def one() -> Taught:
    return taught("shard_graph")


# --- graphs


@pytest.mark.parametrize("kind", graph.KINDS)
def test_graphs_follow_names_and_shrink_with_them(kind: str) -> None:
    names = ["b", "a", "d", "c"]
    build = graph.build(kind, names, edges={"a": ["b"]})
    assert build == graph.build(kind, sorted(names), edges={"a": ["b"]})
    assert all(name not in neighbors for name, neighbors in build.items())
    left = graph.restricted(build, {"a", "c", "d"})
    assert set(left) == {"a", "c", "d"}
    for name, neighbors in left.items():
        assert set(neighbors) == set(build[name]) - {"b"}


def test_edges_may_point_at_safe_data() -> None:
    star = graph.build("star", ["a", "b"], center="core", safe=["core"])
    assert star == {"a": ("core",), "b": ("core",)}


# --- adapters


def test_attention_is_the_formula() -> None:
    generator = torch.Generator().manual_seed(0)
    weights = initial_adapter("attention", queries=3, classes=4, tokens=5, dims=6, generator=generator)
    weights["head.weight"] = torch.randn(4, 18, generator=generator)
    weights = {name: tensor.double() for name, tensor in weights.items()}
    z = torch.randn(2, 5, 6, generator=generator, dtype=torch.float64)
    gathered = attend(weights, z)
    for item, query in itertools.product(range(2), range(3)):
        q = weights["query"][query] @ weights["wq"]
        keys = [(z[item, token] + weights["place"][token]) @ weights["wk"] for token in range(5)]
        odds = np.exp([float(q @ key) / math.sqrt(6) for key in keys])
        value = sum(weight * z[item, token] @ weights["wv"] for token, weight in enumerate(odds / odds.sum()))
        assert isinstance(value, torch.Tensor)
        normed = (value - value.mean()) / (value.var(correction=0) + 1e-5).sqrt()
        assert torch.allclose(gathered[item, query], normed, atol=1e-9)
    assert torch.allclose(adapt(weights, z), gathered.flatten(1) @ weights["head.weight"].T)


def test_nodes_start_from_the_cores_adapter_and_leave_the_encoder_alone(one: Taught) -> None:
    encoder = one.parts["encoder"].tensors
    start = encoding.start(as_tensors(encoder))
    adapter = one.parts["adapter/shard-1"].tensors
    assert set(start) == set(adapter)
    before = tensors_digest(encoder)
    blueprint = one.layout["adapter/shard-1"]
    METHOD.train("adapter", blueprint.parameters, (one.toy.items["shard-1"],), (encoder,))
    assert tensors_digest(encoder) == before


def test_two_nodes_that_read_the_same_shards_differ(one: Taught) -> None:
    spec = replace(one.toy.spec, parameters=one.toy.spec.parameters | {"graph": {"kind": "bilevel", "degree": 4}})
    cliqued = train(METHOD, spec, one.toy.items)
    adapters = {digest for name, digest in digests(cliqued).items() if name.startswith("adapter/")}
    assert len(adapters) == 5


def test_a_neighbors_items_can_weigh_less(one: Taught) -> None:
    blueprint, tensors = one.layout["adapter/shard-1"], one.parts["adapter/shard-1"].tensors
    shards = tuple(one.toy.items[use.name] for use in blueprint.inputs if use.of == "shard")
    assert len(shards) == 2
    encoder = one.parts["encoder"].tensors
    lighter = METHOD.train("adapter", blueprint.parameters | {"neighbor_weight": 0.1}, shards, (encoder,))
    assert tensors_digest(lighter) != tensors_digest(tensors)


def test_linear_adapters_train_and_answer(one: Taught) -> None:
    spec = replace(one.toy.spec, parameters=one.toy.spec.parameters | {"adapter": "linear"})
    linear = train(METHOD, spec, one.toy.items)
    assert set(linear["adapter/shard-1"].tensors) == {"head.weight", "head.bias"}
    assert assembled(METHOD, spec, linear).predict(one.toy.items["held-out"]).shape == (30, 3)


# --- prototypes and answers


def test_prototypes_are_sums_and_counts(one: Taught) -> None:
    encoder = as_tensors(one.parts["encoder"].tensors)
    items = one.toy.items["shard-4"]
    vectors = encoding.embeddings(encoding.encode(encoder, images_of(items, 16.0))).numpy()
    labels = items.arrays["label"]
    sums, counts = (one.parts["prototypes/shard-4"].tensors[name] for name in ("sums", "counts"))
    assert np.issubdtype(counts.dtype, np.integer)
    assert counts.tolist() == [int((labels == label).sum()) for label in range(3)]
    for label in range(3):
        assert np.allclose(sums[label], vectors[labels == label].sum(0), atol=1e-12)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1)


def test_pooled_prototypes_do_not_remember_an_order(one: Taught) -> None:
    encoder = one.parts["encoder"].tensors
    prototypes = one.of_kind("prototypes")
    pools = {pooled(encoder, order).tobytes() for order in itertools.permutations(prototypes)}
    assert len(pools) == 1


def test_answers_are_the_mean_of_adapters_and_prototypes(one: Taught) -> None:
    """Equation (3), written out with numpy."""
    held_out, encoder = one.toy.items["held-out"], as_tensors(one.parts["encoder"].tensors)
    tokens = encoding.encode(encoder, images_of(held_out, 16.0))

    def softmax(logits: np.ndarray[Any, np.dtype[Any]]) -> np.ndarray[Any, np.dtype[Any]]:
        odds = np.exp(logits - logits.max(1, keepdims=True))
        soft: np.ndarray[Any, np.dtype[Any]] = odds / odds.sum(1, keepdims=True)
        return soft

    with torch.no_grad():
        votes = [
            softmax(adapt(as_tensors(tensors), tokens).double().numpy() / 2.0) for tensors in one.of_kind("adapter")
        ]
    prototypes = one.of_kind("prototypes")
    cosine = encoding.embeddings(tokens).numpy() @ pooled(one.parts["encoder"].tensors, prototypes).T
    mixed = (0.9 * np.mean(votes, axis=0) + 0.1 * softmax(10.0 * cosine)) ** 3.0
    expected = mixed / mixed.sum(1, keepdims=True)
    assert np.allclose(one.model().predict(held_out), expected, atol=1e-9)


def test_a_class_nobody_has_gets_no_vote_from_prototypes(one: Taught) -> None:
    spec = replace(one.toy.spec, parameters=one.toy.spec.parameters | {"prototype_weight": 1.0})
    base = assembled(METHOD, spec, {"encoder": one.parts["encoder"]})  # the core lacks class 2
    assert base.predict(one.toy.items["held-out"])[:, 2].max() == 0.0


# --- removal


def reached_by(edges: graph.Graph, shard: str) -> frozenset[str]:
    """R(j): the nodes that must be trained again when an item of ``shard`` goes."""
    return frozenset(node for node in edges if shard in (node, *edges[node]))


def test_the_papers_cost_is_what_the_layout_announces(one: Taught) -> None:
    """One item of a shard goes: examples per epoch of the adapters laid out anew, summed, are those of its readers."""
    sizes = {name: len(items) for name, items in one.toy.items.items()}
    cases: list[dict[str, Any]] = [
        {"kind": "ring"},
        {"kind": "regular", "degree": 3},
        {"kind": "star"},
        {"kind": "isolated"},
    ]
    for parameters in cases:
        spec = replace(one.toy.spec, parameters=one.toy.spec.parameters | {"graph": parameters})
        edges = graph.build(parameters["kind"], spec.shards, degree=parameters.get("degree", 1))
        before = {blueprint.name: blueprint for blueprint in METHOD.layout(spec, recorded(one.toy.items))}
        for shard in spec.shards:
            items = dict(one.toy.items) | {shard: cut(one.toy.items[shard], list(range(1, sizes[shard])))}
            after = {blueprint.name: blueprint for blueprint in METHOD.layout(spec, recorded(items))}
            retrained = [
                blueprint
                for name, blueprint in after.items()
                if blueprint.kind == "adapter" and before[name].examples != blueprint.examples
            ]
            epochs = spec.parameters["epochs"]
            again = [sum(sizes[name] for name in (node, *edges[node])) - 1 for node in reached_by(edges, shard)]
            assert sum(blueprint.examples for blueprint in retrained) == epochs * sum(again)


def test_without_a_shard_the_cores_adapter_answers(one: Taught) -> None:
    base = one.model(*one.toy.spec.shards)
    assert train(METHOD, one.toy.spec, {"core": one.toy.items["core"]}).keys() == {"encoder"}
    core = base.utility(one.toy.items["core"])["accuracy"]
    assert core > 0.9
    assert base.predict(one.toy.items["held-out"]).shape == (30, 3)


def test_layout_weighs_parts_and_forgets_the_edges_of_what_is_gone(one: Taught) -> None:
    assert sum(blueprint.weight for blueprint in one.layout.values()) == pytest.approx(1)
    assert all("seed" in blueprint.parameters for blueprint in one.layout.values())
    left = {name: shard for name, shard in recorded(one.toy.items).items() if name != "shard-2"}
    inputs = {each.name: [use.name for use in each.inputs] for each in METHOD.layout(one.toy.spec, left)}
    assert inputs["adapter/shard-1"] == ["shard-1", "encoder"]  # its edge went, and no new one came
