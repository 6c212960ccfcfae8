"""Tangent composition: the rules against autodiff, the algebra of vectors, removal bit for bit, bad parameters."""

import hashlib
import itertools
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
from torch import Tensor

from disgorge.errors import BadModel
from disgorge.method import Blueprint, Items, Model, ModelSpec, Part, Toy, methods, offers_for
from disgorge.methods.shared.tensors import as_tensors, images_of, tensors_digest
from disgorge.methods.tangent_composition import METHOD, network
from disgorge.methods.tangent_composition import layer_rules as rules
from disgorge.methods.tangent_composition.answer import TangentClassifier, compose
from disgorge.methods.tangent_composition.settings import Settings
from disgorge.methods.tangent_composition.train import fit_tangent, ridge_head
from examples.digits.data import digits
from lineage.records import Role, Shard
from policies.taxonomy import Guarantee, Remedy

ROOT = Path(__file__).parents[3]
Tensors = Mapping[str, np.ndarray[Any, np.dtype[Any]]]
autodiff = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")
"""Torch's forward mode loads decompositions it compiles in a way it itself deprecates."""

EXACT = 1e-6
"""How close float64 must come to autodiff; round-off alone is below 1e-12 here."""


def recorded(items: Mapping[str, Items], *, core: tuple[str, ...] = ("core",)) -> dict[str, Shard]:
    return {
        name: Shard(one.shard, name, None, None, None, len(one), core=name in core, fields=("image", "label"))
        for name, one in items.items()
    }


def train(spec: ModelSpec, items: Mapping[str, Items]) -> dict[str, tuple[Blueprint, Tensors]]:
    """Lay out and train everything from nothing."""
    made: dict[str, tuple[Blueprint, Tensors]] = {}
    for blueprint in METHOD.layout(spec, recorded(items)):
        shards = tuple(items[use.name] for use in blueprint.inputs if use.of == "shard")
        parts = tuple(made[use.name][1] for use in blueprint.inputs if use.of == "component")
        made[blueprint.name] = (blueprint, METHOD.train(blueprint.kind, blueprint.parameters, shards, parts))
    return made


def assembled(spec: ModelSpec, made: Mapping[str, tuple[Blueprint, Tensors]]) -> Model:
    parts = [Part(blueprint.name, blueprint.kind, blueprint.weight, tensors) for blueprint, tensors in made.values()]
    return METHOD.assemble(spec, tuple(parts))


def cut(items: Items, keep: list[int]) -> Items:
    return Items(tuple(items.digests[row] for row in keep), {name: array[keep] for name, array in items.arrays.items()})


@pytest.fixture(scope="module")
def toy() -> Toy:
    return METHOD.toy(3)


@pytest.fixture(scope="module")
def made(toy: Toy) -> dict[str, tuple[Blueprint, Tensors]]:
    return train(toy.spec, toy.items)


def random_weights(seed: int) -> tuple[dict[str, Tensor], dict[str, Tensor], Tensor]:
    """Float64 weights away from any special value, a tangent, and stage 1's activations of some images."""
    generator = torch.Generator().manual_seed(seed)

    def noise(tensor: Tensor) -> Tensor:
        return torch.randn(tensor.shape, generator=generator, dtype=torch.float64)

    weights = network.initial_weights(channels=2, height=7, width=6, filters=3, classes=4, generator=generator)
    weights = {
        name: noise(tensor).abs() + 0.5 if name.endswith("variance") else tensor.double() + 0.3 * noise(tensor)
        for name, tensor in weights.items()
    }
    tangent = {name: noise(weights[name]) for name in network.TANGENT}
    return weights, tangent, network.stage_one(weights, noise(torch.empty(5, 2, 7, 6)))


@autodiff
@pytest.mark.parametrize("seed", range(5))
def test_the_whole_pass_equals_autodiff(seed: int) -> None:
    weights, tangent, hidden = random_weights(seed)

    def f(moved: dict[str, Tensor]) -> Tensor:
        return network.plain({**weights, **moved}, hidden)

    base, dbase = torch.func.jvp(f, ({name: weights[name] for name in tangent},), (tangent,))[:2]
    y, dy = network.linearized(weights, tangent, hidden)
    assert float((y - base).abs().max()) < EXACT
    assert float((dy - dbase).abs().max()) < EXACT


def double(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@autodiff
@pytest.mark.parametrize("stride", [1, 2])
def test_each_rule_equals_autodiff(stride: int) -> None:
    x, dx = double(4, 3, 6, 6), double(4, 3, 6, 6, seed=1)
    kernel, dkernel = double(5, 3, 3, 3, seed=2), double(5, 3, 3, 3, seed=3)
    flat, dflat = double(4, 7, seed=4), double(4, 7, seed=5)
    matrix, dmatrix = double(2, 7, seed=6), double(2, 7, seed=7)
    bias, dbias, gamma, dgamma = (double(2, seed=8), double(2, seed=9), double(3, seed=10), double(3, seed=11))
    beta, dbeta, mean, variance = double(3, seed=12), double(3, seed=13), double(3, seed=14), double(3, seed=15).exp()
    functional = torch.nn.functional

    def conv(x: Tensor, w: Tensor) -> Tensor:
        return functional.conv2d(x, w, stride=stride, padding=1)

    def norm(x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
        return functional.batch_norm(x, mean, variance, gamma, beta, eps=1e-5)

    pairs = [
        (
            torch.func.jvp(conv, (x, kernel), (dx, dkernel)),
            rules.convolution(x, dx, kernel, dkernel, stride=stride),
        ),
        (
            torch.func.jvp(conv, (x, kernel), (torch.zeros_like(x), dkernel)),
            rules.convolution(x, None, kernel, dkernel, stride=stride),
        ),
        (
            torch.func.jvp(functional.linear, (flat, matrix, bias), (dflat, dmatrix, dbias)),
            rules.linear(flat, dflat, matrix, bias, dmatrix, dbias),
        ),
        (
            torch.func.jvp(norm, (x, gamma, beta), (dx, dgamma, dbeta)),
            rules.batch_norm(x, dx, mean, variance, gamma, beta, dgamma, dbeta, epsilon=1e-5),
        ),
        (torch.func.jvp(functional.relu, (x,), (dx,)), rules.relu(x, dx)),
        (torch.func.jvp(lambda a, b: a + b, (x, x**2), (dx, 2 * dx)), rules.residual(x, dx, x**2, 2 * dx)),
        (torch.func.jvp(lambda a: functional.avg_pool2d(a, 2), (x,), (dx,)), rules.mean_pool(x, dx)),
        (torch.func.jvp(lambda a: torch.flatten(a, 1), (x,), (dx,)), rules.flatten(x, dx)),
    ]
    for expected, found in pairs:
        for one, other in zip(expected, found, strict=True):
            assert float((one - other).abs().max()) < EXACT


def test_the_rectifier_does_not_move_at_its_kink() -> None:
    zero = torch.zeros(1, dtype=torch.float64)
    assert rules.relu(zero, zero + 1)[1].item() == 0.0


@pytest.mark.parametrize("seed", range(5))
def test_composition_is_linear_to_round_off(seed: int) -> None:
    weights, one, hidden = random_weights(seed)
    _, other, _ = random_weights(seed + 100)
    mixed = {name: 0.3 * one[name] - 1.7 * other[name] for name in one}
    _, left = network.linearized(weights, mixed, hidden)
    right = 0.3 * network.linearized(weights, one, hidden)[1] - 1.7 * network.linearized(weights, other, hidden)[1]
    assert float((left - right).abs().max()) < 1e-9


def test_weight_average_is_logit_ensemble(toy: Toy, made: dict[str, tuple[Blueprint, Tensors]]) -> None:
    (backbone,) = [tensors for blueprint, tensors in made.values() if blueprint.kind == "backbone"]
    tangents = [tensors for blueprint, tensors in made.values() if blueprint.kind == "tangent"]
    held_out = toy.items["held-out"]
    together = TangentClassifier(Settings(), backbone, tangents).outputs(held_out)
    apart = [TangentClassifier(Settings(), backbone, [tangent]).outputs(held_out) for tangent in tangents]
    assert np.abs(together - np.mean(apart, axis=0)).max() < 1e-4  # float32


def test_order_of_parts_carries_no_meaning(toy: Toy, made: dict[str, tuple[Blueprint, Tensors]]) -> None:
    tangents = [tensors for blueprint, tensors in made.values() if blueprint.kind == "tangent"]
    digests = {tensors_digest(compose(order)) for order in itertools.permutations(tangents)}
    assert len(digests) == 1
    forward = assembled(toy.spec, made).predict(toy.items["held-out"])
    backward = assembled(toy.spec, dict(reversed(made.items()))).predict(toy.items["held-out"])
    assert forward.tobytes() == backward.tobytes()


def test_forgetting_equals_never_having_had_it(toy: Toy, made: dict[str, tuple[Blueprint, Tensors]]) -> None:
    held_out = toy.items["held-out"]
    for gone in toy.spec.shards:
        kept = {name: pair for name, pair in made.items() if name != f"tangent/{gone}"}
        never = train(toy.spec, {name: items for name, items in toy.items.items() if name != gone})
        assert {name: tensors_digest(pair[1]) for name, pair in kept.items()} == {
            name: tensors_digest(pair[1]) for name, pair in never.items()
        }
        after, oracle = assembled(toy.spec, kept), assembled(toy.spec, never)
        assert after.predict(held_out).tobytes() == oracle.predict(held_out).tobytes()
        assert after.predict(held_out).tobytes() != assembled(toy.spec, made).predict(held_out).tobytes()


def test_subtracting_from_the_sum_would_not_do(made: dict[str, tuple[Blueprint, Tensors]]) -> None:
    """The trap of the paper's own formula, and why vectors are kept and added up anew."""
    tangents = [tensors for blueprint, tensors in made.values() if blueprint.kind == "tangent"]
    count = len(tangents)
    composed, wanted = compose(tangents), compose(tangents[1:])
    differing = sum(
        int(((np.float32(count) * composed[name] - tangents[0][name]) / np.float32(count - 1) != wanted[name]).sum())
        for name in wanted
    )
    assert differing > 0.1 * sum(array.size for array in wanted.values())


def test_without_a_shard_the_backbone_answers(toy: Toy, made: dict[str, tuple[Blueprint, Tensors]]) -> None:
    alone = assembled(toy.spec, {"backbone": made["backbone"]})
    held_out = toy.items["held-out"]
    weights = as_tensors(made["backbone"][1])
    with torch.no_grad():
        logits = network.plain(weights, network.stage_one(weights, images_of(held_out, 16.0)))
    expected = torch.softmax(3.0 * logits.double(), dim=1)
    assert np.allclose(alone.predict(held_out), expected.numpy(), atol=1e-12)


def test_a_shard_with_fewer_items_changes_its_own_vector_alone(
    toy: Toy, made: dict[str, tuple[Blueprint, Tensors]]
) -> None:
    cut_items = dict(toy.items) | {"shard-2": cut(toy.items["shard-2"], list(range(3, 16)))}
    again = train(toy.spec, cut_items)
    changed = {name for name in made if tensors_digest(made[name][1]) != tensors_digest(again[name][1])}
    assert changed == {"tangent/shard-2"}


def test_training_memorizes_something_that_removal_takes_away(
    toy: Toy, made: dict[str, tuple[Blueprint, Tensors]]
) -> None:
    """The positive control of every claim above: the shard was in the model."""
    before = assembled(toy.spec, made)
    after = assembled(toy.spec, {name: pair for name, pair in made.items() if name != "tangent/shard-3"})
    lost = before.scores(toy.items["shard-3"]) - after.scores(toy.items["shard-3"])
    held_out = before.scores(toy.items["held-out"]) - after.scores(toy.items["held-out"])
    assert lost.mean() > held_out.mean() + 0.1


def test_bits_do_not_depend_on_what_ran_before(toy: Toy, made: dict[str, tuple[Blueprint, Tensors]]) -> None:
    code = (
        "import torch; torch.set_num_threads(1)\n"
        "from tests.disgorge.methods.test_tangent_composition import METHOD, train\n"
        "from disgorge.methods.shared.tensors import tensors_digest\n"
        "toy = METHOD.toy(3)\n"
        "for name, pair in train(toy.spec, toy.items).items(): print(name, tensors_digest(pair[1]))\n"
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
    assert fresh.split() == [word for name, pair in again.items() for word in (name, tensors_digest(pair[1]))]


def test_training_reports_the_steps_it_announced(toy: Toy) -> None:
    seen: list[tuple[int, int]] = []
    made: dict[str, Tensors] = {}
    for blueprint in METHOD.layout(toy.spec, recorded(toy.items))[:2]:
        shards = tuple(toy.items[use.name] for use in blueprint.inputs if use.of == "shard")
        parts = tuple(made[use.name] for use in blueprint.inputs if use.of == "component")
        seen.clear()
        made[blueprint.name] = METHOD.train(
            blueprint.kind, blueprint.parameters, shards, parts, progress=lambda done, total: seen.append((done, total))
        )
        assert seen == [(step, blueprint.steps) for step in range(1, blueprint.steps + 1)]


def test_training_leaves_torch_as_it_was(toy: Toy, made: dict[str, tuple[Blueprint, Tensors]]) -> None:
    state = torch.get_rng_state()
    assert not torch.are_deterministic_algorithms_enabled()
    fit_tangent(Settings(seed=1, classes=3, epochs=1), toy.items["shard-1"], made["backbone"][1], lambda *_: None)
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.equal(state, torch.get_rng_state())


def test_ridge_head_solves_its_equation() -> None:
    seen, labels = double(50, 4).float(), torch.arange(50) % 2
    head = ridge_head(seen, labels, classes=3, target=5.0, ridge=0.1)
    weight, bias = head["head.weight"].double().requires_grad_(), head["head.bias"].double().requires_grad_()
    targets = 5.0 * torch.nn.functional.one_hot(labels, 3).double()
    loss = ((seen.double() @ weight.T + bias - targets) ** 2).sum(1).mean() + 0.1 * (weight**2).sum()
    gradients = torch.autograd.grad(loss, (weight, bias))
    assert max(float(gradient.abs().max()) for gradient in gradients) < 1e-5
    assert head["head.weight"][2].abs().max() == 0  # a class the core lacks is answered with 0
    assert head["head.bias"][2] == 0


def test_layout_says_what_depends_on_what(toy: Toy) -> None:
    blueprints = METHOD.layout(toy.spec, recorded(toy.items))
    backbone, *tangents = blueprints
    assert (backbone.name, backbone.weight, backbone.examples) == ("backbone", 0.0, 6 * 36)
    assert sorted(blueprint.name for blueprint in tangents) == [f"tangent/{name}" for name in toy.spec.shards]
    for blueprint in tangents:
        assert [(use.of, use.role) for use in blueprint.inputs] == [
            ("shard", Role.TRAIN),
            ("component", Role.INITIALIZE),
        ]
        assert blueprint.weight == 1 / 5
    assert not {use.name for blueprint in blueprints for use in blueprint.inputs} & set(toy.spec.evaluate)


def test_layout_is_pure_and_follows_the_shards_there_are(toy: Toy) -> None:
    shards = recorded(toy.items)
    assert METHOD.layout(toy.spec, shards) == METHOD.layout(toy.spec, dict(reversed(shards.items())))
    without = {name: shard for name, shard in shards.items() if name != "shard-2"}
    kept = METHOD.layout(toy.spec, without)
    assert {blueprint.name for blueprint in METHOD.layout(toy.spec, shards)} - {b.name for b in kept} == {
        "tangent/shard-2"
    }
    assert METHOD.layout(toy.spec, without | {"shard-2": replace(shards["shard-2"], count=0)}) == kept
    assert [b.name for b in METHOD.layout(toy.spec, {"core": shards["core"]})] == ["backbone"]
    assert METHOD.layout(toy.spec, {name: shard for name, shard in shards.items() if name != "core"}) == ()


def test_renaming_a_shard_changes_no_bits(toy: Toy) -> None:
    renamed = {f"x-{9 - place}": items for place, items in enumerate(toy.items.values())}
    names = dict(zip(toy.items, renamed, strict=True))
    spec = replace(toy.spec, core=(names["core"],), shards=tuple(names[name] for name in toy.spec.shards))
    before, after = train(toy.spec, toy.items), train(spec, renamed)
    assert [tensors_digest(pair[1]) for pair in before.values()] == [tensors_digest(pair[1]) for pair in after.values()]


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"epochz": 3}, "parameters.epochz"),
        ({"epochs": 0}, "parameters.epochs"),
        ({"epochs": 2.5}, "parameters.epochs"),
        ({"epochs": True}, "parameters.epochs"),
        ({"epochs": "many"}, "parameters.epochs"),
        ({"batch": None}, "parameters.batch"),
        ({"learning_rate": float("nan")}, "parameters.learning_rate"),
        ({"learning_rate": -1}, "parameters.learning_rate"),
        ({"target": [5]}, "parameters.target"),
        ({"scale": 0}, "parameters.scale"),
        ({"seed": 3}, "parameters.seed"),
    ],
)
def test_bad_parameters_are_refused_by_name(toy: Toy, parameters: dict[str, object], named: str) -> None:
    with pytest.raises(BadModel) as caught:
        METHOD.layout(replace(toy.spec, parameters=parameters), recorded(toy.items))
    assert str(caught.value).startswith(f"{named}: ")
    assert "\n" not in str(caught.value)


def test_bad_models_are_refused_in_one_line(toy: Toy, made: dict[str, tuple[Blueprint, Tensors]]) -> None:
    shards = recorded(toy.items)
    with pytest.raises(BadModel, match=r"^core: names no shard"):
        METHOD.layout(replace(toy.spec, core=()), shards)
    with pytest.raises(BadModel, match=r"^shards: core is listed under core too"):
        METHOD.layout(replace(toy.spec, shards=("core",)), shards)
    with pytest.raises(BadModel, match=r"^shard shard-1: items have no 'label'; tangent_composition trains on images"):
        METHOD.layout(toy.spec, shards | {"shard-1": replace(shards["shard-1"], fields=("image",))})
    with pytest.raises(BadModel, match="needs one backbone, there are 0"):
        METHOD.assemble(toy.spec, ())
    with pytest.raises(BadModel, match="makes no 'router'"):
        METHOD.train("router", {}, (), ())


def test_items_that_do_not_fit_are_refused(toy: Toy, made: dict[str, tuple[Blueprint, Tensors]]) -> None:
    model = assembled(toy.spec, made)
    good = toy.items["held-out"]
    image, label = good.arrays["image"], good.arrays["label"]
    for arrays, words in (
        ({"image": image[:, :4], "label": label}, "was trained on"),
        ({"image": image.reshape(len(good), -1), "label": label}, "images must be"),
        ({"image": image, "label": label + 5}, "labels go from 5"),
        ({"image": image, "label": label.astype(float)}, "whole numbers"),
        ({"image": image}, "no 'label'"),
    ):
        with pytest.raises(BadModel, match=words):
            model.scores(Items(good.digests, arrays))


def test_the_model_answers_as_a_classifier(toy: Toy, made: dict[str, tuple[Blueprint, Tensors]]) -> None:
    model, held_out = assembled(toy.spec, made), toy.items["held-out"]
    probabilities = model.predict(held_out)
    assert probabilities.shape == (30, 3)
    assert np.allclose(probabilities.sum(1), 1)
    right = probabilities[np.arange(30), held_out.arrays["label"]]
    scores = model.scores(held_out)
    assert scores.dtype == np.float64
    assert np.allclose(scores, np.clip(np.log(right) - np.log1p(-right), -50, 50), atol=1e-6)
    utility = model.utility(held_out)
    assert next(iter(utility)) == "accuracy"
    assert utility["neg_log_loss"] == pytest.approx(np.log(right).mean())
    with pytest.raises(NotImplementedError):
        model.sample(1, seed=0)


def test_it_is_registered_with_exact_offers() -> None:
    assert methods()["tangent_composition"] is METHOD
    assert [offer.remedy for offer in offers_for(METHOD, "tangent")] == [Remedy.SUBTRACT, Remedy.RETRAIN]
    assert [offer.remedy for offer in offers_for(METHOD, "backbone")] == [Remedy.RETRAIN]
    assert {offer.guarantee for offer in METHOD.offers} == {Guarantee.EXACT}


def test_a_tensors_digest_covers_names_shapes_and_bytes() -> None:
    one: Tensors = {"a": np.zeros((2, 3), np.float32)}
    others: list[Tensors] = [{"b": one["a"]}, {"a": one["a"].reshape(3, 2)}, {"a": one["a"].astype(np.float64)}]
    assert len({tensors_digest(tensors) for tensors in [one, *others]}) == 4
    assert len(tensors_digest({})) == hashlib.sha256().digest_size * 2


def test_on_real_digits_contributors_bring_what_the_core_lacks() -> None:
    """The example's model file, fewer epochs: 7, 8 and 9 come from contributors alone."""
    document = yaml.safe_load((ROOT / "examples/digits/tangent.yaml").read_text())
    document |= {key: tuple(document[key]) for key in ("core", "shards", "evaluate")}
    spec = ModelSpec(**document)
    short = replace(spec, parameters=spec.parameters | {"core_epochs": 10, "epochs": 15})
    items = {name: digit_items(columns) for name, columns in digits().items()}
    everything = train(short, items)
    whole = assembled(short, everything).utility(items["held-out"])["accuracy"]
    base = assembled(short, {"backbone": everything["backbone"]}).utility(items["held-out"])["accuracy"]
    assert base < 0.75  # 75 of the 257 are of classes the core has none of
    assert whole > 0.9


def digit_items(columns: Mapping[str, np.ndarray[Any, np.dtype[Any]]]) -> Items:
    rows = zip(columns["image"], columns["label"], strict=True)
    found = [hashlib.sha256(image.tobytes() + bytes([label])).hexdigest() for image, label in rows]
    order = np.argsort(found)
    return Items(tuple(found[row] for row in order), {name: columns[name][order] for name in ("image", "label")})
