"""Tangent composition: the rules against autodiff, the algebra of vectors, removal bit for bit, bad parameters."""

import hashlib

import numpy as np
import pytest
import torch
from torch import Tensor

from disgorge.errors import BadModel
from disgorge.method import Items
from disgorge.methods.shared.digest import tensors_digest
from disgorge.methods.shared.tensors import as_tensors, images_of
from disgorge.methods.tangent_composition import layer_rules as rules
from disgorge.methods.tangent_composition import network
from disgorge.methods.tangent_composition.answer import TangentClassifier, compose
from disgorge.methods.tangent_composition.settings import Settings
from disgorge.methods.tangent_composition.train import ridge_head
from tests.disgorge.methods.taught import Taught, taught

autodiff = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")
"""Torch's forward mode loads decompositions it compiles in a way it itself deprecates."""

EXACT = 1e-6
"""How close float64 must come to autodiff; round-off alone is below 1e-12 here."""


def test_a_picture_with_missing_pixels_is_refused_in_one_line() -> None:
    picture = np.where(np.arange(16).reshape(1, 4, 4) == 5, np.nan, 1.0)
    with pytest.raises(BadModel, match=r"^items have a NaN in 'image', which this method cannot train on; fill it in$"):
        images_of(Items(("ab" * 32,), {"image": picture}), 16.0)


@pytest.fixture
def one() -> Taught:
    return taught("tangent_composition")


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
        (torch.func.jvp(conv, (x, kernel), (dx, dkernel)), rules.convolution(x, dx, kernel, dkernel, stride=stride)),
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


def test_weight_average_is_logit_ensemble(one: Taught) -> None:
    (backbone,) = one.of_kind("backbone")
    tangents = one.of_kind("tangent")
    held_out = one.toy.items["held-out"]
    together = TangentClassifier(Settings(), backbone, tangents).outputs(held_out)
    apart = [TangentClassifier(Settings(), backbone, [tangent]).outputs(held_out) for tangent in tangents]
    assert np.abs(together - np.mean(apart, axis=0)).max() < 1e-4  # float32


def test_subtracting_from_the_sum_would_not_do(one: Taught) -> None:
    """The trap of the paper's own formula, and why vectors are kept and added up anew."""
    tangents = one.of_kind("tangent")
    count = len(tangents)
    composed, wanted = compose(tangents), compose(tangents[1:])
    differing = sum(
        int(((np.float32(count) * composed[name] - tangents[0][name]) / np.float32(count - 1) != wanted[name]).sum())
        for name in wanted
    )
    assert differing > 0.1 * sum(array.size for array in wanted.values())


def test_without_a_shard_the_backbone_answers(one: Taught) -> None:
    alone = one.model(*one.toy.spec.shards)
    held_out = one.toy.items["held-out"]
    weights = as_tensors(one.parts["backbone"].tensors)
    with torch.no_grad():
        logits = network.plain(weights, network.stage_one(weights, images_of(held_out, 16.0)))
    expected = torch.softmax(3.0 * logits.double(), dim=1)
    assert np.allclose(alone.predict(held_out), expected.numpy(), atol=1e-12)


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


def test_layout_says_what_depends_on_what(one: Taught) -> None:
    backbone, *tangents = one.layout.values()
    assert (backbone.name, backbone.weight, backbone.examples) == ("backbone", 0.0, 6 * 36)
    assert sorted(blueprint.name for blueprint in tangents) == [f"tangent/{name}" for name in one.toy.spec.shards]
    assert {blueprint.weight for blueprint in tangents} == {1 / 5}


def test_a_tensors_digest_covers_names_shapes_and_bytes() -> None:
    first = {"a": np.zeros((2, 3), np.float32)}
    others = [{"b": first["a"]}, {"a": first["a"].reshape(3, 2)}, {"a": first["a"].astype(np.float64)}]
    assert len({tensors_digest(tensors) for tensors in [first, *others]}) == 4
    assert len(tensors_digest({})) == hashlib.sha256().digest_size * 2
