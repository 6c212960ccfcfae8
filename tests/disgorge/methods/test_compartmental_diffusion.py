"""Compartmental diffusion: the mixture identity, what a drop leaves behind (nothing), and what bad input is told."""

import hashlib
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from disgorge.errors import BadModel
from disgorge.method import Items, Part, recipe_for
from disgorge.methods.compartmental_diffusion import METHOD, density, mixture, network
from disgorge.methods.compartmental_diffusion.settings import DETERMINING, Settings
from disgorge.methods.shared.settings import read_settings
from disgorge.methods.shared.settings import recorded as in_recipe
from disgorge.training.recipe import Job
from disgorge.training.runners.local import Workers
from lineage.workspace import Workspace
from tests.disgorge.methods.taught import Taught, assembled, digests, recorded, taught, train
from tests.toys import live_shards, populate

ALPHA_SIGMA = [(0.999, 0.045), (0.9, 0.436), (0.5, 0.866), (0.1, 0.995), (1e-4, 1.0)]
"""Points of a variance-preserving schedule, from hardly noised to noise."""


@pytest.fixture
def one() -> Taught:
    """The method with its toy, trained."""
    return taught("compartmental_diffusion")


# The mathematics


def gaussians() -> tuple[Any, Any, Any]:
    """Return means (members, pixels), variances (members,) and priors (members,) of a mixture with a known score."""
    generator = torch.Generator().manual_seed(5)
    means = torch.randn(4, 6, generator=generator, dtype=torch.float64) * 2
    return means, torch.tensor([0.3, 0.6, 1.0, 0.1]).double(), torch.tensor([10, 40, 25, 25])


def log_densities(x: Any, alpha: float, sigma: float) -> Any:
    """Return log p_{i,t}(x) of those Gaussians (rows, members)."""
    means, variances, _ = gaussians()
    spread = alpha**2 * variances + sigma**2  # (members,)
    gap = (x[:, None] - alpha * means).square().sum(dim=2)  # (rows, members)
    return -0.5 * gap / spread - 0.5 * x.shape[1] * spread.log()


def gaussian_scores(x: Any, alpha: float, sigma: float) -> list[Any]:
    """Return the score of each Gaussian, in closed form."""
    means, variances, _ = gaussians()
    return [
        -(x - alpha * mean) / (alpha**2 * variance + sigma**2) for mean, variance in zip(means, variances, strict=True)
    ]


@pytest.mark.parametrize(("alpha", "sigma"), ALPHA_SIGMA)
def test_weighted_scores_are_the_score_of_the_mixture(alpha: float, sigma: float) -> None:
    """Equation (3) to 1e-8 against automatic differentiation; the plain average is far off in between."""
    x = torch.randn(64, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 2
    x.requires_grad_(True)
    priors = gaussians()[2]
    log_p = torch.logsumexp(log_densities(x, alpha, sigma) + (priors / priors.sum()).log(), dim=1)
    (truth,) = torch.autograd.grad(log_p.sum(), x)
    weights = mixture.mixing_weights(log_densities(x, alpha, sigma), priors)
    scores = gaussian_scores(x, alpha, sigma)
    error = (mixture.mix(weights, scores) - truth).norm() / truth.norm()
    assert error < 1e-8
    naive = mixture.mix(torch.full((64, 4), 0.25, dtype=torch.float64), scores)
    if alpha >= 0.5:
        assert (naive - truth).norm() / truth.norm() > 0.1, "the identity would hold for any weights"


def test_a_subset_is_the_mixture_of_that_subset() -> None:
    """Weights over S are the whole's weights on S, renormalized."""
    x = torch.randn(16, 6, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    log_p, priors = log_densities(x, 0.7, 0.7), gaussians()[2]
    whole = mixture.mixing_weights(log_p, priors)[:, [0, 2]]
    part = mixture.mixing_weights(log_p[:, [0, 2]], priors[[0, 2]])
    torch.testing.assert_close(part, whole / whole.sum(dim=1, keepdim=True), rtol=1e-12, atol=1e-15)


def fitted() -> tuple[dict[str, Any], list[dict[str, Any]], list[Any]]:
    """Return a router's trunk, two densities of shards far apart, and the shards' images."""
    generator = torch.Generator().manual_seed(0)
    core = torch.rand(60, 16, generator=generator) - 0.5
    shards = [torch.rand(30, 16, generator=generator) * 0.2 + side for side in (-0.9, 0.7)]
    router = density.fit_router(core, features=16, clusters=4, generator=generator)
    heads = [density.fit_density(shard, router, clusters=3, generator=generator) for shard in shards]
    return router, heads, shards


def weights_at(x: Any, alpha: float, sigma: float) -> Any:
    """Return the weights of the two fitted shards, with priors 1 to 3."""
    router, heads, _ = fitted()
    each = [density.log_density(x, alpha=alpha, sigma=sigma, breadth=1.0, trunk=router, part=head) for head in heads]
    return mixture.mixing_weights(torch.stack(each, dim=1), torch.tensor([1.0, 3.0]))


def test_weights_go_from_the_priors_to_one_hot() -> None:
    """At t = T nothing is known but the counts; at t -> 0 separated shards are told apart."""
    shards = fitted()[2]
    noise = torch.randn(30, 16, generator=torch.Generator().manual_seed(4))
    for index, shard in enumerate(shards):
        assert (weights_at(shard, 1.0, 0.0)[:, index] > 1 - 1e-6).all()
        at_the_end = weights_at(1e-5 * shard + noise, 1e-5, 1.0)
        torch.testing.assert_close(at_the_end, torch.tensor([[0.25, 0.75]]).double().expand(30, 2), atol=1e-3, rtol=0)


def test_density_agrees_with_a_slow_reference() -> None:
    """Equation (4) against torch.distributions, up to the term that shards share."""
    router, heads, shards = fitted()
    x, alpha, sigma, breadth = shards[0][:5] * 0.6, 0.6, 0.8, 2.0
    spread = (alpha**2 * breadth * router["variance"] + sigma**2).sqrt()
    slow = []
    for head in heads:
        latent = (x.double() - alpha * router["mean"]) @ router["basis"].T
        normal = torch.distributions.Independent(torch.distributions.Normal(alpha * head["centers"], spread), 1)
        slow.append(torch.logsumexp(normal.log_prob(latent[:, None]) + head["shares"].log(), dim=1))
    fast = [
        density.log_density(x, alpha=alpha, sigma=sigma, breadth=breadth, trunk=router, part=head) for head in heads
    ]
    torch.testing.assert_close(fast[0] - fast[1], slow[0] - slow[1])


def test_draws_follow_the_weights() -> None:
    """Drawn members are as frequent as their weights; stratified ones to within one."""
    generator = torch.Generator().manual_seed(0)
    weights = torch.tensor([[0.1, 0.0, 0.6, 0.3]]).double().expand(20_000, 4)
    counts = torch.bincount(mixture.draw(weights, torch.rand(20_000, generator=generator)), minlength=4)
    assert counts[1] == 0
    # 5 standard deviations of a binomial share at n = 20,000 are at most 0.018
    torch.testing.assert_close(counts / 20_000, weights[0].float(), atol=0.018, rtol=0)
    picks = mixture.stratified(torch.tensor([5, 0, 30, 15]), 20, torch.tensor(0.3), torch.arange(20))
    assert torch.bincount(picks, minlength=4).tolist() in ([2, 0, 12, 6], [2, 0, 13, 5], [1, 0, 13, 6])
    assert mixture.draw(torch.tensor([[0.5, 0.5 - 1e-12]]), torch.tensor([1 - 1e-9])).item() == 1


def test_a_merged_adapter_is_its_two_layers_in_a_row() -> None:
    """The fast path against the slow one: a convolution by D, then by U; and a new adapter changes nothing."""
    generator = torch.Generator().manual_seed(0)
    base = {"conv.weight": torch.randn(6, 3, 3, 3, generator=generator), "norm.weight": torch.ones(3)}
    adapter = network.new_adapter(base, 2, generator)
    assert set(adapter) == {"conv.weight.up", "conv.weight.down"}
    assert torch.equal(network.merged(base, adapter)["conv.weight"], base["conv.weight"])
    up, down = torch.randn(6, 2, generator=generator), adapter["conv.weight.down"]
    x = torch.randn(4, 3, 8, 8, generator=generator)
    conv = torch.nn.functional.conv2d
    slow = conv(x, base["conv.weight"]) + conv(conv(x, down.reshape(2, 3, 3, 3)), up[:, :, None, None])
    fast = conv(x, network.merged(base, adapter | {"conv.weight.up": up})["conv.weight"])
    torch.testing.assert_close(fast, slow, atol=1e-4, rtol=1e-4)


# What is made, and what a drop leaves


def test_a_compartment_owns_nothing_of_the_backbone(one: Taught) -> None:
    """Its tensors are the low-rank factors alone; a posterior part has three small tensors."""
    for name, part in one.parts.items():
        if part.kind == "compartment":
            assert all(key.endswith((".up", ".down")) for key in part.tensors), name
        if part.kind == "posterior":
            assert set(part.tensors) == {"centers", "shares", "count"}
    backbone = sum(array.nbytes for array in one.parts["backbone"].tensors.values())
    assert sum(array.nbytes for array in one.parts["compartment/north"].tensors.values()) < backbone


@pytest.mark.parametrize("rule", ["draw", "likeliest", "weighted", "stratified", "naive"])
def test_what_is_outside_a_callers_set_cannot_be_seen(one: Taught, rule: str) -> None:
    """Serving S from the whole is serving a system that has S alone, to the bit."""
    whole, alone = one.model(), one.model("north", "west")
    allowed = ("east", "south")
    assert np.array_equal(whole.sample(5, seed=2, only=allowed, rule=rule), alone.sample(5, seed=2, rule=rule))
    held_out = one.toy.items["held-out"]
    assert np.array_equal(whole.scores(held_out, only=allowed), alone.scores(held_out))


def test_nothing_left_leaves_the_backbone(one: Taught) -> None:
    """Without compartments the core is the whole mixture, whatever the rule."""
    bare = one.model(*one.toy.spec.shards)
    assert bare.members == ("core",)
    drawn = bare.sample(4, seed=0)
    assert all(np.allclose(bare.sample(4, seed=0, rule=rule), drawn, atol=1e-6) for rule in ("weighted", "stratified"))
    assert np.array_equal(one.model().sample(4, seed=0, only=()), drawn)


def test_rehearsal_is_a_use_of_the_core(one: Taught) -> None:
    """When the core is rehearsed it is among a compartment's inputs, and reaches its bits."""
    rehearsing = replace(one.toy.spec, parameters={**one.toy.spec.parameters, "rehearsal": 0.5})
    layout = {blueprint.name: blueprint for blueprint in METHOD.layout(rehearsing, recorded(one.toy.items))}
    assert [use.name for use in layout["compartment/north"].inputs] == ["north", "core", "backbone"]
    blueprint = layout["compartment/north"]
    frozen = (one.parts["backbone"].tensors,)
    both = METHOD.train("compartment", blueprint.parameters, (one.toy.items["north"], one.toy.items["core"]), frozen)
    other = Part("compartment/north", "compartment", 1.0, both)
    assert digests({"n": other}) != digests({"n": one.parts["compartment/north"]})


# What it answers


def test_samples(one: Taught) -> None:
    """The same seed gives the same images, another seed others; all are images."""
    model = one.model()
    images = model.sample(7, seed=5)
    assert images.shape == (7, 8, 8)
    assert images.min() >= 0
    assert images.max() <= 1
    assert np.array_equal(images, model.sample(7, seed=5))
    assert not np.array_equal(images, model.sample(7, seed=6))


def test_a_compartment_teaches_the_model_its_shard(one: Taught) -> None:
    """The mixture fits a shard better with its compartment than without, and better than the backbone does."""
    whole = one.model()
    for shard in one.toy.spec.shards:
        items = one.toy.items[shard]
        fit = whole.utility(items)["neg_denoising_loss"]
        assert fit > one.model(shard).utility(items)["neg_denoising_loss"]
        assert fit > one.model(*one.toy.spec.shards).utility(items)["neg_denoising_loss"]


def test_an_items_score_is_its_own(one: Taught) -> None:
    """It does not depend on the items scored beside it, up to rounding of batched float32."""
    model, held_out = one.model(), one.toy.items["held-out"]
    one = Items(held_out.digests[3:4], {name: array[3:4] for name, array in held_out.arrays.items()})
    np.testing.assert_allclose(model.scores(one), model.scores(held_out)[3:4], rtol=1e-4)


def test_a_generator_does_not_classify(one: Taught) -> None:
    """Asking for class probabilities says so."""
    with pytest.raises(NotImplementedError, match="does not classify"):
        one.model().predict(one.toy.items["core"])


def test_color_images() -> None:
    """Images of height x width x channels train and come back in that shape."""
    pixels = np.random.default_rng(0).integers(0, 256, (6, 4, 8, 3)).astype(np.uint8)
    names = sorted(hashlib.sha256(image.tobytes()).hexdigest() for image in pixels)
    items = {"core": Items(tuple(names), {"image": pixels})}
    spec = replace(METHOD.toy(0).spec, parameters={"channels": [8], "backbone_steps": 2, "sampler_steps": 2})
    assert assembled(METHOD, spec, train(METHOD, spec, items)).sample(2, seed=0).shape == (2, 4, 8, 3)


# Bad input


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"text": np.zeros((2, 8, 8))}, "no 'image', only text"),
        ({"image": np.zeros((2, 8))}, "images must be"),
        ({"image": np.full((2, 8, 8), 17)}, "outside 0 to 16"),
        ({"image": np.full((2, 8, 8), np.nan)}, "have a NaN in .image., which this method cannot train on"),
        ({"image": np.zeros((2, 7, 8))}, "cannot be halved"),
    ],
)
def test_images_it_cannot_take(one: Taught, arrays: dict[str, Any], said: str) -> None:
    """One line says what is wrong with the images."""
    items = Items(("00" * 32, "11" * 32), arrays)
    parameters = METHOD.layout(one.toy.spec, recorded(one.toy.items))[0].parameters
    with pytest.raises(BadModel, match=said):
        METHOD.train("backbone", parameters, (items,), ())


def test_other_misuse(one: Taught) -> None:
    """Empty shards, unknown kinds, rules, compartments, and parts that lack their other half."""
    with pytest.raises(BadModel, match="at least one image"):
        METHOD.train("posterior", {"seed": 0}, (Items((), {"image": np.zeros((0, 8, 8))}),), ())
    with pytest.raises(BadModel, match="makes no 'tangent'"):
        METHOD.train("tangent", {"seed": 0}, (one.toy.items["core"],), ())
    model = one.model()
    with pytest.raises(BadModel, match="unknown sampling rule 'best'"):
        model.sample(1, seed=0, rule="best")
    with pytest.raises(BadModel, match="unknown compartment 'up'"):
        model.sample(1, seed=0, only=("up",))
    for missing, said in (("posterior/north", "but not both"), ("router", "needs one router, there are 0")):
        with pytest.raises(BadModel, match=said):
            METHOD.assemble(one.toy.spec, tuple(part for name, part in one.parts.items() if name != missing))
    with pytest.raises(BadModel, match="of kind 'tangent'"):
        METHOD.assemble(one.toy.spec, (*one.parts.values(), Part("tangent/x", "tangent", 1.0, {})))


def test_loading_the_method_loads_no_library() -> None:
    """Reading what it offers and laying out a model needs neither torch nor diffusers."""
    program = (
        "import sys\n"
        "from disgorge.methods.compartmental_diffusion import METHOD\n"
        "from disgorge.method import ModelSpec\n"
        "METHOD.layout(ModelSpec('r', METHOD.name, ('core',), ('a',)), {})\n"
        "print([name for name in ('torch', 'diffusers', 'duckdb') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_what_routes_is_trained_without_diffusers() -> None:
    """As the libraries of these kinds say: loading it takes a process longer than all else."""
    program = (
        "import sys\n"
        "from disgorge.methods.compartmental_diffusion import METHOD\n"
        "from tests.disgorge.methods.taught import recorded\n"
        "toy, made = METHOD.toy(3), {}\n"
        "for part in METHOD.layout(toy.spec, recorded(toy.items)):\n"
        "    if part.kind in METHOD.libraries_of_kinds:\n"
        "        items = tuple(toy.items[use.name] for use in part.inputs if use.of == 'shard')\n"
        "        parts = tuple(made[use.name] for use in part.inputs if use.of == 'component')\n"
        "        made[part.name] = METHOD.train(part.kind, part.parameters, items, parts)\n"
        "print(len(made), 'diffusers' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["5", "False"]


def test_packages_that_diffusers_would_load_and_this_method_does_not_use_are_left_out(tmp_path: Path) -> None:
    """Loading them takes a process longer than diffusers itself; what a part was made with would name them."""
    assert all(map(find_spec, METHOD.unused)), "installed here, or nothing is shown"
    workspace, toy = Workspace.init(tmp_path / "workspace"), METHOD.toy(3)
    populate(workspace, toy, tmp_path / "sources")
    shards = live_shards(workspace)
    backbone = next(each for each in METHOD.layout(toy.spec, shards) if each.kind == "backbone")
    recipe = recipe_for(METHOD, backbone, {("shard", name): shard.digest for name, shard in shards.items()}, toy.spec)
    with Workers(workspace, count=1) as workers:
        (done,) = workers.run([Job(backbone.name, recipe, backbone.steps)])
    assert done.environment["distributions"].keys() & {"torch", "diffusers", *METHOD.unused} == {"torch", "diffusers"}


def test_defaults_hold() -> None:
    """An empty model file is a good one, and each kind's recipe keeps to its own parameters."""
    settings = read_settings(Settings, {}, seed=9)
    assert in_recipe(settings, DETERMINING["router"]) == {"seed": 9, "peak": 255.0, "features": 24, "clusters": 16}
    assert "rank" not in in_recipe(settings, DETERMINING["backbone"])
