"""Compartmental diffusion: the mixture identity, what a drop leaves behind (nothing), and what bad input is told."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from disgorge.errors import BadModel  # noqa: E402
from disgorge.method import Items, Method, Part, Toy, method_named  # noqa: E402
from disgorge.methods.compartmental_diffusion import METHOD, density, mixture, network  # noqa: E402
from disgorge.methods.compartmental_diffusion.settings import DETERMINING, Settings  # noqa: E402
from disgorge.methods.shared.settings import read_settings, recorded  # noqa: E402
from lineage.records import Role, Shard  # noqa: E402
from policies.taxonomy import Guarantee, Remedy  # noqa: E402

ALPHA_SIGMA = [(0.999, 0.045), (0.9, 0.436), (0.5, 0.866), (0.1, 0.995), (1e-4, 1.0)]
"""Points of a variance-preserving schedule, from hardly noised to noise."""


def shards_of(items: Mapping[str, Items]) -> dict[str, Shard]:
    """Return a record for each shard."""
    return {name: Shard(part.shard, name, None, None, None, len(part), name == "core") for name, part in items.items()}


def train_parts(toy: Toy, items: Mapping[str, Items]) -> dict[str, Part]:
    """Train every component that the layout of these shards has."""
    made: dict[str, Part] = {}
    for blueprint in METHOD.layout(toy.spec, shards_of(items)):
        tensors = METHOD.train(
            blueprint.kind,
            blueprint.parameters,
            tuple(items[use.name] for use in blueprint.inputs if use.of == "shard"),
            tuple(made[use.name].tensors for use in blueprint.inputs if use.of == "component"),
        )
        made[blueprint.name] = Part(blueprint.name, blueprint.kind, blueprint.weight, tensors)
    return made


def digests(parts: Mapping[str, Part]) -> dict[str, str]:
    """Return a digest of each part's bytes."""
    return {
        name: hashlib.sha256(
            b"".join(key.encode() + array.tobytes() for key, array in sorted(part.tensors.items()))
        ).hexdigest()
        for name, part in parts.items()
    }


def assembled(toy: Toy, parts: Mapping[str, Part]) -> Any:
    """Return the model of these parts."""
    return METHOD.assemble(toy.spec, tuple(parts.values()))


def without(parts: Mapping[str, Part], *shards: str) -> dict[str, Part]:
    """Return the parts that are no shard's of those named."""
    return {name: part for name, part in parts.items() if name.rpartition("/")[2] not in shards}


@pytest.fixture(scope="module")
def toy() -> Toy:
    """Return the toy."""
    torch.set_num_threads(1)
    return METHOD.toy(3)


@pytest.fixture(scope="module")
def parts(toy: Toy) -> dict[str, Part]:
    """Return the toy's parts, trained once."""
    return train_parts(toy, toy.items)


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


def test_it_is_a_registered_method() -> None:
    """The entry point leads here, and each kind says what can be done about it."""
    assert method_named("compartmental_diffusion") is METHOD
    assert isinstance(METHOD, Method)
    offered = {(offer.kind, offer.remedy) for offer in METHOD.offers}
    assert {("compartment", Remedy.DROP), ("posterior", Remedy.DROP), ("backbone", Remedy.RETRAIN)} <= offered
    assert all(offer.guarantee is Guarantee.EXACT for offer in METHOD.offers)


def test_layout_names_every_input(toy: Toy) -> None:
    """No part of a shard has another removable shard among its inputs, and shared parts have none at all."""
    for blueprint in METHOD.layout(toy.spec, shards_of(toy.items)):
        used = {use.name for use in blueprint.inputs if use.of == "shard"}
        owner = blueprint.name.partition("/")[2]
        assert used == ({owner} if owner else {"core"})
    roles = {
        blueprint.kind: [use.role for use in blueprint.inputs]
        for blueprint in METHOD.layout(toy.spec, shards_of(toy.items))
    }
    assert roles["posterior"] == [Role.CALIBRATE, Role.NORMALIZE]
    assert roles["compartment"] == [Role.TRAIN, Role.INITIALIZE]


def test_layout_without_a_core_is_empty(toy: Toy) -> None:
    """What is built on the core goes with it."""
    assert METHOD.layout(toy.spec, {n: s for n, s in shards_of(toy.items).items() if n != "core"}) == ()


def test_a_compartment_owns_nothing_of_the_backbone(parts: dict[str, Part]) -> None:
    """Its tensors are the low-rank factors alone; a posterior part has three small tensors."""
    for name, part in parts.items():
        if part.kind == "compartment":
            assert all(key.endswith((".up", ".down")) for key in part.tensors), name
        if part.kind == "posterior":
            assert set(part.tensors) == {"centers", "shares", "count"}
    backbone = sum(array.nbytes for array in parts["backbone"].tensors.values())
    assert sum(array.nbytes for array in parts["compartment/north"].tensors.values()) < backbone


def test_the_same_bits_in_a_fresh_process(parts: dict[str, Part]) -> None:
    """A recipe carried out by another process, with one thread, gives every part to the bit."""
    program = (
        "import json, torch; torch.set_num_threads(1)\n"
        "from tests.disgorge.methods.test_compartmental_diffusion import METHOD, digests, train_parts\n"
        "toy = METHOD.toy(3); print(json.dumps(digests(train_parts(toy, toy.items))))"
    )
    root = Path(__file__).parents[3]
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=root)
    assert json.loads(ran.stdout) == digests(parts)


def test_dropping_a_shard_leaves_what_never_had_it(toy: Toy, parts: dict[str, Part]) -> None:
    """Parts kept are those of a system without the shard, byte for byte, and so is all they answer."""
    never = train_parts(toy, {name: items for name, items in toy.items.items() if name != "east"})
    kept = without(parts, "east")
    assert digests(kept) == digests(never)
    after, oracle = assembled(toy, kept), assembled(toy, never)
    for rule in ("draw", "weighted"):
        assert np.array_equal(after.sample(6, seed=1, rule=rule), oracle.sample(6, seed=1, rule=rule))
    assert np.array_equal(after.scores(toy.items["east"]), oracle.scores(toy.items["east"]))
    assert not np.array_equal(after.sample(6, seed=1), assembled(toy, parts).sample(6, seed=1))


def test_an_item_removed_retrains_its_own_parts_alone(toy: Toy, parts: dict[str, Part]) -> None:
    """Two parts change, the others keep their bytes; the count, which is the prior, is that of what is left."""
    west = toy.items["west"]
    less = Items(west.digests[1:], {name: array[1:] for name, array in west.arrays.items()})
    again = train_parts(toy, {**toy.items, "west": less})
    before, after = digests(parts), digests(again)
    assert {name for name in before if before[name] != after[name]} == {"compartment/west", "posterior/west"}
    assert again["posterior/west"].tensors["count"].tolist() == [len(west) - 1]


@pytest.mark.parametrize("rule", ["draw", "likeliest", "weighted", "stratified", "naive"])
def test_what_is_outside_a_callers_set_cannot_be_seen(toy: Toy, parts: dict[str, Part], rule: str) -> None:
    """Serving S from the whole is serving a system that has S alone, to the bit."""
    whole, alone = assembled(toy, parts), assembled(toy, without(parts, "north", "west"))
    allowed = ("east", "south")
    assert np.array_equal(whole.sample(5, seed=2, only=allowed, rule=rule), alone.sample(5, seed=2, rule=rule))
    held_out = toy.items["held-out"]
    assert np.array_equal(whole.scores(held_out, only=allowed), alone.scores(held_out))


def test_nothing_left_leaves_the_backbone(toy: Toy, parts: dict[str, Part]) -> None:
    """Without compartments the core is the whole mixture, whatever the rule."""
    bare = assembled(toy, without(parts, *toy.spec.shards))
    assert bare.members == ("core",)
    drawn = bare.sample(4, seed=0)
    assert all(np.allclose(bare.sample(4, seed=0, rule=rule), drawn, atol=1e-6) for rule in ("weighted", "stratified"))
    assert np.array_equal(assembled(toy, parts).sample(4, seed=0, only=()), drawn)


def test_names_and_order_carry_no_meaning(toy: Toy, parts: dict[str, Part]) -> None:
    """Shards renamed and parts shuffled answer the same to the bit."""
    names = {"north": "z", "east": "y", "south": "x", "west": "w"}
    renamed_toy = Toy(replace(toy.spec, shards=tuple(names.values())), toy.items)
    renamed = []
    for part in reversed(parts.values()):
        kind, _, shard = part.name.partition("/")
        renamed.append(replace(part, name=f"{kind}/{names[shard]}" if shard else part.name))
    other = METHOD.assemble(renamed_toy.spec, tuple(renamed))
    assert np.array_equal(other.sample(5, seed=4), assembled(toy, parts).sample(5, seed=4))


def test_torchs_own_random_state_is_left_alone(toy: Toy, parts: dict[str, Part]) -> None:
    """Training and sampling draw from generators of their own."""
    torch.manual_seed(11)
    before = torch.get_rng_state()
    assembled(toy, parts).sample(2, seed=0)
    train_parts(toy, {"core": toy.items["core"]})
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.are_deterministic_algorithms_enabled()


def test_rehearsal_is_a_use_of_the_core(toy: Toy, parts: dict[str, Part]) -> None:
    """When the core is rehearsed it is among a compartment's inputs, and reaches its bits."""
    rehearsing = Toy(replace(toy.spec, parameters={**toy.spec.parameters, "rehearsal": 0.5}), toy.items)
    layout = {blueprint.name: blueprint for blueprint in METHOD.layout(rehearsing.spec, shards_of(toy.items))}
    assert [use.name for use in layout["compartment/north"].inputs] == ["north", "core", "backbone"]
    blueprint = layout["compartment/north"]
    frozen = (parts["backbone"].tensors,)
    both = METHOD.train("compartment", blueprint.parameters, (toy.items["north"], toy.items["core"]), frozen)
    other = Part("compartment/north", "compartment", 1.0, both)
    assert digests({"n": other}) != digests({"n": parts["compartment/north"]})


# What it answers


def test_samples(toy: Toy, parts: dict[str, Part]) -> None:
    """The same seed gives the same images, another seed others; all are images."""
    model = assembled(toy, parts)
    images = model.sample(7, seed=5)
    assert images.shape == (7, 8, 8)
    assert images.min() >= 0
    assert images.max() <= 1
    assert np.array_equal(images, model.sample(7, seed=5))
    assert not np.array_equal(images, model.sample(7, seed=6))


def test_a_compartment_teaches_the_model_its_shard(toy: Toy, parts: dict[str, Part]) -> None:
    """The mixture fits a shard better with its compartment than without, and better than the backbone does."""
    whole = assembled(toy, parts)
    for shard in toy.spec.shards:
        items = toy.items[shard]
        fit = whole.utility(items)["neg_denoising_loss"]
        assert fit > assembled(toy, without(parts, shard)).utility(items)["neg_denoising_loss"]
        assert fit > assembled(toy, without(parts, *toy.spec.shards)).utility(items)["neg_denoising_loss"]


def test_an_items_score_is_its_own(toy: Toy, parts: dict[str, Part]) -> None:
    """It does not depend on the items scored beside it, up to rounding of batched float32."""
    model, held_out = assembled(toy, parts), toy.items["held-out"]
    one = Items(held_out.digests[3:4], {name: array[3:4] for name, array in held_out.arrays.items()})
    np.testing.assert_allclose(model.scores(one), model.scores(held_out)[3:4], rtol=1e-4)


def test_a_generator_does_not_classify(toy: Toy, parts: dict[str, Part]) -> None:
    """Asking for class probabilities says so."""
    with pytest.raises(NotImplementedError, match="does not classify"):
        assembled(toy, parts).predict(toy.items["core"])


def test_color_images() -> None:
    """Images of height x width x channels train and come back in that shape."""
    pixels = np.random.default_rng(0).integers(0, 256, (6, 4, 8, 3)).astype(np.uint8)
    names = sorted(hashlib.sha256(image.tobytes()).hexdigest() for image in pixels)
    items = {"core": Items(tuple(names), {"image": pixels})}
    spec = replace(METHOD.toy(0).spec, parameters={"channels": [8], "backbone_steps": 2, "sampler_steps": 2})
    parts = train_parts(Toy(spec, items), items)
    assert METHOD.assemble(spec, tuple(parts.values())).sample(2, seed=0).shape == (2, 4, 8, 3)


def test_progress_reaches_the_end(toy: Toy) -> None:
    """Training says how far it is, and ends at the number of steps it announced."""
    blueprint = METHOD.layout(toy.spec, shards_of(toy.items))[0]
    heard: list[tuple[int, int]] = []
    METHOD.train(
        blueprint.kind,
        blueprint.parameters,
        (toy.items["core"],),
        (),
        progress=lambda done, total: heard.append((done, total)),
    )
    assert heard[-1] == (blueprint.steps, blueprint.steps)
    assert heard == sorted(heard)


# Bad input


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"ranks": 8}, "did you mean 'rank'"),
        ({"colour": 8}, "there are: peak"),
        ({"rank": 0}, "rank: 0 is not a whole number"),
        ({"rank": 2.5}, "rank: 2.5 is not a whole number"),
        ({"rank": True}, "rank: True is not"),
        ({"batch": "many"}, "batch: 'many' is not"),
        ({"rehearsal": 1.5}, "from 0 to 0.9"),
        ({"peak": float("nan")}, "peak: nan is not"),
        ({"breadth": float("inf")}, "breadth: inf is not"),
        ({"channels": 16}, "not a list"),
        ({"channels": [12]}, "multiples of 8"),
        ({"channels": []}, "not a list"),
        ({"rule": "best"}, "one of draw"),
        ({"rule": ["draw"]}, "one of draw"),
    ],
)
def test_bad_parameters_are_named(toy: Toy, given: dict[str, Any], said: str) -> None:
    """One line says which parameter is wrong and what it may be."""
    with pytest.raises(BadModel, match=said) as caught:
        METHOD.layout(replace(toy.spec, parameters=given), shards_of(toy.items))
    assert "\n" not in str(caught.value)


def test_bad_models_are_named(toy: Toy) -> None:
    """A model without a core, or with a shard in two places."""
    with pytest.raises(BadModel, match="core: names no shard"):
        METHOD.layout(replace(toy.spec, core=()), shards_of(toy.items))
    with pytest.raises(BadModel, match="east is listed twice"):
        METHOD.layout(replace(toy.spec, shards=("east", "east")), shards_of(toy.items))


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"text": np.zeros((2, 8, 8))}, "no 'image', only text"),
        ({"image": np.zeros((2, 8))}, "images must be"),
        ({"image": np.full((2, 8, 8), 17)}, "outside 0 to 16"),
        ({"image": np.full((2, 8, 8), np.nan)}, "outside 0 to 16"),
        ({"image": np.zeros((2, 7, 8))}, "cannot be halved"),
    ],
)
def test_images_it_cannot_take(toy: Toy, arrays: dict[str, Any], said: str) -> None:
    """One line says what is wrong with the images."""
    items = Items(("00" * 32, "11" * 32), arrays)
    parameters = METHOD.layout(toy.spec, shards_of(toy.items))[0].parameters
    with pytest.raises(BadModel, match=said):
        METHOD.train("backbone", parameters, (items,), ())


def test_other_misuse(toy: Toy, parts: dict[str, Part]) -> None:
    """Empty shards, unknown kinds, rules, compartments, and parts that lack their other half."""
    with pytest.raises(BadModel, match="at least one image"):
        METHOD.train("posterior", {"seed": 0}, (Items((), {"image": np.zeros((0, 8, 8))}),), ())
    with pytest.raises(BadModel, match="makes no 'tangent'"):
        METHOD.train("tangent", {"seed": 0}, (toy.items["core"],), ())
    model = assembled(toy, parts)
    with pytest.raises(BadModel, match="no sampling rule 'best'"):
        model.sample(1, seed=0, rule="best")
    with pytest.raises(BadModel, match="no compartment 'up'"):
        model.sample(1, seed=0, only=("up",))
    for missing, said in (("posterior/north", "but not both"), ("router", "needs one router, there are 0")):
        with pytest.raises(BadModel, match=said):
            METHOD.assemble(toy.spec, tuple(part for name, part in parts.items() if name != missing))
    with pytest.raises(BadModel, match="of kind 'tangent'"):
        METHOD.assemble(toy.spec, (*parts.values(), Part("tangent/x", "tangent", 1.0, {})))


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


def test_defaults_hold() -> None:
    """An empty model file is a good one, and each kind's recipe keeps to its own parameters."""
    settings = read_settings(Settings, {}, seed=9)
    assert recorded(settings, DETERMINING["router"]) == {"seed": 9, "peak": 255.0, "features": 24, "clusters": 16}
    assert "rank" not in recorded(settings, DETERMINING["backbone"])
