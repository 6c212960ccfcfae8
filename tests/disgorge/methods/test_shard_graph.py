"""Shard graphs: adapters against the formula, removal bit for bit, bad parameters."""

import hashlib
import itertools
import math
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from disgorge.errors import BadModel
from disgorge.method import Blueprint, Items, Model, ModelSpec, Part, Toy, methods, offers_for
from disgorge.methods.shard_graph import METHOD, graph
from disgorge.methods.shard_graph import encoder as encoding
from disgorge.methods.shard_graph.adapter import adapt, attend, initial_adapter
from disgorge.methods.shard_graph.answer import pooled
from disgorge.methods.shared.tensors import as_tensors, images_of, tensors_digest
from examples.digits.data import digits
from lineage.records import Role, Shard
from policies.taxonomy import Guarantee, Remedy

ROOT = Path(__file__).parents[3]
Tensors = Mapping[str, np.ndarray[Any, np.dtype[Any]]]
Made = dict[str, tuple[Blueprint, Tensors]]


def recorded(items: Mapping[str, Items]) -> dict[str, Shard]:
    return {
        name: Shard(one.shard, name, None, None, None, len(one), core=name == "core", fields=("image", "label"))
        for name, one in items.items()
    }


def train(spec: ModelSpec, items: Mapping[str, Items]) -> Made:
    """Lay out and train everything from nothing."""
    made: Made = {}
    for blueprint in METHOD.layout(spec, recorded(items)):
        shards = tuple(items[use.name] for use in blueprint.inputs if use.of == "shard")
        parts = tuple(made[use.name][1] for use in blueprint.inputs if use.of == "component")
        made[blueprint.name] = (blueprint, METHOD.train(blueprint.kind, blueprint.parameters, shards, parts))
    return made


def assembled(spec: ModelSpec, made: Mapping[str, tuple[Blueprint, Tensors]]) -> Model:
    parts = [Part(blueprint.name, blueprint.kind, blueprint.weight, tensors) for blueprint, tensors in made.values()]
    return METHOD.assemble(spec, tuple(parts))


def reached_by(edges: graph.Graph, shard: str) -> frozenset[str]:
    """R(j): the nodes that must be trained again when an item of ``shard`` goes."""
    return frozenset(node for node in edges if shard in graph.reads(edges, node))


def digests(made: Mapping[str, tuple[Blueprint, Tensors]]) -> dict[str, str]:
    return {name: tensors_digest(pair[1]) for name, pair in made.items()}


def cut(items: Items, keep: list[int]) -> Items:
    return Items(tuple(items.digests[row] for row in keep), {name: array[keep] for name, array in items.arrays.items()})


@pytest.fixture(scope="module")
def toy() -> Toy:
    return METHOD.toy(3)


@pytest.fixture(scope="module")
def made(toy: Toy) -> Made:
    return train(toy.spec, toy.items)


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


def test_nodes_start_from_the_cores_adapter_and_leave_the_encoder_alone(toy: Toy, made: Made) -> None:
    encoder = made["encoder"][1]
    start = encoding.start(as_tensors(encoder))
    adapter = made["adapter/shard-1"][1]
    assert set(start) == set(adapter)
    before = tensors_digest(encoder)
    blueprint = made["adapter/shard-1"][0]
    METHOD.train("adapter", blueprint.parameters, (toy.items["shard-1"],), (encoder,))
    assert tensors_digest(encoder) == before


def test_two_nodes_that_read_the_same_shards_differ(toy: Toy) -> None:
    spec = replace(toy.spec, parameters=toy.spec.parameters | {"graph": {"kind": "bilevel", "degree": 4}})
    cliqued = train(spec, toy.items)
    adapters = {digest for name, digest in digests(cliqued).items() if name.startswith("adapter/")}
    assert len(adapters) == 5


def test_a_neighbors_items_can_weigh_less(toy: Toy, made: Made) -> None:
    blueprint, tensors = made["adapter/shard-1"]
    shards = tuple(toy.items[use.name] for use in blueprint.inputs if use.of == "shard")
    assert len(shards) == 2
    encoder = made["encoder"][1]
    lighter = METHOD.train("adapter", blueprint.parameters | {"neighbor_weight": 0.1}, shards, (encoder,))
    assert tensors_digest(lighter) != tensors_digest(tensors)


def test_linear_adapters_train_and_answer(toy: Toy) -> None:
    spec = replace(toy.spec, parameters=toy.spec.parameters | {"adapter": "linear"})
    linear = train(spec, toy.items)
    assert set(linear["adapter/shard-1"][1]) == {"head.weight", "head.bias"}
    assert assembled(spec, linear).predict(toy.items["held-out"]).shape == (30, 3)


# --- prototypes and answers


def test_prototypes_are_sums_and_counts(toy: Toy, made: Made) -> None:
    encoder = as_tensors(made["encoder"][1])
    items = toy.items["shard-4"]
    vectors = encoding.embeddings(encoding.encode(encoder, images_of(items, 16.0))).numpy()
    labels = items.arrays["label"]
    sums, counts = (made["prototypes/shard-4"][1][name] for name in ("sums", "counts"))
    assert np.issubdtype(counts.dtype, np.integer)
    assert counts.tolist() == [int((labels == label).sum()) for label in range(3)]
    for label in range(3):
        assert np.allclose(sums[label], vectors[labels == label].sum(0), atol=1e-12)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1)


def test_pooled_prototypes_do_not_remember_an_order(made: Made) -> None:
    encoder = made["encoder"][1]
    prototypes = [tensors for blueprint, tensors in made.values() if blueprint.kind == "prototypes"]
    pools = {pooled(encoder, order).tobytes() for order in itertools.permutations(prototypes)}
    assert len(pools) == 1


def test_answers_are_the_mean_of_adapters_and_prototypes(toy: Toy, made: Made) -> None:
    """Equation (3), written out with numpy."""
    held_out, encoder = toy.items["held-out"], as_tensors(made["encoder"][1])
    tokens = encoding.encode(encoder, images_of(held_out, 16.0))

    def softmax(logits: np.ndarray[Any, np.dtype[Any]]) -> np.ndarray[Any, np.dtype[Any]]:
        odds = np.exp(logits - logits.max(1, keepdims=True))
        soft: np.ndarray[Any, np.dtype[Any]] = odds / odds.sum(1, keepdims=True)
        return soft

    with torch.no_grad():
        votes = [
            softmax(adapt(as_tensors(tensors), tokens).double().numpy() / 2.0)
            for blueprint, tensors in made.values()
            if blueprint.kind == "adapter"
        ]
    prototypes = [tensors for blueprint, tensors in made.values() if blueprint.kind == "prototypes"]
    cosine = encoding.embeddings(tokens).numpy() @ pooled(made["encoder"][1], prototypes).T
    mixed = (0.9 * np.mean(votes, axis=0) + 0.1 * softmax(10.0 * cosine)) ** 3.0
    expected = mixed / mixed.sum(1, keepdims=True)
    assert np.allclose(assembled(toy.spec, made).predict(held_out), expected, atol=1e-9)


def test_a_class_nobody_has_gets_no_vote_from_prototypes(toy: Toy, made: Made) -> None:
    spec = replace(toy.spec, parameters=toy.spec.parameters | {"prototype_weight": 1.0})
    base = assembled(spec, {"encoder": made["encoder"]})  # the core lacks class 2
    assert base.predict(toy.items["held-out"])[:, 2].max() == 0.0


def test_the_model_answers_as_a_classifier(toy: Toy, made: Made) -> None:
    model, held_out = assembled(toy.spec, made), toy.items["held-out"]
    probabilities = model.predict(held_out)
    assert np.allclose(probabilities.sum(1), 1)
    right = probabilities[np.arange(30), held_out.arrays["label"]]
    assert model.scores(held_out).dtype == np.float64
    assert np.allclose(model.scores(held_out), np.log(right) - np.log1p(-right))
    utility = model.utility(held_out)
    assert next(iter(utility)) == "accuracy"
    assert utility["neg_log_loss"] == pytest.approx(np.log(right).mean())
    with pytest.raises(NotImplementedError):
        model.sample(1, seed=0)


def test_order_of_parts_carries_no_meaning(toy: Toy, made: Made) -> None:
    forward = assembled(toy.spec, made).predict(toy.items["held-out"])
    backward = assembled(toy.spec, dict(reversed(made.items()))).predict(toy.items["held-out"])
    assert forward.tobytes() == backward.tobytes()


# --- removal


def test_removing_a_shard_equals_never_having_had_it(toy: Toy, made: Made) -> None:
    """What the removal leaves and what it trains again, against a model that never had the shard."""
    for place, gone in enumerate(toy.spec.shards):
        left = {name: items for name, items in toy.items.items() if name != gone}
        never = train(toy.spec, left)
        before = toy.spec.shards[place - 1]  # on the ring, the node that read the one that goes
        assert set(made) - set(never) == {f"adapter/{gone}", f"prototypes/{gone}"}
        after = {name: made[name] for name in never if name != f"adapter/{before}"}
        assert digests(after) == {name: digest for name, digest in digests(never).items() if name in after}
        after[f"adapter/{before}"] = never[f"adapter/{before}"]
        held_out = toy.items["held-out"]
        answers = assembled(toy.spec, after).predict(held_out)
        assert answers.tobytes() == assembled(toy.spec, never).predict(held_out).tobytes()
        assert answers.tobytes() != assembled(toy.spec, made).predict(held_out).tobytes()


def test_removing_items_reaches_the_readers_of_their_shard_alone(toy: Toy, made: Made) -> None:
    items = dict(toy.items) | {"shard-3": cut(toy.items["shard-3"], list(range(7, 20)))}
    again = train(toy.spec, items)
    changed = {name for name in made if digests(made)[name] != digests(again)[name]}
    edges = graph.build("ring", toy.spec.shards)
    assert changed == {f"adapter/{node}" for node in reached_by(edges, "shard-3")} | {"prototypes/shard-3"}
    assert changed == {"adapter/shard-2", "adapter/shard-3", "prototypes/shard-3"}


def test_the_papers_cost_is_what_the_layout_announces(toy: Toy) -> None:
    """One item of a shard goes: examples per epoch of the adapters laid out anew, summed, are those of its readers."""
    sizes = {name: len(items) for name, items in toy.items.items()}
    cases: list[dict[str, Any]] = [
        {"kind": "ring"},
        {"kind": "regular", "degree": 3},
        {"kind": "star"},
        {"kind": "isolated"},
    ]
    for parameters in cases:
        spec = replace(toy.spec, parameters=toy.spec.parameters | {"graph": parameters})
        edges = graph.build(parameters["kind"], spec.shards, degree=parameters.get("degree", 1))
        before = {blueprint.name: blueprint for blueprint in METHOD.layout(spec, recorded(toy.items))}
        for shard in spec.shards:
            items = dict(toy.items) | {shard: cut(toy.items[shard], list(range(1, sizes[shard])))}
            after = {blueprint.name: blueprint for blueprint in METHOD.layout(spec, recorded(items))}
            retrained = [
                blueprint
                for name, blueprint in after.items()
                if blueprint.kind == "adapter" and before[name].examples != blueprint.examples
            ]
            epochs = spec.parameters["epochs"]
            again = [sum(sizes[name] for name in graph.reads(edges, node)) - 1 for node in reached_by(edges, shard)]
            assert sum(blueprint.examples for blueprint in retrained) == epochs * sum(again)


def test_without_a_shard_the_cores_adapter_answers(toy: Toy, made: Made) -> None:
    base = assembled(toy.spec, {"encoder": made["encoder"]})
    assert train(toy.spec, {"core": toy.items["core"]}).keys() == {"encoder"}
    core = base.utility(toy.items["core"])["accuracy"]
    assert core > 0.9
    assert base.predict(toy.items["held-out"]).shape == (30, 3)


def test_training_memorizes_something_that_removal_takes_away(toy: Toy, made: Made) -> None:
    """The positive control of every claim above: every shard was in the model."""
    before, held_out = assembled(toy.spec, made), toy.items["held-out"]
    gaps = []
    for gone in toy.spec.shards:
        after = assembled(toy.spec, train(toy.spec, {k: v for k, v in toy.items.items() if k != gone}))
        lost = before.scores(toy.items[gone]) - after.scores(toy.items[gone])
        gaps.append(lost.mean() - (before.scores(held_out) - after.scores(held_out)).mean())
    assert np.mean(gaps) > 0.1


def test_bits_do_not_depend_on_what_ran_before(toy: Toy) -> None:
    code = (
        "import torch; torch.set_num_threads(1)\n"
        "from tests.disgorge.methods.test_shard_graph import METHOD, digests, train\n"
        "toy = METHOD.toy(3)\n"
        "for name, digest in digests(train(toy.spec, toy.items)).items(): print(name, digest)\n"
    )
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        torch.manual_seed(1)
        torch.randn(1000).sort()  # leave the global generator and the allocator elsewhere than a fresh process has them
        again = train(toy.spec, toy.items)
    finally:
        torch.set_num_threads(before)
    fresh = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert fresh.split() == [word for pair in digests(again).items() for word in pair]


def test_training_leaves_torch_as_it_was(toy: Toy, made: Made) -> None:
    state = torch.get_rng_state()
    blueprint = made["adapter/shard-1"][0]
    METHOD.train("adapter", blueprint.parameters, (toy.items["shard-1"],), (made["encoder"][1],))
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.equal(state, torch.get_rng_state())


def test_training_reports_the_steps_it_announced(toy: Toy, made: Made) -> None:
    for name in ("encoder", "adapter/shard-2"):
        blueprint = made[name][0]
        shards = tuple(toy.items[use.name] for use in blueprint.inputs if use.of == "shard")
        parts = tuple(made[use.name][1] for use in blueprint.inputs if use.of == "component")
        seen: list[tuple[int, int]] = []
        METHOD.train(
            blueprint.kind, blueprint.parameters, shards, parts, progress=lambda *step, seen=seen: seen.append(step)
        )
        assert seen == [(step, blueprint.steps) for step in range(1, blueprint.steps + 1)]


# --- layout and bad input


def test_layout_records_edges_as_uses_of_shards(toy: Toy) -> None:
    blueprints = {blueprint.name: blueprint for blueprint in METHOD.layout(toy.spec, recorded(toy.items))}
    assert next(iter(blueprints)) == "encoder"
    adapter = blueprints["adapter/shard-5"]
    assert [(use.of, use.name, use.role) for use in adapter.inputs] == [
        ("shard", "shard-5", Role.TRAIN),
        ("shard", "shard-1", Role.TRAIN),
        ("component", "encoder", Role.INITIALIZE),
    ]
    prototypes = blueprints["prototypes/shard-5"]
    assert [(use.name, use.role) for use in prototypes.inputs] == [
        ("shard-5", Role.CALIBRATE),
        ("encoder", Role.INITIALIZE),
    ]
    assert sum(blueprint.weight for blueprint in blueprints.values()) == pytest.approx(1)
    assert all("seed" in blueprint.parameters for blueprint in blueprints.values())


def test_layout_is_pure_and_follows_the_shards_there_are(toy: Toy) -> None:
    shards = recorded(toy.items)
    assert METHOD.layout(toy.spec, shards) == METHOD.layout(toy.spec, dict(reversed(shards.items())))
    kept = METHOD.layout(toy.spec, {name: shard for name, shard in shards.items() if name != "shard-2"})
    inputs = {blueprint.name: [use.name for use in blueprint.inputs] for blueprint in kept}
    assert inputs["adapter/shard-1"] == ["shard-1", "encoder"]  # its edge went, and no new one came
    assert METHOD.layout(toy.spec, shards | {"shard-2": replace(shards["shard-2"], count=0)}) == kept
    assert METHOD.layout(toy.spec, {name: shard for name, shard in shards.items() if name != "core"}) == ()


def test_renaming_shards_in_the_same_order_changes_no_bits(toy: Toy, made: Made) -> None:
    renamed = {f"x-{place}": items for place, items in enumerate(toy.items.values())}
    names = dict(zip(toy.items, renamed, strict=True))
    spec = replace(toy.spec, core=(names["core"],), shards=tuple(names[name] for name in toy.spec.shards))
    assert list(digests(made).values()) == list(digests(train(spec, renamed)).values())


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"querys": 3}, "parameters.querys"),
        ({"queries": 0}, "parameters.queries"),
        ({"queries": "all"}, "parameters.queries"),
        ({"epochs": True}, "parameters.epochs"),
        ({"temperature": float("inf")}, "parameters.temperature"),
        ({"prototype_weight": 1.5}, "parameters.prototype_weight"),
        ({"adapter": "lora"}, "parameters.adapter"),
        ({"adapter": 3}, "parameters.adapter"),
        ({"graph": "ring"}, "parameters.graph"),
        ({"graph": {"kind": "tree"}}, "parameters.graph.kind"),
        ({"graph": {"kind": ["ring"]}}, "parameters.graph.kind"),
        ({"graph": {"kind": "ring", "degree": 2}}, "parameters.graph.degree"),
        ({"graph": {"kind": "regular", "degree": 0}}, "parameters.graph.degree"),
        ({"graph": {"kind": "regular", "degree": 5}}, "parameters.graph.degree"),
        ({"graph": {"kind": "star", "center": "nobody"}}, "parameters.graph.center"),
        ({"graph": {"kind": "star", "center": ["core"]}}, "parameters.graph.center"),
        ({"graph": {"kind": "explicit", "edges": ["shard-1"]}}, "parameters.graph.edges"),
        ({"graph": {"kind": "explicit", "edges": {"shard-1": ["shard-9"]}}}, "parameters.graph.edges.shard-1"),
        ({"graph": {"kind": "explicit", "edges": {"shard-1": [3]}}}, "parameters.graph.edges.shard-1"),
        ({"graph": {"kind": "explicit", "edges": {"shard-9": ["shard-1"]}}}, "parameters.graph.edges"),
    ],
)
def test_bad_parameters_are_refused_by_name(toy: Toy, parameters: dict[str, object], named: str) -> None:
    with pytest.raises(BadModel) as caught:
        METHOD.layout(replace(toy.spec, parameters=parameters), recorded(toy.items))
    assert str(caught.value).startswith(f"{named}: ")
    assert "\n" not in str(caught.value)


def test_bad_models_are_refused_in_one_line(toy: Toy) -> None:
    shards = recorded(toy.items)
    with pytest.raises(BadModel, match=r"^core: names no shard"):
        METHOD.layout(replace(toy.spec, core=()), shards)
    with pytest.raises(BadModel, match=r"^shards: core is listed under core too"):
        METHOD.layout(replace(toy.spec, shards=("core",)), shards)
    with pytest.raises(BadModel, match=r"^shard shard-1: items have no 'image'; shard_graph trains on images"):
        METHOD.layout(toy.spec, shards | {"shard-1": replace(shards["shard-1"], fields=("label",))})
    with pytest.raises(BadModel, match="needs one encoder, there are 0"):
        METHOD.assemble(toy.spec, ())
    with pytest.raises(BadModel, match="makes no 'router'"):
        METHOD.train("router", {}, (), ())


def test_items_that_do_not_fit_are_refused(toy: Toy, made: Made) -> None:
    model, good = assembled(toy.spec, made), toy.items["held-out"]
    image, label = good.arrays["image"], good.arrays["label"]
    for arrays, words in (
        ({"image": image[:, :4], "label": label}, "was trained on"),
        ({"image": image, "label": label + 5}, "labels go from 5"),
        ({"label": label}, "no 'image'"),
    ):
        with pytest.raises(BadModel, match=words):
            model.scores(Items(good.digests, arrays))


def test_it_is_registered_with_exact_offers() -> None:
    assert methods()["shard_graph"] is METHOD
    for kind in ("adapter", "prototypes"):
        assert [offer.remedy for offer in offers_for(METHOD, kind)] == [Remedy.DROP, Remedy.RETRAIN]
    assert [offer.remedy for offer in offers_for(METHOD, "encoder")] == [Remedy.RETRAIN]
    assert {offer.guarantee for offer in METHOD.offers} == {Guarantee.EXACT}


def test_on_real_digits_contributors_bring_what_the_core_lacks() -> None:
    """The example's model file, fewer epochs: 7, 8 and 9 come from contributors alone."""
    document = yaml.safe_load((ROOT / "examples/digits/graph.yaml").read_text())
    document |= {key: tuple(document[key]) for key in ("core", "shards", "evaluate")}
    spec = ModelSpec(**document)
    short = replace(spec, parameters=spec.parameters | {"core_epochs": 10, "epochs": 15})
    items = {name: digit_items(columns) for name, columns in digits().items()}
    everything = train(short, items)
    whole = assembled(short, everything).utility(items["held-out"])["accuracy"]
    base = assembled(short, {"encoder": everything["encoder"]}).utility(items["held-out"])["accuracy"]
    assert base < 0.75  # 75 of the 257 are of classes the core has none of
    assert whole > 0.9


def digit_items(columns: Mapping[str, np.ndarray[Any, np.dtype[Any]]]) -> Items:
    rows = zip(columns["image"], columns["label"], strict=True)
    found = [hashlib.sha256(image.tobytes() + bytes([label])).hexdigest() for image, label in rows]
    order = np.argsort(found)
    return Items(tuple(found[row] for row in order), {name: columns[name][order] for name in ("image", "label")})
